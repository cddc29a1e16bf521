from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import rights, rules, selectors
from accounts.choices import Department, Role
from accounts.models import Override, SignIn, User
from accounts.tests.people import denied, fresh, granted, holding, right, role
from audit.models import AuditEntry
from clearance.tests.callers import error_of, signed_in
from clearance.tests.pages import signed_in as browser_of
from clearance.tests.recipes import NOON

pytestmark = pytest.mark.django_db

GRANTABLE = sorted(rules.grantable())


class TestWhatSomebodyMayDo:
    def test_is_what_the_roles_bring_and_what_is_granted_without_what_is_denied(self, cast):
        clerk = holding(cast.cc_clerk, role("metrics.view_metric", "audit.view_seal"))
        granted(clerk, "workflow.reopen_workflowstep")
        clerk = denied(clerk, "audit.view_seal", "shipments.view_shipment", "outbox.view_message")

        assert clerk.get_all_permissions() == (
            rules.permissions_of(Department.CUSTOMS, Role.PPR) | {"workflow.reopen_workflowstep"}
        ) - {"shipments.view_shipment"}
        assert clerk.has_perm("workflow.reopen_workflowstep")
        assert not clerk.has_perm("audit.view_seal")

    def test_is_nothing_once_they_are_deactivated(self, cast):
        User.objects.filter(pk=cast.cc_clerk.pk).update(is_active=False)
        clerk = granted(cast.cc_clerk, "shipments.add_shipment")

        assert clerk.get_all_permissions() == set()
        assert not clerk.has_perm("shipments.add_shipment")
        assert not clerk.has_module_perms("shipments")

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        of_role=st.sets(st.sampled_from(GRANTABLE), max_size=6),
        overrides=st.dictionaries(st.sampled_from(GRANTABLE), st.booleans(), max_size=6),
        department=st.sampled_from(Department.values),
        of_people=st.sampled_from([one for one in Role.values if one != Role.ADMIN]),
    )
    def test_is_the_same_at_every_door_whatever_is_combined(self, cast, of_role, overrides, department, of_people):
        with transaction.atomic():  # each example for itself
            person = User.objects.create(
                email="somebody@example.com", full_name="Somebody", department=department, role=of_people
            )
            further = role(*of_role, name="Anything")
            holding(person, further, Group.objects.get(name=rules.system_role_name(department, of_people)))
            for name, is_granted in overrides.items():
                granted(person, name, is_granted=is_granted)

            wanted = rules.permissions_of(department, of_people) | of_role
            wanted |= {name for name, is_granted in overrides.items() if is_granted}
            wanted -= {name for name, is_granted in overrides.items() if not is_granted}

            opened = SignIn.objects.create(
                user=person, created_at=NOON, last_used_at=NOON, expires_at=NOON + timedelta(days=1)
            )
            at_the_api = selectors.signed_in(user_id=person.pk, sign_in_id=opened.pk)
            in_a_session = User.objects.active().with_rights().get(pk=person.pk)
            for seen in (at_the_api, in_a_session, fresh(person)):
                assert seen.get_all_permissions() == wanted
                assert all(seen.has_perm(name) == (name in wanted) for name in GRANTABLE)
            transaction.set_rollback(True)

    def test_changes_with_the_next_request_of_a_token(self, cc_clerk):
        client = signed_in(cc_clerk)
        assert client.get("/api/v1/shipments").status_code == 200

        denied(cc_clerk, "shipments.view_shipment")
        refused = client.get("/api/v1/shipments")
        Override.objects.all().delete()

        assert error_of(refused, 403)["code"] == "PERMISSION_DENIED"
        assert client.get("/api/v1/shipments").status_code == 200

    def test_changes_with_the_next_click_in_the_back_office(self, cc_clerk):
        browser = browser_of(cc_clerk)
        assert browser.get("/admin/audit/auditentry/").status_code == 403

        granted(cc_clerk, "audit.view_auditentry")
        seen = browser.get("/admin/audit/auditentry/")
        Override.objects.update(is_granted=False)

        assert seen.status_code == 200
        assert browser.get("/admin/audit/auditentry/").status_code == 403

    def test_costs_no_statement_of_its_own(self, cast, django_assert_num_queries):
        with django_assert_num_queries(1):
            person = User.objects.active().with_rights().with_owed_factor().get(pk=cast.cc_clerk.pk)
            person.has_perm("shipments.view_shipment")
            person.has_module_perms("alerts")
            assert person.get_all_permissions()

    def test_is_nothing_for_somebody_without_department_but_to_see_oneself(self, cast):
        User.objects.filter(pk=cast.cc_clerk.pk).update(department="", role=Role.READ_ONLY)
        cast.cc_clerk.groups.clear()
        client = signed_in(cast.cc_clerk)

        for place in ("shipments", "workflow-steps", "alerts", "audit-logs", "users", "roles", "permissions"):
            assert error_of(client.get(f"/api/v1/{place}"), 403), place
        assert client.get("/api/v1/metrics/on-time-rate?from=2026-01-01&to=2026-01-31").status_code == 403
        assert client.get("/api/v1/users/me").json()["permissions"] == []
        assert AuditEntry.objects.filter(action="denied", user=cast.cc_clerk).exists()


class TestTheWordsOfRights:
    def test_tell_of_exactly_those_that_mean_something(self):
        told = [name for group in rights.WORDS.values() for name in group]

        assert sorted(told) == GRANTABLE
        assert len(told) == len(set(told))

    def test_have_names_at_the_api_and_last_parts_of_their_own(self):
        assert len({rules.api_name(name) for name in GRANTABLE}) == len(GRANTABLE)
        assert len({name.split(".")[1] for name in GRANTABLE}) == len(GRANTABLE)
        assert rules.permissions_named([rules.api_name(name) for name in GRANTABLE]) == rules.grantable()

    def test_are_about_permissions_that_exist(self):
        assert all(right(name) for name in GRANTABLE)

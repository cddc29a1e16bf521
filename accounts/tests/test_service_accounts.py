from __future__ import annotations

from datetime import date

import pytest
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from accounts import services as accounts
from accounts.choices import Department, Role
from accounts.errors import InvalidCredentials, NotAPerson
from accounts.models import ApiKey, User
from accounts.tests import machines
from accounts.tests.machines import fresh
from alerts.models import Alert
from alerts.tests import late
from audit import services as audit
from audit.models import Seal
from clearance.constraints import ConstraintViolated
from clearance.errors import Forbidden, InvalidFields, NotFound
from clearance.tests import callers, pages
from clearance.tests.cast import PASSWORD
from clearance.tests.traces import refused
from outbox.models import Message
from workflow import services as workflow
from workflow.models import DepartmentFallback

pytestmark = pytest.mark.django_db


class TestAServiceAccount:
    def test_has_a_name_a_role_and_divisions_like_anybody(self, cast):
        account = fresh(machines.account(cast, divisions=[cast.tyres]))

        assert (str(account), account.is_service, account.is_staff) == ("Agent’s system", True, False)
        assert list(account.divisions.all()) == [cast.tyres]
        assert account.has_perm("workflow.complete_workflowstep")
        assert not account.has_usable_password()
        assert account.email.endswith(".invalid")

    def test_is_made_by_administrators_only(self, cast):
        for by in (cast.cc_head, cast.auditor, cast.bu_clerk):
            with refused(Forbidden, "PERMISSION_DENIED"):
                accounts.create_service_account(full_name="Mine", role=Role.READ_ONLY, by=by)

    def test_is_never_made_by_a_service_account(self, cast):
        account = machines.account(cast)
        account._perm_cache = {"accounts.manage_serviceaccount"}

        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.create_service_account(full_name="Another", role=Role.READ_ONLY, by=account)

    @pytest.mark.parametrize("role", [Role.APR, Role.MANAGER, Role.ADMIN])
    def test_leads_nobody(self, cast, role):
        with refused(ConstraintViolated, "VALIDATION_ERROR") as refusal:
            machines.account(cast, role=role)

        assert str(refusal.value) == "A service account is PPR or Read only."

    def test_needs_a_department_to_work(self, cast):
        with refused(ConstraintViolated, "VALIDATION_ERROR"):
            machines.account(cast, department="")

        assert machines.account(cast, department="", role=Role.READ_ONLY)

    def test_has_a_name_of_its_own_whatever_the_letters(self, cast):
        machines.account(cast)

        with refused(ConstraintViolated, "VALIDATION_ERROR") as refusal:
            machines.account(cast, full_name="AGENT’S system ")

        assert str(refusal.value) == "There is a service account of this name already."

    def test_needs_a_name(self, cast):
        with refused(InvalidFields, "VALIDATION_ERROR"):
            machines.account(cast, full_name=" ")

    @pytest.mark.parametrize(
        "values",
        [
            {"password": make_password(PASSWORD)},
            {"is_staff": True},
            {"identity_issuer": "https://id.example.com/", "identity_subject": "abc"},
            {"email": "agent@example.com"},
        ],
    )
    def test_is_kept_from_signing_in_by_the_database_itself(self, cast, values):
        account = machines.account(cast)

        with pytest.raises(IntegrityError, match="user_service_account_never_signs_in"), transaction.atomic():
            User.objects.filter(pk=account.pk).update(**values)


class TestAmendingAServiceAccount:
    def test_changes_what_it_may_do(self, cast, noon):
        account = machines.account(cast)
        by = fresh(cast.administrator)

        accounts.amend_service_account(account_id=account.pk, changes={"role": Role.READ_ONLY}, by=by, at=noon)

        assert not fresh(account).has_perm("workflow.complete_workflowstep")
        assert [group.name for group in account.groups.all()] == ["C&C ReadOnly"]

    def test_deactivated_ends_every_key_for_good(self, cast, noon):
        account = machines.account(cast)
        machines.key(account, cast, at=noon)
        by = fresh(cast.administrator)

        accounts.deactivate_service_account(account_id=account.pk, by=by, at=noon)
        accounts.deactivate_service_account(account_id=account.pk, by=by, at=noon)
        accounts.amend_service_account(account_id=account.pk, changes={"is_active": True}, by=by, at=noon)

        assert fresh(account).is_active
        assert ApiKey.objects.get().revoked_at == noon

    def test_is_for_administrators_and_for_service_accounts_only(self, cast, noon):
        account = machines.account(cast)

        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.deactivate_service_account(account_id=account.pk, by=fresh(cast.cc_head), at=noon)
        for unknown in (0, cast.cc_clerk.pk):
            with refused(NotFound, "NOT_FOUND"):
                accounts.deactivate_service_account(account_id=unknown, by=fresh(cast.administrator), at=noon)

    def test_is_not_what_amending_a_person_does(self, cast, noon):
        account = machines.account(cast)

        with refused(NotAPerson, "NOT_A_PERSON"):
            accounts.amend_person(user_id=account.pk, changes={"is_staff": True}, by=None, at=noon)


class TestAServiceAccountNeverSignsIn:
    def test_with_a_password(self, cast, noon):
        account = machines.account(cast)

        for password in ("", "!", fresh(account).password, PASSWORD):
            with pytest.raises(InvalidCredentials):
                accounts.sign_in(email=account.email, password=password, at=noon, ip_address=None)

    def test_with_one_that_an_administrator_sets(self, cast, noon):
        account = machines.account(cast)

        with refused(NotAPerson, "NOT_A_PERSON"):
            accounts.set_password(user=account, password=PASSWORD, by=fresh(cast.administrator), at=noon)

    def test_with_a_forgotten_one(self, cast, noon):
        account = machines.account(cast)

        accounts.request_reset(email=account.email, at=noon)

        assert not Message.objects.exists()

    def test_and_gets_no_mail_when_somebody_tries_too_often(self, cast):
        account = machines.account(cast)

        for _ in range(6):
            APIClient().post("/api/v1/auth/login", {"email": account.email, "password": "Wrong-9"})

        assert not Message.objects.exists()

    def test_and_finds_no_session(self, cast):
        client = pages.signed_in(machines.account(cast))

        assert client.get("/admin/").status_code == 302
        assert client.get("/api/v1/users/me").status_code == 401

    def test_and_is_unlocked_by_nobody(self, cast, noon):
        account = machines.account(cast)

        with refused(NotFound, "NOT_FOUND"):
            accounts.unlock(user_id=account.pk, by=fresh(cast.administrator), at=noon)


class TestAServiceAccountIsNobody:
    def test_who_stands_in_or_is_away(self, cast, noon):
        account = machines.account(cast)
        days = {"starts_on": date(2026, 3, 15), "ends_on": date(2026, 3, 16), "by": cast.cc_head}

        for user, substitute in ((cast.cc_clerk, account), (account, cast.cc_clerk)):
            with refused(NotAPerson, "NOT_A_PERSON"):
                accounts.record_absence(user=user, substitute=substitute, **days)

    @pytest.mark.parametrize("duty", ["ppr", "apr"])
    def test_who_answers_for_steps(self, cast, duty):
        account = machines.account(cast)
        fallback = DepartmentFallback.objects.get(department=Department.CUSTOMS)
        setattr(fallback, duty, account)

        with refused(NotAPerson, "NOT_A_PERSON"):
            workflow.save_duty(duty=fallback, by=cast.cc_head)

    def test_whom_an_alert_reaches(self, cast):
        audit_machine = machines.account(cast, department=Department.INTERNAL_AUDIT, role=Role.READ_ONLY)
        management = machines.account(cast, full_name="BI", department=Department.MANAGEMENT, role=Role.READ_ONLY)

        late.shipment(by=cast.bu_clerk, days=9)
        late.sweep()

        reached = set(Alert.objects.values_list("recipient_user", flat=True))
        assert cast.auditor.pk in reached
        assert not reached & {audit_machine.pk, management.pk}

    def test_who_gets_the_seal(self, cast, noon):
        machines.account(cast, department=Department.INTERNAL_AUDIT, role=Role.READ_ONLY)
        audit.seal(at=noon)
        assert Seal.objects.exists()

        audit.mail_anchor(at=noon)

        assert [message.recipient for message in Message.objects.all()] == [cast.auditor]

    def test_who_is_chosen_from_people(self, cast, administrator):
        account = machines.account(cast)
        desk = pages.signed_in(administrator)

        listed = desk.get(pages.list_of(User))
        choice = desk.get(
            "/admin/autocomplete/",
            {"app_label": "accounts", "model_name": "absence", "field_name": "substitute", "term": "system"},
        )

        assert account.full_name not in listed.content.decode()
        assert choice.json()["results"] == []

    @pytest.mark.parametrize("is_granted", [True, False])
    def test_who_is_granted_or_denied_a_right_by_name(self, cast, noon, is_granted):
        account = machines.account(cast)
        given = {"permission": "shipments.cancel_shipment", "is_granted": is_granted, "reason": "A test"}

        with refused(NotAPerson, "NOT_A_PERSON"):
            accounts.override(user_id=account.pk, **given, by=cast.administrator, at=noon)

    def test_whom_the_api_lists_among_people(self, cast, administrator):
        account = machines.account(cast)
        api = callers.signed_in(administrator)

        listed = api.get("/api/v1/users", {"page_size": 100}).json()["results"]

        assert account.pk not in {person["id"] for person in listed}
        assert cast.cc_clerk.pk in {person["id"] for person in listed}
        for part in ("", "/overrides"):
            assert callers.error_of(api.get(f"/api/v1/users/{account.pk}{part}"), 404)

from __future__ import annotations

import pytest

from accounts import services as accounts
from accounts.choices import Role
from accounts.errors import AdministratorsOnly, BeyondYourRights, LastAdministrator, UnknownRight
from accounts.models import Override, User
from accounts.tests.people import caretaker, denied, fresh, granted, role
from clearance.errors import Forbidden, NotFound, ReasonMissing
from clearance.tests import races
from clearance.tests.traces import refused

pytestmark = pytest.mark.django_db


def override(user: User, permission: str = "metrics.view_metric", *, by: User, **changed):
    facts = {"is_granted": True, "reason": "Covers for a colleague"} | changed
    return accounts.override(user_id=user.pk, permission=permission, by=by, **facts)


class TestOverriding:
    def test_grants_and_denies_whatever_the_roles_say(self, cast, noon):
        override(cast.cc_clerk, "workflow.reopen_workflowstep", by=cast.administrator, at=noon)
        made = override(cast.cc_clerk, is_granted=False, by=cast.administrator, at=noon)

        clerk = fresh(cast.cc_clerk)
        assert clerk.has_perm("workflow.reopen_workflowstep")
        assert not clerk.has_perm("metrics.view_metric")
        assert (made.created_by, made.created_at, made.reason) == (cast.administrator, noon, "Covers for a colleague")

    def test_again_takes_the_place_of_the_first(self, cast, noon):
        first = override(cast.cc_clerk, by=cast.administrator, at=noon)
        second = override(cast.cc_clerk, is_granted=False, reason="On second thoughts", by=cast.administrator, at=noon)

        assert first.pk == second.pk
        assert Override.objects.get().reason == "On second thoughts"

    @pytest.mark.parametrize("part", ["cc_clerk", "cc_head", "auditor", "manager"])
    def test_is_refused_to_others(self, cast, noon, part):
        with refused(Forbidden, "PERMISSION_DENIED"):
            override(cast.cc_clerk, by=getattr(cast, part), at=noon)

    @pytest.mark.parametrize(
        "permission", ["auth.add_group", "nothing", "shipments.fly_shipment", "accounts.add_signin"]
    )
    def test_is_refused_for_what_means_nothing_here(self, cast, noon, permission):
        with refused(UnknownRight, "UNKNOWN_RIGHT"):
            override(cast.cc_clerk, permission, by=cast.administrator, at=noon)

    def test_is_refused_without_a_reason_or_a_person(self, cast, noon):
        with refused(ReasonMissing, "REASON_MISSING"):
            override(cast.cc_clerk, reason=" ", by=cast.administrator, at=noon)
        with refused(NotFound, "NOT_FOUND"):
            accounts.override(
                user_id=0, permission="metrics.view_metric", is_granted=True, reason="x", by=cast.administrator, at=noon
            )

    def test_is_refused_when_nobody_could_administer_any_more(self, cast, noon):
        with refused(LastAdministrator, "LAST_ADMINISTRATOR"):
            override(cast.administrator, "accounts.change_user", is_granted=False, by=cast.administrator, at=noon)

    def test_is_refused_to_a_caretaker_for_what_they_lack(self, cast, noon):
        keeper = caretaker(cast)

        override(cast.cc_clerk, "audit.view_auditentry", by=keeper, at=noon)
        for person in (cast.cc_clerk, keeper):
            with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS") as refusal:
                override(person, "shipments.cancel_shipment", by=keeper, at=noon)
        assert "Cancel shipments" in str(refusal.value)

    def test_of_an_administrator_is_for_administrators(self, cast, noon):
        keeper = caretaker(cast)

        with refused(AdministratorsOnly, "ADMINISTRATORS_ONLY"):
            override(cast.administrator, is_granted=False, by=keeper, at=noon)

    @pytest.mark.django_db(transaction=True)
    def test_by_two_at_the_same_moment_leaves_one(self, cast, noon):
        results = races.at_once(
            lambda: override(cast.cc_clerk, by=cast.administrator, at=noon),
            lambda: override(cast.cc_clerk, is_granted=False, by=cast.administrator, at=noon),
            held=User.objects.filter(pk=cast.administrator.pk),
        )

        assert all(isinstance(one, Override) for one in results)
        assert Override.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_of_two_administrators_by_each_other_leaves_one_who_administers(self, cast, noon):
        User.objects.filter(pk=cast.manager.pk).update(role=Role.ADMIN)
        accounts.settle_role(user=fresh(cast.manager))
        both = [fresh(cast.manager), fresh(cast.administrator)]

        results = races.at_once(
            *(
                lambda by=by, other=other: override(other, "accounts.change_user", is_granted=False, by=by, at=noon)
                for by, other in (both, reversed(both))
            ),
            held=User.objects.filter(role=Role.ADMIN),
        )

        assert sum(isinstance(one, LastAdministrator) for one in results) == 1
        assert User.objects.administrators().count() == 1


class TestTakingAnOverrideBack:
    def test_leaves_the_right_to_the_roles(self, cast):
        denied(cast.cc_clerk, "shipments.view_shipment")

        accounts.take_override_back(
            user_id=cast.cc_clerk.pk, override_id=Override.objects.get().pk, by=cast.administrator
        )

        assert fresh(cast.cc_clerk).has_perm("shipments.view_shipment")

    def test_is_refused_for_somebody_elses_and_to_others(self, cast):
        granted(cast.cc_clerk, "audit.view_seal")
        pk = Override.objects.get().pk

        with refused(NotFound, "NOT_FOUND"):
            accounts.take_override_back(user_id=cast.cc_head.pk, override_id=pk, by=cast.administrator)
        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.take_override_back(user_id=cast.cc_clerk.pk, override_id=pk, by=cast.cc_head)

    def test_of_a_denial_is_refused_to_a_caretaker_who_lacks_the_right(self, cast):
        denied(cast.bu_head, "shipments.cancel_shipment")
        denied(cast.cc_clerk, "metrics.view_metric")
        keeper = caretaker(cast)

        for kept in Override.objects.filter(user=cast.bu_head):
            with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
                accounts.take_override_back(user_id=cast.bu_head.pk, override_id=kept.pk, by=keeper)
        for kept in Override.objects.filter(user=cast.cc_clerk):
            accounts.take_override_back(user_id=cast.cc_clerk.pk, override_id=kept.pk, by=keeper)

        assert Override.objects.get().user == cast.bu_head


class TestWhoLooksAfterPeopleWithoutBeingAnAdministrator:
    """Gives nobody, nor gets at, more than they have."""

    @pytest.fixture
    def keeper(self, cast):
        return caretaker(cast)

    def amend(self, user, *, by, at, **changes):
        return accounts.amend_person(user_id=user.pk, changes=changes, by=by, at=at)

    def test_changes_names_and_lowers_roles(self, cast, noon, keeper):
        self.amend(cast.cc_head, full_name="Kamila", role=Role.READ_ONLY, by=keeper, at=noon)

        head = fresh(cast.cc_head)
        assert (head.full_name, head.role) == ("Kamila", Role.READ_ONLY)

    @pytest.mark.parametrize(
        "changes", [{"role": Role.MANAGER}, {"department": "BusinessUnit"}, {"email": "mine@example.com"}]
    )
    def test_raises_nobody_and_diverts_no_mail(self, cast, noon, keeper, changes):
        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            self.amend(cast.cc_clerk, **changes, by=keeper, at=noon)

    def test_raises_not_themselves_either(self, cast, noon, keeper):
        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            self.amend(keeper, department="C&C", role=Role.MANAGER, by=keeper, at=noon)
        with refused(AdministratorsOnly, "ADMINISTRATORS_ONLY"):
            self.amend(keeper, role=Role.ADMIN, by=keeper, at=noon)

    def test_brings_nobody_back_who_may_more(self, cast, noon, keeper):
        accounts.deactivate(user=cast.cc_head, by=keeper, at=noon)

        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            self.amend(cast.cc_head, is_active=True, by=keeper, at=noon)

    def test_moves_themselves_nowhere(self, noon, keeper):
        for change in ({"department": "C&C", "role": "ReadOnly"}, {"role": "Manager"}):
            with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
                self.amend(keeper, **change, by=keeper, at=noon)

    def test_signs_in_as_nobody_who_may_more(self, cast, noon, keeper):
        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            accounts.set_password(user=cast.cc_head, password="Tall-ship-sails-9", by=keeper, at=noon)
        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            accounts.reset_second_factor(user_id=cast.cc_head.pk, by=keeper, at=noon)

    @pytest.mark.parametrize("verb", ["amend", "deactivate", "password", "unlock", "factor", "override"])
    def test_leaves_administrators_alone(self, cast, noon, keeper, verb):
        admin = cast.administrator
        verbs = {
            "amend": lambda: self.amend(admin, full_name="Adil", by=keeper, at=noon),
            "deactivate": lambda: accounts.deactivate(user=admin, by=keeper, at=noon),
            "password": lambda: accounts.set_password(user=admin, password=None, by=keeper, at=noon),
            "unlock": lambda: accounts.unlock(user_id=admin.pk, by=keeper, at=noon),
            "factor": lambda: accounts.reset_second_factor(user_id=admin.pk, by=keeper, at=noon),
            "override": lambda: override(admin, is_granted=False, by=keeper, at=noon),
        }

        with refused(AdministratorsOnly, "ADMINISTRATORS_ONLY"):
            verbs[verb]()

    def test_says_nothing_about_the_second_factor_of_administrators(self, cast, keeper):
        accounts.require_second_factor(roles=[Role.ADMIN], by=cast.administrator)

        accounts.require_second_factor(roles=[Role.ADMIN, Role.PPR], by=keeper)
        with refused(AdministratorsOnly, "ADMINISTRATORS_ONLY"):
            accounts.require_second_factor(roles=[], by=keeper)

    def test_takes_on_nobody_with_more(self, cast, keeper):
        facts = {"email": "new@example.com", "full_name": "Nasra New", "by": keeper}
        registering = role("shipments.add_shipment")

        with refused(AdministratorsOnly, "ADMINISTRATORS_ONLY"):
            accounts.take_on(**facts, department="", role=Role.ADMIN)
        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            accounts.take_on(**facts, department="C&C", role=Role.PPR)
        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            accounts.take_on(**facts, department="IA", role=Role.READ_ONLY, further_roles=[registering])
        accounts.take_on(**facts, department="IA", role=Role.READ_ONLY)

    def test_who_sees_one_division_lets_nobody_see_another(self, cast, noon, keeper):
        keeper.divisions.set([cast.tyres])
        keeper = fresh(keeper)

        for divisions in ([], [cast.vehicles], [cast.tyres, cast.vehicles]):
            with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
                self.amend(cast.divisional_clerk, divisions=divisions, by=keeper, at=noon)

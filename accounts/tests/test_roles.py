from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from accounts import services as accounts
from accounts.choices import Role
from accounts.errors import BeyondYourRights, RoleIsHeld, RoleNameTaken, SystemRoleIsFixed, UnknownRight
from accounts.models import RoleGroup, User
from accounts.tests.people import caretaker, fresh, granted, holding, role
from clearance.errors import Forbidden, InvalidFields, NotFound
from clearance.tests import races
from clearance.tests.traces import refused

pytestmark = pytest.mark.django_db


def system_role(name: str = "C&C PPR") -> Group:
    return Group.objects.get(name=name)


class TestAddingARole:
    def test_makes_one_of_any_rights(self, cast):
        made = accounts.add_role(
            name=" Reporting ", permissions=["metrics.view_metric", "audit.view_seal"], by=cast.administrator
        )

        assert made.name == "Reporting"
        clerk = holding(cast.storekeeper, made)
        assert clerk.has_perm("audit.view_seal")

    @pytest.mark.parametrize("name", ["C&C PPR", "c&c ppr", "ADMINISTRATOR", "reporting"])
    def test_is_refused_with_a_name_that_is_taken_in_other_letters(self, cast, name):
        role(name="Reporting")

        with refused(RoleNameTaken, "ROLE_NAME_TAKEN"):
            accounts.add_role(name=name, permissions=[], by=cast.administrator)

    def test_is_refused_without_a_name_and_with_unknown_rights(self, cast):
        with refused(InvalidFields, "VALIDATION_ERROR"):
            accounts.add_role(name=" ", permissions=[], by=cast.administrator)
        with refused(UnknownRight, "UNKNOWN_RIGHT"):
            accounts.add_role(name="Reporting", permissions=["auth.add_group"], by=cast.administrator)

    @pytest.mark.parametrize("part", ["cc_head", "bu_clerk", "auditor", "manager"])
    def test_is_refused_to_others(self, cast, part):
        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.add_role(name="Reporting", permissions=[], by=getattr(cast, part))

    def test_is_refused_to_a_caretaker_with_rights_that_they_lack(self, cast):
        keeper = caretaker(cast)

        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            accounts.add_role(name="Cancelling", permissions=["shipments.cancel_shipment"], by=keeper)

    @pytest.mark.django_db(transaction=True)
    def test_twice_at_the_same_moment_adds_one(self, cast):
        results = races.free_for_all(
            *[lambda: accounts.add_role(name="Reporting", permissions=[], by=cast.administrator)] * 3
        )

        assert RoleGroup.objects.filter(name="Reporting").count() == 1
        assert sum(isinstance(one, RoleNameTaken) for one in results) == 2


class TestChangingARole:
    def test_counts_with_the_next_request_of_who_holds_it(self, cast):
        made = role("metrics.view_metric")
        holding(cast.storekeeper, made)

        accounts.amend_role(role_id=made.pk, name="Seals", permissions=["audit.view_seal"], by=cast.administrator)

        assert RoleGroup.objects.get(pk=made.pk).name == "Seals"
        assert fresh(cast.storekeeper).has_perm("audit.view_seal")

    def test_gives_and_takes_single_rights_and_may_be_repeated(self, cast):
        made = role("metrics.view_metric")
        facts = {"role_id": made.pk, "by": cast.administrator}

        for _ in range(2):
            accounts.give_to_role(**facts, permissions=["audit.view_seal"])
        for _ in range(2):
            accounts.take_from_role(**facts, permissions=["metrics.view_metric"])

        assert [one.codename for one in made.permissions.all()] == ["view_seal"]

    def test_of_the_system_is_refused(self, cast):
        facts = {"role_id": system_role().pk, "by": cast.administrator}

        with refused(SystemRoleIsFixed, "SYSTEM_ROLE_IS_FIXED"):
            accounts.amend_role(**facts, name="Mine", permissions=[])
        with refused(SystemRoleIsFixed, "SYSTEM_ROLE_IS_FIXED"):
            accounts.give_to_role(**facts, permissions=["audit.view_seal"])
        with refused(SystemRoleIsFixed, "SYSTEM_ROLE_IS_FIXED"):
            accounts.take_from_role(**facts, permissions=["shipments.view_shipment"])
        with refused(SystemRoleIsFixed, "SYSTEM_ROLE_IS_FIXED"):
            accounts.delete_role(**facts)

    def test_into_one_of_the_system_is_refused(self, cast):
        made = role()

        with refused(RoleNameTaken, "ROLE_NAME_TAKEN"):
            accounts.amend_role(role_id=made.pk, name="c&c ppr", permissions=[], by=cast.administrator)

    def test_adds_nothing_that_a_caretaker_lacks(self, cast):
        made = role("metrics.view_metric")
        facts = {"role_id": made.pk, "by": caretaker(cast)}

        accounts.give_to_role(**facts, permissions=["audit.view_seal"])
        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            accounts.give_to_role(**facts, permissions=["shipments.cancel_shipment"])

    def test_that_is_not_there_is_refused(self, cast):
        with refused(NotFound, "NOT_FOUND"):
            accounts.delete_role(role_id=0, by=cast.administrator)


class TestDeletingARole:
    def test_that_nobody_holds_removes_it(self, cast):
        made = role("metrics.view_metric")

        accounts.delete_role(role_id=made.pk, by=cast.administrator)

        assert not RoleGroup.objects.filter(pk=made.pk).exists()

    def test_that_people_hold_is_refused_and_says_how_many(self, cast):
        made = role()
        holding(cast.storekeeper, made)
        holding(cast.cc_clerk, made)

        with refused(RoleIsHeld, "ROLE_IS_HELD") as refusal:
            accounts.delete_role(role_id=made.pk, by=cast.administrator)

        assert "(2)" in str(refusal.value)

    @pytest.mark.django_db(transaction=True)
    def test_waits_for_whoever_gives_it_at_the_same_moment(self, cast, noon):
        made = role()

        result = races.blocked_by(
            lambda: accounts.amend_person(
                user_id=cast.cc_clerk.pk, changes={"further_roles": [made]}, by=cast.administrator, at=noon
            ),
            lambda: accounts.delete_role(role_id=made.pk, by=cast.administrator),
        )

        assert isinstance(result, RoleIsHeld)
        assert fresh(cast.cc_clerk).groups.filter(pk=made.pk).exists()


class TestHoldingFurtherRoles:
    def amend(self, user: User, *roles: Group, by: User, at):
        return accounts.amend_person(user_id=user.pk, changes={"further_roles": roles}, by=by, at=at)

    def test_is_exactly_what_is_given_beside_that_of_department_and_role(self, cast, noon):
        one, other = role(name="One"), role(name="Other")
        holding(cast.cc_clerk, one)

        self.amend(cast.cc_clerk, other, by=cast.administrator, at=noon)

        assert {group.name for group in fresh(cast.cc_clerk).groups.all()} == {"C&C PPR", "Other"}

    def test_outlasts_another_department(self, cast, noon):
        holding(cast.cc_clerk, role())

        accounts.amend_person(
            user_id=cast.cc_clerk.pk,
            changes={"department": "Finance", "role": Role.APR},
            by=cast.administrator,
            at=noon,
        )

        assert {group.name for group in fresh(cast.cc_clerk).groups.all()} == {"Finance APR", "Reporting"}

    def test_is_never_holding_another_system_role(self, cast, noon):
        with refused(SystemRoleIsFixed, "SYSTEM_ROLE_IS_FIXED"):
            self.amend(cast.cc_clerk, system_role("Administrator"), by=cast.administrator, at=noon)

    def test_gives_nothing_that_a_caretaker_lacks(self, cast, noon):
        keeper = caretaker(cast)
        reports, cancelling = role("metrics.view_metric"), role("shipments.cancel_shipment", name="Cancelling")

        self.amend(cast.cc_clerk, reports, by=keeper, at=noon)
        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            self.amend(cast.cc_clerk, reports, cancelling, by=keeper, at=noon)

    def test_that_they_hold_already_may_stay_whoever_changes_them(self, cast, noon):
        cancelling = role("shipments.cancel_shipment", name="Cancelling")
        holding(cast.cc_clerk, cancelling)

        self.amend(cast.cc_clerk, cancelling, by=caretaker(cast), at=noon)

        assert fresh(cast.cc_clerk).has_perm("shipments.cancel_shipment")


class TestLookingAfterPeople:
    def test_can_be_granted_by_name(self, cast, noon):
        head = granted(cast.cc_head, "accounts.change_user")

        accounts.amend_person(user_id=cast.cc_clerk.pk, changes={"phone": "+96891234567"}, by=head, at=noon)

        assert fresh(cast.cc_clerk).phone == "+96891234567"

    def test_ends_with_the_one_who_is_deactivated(self, cast, noon):
        User.objects.filter(pk=cast.administrator.pk).update(is_active=False)

        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.add_role(name="Reporting", permissions=[], by=fresh(cast.administrator))

    def test_of_the_last_two_administrators_by_each_other_leaves_one(self, cast, noon):
        User.objects.filter(pk=cast.manager.pk).update(role=Role.ADMIN)
        accounts.settle_role(user=fresh(cast.manager))

        accounts.deactivate(user=cast.administrator, by=fresh(cast.manager), at=noon)

        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.deactivate(user=cast.manager, by=fresh(cast.administrator), at=noon)

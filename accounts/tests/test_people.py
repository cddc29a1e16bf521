from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from accounts import rules
from accounts import services as accounts
from accounts.choices import OVERSIGHT, Department, Role
from accounts.errors import LastAdministrator, UserExists, WeakPassword
from accounts.models import Division, SignIn, User
from clearance.constraints import ConstraintViolated
from clearance.errors import InvalidFields
from clearance.tests import races
from clearance.tests.cast import PASSWORD
from clearance.tests.traces import refused

pytestmark = pytest.mark.django_db


def take_on(email: str = "new@example.com", **changed: object) -> User:
    facts = {
        "full_name": "Nasra New",
        "department": Department.CUSTOMS,
        "role": Role.PPR,
        "password": PASSWORD,
        "by": None,
    }
    return accounts.take_on(email=email, **{**facts, **changed})


def fresh(user: User) -> User:
    """As the next request sees them: without cached permissions."""
    return User.objects.get(pk=user.pk)


class TestTakingSomebodyOn:
    def test_gives_them_their_divisions_role_and_password(self, cast):
        user = fresh(take_on(divisions=[cast.tyres]))

        assert list(user.divisions.all()) == [cast.tyres]
        assert [group.name for group in user.groups.all()] == ["C&C PPR"]
        assert user.check_password(PASSWORD)
        assert user.is_active
        assert user.is_staff
        assert not user.is_superuser

    def test_keeps_the_address_in_lower_case_without_stray_blanks(self):
        user = take_on(" Nasra.New@Example.COM ")

        assert fresh(user).email == "nasra.new@example.com"
        assert User.objects.get_by_natural_key("NASRA.new@example.com") == user

    def test_without_a_password_leaves_them_unable_to_sign_in(self):
        user = take_on(password=None)

        assert not fresh(user).has_usable_password()

    def test_is_refused_for_an_address_that_is_taken_in_other_letters(self, cast):
        with refused(UserExists, "USER_EXISTS"):
            take_on("BU_CLERK@example.com")

    @pytest.mark.parametrize(
        ("password", "complaint"),
        [
            ("Sh0rt-1", "too short"),
            ("password123", "too common"),
            ("Nasra.New@1", "similar"),
            ("tall-ship-sails-9", "capital letter"),
            ("TALL-SHIP-SAILS-9", "small letter"),
            ("Tall-ship-sails", "digit"),
            ("Tallshipsails9", "special character"),
        ],
    )
    def test_is_refused_with_a_weak_password_that_says_why(self, password, complaint):
        with refused(WeakPassword, "WEAK_PASSWORD") as refusal:
            take_on("nasra.new@example.com", password=password)

        assert complaint in str(refusal.value)

    @pytest.mark.django_db(transaction=True)
    def test_twice_at_the_same_moment_adds_one_person(self):
        results = races.free_for_all(*[lambda: take_on(password=None)] * 4)

        assert User.objects.filter(email="new@example.com").count() == 1
        assert sum(isinstance(result, User) for result in results) == 1
        assert sum(isinstance(result, UserExists) for result in results) == 3


class TestTheDatabaseItself:
    @pytest.mark.parametrize(
        ("values", "constraint"),
        [
            ({"is_superuser": True}, "user_is_never_a_superuser"),
            ({"email": "Loud@example.com"}, "user_email_is_lower_case"),
            ({"phone": "91234567"}, "user_phone_is_e164"),
            ({"department": ""}, "user_works_in_a_department"),
        ],
    )
    def test_refuses_impossible_people(self, cast, values, constraint):
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            User.objects.filter(pk=cast.cc_clerk.pk).update(**values)

    def test_lets_only_one_person_sign_in_with_an_identity(self, cast):
        identity = {"identity_issuer": "https://id.example.com/", "identity_subject": "sub-1"}
        User.objects.filter(pk=cast.cc_clerk.pk).update(**identity)

        with pytest.raises(IntegrityError, match="user_identity_is_unique"), transaction.atomic():
            User.objects.filter(pk=cast.cc_head.pk).update(**identity)

    def test_accepts_numbers_with_a_country_code(self, cast):
        User.objects.filter(pk=cast.cc_clerk.pk).update(phone="+96891234567")

        fresh(cast.cc_clerk).full_clean()


class TestSettlingARole:
    @pytest.mark.parametrize("department", Department.values)
    @pytest.mark.parametrize("role", [role for role in Role.values if role != Role.ADMIN])
    def test_brings_exactly_the_permissions_of_the_rules(self, department, role):
        user = take_on(department=department, role=role, password=None)

        assert fresh(user).get_all_permissions() == rules.permissions_of(department, role)

    @pytest.mark.parametrize("department", ["", Department.FINANCE])
    def test_makes_an_administrator_whatever_the_department(self, department):
        user = take_on(department=department, role=Role.ADMIN, password=None)

        assert fresh(user).get_all_permissions() == rules.permissions_of("", Role.ADMIN)

    def test_swaps_the_old_role_for_the_new_one_and_keeps_others(self, cast):
        extra = Group.objects.create(name="Fire wardens")
        user = cast.cc_clerk
        user.groups.add(extra)
        user.department, user.role = Department.BUSINESS_UNIT, Role.MANAGER
        user.save()

        accounts.settle_role(user=user)

        assert {group.name for group in user.groups.all()} == {"BusinessUnit Manager", "Fire wardens"}
        assert fresh(user).has_perm("shipments.cancel_shipment")

    def test_leaves_somebody_without_department_with_nothing(self):
        user = take_on(department="", role=Role.READ_ONLY, password=None)

        assert fresh(user).get_all_permissions() == set()


class TestTheRolesOfTheRules:
    @pytest.mark.parametrize("department", OVERSIGHT)
    @pytest.mark.parametrize("role", [role for role in Role.values if role != Role.ADMIN])
    def test_let_internal_audit_and_management_only_read_and_acknowledge_their_alerts(self, department, role):
        granted = rules.permissions_of(department, role)

        assert {name for name in granted if ".view_" not in name} == {"alerts.acknowledge_alert"}

    def test_let_nobody_but_the_business_unit_move_an_eta(self):
        may = {
            (department, role)
            for department in Department.values
            for role in Role.values
            if "shipments.change_eta" in rules.permissions_of(department, role)
        }

        assert may == {(Department.BUSINESS_UNIT, role) for role in (Role.PPR, Role.APR, Role.MANAGER)}

    def test_let_the_head_of_the_business_unit_and_administrators_cancel_and_restore(self):
        may = {
            name
            for name, permissions in rules.system_roles()
            if {"shipments.cancel_shipment", "shipments.restore_shipment"} & permissions
        }

        assert may == {"BusinessUnit Manager", "Administrator"}

    def test_let_no_administrator_complete_a_step_or_import(self):
        granted = rules.permissions_of("", Role.ADMIN)

        assert not granted & {
            "workflow.complete_workflowstep",
            "shipments.import_shipment",
            "shipments.add_shipment",
            "shipments.change_shipment",
            "shipments.delete_shipment",
        }


class TestLoadingTheSystemRoles:
    def held(self) -> dict[str, set[str]]:
        wanted = dict(rules.system_roles())
        return {
            group.name: {f"{one.content_type.app_label}.{one.codename}" for one in group.permissions.all()}
            for group in Group.objects.filter(name__in=wanted).prefetch_related("permissions__content_type")
        }

    def test_makes_them_what_the_rules_say(self):
        assert self.held() == dict(rules.system_roles())

    def test_twice_changes_nothing(self):
        before = list(Group.permissions.through.objects.order_by("pk").values())

        accounts.load_system_roles()

        assert list(Group.permissions.through.objects.order_by("pk").values()) == before

    def test_repairs_what_drifted_and_leaves_other_groups_alone(self):
        clerk, head = Group.objects.get(name="C&C PPR"), Group.objects.get(name="C&C Manager")
        extra = Group.objects.create(name="Fire wardens")
        gone = head.permissions.first()
        head.permissions.remove(gone)
        clerk.permissions.add(gone)
        extra.permissions.add(gone)
        Group.objects.get(name="Stores APR").delete()

        accounts.load_system_roles()

        assert self.held() == dict(rules.system_roles())
        assert list(extra.permissions.all()) == [gone]


class TestAmendingAPerson:
    def amend(self, user, *, at, **changes):
        return accounts.amend_person(user_id=user.pk, changes=changes, by=None, at=at)

    def test_brings_the_permissions_of_the_new_role(self, cast, noon):
        self.amend(cast.cc_clerk, at=noon, role=Role.MANAGER, divisions=[cast.tyres])

        user = fresh(cast.cc_clerk)
        assert user.get_all_permissions() == rules.permissions_of(Department.CUSTOMS, Role.MANAGER)
        assert list(user.divisions.all()) == [cast.tyres]

    def test_to_inactive_ends_their_sign_ins(self, cast, noon):
        accounts.sign_in(email=cast.cc_clerk.email, password=PASSWORD, at=noon, ip_address=None)

        self.amend(cast.cc_clerk, at=noon, is_active=False)

        assert SignIn.objects.get().revoked_at == noon

    def test_is_refused_for_an_address_that_is_taken(self, cast, noon):
        with refused(UserExists, "USER_EXISTS"):
            self.amend(cast.cc_clerk, at=noon, email="BU_clerk@example.com")

    @pytest.mark.parametrize("changes", [{"role": Role.READ_ONLY}, {"is_active": False}])
    def test_is_refused_when_nobody_would_be_left_to_administer(self, cast, noon, changes):
        with refused(LastAdministrator, "LAST_ADMINISTRATOR"):
            self.amend(cast.administrator, at=noon, **changes)

    def test_lets_one_of_two_administrators_go(self, cast, noon):
        self.amend(cast.manager, at=noon, role=Role.ADMIN)

        self.amend(cast.administrator, at=noon, is_active=False)

        assert not fresh(cast.administrator).is_active

    def test_is_refused_with_values_that_cannot_be_right(self, cast, noon):
        with refused(InvalidFields, "VALIDATION_ERROR") as refusal:
            self.amend(cast.cc_clerk, at=noon, phone="12", full_name="")

        assert {detail["field"] for detail in refusal.value.details()} == {"phone", "full_name"}

    def test_is_refused_for_somebody_working_without_a_department(self, cast, noon):
        with refused(ConstraintViolated, "VALIDATION_ERROR") as refusal:
            self.amend(cast.cc_clerk, at=noon, department="")

        assert str(refusal.value) == "PPR, APR and heads belong to a department."

    @pytest.mark.django_db(transaction=True)
    def test_of_the_last_two_administrators_at_the_same_moment_leaves_one(self, cast, noon):
        self.amend(cast.manager, at=noon, role=Role.ADMIN)

        results = races.at_once(
            lambda: self.amend(cast.manager, at=noon, is_active=False),
            lambda: self.amend(cast.administrator, at=noon, is_active=False),
            held=User.objects.filter(role=Role.ADMIN),
        )

        assert sum(isinstance(result, LastAdministrator) for result in results) == 1
        assert User.objects.active().filter(role=Role.ADMIN).count() == 1


class TestChoosingALanguage:
    def test_changes_nothing_else(self, cast, noon):
        accounts.choose_language(user=cast.cc_clerk, language="ar", at=noon)

        user = fresh(cast.cc_clerk)
        assert (user.language, user.updated_at, user.role) == ("ar", noon, Role.PPR)


class TestSavingADivision:
    def test_adds_and_renames_it(self, cast):
        accounts.save_division(division=Division(code="PTS", name="Parts"), by=None)
        cast.tyres.name = "Tyres"
        accounts.save_division(division=cast.tyres, by=None)

        assert set(Division.objects.values_list("name", flat=True)) == {"Tyres", "Light vehicles", "Parts"}

    def test_is_refused_without_a_name(self, cast):
        with refused(InvalidFields, "VALIDATION_ERROR"):
            accounts.save_division(division=Division(code="PTS", name=""), by=None)

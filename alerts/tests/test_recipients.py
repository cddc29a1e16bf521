"""Whom a rung reaches: the rule's own people, their substitutes, and who stands in where there is nobody."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from accounts import services as accounts
from accounts.models import Absence, User
from alerts import services as alerts
from alerts.models import Alert, EscalationRule
from alerts.tests.test_ladder import DELIVERY_ORDER_PAID, raised, sweep_day
from clearance.tests import recipes
from clearance.tests.recipes import BAYAN_SUBMITTED, ETA
from workflow.models import WorkflowStep

pytestmark = pytest.mark.django_db


def told(day: int, step: str = BAYAN_SUBMITTED) -> list[str]:
    return [name for _, _, name in raised(step, days_post_eta=day)]


def away(user: User, substitute: User, *, first: int, last: int | None = None) -> Absence:
    """Have somebody be away on days after the ETA."""
    starts_on, ends_on = (ETA + timedelta(days=day) for day in (first, first if last is None else last))
    by = User.objects.get(email="administrator@example.com")
    return accounts.record_absence(user=user, starts_on=starts_on, ends_on=ends_on, substitute=substitute, by=by)


def new_person(name: str, department: str, role: str, *divisions) -> User:
    email = f"{name.lower().replace(' ', '.')}@example.com"
    return accounts.take_on(by=None, email=email, full_name=name, department=department, role=role, divisions=divisions)


def deactivate(user: User, at) -> None:
    accounts.deactivate(user=user, by=None, at=at)


class TestSomebodyAway:
    @pytest.mark.parametrize(
        ("first", "last", "names"),
        [
            (3, 3, ["Khalid Clerk"]),  # back since yesterday
            (4, 4, ["Kawthar Alternate", "Khalid Clerk"]),
            (2, 9, ["Kawthar Alternate", "Khalid Clerk"]),
            (5, 5, ["Khalid Clerk"]),  # leaves tomorrow
        ],
    )
    def test_is_told_together_with_the_substitute(self, cast, shipment, first, last, names):
        away(cast.cc_clerk, cast.cc_alternate, first=first, last=last)

        sweep_day(4)

        assert told(4) == names

    def test_with_an_absent_substitute_is_stood_in_for_by_the_head(self, cast, shipment):
        away(cast.cc_clerk, cast.cc_alternate, first=4)
        away(cast.cc_alternate, cast.cc_clerk, first=4)

        sweep_day(4)

        assert told(4) == ["Kamila Head", "Khalid Clerk"]

    def test_with_a_deactivated_substitute_is_stood_in_for_by_the_head(self, cast, shipment, noon):
        away(cast.cc_clerk, cast.cc_alternate, first=4)
        deactivate(cast.cc_alternate, noon)

        sweep_day(4)

        assert told(4) == ["Kamila Head", "Khalid Clerk"]

    def test_with_a_substitute_of_another_division_is_stood_in_for_by_the_head(self, cast):
        recipes.registered(by=cast.bu_clerk, division=cast.tyres)
        away(cast.cc_clerk, new_person("Zaid Other", "C&C", "APR", cast.vehicles), first=4)

        sweep_day(4)

        assert told(4) == ["Kamila Head", "Khalid Clerk"]

    def test_and_their_head_with_them_is_stood_in_for_by_the_heads_substitute(self, cast, shipment):
        cover = new_person("Kareem Cover", "C&C", "APR")
        away(cast.cc_clerk, cast.cc_alternate, first=4)
        away(cast.cc_alternate, cast.cc_clerk, first=4)
        away(cast.cc_head, cover, first=4)

        sweep_day(4)

        assert told(4) == ["Kamila Head", "Kareem Cover", "Khalid Clerk"]

    def test_and_all_the_office_with_them_is_stood_in_for_by_the_administrators(self, cast, shipment):
        away(cast.cc_clerk, cast.cc_alternate, first=4)
        away(cast.cc_alternate, cast.cc_clerk, first=4)
        away(cast.cc_head, cast.cc_clerk, first=4)

        sweep_day(4)

        assert told(4) == ["Adil Administrator", "Kamila Head", "Khalid Clerk"]

    def test_of_several_who_hold_an_office_needs_nobody_else(self, cast, shipment):
        second = new_person("Ibtisam Auditor", "IA", "ReadOnly")
        away(cast.auditor, second, first=7)
        away(second, cast.auditor, first=6)

        sweep_day(7)

        assert told(7) == ["Ibtisam Auditor", "Idris Auditor", "Maryam Manager"]


class TestNobodyNamed:
    def test_or_nobody_active_falls_to_the_head(self, cast, shipment, noon):
        deactivate(cast.cc_clerk, noon)
        WorkflowStep.objects.filter(shipment=shipment, step_number=DELIVERY_ORDER_PAID).update(ppr_user=None)

        sweep_day(4)

        assert told(4) == ["Kamila Head"]
        assert told(4, DELIVERY_ORDER_PAID) == ["Fatma Head"]

    def test_who_sees_the_division_falls_to_the_head_too(self, cast):
        shipment = recipes.registered(by=cast.bu_clerk, division=cast.tyres)
        blind = new_person("Zaid Other", "C&C", "PPR", cast.vehicles)
        WorkflowStep.objects.filter(shipment=shipment).update(ppr_user=blind)

        sweep_day(4)

        assert told(4) == ["Kamila Head"]

    def test_and_no_head_falls_to_the_administrators(self, cast, shipment, noon):
        deactivate(cast.cc_clerk, noon)
        deactivate(cast.cc_head, noon)
        second = new_person("Amal Administrator", "", "Admin")
        deactivate(new_person("Amin Former", "", "Admin"), noon)

        sweep_day(4)

        assert told(4) == ["Adil Administrator", second.full_name]

    @pytest.mark.parametrize(("who", "other"), [("auditor", "Maryam Manager"), ("manager", "Idris Auditor")])
    def test_in_internal_audit_or_management_falls_to_the_administrators(self, cast, shipment, noon, who, other):
        deactivate(getattr(cast, who), noon)

        sweep_day(7)

        assert told(7) == ["Adil Administrator", other]


class TestAnOffice:
    def test_is_everybody_who_holds_it(self, cast, shipment):
        new_person("Kulthum Head", "C&C", "Manager")
        new_person("Ibtisam Auditor", "IA", "ReadOnly")

        sweep_day(7)

        assert told(6) == ["Kamila Head", "Kawthar Alternate", "Kulthum Head"]
        assert told(7) == ["Ibtisam Auditor", "Idris Auditor", "Maryam Manager"]

    def test_is_limited_to_those_who_see_the_division(self, cast):
        recipes.registered(by=cast.bu_clerk, division=cast.tyres)
        new_person("Tariq Head", "C&C", "Manager", cast.tyres)
        new_person("Walid Head", "C&C", "Manager", cast.vehicles)

        sweep_day(8)

        assert told(8) == ["Kamila Head", "Tariq Head"]

    def test_has_every_division_for_a_shipment_without_one(self, cast, shipment):
        new_person("Tariq Head", "C&C", "Manager", cast.tyres)
        new_person("Walid Head", "C&C", "Manager", cast.vehicles)

        sweep_day(8)

        assert told(8) == ["Kamila Head", "Tariq Head", "Walid Head"]


class TestSomebodyMeantTwice:
    def test_by_two_audiences_of_a_rule_is_told_once(self, cast, shipment):
        WorkflowStep.objects.filter(shipment=shipment).update(apr_user=cast.cc_head)

        sweep_day(6)

        assert told(6) == ["Kamila Head"]

    def test_by_two_rules_of_one_day_has_an_alert_of_each_and_the_graver_one_mailed(self, cast, shipment):
        alerts.add_rule(
            name="Day 4 too", from_day=4, until_day=4, severity="urgent", audiences=["ppr"], starts_on=date(2026, 1, 1),
            by=cast.administrator,
        )  # fmt: skip

        sweep_day(4)

        found = Alert.objects.filter(workflow_step__step_number=BAYAN_SUBMITTED)
        assert sorted((one.severity, one.mail) for one in found) == [("urgent", "digest"), ("warning", "none")]

    def test_as_the_substitute_and_in_their_own_right_is_told_once(self, cast, shipment):
        away(cast.cc_alternate, cast.cc_head, first=6)

        sweep_day(6)

        assert told(6) == ["Kamila Head", "Kawthar Alternate"]


class TestRecipients:
    def test_are_fixed_when_a_rung_is_first_raised(self, cast, shipment, noon):
        sweep_day(4)
        away(cast.cc_clerk, cast.cc_alternate, first=4, last=5)
        WorkflowStep.objects.filter(shipment=shipment).update(ppr_user=cast.cc_head)

        sweep_day(4)
        sweep_day(5)

        assert told(4) == ["Khalid Clerk"]
        assert told(5) == ["Kamila Head"]

    def test_are_those_of_the_rungs_date_when_it_is_caught_up(self, cast, shipment):
        away(cast.cc_clerk, cast.cc_alternate, first=4)

        sweep_day(6)

        assert told(4) == ["Kawthar Alternate", "Khalid Clerk"]
        assert told(5) == ["Khalid Clerk"]

    def test_are_of_every_kind_that_a_rule_may_have(self, cast, shipment):
        EscalationRule.objects.all().delete()
        alerts.add_rule(
            name="Everybody", from_day=0, until_day=0, severity="warning", starts_on=date(2026, 1, 1),
            audiences=["ppr", "apr", "head", "internal_audit", "management"], by=cast.administrator,
        )  # fmt: skip

        sweep_day(0)

        assert told(0) == ["Idris Auditor", "Kamila Head", "Kawthar Alternate", "Khalid Clerk", "Maryam Manager"]

from __future__ import annotations

from datetime import date

import pytest

from alerts import imports
from alerts import services as alerts
from alerts.errors import RuleHasEnded
from alerts.models import EscalationRule, Holiday
from alerts.rules import LADDER
from alerts.tests.test_ladder import sweep_day
from clearance.constraints import ConstraintViolated
from clearance.errors import Forbidden, InvalidFields
from clearance.tests.traces import everything, refused

pytestmark = pytest.mark.django_db

SPRING = date(2026, 3, 1)
DEFAULTS = [
    (4, 4, "warning", ["ppr"]),
    (5, 5, "critical", ["ppr"]),
    (6, 6, "critical", ["apr", "head"]),
    (7, 7, "urgent", ["internal_audit", "management"]),
    (8, 30, "urgent", ["head"]),
]


def ladder() -> list[tuple]:
    return list(EscalationRule.objects.values_list("from_day", "until_day", "severity", "audiences"))


def add(by, **changed):
    given = {"name": "Early", "from_day": 2, "until_day": 3, "severity": "warning", "audiences": ["ppr"]}
    return alerts.add_rule(**{**given, "starts_on": SPRING, **changed}, by=by)


class TestLoadingTheLadder:
    def test_leaves_the_default_ladder(self, db):
        assert ladder() == DEFAULTS

    def test_again_changes_nothing(self, db):
        before = everything()

        alerts.load_ladder(starts_on=date(2026, 5, 1))

        assert everything() == before

    def test_never_brings_back_a_rule_that_ended(self, cast):
        alerts.end_rule(rule_id=EscalationRule.objects.first().pk, on=SPRING, by=cast.administrator)

        alerts.load_ladder(starts_on=date(2026, 5, 1))

        assert EscalationRule.objects.count() == len(LADDER)


class TestLoadingHolidays:
    def test_again_changes_nothing_and_keeps_what_was_edited(self, db):
        Holiday.objects.filter(on=date(2026, 3, 20)).update(name="Announced", is_confirmed=True)
        before = everything()

        alerts.load_holidays(holidays=imports.holidays(imports.HOLIDAYS))

        assert everything() == before
        assert Holiday.objects.get(on=date(2026, 3, 20)).name == "Announced"

    def test_brings_estimated_and_confirmed_ones(self, db):
        assert Holiday.objects.get(on=date(2026, 1, 11)).is_confirmed
        assert not Holiday.objects.get(on=date(2026, 3, 20)).is_confirmed


class TestAddingARule:
    def test_puts_a_rung_on_the_ladder(self, cast, shipment):
        rule = add(cast.administrator, audiences=["head", "management"])

        sweep_day(2)

        assert set(rule.__class__.objects.get(pk=rule.pk).audiences) == {"head", "management"}
        assert sweep_day(2).raised == 0
        assert sweep_day(3).raised == 10

    @pytest.mark.parametrize("who", ["cc_head", "bu_head", "auditor", "manager", "cc_clerk"])
    def test_is_refused_to_everybody_but_administrators(self, cast, who):
        with refused(Forbidden, "PERMISSION_DENIED"):
            add(getattr(cast, who))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"severity": "mild"},
            {"audiences": ["everybody"]},
            {"audiences": []},
            {"name": ""},
            {"from_day": -1},
        ],
    )
    def test_is_refused_for_values_that_can_not_be_right(self, cast, wrong):
        with refused(InvalidFields, "VALIDATION_ERROR"):
            add(cast.administrator, **wrong)

    @pytest.mark.parametrize("wrong", [{"from_day": 5, "until_day": 4}, {"until_day": 366}])
    def test_is_refused_for_days_that_make_no_ladder(self, cast, wrong):
        with refused(ConstraintViolated, "VALIDATION_ERROR"):
            add(cast.administrator, **wrong)


class TestEndingARule:
    def test_keeps_what_it_raised_and_its_own_row(self, cast, shipment):
        sweep_day(4)
        rule = EscalationRule.objects.get(from_day=4)

        ended = alerts.end_rule(rule_id=rule.pk, on=date(2026, 4, 6), by=cast.administrator)

        assert ended.ended_on == date(2026, 4, 6)
        assert (rule.from_day, rule.severity) == (ended.from_day, ended.severity)
        assert sweep_day(4).raised == 0

    def test_is_refused_a_second_time(self, cast):
        rule = add(cast.administrator)
        alerts.end_rule(rule_id=rule.pk, on=date(2026, 4, 6), by=cast.administrator)

        with refused(RuleHasEnded, "RULE_HAS_ENDED"):
            alerts.end_rule(rule_id=rule.pk, on=date(2026, 4, 9), by=cast.administrator)

    def test_is_refused_before_it_started(self, cast):
        rule = add(cast.administrator)

        with refused(ConstraintViolated, "VALIDATION_ERROR"):
            alerts.end_rule(rule_id=rule.pk, on=date(2026, 2, 28), by=cast.administrator)

    @pytest.mark.parametrize("who", ["cc_head", "auditor", "manager"])
    def test_is_refused_to_everybody_but_administrators(self, cast, who):
        rule = EscalationRule.objects.first()

        with refused(Forbidden, "PERMISSION_DENIED"):
            alerts.end_rule(rule_id=rule.pk, on=SPRING, by=getattr(cast, who))

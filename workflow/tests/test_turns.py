from __future__ import annotations

from datetime import timedelta

import pytest

from clearance.tests import recipes
from clearance.tests.recipes import BAYAN_SUBMITTED, COLLECTED, ETA, TODAY
from shipments.models import Shipment
from workflow import rules, selectors
from workflow.choices import Due
from workflow.models import WorkflowStep
from workflow.selectors import Turn

pytestmark = pytest.mark.django_db

UP_TO_DUTY = ("10.0", "11.0", "12.0", "13.0", "14.0", "16.0", "17.0", "18.0")


def turn_of(shipment: Shipment, number: str, user) -> Turn:
    step = recipes.step(shipment, number)
    return selectors.turns([step], user=user, on=TODAY)[0]


def numbers(rows) -> list[str]:
    return [str(row.step_number) for row in rows]


class TestAStep:
    def test_is_to_be_done_now_once_what_comes_before_it_is_closed(self, shipment, cc_clerk):
        recipes.record_all_but(shipment, *UP_TO_DUTY)

        assert turn_of(shipment, "10.0", cc_clerk).is_now

    def test_brings_along_its_persons_next_ones_and_those_who_wait_for_them(self, shipment, cc_clerk):
        recipes.record_all_but(shipment, *UP_TO_DUTY)

        turn = turn_of(shipment, "10.0", cc_clerk)

        assert numbers(turn.then) == ["11.0", "12.0"]
        assert numbers(turn.awaited_by) == ["13.0"]

    def test_waits_for_others_and_says_for_whom(self, shipment, cc_clerk):
        recipes.record_all_but(shipment, "13.0", "14.0", "16.0", "17.0", "18.0")

        turn = turn_of(shipment, COLLECTED, cc_clerk)

        assert not turn.is_now
        assert [(str(row.step_number), row.department, row.ppr_name) for row in turn.waits_for] == [
            ("13.0", "Finance", "Faisal Clerk")
        ]

    def test_that_follows_ones_own_waits_for_nobody_else(self, shipment, cc_clerk):
        recipes.record_all_but(shipment, *UP_TO_DUTY)

        turn = turn_of(shipment, "11.0", cc_clerk)

        assert turn.follows_own
        assert not turn.waits_for
        assert not turn.is_now

    def test_waits_for_all_that_comes_before_it(self, shipment, cc_clerk):
        turn = turn_of(shipment, BAYAN_SUBMITTED, cc_clerk)

        assert numbers(turn.waits_for) == ["2.5"]  # 6.2 is the clerk's own
        assert turn.follows_own

    def test_is_ones_own_as_a_substitute_too(self, shipment, cast, cc_clerk):
        recipes.record_all_but(shipment, *UP_TO_DUTY)
        away = {"starts_on": TODAY, "ends_on": TODAY, "user": cc_clerk, "substitute": cast.storekeeper}
        cc_clerk.absences.create(**away)

        turn = turn_of(shipment, "10.0", cast.storekeeper)

        assert numbers(turn.then) == ["11.0", "12.0"]

    def test_is_told_together_with_all_others_in_one_statement(self, cast, django_assert_num_queries):
        for _ in range(3):
            recipes.registered(by=cast.bu_clerk)
        steps = list(WorkflowStep.objects.filter(department="C&C").select_related("template_step"))

        with django_assert_num_queries(1):
            turns = selectors.turns(steps, user=cast.cc_clerk, on=TODAY)

        assert [turn.step for turn in turns] == steps


class TestWhenAStepIsDue:
    @pytest.mark.parametrize(
        ("days", "due"),
        [(-1, Due.PAST), (0, Due.TODAY), (1, Due.WEEK), (7, Due.WEEK), (8, Due.LATER)],
    )
    def test_is_told_the_same_by_the_rule_and_by_the_list(self, shipment, days, due):
        on = ETA - timedelta(days=days)  # step 9.0 is due on the ETA
        step = recipes.step(shipment, BAYAN_SUBMITTED)

        assert rules.due(step.target_date, on=on) == due
        assert [one for one in Due if WorkflowStep.objects.filter(pk=step.pk).due(one, on=on).exists()] == [due]

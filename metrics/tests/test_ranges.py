from __future__ import annotations

from datetime import date, timedelta

import pytest

from clearance.tests.recipes import TODAY
from metrics import selectors as metrics
from metrics.errors import FiguresOfAnotherDepartment, RangeReversed, RangeTooLong
from metrics.tests import histories
from metrics.tests.histories import Past, done_by

pytestmark = pytest.mark.django_db

FIRST, LAST = date(2026, 1, 10), date(2026, 1, 20)
ONE_DAY = timedelta(days=1)
WEEK = timedelta(days=7)


@pytest.fixture
def facts():
    return histories.procedure()


def asked(user, **changed):
    return metrics.ask(user=user, **{"on": TODAY, "from_": FIRST, "until": LAST} | changed)


class TestARange:
    @pytest.mark.parametrize(
        ("last_free_on", "judged"),
        [(FIRST - ONE_DAY, 0), (FIRST, 1), (LAST, 1), (LAST + ONE_DAY, 0)],
        ids=["the day before", "its first day", "its last day", "the day after"],
    )
    def test_judges_shipments_by_their_last_free_day(self, manager, facts, last_free_on, judged):
        histories.write([Past(eta=last_free_on - WEEK, done={})], facts=facts, on=TODAY)

        question = asked(manager)

        assert metrics.on_time_rate(question)["judged"] == judged
        assert metrics.demurrage_savings(question)["late"]["shipments"] == judged
        assert sum(one["delayed"] for one in metrics.delayed_steps(question)["departments"]) == 6 * judged

    @pytest.mark.parametrize(
        ("cleared_on", "shipments"),
        [(FIRST - ONE_DAY, 0), (FIRST, 1), (LAST, 1), (LAST + ONE_DAY, 0)],
        ids=["the day before", "its first day", "its last day", "the day after"],
    )
    def test_times_shipments_by_the_day_on_which_they_were_cleared(self, manager, facts, cleared_on, shipments):
        histories.write([Past(eta=cleared_on - 5 * ONE_DAY, done=done_by(5))], facts=facts, on=TODAY)

        assert metrics.clearance_time(asked(manager))["end_to_end"]["shipments"] == shipments

    @pytest.mark.parametrize(("days_ago", "judged"), [(6, 0), (7, 0), (8, 1)])
    def test_judges_nobody_before_the_last_free_day_is_over(self, manager, facts, days_ago, judged):
        histories.write([Past(eta=TODAY - days_ago * ONE_DAY)], facts=facts, on=TODAY)

        assert metrics.on_time_rate(asked(manager, until=TODAY))["judged"] == judged

    @pytest.mark.parametrize(("days", "on_time"), [(6, 1), (7, 1), (8, 0)])
    def test_counts_the_last_free_day_as_on_time(self, manager, facts, days, on_time):
        histories.write([Past(eta=FIRST - WEEK, done=done_by(days))], facts=facts, on=TODAY)

        assert metrics.on_time_rate(asked(manager))["on_time"] == on_time

    def test_may_end_on_a_leap_day(self, manager, facts):
        leap_day = date(2028, 2, 29)
        histories.write([Past(eta=leap_day - WEEK)], facts=facts, on=leap_day + ONE_DAY)

        question = asked(manager, from_=leap_day, until=leap_day, on=leap_day + ONE_DAY)

        assert metrics.on_time_rate(question)["late"] == 1
        assert [row["month"] for row in metrics.by_month(question)] == [date(2028, 2, 1)]

    def test_is_the_last_90_days_unless_somebody_names_another(self, manager):
        question = metrics.ask(user=manager, on=TODAY)

        assert (question.from_, question.until) == (TODAY - 89 * ONE_DAY, TODAY)

    def test_has_366_days_at_most(self, manager):
        assert asked(manager, from_=date(2028, 1, 1), until=date(2028, 12, 31)).until == date(2028, 12, 31)
        with pytest.raises(RangeTooLong) as refusal:
            asked(manager, from_=date(2028, 1, 1), until=date(2029, 1, 1))

        assert "367 days" in str(refusal.value)
        assert refusal.value.details()[0]["field"] == "to"

    def test_ends_when_it_begins_or_later(self, manager):
        assert asked(manager, from_=LAST).from_ == LAST
        with pytest.raises(RangeReversed):
            asked(manager, from_=LAST + ONE_DAY)

    def test_without_a_shipment_has_no_shares_and_no_means(self, manager):
        question = asked(manager)

        assert metrics.on_time_rate(question)["on_time_percent"] is None
        assert metrics.clearance_time(question)["end_to_end"]["median_days"] is None
        assert metrics.demurrage_savings(question)["savings_omr"] is None
        assert metrics.demurrage_savings(question)["inputs"]["counterfactual_is"] == "unknown"
        assert {one["average_delay_days"] for one in metrics.delayed_steps(question)["departments"]} == {None}
        assert metrics.by_principal(question) == metrics.costliest(question) == []


class TestADepartment:
    @pytest.mark.parametrize("who", ["finance_clerk", "cc_head", "storekeeper"])
    def test_that_lists_its_own_steps_only_is_told_its_own_figures_only(self, cast, facts, who):
        user = getattr(cast, who)
        histories.write([Past(eta=FIRST - WEEK, done=done_by(9))], facts=facts, on=TODAY)

        question = asked(user)

        for rows in (
            metrics.delayed_steps(question)["departments"],
            metrics.delayed_steps(question)["steps"],
            metrics.list_delayed_steps(question, page=1, page_size=50),
            metrics.clearance_time(metrics.ask(user=user, on=TODAY))["departments"],
            metrics.by_department(question),
        ):
            assert {row["department"] for row in rows} == {user.department}
        assert metrics.on_time_rate(question)["judged"] == 1

    @pytest.mark.parametrize("who", ["finance_clerk", "cc_head", "storekeeper"])
    def test_may_not_ask_for_anothers(self, cast, who):
        with pytest.raises(FiguresOfAnotherDepartment) as refusal:
            asked(getattr(cast, who), department="BusinessUnit")

        assert refusal.value.code == "FIGURES_OF_ANOTHER_DEPARTMENT"

    @pytest.mark.parametrize("who", ["bu_clerk", "auditor", "manager", "administrator"])
    def test_is_open_to_those_who_see_every_step(self, cast, who):
        assert asked(getattr(cast, who), department="Finance").departments == ["Finance"]


class TestADivision:
    def test_is_hidden_from_those_who_do_not_see_it(self, cast, facts):
        for division in (cast.tyres.pk, cast.vehicles.pk, cast.vehicles.pk, None):
            histories.write([Past(eta=FIRST - WEEK, division_id=division)], facts=facts, on=TODAY)

        seen = {
            user.email.partition("@")[0]: metrics.on_time_rate(asked(user))["judged"]
            for user in (cast.manager, cast.divisional_clerk, cast.stranger, cast.manager)
        }

        assert seen == {"manager": 4, "divisional_clerk": 2, "stranger": 3}

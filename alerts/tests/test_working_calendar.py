from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from alerts import rules
from alerts.rules import LADDER, LadderRule
from alerts.tests import oracle

DAYS = range(31)
EID = {date(2026, 3, day) for day in (19, 20, 21, 22)}


def ladder() -> list[LadderRule]:
    return [
        LadderRule(pk, rung.from_day, rung.until_day, date(2000, 1, 1), None) for pk, rung in enumerate(LADDER, start=1)
    ]


def ten_years_of_holidays() -> set[date]:
    """Fixed days and two moving blocks of four to eleven days a year, which sooner or later meet every weekday."""
    chance = random.Random(1447)
    found = set()
    for year in range(2024, 2036):
        found |= {date(year, 1, 11), date(year, 11, 20), date(year, 11, 21), date(year, 2, 28), date(year, 12, 31)}
        for first in (date(year, 4, 10), date(year, 6, 17)):
            moved = first - timedelta(days=11 * (year - 2024))
            found |= {moved + timedelta(days=n) for n in range(chance.randint(4, 11))}
    return found


class TestEveryEtaOfTenYears:
    @pytest.mark.parametrize("pulls_forward", [True, False])
    def test_has_every_rung_on_the_date_that_the_oracle_says(self, pulls_forward):
        holidays = ten_years_of_holidays()
        etas = [date(2025, 1, 1) + timedelta(days=n) for n in range(3653)]
        assert {date(2028, 2, 29), date(2032, 2, 29), etas[-1]} <= set(etas)
        assert etas[-1] == date(2035, 1, 1)

        found = rules.rungs_due(
            etas, ladder(), on=date(2036, 1, 1), holidays=frozenset(holidays), pulls_forward=pulls_forward
        )

        expected = {
            (eta, day): oracle.raised_on(eta, day, holidays) if pulls_forward else eta + timedelta(days=day)
            for eta in etas
            for day in range(4, 31)
        }
        assert {(rung.eta, rung.day): rung.due_on for rung in found} == expected
        assert len(found) == len(expected)

    def test_has_no_rung_before_the_eta_or_after_its_own_day(self):
        holidays = frozenset(ten_years_of_holidays())

        for eta in (date(2025, 1, 1) + timedelta(days=n) for n in range(3653)):
            for day in DAYS:
                assert eta <= rules.due_on(eta, day=day, holidays=holidays) <= eta + timedelta(days=day)


class TestARungOfDay4To8:
    @pytest.mark.parametrize(
        ("eta", "due_on"),
        [
            (date(2026, 4, 1), date(2026, 4, 5)),  # Sunday: on the day
            (date(2026, 4, 5), date(2026, 4, 9)),  # Thursday: on the day
            (date(2026, 4, 6), date(2026, 4, 9)),  # Friday → Thursday
            (date(2026, 4, 7), date(2026, 4, 9)),  # Saturday → Thursday
        ],
    )
    def test_that_falls_on_the_weekend_is_raised_on_the_thursday(self, eta, due_on):
        assert rules.due_on(eta, day=4, holidays=()) == due_on

    def test_that_falls_on_a_holiday_is_raised_on_the_last_working_day_before(self):
        assert rules.due_on(date(2026, 3, 15), day=4, holidays=EID) == date(2026, 3, 18)  # Thursday → Wednesday
        assert rules.due_on(date(2026, 3, 15), day=7, holidays=EID) == date(2026, 3, 18)  # Sunday, behind a weekend
        assert rules.due_on(date(2026, 3, 15), day=8, holidays=EID) == date(2026, 3, 23)  # Monday: people work

    def test_is_never_raised_before_the_eta(self):
        long_break = {date(2026, 3, day) for day in range(16, 30)}

        assert rules.due_on(date(2026, 3, 20), day=4, holidays=long_break) == date(2026, 3, 20)
        assert rules.due_on(date(2026, 3, 20), day=8, holidays=long_break) == date(2026, 3, 20)

    @pytest.mark.parametrize("day", [3, 9, 30])
    def test_is_the_only_kind_that_is_pulled_forward(self, day):
        friday = date(2026, 4, 10)

        assert rules.due_on(friday - timedelta(days=day), day=day, holidays=()) == friday

    def test_stays_on_its_day_where_the_setting_is_off(self):
        assert rules.due_on(date(2026, 4, 6), day=4, holidays=(), pulls_forward=False) == date(2026, 4, 10)

    def test_counts_a_leap_day(self):
        assert rules.due_on(date(2028, 2, 27), day=4, holidays=()) == date(2028, 3, 2)  # a Thursday
        assert rules.due_on(date(2027, 2, 28), day=4, holidays=()) == date(2027, 3, 4)


class TestARuleInForce:
    def test_is_judged_on_the_date_that_a_rung_is_raised_on(self):
        friday = date(2026, 4, 10)  # day 4 of an ETA on the 6th, raised on Thursday the 9th
        old = LadderRule(1, 4, 4, date(2000, 1, 1), friday)
        new = LadderRule(2, 4, 4, friday, None)

        found = rules.rungs_due([date(2026, 4, 6)], [old, new], on=friday, holidays=(), pulls_forward=True)

        assert [(rung.rule_id, rung.due_on) for rung in found] == [(1, date(2026, 4, 9))]

    def test_raises_on_its_first_day_and_not_on_the_day_it_ended(self):
        eta = date(2026, 4, 1)
        daily = LadderRule(1, 9, 30, date(2026, 4, 12), date(2026, 4, 15))

        found = rules.rungs_due([eta], [daily], on=date(2026, 5, 30), holidays=(), pulls_forward=True)

        assert [rung.due_on.day for rung in found] == [12, 13, 14]

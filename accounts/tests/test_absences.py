from __future__ import annotations

from datetime import date

import pytest

from accounts import selectors as people
from accounts import services as accounts
from accounts.errors import AbsenceOfAnotherDepartment, AbsenceOverlaps, SubstituteFromAnotherDepartment
from accounts.models import Absence, User
from clearance.constraints import ConstraintViolated
from clearance.tests import races
from clearance.tests.traces import refused

pytestmark = pytest.mark.django_db

FIRST, LAST = date(2026, 3, 10), date(2026, 3, 20)


def away(cast, starts_on=FIRST, ends_on=LAST, **changed):
    facts = {"user": cast.cc_clerk, "substitute": cast.cc_alternate, "by": cast.cc_head}
    return accounts.record_absence(**{**facts, **changed}, starts_on=starts_on, ends_on=ends_on)


class TestRecordingAnAbsence:
    def test_makes_the_substitute_stand_in_on_its_days_only(self, cast):
        away(cast)

        days = [date(2026, 3, 9), FIRST, LAST, date(2026, 3, 21)]
        standing_in = [people.stands_in_for(cast.cc_alternate, on=day) for day in days]
        assert standing_in == [[], [cast.cc_clerk.pk], [cast.cc_clerk.pk], []]

    def test_changes_it_with_its_id(self, cast):
        absence = away(cast)

        changed = away(cast, FIRST, date(2026, 3, 12), absence_id=absence.pk)

        assert changed.pk == absence.pk
        assert Absence.objects.get().ends_on == date(2026, 3, 12)

    @pytest.mark.parametrize(
        ("starts_on", "ends_on"),
        [
            (date(2026, 3, 1), FIRST),
            (LAST, date(2026, 3, 30)),
            (date(2026, 3, 12), date(2026, 3, 13)),
            (date(2026, 3, 1), date(2026, 3, 30)),
        ],
    )
    def test_is_refused_where_it_overlaps_another_of_the_same_person(self, cast, starts_on, ends_on):
        away(cast)

        with refused(AbsenceOverlaps, "ABSENCE_OVERLAPS") as refusal:
            away(cast, starts_on, ends_on)

        assert "2026-03-10 to 2026-03-20" in str(refusal.value)

    def test_may_begin_on_the_day_after_another(self, cast):
        away(cast)

        away(cast, date(2026, 3, 21), date(2026, 3, 25))
        away(cast, date(2026, 3, 9), date(2026, 3, 9))

        assert Absence.objects.count() == 3

    def test_of_another_person_may_cover_the_same_days(self, cast):
        away(cast)

        away(cast, user=cast.cc_head)

        assert Absence.objects.count() == 2

    def test_is_refused_with_a_substitute_of_another_department(self, cast):
        with refused(SubstituteFromAnotherDepartment, "SUBSTITUTE_FROM_ANOTHER_DEPARTMENT") as refusal:
            away(cast, substitute=cast.finance_clerk)

        assert "Faisal Clerk" in str(refusal.value)
        assert "Customs & Clearance" in str(refusal.value)

    def test_is_refused_when_it_ends_before_it_starts(self, cast):
        with refused(ConstraintViolated, "VALIDATION_ERROR") as refusal:
            away(cast, LAST, FIRST)

        assert str(refusal.value) == "An absence ends on the day it starts, or later."

    def test_is_refused_for_ones_own_substitute(self, cast):
        with refused(ConstraintViolated, "VALIDATION_ERROR") as refusal:
            away(cast, substitute=cast.cc_clerk)

        assert str(refusal.value) == "Nobody substitutes for themselves. Choose somebody else."

    @pytest.mark.django_db(transaction=True)
    def test_twice_at_the_same_moment_records_one(self, cast):
        results = races.at_once(
            lambda: away(cast),
            lambda: away(cast, date(2026, 3, 15), date(2026, 3, 25)),
            held=User.objects.filter(pk=cast.cc_clerk.pk),
        )

        assert Absence.objects.count() == 1
        assert sum(isinstance(result, AbsenceOverlaps) for result in results) == 1


class TestRemovingAnAbsence:
    def test_lets_another_one_cover_its_days(self, cast):
        accounts.remove_absence(absence=away(cast), by=cast.cc_head)

        assert people.stands_in_for(cast.cc_alternate, on=FIRST) == []
        assert away(cast).pk


class TestWhoKeepsAbsences:
    @pytest.mark.parametrize("part", ["cc_clerk", "finance_head", "bu_head", "auditor"])
    def test_is_neither_a_clerk_nor_the_head_of_another_department(self, part, cast):
        with refused(AbsenceOfAnotherDepartment, "ABSENCE_OF_ANOTHER_DEPARTMENT"):
            away(cast, by=getattr(cast, part))

        assert not Absence.objects.exists()

    def test_an_administrator_may_too(self, cast):
        assert away(cast, by=cast.administrator).pk

    def test_a_head_cannot_take_over_an_absence_of_another_department(self, cast):
        absence = away(cast)
        own = {"user": cast.finance_clerk, "substitute": cast.finance_alternate}

        with refused(AbsenceOfAnotherDepartment, "ABSENCE_OF_ANOTHER_DEPARTMENT"):
            away(cast, by=cast.finance_head, absence_id=absence.pk, **own)
        with refused(AbsenceOfAnotherDepartment, "ABSENCE_OF_ANOTHER_DEPARTMENT"):
            accounts.remove_absence(absence=absence, by=cast.finance_head)

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from clearance.tests import recipes
from clearance.tests.cast import Cast
from clearance.tests.recipes import NOON, TODAY
from metrics.selectors import boards
from shipments.choices import Risk
from shipments.models import Shipment
from workflow.choices import Due

pytestmark = pytest.mark.django_db

LONG_AGO = NOON - timedelta(days=60)
FUNDS = Decimal("1358.025")  # 11 % of the recipe's invoice amount
RATE = Decimal("38.462")
CRITICAL = ("9.0", "10.0", "11.0", "13.0", "14.0")


def arriving(cast: Cast, *, days: int, **changed) -> Shipment:
    """Its ETA lies so many days ahead of today; registered long ago, where that is in the past."""
    return recipes.registered(by=cast.bu_clerk, at=LONG_AGO, eta=TODAY + timedelta(days=days), **changed)


def numbers(place: boards.Place) -> list[str]:
    return [row.shipment__shipment_number for row in place.steps]


class TestTheArrivals:
    def test_are_counted_by_day_for_two_weeks(self, cast):
        for days in (-1, 0, 13, 13, 14):
            arriving(cast, days=days)

        coming = boards.arrivals(cast.bu_clerk, on=TODAY).coming

        assert len(coming) == 14
        assert {day: count for day, count in coming.items() if count} == {TODAY: 1, TODAY + timedelta(days=13): 2}

    def test_are_missed_where_the_eta_has_passed_and_nobody_recorded_them(self, cast):
        arriving(cast, days=0)
        arriving(cast, days=-1)
        arriving(cast, days=-2, ata=TODAY - timedelta(days=2))

        assert boards.arrivals(cast.bu_clerk, on=TODAY).unrecorded == 1

    def test_tell_which_etas_were_moved_and_which_are_fixed(self, cast):
        for edits in (0, 1, 2, 3):
            Shipment.objects.filter(pk=arriving(cast, days=5).pk).update(eta_edit_count=edits)

        found = boards.arrivals(cast.bu_clerk, on=TODAY)

        assert (found.moved, found.fixed) == (3, 1)

    def test_are_mapped_by_division_and_risk(self, cast):
        arriving(cast, days=1, division=cast.tyres)
        arriving(cast, days=-4, division=cast.tyres, container_count=3)
        arriving(cast, days=-9, division=cast.tyres, container_count=2)
        arriving(cast, days=-7)

        none, tyres = sorted(boards.arrivals(cast.bu_clerk, on=TODAY).divisions, key=lambda one: one.name)

        assert {risk: count for risk, count in tyres.shipments.items() if count} == {
            Risk.EXPECTED: 1,
            Risk.WARNING: 1,
            Risk.DEMURRAGE: 1,
        }
        assert tyres.omr_at_risk == 3 * RATE + 2 * 2 * RATE
        assert none.division_id is None
        assert none.shipments[Risk.URGENT] == 1
        assert none.omr_at_risk == RATE

    def test_are_at_no_risk_once_they_are_cleared(self, cast):
        cleared = arriving(cast, days=-9, division=cast.tyres)
        recipes.record(cleared, dict.fromkeys(CRITICAL, TODAY))

        found = boards.arrivals(cast.bu_clerk, on=TODAY)

        assert found.unrecorded == 1
        assert found.divisions == []

    def test_leave_out_what_is_not_active_or_not_visible(self, cast):
        arriving(cast, days=1, division=cast.vehicles)
        Shipment.objects.filter(pk=arriving(cast, days=1).pk).update(status="cancelled", cancel_reason="not coming")
        Shipment.objects.filter(pk=arriving(cast, days=1).pk).update(deleted_at=NOON)

        assert sum(boards.arrivals(cast.bu_clerk, on=TODAY).coming.values()) == 1
        assert boards.arrivals(cast.divisional_clerk, on=TODAY).divisions == []


class TestTheFunding:
    def test_counts_finances_open_steps_by_when_they_are_due(self, cast):
        for days in (15, 14, 8, 7, 6):  # the DAN is due 15 days before the ETA
            arriving(cast, days=days)

        dan = next(row for row in boards.funding(cast.finance_clerk, on=TODAY).steps if row.step_name.startswith("DAN"))

        assert dan.steps == {Due.PAST: 4, Due.TODAY: 1, Due.WEEK: 0, Due.LATER: 0}

    def test_has_only_finances_steps_and_only_open_ones(self, cast):
        recipes.record(arriving(cast, days=20), {"3.5": TODAY, "4.0": TODAY})

        steps = boards.funding(cast.finance_clerk, on=TODAY).steps

        assert [str(row.step_number) for row in steps] == ["3.1", "3.2", "5.0", "6.0", "6.1", "13.0"]

    def test_sums_what_is_required_by_the_week_it_is_due_in(self, cast):
        # Funds are due on the day before the ETA; the week begins on Sunday, the day of the test.
        for days in (0, 1, 7, 8, 35, 36):
            arriving(cast, days=days)

        found = boards.funding(cast.finance_clerk, on=TODAY)

        weeks = [TODAY + timedelta(days=7 * week) for week in range(5)]
        assert found.overdue_omr == FUNDS
        assert found.weeks == dict(zip(weeks, [2 * FUNDS, FUNDS, 0, 0, FUNDS], strict=True))

    def test_requires_nothing_once_the_funds_are_there(self, cast):
        recipes.record(arriving(cast, days=3), {"8.0": TODAY})

        assert not any(boards.funding(cast.finance_clerk, on=TODAY).weeks.values())

    @pytest.mark.parametrize(
        ("day", "sunday"), [("2026-03-14", "2026-03-08"), ("2026-03-15", "2026-03-15"), ("2026-03-16", "2026-03-15")]
    )
    def test_begins_its_weeks_on_sunday(self, day, sunday):
        assert boards.week_of(date.fromisoformat(day)) == date.fromisoformat(sunday)


class TestTheSchedule:
    def test_has_each_critical_step_on_its_day(self, cast):
        shipment = arriving(cast, days=-3)
        recipes.record(shipment, {"9.0": TODAY})

        days = boards.schedule(cast.cc_clerk, on=TODAY).days

        found = {
            ((day - TODAY).days, str(number)): numbers(place)
            for day, places in days.items()
            if day
            for number, place in places.items()
            if place.steps
        }
        assert found == {(0, "10.0"): [str(shipment)], (1, "11.0"): [str(shipment)], (4, "14.0"): [str(shipment)]}

    def test_has_an_overdue_shipment_once_at_its_first_open_step(self, cast):
        shipment = arriving(cast, days=-12)
        recipes.record(shipment, {"9.0": TODAY})

        overdue = boards.schedule(cast.cc_clerk, on=TODAY).days[None]

        assert {str(number): numbers(place) for number, place in overdue.items() if place.steps} == {
            "10.0": [str(shipment)]
        }

    def test_names_those_that_cost_most_and_counts_the_others(self, cast):
        shipments = [arriving(cast, days=0, container_count=containers) for containers in range(1, 8)]

        place = boards.schedule(cast.cc_clerk, on=TODAY).days[TODAY][Decimal("9.0")]

        assert (place.total, place.containers) == (7, 28)
        assert numbers(place) == [str(shipment) for shipment in reversed(shipments[2:])]

    def test_is_limited_to_what_the_person_sees(self, cast):
        arriving(cast, days=0, division=cast.vehicles)
        cast.cc_clerk.divisions.add(cast.tyres)

        assert boards.schedule(cast.cc_clerk, on=TODAY).steps == {}


class TestTheReceipts:
    def test_begin_with_what_was_collected_and_not_received(self, cast):
        shipment = arriving(cast, days=-6)
        recipes.record(shipment, {"14.0": TODAY - timedelta(days=1)})

        found = boards.receipts(cast.storekeeper, on=TODAY).to_receive

        assert numbers(found) == [str(shipment)]
        assert found.steps[0].done_on == TODAY - timedelta(days=1)

    def test_are_expected_on_the_day_that_they_are_due_at_the_warehouse(self, cast):
        arriving(cast, days=-8, container_count=2)
        arriving(cast, days=5, container_count=3)
        arriving(cast, days=6)  # due in 14 days
        late = arriving(cast, days=-9)

        found = boards.receipts(cast.storekeeper, on=TODAY)

        expected = {day: place.containers for day, place in found.coming.items() if place.total}
        assert expected == {TODAY: 2, TODAY + timedelta(days=13): 3}
        assert numbers(found.delayed) == [str(late)]

    def test_tell_for_how_many_the_containers_are_unknown(self, cast):
        arriving(cast, days=-8, container_count=2)
        arriving(cast, days=-8)

        place = boards.receipts(cast.storekeeper, on=TODAY).coming[TODAY]

        assert (place.total, place.containers, place.unknown) == (2, 3, 1)

    def test_are_settled_once_nothing_is_left_to_confirm_or_claim(self, cast):
        open_one, settled = arriving(cast, days=-9), arriving(cast, days=-9)
        recipes.record(open_one, {"14.0": TODAY, "16.0": TODAY})
        recipes.record(settled, {"14.0": TODAY, "16.0": TODAY, "17.0": TODAY, "18.0": TODAY})

        found = boards.receipts(cast.storekeeper, on=TODAY)

        assert {str(number): numbers(place) for (number, _), place in found.to_settle.items()} == {
            "17.0": [str(open_one)],
            "18.0": [str(open_one)],
        }
        assert not found.to_receive.total


class TestTheDemurrageClock:
    def test_shows_what_costs_most_first_and_who_holds_it(self, cast):
        arriving(cast, days=-3, container_count=9)
        near = arriving(cast, days=-4, container_count=1)
        dear = arriving(cast, days=-9, container_count=2)
        recipes.record(dear, {"9.0": TODAY, "10.0": TODAY, "11.0": TODAY})

        found, _ = boards.demurrage_clock(cast.manager, on=TODAY, most=5)

        assert found == [dear, near]
        assert [str(shipment.holding.step_number) for shipment in found] == ["13.0", "9.0"]
        assert found[0].holding.ppr_user == cast.finance_clerk

    def test_counts_those_that_it_has_no_room_for(self, cast):
        for days in (-4, -5, -6):
            arriving(cast, days=days)

        found, count = boards.demurrage_clock(cast.manager, on=TODAY, most=2)

        assert (len(found), count) == (2, 3)

    def test_stops_with_the_last_critical_step(self, cast):
        shipment = arriving(cast, days=-9)
        recipes.record(shipment, dict.fromkeys(CRITICAL, TODAY))

        assert boards.demurrage_clock(cast.manager, on=TODAY, most=5) == ([], 0)

    def test_hides_what_the_person_may_not_see(self, cast):
        arriving(cast, days=-9, division=cast.vehicles)

        assert boards.demurrage_clock(cast.divisional_clerk, on=TODAY, most=5) == ([], 0)


class TestWhatIsOverdue:
    def test_is_counted_by_department(self, cast):
        shipment = arriving(cast, days=-4)
        recipes.record_all_but(shipment, "9.0", "12.0", "13.0", "15.0")

        assert boards.overdue_by_department(cast.auditor, on=TODAY) == [
            {"department": "C&C", "steps": 1, "critical": 1, "oldest": TODAY - timedelta(days=4)}
        ]


class TestEveryBoard:
    @pytest.mark.parametrize(
        ("read", "who"),
        [
            (boards.arrivals, "bu_clerk"),
            (boards.funding, "finance_clerk"),
            (boards.schedule, "cc_clerk"),
            (boards.receipts, "storekeeper"),
            (boards.overdue_by_department, "auditor"),
            (boards.open_alerts, "auditor"),
        ],
    )
    def test_is_one_statement(self, cast, read, who, django_assert_num_queries):
        for days in (-9, -4, 0, 3):
            arriving(cast, days=days)
        user = getattr(cast, who)
        assert not user.own_divisions  # asked once for all that a person sees

        with django_assert_num_queries(1):
            read(user, on=TODAY)

"""What a verb on a shipment raises in its own transaction, without waiting for the morning."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import services as alerts
from alerts.models import Alert
from alerts.tests.test_ladder import BAYAN_SUBMITTED, raised, sweep_day
from clearance.tests import races, recipes
from clearance.tests.recipes import COLLECTED, ETA, MUSCAT, TODAY
from outbox.models import Message
from shipments import services as shipments
from shipments.errors import EtaEditLimitReached
from shipments.models import Shipment
from shipments.rows import TrackerRow
from workflow import services as workflow

pytestmark = pytest.mark.django_db


def noon_of(day: int) -> datetime:
    on = ETA + timedelta(days=day)
    return datetime(on.year, on.month, on.day, 12, tzinfo=MUSCAT)


def states() -> dict[str, int]:
    found: dict[str, int] = {}
    for state in Alert.objects.with_state().values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def move(shipment, eta, by, at):
    return shipments.change_eta(shipment_id=shipment.pk, eta=eta, by=by, at=at)


@pytest.fixture
def long_break():
    """Nobody works for a week from the 1st of May on, a Friday."""
    alerts.load_holidays(holidays=[(date(2026, 5, day), "Long break", True) for day in range(1, 9)])


class TestChangingTheEta:
    def test_to_a_later_date_supersedes_every_alert_and_the_ladder_begins_anew(self, cast, shipment):
        sweep_day(6)
        assert states() == {"open": 20}

        move(shipment, ETA + timedelta(days=21), cast.bu_clerk, noon_of(6))

        assert states() == {"superseded": 20}
        assert sweep_day(24).raised == 0
        assert sweep_day(25).raised == 5
        assert set(Alert.objects.open().values_list("eta_revision", "days_post_eta")) == {(1, 4)}

    def test_to_today_supersedes_and_raises_nothing_yet(self, cast, shipment):
        sweep_day(8)

        move(shipment, ETA + timedelta(days=8), cast.bu_clerk, noon_of(8))

        assert set(states()) == {"superseded"}

    def test_before_a_long_break_raises_at_once_what_the_break_pulls_forward(self, cast, shipment, long_break):
        thursday = date(2026, 4, 30)
        at = datetime(2026, 4, 30, 12, tzinfo=MUSCAT)

        move(shipment, thursday, cast.bu_clerk, at)

        assert {(one.days_post_eta, one.due_on, one.is_late) for one in Alert.objects.all()} == {
            (day, thursday, False) for day in (4, 5, 6, 7, 8)
        }

    def test_writes_the_mails_of_day_7_and_8_at_once_and_leaves_the_others_to_the_digest(
        self, cast, shipment, long_break
    ):
        move(shipment, date(2026, 4, 30), cast.bu_clerk, datetime(2026, 4, 30, 12, tzinfo=MUSCAT))

        told = {
            (one.days_post_eta, one.mail, one.outbox_message_id is not None)
            for one in Alert.objects.filter(workflow_step__step_number=BAYAN_SUBMITTED)
        }
        assert told == {
            (4, "none", False), (5, "digest", False), (6, "digest", False), (6, "none", False),
            (7, "own", True), (8, "own", True),
        }  # fmt: skip
        assert set(Message.objects.values_list("kind", flat=True)) == {"shipment_alert"}
        assert alerts.sweep(on=date(2026, 4, 30), at=datetime(2026, 4, 30, 13, tzinfo=MUSCAT)).messages == 4

    def test_and_back_again_leaves_the_first_alerts_superseded(self, cast, shipment):
        sweep_day(4)
        move(shipment, ETA + timedelta(days=20), cast.bu_clerk, noon_of(4))
        move(shipment, ETA + timedelta(days=5), cast.bu_clerk, noon_of(4))

        sweep_day(11)

        assert set(Alert.objects.filter(eta_revision=0).with_state().values_list("state", flat=True)) == {"superseded"}
        assert set(Alert.objects.open().values_list("eta_revision", flat=True)) == {2}

    def test_costs_one_statement_where_nothing_is_due(self, cast, shipment):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            alerts.evaluate(shipment_ids=[shipment.pk], at=noon_of(2))
        assert len(captured) == 1

        with CaptureQueriesContext(connection) as captured:
            alerts.evaluate(shipment_ids=[shipment.pk], at=noon_of(4))
        assert len(captured) == 2

    def test_of_no_shipment_asks_nothing(self, cast, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert alerts.evaluate(shipment_ids=[], at=noon_of(2)) == 0


@pytest.mark.django_db(transaction=True)
class TestFiftyChangesOfTheEtaAtOnce:
    def test_let_three_through_and_the_alerts_fit_the_third(self, cast, shipment):
        sweep_day(4)
        alerts.load_holidays(holidays=[(ETA + timedelta(days=day), "Long break", True) for day in range(5, 100)])
        verbs = [
            lambda days=days: move(shipment, ETA + timedelta(days=days), cast.bu_clerk, noon_of(4))
            for days in range(4, 54)
        ]

        results = races.at_once(*verbs, held=Shipment.objects.filter(pk=shipment.pk))

        refused = [one for one in results if isinstance(one, Exception)]
        assert len(results) == 50
        assert [type(one) for one in refused if not isinstance(one, EtaEditLimitReached)] == []
        assert len(refused) == 47
        kept = Shipment.objects.get(pk=shipment.pk)
        assert kept.eta_edit_count == 3
        alerts.sweep(on=kept.eta, at=noon_of((kept.eta - ETA).days))
        open_ones = Alert.objects.open()
        assert set(open_ones.values_list("eta_revision", flat=True)) == {3}
        # The long break pulls every rung up to day 8 to the ETA itself.
        assert set(open_ones.values_list("days_post_eta", "due_on")) == {(day, kept.eta) for day in (4, 5, 6, 7, 8)}
        assert open_ones.count() == 5 * 7
        assert Alert.objects.filter(eta_revision=0).count() == 5


class TestRegistering:
    def test_a_shipment_before_a_long_break_raises_what_the_break_pulls_forward(self, cast, long_break):
        recipes.registered(by=cast.bu_clerk, eta=date(2026, 4, 30), at=datetime(2026, 4, 30, 12, tzinfo=MUSCAT))

        assert set(Alert.objects.values_list("days_post_eta", flat=True)) == {4, 5, 6, 7, 8}

    def test_a_shipment_that_is_yet_to_come_raises_nothing(self, shipment):
        assert not Alert.objects.exists()


class TestImporting:
    def row(self, **changed):
        fields = {"shipment_number": "TRK-1", "principal": "Al Noor Tyres", "brand": "Noor", "invoice_amount_omr": 100}
        return TrackerRow(row=2, fields=fields | {"eta": TODAY - timedelta(days=6)} | changed, steps={})

    def test_a_shipment_that_is_late_already_raises_its_past_as_late_and_its_day_on_time(self, cast, noon):
        shipments.import_rows(rows=[self.row()], by=cast.bu_clerk, at=noon)

        found = Alert.objects.filter(workflow_step__step_number=BAYAN_SUBMITTED)
        assert {(one.days_post_eta, one.is_late) for one in found} == {(4, True), (5, True), (6, False)}
        assert not Message.objects.exists()  # the next digest tells of it

    def test_a_trial_leaves_no_alert(self, cast, noon):
        shipments.import_rows(rows=[self.row()], by=cast.bu_clerk, at=noon, dry_run=True)

        assert not Alert.objects.exists()


class TestReopening:
    def test_a_step_opens_its_alerts_again_and_raises_what_it_missed(self, cast, shipment):
        sweep_day(4)
        step = recipes.step(shipment, BAYAN_SUBMITTED)
        workflow.complete_step(step_id=step.pk, by=cast.cc_clerk, at=noon_of(4))
        assert states() == {"resolved": 1, "open": 4}
        sweep_day(6)
        assert [day for day, _, _ in raised()] == [4]

        workflow.reopen_step(step_id=step.pk, by=cast.cc_head, at=noon_of(6), reason="Rejected by customs")

        assert set(states()) == {"open"}
        assert [day for day, _, _ in raised()] == [4, 5, 6, 6]
        assert [one.is_late for one in Alert.objects.filter(workflow_step=step).order_by("days_post_eta", "pk")] == [
            False, True, False, False,
        ]  # fmt: skip

    def test_the_last_step_of_a_completed_shipment_brings_its_alerts_back(self, cast, shipment):
        sweep_day(4)
        recipes.record_all_but(shipment, on=ETA + timedelta(days=4), at=noon_of(4))
        assert states() == {"resolved": 5}

        step = recipes.step(shipment, COLLECTED)
        workflow.reopen_step(step_id=step.pk, by=cast.cc_head, at=noon_of(9), reason="Still at the port")

        assert Shipment.objects.get(pk=shipment.pk).status == "active"
        assert states() == {"resolved": 4, "open": 1 + 7}
        assert sweep_day(9).raised == 0


class TestRestoring:
    @pytest.mark.parametrize("gone", ["cancelled", "deleted"])
    def test_a_shipment_brings_its_alerts_back_and_raises_what_it_missed(self, cast, shipment, gone):
        sweep_day(4)
        given = {"shipment_id": shipment.pk, "by": cast.bu_head, "at": noon_of(4)}
        if gone == "cancelled":
            shipments.cancel(**given, reason="Sold at sea")
        else:
            shipments.delete(**given)
        assert states() == {"withdrawn": 5}
        assert sweep_day(5).raised == 0

        shipments.restore(**{**given, "at": noon_of(5)})

        assert states() == {"open": 10}
        assert set(Alert.objects.filter(days_post_eta=5).values_list("is_late", "mail")) == {(False, "digest")}
        assert sweep_day(5).messages == 2


class TestTheState:
    def test_is_resolved_before_superseded_before_withdrawn(self, cast, shipment):
        sweep_day(4)
        step = recipes.step(shipment, BAYAN_SUBMITTED)
        workflow.complete_step(step_id=step.pk, by=cast.cc_clerk, at=noon_of(4))
        move(shipment, ETA + timedelta(days=9), cast.bu_clerk, noon_of(4))
        shipments.cancel(shipment_id=shipment.pk, reason="Sold at sea", by=cast.bu_head, at=noon_of(4))
        sweep_day(30)

        assert states() == {"resolved": 1, "superseded": 4}

    def test_is_withdrawn_for_a_completed_shipment_whose_step_was_never_done(self, cast, shipment):
        sweep_day(4)
        Shipment.objects.filter(pk=shipment.pk).update(status="completed")

        assert states() == {"withdrawn": 5}

    def test_agrees_with_the_query_for_open_alerts(self, cast, shipment):
        sweep_day(6)
        workflow.complete_step(step_id=recipes.step(shipment, "10.0").pk, by=cast.cc_clerk, at=noon_of(6))

        open_ones = set(Alert.objects.open().values_list("pk", flat=True))
        assert open_ones == set(Alert.objects.having_state("open").values_list("pk", flat=True))
        assert len(open_ones) == 16

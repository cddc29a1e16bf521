from __future__ import annotations

from datetime import date, timedelta

import pytest

from accounts import services as accounts
from alerts import services as alerts
from alerts.errors import AlertNotOpen, AlertNotYours, PromiseInThePast
from alerts.models import Alert
from alerts.tests.test_evaluation import noon_of
from alerts.tests.test_ladder import BAYAN_SUBMITTED, raised, sweep_day
from clearance.errors import Forbidden, NotFound
from clearance.tests import races, recipes
from clearance.tests.recipes import ETA
from clearance.tests.traces import refused
from shipments import services as shipments
from workflow import services as workflow

pytestmark = pytest.mark.django_db

TODAY = ETA + timedelta(days=4)


def stand_in(cast) -> None:
    """The head of C&C stands in for the clerk today."""
    accounts.record_absence(
        user=cast.cc_clerk, starts_on=TODAY, ends_on=TODAY, substitute=cast.cc_head, by=cast.administrator
    )


def acknowledge(alert, by, *, day: int = 4, **more):
    return alerts.acknowledge(alert_id=alert.pk, by=by, at=noon_of(day), **more)


@pytest.fixture
def alert(cast, shipment) -> Alert:
    """Day 4 of the Bayan, to the C&C clerk."""
    sweep_day(4)
    return Alert.objects.get(workflow_step__step_number=BAYAN_SUBMITTED)


class TestAcknowledging:
    def test_notes_who_when_and_what_they_promise(self, cast, alert):
        done = acknowledge(alert, cast.cc_clerk, promised_on=TODAY)

        kept = Alert.objects.get(pk=alert.pk)
        assert (kept.acknowledged_at, kept.acknowledged_by, kept.promised_on) == (noon_of(4), cast.cc_clerk, TODAY)
        assert kept.is_acknowledged
        assert done == kept

    def test_again_replaces_the_promise(self, cast, alert):
        acknowledge(alert, cast.cc_clerk, promised_on=TODAY)
        later = TODAY + timedelta(days=3)

        acknowledge(alert, cast.cc_clerk, day=5, promised_on=later)

        kept = Alert.objects.get(pk=alert.pk)
        assert (kept.acknowledged_at, kept.promised_on) == (noon_of(5), later)

    def test_works_for_the_substitute_while_the_recipient_is_away(self, cast, alert):
        stand_in(cast)

        assert acknowledge(alert, cast.cc_head).acknowledged_by == cast.cc_head
        with refused(AlertNotYours, "ALERT_NOT_YOURS"):
            acknowledge(alert, cast.cc_head, day=5)

    @pytest.mark.parametrize("who", ["auditor", "manager"])
    def test_is_all_that_internal_audit_and_management_write(self, cast, shipment, who):
        sweep_day(7)
        alert = Alert.objects.filter(recipient_user=getattr(cast, who)).first()

        assert acknowledge(alert, getattr(cast, who), day=7).is_acknowledged

    def test_never_stops_the_ladder(self, cast, alert):
        acknowledge(alert, cast.cc_clerk, promised_on=ETA + timedelta(days=30))

        sweep_day(5)

        assert [day for day, _, _ in raised()] == [4, 5]

    def test_by_two_at_once_keeps_one_of_them_whole(self, cast, alert):
        stand_in(cast)
        assert acknowledge(alert, cast.cc_clerk, promised_on=TODAY).acknowledged_by == cast.cc_clerk
        assert acknowledge(alert, cast.cc_head).promised_on is None


@pytest.mark.django_db(transaction=True)
class TestAcknowledgingAtOnce:
    def test_waits_for_a_sweep_that_puts_the_alert_into_its_digest(self, cast, shipment):
        alerts.evaluate(shipment_ids=[shipment.pk], at=noon_of(4))
        alert = Alert.objects.get(workflow_step__step_number=BAYAN_SUBMITTED)

        result = races.blocked_by(lambda: sweep_day(4), lambda: acknowledge(alert, cast.cc_clerk))

        assert isinstance(result, Alert)
        kept = Alert.objects.get(pk=alert.pk)
        assert kept.is_acknowledged
        assert kept.outbox_message is not None


class TestAcknowledgingIsRefused:
    @pytest.mark.parametrize("who", ["cc_alternate", "cc_head", "bu_clerk", "auditor", "administrator"])
    def test_to_everybody_but_the_recipient(self, cast, alert, who):
        with refused(AlertNotYours, "ALERT_NOT_YOURS") as caught:
            acknowledge(alert, getattr(cast, who))
        assert "Khalid Clerk" in str(caught.value)

    def test_to_whoever_does_not_see_the_division(self, cast):
        recipes.registered(by=cast.bu_clerk, division=cast.tyres)
        sweep_day(4)

        with refused(NotFound, "NOT_FOUND"):
            acknowledge(Alert.objects.first(), cast.stranger)

    def test_for_an_alert_that_does_not_exist(self, cast):
        with refused(NotFound, "NOT_FOUND"):
            alerts.acknowledge(alert_id=0, by=cast.cc_clerk, at=noon_of(4))

    def test_without_a_role(self, cast, alert):
        cast.cc_clerk.groups.clear()

        with refused(Forbidden, "PERMISSION_DENIED"):
            acknowledge(alert, cast.cc_clerk)

    def test_with_a_promise_before_today(self, cast, alert):
        with refused(PromiseInThePast, "PROMISE_IN_THE_PAST") as caught:
            acknowledge(alert, cast.cc_clerk, promised_on=TODAY - timedelta(days=1))
        assert caught.value.details()[0]["field"] == "promised_on"

    @pytest.mark.parametrize("closed", ["completed", "moved", "cancelled"])
    def test_once_the_alert_is_no_longer_open(self, cast, shipment, alert, closed):
        if closed == "completed":
            workflow.complete_step(step_id=alert.workflow_step_id, by=cast.cc_clerk, at=noon_of(4))
        elif closed == "moved":
            shipments.change_eta(shipment_id=shipment.pk, eta=date(2026, 6, 1), by=cast.bu_clerk, at=noon_of(4))
        else:
            shipments.cancel(shipment_id=shipment.pk, reason="Sold at sea", by=cast.bu_head, at=noon_of(4))

        with refused(AlertNotOpen, "ALERT_NOT_OPEN"):
            acknowledge(alert, cast.cc_clerk)

from __future__ import annotations

from datetime import date, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from alerts import services as alerts
from alerts.models import Alert, SweepRun
from alerts.tests import late
from alerts.tests.test_evaluation import noon_of
from alerts.tests.test_ladder import sweep_day
from clearance.clock import day_of
from clearance.tests import recipes
from clearance.tests.recipes import BAYAN_SUBMITTED, ETA
from shipments import services as shipments
from shipments.models import Shipment
from workflow import services as workflow

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("sweep", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def history(shipment) -> Shipment:
    """The shipment a few years ago, so that its whole ladder lies before the real today."""
    Shipment.objects.filter(pk=shipment.pk).update(eta=date(2020, 4, 1))
    return Shipment.objects.get(pk=shipment.pk)


class TestTheCommand:
    def test_sweeps_today_and_says_what_it_did(self, bu_clerk, settings):
        settings.ALERTS_PULL_FORWARD = False
        late.shipment(by=bu_clerk, days=5)

        said = run()

        today = day_of(timezone.now())
        assert said == f"{today}: 2 alerts raised (1 late) for 1 shipments, 1 mails written\n"
        assert SweepRun.objects.get().on == today

    def test_sweeps_a_past_day(self, bu_clerk, history):
        run("--on", "2020-04-05")

        assert set(Alert.objects.values_list("days_post_eta", flat=True)) == {4}

    def test_refuses_a_future_day(self, db):
        tomorrow = day_of(timezone.now()) + timedelta(days=1)

        with pytest.raises(CommandError, match="is in the future"):
            run("--on", tomorrow.isoformat())

    def test_refuses_what_is_no_day(self, db):
        with pytest.raises(CommandError, match="invalid"):
            run("--on", "someday")

    def test_does_not_know_every_number(self, db):
        with pytest.raises(CommandError, match="There is no shipment TBL-0"):
            run("--explain", "TBL-0")


class TestExplaining:
    def explain(self, shipment, day: int) -> list[str]:
        """As the command prints it, on a day after the ETA of a shipment of some years ago."""
        before = list(Alert.objects.order_by("pk").values())
        said = run("--explain", shipment.shipment_number, "--on", (shipment.eta + timedelta(days=day)).isoformat())
        assert list(Alert.objects.order_by("pk").values()) == before
        assert SweepRun.objects.count() <= 1
        return said.splitlines()

    def test_says_for_each_rung_when_to_whom_and_why(self, cast, history):
        recipes.record(history, {number: date(2020, 4, 2) for number in ("10.0", "11.0", "13.0", "14.0")})
        run("--on", "2020-04-05")

        heading, step, *lines = self.explain(history, 5)

        assert heading == f"{history}: ETA 2020-04-01 (changed 0 times), active, day 5 on 2020-04-06"
        assert step == "9.0 Bayan submitted, target 2026-04-01"
        assert lines[:5] == [
            "  day 4     2020-04-05               warning  due → Khalid Clerk (open, late)",
            "  day 5     2020-04-06               critical due → to be told: Khalid Clerk",
            "  day 6     2020-04-07               critical not due yet → to be told: Kamila Head, Kawthar Alternate",
            "  day 7     2020-04-08               urgent   not due yet → to be told: Idris Auditor, Maryam Manager",
            "  day 8–30  2020-04-09 to 2020-05-01 urgent   not due yet → to be told: Kamila Head",
        ]

    def test_takes_one_line_for_a_completed_step(self, cast, history):
        recipes.record(history, {BAYAN_SUBMITTED: date(2020, 4, 2)})

        lines = self.explain(history, 5)

        assert lines[1:4] == [
            "9.0 Bayan submitted, target 2026-04-01",
            "  the step was completed on 2020-04-02: nothing to raise",
            "10.0 Customs duty paid, target 2026-04-04",
        ]

    def test_says_what_was_pulled_forward_and_from_which_day(self, cast, history):
        Shipment.objects.filter(pk=history.pk).update(eta=date(2020, 4, 5))  # its day 5 is Friday the 10th
        history.refresh_from_db()

        said = "\n".join(self.explain(history, 1))

        assert "2020-04-09               critical not due yet, pulled forward from Friday 2020-04-10, a day off" in said

    def test_says_who_acknowledged_and_what_they_promised(self, cast, shipment):
        sweep_day(4)
        alert = Alert.objects.get(workflow_step__step_number=BAYAN_SUBMITTED)
        alerts.acknowledge(alert_id=alert.pk, by=cast.cc_clerk, at=noon_of(4), promised_on=ETA + timedelta(days=6))

        said = (
            "\n".join(self.explain(shipment, 4))
            if ETA + timedelta(days=4) <= day_of(timezone.now())
            else run("--explain", shipment.shipment_number)
        )

        assert "Khalid Clerk (open, acknowledged by Khalid Clerk, promised for 2026-04-07)" in said

    def test_says_why_nothing_is_expected_of_a_cancelled_shipment(self, cast, shipment):
        sweep_day(4)
        shipments.cancel(shipment_id=shipment.pk, reason="Sold at sea", by=cast.bu_head, at=noon_of(4))

        said = run("--explain", shipment.shipment_number)

        assert said.count("  the shipment is cancelled: nothing to raise; 1 alerts are withdrawn\n") == 5
        assert "day 4" not in said.partition("\n")[2]

    def test_says_of_a_deleted_shipment_that_it_is_deleted(self, cast, shipment):
        shipments.delete(shipment_id=shipment.pk, by=cast.bu_head, at=noon_of(4))

        assert "the shipment is deleted: nothing to raise" in run("--explain", shipment.shipment_number)

    def test_counts_what_an_eta_change_superseded(self, cast, shipment):
        sweep_day(4)
        shipments.change_eta(shipment_id=shipment.pk, eta=date(2026, 6, 1), by=cast.bu_clerk, at=noon_of(4))

        assert run("--explain", shipment.shipment_number).endswith("5 alerts of earlier ETAs are superseded.\n")

    def test_says_which_rule_was_not_in_force(self, cast, shipment):
        rule = alerts.add_rule(
            name="Early", from_day=2, until_day=2, severity="warning", audiences=["ppr"], starts_on=date(2026, 4, 4),
            by=cast.administrator,
        )  # fmt: skip
        assert "the rule is in force from 2026-04-04 on" in run("--explain", shipment.shipment_number)
        alerts.end_rule(rule_id=rule.pk, on=date(2026, 4, 4), by=cast.administrator)
        workflow.complete_step(step_id=recipes.step(shipment, "10.0").pk, by=cast.cc_clerk, at=recipes.NOON)

        assert run("--explain", shipment.shipment_number).count("the rule is in force from 2026-04-04 on") == 4

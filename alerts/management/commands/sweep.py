"""Run the sweep, or explain what it expects of one shipment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from alerts import selectors
from alerts import services as alerts
from alerts.models import Alert
from alerts.selectors import ExpectedRung
from clearance import context
from clearance.clock import day_of
from shipments.choices import Status
from shipments.models import Shipment


class Command(BaseCommand):
    help = "Raise every alert that is due and does not exist yet. Harmless to run any number of times."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--on", type=date.fromisoformat, metavar="YYYY-MM-DD", help="the day (default: today)")
        parser.add_argument(
            "--explain", metavar="SHIPMENT_NUMBER", help="change nothing; tell what the ladder expects of a shipment"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        on = options["on"] or day_of(at)
        if on > day_of(at):
            raise CommandError(f"{on} is in the future: a sweep raises what is due by now.")
        if options["explain"]:
            self._explain(options["explain"], on=on)
        else:
            self._sweep(on=on, at=at)

    def _sweep(self, *, on: date, at: datetime) -> None:
        with context.acting(channel="command"):
            report = alerts.sweep(on=on, at=at)
        self.stdout.write(
            f"{on}: {report.raised} alerts raised ({report.late} late) for {report.shipments} shipments, "
            f"{report.messages} mails written"
        )

    def _explain(self, number: str, *, on: date) -> None:
        shipment = Shipment.objects.numbered(number).first()
        if shipment is None:
            raise CommandError(f"There is no shipment {number}.")
        state = "deleted" if shipment.deleted_at else shipment.get_status_display().lower()
        self.stdout.write(
            f"{shipment}: ETA {shipment.eta} (changed {shipment.eta_edit_count} times), {state}, "
            f"day {shipment.days_since_eta(on=on)} on {on}"
        )
        is_at_work = shipment.deleted_at is None and shipment.status == Status.ACTIVE
        for step, rungs in groupby(selectors.expected_rungs(shipment, on=on), key=lambda rung: rung.step):
            self.stdout.write(f"{step}, target {step.target_date}")
            for line in _ladder(list(rungs)) if is_at_work and not step.is_closed else _summary(list(rungs)):
                self.stdout.write(f"  {line}")
        superseded = Alert.objects.filter(shipment=shipment, eta_revision__lt=shipment.eta_edit_count).count()
        if superseded:
            self.stdout.write(f"{superseded} alerts of earlier ETAs are superseded.")


def _summary(rungs: Sequence[ExpectedRung]) -> Iterator[str]:
    """Say once why nothing is expected of a step, and what had been raised."""
    raised = [alert for rung in rungs for alert in rung.alerts]
    states = ", ".join(sorted({alert.state for alert in raised}))
    yield f"{rungs[0].reason}: nothing to raise" + (f"; {len(raised)} alerts are {states}" if raised else "")


def _ladder(rungs: Sequence[ExpectedRung]) -> Iterator[str]:
    """One line per rung; days of one rule that follow each other and tell the same people share a line."""

    def alike(rung: ExpectedRung) -> tuple[int, str, str]:
        return rung.rule.pk, rung.reason, _told(rung)

    for (_, reason, told), found in groupby(rungs, key=alike):
        days = list(found)
        first, last = days[0], days[-1]
        when = f"{first.day}" if first is last else f"{first.day}–{last.day}"
        dates = f"{first.due_on}" if first is last else f"{first.due_on} to {last.due_on}"
        yield f"day {when:5} {dates:24} {first.rule.severity:8} {reason} → {told}"


def _told(rung: ExpectedRung) -> str:
    if rung.alerts:
        return "; ".join(_became_of(alert) for alert in rung.alerts)
    return f"to be told: {', '.join(map(str, rung.recipients))}"


def _became_of(alert: Alert) -> str:
    words = [alert.state]
    if alert.is_late:
        words.append("late")
    if alert.is_acknowledged:
        promise = f", promised for {alert.promised_on}" if alert.promised_on else ""
        words.append(f"acknowledged by {alert.acknowledged_by}{promise}")
    return f"{alert.recipient_user} ({', '.join(words)})"

"""The messages about alerts, and a made-up mail of each."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Count, Min
from django.utils.translation import ngettext

from accounts.choices import Department
from alerts import selectors
from alerts.choices import MessageKind
from alerts.models import Alert
from clearance.clock import day_of
from outbox.choices import Severity
from outbox.messages import Kind
from outbox.models import Message
from outbox.rules import Compose, Content
from shipments.models import Shipment
from workflow.models import WorkflowStep


def _alerts(*, on: date, days: int, number: int) -> list[Alert]:
    """Shipments that arrived so many days ago, and a day earlier each, with a late step."""
    return [
        Alert(
            pk=pk,
            shipment=(shipment := _shipment(pk, eta=on - timedelta(days=days + pk - 1))),
            workflow_step=WorkflowStep(
                pk=pk,
                shipment=shipment,
                step_number=Decimal("11.0"),
                step_name="Bayan approved",
                department=Department.CUSTOMS,
                target_date=shipment.eta + timedelta(days=3),
            ),
            days_post_eta=days + pk - 1,
            severity=Severity.URGENT,
            due_on=on,
        )
        for pk in range(1, number + 1)
    ]


def _shipment(pk: int, *, eta: date) -> Shipment:
    number = f"SH-2026-{13 + pk:03}"
    return Shipment(
        pk=pk, shipment_number=number, principal="Al Noor Tyres", brand="Noor", eta=eta, container_count=pk + 1
    )


def _sample(*, days: int, number: int) -> Compose:
    def write(message: Message, at: datetime) -> Content | None:
        on = day_of(at)
        return selectors.written(message, _alerts(on=on, days=days, number=number), on=on)

    return write


def _about(messages: list[int]) -> dict[int, str]:
    """The shipment of a mail of its own, the number of a digest's alerts."""
    rows = Alert.objects.filter(outbox_message__in=messages).order_by().values("outbox_message", "outbox_message__kind")
    return {
        row["outbox_message"]: row["number"]
        if row["outbox_message__kind"] == MessageKind.SHIPMENT_ALERT
        else ngettext("%(count)d alert", "%(count)d alerts", row["alerts"]) % {"count": row["alerts"]}
        for row in rows.annotate(alerts=Count("pk"), number=Min("shipment__shipment_number"))
    }


KINDS = (
    Kind(
        code=MessageKind.DIGEST,
        name=MessageKind.DIGEST.label,
        compose=selectors.compose,
        sample=_sample(days=8, number=2),
        about=_about,
    ),
    Kind(
        code=MessageKind.SHIPMENT_ALERT,
        name=MessageKind.SHIPMENT_ALERT.label,
        compose=selectors.compose,
        sample=_sample(days=7, number=1),
        about=_about,
    ),
    Kind(code=MessageKind.URGENT_ALERT, name=MessageKind.URGENT_ALERT.label, compose=selectors.compose_text),
)

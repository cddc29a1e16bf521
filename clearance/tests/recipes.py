"""How tests get shipments and steps: through the desk (`registered`), or as a bare row (`shipment`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from model_bakery.recipe import Recipe

from accounts.models import User
from shipments import services as shipments
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import WorkflowStep

MUSCAT = ZoneInfo("Asia/Muscat")
NOON = datetime(2026, 3, 15, 12, tzinfo=MUSCAT)  # a Sunday, the first day of the working week
TODAY = NOON.date()
ETA = date(2026, 4, 1)

# Steps of the SOP that tests meet often.
INVOICE_RECEIVED = "1.6"  # Business Unit
SAILED = "2.2"  # follows `sail_date`
DAN_SENT = "4.0"  # Finance; waits for 3.5
BAYAN_SUBMITTED = "9.0"  # C&C, critical; waits for 2.5 and 6.2
COLLECTED = "14.0"  # C&C, critical, the last of them
POLICE_CHECK = "15.0"  # C&C, optional
CLAIM_NOTIFIED = "18.0"  # Stores, the last mandatory one

_numbers = count(1)


def number() -> str:
    """A shipment number that no other shipment of the run has."""
    return f"TBL-2026-{next(_numbers):04}"


# A bare row: no steps, no verb. For rules and reads that need no plan.
shipment = Recipe(
    Shipment,
    shipment_number=number,
    principal="Al Noor Tyres",
    brand="Noor",
    invoice_amount_omr=Decimal("12345.678"),
    eta=ETA,
    eta_change_reason="",
    cancel_reason="",
    created_at=NOON,
    updated_at=NOON,
)


def values(**changed: Any) -> dict[str, Any]:
    """What it takes to register a shipment: the required fields, and what a test adds or changes."""
    return {
        "shipment_number": number(),
        "principal": "Al Noor Tyres",
        "brand": "Noor",
        "invoice_amount_omr": Decimal("12345.678"),
        "eta": ETA,
    } | changed


def registered(*, by: User, at: datetime = NOON, **changed: Any) -> Shipment:
    """A shipment with its 34 steps, registered by the desk; read back, so that it has the database's columns."""
    new = shipments.register(values=values(**changed), by=by, at=at)
    return Shipment.objects.get(pk=new.pk)


def step(of: Shipment, number: str) -> WorkflowStep:
    """A step of a shipment by its number in the SOP, as it is now."""
    return WorkflowStep.objects.select_related("shipment", "template_step").get(
        shipment=of, step_number=Decimal(number)
    )


def record(of: Shipment, dates: Mapping[str, date], *, at: datetime = NOON) -> Shipment:
    """Date steps of any department as an import does, and settle the shipment: the quick way to a later state."""
    workflow.record_dates(dates={of.pk: {Decimal(number): on for number, on in dates.items()}}, at=at)
    workflow.settle(shipment_ids=[of.pk], at=at)
    return Shipment.objects.get(pk=of.pk)


def record_all_but(of: Shipment, *left_open: str, on: date = TODAY, at: datetime = NOON) -> Shipment:
    """Complete every mandatory step but these on one day."""
    mandatory = WorkflowStep.objects.filter(shipment=of, is_optional=False).values_list("step_number", flat=True)
    return record(of, {str(one): on for one in mandatory if str(one) not in left_open}, at=at)

"""Shipments with a past, written as bare rows: quick enough for hundreds of random histories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from django.core.cache import cache

from clearance.tests import recipes
from clearance.tests.recipes import MUSCAT
from shipments.choices import Status
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import TemplateStep, WorkflowStep, WorkflowTemplate

# Number, department, days from the ETA, critical, optional, predecessors.
PROCEDURE = (
    ("1.0", "BusinessUnit", -10, False, False, ()),
    ("2.0", "Finance", 0, False, False, ("1.0",)),
    ("3.0", "C&C", 2, False, True, ("2.0",)),
    ("4.0", "C&C", 4, True, False, ("1.0", "2.0", "3.0")),
    ("5.0", "Finance", 6, True, False, ("4.0",)),
    ("6.0", "C&C", 7, True, False, ("5.0",)),
    ("7.0", "Stores", 8, False, False, ("6.0",)),
)
NUMBERS = tuple(number for number, *_ in PROCEDURE)
OPTIONAL = "3.0"
CRITICAL = ("4.0", "5.0", "6.0")


def procedure(*, version: int = 1, has_critical: bool = True) -> list[TemplateStep]:
    """A short procedure of four departments; without critical steps, its shipments can't be judged."""
    template = WorkflowTemplate.objects.create(code="short", version=version, name="Short", created_at=recipes.NOON)
    return TemplateStep.objects.bulk_create(
        TemplateStep(
            template=template,
            step_number=Decimal(number),
            name=f"Step {number}",
            department=department,
            offset_days=offset,
            is_critical=is_critical and has_critical,
            is_optional=is_optional,
            depends_on=[Decimal(one) for one in before],
        )
        for number, department, offset, is_critical, is_optional, before in PROCEDURE
    )


@dataclass(frozen=True, slots=True)
class Past:
    """One shipment: `done` maps numbers of steps to days after the ETA; the others are open."""

    eta: date
    done: dict[str, int] = field(default_factory=dict)
    not_required: bool = False  # its optional step, if that isn't done
    containers: int | None = 1
    division_id: int | None = None
    principal: str = "Al Noor Tyres"
    is_cancelled: bool = False
    is_deleted: bool = False
    facts: Sequence[TemplateStep] = ()


def write(pasts: Iterable[Past], *, facts: Sequence[TemplateStep], on: date) -> list[Shipment]:
    """Write the shipments with their steps; nothing is done after `on`. `cleared_on` and status come from the desk."""
    at = datetime(on.year, on.month, on.day, 12, tzinfo=MUSCAT)
    pasts = list(pasts)
    shipments = Shipment.objects.bulk_create(
        Shipment(
            shipment_number=recipes.number(),
            principal=past.principal,
            brand="Noor",
            invoice_amount_omr=Decimal("12345.678"),
            eta=past.eta,
            container_count=past.containers,
            division_id=past.division_id,
            status=Status.CANCELLED if past.is_cancelled else Status.ACTIVE,
            deleted_at=at if past.is_deleted else None,
            created_at=at,
            updated_at=at,
        )
        for past in pasts
    )
    WorkflowStep.objects.bulk_create(
        _step(fact, shipment, past, on=on, at=at)
        for shipment, past in zip(shipments, pasts, strict=True)
        for fact in past.facts or facts
    )
    workflow.settle(shipment_ids=[shipment.pk for shipment in shipments], at=at)
    return shipments


def _step(fact: TemplateStep, shipment: Shipment, past: Past, *, on: date, at: datetime) -> WorkflowStep:
    days = past.done.get(str(fact.step_number))
    actual = None if days is None else min(past.eta + timedelta(days=days), on)
    not_required = fact.is_optional and past.not_required and actual is None
    is_closed = actual is not None or not_required
    return WorkflowStep(
        shipment=shipment,
        template_step=fact,
        step_number=fact.step_number,
        step_name=fact.name,
        department=fact.department,
        offset_days=fact.offset_days,
        is_critical=fact.is_critical,
        is_optional=fact.is_optional,
        target_date=past.eta + timedelta(days=fact.offset_days),
        actual_date=actual,
        not_required=not_required,
        completed_at=at if is_closed else None,
        completed_via="import" if is_closed else "",
        created_at=at,
        updated_at=at,
    )


def done_by(days: int, *, but: str = "") -> dict[str, int]:
    """Every mandatory step done so many days after the ETA (or `but` one left open)."""
    return {number: days for number in NUMBERS if number not in (OPTIONAL, but)}


def forget_what_was_kept() -> None:
    """Begin with an empty cache; nobody else's is touched."""
    cache.key_prefix = uuid4().hex

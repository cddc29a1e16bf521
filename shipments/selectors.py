"""Reads of shipments as plain rows, for lists and answers; what they are sorted by."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db.models import Case, DateField, DurationField, ExpressionWrapper, F, QuerySet, Value, When
from django.db.models.functions import Coalesce, ExtractDay, Greatest

from shipments import rules
from shipments.models import Shipment

COLUMNS = (
    "id",
    "shipment_number",
    "transport_mode",
    "principal",
    "brand",
    "supplier_invoice_number",
    "supplier_invoice_date",
    "lc_number",
    "lc_issuing_bank",
    "invoice_amount_omr",
    "customs_duty_omr",
    "vat_omr",
    "insurance_omr",
    "funds_required_omr",
    "bl_number",
    "vessel",
    "port_of_loading",
    "port_of_discharge",
    "sail_date",
    "container_count",
    "quantity",
    "quantity_unit",
    "eta",
    "ata",
    "eta_edit_count",
    "eta_change_reason",
    "status",
    "cancel_reason",
    "cleared_on",
    "created_by",
    "created_at",
    "updated_at",
    "version",
)


def rows(shipments: QuerySet[Shipment]) -> QuerySet[Shipment, dict[str, Any]]:
    """Select what an answer shows of each shipment, in one statement and without building models."""
    return shipments.values(*COLUMNS, "division__code")  # type: ignore[no-any-return]


def shown(found: Iterable[dict[str, Any]], *, on: date) -> list[dict[str, Any]]:
    """Finish rows for an answer: the division's code under its own name, and the risk of demurrage on that day."""
    for row in found:
        row["division"] = row.pop("division__code")
        row["risk"] = rules.risk(status=row["status"], cleared_on=row["cleared_on"], eta=row["eta"], on=on)
    return list(found)


def container_days(*, on: date, of: str = "shipment__") -> Case:
    """OMR at risk without the rate, which is the same for all: what `rules.omr_at_risk` computes, for sorting.

    Nothing once the shipment is cleared. `of` leads from the rows to their shipment; empty for shipments themselves.
    """
    since_eta = ExtractDay(ExpressionWrapper(Value(on, DateField()) - F(f"{of}eta"), DurationField()))
    days = Coalesce(F(f"{of}container_count"), 1) * Greatest(since_eta - rules.FREE_TIME_DAYS, 1)
    return Case(When(**{f"{of}cleared_on": None}, then=days), default=0)

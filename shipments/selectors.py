"""Reads of shipments as plain rows, for lists and answers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db.models import QuerySet

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
        row["risk"] = rules.risk(status=row["status"], eta=row["eta"], on=on)
    return list(found)

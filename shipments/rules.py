"""The field's rules about shipments: ETA, risk, money at risk. Pure; the day is always given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.rules import require_permission
from clearance import text
from clearance.errors import InvalidFields
from shipments.choices import EARLIEST_DATE, LATEST_DATE, Risk, Status
from shipments.errors import (
    EtaEditForbidden,
    EtaEditLimitReached,
    EtaInThePast,
    ShipmentCancelled,
    ShipmentCompleted,
)
from shipments.models import MAX_ETA_EDITS, Shipment

# What the Business Unit may amend; the ETA has a verb of its own.
AMENDABLE = (
    "shipment_number",
    "division",
    "transport_mode",
    "principal",
    "brand",
    "supplier_invoice_number",
    "supplier_invoice_date",
    "lc_number",
    "lc_issuing_bank",
    "invoice_amount_omr",
    "bl_number",
    "vessel",
    "port_of_loading",
    "port_of_discharge",
    "sail_date",
    "container_count",
    "quantity",
    "quantity_unit",
    "ata",
)

# Fields whose texts are numbers, written in one form at every door.
NUMBERS = frozenset({"shipment_number", "supplier_invoice_number", "lc_number", "bl_number"})

# Days after the ETA that cost nothing. Source: SOP, step 14.0 (collected on day 7, the last day before demurrage).
FREE_TIME_DAYS = 7

# The first day of each risk, counted from the ETA. Source: requirement C15.
RISK_FROM_DAY = (
    (FREE_TIME_DAYS + 1, Risk.DEMURRAGE),
    (FREE_TIME_DAYS, Risk.URGENT),
    (5, Risk.CRITICAL),
    (4, Risk.WARNING),
    (0, Risk.ON_TIME),
)


def require_eta_editor(by: User | None) -> None:
    """:raises EtaEditForbidden: the person isn't of the Business Unit; administrators aren't either.

    No override and no further role lets anybody else (C4); they are asked besides.

    :raises Forbidden: somebody of the Business Unit who is denied the permission.
    """
    if by is None or not by.is_in_business_unit():
        raise EtaEditForbidden
    require_permission(by, "shipments.change_eta")


def require_not_past(eta: date, *, today: date) -> None:
    """:raises EtaInThePast: the ETA lies before today in Muscat; today itself is fine."""
    if eta < today:
        raise EtaInThePast(eta=eta, today=today)


def require_believable_dates(values: Mapping[str, Any]) -> None:
    """:raises InvalidFields: naming every date among the values that only a slip in the year explains."""
    faults = {
        name: [
            _("The date {on} is not between {earliest} and {latest}. Check the year.").format(
                on=value, earliest=EARLIEST_DATE, latest=LATEST_DATE
            )
        ]
        for name, value in values.items()
        if isinstance(value, date) and not EARLIEST_DATE <= value <= LATEST_DATE
    }
    if faults:
        raise InvalidFields(faults)


def require_edit_left(shipment: Shipment) -> None:
    """:raises EtaEditLimitReached: all three changes are used."""
    if shipment.eta_edit_count >= MAX_ETA_EDITS:
        raise EtaEditLimitReached(number=shipment.shipment_number)


def require_not_cancelled(shipment: Shipment) -> None:
    """:raises ShipmentCancelled:"""
    if shipment.status == Status.CANCELLED:
        raise ShipmentCancelled(number=shipment.shipment_number)


def require_active(shipment: Shipment) -> None:
    """:raises ShipmentCancelled: :raises ShipmentCompleted:"""
    require_not_cancelled(shipment)
    if shipment.status == Status.COMPLETED:
        raise ShipmentCompleted(number=shipment.shipment_number)


def risk(*, status: str, cleared_on: date | None, eta: date, on: date) -> Risk | None:
    """How near an active shipment is to demurrage; None once it is cleared (its goods left the port) or withdrawn."""
    if status != Status.ACTIVE or cleared_on:
        return None
    days = (on - eta).days
    return next((risk for first_day, risk in RISK_FROM_DAY if days >= first_day), Risk.EXPECTED)


def omr_at_risk(*, container_count: int | None, eta: date, on: date, daily_rate_omr: Decimal) -> Decimal:
    """What demurrage costs, or would cost with its first day: containers (unknown = 1) x rate x days past day 7."""
    days_past = max((on - eta).days - FREE_TIME_DAYS, 1)
    return (container_count or 1) * daily_rate_omr * days_past


def normalised(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write texts and numbers in their one form, and several LC numbers in one way: `LC1, LC2`.

    What is no text of one line stays as it is, for the desk to refuse.
    """
    neat = {name: _neat(name, value) if isinstance(value, str) else value for name, value in values.items()}
    if numbers := neat.get("lc_number"):
        neat["lc_number"] = ", ".join(filter(None, (number.strip() for number in numbers.split(","))))
    return neat


def _neat(name: str, value: str) -> str:
    value = value.strip()
    if text.objection(value):
        return value
    return text.number(value) if name in NUMBERS else text.kept(value)


def differing(shipment: Shipment, values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep those of the values that the shipment doesn't hold already."""
    return {name: value for name, value in values.items() if getattr(shipment, name) != value}

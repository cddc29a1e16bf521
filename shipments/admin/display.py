"""How lists and pages tell of a shipment's arrival and of the money at risk."""

from __future__ import annotations

from datetime import date

from django.conf import settings

from clearance.admin.display import days_from, money, pill
from shipments import rules
from shipments.models import Shipment


def tell_risk(shipment: Shipment, *, on: date) -> None:
    """Give a shipment what lists and pages say of its arrival: `risk_now`, `risk_pill`, `days_told`, `omr_told`."""
    shipment.risk_now = rules.risk(status=shipment.status, cleared_on=shipment.cleared_on, eta=shipment.eta, on=on)
    shipment.risk_pill = pill(shipment.risk_now)
    shipment.days_told = days_from(shipment.eta, on=on)
    omr = rules.omr_at_risk(
        container_count=shipment.container_count,
        eta=shipment.eta,
        on=on,
        daily_rate_omr=settings.DEMURRAGE_DAILY_RATE_OMR,
    )
    shipment.omr_told = money(omr) if shipment.risk_now else "–"

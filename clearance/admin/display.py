"""How values look in lists and on pages: pills with words, money, dates told from today."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.conf import settings
from django.db.models import Choices
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from shipments import rules
from shipments.models import Shipment


def pill(choice: Choices | None) -> SafeString | str:
    """A coloured pill that says in words what its colour says."""
    return format_html('<span class="pill pill-{}">{}</span>', choice.value, choice.label) if choice else "–"


def money(amount: Decimal | None) -> str:
    """An amount with its three decimals and grouped thousands."""
    return "–" if amount is None else number_format(amount, 3, use_l10n=True, force_grouping=True)


def days_from(day: date, *, on: date) -> str:
    """Tell a date from today: in 3 days, today, 2 days ago."""
    days = (on - day).days
    if days == 0:
        return _("today")
    if days > 0:
        return ngettext("%(days)d day ago", "%(days)d days ago", days) % {"days": days}
    return ngettext("in %(days)d day", "in %(days)d days", -days) % {"days": -days}


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

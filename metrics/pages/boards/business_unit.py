"""The Business Unit’s board: are the ETAs true, and where does demurrage threaten."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from clearance.admin.display import money, pill
from metrics.pages.boards.parts import Fact, coming, list_of
from metrics.selectors import boards
from shipments.choices import Risk, Status
from shipments.models import Shipment

HEAT_LEVELS = 4
ACTIVE = {"status__exact": Status.ACTIVE.value}


def business_unit(request: HttpRequest, *, on: date) -> dict[str, Any]:
    found = boards.arrivals(request.user, on=on)
    facts = [
        Fact(
            found.unrecorded,
            _("ETA passed, arrival not recorded"),
            list_of(Shipment, arrives="unrecorded", **ACTIVE),
            is_bad=bool(found.unrecorded),
        ),
        Fact(found.moved, _("with a changed ETA"), list_of(Shipment, eta_changes="some", **ACTIVE)),
        Fact(
            found.fixed,
            _("whose ETA can’t be changed any more"),
            list_of(Shipment, eta_changes="none_left", **ACTIVE),
            is_bad=bool(found.fixed),
        ),
    ]
    return {
        "template": "admin/today/business_unit.html",
        "title": _("ETAs and risk"),
        "facts": facts,
        "chart": coming(
            found.coming,
            name="arrivals",
            title=_("Arrivals in the next fourteen days"),
            series=_("Shipments"),
            none=_("No shipment arrives in the next fourteen days."),
            some=lambda n: ngettext(
                "%(count)d shipment arrives in the next fourteen days. Busiest day: %(day)s (%(most)d).",
                "%(count)d shipments arrive in the next fourteen days. Busiest day: %(day)s (%(most)d).",
                n,
            ),
        ),
        "risks": [pill(risk) for risk in Risk],
        "divisions": _heat(found.divisions),
    }


def _heat(divisions: list[boards.DivisionRisk]) -> list[dict[str, Any]]:
    """Rows of the map: the more shipments in a place from day 4 on, the warmer; each leads to its list."""
    hot = [risk for risk in Risk if risk not in (Risk.EXPECTED, Risk.ON_TIME)]
    most = max((division.shipments[risk] for division in divisions for risk in hot), default=0)
    return [
        {
            "name": division.name or _("no division"),
            "omr": money(division.omr_at_risk),
            "places": [
                {
                    "risk": risk.label,
                    "shipments": count,
                    "heat": -(-count * HEAT_LEVELS // most) if risk in hot and count else 0,
                    "url": list_of(Shipment, risk=risk.value, **_of_division(division.division_id)),
                }
                for risk, count in division.shipments.items()
            ],
        }
        for division in divisions
    ]


def _of_division(division_id: int | None) -> dict[str, Any]:
    return {"division__isnull": True} if division_id is None else {"division__id__exact": division_id}

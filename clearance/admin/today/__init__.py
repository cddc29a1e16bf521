"""The first page: what waits for this person, the board of their department, and which shipments near demurrage."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest

from alerts.models import Alert, SweepRun
from clearance.admin.display import tell_risk
from clearance.admin.today import my_day
from clearance.admin.today.boards import BOARDS
from metrics.selectors import boards
from outbox.models import Message

if TYPE_CHECKING:
    from clearance.admin.site import ClearanceSite

MY_ALERTS = 5
NEAR_DEMURRAGE, OVERSEEN = 10, 20


def today(site: ClearanceSite, request: HttpRequest, *, on: date) -> dict[str, Any]:
    """What the first page shows; what it asks of the database doesn't grow with what is there."""
    if not request.user.has_perm("workflow.view_workflowstep"):
        return {"on": on}
    board = BOARDS.get(request.user.department)
    return {
        "on": on,
        "notices": _notices(site, request),
        **_my_alerts(site, request, on=on),
        **my_day.my_steps(site, request, on=on),
        "board": board(request, on=on) if board else None,
        **_near_demurrage(request, on=on),
    }


def _notices(site: ClearanceSite, request: HttpRequest) -> list[dict[str, Any]]:
    """What is wrong with the machinery that people rely on."""
    told = [site.get_model_admin(SweepRun).notice(request)]
    if request.user.has_perm("outbox.view_carrier"):
        told += site.get_model_admin(Message).notices(request)
    return [notice for notice in told if notice]


def _my_alerts(site: ClearanceSite, request: HttpRequest, *, on: date) -> dict[str, Any]:
    """My open alerts, the most money at risk first; nothing to count where the first of them are all."""
    alerts = site.get_model_admin(Alert).waiting_for(request, most=MY_ALERTS + 1)
    count = len(alerts)
    if count > MY_ALERTS:
        count = Alert.objects.visible_to(request.user, on=on).addressed_to(request.user, on=on).open().steps()
    return {"my_alerts": alerts[:MY_ALERTS], "my_alerts_count": count}


def _near_demurrage(request: HttpRequest, *, on: date) -> dict[str, Any]:
    most = OVERSEEN if request.user.has_oversight else NEAR_DEMURRAGE
    found, total = boards.demurrage_clock(request.user, on=on, most=most)
    for shipment in found:
        shipment.day = shipment.days_since_eta(on=on)
        tell_risk(shipment, on=on)
    return {"near_demurrage": found, "near_demurrage_count": total}

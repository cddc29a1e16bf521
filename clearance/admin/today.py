"""The first page: what waits for this person, and which shipments near demurrage."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q
from django.http import HttpRequest

from accounts.choices import WORKING_ROLES
from alerts.models import Alert, SweepRun
from clearance.admin.display import pill, tell_risk
from clearance.admin.lists import container_days
from outbox.models import Message
from shipments import rules
from shipments.choices import Risk
from shipments.models import Shipment
from workflow.choices import StepStatus
from workflow.models import WorkflowStep

if TYPE_CHECKING:
    from clearance.admin.site import ClearanceSite

MY_ALERTS = 5
MY_STEPS = 25
NEAR_DEMURRAGE = 10


def today(site: ClearanceSite, request: HttpRequest, *, on: date) -> dict[str, Any]:
    """What the first page shows, in at most six statements, and one more while the mail server is down."""
    if not request.user.has_perm("workflow.view_workflowstep"):
        return {"on": on}
    return {
        "on": on,
        "notices": _notices(site, request),
        **_my_alerts(site, request, on=on),
        **_my_steps(site, request, on=on),
        "near_demurrage": _near_demurrage(request, on=on),
    }


def _notices(site: ClearanceSite, request: HttpRequest) -> list[dict[str, Any]]:
    """What is wrong with the machinery that people rely on."""
    told = [site.get_model_admin(SweepRun).notice(request)]
    if request.user.has_perm("outbox.view_mailserver"):
        told.append(site.get_model_admin(Message).notice(request))
    return [notice for notice in told if notice]


def _my_alerts(site: ClearanceSite, request: HttpRequest, *, on: date) -> dict[str, Any]:
    """My open alerts, the most money at risk first; nothing to count where the first of them are all."""
    alerts = site.get_model_admin(Alert).waiting_for(request, most=MY_ALERTS + 1)
    count = len(alerts)
    if count > MY_ALERTS:
        count = Alert.objects.visible_to(request.user, on=on).addressed_to(request.user, on=on).open().steps()
    return {"my_alerts": alerts[:MY_ALERTS], "my_alerts_count": count}


def _my_steps(site: ClearanceSite, request: HttpRequest, *, on: date) -> dict[str, Any]:
    """My open steps, the most money at risk first, then the oldest."""
    if request.user.role not in WORKING_ROLES or request.user.has_oversight:
        return {"does_steps": False}
    mine = WorkflowStep.objects.listed_for(request.user).in_care_of(request.user, on=on).open().of_active_shipments()
    counts = mine.aggregate(
        overdue=Count("pk", filter=Q(target_date__lt=on, is_optional=False)),
        due_today=Count("pk", filter=Q(target_date=on)),
        due_this_week=Count("pk", filter=Q(target_date__gt=on, target_date__lte=on + timedelta(days=7))),
        others=Count("pk", filter=Q(target_date__gt=on + timedelta(days=7)) | Q(target_date__lt=on, is_optional=True)),
    )
    if not any(counts.values()):
        return {"does_steps": True, "counts": counts, "my_steps": []}
    page = site.get_model_admin(WorkflowStep)
    steps = list(
        mine.filter(target_date__lte=on + timedelta(days=7))
        .annotate(container_days=container_days(on=on))
        .select_related("shipment", "template_step")
        .with_status(on=on)
        .order_by("-container_days", "target_date", "id")[:MY_STEPS]
    )
    for step in steps:
        step.buttons = page.buttons(request, step, back=request.get_full_path())
        step.days_overdue = (on - step.target_date).days if step.status == StepStatus.OVERDUE else 0
        step.pill = pill(StepStatus(step.status))
        tell_risk(step.shipment, on=on)
    return {"does_steps": True, "counts": counts, "my_steps": steps}


def _near_demurrage(request: HttpRequest, *, on: date) -> list[Shipment]:
    found = list(
        Shipment.objects.visible_to(request.user)
        .active()
        .filter(eta__lte=on - timedelta(days=_first_day(Risk.WARNING)))
        .select_related("division")
        .order_by("eta", "id")[:NEAR_DEMURRAGE]
    )
    for shipment in found:
        tell_risk(shipment, on=on)
    return found


def _first_day(risk: Risk) -> int:
    return next(day for day, one in rules.RISK_FROM_DAY if one == risk)

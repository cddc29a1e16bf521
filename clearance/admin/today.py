"""The first page: what waits for this person, and which shipments near demurrage."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, DateField, DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Coalesce, ExtractDay, Greatest
from django.http import HttpRequest

from accounts.choices import WORKING_ROLES
from clearance.admin.display import pill, tell_risk
from shipments import rules
from shipments.choices import Risk
from shipments.models import Shipment
from workflow.choices import StepStatus
from workflow.models import WorkflowStep

if TYPE_CHECKING:
    from clearance.admin.site import ClearanceSite

MY_STEPS = 25
NEAR_DEMURRAGE = 10


def today(site: ClearanceSite, request: HttpRequest, *, on: date) -> dict[str, Any]:
    """What the first page shows, in at most three statements."""
    if not request.user.has_perm("workflow.view_workflowstep"):
        return {"on": on}
    return {
        "on": on,
        **_my_steps(site, request, on=on),
        "near_demurrage": _near_demurrage(request, on=on),
    }


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
        .annotate(container_days=_container_days(on=on))
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


def _container_days(*, on: date) -> Any:
    """OMR at risk without the rate, which is the same for all: what `rules.omr_at_risk` computes, for sorting."""
    since_eta = ExtractDay(ExpressionWrapper(Value(on, DateField()) - F("shipment__eta"), DurationField()))
    return Coalesce(F("shipment__container_count"), 1) * Greatest(since_eta - rules.FREE_TIME_DAYS, 1)


def _first_day(risk: Risk) -> int:
    return next(day for day, one in rules.RISK_FROM_DAY if one == risk)

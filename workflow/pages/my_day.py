"""My day: the open steps that are mine, whose turn it is, and who waits for whom."""

from __future__ import annotations

from datetime import date, timedelta

from django.contrib import admin
from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.choices import WORKING_ROLES, Department
from clearance.admin.display import pill
from clearance.admin.pages import Section
from shipments.admin.display import tell_risk
from shipments.models import Shipment
from shipments.selectors import container_days
from workflow import selectors as workflow
from workflow.choices import StepStatus
from workflow.models import WorkflowStep
from workflow.selectors import Turn

MOST_READ = 50  # of my steps whose turn it is, and of those that wait; the list has all of them
MY_STEPS = 15
WAITING = 8


def my_steps(request: HttpRequest, *, on: date) -> Section | None:
    """My open steps, the most money at risk first, then the oldest: those whose turn it is, and those that wait.

    A step that follows another one of mine comes along with that one.
    """
    user = request.user
    does_steps = user.role in WORKING_ROLES and not user.has_oversight
    if not does_steps or not user.has_perm("workflow.view_workflowstep"):
        return None
    mine = WorkflowStep.objects.listed_for(user).in_care_of(user, on=on).open().of_active_shipments()
    counts = mine.aggregate(
        overdue=Count("pk", filter=Q(target_date__lt=on, is_optional=False)),
        due_today=Count("pk", filter=Q(target_date=on)),
        due_this_week=Count("pk", filter=Q(target_date__gt=on, target_date__lte=on + timedelta(days=7))),
        others=Count("pk", filter=Q(target_date__gt=on + timedelta(days=7)) | Q(target_date__lt=on, is_optional=True)),
    )
    if not any(counts.values()):
        return _section(counts, [], [])
    steps = list(
        mine.filter(target_date__lte=on + timedelta(days=7))
        .annotate(container_days=container_days(on=on))
        .select_related("shipment", "template_step")
        .with_status(on=on)
        .with_hold()
        .annotate(
            place=Window(RowNumber(), partition_by=[F("is_held")], order_by=["-container_days", "target_date", "id"])
        )
        .filter(place__lte=MOST_READ)
        .order_by("-container_days", "target_date", "id")
    )
    turns = workflow.turns(steps, user=user, on=on)
    now = [turn for turn in turns if turn.is_now][:MY_STEPS]
    waiting = [turn for turn in turns if turn.waits_for][:WAITING]
    for turn in (*now, *waiting):
        _tell(turn, request, on=on)
    return _section(counts, [turn.step for turn in now], [turn.step for turn in waiting])


def _section(counts: dict[str, int], steps: list[WorkflowStep], waiting: list[WorkflowStep]) -> Section:
    links = [("my-steps", _("My steps")), *([("waiting", _("What I wait for"))] if waiting else [])]
    return Section("admin/today/my_day.html", {"counts": counts, "my_steps": steps, "waiting": waiting}, links)


def _tell(turn: Turn, request: HttpRequest, *, on: date) -> None:
    """Give a step what its row says."""
    step, page = turn.step, admin.site.get_model_admin(WorkflowStep)
    step.buttons = page.buttons(request, step, back=request.get_full_path())
    step.days_overdue = (on - step.target_date).days if step.status == StepStatus.OVERDUE else 0
    step.pill = pill(StepStatus(step.status))
    step.entry = Shipment._meta.get_field(name).verbose_name if (name := step.filled_by_field) else ""
    step.then = turn.then
    step.awaited_by = [(Department(row.department).label, row) for row in turn.awaited_by]
    step.waits_for = [
        (Department(row.department).label, max((on - row.target_date).days, 0), row) for row in turn.waits_for
    ]
    tell_risk(step.shipment, on=on)

"""Reads of steps as plain rows, for lists and answers."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db.models import F, QuerySet

from workflow.models import TemplateStep, WorkflowStep

COLUMNS = (
    "id",
    "shipment",
    "step_number",
    "step_name",
    "department",
    "offset_days",
    "target_date",
    "actual_date",
    "status",
    "is_critical",
    "is_optional",
    "not_required",
    "ppr_user",
    "apr_user",
    "completed_by",
    "on_behalf_of",
    "completed_at",
    "completed_via",
    "note",
    "created_at",
    "updated_at",
    "version",
)


def rows(steps: QuerySet[WorkflowStep], *, on: date) -> QuerySet[WorkflowStep, dict[str, Any]]:
    """Select what an answer shows of each step, with its status as of `on`, in one statement."""
    return steps.with_status(on=on).values(  # type: ignore[attr-defined,no-any-return]
        *COLUMNS,
        description=F("template_step__description"),
        filled_by_field=F("template_step__filled_by_field"),
        shipment_number=F("shipment__shipment_number"),
        ppr_name=F("ppr_user__full_name"),
        apr_name=F("apr_user__full_name"),
    )


def step_columns() -> list[tuple[str, str]]:
    """Number and name of every step of the procedures in use, in SOP order: the step columns of a tracker."""
    steps = TemplateStep.objects.filter(template__is_current=True).order_by("step_number", "template__code")
    names: dict[str, str] = {}
    for number, name in steps.values_list("step_number", "name"):
        names.setdefault(str(number), name)
    return list(names.items())

"""Reads of steps as plain rows, for lists and answers, and of their order within a shipment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db.models import Exists, F, OuterRef, QuerySet

from accounts.models import User
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


# Hand-overs ----------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Turn:
    """An open step in a person's care: what holds it up, and whom it holds up. Its neighbours are plain rows.

    `waits_for` are open predecessors in others' care; `then` are the person's own open steps that come after it,
    `awaited_by` the first mandatory steps of others.
    """

    step: WorkflowStep
    waits_for: list[Any] = field(default_factory=list)
    follows_own: bool = False
    then: list[Any] = field(default_factory=list)
    awaited_by: list[Any] = field(default_factory=list)

    @property
    def is_now(self) -> bool:
        """Nothing that comes before it is open."""
        return not self.waits_for and not self.follows_own


def turns(steps: Sequence[WorkflowStep], *, user: User, on: date) -> list[Turn]:
    """Tell of open steps in the care of `user` whose turn it is, in one statement for all of them."""
    mine = WorkflowStep.objects.in_care_of(user, on=on).filter(pk=OuterRef("pk"))
    rows = (
        WorkflowStep.objects.filter(shipment__in={step.shipment_id for step in steps})
        .open()
        .annotate(is_mine=Exists(mine), depends_on=F("template_step__depends_on"), ppr_name=F("ppr_user__full_name"))
        .order_by("step_number")
        .values_list(
            "pk", "shipment_id", "step_number", "step_name", "department", "target_date", "is_optional", "is_mine",
            "depends_on", "ppr_name", named=True,
        )
    )  # fmt: skip
    open_of: dict[int, list[Any]] = {}
    for row in rows if steps else ():
        open_of.setdefault(row.shipment_id, []).append(row)
    return [_turn(step, open_of.get(step.shipment_id, [])) for step in steps]


def _turn(step: WorkflowStep, open_steps: Sequence[Any]) -> Turn:
    turn = Turn(step)
    before = [row for row in open_steps if row.step_number in step.template_step.depends_on]
    turn.waits_for = [row for row in before if not row.is_mine]
    turn.follows_own = any(row.is_mine for row in before)
    for row in _after(step.step_number, open_steps):
        if row.is_mine:
            turn.then.append(row)
        elif not row.is_optional:
            turn.awaited_by.append(row)
    return turn


def _after(number: Any, open_steps: Sequence[Any]) -> Iterator[Any]:
    """Yield what waits for a step: directly, or for one's own steps that wait for it; in the order of the procedure.

    Predecessors have lower numbers than their successors: one pass finds all.
    """
    reached = {number}
    for row in open_steps:
        if not reached.isdisjoint(row.depends_on):
            yield row
            if row.is_mine:
                reached.add(row.step_number)

"""Completing a step, marking it as not required, reopening it.

Each verb locks the shipment first, then the step, and decides only then (docs/decisions/0005-lock-order.md).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from accounts import selectors as people
from accounts.models import User
from accounts.rules import require_permission
from alerts import services as alerts
from clearance import context
from clearance.clock import day_of
from clearance.constraints import explained
from clearance.errors import NotFound, ReasonMissing, VersionConflict, Versions, require_current
from shipments import rules as shipment_rules
from shipments.models import Shipment
from workflow import rules
from workflow.choices import CompletedVia
from workflow.errors import StepAlreadyNotRequired, StepNotCompleted, StepNotOptional
from workflow.models import WorkflowStep
from workflow.services.plan import REOPENED, settle


@dataclass(frozen=True, slots=True)
class Completion:
    """A completed step, and the predecessors that are still open: unusual, but allowed (C11)."""

    step: WorkflowStep
    open_predecessors: list[WorkflowStep]


@transaction.atomic
def complete_step(
    *,
    step_id: int,
    by: User,
    at: datetime,
    actual_date: date | None = None,
    note: str = "",
    version: Versions = None,
) -> Completion:
    """Record that a step was done on `actual_date` (default: today). Open predecessors don't block it.

    The shipment is completed with its last mandatory step.

    :raises NotFound: there is no such step, or it belongs to another division.
    :raises StepNotYours: `by` is neither PPR, APR, their substitute nor head of the step's department (C11); no
        permission makes another step one's own.
    :raises Forbidden: `by` lacks the permission.
    :raises StepCompletesOnEntry: the step follows a field of the shipment.
    :raises StepAlreadyCompleted: somebody was first.
    :raises ActualDateInTheFuture: :raises ActualDateTooEarly: the date can't be right.
    :raises ShipmentCancelled: the shipment is cancelled.
    :raises VersionConflict: the step is not at `version`.
    """
    today = day_of(at)
    actual_date = actual_date or today
    shipment, step = _lock(step_id, by)
    on_behalf_of = _require_closable(shipment, step, by=by, today=today, version=version)
    earliest = rules.earliest_actual_date(invoice_on=shipment.supplier_invoice_date, eta=shipment.eta)
    rules.require_believable_date(actual_date, earliest=earliest, today=today)

    with _remarking(step, on_behalf_of, note):
        _close(step, by=by, on_behalf_of=on_behalf_of, at=at, note=note, actual_date=actual_date, not_required=False)
        settle(shipment_ids=[shipment.pk], at=at)
    return Completion(_fresh(step), _open_predecessors(step))


@transaction.atomic
def mark_not_required(
    *, step_id: int, by: User, at: datetime, note: str = "", version: Versions = None
) -> WorkflowStep:
    """Record that an optional step isn't needed for this shipment; by the same people who could complete it.

    :raises StepNotOptional: the step is mandatory. :raises StepAlreadyNotRequired: it is marked.
    For the others see `complete_step`.
    """
    shipment, step = _lock(step_id, by)
    on_behalf_of = _require_closable(shipment, step, by=by, today=day_of(at), version=version)
    if not step.is_optional:
        raise StepNotOptional(step=step.step_number)
    if step.not_required:
        raise StepAlreadyNotRequired(step=step.step_number)

    with _remarking(step, on_behalf_of, note):
        _close(step, by=by, on_behalf_of=on_behalf_of, at=at, note=note, actual_date=None, not_required=True)
    return _fresh(step)


@transaction.atomic
def reopen_step(*, step_id: int, by: User, at: datetime, reason: str, version: Versions = None) -> WorkflowStep:
    """Take back that a step was completed or not required; a completed shipment becomes active with it.

    :raises Forbidden: `by` lacks the permission; by their role, heads and administrators have it (C13). Somebody else
        may be granted it by name, for their own department.
    :raises ReopeningForbidden: `by` is neither of the step's department nor an administrator.
    :raises ReasonMissing: no reason is given.
    :raises StepNotCompleted: the step is open.
    :raises StepCompletesOnEntry: the step follows a field of the shipment.
    :raises ShipmentCancelled: the shipment is cancelled.
    :raises VersionConflict: the step is not at `version`.
    """
    shipment, step = _lock(step_id, by)
    require_permission(by, "workflow.reopen_workflowstep")
    rules.require_reopener(step, by)
    if not reason.strip():
        raise ReasonMissing
    shipment_rules.require_not_cancelled(shipment)
    rules.require_by_hand(step)
    require_current(step.version, version)
    if not step.is_closed:
        raise StepNotCompleted(step=step.step_number)

    with context.remarking(reason=reason.strip()):
        _write(step, **REOPENED, note=reason.strip(), updated_at=at)
        settle(shipment_ids=[shipment.pk], at=at)
        alerts.evaluate(shipment_ids=[shipment.pk], at=at)
    return _fresh(step)


def _lock(step_id: int, by: User) -> tuple[Shipment, WorkflowStep]:
    """:raises NotFound: there is no such step in the sight of `by`."""
    shipment_id = WorkflowStep.objects.visible_to(by).filter(pk=step_id).values_list("shipment_id", flat=True).first()
    if shipment_id is None:
        raise NotFound
    shipment = Shipment.objects.visible_to(by).locked().filter(pk=shipment_id).first()
    if shipment is None:  # deleted, or moved to another division, while we waited for the lock
        raise NotFound
    return shipment, WorkflowStep.objects.locked().select_related("template_step").get(pk=step_id)


def _require_closable(
    shipment: Shipment, step: WorkflowStep, *, by: User, today: date, version: Versions
) -> int | None:
    """Check all that completing and marking have in common; return on whose behalf `by` acts."""
    on_behalf_of = rules.acts_for(step, by, stands_in_for=people.stands_in_for(by, on=today))
    require_permission(by, "workflow.complete_workflowstep")
    shipment_rules.require_not_cancelled(shipment)
    rules.require_by_hand(step)
    rules.require_not_completed(step)
    require_current(step.version, version)
    return on_behalf_of


def _remarking(step: WorkflowStep, on_behalf_of: int | None, note: str) -> AbstractContextManager[None]:
    """Have the trail say on whose behalf a step is closed, and what was noted."""
    absent = User.objects.get(pk=on_behalf_of).full_name if on_behalf_of else ""
    return context.remarking(reason=note, on_behalf_of=absent)


def _close(step: WorkflowStep, *, by: User, on_behalf_of: int | None, at: datetime, note: str, **state: Any) -> None:
    _write(
        step,
        **state,
        completed_by=by,
        on_behalf_of_id=on_behalf_of,
        completed_at=at,
        completed_via=CompletedVia.PERSON,
        note=note,
        updated_at=at,
    )


def _write(step: WorkflowStep, **values: Any) -> None:
    """Write the step if it still is at the version that was read; the lock makes sure of it, the WHERE proves it."""
    current = WorkflowStep.objects.filter(pk=step.pk, version=step.version)
    with explained(WorkflowStep):
        if not current.update(**values, version=F("version") + 1):
            raise VersionConflict(current=step.version)


def _fresh(step: WorkflowStep) -> WorkflowStep:
    return WorkflowStep.objects.select_related(
        "shipment", "template_step", "ppr_user", "apr_user", "completed_by", "on_behalf_of"
    ).get(pk=step.pk)


def _open_predecessors(step: WorkflowStep) -> list[WorkflowStep]:
    numbers = step.template_step.depends_on
    if not numbers:
        return []
    return list(
        WorkflowStep.objects.open().filter(shipment=step.shipment_id, step_number__in=numbers).order_by("step_number")
    )

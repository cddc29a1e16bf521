"""The field's rules about steps: which template, whose step, which dates. Pure; the day is always given."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

from accounts.models import User
from shipments.models import Shipment
from workflow.choices import Due
from workflow.errors import (
    ActualDateInTheFuture,
    ActualDateTooEarly,
    NoTemplate,
    ReopeningForbidden,
    StepAlreadyCompleted,
    StepCompletesOnEntry,
    StepNotYours,
)
from workflow.models import WorkflowStep, WorkflowTemplate


def choose_template(
    templates: Iterable[WorkflowTemplate], *, transport_mode: str, division_id: int | None
) -> WorkflowTemplate:
    """Choose the template in use that fits most closely: one for the division before one for the transport mode.

    :raises NoTemplate: none fits.
    """
    fitting = [
        template
        for template in templates
        if template.transport_mode in ("", transport_mode) and template.division_id in (None, division_id)
    ]
    if not fitting:
        raise NoTemplate
    return max(fitting, key=lambda template: (template.division_id is not None, template.transport_mode != ""))


def earliest_actual_date(*, invoice_on: date | None, eta: date) -> date:
    """The earliest believable date of a step: 1 January of the year before the invoice, else before the ETA."""
    return date((invoice_on or eta).year - 1, 1, 1)


def require_believable_date(actual_date: date, *, earliest: date, today: date) -> None:
    """:raises ActualDateInTheFuture: :raises ActualDateTooEarly: before `earliest`, see `earliest_actual_date`."""
    if actual_date > today:
        raise ActualDateInTheFuture(on=actual_date, today=today)
    if actual_date < earliest:
        raise ActualDateTooEarly(on=actual_date, earliest=earliest)


def due(target_date: date, *, on: date) -> Due:
    """Tell how near a step's target date is, seen from `on`; the same as the queryset's `due`."""
    days = (target_date - on).days
    if days <= 0:
        return Due.TODAY if days == 0 else Due.PAST
    return Due.WEEK if days <= 7 else Due.LATER


def acts_for(step: WorkflowStep, by: User, *, stands_in_for: Collection[int]) -> int | None:
    """Return on whose behalf `by` acts on the step (a user id), None if in their own right.

    `stands_in_for` are the people whom `by` substitutes that day.

    :raises StepNotYours: they may not at all.
    """
    if by.pk in (step.ppr_user_id, step.apr_user_id) or by.is_head_of(step.department):
        return None
    for absent in (step.ppr_user_id, step.apr_user_id):
        if absent in stands_in_for:
            return absent
    raise StepNotYours(step=step.step_number, department=step.get_department_display())


def may_reopen_in(department: str, by: User) -> bool:
    """Whether the permission to reopen reaches steps of a department: one's own; an administrator's reaches all."""
    return by.is_admin or by.department == department


def require_reopener(step: WorkflowStep, by: User) -> None:
    """:raises ReopeningForbidden: neither of the step's department nor an administrator."""
    if not may_reopen_in(step.department, by):
        raise ReopeningForbidden(step=step.step_number, department=step.get_department_display())


def require_by_hand(step: WorkflowStep) -> None:
    """:raises StepCompletesOnEntry: the step follows a field of the shipment."""
    if field := step.filled_by_field:
        name = Shipment._meta.get_field(field).verbose_name  # type: ignore[union-attr]
        raise StepCompletesOnEntry(step=step.step_number, field=name)


def require_not_completed(step: WorkflowStep) -> None:
    """:raises StepAlreadyCompleted:"""
    if step.actual_date is not None:
        raise StepAlreadyCompleted(step=step.step_number, on=step.actual_date, department=step.get_department_display())

"""Loading procedures as data: a changed procedure becomes a new version, and old shipments keep the old one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from accounts.models import Division, User
from accounts.rules import require_permission
from clearance.constraints import explained
from workflow.errors import TemplateNotValid
from workflow.models import TemplateStep, WorkflowTemplate


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One step of a procedure; see `workflow.models.TemplateStep`."""

    step_number: Decimal
    name: str
    description: str
    department: str
    offset_days: int
    is_critical: bool
    is_optional: bool
    filled_by_field: str
    depends_on: list[Decimal]


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """A procedure; without transport mode and division it serves every shipment that no other one fits."""

    code: str
    name: str
    steps: Sequence[StepFacts]
    transport_mode: str = ""
    division: Division | None = None


@transaction.atomic
def load_template(*, facts: TemplateFacts, at: datetime) -> WorkflowTemplate:
    """Load a procedure and use it for new shipments; only changed steps make a new version. Idempotent.

    :raises TemplateNotValid: a number occurs twice, or a predecessor is missing or comes in a circle.
    :raises ConstraintViolated: another procedure is in use for the same transport mode and division.
    """
    _require_sound(facts.steps)
    versions = WorkflowTemplate.objects.select_for_update().filter(code=facts.code).order_by("-version")
    newest = versions.first()
    if newest is not None and _facts_of(newest) == sorted(facts.steps, key=lambda step: step.step_number):
        newest.name, newest.transport_mode, newest.division = facts.name, facts.transport_mode, facts.division
        with explained(WorkflowTemplate):
            newest.save(update_fields=["name", "transport_mode", "division"])
        return newest
    versions.filter(is_current=True).update(is_current=False)
    with explained(WorkflowTemplate):
        template = WorkflowTemplate.objects.create(
            code=facts.code,
            version=newest.version + 1 if newest else 1,
            name=facts.name,
            transport_mode=facts.transport_mode,
            division=facts.division,
            is_current=True,
            created_at=at,
        )
    TemplateStep.objects.bulk_create(TemplateStep(template=template, **asdict(step)) for step in facts.steps)
    return template


@transaction.atomic
def use_template(*, template_id: int, by: User) -> WorkflowTemplate:
    """Use this version of a procedure for new shipments, instead of the one in use. Idempotent.

    :raises Forbidden: `by` isn't an administrator.
    :raises ConstraintViolated: another procedure is in use for the same transport mode and division.
    """
    require_permission(by, "workflow.change_workflowtemplate")
    template = WorkflowTemplate.objects.select_for_update().get(pk=template_id)
    WorkflowTemplate.objects.in_use().filter(code=template.code).exclude(pk=template.pk).update(is_current=False)
    template.is_current = True
    with explained(WorkflowTemplate):
        template.save(update_fields=["is_current"])
    return template


def _facts_of(template: WorkflowTemplate) -> list[StepFacts]:
    names = [one.name for one in fields(StepFacts)]
    return [StepFacts(**step) for step in template.steps.order_by("step_number").values(*names)]


def _require_sound(steps: Sequence[StepFacts]) -> None:
    """:raises TemplateNotValid: naming every fault."""
    numbers = [step.step_number for step in steps]
    faults = [f"step {number} occurs twice." for number in sorted({n for n in numbers if numbers.count(n) > 1})]
    earlier: set[Decimal] = set()
    for step in sorted(steps, key=lambda step: step.step_number):
        faults += [
            f"step {step.step_number} waits for {number}, which is no earlier step."
            for number in step.depends_on
            if number not in earlier
        ]
        earlier.add(step.step_number)
    if not steps:
        faults.append("it has no steps.")
    if faults:
        raise TemplateNotValid(reasons=" ".join(faults))

"""Who is responsible: the matrix and the fallback per department."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import connection, transaction

from accounts.choices import Department
from accounts.models import User
from accounts.rules import require_permission, require_person
from clearance.constraints import explained
from clearance.errors import Forbidden
from shipments.models import Shipment
from workflow.errors import NotYourDepartment
from workflow.models import DepartmentFallback, Responsibility, TemplateStep
from workflow.services.plan import DUTIES

_APPLY = f"""
    WITH {DUTIES}
    UPDATE workflow_workflowstep step
    SET ppr_user_id = duty.ppr_id, apr_user_id = duty.apr_id, version = step.version + 1, updated_at = %(at)s
    FROM shipments_shipment shipment, duties duty
    WHERE shipment.id = step.shipment_id AND shipment.status = 'active' AND shipment.deleted_at IS NULL
        AND duty.id = step.template_step_id AND duty.division_key = COALESCE(shipment.division_id, 0)
        AND step.actual_date IS NULL AND NOT step.not_required AND step.department = ANY(%(departments)s)
        AND (step.ppr_user_id, step.apr_user_id) IS DISTINCT FROM (duty.ppr_id, duty.apr_id)
"""


@transaction.atomic
def apply_responsibilities(*, departments: Collection[str], by: User, at: datetime) -> int:
    """Assign the open steps of the departments' active shipments as the matrix says today; return how many changed.

    Locks the shipments first, like every verb that writes steps.

    :raises Forbidden: `by` lacks the permission, which heads and administrators have by their role, or is no
        administrator and of another department than one of these.
    """
    require_permission(by, "workflow.change_departmentfallback")
    if not by.is_admin and set(departments) - {by.department}:
        raise Forbidden
    list(Shipment.objects.active().locked().order_by("id").values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(_APPLY, {"departments": list(departments), "at": at})
        return int(cursor.rowcount)


@transaction.atomic
def save_duty(*, duty: Responsibility | DepartmentFallback, by: User) -> None:
    """Save a row of the matrix or a fallback; it counts for new shipments until it is applied to open steps.

    :raises NotYourDepartment: as `require_assigner`. :raises NotAPerson: PPR or APR is a service account.
    """
    verb = "change" if duty.pk else "add"
    if duty.pk:
        require_assigner(verb, type(duty).objects.get(pk=duty.pk), by)  # nor is another department's row taken over
    require_assigner(verb, duty, by)
    require_person(duty.ppr, duty.apr)
    with explained(type(duty)):
        duty.save()


def remove_duty(*, duty: Responsibility | DepartmentFallback, by: User) -> None:
    """Remove a row of the matrix.

    :raises NotYourDepartment: as `require_assigner`.
    """
    require_assigner("delete", duty, by)
    duty.delete()


def require_assigner(verb: str, duty: Responsibility | DepartmentFallback, by: User) -> None:
    """:raises NotYourDepartment: `by` is neither an administrator nor of the step's department, or lacks the
    permission (add, change or delete), which heads and administrators have by their role.
    """
    may = by.has_perm(f"workflow.{verb}_{duty._meta.model_name}")
    if may and by.is_admin:
        return
    closed = [one for one in departments_of(duty) if not may or one != by.department]
    if closed or not may:
        label = Department(closed[0]).label if closed else "–"
        raise NotYourDepartment(step=getattr(duty, "step_number", "*"), department=label)


def departments_of(duty: Responsibility | DepartmentFallback) -> list[str]:
    """Return the departments whose steps a row concerns (a step may have moved between versions of a procedure)."""
    if isinstance(duty, DepartmentFallback):
        return [duty.department]
    return list(
        TemplateStep.objects.filter(template__code=duty.template_code, step_number=duty.step_number)
        .order_by()
        .values_list("department", flat=True)
        .distinct()
    )


@transaction.atomic
def load_fallbacks(*, pairs: Mapping[str, tuple[User, User]]) -> None:
    """Name PPR and APR per department where no fallback exists yet. Idempotent."""
    DepartmentFallback.objects.bulk_create(
        [DepartmentFallback(department=department, ppr=ppr, apr=apr) for department, (ppr, apr) in pairs.items()],
        ignore_conflicts=True,
    )

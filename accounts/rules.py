"""Who may do what: permissions by department and role, and the judgements about people that need no database."""

from __future__ import annotations

from collections.abc import Iterator

from accounts.choices import OVERSIGHT, Department, Role
from accounts.errors import AbsenceOfAnotherDepartment
from accounts.models import User

READ = frozenset(
    {
        "shipments.view_shipment",
        "workflow.view_workflowstep",
        "workflow.view_workflowtemplate",
        "workflow.view_templatestep",
        "workflow.view_responsibility",
        "workflow.view_departmentfallback",
        "accounts.view_division",
        "accounts.view_absence",
        "alerts.view_alert",
        "alerts.acknowledge_alert",
        "alerts.view_escalationrule",
        "alerts.view_holiday",
    }
)
OVERSEE = frozenset({"accounts.view_user", "alerts.view_sweeprun"})
COMPLETE = frozenset({"workflow.complete_workflowstep"})
LEAD = COMPLETE | {
    "workflow.reopen_workflowstep",
    "workflow.add_responsibility",
    "workflow.change_responsibility",
    "workflow.delete_responsibility",
    "workflow.change_departmentfallback",
    "accounts.add_absence",
    "accounts.change_absence",
    "accounts.delete_absence",
    "accounts.view_user",
}
REGISTER = frozenset(
    {
        "shipments.add_shipment",
        "shipments.change_shipment",
        "shipments.delete_shipment",
        "shipments.change_eta",
        "shipments.import_shipment",
    }
)
WITHDRAW = frozenset({"shipments.cancel_shipment", "shipments.restore_shipment"})
ADMINISTER = (
    WITHDRAW
    | LEAD - COMPLETE
    | {
        "workflow.add_departmentfallback",
        "workflow.delete_departmentfallback",
        "workflow.change_workflowtemplate",
        "accounts.add_user",
        "accounts.change_user",
        "accounts.add_division",
        "accounts.change_division",
        "accounts.view_signin",
        "alerts.add_escalationrule",
        "alerts.end_escalationrule",
        "alerts.add_holiday",
        "alerts.change_holiday",
        "alerts.delete_holiday",
        "alerts.view_sweeprun",
        "alerts.run_sweep",
        "outbox.view_message",
        "outbox.resend_message",
        "outbox.view_mailserver",
        "django_celery_beat.view_periodictask",
        "django_celery_beat.change_periodictask",
        "django_celery_beat.view_crontabschedule",
        "django_celery_beat.view_intervalschedule",
    }
)


def permissions_of(department: str, role: str) -> frozenset[str]:
    """Return the permissions (`app.codename`) that a role brings in a department.

    Source: requirements C3, C4, C11, C13, C14; identity I2.
    """
    if role == Role.ADMIN:
        return READ | ADMINISTER
    if not department:
        return frozenset()
    if role == Role.READ_ONLY or department in OVERSIGHT:
        return READ | OVERSEE if department in OVERSIGHT else READ
    granted = READ | COMPLETE
    if department == Department.BUSINESS_UNIT:
        granted |= REGISTER
    if role == Role.MANAGER:
        granted |= LEAD | (WITHDRAW if department == Department.BUSINESS_UNIT else frozenset())
    return granted


def require_absence_keeper(person: User, by: User) -> None:
    """:raises AbsenceOfAnotherDepartment: `by` is neither the head of the person's department nor an administrator."""
    if not (by.is_admin or by.is_head_of(person.department)):
        raise AbsenceOfAnotherDepartment(name=person, department=person.get_department_display() or "–")


def system_role_name(department: str, role: str) -> str:
    """Name the group that carries a role, for example `C&C PPR`; an administrator needs no department."""
    if role == Role.ADMIN:
        return "Administrator"
    return f"{department} {role}".strip()


def system_roles() -> Iterator[tuple[str, frozenset[str]]]:
    """Yield every system role with its permissions."""
    yield system_role_name("", Role.ADMIN), permissions_of("", Role.ADMIN)
    for department in Department.values:
        for role in Role.values:
            if role != Role.ADMIN:
                yield system_role_name(department, role), permissions_of(department, role)


_RESOURCES = {
    "shipment": "shipments",
    "workflowstep": "workflow_steps",
    "workflowtemplate": "workflow_templates",
    "templatestep": "template_steps",
    "responsibility": "responsibilities",
    "departmentfallback": "department_fallbacks",
    "user": "users",
    "division": "divisions",
    "absence": "absences",
    "signin": "sign_ins",
    "alert": "alerts",
    "escalationrule": "escalation_rules",
    "holiday": "holidays",
    "sweeprun": "sweep_runs",
    "message": "messages",
}


def api_name(permission: str) -> str:
    """Say a permission (`app.codename`) as the API does, for example `workflow_steps:complete`."""
    app, codename = permission.split(".")
    action, _, model = codename.rpartition("_")
    return f"{_RESOURCES[model]}:{action}" if model in _RESOURCES else f"{app}:{codename}"

"""Who may do what, what guards signing in, and the judgements about people that need no database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address as parsed

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.choices import OVERSIGHT, Department, Purpose, Role
from accounts.errors import AbsenceOfAnotherDepartment
from accounts.models import User

# Signing in (I5, I6) --------------------------------------------------------------------------------------------------
PASSWORDS_REMEMBERED = 5
TICKET_LIFETIME = {Purpose.RESET: timedelta(minutes=15), Purpose.VERIFY: timedelta(hours=24)}
MOST_TICKETS = 3  # links of one purpose that wait to be used
FORGOTTEN_AFTER = timedelta(hours=24)  # without another failure
_LOCKS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240))


def most_failures(*, account: str, source: str) -> int:
    """How many failures lock: of one account from one source; of it from anywhere; of any account from one source."""
    if account and source:
        return 5
    return 20 if account else 100  # a whole office may come from one address


def lock_time(locks: int) -> timedelta:
    """How long signing in is locked after so many locks before; it grows, up to four hours."""
    return _LOCKS[min(locks, len(_LOCKS) - 1)]


def source_of(ip_address: str | None) -> str:
    """Where guesses come from: an address; of IPv6 its first 64 bits, as whoever has one address there has them all."""
    if not ip_address:
        return "unknown"
    address = parsed(ip_address)
    if address.version == 4:
        return str(address)
    return f"{address.exploded[:19]}::/64"


class FourKindsOfCharacters:
    """A password has a capital and a small letter, a digit and another character, if only a space (I5).

    A validator of Django's.
    """

    def validate(self, password: str, user: User | None = None) -> None:
        kinds = (str.isupper, str.islower, str.isdecimal, lambda one: not one.isalnum())
        if not all(any(map(kind, password)) for kind in kinds):
            raise ValidationError(self.get_help_text(), code="password_lacks_a_kind")

    def get_help_text(self) -> str:
        return _("Use a capital letter, a small letter, a digit and a special character such as - or !.")


# Roles ---------------------------------------------------------------------------------------------------------------
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
        "metrics.view_metric",
    }
)
READ_TRAIL = frozenset({"audit.view_auditentry", "audit.view_seal"})
OVERSEE = READ_TRAIL | {"accounts.view_user", "alerts.view_sweeprun"}
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
    | READ_TRAIL
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
    "metric": "metrics",
    "auditentry": "audit",
    "seal": "seals",
}


def api_name(permission: str) -> str:
    """Say a permission (`app.codename`) as the API does, for example `workflow_steps:complete`."""
    app, codename = permission.split(".")
    action, _, model = codename.rpartition("_")
    return f"{_RESOURCES[model]}:{action}" if model in _RESOURCES else f"{app}:{codename}"

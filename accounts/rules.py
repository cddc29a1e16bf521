"""Who may do what, what guards signing in, and the judgements about people that need no database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_address as parsed
from ipaddress import ip_network
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts import rights
from accounts.choices import OVERSIGHT, Department, Purpose, Role
from accounts.errors import (
    AbsenceOfAnotherDepartment,
    AdministratorsOnly,
    BeyondYourRights,
    ExpiryNotValid,
    GraceTooLong,
    NetworkNotValid,
    NotAPerson,
    RoleNameTaken,
    SystemRoleIsFixed,
    UnknownRight,
)
from accounts.models import LONGEST_KEY, User
from clearance.errors import Forbidden, InvalidFields

# Signing in (I5, I6) --------------------------------------------------------------------------------------------------
PASSWORDS_REMEMBERED = 5
TICKET_LIFETIME = {
    Purpose.RESET: timedelta(minutes=15),
    Purpose.VERIFY: timedelta(hours=24),
    Purpose.INVITE: timedelta(hours=72),
}
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
ONES_OWN = ("phone", "language", "time_zone")  # what people change of themselves
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
        "accounts.manage_serviceaccount",
        "accounts.view_identityrule",
        "accounts.add_identityrule",
        "accounts.change_identityrule",
        "accounts.delete_identityrule",
        "alerts.add_escalationrule",
        "alerts.end_escalationrule",
        "alerts.add_holiday",
        "alerts.change_holiday",
        "alerts.delete_holiday",
        "alerts.view_sweeprun",
        "alerts.run_sweep",
        "outbox.view_message",
        "outbox.resend_message",
        "outbox.view_carrier",
        "outbox.view_smstemplate",
        "outbox.change_smstemplate",
        "django_celery_beat.view_periodictask",
        "django_celery_beat.change_periodictask",
        "django_celery_beat.view_crontabschedule",
        "django_celery_beat.view_intervalschedule",
    }
)


def permissions_of(department: str, role: str) -> frozenset[str]:
    """Return the permissions (`app.codename`) that a role brings in a department.

    Further roles and overrides add to them or take away. What an object allows (own division, step, department,
    alert; the ETA for the Business Unit only) is asked besides, whatever somebody's permissions.

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


def require_permission(by: User | None, permission: str) -> None:
    """:raises Forbidden: the person lacks the permission (`app.codename`); None is the system, which needs none."""
    if by is not None and not by.has_perm(permission):
        raise Forbidden


def require_absence_keeper(person: User, by: User, permission: str) -> None:
    """:raises AbsenceOfAnotherDepartment: neither of the person's department nor an administrator, or without the
    permission, which heads and administrators have by their role.
    """
    is_near = by.is_admin or (person.department and by.department == person.department)
    if not (is_near and by.has_perm(permission)):
        raise AbsenceOfAnotherDepartment(name=person, department=person.get_department_display() or "–")


# Whoever looks after people gives nobody more than they have ----------------------------------------------------------
def require_may_touch(by: User | None, *roles: str) -> None:
    """:raises AdministratorsOnly: somebody else makes, changes or ends an administrator: one of the roles is theirs."""
    if by is not None and not by.is_admin and Role.ADMIN in roles:
        raise AdministratorsOnly


def require_holds(by: User | None, permissions: Iterable[str]) -> None:
    """:raises BeyondYourRights: somebody who is no administrator would give, or get at, what they don't have."""
    if by is None or by.is_admin:
        return
    if beyond := set(permissions) - by.get_all_permissions():
        told = sorted(rights.in_words(name.split(".")[1]) for name in beyond)
        raise BeyondYourRights(rights="; ".join(told))


def require_somebody_else(by: User | None, user: User) -> None:
    """:raises BeyondYourRights: somebody who is no administrator would give themselves another department or role."""
    if by is not None and not by.is_admin and by.pk == user.pk:
        raise BeyondYourRights(rights=_("another department or role for oneself"))


def require_within_sight(by: User | None, divisions: Collection[int]) -> None:
    """:raises BeyondYourRights: somebody limited to divisions would let another see more than these."""
    if by is None or by.is_admin or not by.own_divisions:
        return
    if not divisions or set(divisions) - by.own_divisions:
        raise BeyondYourRights(rights=_("shipments of other divisions"))


def require_reaches(by: User | None, person: User) -> None:
    """:raises BeyondYourRights: whoever gets at this person's account could do, or see, more than `by`."""
    require_holds(by, person.rights)
    require_within_sight(by, person.own_divisions)


def require_time_zone(name: str) -> None:
    """:raises InvalidFields: there is no such time zone."""
    if name not in _time_zones():
        raise InvalidFields({"time_zone": [_("There is no such time zone. Write it like Asia/Muscat.")]})


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


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


@cache
def system_role_names() -> frozenset[str]:
    return frozenset(name for name, _permissions in system_roles())


@cache
def grantable() -> frozenset[str]:
    """Every permission (`app.codename`) that means something here: those of the system roles."""
    return frozenset().union(*(permissions for _name, permissions in system_roles()))


def roles_with(permission: str) -> list[str]:
    """Name the system roles that bring a permission."""
    return [name for name, permissions in system_roles() if permission in permissions]


def require_custom(name: str) -> None:
    """:raises SystemRoleIsFixed: it is the name of a system role."""
    if name in system_role_names():
        raise SystemRoleIsFixed(name=name)


def require_free_name(name: str) -> None:
    """:raises RoleNameTaken: a system role is called so, in whatever letters."""
    if name.casefold() in {one.casefold() for one in system_role_names()}:
        raise RoleNameTaken(name=name)


def require_grantable(permissions: Collection[str]) -> None:
    """:raises UnknownRight: one of them (`app.codename`) isn't a permission that means something here."""
    if unknown := sorted(set(permissions) - grantable()):
        raise UnknownRight(names=", ".join(unknown))


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
    "serviceaccount": "service_accounts",
    "identityrule": "identity_rules",
    "alert": "alerts",
    "escalationrule": "escalation_rules",
    "holiday": "holidays",
    "sweeprun": "sweep_runs",
    "message": "messages",
    "smstemplate": "sms_templates",
    "metric": "metrics",
    "auditentry": "audit",
    "seal": "seals",
}


def api_name(permission: str) -> str:
    """Say a permission (`app.codename`) as the API does, for example `workflow_steps:complete`."""
    app, codename = permission.split(".")
    action, _, model = codename.rpartition("_")
    return f"{_RESOURCES[model]}:{action}" if model in _RESOURCES else f"{app}:{codename}"


def permissions_named(names: Collection[str]) -> frozenset[str]:
    """Return the permissions (`app.codename`) that the API calls by these names.

    :raises UnknownRight: naming those that it doesn't know.
    """
    known = {api_name(permission): permission for permission in grantable()}
    if unknown := sorted(set(names) - known.keys()):
        raise UnknownRight(names=", ".join(unknown))
    return frozenset(known[name] for name in names)


# Service accounts (I9) -----------------------------------------------------------------------------------------------
MOST_KEYS = 5  # good ones of an account at once
MOST_NETWORKS = 20
LONGEST_GRACE = timedelta(days=7)
SERVICE_ACCOUNT = "Service account"  # as the trail names their role


def acting_role(user: User) -> str:
    """Name the role that the trail tells of somebody who acts."""
    return SERVICE_ACCOUNT if user.is_service else system_role_name(user.department, user.role)


def require_person(*users: User | None) -> None:
    """:raises NotAPerson: one of them is a service account."""
    for user in users:
        if user is not None and user.is_service:
            raise NotAPerson(name=user)


def networks(written: Iterable[str]) -> list[str]:
    """Return networks in one way of writing each, without repetitions; a single address is a network of one.

    :raises NetworkNotValid: naming the first that is none.
    """
    found = []
    for text in written:
        try:
            found.append(str(ip_network(text.strip())))
        except ValueError as error:
            raise NetworkNotValid(network=text) from error
    return list(dict.fromkeys(found))


def is_within(address: str | None, allowed_networks: Collection[str]) -> bool:
    """Whether an address lies in one of the networks; without any network, every address does."""
    if not allowed_networks:
        return True
    return address is not None and any(parsed(address) in ip_network(network) for network in allowed_networks)


def require_expiry(expires_at: datetime, *, at: datetime) -> None:
    """:raises ExpiryNotValid: not after `at`, or more than a year after it."""
    if not at < expires_at <= at + LONGEST_KEY:
        raise ExpiryNotValid


def require_grace(grace: timedelta) -> None:
    """:raises GraceTooLong: more than a week."""
    if grace > LONGEST_GRACE:
        raise GraceTooLong(hours=LONGEST_GRACE // timedelta(hours=1))

"""The ways to raise what is due on a morning."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from datetime import time as time_of_day
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts import services as accounts
from accounts.choices import WORKING_DEPARTMENTS, Department, Role
from accounts.models import User
from alerts import rules
from alerts import services as alerts
from alerts.choices import Mail
from alerts.models import Alert, EscalationRule, Holiday
from shipments.models import Shipment
from workflow.models import WorkflowStep

MORNING = time_of_day(8)

_FIELDS = """
    shipment_id, workflow_step_id, rule_id, eta_revision, days_post_eta, recipient_user_id, severity, due_on, is_late,
    mail, outbox_message_id, created_at
"""


def take_on_the_others() -> None:
    """Whom the ladder reaches beside the PPR and the APR of a step."""
    offices = [(department, Role.MANAGER) for department in WORKING_DEPARTMENTS]
    offices += [(Department.INTERNAL_AUDIT, Role.READ_ONLY), (Department.MANAGEMENT, Role.MANAGER)]
    for department, role in offices:
        email = f"head.{department.name}@benchmarks.example"
        accounts.take_on(
            email=email, full_name=f"Head of {department.label}", department=department, role=role, by=None
        )


def _morning(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), MORNING, tzinfo=timezone.get_default_timezone())


def ours(day: str) -> dict[str, float]:
    """Sweep; say what was raised, how long it took and how many statements it needed."""
    statements = 0

    def count(execute: Callable[..., Any], statement: str, *given: Any) -> Any:
        nonlocal statements
        statements += not statement.startswith(("SAVEPOINT", "RELEASE"))  # in place of BEGIN and COMMIT in `ours_for`
        return execute(statement, *given)

    at = _morning(day)
    connection.ensure_connection()
    with connection.execute_wrapper(count):
        started = time.perf_counter()
        report = alerts.sweep(on=at.date(), at=at)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "raised": report.raised, "messages": report.messages, "statements": statements}


def ours_for(day: str, number: str) -> dict[str, float]:
    """Sweep with so many active shipments, then take back whatever that needed."""
    with transaction.atomic():
        few = Shipment.objects.order_by("pk")[: int(number)].values("pk")
        Shipment.objects.exclude(pk__in=few).update(status="cancelled")
        found = ours(day)
        transaction.set_rollback(True)
    return found


def floor() -> dict[str, float]:
    """Insert the alerts of a sweep that was saved before, with nothing to find out."""
    with connection.cursor() as cursor:
        started = time.perf_counter()
        cursor.execute(f"INSERT INTO alerts_alert ({_FIELDS}) SELECT {_FIELDS} FROM same_alerts")
        return {"seconds": time.perf_counter() - started}


def loop(day: str, number: str) -> dict[str, float]:
    """Do it shipment by shipment, each in a transaction: read its steps, look what is there, insert what isn't.

    A kind peer: who leads what is read once, the rows of a shipment go in together, and nobody is sent a mail.
    """
    holidays = frozenset(Holiday.objects.values_list("on", flat=True))
    ladder = list(EscalationRule.objects.all())
    offices = {audience: list(_holders(audience)) for audience in ("internal_audit", "management")}
    heads = {one.department: one.pk for one in User.objects.filter(role=Role.MANAGER)}
    at = _morning(day)
    raised, sample = 0, list(Shipment.objects.active().filter(eta__lte=at.date()).order_by("pk")[: int(number)])
    started = time.perf_counter()
    for shipment in sample:
        with transaction.atomic():
            raised += _raise(shipment, ladder, holidays, offices, heads, at=at)
    return {"seconds": time.perf_counter() - started, "raised_per_shipment": raised / len(sample)}


def _raise(
    shipment: Shipment,
    ladder: Iterable[EscalationRule],
    holidays: frozenset[date],
    offices: dict[str, list[int]],
    heads: dict[str, int],
    *,
    at: datetime,
) -> int:
    on = at.date()
    steps = list(shipment.steps.filter(is_critical=True, actual_date=None).select_related("ppr_user", "apr_user"))
    known = set(
        Alert.objects.filter(workflow_step__in=steps, eta_revision=shipment.eta_edit_count).values_list(
            "workflow_step", "rule", "days_post_eta", "recipient_user"
        )
    )
    new = []
    for rule in ladder:
        for day in range(rule.from_day, min(rule.until_day, (on - shipment.eta).days) + 1):
            due_on = rules.due_on(shipment.eta, day=day, holidays=holidays)
            for step in steps:
                told = {pk for audience in rule.audiences for pk in _told(audience, step, offices, heads)}
                new += [
                    Alert(
                        shipment=shipment,
                        workflow_step=step,
                        rule=rule,
                        eta_revision=shipment.eta_edit_count,
                        days_post_eta=day,
                        recipient_user_id=pk,
                        severity=rule.severity,
                        due_on=due_on,
                        is_late=due_on < on,
                        mail=Mail.NONE,
                        created_at=at,
                    )
                    for pk in told
                    if (step.pk, rule.pk, day, pk) not in known
                ]
    return len(Alert.objects.bulk_create(new, ignore_conflicts=True))


def _told(audience: str, step: WorkflowStep, offices: dict[str, list[int]], heads: dict[str, int]) -> list[int]:
    if audience == "head":
        return [heads[step.department]]
    if audience in offices:
        return offices[audience]
    person = step.ppr_user if audience == "ppr" else step.apr_user
    return [person.pk if person and person.is_active else heads[step.department]]


def _holders(audience: str) -> Iterator[int]:
    department = Department.INTERNAL_AUDIT if audience == "internal_audit" else Department.MANAGEMENT
    yield from User.objects.active().filter(department=department).values_list("pk", flat=True)

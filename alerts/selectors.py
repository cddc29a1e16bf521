"""Reads about alerts: what a mail says, what the ladder expects of a shipment, how the last sweep went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import connection
from django.db.models import F, Max, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone, translation
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.choices import Department, Role
from accounts.models import User
from alerts import rules
from alerts.choices import AlertState, Audience, MessageKind
from alerts.models import Alert, EscalationRule, Holiday, SweepRun
from clearance.clock import day_of
from outbox.choices import Delivery, SmsName
from outbox.errors import Undeliverable
from outbox.models import Message, SmsTemplate, WantedText
from outbox.rules import Content, mail
from outbox.rules import filled as fill
from shipments import rules as shipment_rules
from shipments.choices import Status
from shipments.models import Shipment
from workflow.models import WorkflowStep

LONGEST_SILENCE = timedelta(hours=26)
MOST_LINES = 50  # of one mail: the rest is in the inbox, and the commonest mail program cuts off what exceeds 102 KB


# What a mail says ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Line:
    """One alert as a mail or a page tells it."""

    alert: Alert
    shipment: Shipment
    step: WorkflowStep
    days_post_eta: int
    days_late: int
    last_free_on: date
    omr_at_risk: Decimal
    link: str

    @property
    def is_in_demurrage(self) -> bool:
        return self.days_post_eta > shipment_rules.FREE_TIME_DAYS


def compose(message: Message, at: datetime) -> Content | None:
    """Compose a digest or the mail about one shipment, in the recipient's language.

    What is no longer open is left out; None if nothing is left.
    """
    alerts = Alert.objects.open().filter(outbox_message=message)
    return written(message, alerts.select_related("shipment", "workflow_step"), on=day_of(at))


def written(message: Message, alerts: Iterable[Alert], *, on: date) -> Content | None:
    """Write a mail of alerts, saved or not; None if there are none."""
    lines = _lines(alerts, on=on)
    if not lines:
        return None
    admin = f"{settings.BASE_URL}/{settings.ADMIN_PATH}"
    given = {
        "recipient": message.recipient,
        "lines": lines[:MOST_LINES],
        "count": len(lines),
        "more": max(len(lines) - MOST_LINES, 0),
        "on": on,
        "omr_at_risk": _sum_at_risk(lines),
        "inbox": inbox(),
        "acknowledge": f"{admin}alerts/alert/verbs/acknowledge/?"
        + urlencode([("on", line.alert.pk) for line in lines[:MOST_LINES]]),
    }
    with translation.override(message.recipient.language):
        given["language"] = message.recipient.language
        given["is_rtl"] = translation.get_language_bidi()
        return mail(message.kind, subject=_subject(message, lines), given=given)


def compose_text(message: Message, at: datetime) -> Content | None:
    """Compose the text message of the urgent alerts that were raised to a person at one moment (the message's own).

    What is no longer open, and what the person wants no texts about any more, is left out; None if nothing is left.

    :raises Undeliverable: an administrator took the text out of use.
    """
    wanted = WantedText.objects.filter(user=message.recipient).values("severity")
    alerts = Alert.objects.open().filter(
        recipient_user=message.recipient, created_at=message.created_at, severity__in=wanted
    )
    template = SmsTemplate.objects.filter(name=SmsName.URGENT_ALERT, is_active=True).first()
    if template is None:
        raise Undeliverable(_("The text of this message is not in use."))
    return text_of(message, template, alerts.select_related("shipment", "workflow_step"), on=day_of(at))


def text_of(message: Message, template: SmsTemplate, alerts: Iterable[Alert], *, on: date) -> Content | None:
    """Fill in a text with what costs most of some alerts, saved or not, and with how many shipments there are."""
    lines = _lines(alerts, on=on)
    if not lines:
        return None
    first = lines[0]
    with translation.override(message.recipient.language):
        values = {
            "number": first.shipment.shipment_number,
            "step": f"{first.step.step_number} {first.step.step_name}",
            "omr": number_format(first.omr_at_risk, 3, force_grouping=True),
            "count": str(len({line.shipment.pk for line in lines})),
            "link": inbox(),
        }
    text = fill(template.name, template.content(message.recipient.language), values)
    return Content(subject="", text=text, html="")


def inbox() -> str:
    return f"{settings.BASE_URL}/{settings.ADMIN_PATH}alerts/alert/"


def _lines(alerts: Iterable[Alert], *, on: date) -> list[Line]:
    """Of several rungs of a step the highest; what costs most first."""
    of_step = {alert.workflow_step_id: alert for alert in sorted(alerts, key=lambda one: (one.days_post_eta, one.pk))}
    return sorted((_line(alert, on=on) for alert in of_step.values()), key=_by_cost)


def _by_cost(line: Line) -> tuple[Any, ...]:
    """What costs most first; the steps of a shipment together, in the order of their target dates."""
    return (-line.omr_at_risk, line.shipment.eta, line.shipment.pk, line.step.target_date, line.alert.pk)


def _sum_at_risk(lines: Iterable[Line]) -> Decimal:
    """Each shipment once, however many of its steps are open."""
    return sum({line.shipment.pk: line.omr_at_risk for line in lines}.values(), Decimal(0))


def _subject(message: Message, lines: list[Line]) -> str:
    """Say what is at stake; the first line is what costs most."""
    first = lines[0]
    if message.kind == MessageKind.DIGEST:
        sentence = ngettext(
            "{count} step still open, {omr} OMR at risk: {number}",
            "{count} steps still open, {omr} OMR at risk, first of all {number}",
            len(lines),
        )
    elif first.is_in_demurrage:
        sentence = _("Demurrage is running: {number}, {omr} OMR so far")
    else:
        sentence = _("Free time ends on {date}: {number}, then {omr} OMR a day")
    return sentence.format(
        count=len(lines),
        number=first.shipment.shipment_number,
        omr=number_format(_sum_at_risk(lines), 3, force_grouping=True),
        date=date_format(first.last_free_on),
    )


def _line(alert: Alert, *, on: date) -> Line:
    shipment, step = alert.shipment, alert.workflow_step
    return Line(
        alert=alert,
        shipment=shipment,
        step=step,
        days_post_eta=shipment.days_since_eta(on=on),
        days_late=max((on - step.target_date).days, 0),
        last_free_on=shipment.eta + timedelta(days=shipment_rules.FREE_TIME_DAYS),
        omr_at_risk=shipment_rules.omr_at_risk(
            container_count=shipment.container_count,
            eta=shipment.eta,
            on=on,
            daily_rate_omr=settings.DEMURRAGE_DAILY_RATE_OMR,
        ),
        link=f"{settings.BASE_URL}/{settings.ADMIN_PATH}shipments/shipment/{shipment.pk}/change/#step-{step.step_number}",
    )


# What the ladder expects ---------------------------------------------------------------------------------------------
# Rungs as arrays (`alerts.rules.columns`) → rows, with their places in the arrays.
RUNGS = """
    unnest(%(etas)s::date[], %(rules)s::bigint[], %(days)s::smallint[], %(due)s::date[]) WITH ORDINALITY
"""

# What steps must have in common to tell the same people, as one word to compare them by. `rungs` are places.
CREW = """
    {rungs} AS rungs, step.department, COALESCE(shipment.division_id, 0) AS division_key,
    COALESCE(step.ppr_user_id, 0) AS ppr_id, COALESCE(step.apr_user_id, 0) AS apr_id,
    ROW({rungs}, step.department, shipment.division_id, step.ppr_user_id, step.apr_user_id)::text AS crew
"""

# Whom rungs tell (`told`), given the steps and the rungs of each (`missing`, with `CREW`). It is worked out once per
# crew. A rule means a person or the holders of an office; who is meant is told, also while away.
#
# 1. A PPR or APR is meant if active and in sight of the shipment's division; an office are its active members who are.
#    Service accounts are never meant: nobody reads what is sent to them.
# 2. Who is away on the rung's date is stood in for by the substitute, if that one is there, active and in sight of it.
# 3. Where no person is meant, or the one who is can't be reached (away, nobody stands in): the head of the department.
# 4. Where nobody of the office can be reached either: the administrators. So every rung reaches somebody.
WHOM_THEY_TELL = f"""
    wanted AS MATERIALIZED (
        SELECT row_number() OVER () AS id, same.crew, number, rule.id AS rule_id, rule.severity,
               (%(days)s::smallint[])[number] AS day, (%(due)s::date[])[number] AS due_on, audience, same.department,
               same.division_key,
               CASE audience WHEN '{Audience.PPR}' THEN same.ppr_id WHEN '{Audience.APR}' THEN same.apr_id END
                   AS named_id
        FROM (SELECT DISTINCT crew, rungs, department, division_key, ppr_id, apr_id FROM missing) AS same
        CROSS JOIN unnest(same.rungs) AS expected (number)
        JOIN alerts_escalationrule rule ON rule.id = (%(rules)s::bigint[])[number]
        CROSS JOIN unnest(rule.audiences) AS audience
    ),
    -- A division of 0 is none: everybody sees such shipments.
    sight AS MATERIALIZED (
        SELECT person.id AS user_id, person.department, person.role, division.key AS division_key
        FROM accounts_user person
        CROSS JOIN (SELECT 0 UNION ALL SELECT id FROM accounts_division) AS division (key)
        WHERE person.is_active AND NOT person.is_service AND (
            division.key = 0
            OR NOT EXISTS (SELECT FROM accounts_user_divisions own WHERE own.user_id = person.id)
            OR EXISTS (SELECT FROM accounts_user_divisions own
                       WHERE own.user_id = person.id AND own.division_id = division.key)
        )
    ),
    away AS MATERIALIZED (
        SELECT absence.user_id, due.due_on, due.division_key, substitute.user_id AS substitute_id
        FROM (SELECT DISTINCT due_on, division_key FROM wanted) AS due
        JOIN accounts_absence absence ON due.due_on BETWEEN absence.starts_on AND absence.ends_on
        LEFT JOIN sight substitute
            ON substitute.user_id = absence.substitute_id AND substitute.division_key = due.division_key
            AND NOT EXISTS (SELECT FROM accounts_absence other
                            WHERE other.user_id = absence.substitute_id
                                AND due.due_on BETWEEN other.starts_on AND other.ends_on)
    ),
    named AS MATERIALIZED (
        SELECT wanted.id, sight.user_id, away.substitute_id,
               away.user_id IS NULL OR away.substitute_id IS NOT NULL AS is_reached
        FROM wanted
        JOIN sight ON (sight.user_id, sight.division_key) = (wanted.named_id, wanted.division_key)
        LEFT JOIN away ON (away.user_id, away.due_on, away.division_key)
                        = (sight.user_id, wanted.due_on, wanted.division_key)
    ),
    office AS MATERIALIZED (
        SELECT wanted.id, sight.user_id, away.substitute_id,
               away.user_id IS NULL OR away.substitute_id IS NOT NULL AS is_reached
        FROM wanted
        JOIN sight ON sight.division_key = wanted.division_key AND CASE audience
            WHEN '{Audience.INTERNAL_AUDIT}' THEN sight.department = '{Department.INTERNAL_AUDIT}'
            WHEN '{Audience.MANAGEMENT}' THEN sight.department = '{Department.MANAGEMENT}'
            ELSE sight.department = wanted.department AND sight.role = '{Role.MANAGER}' END
        LEFT JOIN away ON (away.user_id, away.due_on, away.division_key)
                        = (sight.user_id, wanted.due_on, wanted.division_key)
        WHERE NOT EXISTS (SELECT FROM named WHERE named.id = wanted.id AND named.is_reached)
    ),
    told AS MATERIALIZED (
        SELECT DISTINCT wanted.crew, wanted.number, wanted.rule_id, wanted.severity, wanted.day, wanted.due_on,
               recipient.user_id
        FROM wanted
        JOIN (
            SELECT id, user_id FROM named
            UNION ALL
            SELECT id, substitute_id FROM named WHERE substitute_id IS NOT NULL
            UNION ALL
            SELECT id, user_id FROM office
            UNION ALL
            SELECT id, substitute_id FROM office WHERE substitute_id IS NOT NULL
            UNION ALL
            SELECT wanted.id, administrator.id
            FROM wanted
            JOIN accounts_user administrator ON administrator.is_active AND administrator.role = '{Role.ADMIN}'
            WHERE NOT EXISTS (SELECT FROM named WHERE named.id = wanted.id AND named.is_reached)
                AND NOT EXISTS (SELECT FROM office WHERE office.id = wanted.id AND office.is_reached)
        ) AS recipient USING (id)
    )
"""

_EXPECTED = f"""
    WITH missing AS (
        SELECT step.id AS step_id, {CREW.format(rungs="given.places")}
        FROM shipments_shipment shipment
        JOIN workflow_workflowstep step ON step.shipment_id = shipment.id AND step.is_critical
        CROSS JOIN (
            SELECT array_agg(rung.number) AS places FROM {RUNGS} AS rung (eta, rule_id, day, due_on, number)
        ) AS given
        WHERE shipment.id = %(shipment)s
    ),
    {WHOM_THEY_TELL}
    SELECT missing.step_id, told.number, array_agg(told.user_id)
    FROM missing JOIN told USING (crew)
    GROUP BY missing.step_id, told.number
"""


@dataclass(frozen=True, slots=True)
class ExpectedRung:
    """What one rule expects of one step: on which date and why then, whom it would tell now, and whom it has told."""

    step: WorkflowStep
    rule: EscalationRule
    day: int
    due_on: date
    reason: str
    recipients: list[User]
    alerts: list[Alert]


def expected_rungs(shipment: Shipment, *, on: date) -> list[ExpectedRung]:
    """Explain the ladder of a shipment: every rung of every critical step, due or not, in the order of the SOP.

    `recipients` is what a sweep would make of the present absences and appointments; `alerts` is what really was
    raised since the last ETA change, with `state`.
    """
    ladder = {rule.pk: rule for rule in EscalationRule.objects.all()}
    holidays = frozenset(Holiday.objects.values_list("on", flat=True))
    pulls_forward = settings.ALERTS_PULL_FORWARD
    rungs = [
        rules.DueRung(
            shipment.eta,
            rule.pk,
            day,
            rules.due_on(shipment.eta, day=day, holidays=holidays, pulls_forward=pulls_forward),
        )
        for rule in ladder.values()
        for day in range(rule.from_day, rule.until_day + 1)
    ]
    tells = _tells(shipment, rungs)
    raised: dict[tuple[int, int, int], list[Alert]] = {}
    current = Alert.objects.filter(shipment=shipment, eta_revision=shipment.eta_edit_count)
    for alert in current.with_state().select_related("recipient_user", "acknowledged_by").order_by("id"):
        raised.setdefault((alert.workflow_step_id, alert.rule_id, alert.days_post_eta), []).append(alert)
    return [
        ExpectedRung(
            step=step,
            rule=ladder[rung.rule_id],
            day=rung.day,
            due_on=rung.due_on,
            reason=_reason(shipment, step, ladder[rung.rule_id], rung, on=on),
            recipients=tells.get((step.pk, number), []),
            alerts=raised.get((step.pk, rung.rule_id, rung.day), []),
        )
        for step in shipment.steps.filter(is_critical=True).order_by("step_number")
        for number, rung in enumerate(rungs, start=1)
    ]


def _tells(shipment: Shipment, rungs: Sequence[rules.DueRung]) -> dict[tuple[int, int], list[User]]:
    """Return whom each rung (by its place, from 1) of each step would tell now, by name."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPECTED, {**rules.columns(rungs), "shipment": shipment.pk})
        found = cursor.fetchall()
    people = User.objects.in_bulk({user_id for _step, _number, user_ids in found for user_id in user_ids})
    return {
        (step_id, number): sorted((people[user_id] for user_id in user_ids), key=lambda user: user.full_name)
        for step_id, number, user_ids in found
    }


def _reason(shipment: Shipment, step: WorkflowStep, rule: EscalationRule, rung: rules.DueRung, *, on: date) -> str:
    """Say why a rung is due, or why it isn't: what became of the step first, then of the shipment, then of the rule."""
    nominal = rung.eta + timedelta(days=rung.day)
    due = _("due") if rung.due_on <= on else _("not due yet")
    if step.actual_date is not None:
        return _("the step was completed on {on}").format(on=step.actual_date)
    if shipment.deleted_at is not None or shipment.status != Status.ACTIVE:
        state = _("deleted") if shipment.deleted_at else shipment.get_status_display().lower()
        return _("the shipment is {state}").format(state=state)
    if rule.starts_on > rung.due_on:
        return _("the rule is in force from {on} on").format(on=rule.starts_on)
    if rule.ended_on is not None and rule.ended_on <= rung.due_on:
        return _("the rule ended on {on}").format(on=rule.ended_on)
    if rung.due_on < nominal:
        sentence = _("{due}, pulled forward from {weekday} {nominal}, a day off")
        return sentence.format(due=due, weekday=date_format(nominal, "l"), nominal=nominal)
    return due


# How the sweep is ----------------------------------------------------------------------------------------------------
def complete_sweeps() -> QuerySet[SweepRun]:
    """Select the sweeps of their own day that came to their end, the last one first.

    One for a day that was over already says nothing about what followed.
    """
    its_day = TruncDate("started_at", tzinfo=timezone.get_default_timezone())
    return SweepRun.objects.filter(on__gte=its_day, finished_at__isnull=False).order_by("-finished_at")


def last_complete_sweep() -> datetime | None:
    """Return when a sweep last came to its end; None if none ever did."""
    last: datetime | None = complete_sweeps().aggregate(last=Max("finished_at"))["last"]
    return last


def sweep_is_healthy(*, at: datetime) -> bool:
    """Whether a sweep came to its end within the last 26 hours.

    Where none ever did, there is something to miss as soon as a shipment is older than that.
    """
    last = last_complete_sweep()
    if last is None:
        return not Shipment.objects.filter(created_at__lte=at - LONGEST_SILENCE).exists()
    return last > at - LONGEST_SILENCE


# What an answer shows ------------------------------------------------------------------------------------------------
def told(*, number: str, step_number: Decimal, step_name: str, day: int) -> str:
    """Say in a sentence what an alert is about; `day` is that of its rung."""
    if day > shipment_rules.FREE_TIME_DAYS:
        sentence = _("Day {day} after the ETA of {number}, demurrage is running: step {step} is still open.")
    elif day == shipment_rules.FREE_TIME_DAYS:
        sentence = _("Day {day} after the ETA of {number}, the last free day: step {step} is still open.")
    else:
        sentence = _("Day {day} after the ETA of {number}: step {step} is still open.")
    return sentence.format(number=number, day=day, step=f"{step_number} “{step_name}”")


def rows(alerts: QuerySet[Alert]) -> QuerySet[Alert, dict[str, Any]]:
    """Select what an answer shows of each alert, in one statement; `shown` finishes it."""
    return alerts.with_state().values(  # type: ignore[attr-defined,no-any-return]
        "id",
        "shipment",
        "workflow_step",
        "severity",
        "recipient_user",
        "days_post_eta",
        "due_on",
        "is_late",
        "state",
        "acknowledged_at",
        "promised_on",
        "created_at",
        shipment_number=F("shipment__shipment_number"),
        eta=F("shipment__eta"),
        container_count=F("shipment__container_count"),
        step_number=F("workflow_step__step_number"),
        step_name=F("workflow_step__step_name"),
        delivery=F("outbox_message__delivery"),
        email_sent_at=F("outbox_message__sent_at"),
        email_retry_count=F("outbox_message__refusals"),
    )


def shown(found: Iterable[dict[str, Any]], *, on: date) -> list[dict[str, Any]]:
    """Finish rows for an answer: the sentence, the mail's delivery, and the OMR at risk on that day of an open one."""
    for row in found:
        eta, container_count = row.pop("eta"), row.pop("container_count")
        row["message"] = told(
            number=row["shipment_number"],
            step_number=row["step_number"],
            step_name=row["step_name"],
            day=row["days_post_eta"],
        )
        row["is_acknowledged"] = row["acknowledged_at"] is not None
        row["email_sent"] = row.pop("delivery") == Delivery.SENT
        row["email_retry_count"] = row["email_retry_count"] or 0
        row["omr_at_risk"] = None
        if row["state"] == AlertState.OPEN:
            row["omr_at_risk"] = shipment_rules.omr_at_risk(
                container_count=container_count, eta=eta, on=on, daily_rate_omr=settings.DEMURRAGE_DAILY_RATE_OMR
            )
    return list(found)

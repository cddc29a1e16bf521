"""The sweep: insert every alert that should exist by now and doesn't, with the mails that tell of it.

Nothing is marked and nothing is remembered between runs: what should exist follows from the ladder, the calendar and
the steps that are open now, and a unique key keeps it single. So the sweep can run never, once, or ten times at once,
and be killed anywhere. What follows from that:

- A day without a sweep is made up for by the next one, as of each rung's own date (who was away *then*); what is
  raised after its date is marked as late. The same holds for a shipment that was imported late, reopened or restored:
  it gets every rung of its past, because that is what its ladder looks like.
- Whom a rung alerts is fixed when it is first raised: later absences and appointments change later rungs only.
- A step that was completed while nothing swept gets nothing for those days: there is nobody left to warn.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from alerts import rules
from alerts.choices import Mail, MessageKind
from alerts.models import SweepRun
from alerts.selectors import CREW, RUNGS, WHOM_THEY_TELL
from clearance.clock import day_of
from outbox.choices import Channel, Delivery, SmsName
from outbox.rules import MOST_TEXTS_A_DAY

# Any number that no other part of the product locks.
_ONE_SWEEP_AT_A_TIME = 7_300_417

# Memory for the rungs of a large house, so that they are hashed and sorted there; hashing beats merging.
_BEGIN = """
    SELECT pg_advisory_xact_lock(%s), set_config('work_mem', '128MB', true), set_config('enable_mergejoin', 'off', true)
"""

# Compiling the statement that follows would take longer than running it.
_READ = """
    WITH arrived AS (
        SELECT eta, count(*) AS shipments FROM shipments_shipment
        WHERE status = 'active' AND deleted_at IS NULL AND eta <= %(on)s
            AND (%(shipments)s::bigint[] IS NULL OR id = ANY(%(shipments)s::bigint[]))
        GROUP BY eta
    )
    SELECT array(SELECT eta FROM arrived), (SELECT coalesce(sum(shipments), 0)::int FROM arrived),
           array(SELECT holiday."on" FROM alerts_holiday holiday),
           (SELECT coalesce(json_agg(rule), '[]')::text FROM alerts_escalationrule rule),
           set_config('jit', 'off', true)
"""

# Per step, the rungs that nobody was alerted of yet.
_MISSING = f"""
    missing AS MATERIALIZED (
        SELECT shipment.id AS shipment_id, step.id AS step_id, shipment.eta_edit_count AS revision,
               {CREW.format(rungs="array_agg(rung.number)")}
        FROM {RUNGS} AS rung (eta, rule_id, day, due_on, number)
        JOIN shipments_shipment shipment
            ON shipment.eta = rung.eta AND shipment.status = 'active' AND shipment.deleted_at IS NULL
            AND (%(shipments)s::bigint[] IS NULL OR shipment.id = ANY(%(shipments)s::bigint[]))
        JOIN workflow_workflowstep step
            ON step.shipment_id = shipment.id AND step.is_critical AND step.actual_date IS NULL
        WHERE NOT EXISTS (
            SELECT FROM alerts_alert raised
            WHERE raised.workflow_step_id = step.id AND raised.days_post_eta = rung.day
                AND raised.eta_revision = shipment.eta_edit_count AND raised.rule_id = rung.rule_id
        )
        GROUP BY shipment.id, step.id
    )
"""

# Of several missing rungs of a step, each person gets the highest by mail; the others are recorded. One digest per
# person, which also tells what waited for one; and a mail per person and shipment for the rungs that have their own.
#
# What a common table expression holds, the planner can only guess, and right after an import it guesses nothing at
# all: one row. So large ones are never joined with each other, where such a guess would cost hours: what belongs
# together stays in one row, and the mail's id is handed out by a window function.
#
# Whoever wants to be told of urgent alerts by text message as well gets one text for all that this run raised; it knows
# them by the moment they share with it. At most so many a day: the mail tells of the rest.
#
# Rows go in in the order of their key: neighbours in the index cost less, and two sessions that raise the same rungs
# can't wait for each other in a circle.
_RAISE = f"""
    WITH {_MISSING}, {WHOM_THEY_TELL},
    addressed AS MATERIALIZED (
        SELECT told.*, told.due_on < %(today)s AS is_late,
               CASE WHEN muted.id IS NOT NULL OR row_number() OVER (
                        PARTITION BY told.crew, told.user_id, muted.id IS NULL
                        ORDER BY day DESC, array_position(%(severities)s, told.severity::text) DESC, rule_id DESC
                    ) > 1 THEN '{Mail.NONE}'
                    WHEN day = ANY(%(own)s) AND due_on = %(today)s THEN '{Mail.OWN}'
                    ELSE '{Mail.DIGEST}' END AS mail
        FROM told
        LEFT JOIN outbox_mutedmail muted ON muted.user_id = told.user_id AND muted.severity = told.severity
    ),
    due AS (
        SELECT NULL::bigint AS alert_id, shipment_id, step_id, revision, rule_id, day, user_id, severity, due_on,
               is_late, mail, CASE mail WHEN '{Mail.OWN}' THEN shipment_id WHEN '{Mail.DIGEST}' THEN 0 END AS about_id
        FROM missing
        CROSS JOIN unnest(missing.rungs) AS expected (number)
        JOIN addressed USING (crew, number)
        UNION ALL
        SELECT id, NULL, NULL, NULL, NULL, NULL, recipient_user_id, NULL, NULL, NULL, mail, 0
        FROM alerts_alert
        WHERE outbox_message_id IS NULL AND mail = '{Mail.DIGEST}' AND mail = ANY(%(mails)s)
    ),
    letter AS MATERIALIZED (
        SELECT opened.*, max(opened.new_id) OVER (PARTITION BY user_id, about_id) AS message_id
        FROM (
            SELECT due.*,
                   CASE WHEN mail = ANY(%(mails)s)
                            AND row_number() OVER (PARTITION BY user_id, about_id) = 1
                        THEN nextval(pg_get_serial_sequence('outbox_message', 'id')) END AS new_id
            FROM due
        ) AS opened
    ),
    written AS (
        INSERT INTO outbox_message (
            id, channel, kind, recipient_id, message_id, cc, bcc, reply_to, delivery, not_before, refusals,
            last_refusal, provider_id, created_at
        )
        SELECT new_id, '{Channel.MAIL}',
               CASE mail WHEN '{Mail.OWN}' THEN '{MessageKind.SHIPMENT_ALERT}' ELSE '{MessageKind.DIGEST}' END, user_id,
               gen_random_uuid(), '{{}}', '{{}}', '{{}}', '{Delivery.WAITING}', %(at)s, 0, '', '', %(at)s
        FROM letter
        WHERE new_id IS NOT NULL
        RETURNING id
    ),
    joined AS (
        UPDATE alerts_alert alert SET outbox_message_id = letter.message_id FROM letter WHERE alert.id = letter.alert_id
    ),
    raised AS (
        INSERT INTO alerts_alert (
            shipment_id, workflow_step_id, rule_id, eta_revision, days_post_eta, recipient_user_id, severity, due_on,
            is_late, mail, outbox_message_id, created_at
        )
        SELECT shipment_id, step_id, rule_id, revision, day, user_id, severity, due_on, is_late, mail, message_id,
               %(at)s
        FROM letter
        WHERE alert_id IS NULL
        ORDER BY step_id, day, rule_id, user_id
        ON CONFLICT DO NOTHING
        RETURNING is_late, recipient_user_id, severity
    ),
    reached AS MATERIALIZED (SELECT DISTINCT recipient_user_id AS user_id, severity FROM raised),
    texted AS (
        INSERT INTO outbox_message (
            channel, kind, recipient_id, message_id, cc, bcc, reply_to, delivery, not_before, refusals, last_refusal,
            provider_id, created_at
        )
        SELECT '{Channel.SMS}', '{MessageKind.URGENT_ALERT}', person.id, gen_random_uuid(), '{{}}', '{{}}', '{{}}',
               '{Delivery.WAITING}', %(at)s, 0, '', '', %(at)s
        FROM accounts_user person
        WHERE %(has_texts)s AND person.is_active AND person.phone <> ''
            AND EXISTS (SELECT FROM outbox_wantedtext wanted JOIN reached USING (user_id, severity)
                        WHERE wanted.user_id = person.id)
            AND EXISTS (SELECT FROM outbox_smstemplate text WHERE text.name = '{SmsName.URGENT_ALERT}' AND is_active)
            AND (SELECT count(*) < %(most_texts)s AND count(*) FILTER (WHERE earlier.created_at = %(at)s) = 0
                 FROM outbox_message earlier
                 WHERE earlier.recipient_id = person.id AND earlier.channel = '{Channel.SMS}'
                    AND earlier.created_at > %(at)s - interval '24 hours')
    )
    SELECT count(*), count(*) FILTER (WHERE is_late), (SELECT count(*) FROM written) FROM raised
"""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did: arrived active shipments that it looked at, alerts raised, of these late, mails written."""

    shipments: int
    raised: int
    late: int
    messages: int


def sweep(*, on: date, at: datetime) -> SweepReport:
    """Raise whatever should have been raised by `on` over all active shipments with an open critical step.

    One sweep works at a time; the others wait and find nothing left to do. Leaves a `SweepRun`, begun in a transaction
    of its own: a sweep that failed or was killed remains there as unfinished, and nothing else of it does.
    """
    started = time.monotonic()
    run = SweepRun.objects.create(on=on, started_at=at)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_BEGIN, [_ONE_SWEEP_AT_A_TIME])
        report = _raise(on=on, at=at, shipment_ids=None, with_digests=True)
        duration = timedelta(seconds=time.monotonic() - started)
        SweepRun.objects.filter(pk=run.pk).update(
            **asdict(report), finished_at=at + duration, duration_ms=duration // timedelta(milliseconds=1)
        )
    return report


def evaluate(*, shipment_ids: Collection[int], at: datetime) -> int:
    """Raise what these shipments are due by now, in the caller's transaction; return how many alerts.

    What has a mail of its own is written at once, the rest joins the next digest. The caller holds the shipments'
    locks.
    """
    if not shipment_ids:
        return 0
    return _raise(on=day_of(at), at=at, shipment_ids=list(shipment_ids), with_digests=False).raised


def _raise(*, on: date, at: datetime, shipment_ids: list[int] | None, with_digests: bool) -> SweepReport:
    """Raise what is missing by `on`; what was due before that day, or before today, is late."""
    with connection.cursor() as cursor:
        cursor.execute(_READ, {"on": on, "shipments": shipment_ids})
        etas, shipments, holidays, rule_rows, _jit = cursor.fetchone()
        due = rules.rungs_due(
            etas,
            [rules.LadderRule.from_row(row) for row in json.loads(rule_rows)],
            on=on,
            holidays=frozenset(holidays),
            pulls_forward=settings.ALERTS_PULL_FORWARD,
        )
        if not due and not with_digests:
            return SweepReport(shipments, 0, 0, 0)
        cursor.execute(
            _RAISE,
            {
                **rules.columns(due),
                "severities": list(rules.SEVERITIES),
                "own": list(rules.OWN_MAIL_DAYS),
                "mails": [Mail.OWN, Mail.DIGEST] if with_digests else [Mail.OWN],
                "shipments": shipment_ids,
                "today": max(on, day_of(at)),
                "has_texts": bool(settings.SMS_BACKEND),
                "most_texts": MOST_TEXTS_A_DAY,
                "at": at,
            },
        )
        raised, late, messages = cursor.fetchone()
        return SweepReport(shipments, raised, late, messages)

"""Reading the trail: of one record, of everything under a shipment, of some days; and how its sealing stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.db.models import Q, QuerySet
from django.db.models.functions import Cast
from django.utils import translation
from django.utils.translation import gettext

from accounts.models import Override, User
from alerts.models import Alert
from audit.choices import Action
from audit.models import AuditEntry, EvidencePack, Seal
from audit.operations import MIGRATION
from audit.rules import TRACKED
from clearance.clock import day_of, midnight
from clearance.denials import label_of
from outbox.models import Message
from outbox.rules import Content, mail
from shipments.models import Shipment
from workflow.models import WorkflowStep

SEALED_WITHIN = timedelta(minutes=5)  # it is every minute; later than this, something is wrong
# What entries are about: every kind of record that is tracked, its columns, and what else can be denied.
_DENIABLE = {"audit.auditentry", "audit.seal", "page"}
KINDS = sorted({label for label, tracked in TRACKED.items() if not tracked.link} | _DENIABLE | {MIGRATION})
# A late committer's entry is sealed within an hour, and there is at most a seal a minute (decision 0014), or a
# few in a row when many entries came at once.
_LATER_SEALS = 200


def about(record: models.Model) -> QuerySet[AuditEntry]:
    """What happened to one record, the newest first."""
    return AuditEntry.objects.filter(_entities(type(record), [record.pk]))


def under_shipment(
    shipment_id: int, *, alerts: QuerySet[Alert] | None = None, pack: EvidencePack | None = None
) -> QuerySet[AuditEntry]:
    """What happened to a shipment, its steps and its alerts (or only those in `alerts`), the newest first.

    What was denied about them is part of it; so is the `pack` that is made of it, if one is. A step or an alert that
    somebody removed from the database by hand is found by its own id only; the application removes none.
    """
    lies_under = lies_under_shipment(shipment_id, alerts=alerts)
    return AuditEntry.objects.filter(lies_under | _entities(EvidencePack, [pack.pk]) if pack else lies_under)


def under_person(user_id: int) -> QuerySet[AuditEntry]:
    """What happened to a person and to their overrides, the newest first; those taken back are part of it."""
    told = AuditEntry.objects.filter(entity_type=label_of(Override)).exclude(action=Action.DENIED)
    theirs = told.alias(told=Cast("changes", models.JSONField())).filter(told__user_id=user_id).order_by()
    overrides = Q(entity_type=label_of(Override), entity_id__in=theirs.values("entity_id"))
    return AuditEntry.objects.filter(_entities(User, [user_id]) | overrides)


def lies_under_shipment(shipment_id: int, *, alerts: QuerySet[Alert] | None = None) -> Q:
    """The condition of `under_shipment`: lists of ids, so that each is looked up in the index of records."""
    alerts = Alert.objects.all() if alerts is None else alerts
    steps = WorkflowStep.objects.filter(shipment=shipment_id).order_by()
    return (
        _entities(Shipment, [shipment_id])
        | _entities(WorkflowStep, steps.values_list("pk", flat=True))
        | _entities(Alert, alerts.filter(shipment=shipment_id).order_by().values_list("pk", flat=True))
    )


def _entities(model: type[models.Model], ids: QuerySet[models.Model, int] | list[int]) -> Q:
    return Q(entity_type=label_of(model), entity_id__in=[str(one) for one in ids])


def between(entries: QuerySet[AuditEntry], *, since: date | None, until: date | None) -> QuerySet[AuditEntry]:
    """Only the entries of these days in Muscat, both included; None leaves a side open."""
    if since:
        entries = entries.filter(at__gte=midnight(since))
    if until:
        entries = entries.filter(at__lt=midnight(until + timedelta(days=1)))
    return entries


def of_field(entries: QuerySet[AuditEntry], column: str) -> QuerySet[AuditEntry]:
    """Only the entries that tell of a column: what changed it, and what created or deleted the record with it."""
    # Most entries are ruled out as text: that takes a fraction of reading them as JSON.
    told = entries.exclude(action=Action.DENIED).alias(
        text=Cast("changes", models.TextField()), told=Cast("changes", models.JSONField())
    )
    return told.filter(text__contains=f'"{column}":', told__has_key=column)


def seal_of(entry: AuditEntry) -> Seal | None:
    """The seal that proves an entry; None: it waits for one."""
    later = Seal.objects.filter(highest_id__gte=entry.pk).order_by("highest_id", "number")[:_LATER_SEALS]
    return next((seal for seal in later if any(low <= entry.pk <= high for low, high in seal.ranges)), None)


@dataclass(frozen=True, slots=True)
class State:
    """How the trail stands: what was denied lately, the end of the chain, and what waits behind it."""

    denied_in_seven_days: int
    newest_seal: Seal | None
    waiting: int
    waiting_since: datetime | None
    is_behind: bool


def state(*, at: datetime) -> State:
    """How the trail stands at a moment, in one statement.

    Waiting are the entries after the newest seal; what a long transaction left behind it is told by `verify`.
    """
    since = midnight(day_of(at) - timedelta(days=6))
    with connection.cursor() as cursor:
        cursor.execute(_STATE, {"denied": Action.DENIED, "since": since})
        denied, waiting, waiting_since, *seal = cursor.fetchone()
    return State(
        denied_in_seven_days=denied,
        newest_seal=Seal(*seal) if seal[0] is not None else None,
        waiting=waiting,
        waiting_since=waiting_since,
        is_behind=waiting_since is not None and waiting_since < at - SEALED_WITHIN,
    )


def sealing_stands_still(*, at: datetime) -> bool:
    """Whether the first entry after the newest seal has waited for longer than it may; two rows are read for that."""
    sealed = Seal.objects.values_list("highest_id", flat=True).first() or 0
    waiting_since = AuditEntry.objects.filter(pk__gt=sealed).order_by("pk").values_list("at", flat=True).first()
    return waiting_since is not None and waiting_since < at - SEALED_WITHIN


_STATE = """
    SELECT denied.count, waiting.count, waiting.since, seal.*
    FROM (SELECT count(*) FROM audit_auditentry WHERE action = %(denied)s AND at >= %(since)s) AS denied
    LEFT JOIN (SELECT * FROM audit_seal ORDER BY number DESC LIMIT 1) AS seal ON true
    CROSS JOIN LATERAL (
        SELECT count(*), min(at) AS since FROM audit_auditentry WHERE id > coalesce(seal.highest_id, 0)
    ) AS waiting
"""


# One line per field --------------------------------------------------------------------------------------------------
def lines(entries: Iterable[AuditEntry], *, column: str = "") -> Iterator[dict[str, Any]]:
    """Tell entries field by field: a line for each column that was changed (or only for `column`).

    What was created, deleted or denied is one line of all its values. The lines of an entry share its id.
    """
    for entry in entries:
        for name, old, new in _fields(entry):
            if not (column and name) or name == column:
                yield {
                    "id": entry.pk,
                    "created_at": entry.at,
                    "entity_type": entry.entity_type,
                    "entity_id": entry.entity_id,
                    "action": entry.action,
                    "field_name": name,
                    "old_value": old,
                    "new_value": new,
                    "user": {"id": entry.user_id, "name": entry.user_name, "role": entry.user_role}
                    if entry.user_id
                    else None,
                    "on_behalf_of": entry.on_behalf_of,
                    "channel": entry.channel,
                    "ip_address": entry.ip_address,
                    "request_id": entry.request_id,
                    "import_batch": entry.import_batch,
                    "reason": entry.reason,
                }


def _fields(entry: AuditEntry) -> list[tuple[str | None, Any, Any]]:
    if entry.action == Action.CHANGED:
        return [(name, old, new) for name, (old, new) in entry.changes.items()]
    if entry.action == Action.DELETED:
        return [(None, entry.changes, None)]
    return [(None, None, entry.changes)]


# The daily mail of the newest seal -----------------------------------------------------------------------------------
def compose_anchor(message: Message, _at: datetime) -> Content | None:
    """Compose the mail that tells the newest seal as it was when the message was written, whenever it is sent."""
    seal = Seal.objects.filter(sealed_at__lte=message.created_at).order_by("-number").first()
    return anchor_mail(message, seal) if seal else None


def anchor_mail(message: Message, seal: Seal) -> Content:
    """Write the mail of a seal, saved or not."""
    with translation.override(message.recipient.language):
        given = {
            "recipient": message.recipient,
            "seal": seal,
            "seals": f"{settings.BASE_URL}/{settings.ADMIN_PATH}audit/seal/",
            "language": message.recipient.language,
            "is_rtl": translation.get_language_bidi(),
        }
        return mail(message.kind, subject=gettext("Trail: seal %(number)d") % {"number": seal.number}, given=given)

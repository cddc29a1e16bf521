"""What the trail says: entries since a moment, and what they should tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import Max, Model

from accounts import rules
from accounts.models import User
from audit.models import AuditEntry

ADDRESS = "203.0.113.9"
REQUEST = "request-of-a-test"


class _Ours:
    """Equal to the id that we gave a request, whatever the caller calls it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch("[0-9a-f]{32}", other) is not None

    __hash__ = None


OURS = _Ours()
# For Django's test client and DRF's alike.
FROM_THERE = {"REMOTE_ADDR": ADDRESS, "HTTP_X_REQUEST_ID": REQUEST}


@dataclass(frozen=True)
class Told:
    """What one entry should tell: at least these changes."""

    entity_type: str
    entity_id: str
    action: str
    changes: dict[str, Any] = field(default_factory=dict)

    def fits(self, entry: AuditEntry) -> bool:
        is_it = (self.entity_type, self.entity_id, self.action) == (entry.entity_type, entry.entity_id, entry.action)
        return is_it and self.changes.items() <= entry.changes.items()


def changed(record: Model, **changes: list[Any]) -> Told:
    """`vessel=[old, new]` of a record; of a link, `groups=[None, id]`."""
    return Told(record._meta.label_lower, str(record.pk), "changed", changes)


def created(record: Model, **values: Any) -> Told:
    return Told(record._meta.label_lower, str(record.pk), "created", values)


def deleted(record: Model, pk: Any, **values: Any) -> Told:
    return Told(record._meta.label_lower, str(pk), "deleted", values)


def moment(at: datetime) -> str:
    """A moment as the trail writes it: in UTC, without zeros at the end."""
    text = at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    return f"{text.rstrip('0').rstrip('.')}+00:00"


def last_id() -> int:
    found: int | None = AuditEntry.objects.aggregate(last=Max("pk"))["last"]
    return found or 0


def since(entry_id: int) -> list[AuditEntry]:
    """The entries after this one, in their order."""
    return list(AuditEntry.objects.filter(pk__gt=entry_id).order_by("pk"))


@contextmanager
def written() -> Iterator[list[AuditEntry]]:
    """Collect the entries that the block writes."""
    found: list[AuditEntry] = []
    before = last_id()
    yield found
    found.extend(since(before))


def role_of(user: User | None) -> str:
    return rules.acting_role(user) if user else ""

"""The daily mail of the newest seal to Internal Audit: what an attacker with the whole database can't take back."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from accounts.choices import Department
from accounts.models import User
from audit.choices import MessageKind
from audit.models import Seal
from clearance.clock import day_of, midnight
from outbox.models import Message


@transaction.atomic
def mail_anchor(*, at: datetime) -> int:
    """Write to everybody in Internal Audit which seal is the newest; once a day, however often it is asked.

    What the mail tells is the newest seal at `at`, also if it is sent later (`audit.selectors.compose_anchor`).
    Return how many mails were written.
    """
    begin = midnight(day_of(at))
    if not Seal.objects.exists():
        return 0
    today = Message.objects.filter(
        kind=MessageKind.SEAL_ANCHOR, created_at__gte=begin, created_at__lt=begin + timedelta(days=1)
    )
    # Their rows are locked, so that of two looks at once the second finds the mails of the first.
    people = User.objects.people().filter(is_active=True, department=Department.INTERNAL_AUDIT).order_by("pk")
    told = list(people.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))
    already = set(today.values_list("recipient_id", flat=True))
    written = Message.objects.bulk_create(
        Message(kind=MessageKind.SEAL_ANCHOR, recipient_id=pk, not_before=at, created_at=at)
        for pk in told
        if pk not in already
    )
    return len(written)

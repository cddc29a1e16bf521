"""Mails that tell people what was done to their account, so that they notice when it was somebody else."""

from __future__ import annotations

from datetime import datetime, timedelta

from accounts.choices import MessageKind
from accounts.models import User
from outbox.models import Message

_MOST_AN_HOUR = 5  # of one kind: whoever changes a password over and over floods nobody


def tell(user: User, kind: MessageKind, *, at: datetime) -> None:
    """Write somebody active a mail of this kind; within a transaction of the caller."""
    told = Message.objects.filter(recipient=user, kind=kind, created_at__gt=at - timedelta(hours=1))
    if user.is_active and told.count() < _MOST_AN_HOUR:
        Message.objects.create(recipient=user, kind=kind, not_before=at, created_at=at)

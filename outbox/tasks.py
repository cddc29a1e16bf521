"""Looking at the outbox."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from outbox import messages
from outbox import services as outbox
from outbox.choices import Channel


@shared_task
def deliver() -> dict[str, Any]:
    """Send the mails that wait in the outbox."""
    return _deliver(Channel.MAIL)


@shared_task
def deliver_texts() -> dict[str, Any]:
    """Send the text messages that wait in the outbox; apart, so that neither waits for the other's gateway."""
    return _deliver(Channel.SMS)


def _deliver(channel: Channel) -> dict[str, Any]:
    given = {"compose": messages.composers(), "lease": settings.MAIL_LEASE, "channel": channel}
    return asdict(outbox.deliver_due(at=timezone.now(), **given))

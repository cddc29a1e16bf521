"""The daily sweep, and looking at the outbox."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from alerts import services as alerts
from clearance.clock import day_of
from outbox import services as outbox
from outbox.choices import Channel
from outbox.selectors import COMPOSE


@shared_task
def sweep() -> dict[str, Any]:
    """Raise what is due today."""
    at = timezone.now()
    return asdict(alerts.sweep(on=day_of(at), at=at))


@shared_task
def deliver() -> dict[str, Any]:
    """Send the mails that wait in the outbox."""
    return asdict(outbox.deliver_due(at=timezone.now(), compose=COMPOSE, lease=settings.MAIL_LEASE))


@shared_task
def deliver_texts() -> dict[str, Any]:
    """Send the text messages that wait in the outbox; apart, so that neither waits for the other's carrier."""
    given = {"compose": COMPOSE, "lease": settings.MAIL_LEASE, "channel": Channel.SMS}
    return asdict(outbox.deliver_due(at=timezone.now(), **given))

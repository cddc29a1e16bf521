"""Sealing the trail every minute, and mailing the newest seal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from celery import shared_task
from django.utils import timezone

from audit import services as audit


@shared_task
def seal() -> dict[str, Any]:
    """Seal what was entered."""
    return asdict(audit.seal(at=timezone.now()))


@shared_task
def mail_anchor() -> int:
    """Write to Internal Audit which seal is the newest."""
    return audit.mail_anchor(at=timezone.now())

"""The daily sweep."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from celery import shared_task
from django.utils import timezone

from alerts import services as alerts
from clearance.clock import day_of


@shared_task
def sweep() -> dict[str, Any]:
    """Raise what is due today."""
    at = timezone.now()
    return asdict(alerts.sweep(on=day_of(at), at=at))

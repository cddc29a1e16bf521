"""Days in Oman: which one a moment falls on, when one begins. Doors read the clock and pass the moment on."""

from __future__ import annotations

from datetime import date, datetime, time

from django.utils import timezone


def day_of(at: datetime) -> date:
    """Return the date in Asia/Muscat at the moment `at`, whatever time zone the reader prefers."""
    return timezone.localdate(at, timezone.get_default_timezone())


def midnight(on: date) -> datetime:
    """Return the moment at which the day `on` begins in Asia/Muscat."""
    return datetime.combine(on, time.min, tzinfo=timezone.get_default_timezone())

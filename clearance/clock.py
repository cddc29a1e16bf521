"""What day it is in Oman at a given moment. Never reads the clock itself: doors do, and pass the moment on."""

from __future__ import annotations

from datetime import date, datetime

from django.utils import timezone


def day_of(at: datetime) -> date:
    """Return the date in Asia/Muscat at the moment `at`, whatever time zone the reader prefers."""
    return timezone.localdate(at, timezone.get_default_timezone())

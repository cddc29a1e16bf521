"""What beat wakes, and when: apps declare it in their `reference`; a schedule that somebody changed stays changed."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic:
    """A task that is woken each day `at` a time in Muscat (“08:00”), or `every` so many seconds.

    What no worker took within `expires` seconds is forgotten, where the next look does its work too.
    """

    name: str
    task: str
    at: str = ""
    every: int = 0
    expires: int | None = None

    def load(self) -> None:
        """Put it on the schedule, if nobody has yet."""
        when: dict[str, CrontabSchedule | IntervalSchedule]
        if self.at:
            hour, minute = (str(int(part)) for part in self.at.split(":"))
            daily = {"hour": hour, "minute": minute, "timezone": settings.TIME_ZONE}
            when = {"crontab": CrontabSchedule.objects.get_or_create(**daily)[0]}
        else:
            unit, seconds = next((unit, size) for unit, size in _UNITS if self.every % size == 0)
            span = {"every": self.every // seconds, "period": unit}
            when = {"interval": IntervalSchedule.objects.get_or_create(**span)[0]}
        given = {"task": self.task, "expire_seconds": self.expires, **when}
        PeriodicTask.objects.get_or_create(name=self.name, defaults=given)


_UNITS = ((IntervalSchedule.HOURS, 3600), (IntervalSchedule.MINUTES, 60), (IntervalSchedule.SECONDS, 1))

"""Load what every installation needs: what the apps bring in their `reference`, and the schedule of their tasks."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from clearance import context
from clearance.rooms import rooms


class Command(BaseCommand):
    help = "Load what every installation needs. Run it after every migrate; it changes nothing twice."

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        with context.acting(channel="command"), transaction.atomic():
            for room in rooms("reference"):
                if hasattr(room, "load") and (told := room.load(at=at)):
                    self.stdout.write(told)
                for task in getattr(room, "SCHEDULE", ()):
                    task.load()

"""Load what every installation needs: the system roles, the clearance procedure, the schedule."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from accounts import services as accounts
from workflow import imports
from workflow import services as workflow


class Command(BaseCommand):
    help = "Load system roles, procedure and schedule. Run it after every migrate; it changes nothing twice."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        accounts.load_system_roles()
        facts = imports.procedure(imports.SOP, code="clearance", name="Clearance of a shipment")
        template = workflow.load_template(facts=facts, at=timezone.now())
        schedule, _ = CrontabSchedule.objects.get_or_create(minute="30", hour="3", timezone=settings.TIME_ZONE)
        PeriodicTask.objects.get_or_create(
            name="Forget expired sign-ins",
            defaults={"task": "accounts.tasks.forget_expired_sign_ins", "crontab": schedule},
        )
        self.stdout.write(f"{template}: {len(facts.steps)} steps.")

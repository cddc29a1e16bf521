"""Load what every installation needs: system roles, the clearance procedure, ladder, holidays, texts, schedule."""

from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from accounts import services as accounts
from alerts import imports as alert_imports
from alerts import services as alerts
from clearance import context
from outbox import services as outbox
from workflow import imports
from workflow import services as workflow
from workflow.models import WorkflowTemplate


class Command(BaseCommand):
    help = "Load what every installation needs. Run it after every migrate; it changes nothing twice."

    def handle(self, *args: Any, **options: Any) -> None:
        with context.acting(channel="command"), transaction.atomic():
            template = self._load(at=timezone.now())
        self.stdout.write(f"{template}: {template.steps.count()} steps.")

    def _load(self, *, at: datetime) -> WorkflowTemplate:
        accounts.load_system_roles()
        facts = imports.procedure(imports.SOP, code="clearance", name="Clearance of a shipment")
        template = workflow.load_template(facts=facts, at=at)
        # In force for the past too: an imported shipment's ladder is explained from its ETA on.
        alerts.load_ladder(starts_on=date(2000, 1, 1))
        alerts.load_holidays(holidays=alert_imports.holidays(alert_imports.HOLIDAYS))
        outbox.load_texts()
        self._schedule()
        return template

    def _schedule(self) -> None:
        """Beat only says “look now”; whoever changed a schedule in the admin keeps it."""
        zone = settings.TIME_ZONE
        nightly, _ = CrontabSchedule.objects.get_or_create(minute="30", hour="3", timezone=zone)
        daily, _ = CrontabSchedule.objects.get_or_create(minute="0", hour="8", timezone=zone)
        early, _ = CrontabSchedule.objects.get_or_create(minute="0", hour="7", timezone=zone)
        often, _ = IntervalSchedule.objects.get_or_create(every=15, period=IntervalSchedule.SECONDS)
        hourly, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.HOURS)
        minutely, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.MINUTES)
        for name, task, when in (
            ("Forget expired sign-ins", "accounts.tasks.forget_expired_sign_ins", {"crontab": nightly}),
            ("Forget kept answers", "accounts.tasks.forget_kept_answers", {"interval": hourly}),
            ("Sweep", "alerts.tasks.sweep", {"crontab": daily}),
            # What no worker took in a minute is forgotten: the next look does its work too.
            ("Deliver mail", "alerts.tasks.deliver", {"interval": often, "expire_seconds": 60}),
            ("Deliver text messages", "alerts.tasks.deliver_texts", {"interval": often, "expire_seconds": 60}),
            ("Seal the trail", "audit.tasks.seal", {"interval": minutely, "expire_seconds": 60}),
            ("Mail the newest seal", "audit.tasks.mail_anchor", {"crontab": early}),
        ):
            PeriodicTask.objects.get_or_create(name=name, defaults={"task": task, **when})

"""Load the demonstration: people, divisions, responsibilities, and a tracker through the real import."""

from __future__ import annotations

import os
import secrets
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts import services as accounts
from accounts.choices import WORKING_DEPARTMENTS
from accounts.models import Division, User
from alerts import services as alerts
from alerts.models import Alert
from clearance import context, embedded
from clearance.clock import day_of
from outbox import services as outbox
from outbox.messages import composers
from shipments import services as shipments
from shipments.imports import workbook
from shipments.management import demonstration
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import TemplateStep

FOLDER = embedded.VAR / "demo"
DAYS = 6  # of history, today included


class Command(BaseCommand):
    help = "Load the demonstration (once) and print its sign-ins. Everybody and everything in it is made up."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demonstration has known sign-ins: it is loaded with DEBUG=1 only. Set DEMO=0.")
        at = timezone.now()
        password = self._password()
        with context.acting(channel="command"), transaction.atomic():
            people = self._people(password)
            if not Shipment.objects.exists():
                self._history(people, at=at)
                self._deeds(people, at=at)
        self._tell(password)

    def _password(self) -> str:
        """The given one, else the one of the first run, else a random one that the next run will find."""
        kept = FOLDER / "password"
        password = os.environ.get("DEMO_PASSWORD") or (kept.read_text().strip() if kept.exists() else "")
        password = password or f"Dhow-{secrets.token_hex(4)}-7"
        FOLDER.mkdir(parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(password + "\n")
        return password

    def _people(self, password: str) -> dict[str, User]:
        for code, name in demonstration.DIVISIONS:
            Division.objects.get_or_create(code=code, defaults={"name": name})
        known = {user.email: user for user in User.objects.filter(email__endswith="@clearance.example")}
        hashed = next((user.password for user in known.values() if user.check_password(password)), "")
        for member in demonstration.CAST:
            if member.email not in known:
                known[member.email] = accounts.take_on(
                    email=member.email,
                    full_name=member.full_name,
                    department=member.department,
                    role=member.role,
                    language=member.language,
                    by=None,
                )
        people = {member.name: known[member.email] for member in demonstration.CAST}
        if not hashed:
            # One hash for all of them: hashing is slow by design, and the password is the same.
            people["admin"].set_password(password)
            hashed = people["admin"].password
        User.objects.filter(email__in=known).exclude(password=hashed).update(password=hashed)
        prefix_of = {"BusinessUnit": "bu", "Finance": "finance", "C&C": "cc", "Stores": "stores"}
        pairs = {
            department: (people[f"{prefix_of[department]}.ppr"], people[f"{prefix_of[department]}.apr"])
            for department in WORKING_DEPARTMENTS
        }
        workflow.load_fallbacks(pairs=pairs)
        return people

    def _history(self, people: dict[str, User], *, at: datetime) -> None:
        """The last days as they were: every morning the tracker is imported, the sweep runs, the mail goes out."""
        steps = [
            (str(number), name, offset, is_optional)
            for number, name, offset, is_optional in TemplateStep.objects.filter(template__is_current=True)
            .order_by("step_number")
            .values_list("step_number", "name", "offset_days", "is_optional")
        ]
        tracker: Path = FOLDER / "tracker.xlsx"
        for days_ago in reversed(range(DAYS)):
            moment = at - timedelta(days=days_ago)
            day = day_of(moment)
            if day == day_of(at) - timedelta(days=1):
                self._somebody_goes_away(people, on=day)
            tracker.write_bytes(demonstration.tracker_workbook(around=day_of(at), as_of=day, steps=steps))
            accounts.note_actor(people["bu.ppr"])
            imported = workbook.import_workbook(tracker, name=tracker.name, by=people["bu.ppr"], at=moment)
            if imported.report.failed:
                raise CommandError(f"The demonstration does not import: {imported.report.faults[:3]}")
            with context.acting(channel="task"):
                alerts.sweep(on=day, at=moment)
                if settings.MAIL_BECOMES_FILES:  # to a real server, the worker sends it
                    outbox.deliver_due(at=moment, compose=composers(), lease=settings.MAIL_LEASE)

    def _somebody_goes_away(self, people: dict[str, User], *, on: date) -> None:
        accounts.note_actor(people["finance.head"])
        accounts.record_absence(
            user=people["finance.ppr"],
            starts_on=on,
            ends_on=on + timedelta(days=6),
            substitute=people["finance.apr"],
            by=people["finance.head"],
        )

    def _deeds(self, people: dict[str, User], *, at: datetime) -> None:
        """What people did today: ETAs moved, shipments cancelled, alerts acknowledged, a late step completed."""
        today = day_of(at)
        expected = list(Shipment.objects.active().filter(eta__gt=today).order_by("-eta")[:5])
        for edits, shipment in enumerate(expected[:3], 1):
            for day in range(1, edits + 1):
                self._move(shipment, shipment.eta + timedelta(days=day), people, at=at)
        for shipment in expected[3:]:
            self._cancel(shipment, people, at=at)
        on_ladder = {
            days: list(Shipment.objects.active().filter(eta=today - timedelta(days=days)).order_by("pk"))
            for days in (5, 6, 8)
        }
        # What becomes of alerts: superseded, withdrawn, resolved, acknowledged with a promise.
        self._move(on_ladder[5][-1], today + timedelta(days=3), people, at=at)
        self._cancel(on_ladder[6][-1], people, at=at)
        late = on_ladder[8][0].steps.filter(is_critical=True, actual_date=None).order_by("step_number").first()
        if late is not None:
            accounts.note_actor(late.ppr_user or people["cc.ppr"])
            workflow.complete_step(
                step_id=late.pk, by=late.ppr_user or people["cc.ppr"], at=at, note="Paid after a call to the bank"
            )
        mine = Alert.objects.open().addressed_to(people["cc.ppr"], on=today).newest_of_each_step().order_by("-id")
        accounts.note_actor(people["cc.ppr"])
        for days, alert in enumerate(mine[:2]):
            promised_on = today + timedelta(days=days)
            alerts.acknowledge(alert_id=alert.pk, by=people["cc.ppr"], at=at, promised_on=promised_on)

    def _move(self, shipment: Shipment, eta: date, people: dict[str, User], *, at: datetime) -> None:
        reason = "Vessel rolled to the next sailing"
        accounts.note_actor(people["bu.ppr"])
        shipments.change_eta(shipment_id=shipment.pk, eta=eta, by=people["bu.ppr"], at=at, reason=reason)

    def _cancel(self, shipment: Shipment, people: dict[str, User], *, at: datetime) -> None:
        reason = "Order withdrawn by the principal"
        accounts.note_actor(people["bu.head"])
        shipments.cancel(shipment_id=shipment.pk, reason=reason, by=people["bu.head"], at=at)

    def _tell(self, password: str) -> None:
        self.stdout.write("Sign in with one of these addresses and the password below:")
        for member in demonstration.CAST:
            place = f"{member.department or 'all departments'}, {member.role}"
            self.stdout.write(f"  {member.email:32} {member.full_name:20} {place}")
        self.stdout.write(f"Password: {password}")

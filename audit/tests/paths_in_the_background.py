"""Write paths: management commands and Celery tasks."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import Mock, patch

from django.contrib.auth.models import Group
from django.test import override_settings
from django.utils import timezone

from accounts import tasks as account_tasks
from accounts.models import SignIn, User
from alerts import tasks as alert_tasks
from alerts.models import Alert
from alerts.tests import late
from audit import services as audit
from audit import tasks as audit_tasks
from audit.tests.paths import Stage, path
from audit.tests.trails import Told, changed, created, deleted
from outbox import services as outbox
from outbox import tasks as outbox_tasks
from outbox.choices import Channel
from outbox.models import Message
from outbox.tests import mails
from shipments.management.commands import load_demo
from shipments.models import Shipment


@path("command create_admin")
def _(stage: Stage) -> list[Told]:
    with patch("accounts.management.commands.create_admin.getpass", return_value="Tall-ship-sails-9"):
        stage.commands("create_admin", "first@example.com", "Amal First")
    return [created(User.objects.get(email="first@example.com"), full_name="Amal First", role="Admin")]


@path("command load_reference_data")
def _(stage: Stage) -> list[Told]:
    group = Group.objects.get(name="C&C PPR")
    permission = group.permissions.first()
    group.permissions.remove(permission)
    stage.commands("load_reference_data")
    return [changed(group, permissions=[None, permission.pk])]


@path("command sweep")
def _(stage: Stage) -> list[Told]:
    late.shipment(by=stage.cast.bu_clerk, days=5)
    stage.commands("sweep")
    return [created(alert, severity=alert.severity) for alert in Alert.objects.all()]


@path("command import_shipments")
def _(stage: Stage) -> list[Told]:
    file = stage.folder / "tracker.xlsx"
    file.write_bytes(stage.tracker(["N-1", "Al Noor", "Noor", 1000, stage.day(10)]).read())
    stage.commands("import_shipments", file, "--as", stage.cast.bu_clerk.email, by=stage.cast.bu_clerk)
    return [created(Shipment.objects.get(shipment_number="N-1"), brand="Noor")]


@path("command import_shipments, in nobody's name")
def _(stage: Stage) -> list[Told]:
    file = stage.folder / "tracker.xlsx"
    file.write_bytes(stage.tracker(["N-1", "Al Noor", "Noor", 1000, stage.day(10)]).read())
    stage.commands("import_shipments", file)
    return [created(Shipment.objects.get(shipment_number="N-1"), brand="Noor")]


@path("command load_demo")
def _(stage: Stage) -> list[Told]:
    """Its people; what they then do, each in their own name, is the verbs' of the other paths."""
    theirs = patch.multiple(load_demo.Command, _history=Mock(), _deeds=Mock())
    with override_settings(DEBUG=True), patch.object(load_demo, "FOLDER", stage.folder), theirs:
        stage.commands("load_demo")
    return [created(User.objects.get(email="admin@clearance.example"), role="Admin")]


@path("task alerts.tasks.sweep")
def _(stage: Stage) -> list[Told]:
    late.shipment(by=stage.cast.bu_clerk, days=5)
    stage.sends(alert_tasks.sweep)
    return [created(alert, severity=alert.severity) for alert in Alert.objects.all()]


@path("task outbox.tasks.deliver")
def _(stage: Stage) -> list[Told]:
    late.shipment(by=stage.cast.bu_clerk, days=5)
    late.sweep()
    message = Message.objects.get(recipient=stage.cast.cc_clerk)
    stage.sends(outbox_tasks.deliver)
    return [changed(message, delivery=[message.delivery, mails.now(message).delivery])]


@path("task outbox.tasks.deliver_texts")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.auditor
    person.phone = "+96891234567"
    person.save()
    outbox.choose_channels(user=person, sms=["urgent"])
    late.shipment(by=stage.cast.bu_clerk, days=7)
    late.sweep()
    message = Message.objects.get(channel=Channel.SMS)
    stage.sends(outbox_tasks.deliver_texts)
    return [changed(message, delivery=["waiting", "sent"], provider_id=["", mails.now(message).provider_id])]


@path("task audit.tasks.mail_anchor")
def _(stage: Stage) -> list[Told]:
    audit.seal(at=stage.at)
    stage.sends(audit_tasks.mail_anchor)
    return [created(Message.objects.get(), recipient_id=stage.cast.auditor.pk)]


@path("task accounts.tasks.forget_expired_sign_ins")
def _(stage: Stage) -> list[Told]:
    long_ago = timezone.now() - timedelta(days=30)
    old = SignIn.objects.create(
        user=stage.cast.cc_clerk, created_at=long_ago, last_used_at=long_ago, expires_at=long_ago
    )
    stage.sends(account_tasks.forget_expired_sign_ins)
    return [deleted(old, old.pk, user_id=stage.cast.cc_clerk.pk)]

from __future__ import annotations

from email import message_from_bytes, policy
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from alerts.choices import AlertState
from alerts.models import Alert, SweepRun
from clearance.clock import day_of
from outbox.choices import Delivery, Severity
from outbox.models import Message
from shipments.management.commands import load_demo
from shipments.models import Shipment

pytestmark = pytest.mark.django_db


@pytest.fixture
def mail_folder(settings, monkeypatch, tmp_path):
    """The demonstration, loaded; where its mail went."""
    monkeypatch.setenv("DEMO_PASSWORD", "Dhow-example-7")
    monkeypatch.setattr(load_demo, "FOLDER", tmp_path / "demo")
    settings.DEBUG = True
    settings.EMAIL_BACKEND = "outbox.backends.MailFolder"
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    call_command("load_demo", stdout=StringIO())
    return settings.EMAIL_FILE_PATH


class TestTheDemonstration:
    def test_shows_every_state_of_the_ladder_with_its_mail(self, mail_folder):
        today = day_of(timezone.now())

        # Shipments on every day of the ladder, and beyond it.
        days = {(today - eta).days for eta in Shipment.objects.active().values_list("eta", flat=True)}
        assert {0, 3, 4, 5, 6, 7, 8, 9, 21} <= days
        # Alerts of every rung and severity, in every state, on time and late, acknowledged and not.
        alerts = Alert.objects.with_state()
        assert set(alerts.values_list("state", flat=True)) == set(AlertState.values)
        assert set(alerts.values_list("severity", flat=True)) == set(Severity.values)
        assert {4, 5, 6, 7, 8, 9} <= set(alerts.values_list("days_post_eta", flat=True))
        assert set(alerts.values_list("is_late", flat=True)) == {True, False}
        assert alerts.filter(promised_on__isnull=False).count() == 2
        assert set(SweepRun.objects.values_list("on", flat=True)) >= {today}
        # Mail of both kinds and in both languages, sent and in the folder.
        assert set(Message.objects.values_list("delivery", flat=True)) <= {Delivery.SENT, Delivery.NOTHING_LEFT}
        mails = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in mail_folder.glob("*.eml")]
        assert len(mails) == Message.objects.filter(delivery=Delivery.SENT).count()
        assert set(Message.objects.values_list("kind", flat=True)) == {"digest", "shipment_alert"}
        bodies = [mail.get_body(("html",)).get_content() for mail in mails]
        assert {'dir="rtl"' in body for body in bodies} == {True, False}

    def test_is_loaded_once(self, mail_folder):
        before = Alert.objects.count(), Message.objects.count()

        call_command("load_demo", stdout=StringIO())

        assert (Alert.objects.count(), Message.objects.count()) == before

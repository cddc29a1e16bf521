from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.models import User
from audit import services as audit
from audit import tasks
from audit.choices import MessageKind
from audit.selectors import compose_anchor
from audit.tests import chains
from clearance.tests import races
from outbox import services as outbox
from outbox.messages import composers
from outbox.models import Message


def anchor_mails() -> list[Message]:
    return list(Message.objects.filter(kind=MessageKind.SEAL_ANCHOR).select_related("recipient"))


class TestMailingTheAnchor:
    def test_writes_to_everybody_in_internal_audit_who_is_active(self, cast, shipment, noon):
        audit.seal(at=noon)
        another = User.objects.create(email="ia@example.com", full_name="Iman", department="IA", role="ReadOnly")
        User.objects.create(email="gone@example.com", full_name="Gone", department="IA", is_active=False)

        written = audit.mail_anchor(at=noon)

        assert written == 2
        assert {mail.recipient for mail in anchor_mails()} == {cast.auditor, another}

    def test_writes_once_a_day_in_muscat(self, auditor, shipment, noon):
        audit.seal(at=noon)
        midnight = noon.replace(hour=0) + timedelta(days=1)

        written = [audit.mail_anchor(at=at) for at in (noon, noon, midnight - timedelta(seconds=1), midnight)]

        assert written == [1, 0, 0, 1]

    def test_writes_nothing_before_the_first_seal(self, auditor, shipment, noon):
        assert audit.mail_anchor(at=noon) == 0

    @pytest.mark.django_db(transaction=True)
    def test_writes_once_however_many_are_at_it(self, auditor, shipment, noon):
        audit.seal(at=noon)

        outcomes = races.at_once(*[lambda: audit.mail_anchor(at=noon)] * 3, held=User.objects.filter(pk=auditor.pk))

        assert sorted(outcomes) == [0, 0, 1]
        assert len(anchor_mails()) == 1

    def test_is_scheduled_every_morning(self, auditor, shipment):
        audit.seal(at=timezone.now())

        schedule = PeriodicTask.objects.get(task="audit.tasks.mail_anchor").crontab
        assert (schedule.hour, schedule.minute, str(schedule.timezone)) == ("7", "0", "Asia/Muscat")
        assert tasks.mail_anchor() == 1


class TestTheMail:
    def test_tells_the_newest_seal_of_when_it_was_written_whenever_it_is_sent(self, auditor, shipment, noon):
        chains.grown(shipment, seals=2)
        then = chains.anchor()
        audit.mail_anchor(at=chains.later(1))
        chains.change(shipment)
        audit.seal(at=chains.later(2))

        (mail,) = anchor_mails()
        content = compose_anchor(mail, chains.later(30))

        assert audit.anchors_in(content.text) == audit.anchors_in(content.html)[:1] == [then]
        assert content.subject == "Trail: seal 2"

    def test_speaks_the_recipients_language(self, auditor, shipment, noon):
        audit.seal(at=noon)
        User.objects.filter(pk=auditor.pk).update(language="ar")
        audit.mail_anchor(at=noon)

        (mail,) = anchor_mails()
        content = compose_anchor(mail, noon)

        assert content.subject == "مسار التدقيق: الختم 1"
        assert 'dir="rtl"' in content.html
        assert audit.anchors_in(content.text) == [chains.anchor()]

    def test_goes_out_with_the_others(self, auditor, shipment, noon, mailoutbox, settings):
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        audit.seal(at=noon)
        audit.mail_anchor(at=noon)

        report = outbox.deliver_due(at=noon, compose=composers(), lease=timedelta(minutes=2))

        assert report.sent == 1
        (mail,) = mailoutbox
        assert mail.to == [auditor.email]
        assert audit.anchors_in(mail.body) == [chains.anchor()]

from __future__ import annotations

import html as entities
import re
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import translation
from django.utils.translation import gettext

from accounts.models import User
from alerts import selectors
from alerts import services as alerts
from alerts.choices import Mail, MessageKind
from alerts.models import Alert
from clearance.clock import day_of
from clearance.tests import recipes
from clearance.tests.recipes import MUSCAT
from outbox.choices import Delivery
from outbox.models import Message, MutedMail
from outbox.tests import mails
from shipments import services as shipments
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import WorkflowStep, WorkflowTemplate

pytestmark = pytest.mark.django_db

ETA = date(2026, 4, 1)  # a Wednesday: its days 4 to 8 are Sunday to Thursday


def day(number: int, hour: int = 8) -> datetime:
    """The morning of a day after the ETA."""
    return datetime(ETA.year, ETA.month, ETA.day, hour, tzinfo=MUSCAT) + timedelta(days=number)


def sweep(at: datetime) -> None:
    alerts.sweep(on=day_of(at), at=at)


def deliver(at: datetime):
    return mails.deliver(at + timedelta(seconds=15), selectors.compose)


def late(by: User, *left_open: str, **changed) -> Shipment:
    """A shipment with nothing but these critical steps left to do."""
    shipment = recipes.registered(by=by, **changed)
    return recipes.record_all_but(shipment, *(left_open or [recipes.COLLECTED]))


def late_in_bulk(number: int) -> None:
    """As many such shipments, of long names."""
    written = Shipment.objects.bulk_create(
        recipes.shipment.prepare(number, principal="Principal of a name that goes on and on " * 3, brand="Brand " * 20)
    )
    template = WorkflowTemplate.objects.get(is_current=True)
    workflow.plan_steps(plans=[workflow.Plan(one.pk, template.pk) for one in written], at=recipes.NOON)
    others = WorkflowStep.objects.exclude(step_number=Decimal(recipes.COLLECTED))
    others.update(actual_date=ETA, completed_at=recipes.NOON, completed_via="import")


def received_by(post_office, person: User):
    return [received for received in post_office.received if received.recipients == (person.email,)]


class TestTheDigest:
    def test_tells_a_person_once_of_everything_that_is_late(self, post_office, bu_clerk, cc_clerk):
        numbers = [late(bu_clerk).shipment_number for _ in range(3)]

        sweep(day(4))
        deliver(day(4))

        (digest,) = received_by(post_office, cc_clerk)
        assert digest.mail["Subject"].startswith("3 ")
        for number in numbers:
            assert number in digest.text
            assert number in digest.html

    def test_links_to_the_page_of_each_shipment(self, post_office, settings, bu_clerk, cc_clerk):
        settings.BASE_URL = "https://clearance.example.com"
        shipment = late(bu_clerk)

        sweep(day(4))
        deliver(day(4))

        (digest,) = received_by(post_office, cc_clerk)
        link = f"https://clearance.example.com/admin/shipments/shipment/{shipment.pk}/change/"
        assert link in digest.text
        assert f'href="{link}' in digest.html

    def test_says_the_same_in_html_and_text(self, post_office, bu_clerk, cc_clerk):
        late(bu_clerk, shipment_number="R&D <7>", container_count=3)

        sweep(day(4))
        deliver(day(4))

        (digest,) = received_by(post_office, cc_clerk)
        said = entities.unescape(re.sub(r"<[^>]+>", " ", digest.html))
        for word in ("R&D <7>", "14.0", "115.386"):
            assert word in digest.text
            assert word in said
        assert "<7>" not in digest.html

    def test_is_capped_and_says_how_many_more_there_are(self, post_office, monkeypatch, bu_clerk, cc_clerk):
        monkeypatch.setattr(selectors, "MOST_LINES", 2)
        numbers = [late(bu_clerk, container_count=containers).shipment_number for containers in (1, 5, 3, 4)]

        sweep(day(4))
        deliver(day(4))

        (digest,) = received_by(post_office, cc_clerk)
        shown = [number for number in numbers if number in digest.text]
        assert shown == [numbers[1], numbers[3]]  # what costs most comes first
        assert digest.mail["Subject"].startswith("4 ")
        assert "2 more" in digest.text
        assert "2 more" in digest.html

    def test_of_a_long_list_is_not_too_long_for_mail_programs(self, post_office, cast):
        User.objects.filter(pk=cast.cc_clerk.pk).update(language="ar")
        late_in_bulk(150)

        sweep(day(4))
        deliver(day(4))

        (digest,) = received_by(post_office, cast.cc_clerk)
        assert len(set(re.findall(r"/shipments/shipment/(\d+)/change/", digest.text))) == selectors.MOST_LINES
        assert len(digest.html.encode()) < 102_000  # where the commonest one cuts a mail off

    @pytest.mark.parametrize(("language", "direction"), [("ar", "rtl"), ("en", "ltr")])
    def test_is_in_the_language_of_its_reader(self, post_office, bu_clerk, cc_clerk, language, direction):
        User.objects.filter(pk=cc_clerk.pk).update(language=language)
        late(bu_clerk)
        with translation.override(language):
            greeting = gettext("Dear %(name)s,") % {"name": cc_clerk.full_name}

        sweep(day(4))
        deliver(day(4))

        (digest,) = received_by(post_office, cc_clerk)
        assert f'<html lang="{language}" dir="{direction}">' in digest.html
        assert greeting in digest.text


class TestTheLastFreeDayAndTheFirstPaidOne:
    def test_have_a_mail_of_their_own_per_shipment(self, post_office, bu_clerk, cc_head, auditor):
        first, second = late(bu_clerk), late(bu_clerk)

        for number in (7, 8):
            sweep(day(number))
            deliver(day(number))

        for person, sent in ((auditor, day(7)), (cc_head, day(8))):
            of_their_own = Message.objects.filter(recipient=person, kind=MessageKind.SHIPMENT_ALERT, created_at=sent)
            assert of_their_own.count() == 2
            ids = {f"<{message.message_id}@example.com>" for message in of_their_own}
            subjects = [one.mail["Subject"] for one in received_by(post_office, person) if one.message_id in ids]
            for shipment in (first, second):
                assert sum(shipment.shipment_number in subject for subject in subjects) == 1

    def test_are_followed_by_the_digest(self, post_office, bu_clerk, cc_head):
        late(bu_clerk)
        for number in (7, 8):
            sweep(day(number))

        sweep(day(9))

        assert Message.objects.get(recipient=cc_head, created_at=day(9)).kind == MessageKind.DIGEST


class TestWhatHappensBetweenWritingAndSending:
    def test_a_cancelled_shipment_is_left_out(self, post_office, bu_clerk, bu_head, cc_clerk):
        kept, gone = late(bu_clerk), late(bu_clerk)
        sweep(day(4))
        shipments.cancel(shipment_id=gone.pk, reason="Sold at sea", by=bu_head, at=day(4, hour=9))

        deliver(day(4, hour=9))

        (digest,) = received_by(post_office, cc_clerk)
        assert kept.shipment_number in digest.text
        assert gone.shipment_number not in digest.text

    def test_a_mail_of_which_nothing_is_left_is_not_sent(self, post_office, bu_clerk, bu_head, cc_clerk):
        shipment = late(bu_clerk)
        sweep(day(4))
        shipments.cancel(shipment_id=shipment.pk, reason="Sold at sea", by=bu_head, at=day(4, hour=9))

        report = deliver(day(4, hour=9))

        assert (report.sent, report.nothing_left) == (0, 1)
        assert Message.objects.get(recipient=cc_clerk).delivery == Delivery.NOTHING_LEFT

    @pytest.mark.parametrize("happening", ["completed", "re-dated", "deleted"])
    def test_what_is_no_longer_open_is_left_out(self, post_office, bu_clerk, cc_clerk, happening):
        shipment = late(bu_clerk)
        sweep(day(4))
        at = day(4, hour=9)

        if happening == "completed":
            step = recipes.step(shipment, recipes.COLLECTED)
            workflow.complete_step(step_id=step.pk, by=cc_clerk, at=at)
        elif happening == "re-dated":
            eta = ETA + timedelta(days=20)
            shipments.change_eta(shipment_id=shipment.pk, eta=eta, by=bu_clerk, at=at)
        else:
            Shipment.objects.filter(pk=shipment.pk).update(deleted_at=at)

        assert deliver(at).sent == 0
        assert post_office.received == []

    def test_an_acknowledged_alert_is_sent_all_the_same(self, post_office, bu_clerk, cc_clerk):
        late(bu_clerk)
        sweep(day(4))
        alert = Alert.objects.get(recipient_user=cc_clerk)
        alerts.acknowledge(alert_id=alert.pk, by=cc_clerk, at=day(4, hour=9))

        deliver(day(4, hour=9))

        assert len(received_by(post_office, cc_clerk)) == 1

    def test_a_muted_severity_stays_in_the_inbox_and_out_of_the_mailbox(self, post_office, bu_clerk, cc_clerk):
        MutedMail.objects.create(user=cc_clerk, severity="warning")
        late(bu_clerk)

        sweep(day(4))
        deliver(day(4))
        assert Alert.objects.get(recipient_user=cc_clerk).mail == Mail.NONE
        assert received_by(post_office, cc_clerk) == []

        sweep(day(5))
        deliver(day(5))
        assert len(received_by(post_office, cc_clerk)) == 1


class TestADigestThatWasSent:
    def test_is_not_sent_again_by_a_second_sweep_or_a_second_beat(self, post_office, bu_clerk, cc_clerk):
        late(bu_clerk)

        for _ in range(2):
            sweep(day(4))
            deliver(day(4))
            deliver(day(4))

        assert len(received_by(post_office, cc_clerk)) == 1

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.db import connection
from django.utils.html import strip_tags

from alerts import selectors
from alerts.models import Alert
from alerts.tests import late
from outbox.choices import Delivery
from outbox.models import Carrier, Message
from outbox.tests import mails
from workflow import services as workflow
from workflow.models import WorkflowStep

MESSAGES = "/admin/outbox/message/"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _every_rung_on_its_own_day(settings):
    settings.ALERTS_PULL_FORWARD = False


@pytest.fixture
def desk(client, administrator):
    client.force_login(administrator)
    return client


@pytest.fixture
def shipment(bu_clerk):
    new = late.shipment(by=bu_clerk, days=7, container_count=3)
    late.sweep()
    return new


def told(answer) -> str:
    html = re.sub(r"<(script|style|nav)\b.*?</\1>", "", answer.content.decode(), flags=re.DOTALL)
    return " ".join(strip_tags(html).split())


def dead(message: Message) -> Message:
    Message.objects.filter(pk=message.pk).update(delivery=Delivery.DEAD, refusals=3, last_refusal="550 No such mailbox")
    return message


class TestTheMessages:
    def test_are_for_administrators(self, client, shipment, cc_clerk, auditor):
        for other in (cc_clerk, auditor):
            client.force_login(other)
            assert client.get(MESSAGES).status_code == 403
            assert client.get(f"{MESSAGES}{Message.objects.first().pk}/preview/en/").status_code in (403, 404)

    def test_show_dead_letters_first_and_what_the_server_said(self, desk, shipment):
        first = dead(Message.objects.order_by("pk").first())

        answer = desk.get(MESSAGES)

        assert answer.context["cl"].result_list[0] == first
        assert "550 No such mailbox" in told(answer)
        assert "Dead letter" in told(answer)
        assert shipment.shipment_number in told(answer)

    def test_take_as_many_statements_for_many_rows_as_for_few(self, desk, bu_clerk, django_assert_max_num_queries):
        for _ in range(6):
            late.shipment(by=bu_clerk, days=7)
        late.sweep()

        with django_assert_max_num_queries(10):
            assert len(desk.get(MESSAGES).context["cl"].result_list) > 10

    def test_say_when_the_mail_server_is_down(self, desk, shipment):
        Carrier.objects.create(
            channel="mail", down_since=late.now(), next_probe_at=late.now(), last_failure="Timed out"
        )

        assert "The mail server has not worked since" in told(desk.get(MESSAGES))


class TestSendingAgain:
    def test_puts_a_dead_letter_back(self, desk, shipment):
        message = dead(Message.objects.first())

        answer = desk.post(f"{MESSAGES}verbs/resend/?on={message.pk}", follow=True)

        message.refresh_from_db()
        assert (message.delivery, message.refusals) == (Delivery.WAITING, 0)
        assert "waits to be sent again" in told(answer)

    def test_of_several(self, desk, shipment):
        chosen = [dead(message).pk for message in Message.objects.all()[:2]]

        asked = desk.post(MESSAGES, {"action": "resend", "_selected_action": chosen})
        desk.post(asked.url, {})

        assert set(Message.objects.filter(pk__in=chosen).values_list("delivery", flat=True)) == {Delivery.WAITING}

    def test_is_refused_for_what_is_no_dead_letter(self, desk, shipment):
        message = Message.objects.first()

        answer = desk.post(f"{MESSAGES}verbs/resend/?on={message.pk}")

        assert "only those are sent again by hand" in told(answer)


class TestThePreview:
    def test_shows_subject_and_text_in_both_languages_and_frames_the_html(self, desk, shipment, auditor):
        message = Message.objects.get(recipient=auditor)

        answer = desk.get(f"{MESSAGES}{message.pk}/change/")

        languages = [preview["language"] for preview in answer.context["previews"]]
        assert languages == ["en", "ar"]
        assert "Free time ends on" in answer.context["previews"][0]["content"].subject
        assert shipment.shipment_number in told(answer)
        for language in languages:
            assert f'src="{MESSAGES}{message.pk}/preview/{language}/"' in answer.content.decode()
        message.refresh_from_db()
        assert (message.delivery, message.recipient.language) == (Delivery.WAITING, "en")

    @pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("ar", "rtl")])
    def test_of_the_html_can_do_nothing(self, desk, shipment, auditor, language, direction):
        message = Message.objects.get(recipient=auditor)

        answer = desk.get(f"{MESSAGES}{message.pk}/preview/{language}/")

        assert f'<html lang="{language}" dir="{direction}">' in answer.content.decode()
        assert answer["X-Frame-Options"] == "SAMEORIGIN"
        assert "sandbox" in answer["Content-Security-Policy"]
        assert "<img" not in answer.content.decode()
        assert "<script" not in answer.content.decode()

    def test_says_when_nothing_would_be_sent(self, desk, shipment, auditor, cc_clerk):
        step = WorkflowStep.objects.get(shipment=shipment, step_number=11)
        workflow.complete_step(step_id=step.pk, by=cc_clerk, at=late.now())
        message = Message.objects.get(recipient=auditor)

        assert "it would not be sent" in told(desk.get(f"{MESSAGES}{message.pk}/change/"))
        assert desk.get(f"{MESSAGES}{message.pk}/preview/en/").status_code == 404

    @pytest.mark.parametrize("language", ["de", "x"])
    def test_knows_two_languages(self, desk, shipment, language):
        assert desk.get(f"{MESSAGES}{Message.objects.first().pk}/preview/{language}/").status_code == 404


class TestTheLinksOfEveryMail:
    """A crawler, or a mail program that looks ahead, changes nothing (C19)."""

    @pytest.fixture
    def addresses(self, settings, bu_clerk, auditor):
        settings.BASE_URL = "https://clearance.example.com"
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        auditor.language = "ar"
        auditor.save(update_fields=["language"])
        for days in (4, 5, 6, 7, 8, 9):
            late.shipment(by=bu_clerk, days=days, left_open=(late.BAYAN_APPROVED, late.ORDER_PAID))
        late.sweep()
        mails.deliver(late.now(), selectors.compose)
        assert not Message.objects.exclude(delivery=Delivery.SENT).exists()
        bodies = [body for one in mail.outbox for body in (one.body, one.alternatives[0].content)]
        found = {address for body in bodies for address in re.findall(r'https?://[^\s"<]+', body)}
        assert len(mail.outbox) > 8
        assert len(found) > 8
        return {address.replace("&amp;", "&") for address in found}

    def everything(self) -> dict[str, str]:
        with connection.cursor() as cursor:
            tables = connection.introspection.table_names(cursor)
            rows = {}
            for table in tables:
                cursor.execute(
                    f'SELECT md5(coalesce(string_agg(t::text, $$;$$ ORDER BY t::text), $$$$)) FROM "{table}" t'
                )
                rows[table] = cursor.fetchone()[0]
        return rows

    def crawl(self, client, addresses) -> dict[str, int]:
        found = {}
        for address in addresses:
            parts = urlsplit(address)
            assert (parts.scheme, parts.netloc) == ("https", "clearance.example.com")
            found[address] = client.get(f"{parts.path}?{parts.query}").status_code
        return found

    def test_change_nothing_for_whoever_is_signed_in(self, client, addresses, cast):
        for person in (cast.cc_clerk, cast.cc_head, cast.auditor, cast.administrator):
            client.force_login(person)
            before = self.everything()

            answers = self.crawl(client, addresses)

            assert set(answers.values()) <= {200, 404}
            assert self.everything() == before

    def test_lead_somewhere_for_the_recipient(self, client, addresses, cc_clerk):
        client.force_login(cc_clerk)

        answers = self.crawl(client, {one for one in addresses if "/shipments/shipment/" in one})

        assert set(answers.values()) == {200}

    def test_lead_strangers_to_the_sign_in_and_change_nothing(self, client, addresses):
        before = self.everything()

        answers = self.crawl(client, addresses)

        assert set(answers.values()) == {302}
        assert self.everything() == before
        assert not Alert.objects.exclude(acknowledged_at=None).exists()

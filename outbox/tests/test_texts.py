from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from alerts.choices import MessageKind
from clearance.tests import races
from clearance.tests.recipes import NOON
from outbox import services as outbox
from outbox.choices import Channel, Delivery
from outbox.models import Message
from outbox.rules import PROBE, REFUSALS, RETRY, Content
from outbox.tests.mails import LEASE, SOON, breaker, deliver, now, waiting

pytestmark = pytest.mark.django_db

PHONE = "+96891234567"


@pytest.fixture(autouse=True)
def _phones(cast):
    for number, person in enumerate((cast.cc_clerk, cast.cc_head)):
        person.phone = f"{PHONE[:-1]}{7 + number}"
        person.save()


def write(message: Message, at) -> Content:
    return Content("", f"Text of {message.pk}: الرمز", "")


def text(recipient, at=NOON, **changed) -> Message:
    return waiting(recipient, at, **{"channel": Channel.SMS, "kind": MessageKind.URGENT_ALERT} | changed)


def deliver_texts(at=NOON, compose=write, **given):
    return deliver(at, compose, channel=Channel.SMS, **given)


class TestAText:
    def test_goes_to_the_phone_of_its_recipient(self, amazon, cc_clerk):
        message = text(cc_clerk)

        report = deliver_texts()

        (taken,) = amazon.taken
        assert (taken.to, taken.text) == ((PHONE,), f"Text of {message.pk}: الرمز")
        assert report.sent == 1
        sent = now(message)
        assert (sent.delivery, len(sent.provider_id)) == (Delivery.SENT, 36)

    def test_is_not_sent_again(self, amazon, cc_clerk):
        text(cc_clerk)

        deliver_texts()
        deliver_texts(NOON + timedelta(hours=1))

        assert len(amazon.taken) == 1

    def test_waits_for_its_own_channel(self, amazon, post_office, cc_clerk):
        written, mail = text(cc_clerk), waiting(cc_clerk)

        assert deliver().sent == 1
        assert (now(written).delivery, now(mail).delivery) == (Delivery.WAITING, Delivery.SENT)

        assert deliver_texts().sent == 1
        assert len(post_office.received) == len(amazon.taken) == 1

    def test_that_has_nothing_left_to_say_is_not_sent(self, amazon, cc_clerk):
        message = text(cc_clerk)

        deliver_texts(compose=lambda message, at: None)

        assert now(message).delivery == Delivery.NOTHING_LEFT
        assert not amazon.asked

    def test_for_somebody_without_a_phone_is_a_dead_letter_that_says_so(self, amazon, cc_clerk):
        message = text(cc_clerk)
        cc_clerk.phone = ""
        cc_clerk.save()

        assert deliver_texts().dead == 1

        assert now(message).last_refusal == "The recipient has no phone number."

    def test_is_a_dead_letter_once_the_provider_was_taken_away(self, settings, cc_clerk):
        settings.SMS_BACKEND = ""
        message = text(cc_clerk)

        assert deliver_texts().dead == 1

        assert now(message).last_refusal == "No provider of text messages is set."
        assert breaker(Channel.SMS) is None

    def test_is_a_file_in_development(self, settings, tmp_path, cc_clerk, caplog):
        settings.SMS_BACKEND, settings.SMS_FILE_PATH = "outbox.backends.TextFolder", tmp_path / "sms"
        message = text(cc_clerk)

        with caplog.at_level(logging.INFO, "clearance.outbox"):
            assert deliver_texts().sent == 1

        (file,) = settings.SMS_FILE_PATH.iterdir()
        assert file.read_text() == f"{PHONE}\n\nText of {message.pk}: الرمز\n"
        assert PHONE not in caplog.text
        assert "…567" in caplog.text


class TestARefusal:
    def test_is_tried_three_times_and_masks_the_number(self, amazon, cc_clerk, caplog):
        amazon.refuses(400, "InvalidParameter", f"Invalid parameter: PhoneNumber Reason: {PHONE} is not valid")
        message = text(cc_clerk)

        reports = [deliver_texts(NOON + attempt * (RETRY + SOON)) for attempt in range(4)]

        assert [report.refused for report in reports] == [1, 1, 1, 0]
        dead = now(message)
        assert (dead.delivery, dead.refusals) == (Delivery.DEAD, REFUSALS)
        assert "…567 is not valid" in dead.last_refusal
        assert PHONE not in dead.last_refusal + caplog.text
        assert breaker(Channel.SMS) is None

    def test_of_one_number_holds_up_no_other(self, amazon, cc_clerk, cc_head):
        messages = [text(cc_clerk, at=NOON - SOON), text(cc_head)]

        deliver_texts(compose=lambda message, at: write(message, at) if message.pk == messages[1].pk else 1 / 0)

        assert [now(message).delivery for message in messages] == [Delivery.WAITING, Delivery.SENT]

    def test_leaves_a_dead_letter_that_is_sent_again_by_hand(self, amazon, cc_clerk, administrator):
        message = text(cc_clerk, delivery=Delivery.DEAD, refusals=3)

        outbox.resend(message_id=message.pk, by=administrator, at=NOON)

        assert deliver_texts().sent == 1


class TestAProviderThatFailed:
    @pytest.mark.parametrize(
        ("status", "code"),
        [(400, "Throttling"), (403, "AuthorizationError"), (500, "InternalError"), (400, "UnknownToUs")],
    )
    def test_counts_no_attempt_and_opens_its_own_breaker_only(self, amazon, post_office, cc_clerk, status, code):
        amazon.refuses(status, code)
        message, mail = text(cc_clerk), waiting(cc_clerk)

        report = deliver_texts()

        assert (report.refused, report.is_server_down) == (0, True)
        assert code in report.failure
        assert now(message).refusals == 0
        assert breaker(Channel.SMS).down_since is not None
        assert breaker() is None
        assert deliver().sent == 1
        assert now(mail).delivery == Delivery.SENT

    def test_is_probed_once_a_minute_until_it_works(self, amazon, cc_clerk):
        amazon.refuses(500, "InternalError")
        for _ in range(4):
            text(cc_clerk)
        for second in range(0, 121, 15):
            deliver_texts(NOON + timedelta(seconds=second))
        assert len(amazon.asked) == 2  # at 0 and 75 seconds

        amazon.answer = None
        report = deliver_texts(NOON + 3 * PROBE)

        assert (report.sent, breaker(Channel.SMS).down_since) == (4, None)

    def test_of_mail_stops_no_text(self, amazon, smtp, cc_clerk):
        smtp(1)
        waiting(cc_clerk)
        text(cc_clerk)

        assert deliver().is_server_down
        assert deliver_texts().sent == 1


@pytest.mark.django_db(transaction=True)
class TestSeveralWorkersAtOnce:
    def test_send_no_text_twice_and_none_not_at_all(self, amazon, cc_clerk, cc_head):
        messages = [text(person) for person in (cc_clerk, cc_head) for _ in range(10)]

        reports = races.free_for_all(*[deliver_texts] * 3)

        assert sum(report.sent for report in reports) == len(messages)
        assert sorted(taken.text for taken in amazon.taken) == sorted(write(one, NOON).text for one in messages)

    def test_of_which_one_died_send_its_text_after_its_lease(self, amazon, cc_clerk):
        text(cc_clerk, leased_until=NOON + LEASE)

        assert deliver_texts(NOON + LEASE - SOON).sent == 0
        assert deliver_texts(NOON + LEASE).sent == 1

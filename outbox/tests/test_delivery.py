from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.db import OperationalError

from clearance.errors import Forbidden
from clearance.tests.recipes import NOON
from clearance.tests.traces import refused
from outbox import services as outbox
from outbox.choices import Delivery
from outbox.errors import NotADeadLetter
from outbox.models import Attachment, Message
from outbox.rules import PROBE, REFUSALS, RETRY, Content
from outbox.tests import post_office as offices
from outbox.tests.mails import SOON, breaker, deliver, now, say, waiting
from outbox.tests.post_office import ACCEPT_AND_HANG_UP, HANG, HANG_UP

pytestmark = pytest.mark.django_db


class TestAMail:
    def test_says_the_same_in_html_and_text(self, post_office, cc_clerk):
        message = waiting(cc_clerk)

        report = deliver()

        (received,) = post_office.received
        assert received.mail.get_content_type() == "multipart/alternative"
        assert received.text.strip() == f"Text of {message.pk}"
        assert received.html.strip() == f"<p>HTML of {message.pk}</p>"
        assert (report.sent, report.is_server_down) == (1, False)

    def test_goes_to_its_recipient_from_us_under_its_own_id(self, post_office, cc_clerk):
        message = waiting(cc_clerk, cc=["copy@example.com"], bcc=["blind@example.com"], reply_to=["desk@example.com"])

        deliver()

        (received,) = post_office.received
        assert received.recipients == (cc_clerk.email, "copy@example.com", "blind@example.com")
        assert received.mail["To"] == cc_clerk.email
        assert received.mail["Cc"] == "copy@example.com"
        assert received.mail["Bcc"] is None
        assert received.mail["Reply-To"] == "desk@example.com"
        assert received.mail["From"] == "Clearance <clearance@example.com>"
        assert received.mail["Auto-Submitted"] == "auto-generated"
        assert received.message_id == f"<{message.message_id}@example.com>"

    def test_brings_its_attachments(self, post_office, cc_clerk):
        message = waiting(cc_clerk)
        Attachment.objects.create(message=message, name="بيان.pdf", content_type="application/pdf", content=b"%PDF-1.7")

        deliver()

        (attached,) = post_office.received[0].mail.iter_attachments()
        assert attached.get_filename() == "بيان.pdf"
        assert attached.get_content_type() == "application/pdf"
        assert attached.get_content() == b"%PDF-1.7"

    def test_in_arabic_arrives_as_it_was_written(self, post_office, cc_clerk):
        subject = "الغرامة تسري: الشحنة TBL-2026-0001، اليوم 9"
        waiting(cc_clerk)

        deliver(compose=lambda message, at: Content(subject, "نص", "<p>نص</p>"))

        (received,) = post_office.received
        assert received.mail["Subject"].strip() == subject  # the parser keeps the blank of a folded line
        assert received.text.strip() == "نص"

    def test_cannot_be_given_another_header_by_its_subject(self, post_office, cc_clerk):
        waiting(cc_clerk)

        deliver(compose=lambda message, at: Content("Late\r\nBcc: thief@example.com\n\nx", "text", "<p>html</p>"))

        (received,) = post_office.received
        assert received.mail["Subject"] == "Late Bcc: thief@example.com x"
        assert received.mail["Bcc"] is None
        assert received.recipients == (cc_clerk.email,)

    def test_is_noted_as_sent_and_not_sent_again(self, post_office, cc_clerk):
        message = waiting(cc_clerk)

        deliver()
        deliver(NOON + timedelta(hours=1))

        assert len(post_office.received) == 1
        sent = now(message)
        assert (sent.delivery, sent.leased_until, sent.refusals) == (Delivery.SENT, None, 0)
        assert NOON <= sent.sent_at < NOON + timedelta(seconds=10)

    def test_is_not_sent_before_its_time(self, post_office, cc_clerk):
        message = waiting(cc_clerk, at=NOON + timedelta(minutes=1))

        deliver()

        assert post_office.received == []
        assert now(message).delivery == Delivery.WAITING

    def test_that_has_nothing_left_to_say_is_not_sent(self, post_office, cc_clerk):
        message = waiting(cc_clerk)

        report = deliver(compose=lambda message, at: None)

        assert report.nothing_left == 1
        assert post_office.connections == 0
        assert now(message).delivery == Delivery.NOTHING_LEFT


class TestOneLook:
    def test_sends_everything_that_is_due_the_oldest_first_over_one_line(self, post_office, cc_clerk):
        messages = [waiting(cc_clerk, at=NOON - timedelta(seconds=age)) for age in range(120)]

        report = deliver()

        assert report.sent == 120
        told = [int(received.mail["Subject"].split()[-1]) for received in post_office.received]
        assert told == [message.pk for message in reversed(messages)]
        assert post_office.connections == 1

    def test_ends_when_its_time_is_up_and_leaves_the_rest_free(self, post_office, cc_clerk):
        for _ in range(3):
            waiting(cc_clerk)
        post_office.pause = 0.2

        report = deliver(run=timedelta(seconds=0.1))

        assert report.sent == 1
        assert Message.objects.due(at=NOON).count() == 2

    def test_goes_on_over_a_new_line_where_the_server_limits_mails_per_line(self, post_office, cc_clerk):
        for _ in range(7):
            waiting(cc_clerk)
        post_office.most_per_connection = 3

        report = deliver()

        assert (report.sent, report.refused, report.is_server_down) == (7, 0, False)
        assert post_office.connections == 3
        assert breaker() is None

    def test_goes_on_over_a_new_line_where_the_server_hung_up_after_a_mail(self, post_office, cc_clerk):
        hangs_up = iter([None, HANG_UP, None, None, None])
        post_office.answers["mail"] = lambda sender: next(hangs_up)
        for _ in range(3):
            waiting(cc_clerk)

        report = deliver()

        assert (report.sent, report.is_server_down) == (3, False)
        assert len(set(post_office.ids())) == len(post_office.ids()) == 3

    def test_that_is_broken_off_by_the_database_loses_nothing(self, post_office, cc_clerk):
        def fail(message, at):
            raise OperationalError("the database restarts")

        message = waiting(cc_clerk)

        with pytest.raises(OperationalError):
            deliver(compose=fail)

        assert now(message).refusals == 0
        assert deliver(NOON + timedelta(minutes=3)).sent == 1


class TestARefusal:
    @pytest.mark.parametrize("stage", ["rcpt", "data"])
    @pytest.mark.parametrize("answer", ["550 5.1.1 No such person", "451 4.7.1 Greylisted, come again"])
    def test_is_tried_again_after_five_minutes(self, post_office, cc_clerk, stage, answer):
        post_office.answers[stage] = answer
        message = waiting(cc_clerk)

        report = deliver()

        assert (report.refused, report.dead, report.is_server_down) == (1, 0, False)
        noted = now(message)
        assert (noted.delivery, noted.refusals, noted.leased_until) == (Delivery.WAITING, 1, None)
        assert answer[4:] in noted.last_refusal
        post_office.answers.clear()
        assert deliver(NOON + RETRY - SOON).sent == 0
        assert deliver(NOON + RETRY + SOON).sent == 1
        assert now(message).refusals == 1

    def test_keeps_the_message_id(self, post_office, cc_clerk):
        post_office.answers["data"] = "451 4.3.0 Try later"
        message = waiting(cc_clerk)
        deliver()
        post_office.answers.clear()

        deliver(NOON + RETRY + SOON)

        assert post_office.ids() == [f"<{message.message_id}@example.com>"]

    def test_is_told_in_the_words_of_the_server_without_the_address(self, post_office, cc_clerk, caplog):
        post_office.answers["rcpt"] = f"550 5.1.1 <{cc_clerk.email}>: Recipient\x00 rejected"
        message = waiting(cc_clerk)

        deliver()

        assert now(message).last_refusal == "550 5.1.1 <…>: Recipient  rejected"
        assert cc_clerk.email not in caplog.text

    def test_for_the_third_time_makes_it_a_dead_letter(self, post_office, cc_clerk):
        post_office.answers["rcpt"] = "550 5.1.1 No such person"
        message = waiting(cc_clerk)

        reports = [deliver(NOON + attempt * (RETRY + SOON)) for attempt in range(5)]

        assert [report.refused for report in reports] == [1, 1, 1, 0, 0]
        assert [report.dead for report in reports] == [0, 0, 1, 0, 0]
        dead = now(message)
        assert (dead.delivery, dead.refusals, dead.leased_until) == (Delivery.DEAD, REFUSALS, None)
        assert "No such person" in dead.last_refusal
        assert list(Message.objects.dead()) == [message]

    def test_of_one_recipient_holds_up_no_other(self, post_office, cc_clerk, cc_head, finance_clerk):
        post_office.answers["rcpt"] = lambda address: "550 No" if address == cc_head.email else None
        for person in (cc_clerk, cc_head, finance_clerk):
            waiting(person)

        report = deliver()

        assert (report.sent, report.refused) == (2, 1)
        assert set(post_office.addresses()) == {cc_clerk.email, finance_clerk.email}

    def test_of_the_recipient_counts_although_a_copy_was_taken(self, post_office, cc_clerk):
        post_office.answers["rcpt"] = lambda address: "550 No" if address == cc_clerk.email else None
        message = waiting(cc_clerk, cc=["copy@example.com"])

        report = deliver()

        assert (report.sent, report.refused) == (0, 1)
        assert now(message).delivery == Delivery.WAITING

    def test_of_a_copy_alone_does_not_count(self, post_office, cc_clerk):
        post_office.answers["rcpt"] = lambda address: None if address == cc_clerk.email else "550 No"
        waiting(cc_clerk, cc=["copy@example.com"])

        assert deliver().sent == 1

    def test_of_the_announced_size_is_one_of_the_message(self, post_office, cc_clerk):
        post_office.answers["mail"] = "552 5.3.4 Message size exceeds fixed limit"
        waiting(cc_clerk)

        report = deliver()

        assert (report.refused, report.is_server_down) == (1, False)


class TestAMessageThatCannotBeComposed:
    def test_holds_up_no_other_and_becomes_a_dead_letter(self, post_office, cc_clerk, caplog):
        def compose(message, at):
            if message.pk == broken.pk:
                raise KeyError("no such template")
            return say(message, at)

        broken, sound = waiting(cc_clerk, at=NOON - SOON), waiting(cc_clerk)

        with caplog.at_level(logging.ERROR, "clearance.outbox"):
            reports = [deliver(NOON + attempt * (RETRY + SOON), compose) for attempt in range(3)]

        assert [report.sent for report in reports] == [1, 0, 0]
        assert [report.refused for report in reports] == [1, 1, 1]
        assert now(sound).delivery == Delivery.SENT
        assert now(broken).delivery == Delivery.DEAD
        assert "no such template" in now(broken).last_refusal
        assert "message cannot be composed" in caplog.text
        assert breaker() is None

    def test_never_reaches_the_server_with_an_address_that_is_none(self, post_office, cc_clerk):
        message = waiting(cc_clerk, reply_to=["desk@example.com\nBcc: thief@example.com"])

        report = deliver()

        assert report.refused == 1
        assert post_office.connections == 0
        assert "BadHeaderError" in now(message).last_refusal


class TestARecipientWhoCannotGetMail:
    def test_because_they_are_deactivated_is_a_dead_letter_that_says_so(self, post_office, cc_clerk):
        message = waiting(cc_clerk)
        cc_clerk.is_active = False
        cc_clerk.save()

        report = deliver()

        assert (report.dead, report.refused) == (1, 0)
        assert post_office.received == []
        assert (now(message).delivery, now(message).last_refusal) == (Delivery.DEAD, "The recipient is deactivated.")

    def test_because_they_have_no_address_is_a_dead_letter_that_says_so(self, post_office, cc_clerk):
        message = waiting(cc_clerk)
        cc_clerk.email = ""
        cc_clerk.save()

        assert deliver().dead == 1

        assert now(message).last_refusal == "The recipient has no e-mail address."


class TestAFailureOfTheServer:
    @pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
    @pytest.mark.parametrize("answer", ["421 4.3.2 Shutting down", HANG, HANG_UP])
    def test_counts_no_attempt_and_opens_the_breaker(self, post_office, settings, cc_clerk, stage, answer):
        settings.EMAIL_TIMEOUT = 0.5
        post_office.answers[stage] = answer
        message = waiting(cc_clerk)

        report = deliver()

        assert (report.sent, report.refused, report.is_server_down) == (0, 0, True)
        assert report.failure
        noted = now(message)
        assert (noted.delivery, noted.refusals, noted.leased_until) == (Delivery.WAITING, 0, None)
        assert NOON <= breaker().down_since < NOON + timedelta(seconds=30)
        assert breaker().last_failure == report.failure

    @pytest.mark.parametrize("words", [b"421 4.3.2 Too busy\r\n", b"554 5.3.2 Closed\r\n", b"", None])
    def test_may_be_all_that_a_greeting_brings(self, smtp, settings, cc_clerk, words):
        message = waiting(cc_clerk)

        with offices.greeting(words) as port:
            smtp(port)
            settings.EMAIL_TIMEOUT = 0.5
            report = deliver()

        assert (report.refused, report.is_server_down) == (0, True)
        assert now(message).refusals == 0

    def test_may_be_that_nobody_is_there(self, smtp, cc_clerk):
        smtp(offices.free_port())
        message = waiting(cc_clerk)

        report = deliver()

        assert "ConnectionRefusedError" in report.failure
        assert now(message).refusals == 0

    def test_may_be_that_it_does_not_take_us_for_a_sender(self, post_office, cc_clerk):
        post_office.answers["mail"] = "530 5.7.0 Authentication required"
        message = waiting(cc_clerk)

        report = deliver()

        assert (report.refused, report.is_server_down) == (0, True)
        assert now(message).refusals == 0

    def test_after_it_took_the_mail_repeats_it_under_the_same_id(self, post_office, cc_clerk):
        post_office.answers["data"] = ACCEPT_AND_HANG_UP
        message = waiting(cc_clerk)
        deliver()
        assert now(message).delivery == Delivery.WAITING
        post_office.answers.clear()

        deliver(NOON + PROBE + SOON)

        assert post_office.ids() == [f"<{message.message_id}@example.com>"] * 2
        assert now(message).delivery == Delivery.SENT

    def test_at_the_farewell_is_none(self, post_office, cc_clerk, monkeypatch):
        async def never(*_):
            return HANG_UP

        monkeypatch.setattr(type(post_office), "handle_QUIT", never, raising=False)
        message = waiting(cc_clerk)

        report = deliver()

        assert (report.sent, report.is_server_down) == (1, False)
        assert now(message).delivery == Delivery.SENT


class TestTheBreaker:
    def test_lets_one_message_a_minute_through(self, post_office, cc_clerk):
        post_office.answers["mail"] = "421 4.3.2 Shutting down"
        for _ in range(5):
            waiting(cc_clerk)
        seconds = range(0, 301, 15)

        reports = [deliver(NOON + timedelta(seconds=second)) for second in seconds]

        assert all(report.is_server_down for report in reports)
        assert post_office.stages.count("mail") == 1 + 4  # at 0, then at 75, 135, 195 and 255 seconds

    def test_closes_with_the_first_mail_and_everything_follows_at_once(self, post_office, cc_clerk):
        post_office.answers["mail"] = "421 4.3.2 Shutting down"
        for _ in range(60):
            waiting(cc_clerk)
        deliver()
        post_office.answers.clear()
        assert deliver(NOON + timedelta(seconds=30)).is_server_down

        report = deliver(NOON + PROBE + SOON)

        assert (report.sent, report.is_server_down) == (60, False)
        assert (breaker().down_since, breaker().next_probe_at) == (None, None)

    def test_closes_with_a_refusal_too(self, post_office, cc_clerk, cc_head):
        post_office.answers["mail"] = "421 4.3.2 Shutting down"
        waiting(cc_head)
        waiting(cc_clerk)
        deliver()
        post_office.answers = {"rcpt": lambda address: "550 No" if address == cc_head.email else None}

        report = deliver(NOON + PROBE + SOON)

        assert (report.sent, report.refused, report.is_server_down) == (1, 1, False)
        assert breaker().down_since is None

    def test_stays_open_where_a_probe_never_came_to_the_server(self, post_office, cc_clerk):
        post_office.answers["mail"] = "421 4.3.2 Shutting down"
        waiting(cc_clerk)
        deliver()

        deliver(NOON + PROBE + SOON, compose=lambda message, at: None)

        assert breaker().down_since is not None

    def test_probes_with_a_message_that_the_server_is_asked_about(self, post_office, cc_clerk):
        post_office.answers["mail"] = "421 4.3.2 Shutting down"
        over, sound = waiting(cc_clerk), waiting(cc_clerk, at=NOON + SOON)
        deliver()
        post_office.answers.clear()

        report = deliver(
            NOON + PROBE + SOON, compose=lambda message, at: None if message.pk == over.pk else say(message, at)
        )

        assert (report.nothing_left, report.sent) == (1, 1)
        assert now(sound).delivery == Delivery.SENT

    def test_does_not_probe_with_the_same_message_for_ever(self, post_office, cc_clerk, cc_head):
        # Something about this one makes the server hang up: the others must get past it.
        post_office.answers["rcpt"] = lambda address: HANG_UP if address == cc_head.email else None
        fatal = waiting(cc_head)
        others = [waiting(cc_clerk) for _ in range(10)]

        deliver()
        deliver(NOON + PROBE + SOON)

        assert {now(message).delivery for message in others} == {Delivery.SENT}
        assert (now(fatal).delivery, now(fatal).refusals) == (Delivery.WAITING, 0)


class TestSixHoursWithoutAServer:
    def test_lose_nothing_count_nothing_and_everything_goes_out_within_ten_minutes(
        self, smtp, cc_clerk, cc_head, finance_clerk
    ):
        port = offices.free_port()
        smtp(port)
        people = (cc_clerk, cc_head, finance_clerk)
        tick = timedelta(seconds=15)
        down_for = timedelta(hours=6)
        written = []

        for number in range(down_for // tick):
            at = NOON + number * tick
            if number % 20 == 0:
                written.append(waiting(people[number % 3], at=at))
            assert deliver(at).is_server_down

        assert Message.objects.filter(delivery=Delivery.WAITING, refusals=0).count() == len(written) == 72
        with offices.opened(port) as office:
            returned = NOON + down_for
            for number in range(timedelta(minutes=10) // tick):
                deliver(returned + number * tick)
            assert sorted(office.ids()) == sorted(f"<{message.message_id}@example.com>" for message in written)
        sent = Message.objects.filter(delivery=Delivery.SENT, refusals=0, sent_at__lt=returned + timedelta(minutes=10))
        assert sent.count() == 72


class TestSendingADeadLetterAgain:
    def test_gives_it_three_new_tries(self, post_office, cc_clerk, administrator):
        message = waiting(cc_clerk, delivery=Delivery.DEAD, refusals=3, last_refusal="No such person")

        outbox.resend(message_id=message.pk, by=administrator, at=NOON)

        assert (now(message).delivery, now(message).refusals) == (Delivery.WAITING, 0)
        assert deliver().sent == 1
        assert post_office.ids() == [f"<{message.message_id}@example.com>"]

    @pytest.mark.parametrize("part", ["cc_clerk", "cc_head", "auditor", "manager"])
    def test_is_for_administrators_only(self, cast, part):
        message = waiting(cast.cc_clerk, delivery=Delivery.DEAD, refusals=3)

        with refused(Forbidden, "PERMISSION_DENIED"):
            outbox.resend(message_id=message.pk, by=getattr(cast, part), at=NOON)

        assert now(message).delivery == Delivery.DEAD

    @pytest.mark.parametrize("delivery", [Delivery.WAITING, Delivery.SENT, Delivery.NOTHING_LEFT])
    def test_refuses_what_is_none(self, cc_clerk, administrator, delivery):
        message = waiting(cc_clerk, delivery=delivery, sent_at=NOON if delivery == Delivery.SENT else None)

        with refused(NotADeadLetter, "NOT_A_DEAD_LETTER"):
            outbox.resend(message_id=message.pk, by=administrator, at=NOON)

        assert now(message).delivery == delivery

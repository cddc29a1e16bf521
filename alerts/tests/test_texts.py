from __future__ import annotations

from datetime import timedelta

import pytest

from alerts import selectors
from alerts import services as alerts
from alerts.choices import MessageKind
from alerts.models import Alert
from alerts.tests.test_ladder import sweep_day
from alerts.tests.test_sweep import morning
from clearance.clock import day_of
from clearance.tests import races, recipes
from outbox import services as outbox
from outbox.choices import Channel, Delivery
from outbox.errors import Undeliverable
from outbox.models import Message, MutedMail, SmsTemplate, WantedText
from outbox.rules import MOST_TEXTS_A_DAY, segments
from outbox.tests import mails
from shipments import services as shipments
from workflow import services as workflow

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _a_provider(settings):
    settings.SMS_BACKEND = "outbox.backends.TextFolder"
    settings.BASE_URL = "https://clearance.example.com"


@pytest.fixture
def head(cast):
    """Somebody who is told of what is urgent from day 8 on, and wants a text."""
    return wants_texts(cast.cc_head)


def wants_texts(person):
    person.phone = "+96891234567"
    person.save()
    outbox.choose_channels(user=person, sms=["urgent"])
    return person


def late(cast, *, containers: int = 1, **changed):
    """A shipment with nothing but its collection open."""
    shipment = recipes.registered(by=cast.bu_clerk, container_count=containers, **changed)
    return recipes.record_all_but(shipment, recipes.COLLECTED)


def texts():
    return Message.objects.filter(channel=Channel.SMS).order_by("pk")


def said(message: Message, at):
    content = selectors.compose_text(mails.now(message), at)
    return content and content.text


class TestAnUrgentAlert:
    def test_brings_one_text_to_whoever_wants_it_for_all_of_a_sweep(self, cast, head):
        for containers in (1, 4, 2):
            late(cast, containers=containers)

        sweep_day(8)

        (message,) = texts()
        assert (message.recipient, message.kind) == (head, MessageKind.URGENT_ALERT)
        assert (message.delivery, message.not_before) == (Delivery.WAITING, morning(8))
        assert message.created_at == Alert.objects.filter(recipient_user=head).latest("pk").created_at

    def test_is_told_with_what_costs_most_and_how_many_there_are(self, cast, head):
        numbers = [late(cast, containers=containers).shipment_number for containers in (1, 4, 2)]
        sweep_day(8)

        text = said(texts().get(), morning(8))

        assert text.startswith(f"Clearance: {numbers[1]}, step {recipes.COLLECTED} ")
        assert "153.848 OMR at risk. Shipments with urgent alerts: 3.\nhttps://clearance" in text
        assert segments(text) <= 3

    def test_is_told_in_the_language_of_its_reader(self, cast, head):
        head.language = "ar"
        head.save()
        shipment = late(cast)
        sweep_day(8)

        text = said(texts().get(), morning(8))

        assert text.startswith(f"التخليص: {shipment.shipment_number}، الخطوة {recipes.COLLECTED}")
        assert segments(text) <= 3

    def test_brings_another_the_next_morning(self, cast, head):
        late(cast)

        sweep_day(8)
        sweep_day(9)

        assert texts().count() == 2

    def test_brings_none_by_a_second_sweep(self, cast, head):
        late(cast)

        sweep_day(8)
        sweep_day(8)

        assert texts().count() == 1

    def test_comes_by_mail_all_the_same(self, cast, head):
        late(cast)

        report = sweep_day(8)

        assert Message.objects.filter(recipient=head, channel=Channel.MAIL).exists()
        assert report.messages == Message.objects.filter(channel=Channel.MAIL).count()

    def test_is_told_by_text_alone_where_the_mail_is_muted(self, cast, head):
        MutedMail.objects.create(user=head, severity="urgent")
        late(cast)

        sweep_day(8)

        assert texts().get().recipient == head
        assert Alert.objects.filter(recipient_user=head, severity="urgent").exists()

    def test_that_an_eta_change_brings_is_told_at_once(self, cast, head):
        shipment = late(cast)

        alerts.evaluate(shipment_ids=[shipment.pk], at=morning(8))

        assert texts().get().created_at == morning(8)


class TestNobodyGetsAText:
    def test_who_did_not_ask_for_it(self, cast):
        cast.cc_head.phone = "+96891234567"
        cast.cc_head.save()
        late(cast)

        sweep_day(8)

        assert not texts().exists()

    def test_of_what_is_not_urgent(self, cast):
        wants_texts(cast.cc_clerk)
        late(cast)

        sweep_day(5)

        assert Alert.objects.filter(recipient_user=cast.cc_clerk).exists()
        assert not texts().exists()

    @pytest.mark.parametrize("changed", [{"phone": ""}, {"is_active": False}])
    def test_who_has_no_phone_any_more_or_has_left(self, cast, head, changed):
        late(cast)
        type(head).objects.filter(pk=head.pk).update(**changed)

        sweep_day(8)

        assert not texts().exists()

    def test_while_there_is_no_provider(self, cast, head, settings):
        settings.SMS_BACKEND = ""
        late(cast)

        sweep_day(8)

        assert not texts().exists()

    def test_while_the_text_is_not_in_use(self, cast, head):
        SmsTemplate.objects.update(is_active=False)
        late(cast)

        sweep_day(8)

        assert not texts().exists()

    def test_more_often_than_so_many_times_a_day(self, cast, head):
        for number in range(MOST_TEXTS_A_DAY + 3):
            alerts.evaluate(shipment_ids=[late(cast).pk], at=morning(8) + timedelta(hours=number))

        assert texts().count() == MOST_TEXTS_A_DAY
        alerts.evaluate(shipment_ids=[late(cast).pk], at=morning(9) + timedelta(hours=1))
        assert texts().count() == MOST_TEXTS_A_DAY + 1

    def test_twice_of_one_moment(self, cast, head):
        for _ in range(2):
            alerts.evaluate(shipment_ids=[late(cast).pk], at=morning(8))

        assert texts().count() == 1
        assert "alerts: 2." in said(texts().get(), morning(8))


class TestWhatHappensBetweenWritingAndSending:
    def test_is_left_out_when_it_is_no_longer_open(self, cast, head):
        kept, gone = late(cast, containers=1), late(cast, containers=5)
        sweep_day(8)

        shipments.cancel(shipment_id=gone.pk, reason="Sold at sea", by=cast.bu_head, at=morning(8))

        assert said(texts().get(), morning(8)).startswith(f"Clearance: {kept.shipment_number}, ")

    def test_may_leave_nothing_to_say(self, cast, head):
        shipment = late(cast)
        sweep_day(8)
        step = recipes.step(shipment, recipes.COLLECTED)
        workflow.complete_step(step_id=step.pk, by=cast.cc_clerk, at=morning(8))

        mails.deliver(morning(8) + timedelta(seconds=15), selectors.compose_text, channel=Channel.SMS)

        assert mails.now(texts().get()).delivery == Delivery.NOTHING_LEFT

    def test_may_be_that_the_person_wants_none_any_more(self, cast, head):
        late(cast)
        sweep_day(8)

        outbox.choose_channels(user=head, sms=[])

        assert said(texts().get(), morning(8)) is None

    def test_may_be_that_the_text_was_taken_out_of_use(self, cast, head):
        late(cast)
        sweep_day(8)
        SmsTemplate.objects.update(is_active=False)

        with pytest.raises(Undeliverable):
            said(texts().get(), morning(8))
        assert mails.deliver(morning(8), selectors.compose_text, channel=Channel.SMS).dead == 1

    def test_tells_nothing_of_an_earlier_or_a_later_moment(self, cast, head):
        first = late(cast)
        alerts.evaluate(shipment_ids=[first.pk], at=morning(8))
        late(cast, containers=9)
        alerts.sweep(on=day_of(morning(8)), at=morning(8) + timedelta(hours=1))

        earlier, later = texts()

        assert said(earlier, morning(8)).startswith(f"Clearance: {first.shipment_number}")
        assert "alerts: 1." in said(later, morning(8))


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_write_one_text(cast):
    head = wants_texts(cast.cc_head)
    late(cast)

    races.free_for_all(lambda: sweep_day(8), lambda: sweep_day(8))

    assert [message.recipient for message in texts()] == [head]


def test_a_wish_goes_with_its_severity(cast, head):
    assert list(WantedText.objects.values_list("user", "severity")) == [(head.pk, "urgent")]

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, connections

from clearance.tests import processes, races
from clearance.tests.recipes import NOON
from outbox.choices import Delivery
from outbox.models import Message
from outbox.rules import RETRY
from outbox.tests.mails import LEASE, SOON, breaker, deliver, now, say, waiting

pytestmark = pytest.mark.django_db(transaction=True)

AFTER_THE_LEASE = NOON + LEASE + timedelta(seconds=30)


class Worker:
    """A worker in a thread with a connection of its own, stuck with the server's answer to its mail."""

    def __init__(self, post_office, **given):
        self.post_office = post_office
        self.report = None
        post_office.gate.clear()
        self.thread = threading.Thread(target=self._work, kwargs=given, daemon=True)
        self.thread.start()
        assert processes.eventually(lambda: "content" in post_office.stages)

    def _work(self, **given):
        try:
            self.report = deliver(**given)
        finally:
            connection.close()

    def goes_on(self):
        self.post_office.gate.set()
        self.thread.join(10)
        return self.report


class TestALease:
    def test_keeps_other_workers_from_the_message(self, post_office, cc_clerk):
        message = waiting(cc_clerk)
        slow = Worker(post_office)
        assert now(message).leased_until > NOON

        assert deliver(NOON + LEASE - SOON).sent == 0

        assert slow.goes_on().sent == 1
        assert len(post_office.received) == 1

    def test_holds_one_message_only_so_that_others_go_on_with_the_rest(self, post_office, cc_clerk):
        for _ in range(4):
            waiting(cc_clerk)

        slow = Worker(post_office)

        assert Message.objects.due(at=NOON).count() == 3
        slow.goes_on()

    def test_of_a_dead_worker_runs_out_and_the_message_goes_out(self, post_office, cc_clerk):
        message = waiting(cc_clerk, leased_until=NOON + LEASE)

        assert deliver(NOON + LEASE - SOON).sent == 0
        assert deliver(NOON + LEASE).sent == 1

        assert post_office.ids() == [f"<{message.message_id}@example.com>"]

    def test_is_given_back_with_every_note(self, post_office, cc_clerk, cc_head):
        post_office.answers["rcpt"] = lambda address: "550 No" if address == cc_head.email else None
        messages = [waiting(cc_clerk), waiting(cc_head)]

        deliver()

        assert [now(message).leased_until for message in messages] == [None, None]


class TestAWorkerWhoseLeaseRanOut:
    def test_does_not_overwrite_what_the_next_one_noted(self, post_office, cc_clerk):
        message = waiting(cc_clerk)
        stalled = Worker(post_office)
        Message.objects.filter(pk=message.pk).update(delivery=Delivery.SENT, sent_at=AFTER_THE_LEASE, leased_until=None)

        report = stalled.goes_on()

        assert report.sent == 0
        assert now(message).sent_at == AFTER_THE_LEASE

    def test_counts_no_refusal_while_the_next_one_is_sending(self, post_office, cc_clerk):
        post_office.answers["data"] = "550 5.7.1 No"
        message = waiting(cc_clerk)
        stalled = Worker(post_office)
        Message.objects.filter(pk=message.pk).update(leased_until=AFTER_THE_LEASE)

        report = stalled.goes_on()

        assert (report.refused, report.dead) == (0, 0)
        assert (now(message).refusals, now(message).leased_until) == (0, AFTER_THE_LEASE)

    def test_does_not_take_the_lease_from_the_next_one_when_the_server_fails(self, post_office, cc_clerk):
        post_office.answers["data"] = "421 4.3.2 Shutting down"
        message = waiting(cc_clerk)
        stalled = Worker(post_office)
        Message.objects.filter(pk=message.pk).update(leased_until=AFTER_THE_LEASE)

        assert stalled.goes_on().is_server_down

        assert now(message).leased_until == AFTER_THE_LEASE

    def test_and_the_next_one_send_under_the_same_id(self, post_office, cc_clerk):
        message = waiting(cc_clerk)
        stalled = Worker(post_office)
        following = threading.Thread(target=lambda: (deliver(AFTER_THE_LEASE), connection.close()), daemon=True)
        following.start()
        assert processes.eventually(lambda: len(post_office.received) == 2)

        report = stalled.goes_on()
        following.join(10)

        assert report.sent == 0
        assert set(post_office.ids()) == {f"<{message.message_id}@example.com>"}
        assert now(message).delivery == Delivery.SENT
        assert now(message).sent_at >= AFTER_THE_LEASE


class TestSeveralWorkersAtOnce:
    def test_send_no_mail_twice_and_none_not_at_all(self, post_office, cc_clerk, cc_head, finance_clerk):
        post_office.pause = 0.005
        messages = [waiting(person) for person in (cc_clerk, cc_head, finance_clerk) for _ in range(20)]

        reports = races.free_for_all(*[deliver] * 4)

        assert Counter(post_office.ids()) == Counter(f"<{message.message_id}@example.com>" for message in messages)
        assert sum(report.sent for report in reports) == len(messages)
        assert sum(report.sent > 0 for report in reports) > 1

    def test_do_not_wait_for_one_another(self, post_office, cc_clerk):
        for _ in range(2):
            waiting(cc_clerk)
        slow = Worker(post_office)
        post_office.gate.set()

        reports = races.free_for_all(deliver, deliver)

        assert sum(report.sent for report in reports) + slow.goes_on().sent == 2
        assert len(set(post_office.ids())) == len(post_office.ids()) == 2

    def test_make_one_probe_between_them(self, post_office, cc_clerk):
        post_office.answers["mail"] = "421 4.3.2 Shutting down"
        for _ in range(8):
            waiting(cc_clerk)
        deliver()
        post_office.stages.clear()
        at = NOON + timedelta(seconds=90)

        reports = races.free_for_all(*[lambda: deliver(at)] * 4)

        assert all(report.is_server_down for report in reports)
        assert post_office.stages.count("mail") == 1

    def test_open_the_breaker_once(self, post_office, cc_clerk):
        post_office.answers["mail"] = "421 4.3.2 Shutting down"
        for _ in range(8):
            waiting(cc_clerk)

        races.free_for_all(*[deliver] * 4)

        assert breaker().down_since is not None
        assert Message.objects.filter(delivery=Delivery.WAITING, refusals=0, leased_until=None).count() == 8

    def test_count_a_refusal_once(self, post_office, cc_clerk):
        post_office.answers["rcpt"] = "550 5.1.1 No such person"
        messages = [waiting(cc_clerk) for _ in range(10)]

        races.free_for_all(*[deliver] * 3)
        races.free_for_all(*[lambda: deliver(NOON + RETRY + SOON)] * 3)

        assert {now(message).refusals for message in messages} == {2}


class TestTalkingToTheServer:
    def test_keeps_no_transaction_open(self, post_office, cc_clerk):
        of_this_thread = connections["default"]
        open_transactions = []
        post_office.on_stage = lambda stage, session: open_transactions.append(of_this_thread.in_atomic_block)
        waiting(cc_clerk)

        deliver(compose=say)

        assert open_transactions == [False] * 4  # sender, recipient, content, yes

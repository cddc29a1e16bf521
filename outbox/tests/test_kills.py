"""Workers that are killed without a word while Amazon has their message, and before they hear of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.choices import MessageKind
from clearance.embedded import ROOT
from clearance.tests import processes, workers
from outbox.choices import Channel, Delivery
from outbox.models import Message
from outbox.tests import amazon as amazons
from outbox.tests.mails import deliver, say, waiting

pytestmark = pytest.mark.django_db(transaction=True)

KILLS = 3
LEASE = timedelta(seconds=2)
_WORK = """
import django; django.setup()
from datetime import timedelta
from django.utils import timezone
from outbox.choices import Channel
from outbox.tests.mails import deliver
deliver(timezone.now(), channel=Channel("{channel}"), lease=timedelta(seconds=2))
"""


def worker(amazon, channel: Channel) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _WORK.format(channel=channel)],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if name != "PGOPTIONS"},
            **amazons.KEYS,
            "DATABASE_URL": workers.database_url(),
            "DATABASE_OWNER_URL": "",
            "DEBUG": "1",
            "MAIL_PROVIDER": "ses",
            "SMS_PROVIDER": "sns",
            "SMTP_FROM": "clearance@example.com",
            "AWS_REGION": amazons.REGION,
            "SES_ENDPOINT_URL": amazon.url,
            "SNS_ENDPOINT_URL": amazon.url,
        },
        start_new_session=True,
    )


@pytest.mark.parametrize("channel", Channel)
def test_killed_workers_lose_nothing_and_repeat_no_more_than_they_held(amazon, cc_clerk, channel):
    cc_clerk.phone = "+96891234567"
    cc_clerk.save()
    kind = MessageKind.URGENT_ALERT if channel == Channel.SMS else MessageKind.DIGEST
    messages = [waiting(cc_clerk, timezone.now(), channel=channel, kind=kind) for _ in range(KILLS + 3)]

    for number in range(KILLS):
        amazon.is_open.clear()
        killed, before = worker(amazon, channel), len(amazon.taken)
        try:
            assert processes.eventually(lambda before=before: len(amazon.taken) > before, seconds=60), number
        finally:
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait()
        amazon.is_open.set()
    assert processes.eventually(lambda: _rest(channel), seconds=30)

    assert set(Message.objects.values_list("delivery", "refusals")) == {(Delivery.SENT, 0)}
    told = Counter(taken.text.strip() for taken in amazon.taken)
    assert told.keys() == {say(message, message.created_at).text for message in messages}
    assert told.total() - len(told) <= KILLS
    if channel == Channel.MAIL:
        ids = {(taken.text.strip(), taken.mail["X-Clearance-Message"]) for taken in amazon.taken}
        assert len(ids) == len(messages)


def _rest(channel: Channel) -> bool:
    deliver(timezone.now(), channel=channel, lease=LEASE)
    return not Message.objects.filter(delivery=Delivery.WAITING).exists()

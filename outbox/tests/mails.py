"""Messages in the outbox, a worker that looks at it, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from accounts.models import User
from alerts.choices import MessageKind
from clearance.tests.recipes import NOON
from outbox import services as outbox
from outbox.choices import Channel
from outbox.messages import kinds
from outbox.models import Carrier, Message
from outbox.rules import Compose, Content
from outbox.services import DeliveryReport

LEASE = timedelta(seconds=120)
SOON = timedelta(seconds=20)  # what a look at the outbox takes is added to the moment it is given


def say(message: Message, at: datetime) -> Content:
    """Compose something that names its message."""
    return Content(f"About {message.pk}", f"Text of {message.pk}", f"<p>HTML of {message.pk}</p>")


def waiting(recipient: User, at: datetime = NOON, **changed: Any) -> Message:
    """A message that is due at `at`."""
    return Message.objects.create(
        **{"kind": MessageKind.DIGEST, "recipient": recipient, "not_before": at, "created_at": at} | changed
    )


def deliver(at: datetime = NOON, compose: Compose = say, **given: Any) -> DeliveryReport:
    """Have a worker look at the outbox."""
    every: Mapping[str, Compose] = dict.fromkeys(kinds(), compose)
    return outbox.deliver_due(**{"at": at, "compose": every, "lease": LEASE} | given)


def now(message: Message) -> Message:
    """The message as it is now."""
    return Message.objects.get(pk=message.pk)


def breaker(channel: Channel = Channel.MAIL) -> Carrier | None:
    """The mail server, or another carrier, as it was last found; None if it never failed."""
    return Carrier.objects.filter(channel=channel).first()

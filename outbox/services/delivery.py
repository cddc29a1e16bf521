"""Delivering what is due, channel by channel, and sending a dead letter again.

Delivery is safe to kill anywhere and to run in any number of workers. A worker leases one message, composes it, hands
it to the carrier and notes what became of it; whatever it notes holds only while its lease does. A worker that
dies in between leaves the lease, after which the message goes out again under the same Message-ID. No transaction is
open while the carrier is being talked to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils.translation import gettext as _

from clearance.errors import Forbidden
from outbox.choices import Channel, Delivery
from outbox.errors import CarrierFailed, MessageRefused, NotADeadLetter, Undeliverable
from outbox.models import Carrier, Message
from outbox.rules import PROBE, REFUSALS, RETRY, RUN, Compose, Person
from outbox.services import lines

log = logging.getLogger("clearance.outbox")


@dataclass(slots=True)
class DeliveryReport:
    """What one look at the outbox did."""

    sent: int = 0
    nothing_left: int = 0
    refused: int = 0
    dead: int = 0
    is_server_down: bool = False
    failure: str = ""


def deliver_due(
    *,
    at: datetime,
    compose: Mapping[str, Compose],
    lease: timedelta,
    run: timedelta = RUN,
    channel: Channel = Channel.MAIL,
) -> DeliveryReport:
    """Send what is due on a channel, one message after the other, until nothing is or until `run` is over.

    `compose` has a function for each kind of message; what it raises is a refusal of that message and stops no other.
    `lease` is how long this worker may hold a message before others take it for dead: well above what sending one can
    take, where each of the half dozen answers of a slow server may come just before EMAIL_TIMEOUT.
    A refusal is tried again after five minutes, three times in all, then the message is a dead letter. A failure of
    the carrier counts nothing: it opens the channel's breaker, and one message a minute probes until it answers.

    :raises OperationalError: the database failed. What was sent is noted, what was held is due again later.
    """
    return _Look(channel, compose, lease, begun_at=at).go(until=at + run)


@transaction.atomic
def resend(*, message_id: int, by: Person, at: datetime) -> None:
    """Put a dead letter back into the outbox, with three tries.

    :raises Forbidden: `by` isn't an administrator. :raises NotADeadLetter: it isn't one.
    """
    if not by.has_perm("outbox.resend_message"):
        raise Forbidden
    revived = Message.objects.dead().filter(pk=message_id)
    if not revived.update(delivery=Delivery.WAITING, refusals=0, not_before=at, leased_until=None):
        raise NotADeadLetter


@dataclass(slots=True)
class _Look:
    """One worker's look at a channel: its line to the carrier, and what it did so far."""

    channel: Channel
    compose: Mapping[str, Compose]
    lease: timedelta
    begun_at: datetime
    started: float = field(default_factory=time.monotonic)
    is_probe: bool = False
    report: DeliveryReport = field(default_factory=DeliveryReport)
    line: lines.Line = field(init=False)

    def __post_init__(self) -> None:
        self.line = lines.to(self.channel)

    @property
    def now(self) -> datetime:
        """The moment that was given, and the time that has passed since."""
        return self.begun_at + timedelta(seconds=time.monotonic() - self.started)

    def go(self, *, until: datetime) -> DeliveryReport:
        if not self._may_try():
            self.report.is_server_down = True
            return self.report
        try:
            while (now := self.now) <= until and (message := self._claim(at=now)):
                if not self._deliver(message):
                    break
        finally:
            self.line.hang_up()
        return self.report

    def _may_try(self) -> bool:
        """While the carrier is down, only whoever moves the time of the next probe: one worker a minute."""
        down = Carrier.objects.down(self.channel)
        if not down.exists():
            return True
        due = down.filter(next_probe_at__lte=self.begun_at)
        self.is_probe = bool(due.update(next_probe_at=self.begun_at + PROBE))
        return self.is_probe

    def _claim(self, *, at: datetime) -> Message | None:
        """Lease the message that has been due longest; those that other workers are claiming are skipped.

        One at a time: a worker that dies holds up one message, and can repeat no more than one.
        """
        with transaction.atomic():
            due = Message.objects.filter(channel=self.channel).due(at=at).order_by("not_before", "id")
            claimed = due.select_related("recipient").select_for_update(of=("self",), skip_locked=True)
            message: Message | None = claimed.first()
            if message is not None:
                message.leased_until = at + self.lease
                Message.objects.filter(pk=message.pk).update(leased_until=message.leased_until)
        return message

    def _deliver(self, message: Message) -> bool:
        """Do what can be done about a message now; False if the carrier failed at it."""
        try:
            provider_id = self._send(message)
        except CarrierFailed as failure:
            self._note_failure(message, str(failure))
            return False
        except MessageRefused as refusal:
            self._carrier_works()
            self._note_refusal(message, str(refusal))
        except Undeliverable as reason:
            self.report.dead += _note(message, delivery=Delivery.DEAD, last_refusal=str(reason))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # whatever one message runs into must not hold up the others
            log.exception("message cannot be composed", extra={"outbox_message": message.pk})
            self._note_refusal(message, lines.said(error))
        else:
            if provider_id is None:
                self.report.nothing_left += _note(message, delivery=Delivery.NOTHING_LEFT)
            else:
                # First of all: what happens between the carrier's yes and this note is what a repeat can come from.
                sent = {"delivery": Delivery.SENT, "sent_at": self.now, "provider_id": provider_id}
                self.report.sent += _note(message, **sent)
                self._carrier_works()
        return True

    def _send(self, message: Message) -> str | None:
        """Compose a message and hand it over; return what the carrier calls it, None if there is nothing left to say.

        :raises Undeliverable: :raises MessageRefused: :raises CarrierFailed:
        """
        if not message.recipient.is_active:
            raise Undeliverable(_("The recipient is deactivated."))
        if message.recipient.is_service:
            raise Undeliverable(_("The recipient is a service account."))
        self.line.require_address(message.recipient)
        content = self.compose[message.kind](message, self.now)
        return None if content is None else self.line.hand_over(message, content)

    def _note_refusal(self, message: Message, said: str) -> None:
        is_dead = message.refusals + 1 >= REFUSALS
        then = {"delivery": Delivery.DEAD} if is_dead else {"not_before": self.now + RETRY}
        noted = _note(message, refusals=message.refusals + 1, last_refusal=said, **then)
        self.report.refused += noted
        self.report.dead += noted if is_dead else 0
        log.warning("message refused", extra={"outbox_message": message.pk, "is_dead": is_dead})

    def _note_failure(self, message: Message, said: str) -> None:
        """Open the breaker, and put the message behind the others: the next probe is not always made with the same."""
        now = self.now
        self.report.is_server_down, self.report.failure = True, said
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO outbox_carrier AS carrier (channel, down_since, next_probe_at, last_failure)
                VALUES (%s, %s, %s, %s)
                ON CONFLICT (channel) DO UPDATE SET
                    down_since = COALESCE(carrier.down_since, EXCLUDED.down_since),
                    next_probe_at = COALESCE(carrier.next_probe_at, EXCLUDED.next_probe_at),
                    last_failure = EXCLUDED.last_failure
                """,
                [self.channel, now, now + PROBE, said],
            )
        _note(message, not_before=now)
        log.error("%s: carrier down: %s", self.channel, said)

    def _carrier_works(self) -> None:
        """Close the breaker: the carrier has answered, be it with a refusal."""
        if self.is_probe:
            self.is_probe = False
            Carrier.objects.down(self.channel).update(down_since=None, next_probe_at=None)
            log.info("%s: carrier works again", self.channel)


def _note(message: Message, **values: object) -> int:
    """Note what became of a message and let go of it; 0 if the lease ran out and another worker took it over.

    A lease is known by its end: the next worker's is always later, as it claims only what has ended.
    """
    held = Message.objects.filter(pk=message.pk, delivery=Delivery.WAITING, leased_until=message.leased_until)
    noted = held.update(leased_until=None, **values)
    if not noted:
        log.warning("lease ran out before the message was noted", extra={"outbox_message": message.pk})
    return noted

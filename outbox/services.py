"""Verbs of the outbox: deliver what is due, resend a dead letter, mute a severity.

Delivery is safe to kill anywhere and to run in any number of workers. A worker leases one message, composes it, hands
it to the mail server and notes what became of it; whatever it notes holds only while its lease does. A worker that
dies in between leaves the lease, after which the message goes out again under the same Message-ID. No transaction is
open while the server is being talked to.
"""

from __future__ import annotations

import logging
import re
import smtplib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from clearance.errors import Forbidden
from outbox.choices import Delivery
from outbox.errors import NotADeadLetter
from outbox.models import MailServer, Message, MutedMail
from outbox.rules import PROBE, REFUSALS, RETRY, RUN, Compose, Content

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
    *, at: datetime, compose: Mapping[str, Compose], lease: timedelta, run: timedelta = RUN
) -> DeliveryReport:
    """Send what is due, one message after the other, until nothing is or until `run` is over.

    `compose` has a function for each kind of message; what it raises is a refusal of that message and stops no other.
    `lease` is how long this worker may hold a message before others take it for dead: well above what sending one can
    take, where each of the half dozen answers of a slow server may come just before EMAIL_TIMEOUT.
    A refusal is tried again after five minutes, three times in all, then the message is a dead letter. A failure of
    the server counts nothing: it opens the breaker, and one message a minute probes until the server answers.

    :raises OperationalError: the database failed. What was sent is noted, what was held is due again later.
    """
    return _Look(compose, lease, begun_at=at).go(until=at + run)


@transaction.atomic
def resend(*, message_id: int, by: User, at: datetime) -> None:
    """Put a dead letter back into the outbox, with three tries.

    :raises Forbidden: `by` isn't an administrator. :raises NotADeadLetter: it isn't one.
    """
    if not by.has_perm("outbox.resend_message"):
        raise Forbidden
    revived = Message.objects.dead().filter(pk=message_id)
    if not revived.update(delivery=Delivery.WAITING, refusals=0, not_before=at, leased_until=None):
        raise NotADeadLetter


@transaction.atomic
def mute(*, user_id: int, severities: Collection[str]) -> None:
    """Have a person get alerts by mail except those of these severities, from the next sweep on.

    The inbox shows them all the same.
    """
    MutedMail.objects.filter(user_id=user_id).exclude(severity__in=severities).delete()
    MutedMail.objects.bulk_create(
        [MutedMail(user_id=user_id, severity=severity) for severity in severities], ignore_conflicts=True
    )


class _ServerFailed(Exception):
    """The server, not the message, is the problem."""


class _Refused(Exception):
    """The server works, and will not take this message."""


class _Undeliverable(Exception):
    """The message has nobody to go to: another try won't help."""


@dataclass(slots=True)
class _Look:
    """One worker's look at the outbox: its line to the server, and what it did so far."""

    compose: Mapping[str, Compose]
    lease: timedelta
    begun_at: datetime
    started: float = field(default_factory=time.monotonic)
    backend: BaseEmailBackend = field(default_factory=get_connection)
    is_probe: bool = False
    report: DeliveryReport = field(default_factory=DeliveryReport)

    @property
    def now(self) -> datetime:
        """The moment that was given, and the time that has passed since."""
        return self.begun_at + timedelta(seconds=time.monotonic() - self.started)

    def go(self, *, until: datetime) -> DeliveryReport:
        if not self._may_try():
            self.report.is_server_down = True
            return self.report
        try:
            while (now := self.now) <= until and (message := _claim(at=now, until=now + self.lease)):
                if not self._deliver(message):
                    break
        finally:
            self._hang_up()
        return self.report

    def _may_try(self) -> bool:
        """While the server is down, only whoever moves the time of the next probe: one worker a minute."""
        if not MailServer.objects.down().exists():
            return True
        due = MailServer.objects.down().filter(next_probe_at__lte=self.begun_at)
        self.is_probe = bool(due.update(next_probe_at=self.begun_at + PROBE))
        return self.is_probe

    def _deliver(self, message: Message) -> bool:
        """Do what can be done about a message now; False if the server failed at it."""
        try:
            is_sent = self._send(message)
        except _ServerFailed as failure:
            self._note_failure(message, str(failure))
            return False
        except _Refused as refusal:
            self._server_works()
            self._note_refusal(message, str(refusal))
        except _Undeliverable as reason:
            self.report.dead += _note(message, delivery=Delivery.DEAD, last_refusal=str(reason))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # whatever one message runs into must not hold up the others
            log.exception("mail cannot be composed", extra={"outbox_message": message.pk})
            self._note_refusal(message, _said(error))
        else:
            if is_sent:
                # First of all: what happens between the server's yes and this note is what a repeat can come from.
                self.report.sent += _note(message, delivery=Delivery.SENT, sent_at=self.now)
                self._server_works()
            else:
                self.report.nothing_left += _note(message, delivery=Delivery.NOTHING_LEFT)
        return True

    def _send(self, message: Message) -> bool:
        """Compose a message and hand it to the server; False if there is nothing left to say.

        :raises _Undeliverable: :raises _Refused: :raises _ServerFailed:
        """
        if not message.recipient.is_active:
            raise _Undeliverable(_("The recipient is deactivated."))
        if not message.recipient.email:
            raise _Undeliverable(_("The recipient has no e-mail address."))
        content = self.compose[message.kind](message, self.now)
        if content is None:
            return False
        mail = _mail(message, content, self.backend)
        mail.message().as_bytes()  # if it can't be written, the server needn't be asked
        is_new = self._open_line()
        try:
            self._hand_over(mail)
        except _ServerFailed:
            self._hang_up()
            if is_new:
                raise
            # Servers end a line that they find old, or that brought many mails: that is no failure.
            self._open_line()
            self._hand_over(mail)
        return True

    def _open_line(self) -> bool:
        """Be connected; True if that took a new connection."""
        try:
            return bool(self.backend.open())
        except (smtplib.SMTPException, OSError) as error:
            raise _ServerFailed(_said(error)) from error

    def _hand_over(self, mail: EmailMultiAlternatives) -> None:
        try:
            is_taken = self.backend.send_messages([mail])
        except (smtplib.SMTPException, OSError) as error:
            if _is_about_the_message(error):
                self._hang_up()  # some servers end the line after a refusal: the next message gets a new one
                raise _Refused(_said(error)) from error
            raise _ServerFailed(_said(error)) from error
        if not is_taken:
            raise _Refused(_("The mail was not taken; the server did not say why."))

    def _hang_up(self) -> None:
        try:
            self.backend.close()
        except (smtplib.SMTPException, OSError):
            log.info("the mail server had hung up already")

    def _note_refusal(self, message: Message, said: str) -> None:
        is_dead = message.refusals + 1 >= REFUSALS
        then = {"delivery": Delivery.DEAD} if is_dead else {"not_before": self.now + RETRY}
        noted = _note(message, refusals=message.refusals + 1, last_refusal=said, **then)
        self.report.refused += noted
        self.report.dead += noted if is_dead else 0
        log.warning("mail refused", extra={"outbox_message": message.pk, "is_dead": is_dead})

    def _note_failure(self, message: Message, said: str) -> None:
        """Open the breaker, and put the message behind the others: the next probe is not always made with the same."""
        now = self.now
        self.report.is_server_down, self.report.failure = True, said
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO outbox_mailserver AS server (id, down_since, next_probe_at, last_failure)
                VALUES (1, %s, %s, %s)
                ON CONFLICT (id) DO UPDATE SET
                    down_since = COALESCE(server.down_since, EXCLUDED.down_since),
                    next_probe_at = COALESCE(server.next_probe_at, EXCLUDED.next_probe_at),
                    last_failure = EXCLUDED.last_failure
                """,
                [now, now + PROBE, said],
            )
        _note(message, not_before=now)
        log.error("mail server down: %s", said)

    def _server_works(self) -> None:
        """Close the breaker: the server has answered, be it with a refusal."""
        if self.is_probe:
            self.is_probe = False
            MailServer.objects.down().update(down_since=None, next_probe_at=None)
            log.info("mail server works again")


def _claim(*, at: datetime, until: datetime) -> Message | None:
    """Lease the message that has been due longest; those that other workers are claiming are skipped.

    One at a time: a worker that dies holds up one message, and can repeat no more than one.
    """
    with transaction.atomic():
        due = Message.objects.due(at=at).order_by("not_before", "id").select_related("recipient")
        message = due.select_for_update(of=("self",), skip_locked=True).first()
        if message is not None:
            Message.objects.filter(pk=message.pk).update(leased_until=until)
            message.leased_until = until
    return message


def _note(message: Message, **values: object) -> int:
    """Note what became of a message and let go of it; 0 if the lease ran out and another worker took it over.

    A lease is known by its end: the next worker's is always later, as it claims only what has ended.
    """
    held = Message.objects.filter(pk=message.pk, delivery=Delivery.WAITING, leased_until=message.leased_until)
    noted = held.update(leased_until=None, **values)
    if not noted:
        log.warning("lease ran out before the mail was noted", extra={"outbox_message": message.pk})
    return noted


def _mail(message: Message, content: Content, backend: BaseEmailBackend) -> EmailMultiAlternatives:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    mail = EmailMultiAlternatives(
        subject=" ".join(content.subject.split()),  # a line break in a header would begin another header
        body=content.text,
        to=[message.recipient.email],
        cc=message.cc,
        bcc=message.bcc,
        reply_to=message.reply_to,
        headers={"Message-ID": f"<{message.message_id}@{domain}>", "Auto-Submitted": "auto-generated"},
        connection=backend,
    )
    mail.attach_alternative(content.html, "text/html")
    for attachment in message.attachments.all():
        mail.attach(attachment.name, bytes(attachment.content), attachment.content_type)
    return mail


def _is_about_the_message(error: Exception) -> bool:
    """Whether another message could fare better; if not, it is the server that failed.

    421 says that the server is closing, wherever it comes. Our sender is always the same: its refusal is one of
    everything, unless it is the announced size (552) that is refused.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code != 421 for code, _reason in error.recipients.values())
    if isinstance(error, smtplib.SMTPSenderRefused):
        return error.smtp_code == 552
    return isinstance(error, smtplib.SMTPDataError) and error.smtp_code != 421


def _said(error: Exception) -> str:
    """Say what went wrong, for administrators and logs: without addresses, and fit for a text column."""
    answers = getattr(error, "recipients", None)  # SMTPRecipientsRefused: address → code, words
    if answers:
        code, words = next(iter(answers.values()))
    elif isinstance(error, smtplib.SMTPResponseException):
        code, words = error.smtp_code, error.smtp_error
    else:
        code, words = type(error).__name__, str(error)
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    text = re.sub(r"[^\s<>'\"]+@[^\s<>'\"]+", "…", f"{code} {text}")
    return "".join(letter if letter.isprintable() else " " for letter in text)[:500]

"""A worker's line to a carrier: how one message is handed over, and who is to blame when that fails."""

from __future__ import annotations

import logging
import re
import smtplib
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any, Protocol

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from outbox.choices import Channel
from outbox.errors import CarrierFailed, MessageRefused, Undeliverable
from outbox.models import Message
from outbox.rules import Content, Person

log = logging.getLogger("clearance.outbox")


class Line(Protocol):
    """What delivery asks of a channel."""

    def require_address(self, recipient: Person) -> None:
        """:raises Undeliverable: the person has none."""

    def hand_over(self, message: Message, content: Content) -> str:
        """Have the carrier take a message; return what it calls it, if it calls it anything.

        :raises MessageRefused: :raises CarrierFailed:
        """

    def hang_up(self) -> None: ...


def to(channel: Channel) -> Line:
    return TextLine() if channel == Channel.SMS else MailLine()


# Mail ----------------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class MailLine:
    """To whatever takes mail: a server by SMTP, Amazon SES, a folder."""

    backend: BaseEmailBackend = field(default_factory=get_connection)

    def require_address(self, recipient: Person) -> None:
        if not recipient.email:
            raise Undeliverable(_("The recipient has no e-mail address."))

    def hand_over(self, message: Message, content: Content) -> str:
        mail = _mail(message, content, self.backend)
        mail.message().as_bytes()  # if it can't be written, the server needn't be asked
        is_new = self._open()
        try:
            self._send(mail)
        except _LineFailed as failure:
            self.hang_up()
            if is_new:
                raise CarrierFailed(str(failure)) from failure
            # Servers end a line that they find old, or that brought many mails: that is no failure.
            self._open()
            try:
                self._send(mail)
            except _LineFailed as again:
                raise CarrierFailed(str(again)) from again
        return _provider_id(mail)

    def hang_up(self) -> None:
        try:
            self.backend.close()
        except (smtplib.SMTPException, OSError):
            log.info("the mail server had hung up already")

    def _open(self) -> bool:
        """Be connected; True if that took a new connection."""
        try:
            return bool(self.backend.open())
        except (smtplib.SMTPException, OSError) as error:
            raise CarrierFailed(said(error)) from error

    def _send(self, mail: EmailMultiAlternatives) -> None:
        """:raises _LineFailed: :raises CarrierFailed: :raises MessageRefused:"""
        try:
            is_taken = self.backend.send_messages([mail])
        except (smtplib.SMTPException, OSError) as error:
            if _is_about_the_message(error):
                self.hang_up()  # some servers end the line after a refusal: the next message gets a new one
                raise MessageRefused(said(error)) from error
            raise _LineFailed(said(error)) from error
        if not is_taken:
            raise MessageRefused(_("The mail was not taken; the server did not say why."))


class _LineFailed(Exception):
    """The server failed, or only this connection to it."""


def _mail(message: Message, content: Content, backend: BaseEmailBackend) -> EmailMultiAlternatives:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    mail = EmailMultiAlternatives(
        subject=" ".join(content.subject.split()),  # a line break in a header would begin another header
        body=content.text,
        to=[message.recipient.email],
        cc=message.cc,
        bcc=message.bcc,
        reply_to=message.reply_to,
        headers={
            "Message-ID": f"<{message.message_id}@{domain}>",
            "X-Clearance-Message": str(message.message_id),  # Amazon SES gives mails a Message-ID of its own
            "Auto-Submitted": "auto-generated",
        },
        connection=backend,
    )
    mail.attach_alternative(content.html, "text/html")
    for attachment in message.attachments.all():
        mail.attach(attachment.name, bytes(attachment.content), attachment.content_type)
    return mail


def _provider_id(mail: EmailMultiAlternatives) -> str:
    """What Amazon SES calls a mail; a server of SMTP has no name for it that it tells."""
    status: Any = getattr(mail, "anymail_status", None)
    return str(status.message_id or "")[:200] if status else ""


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


# Text messages -------------------------------------------------------------------------------------------------------
class Provider(Protocol):
    """Who takes text messages: `outbox.backends` has those that there are."""

    def send(self, to: str, text: str) -> str:
        """Have a text sent to a number (E.164); return what the provider calls it.

        :raises MessageRefused: this text or number. :raises CarrierFailed: anything would fare like it.
        """


@dataclass(slots=True)
class TextLine:
    provider: Provider | None = None

    def require_address(self, recipient: Person) -> None:
        if not settings.SMS_BACKEND:  # it was taken away since: an urgent text that waits for another is of no use
            raise Undeliverable(_("No provider of text messages is set."))
        if not recipient.phone:
            raise Undeliverable(_("The recipient has no phone number."))

    def hand_over(self, message: Message, content: Content) -> str:
        if self.provider is None:
            self.provider = import_string(settings.SMS_BACKEND)()
        return self.provider.send(message.recipient.phone, content.text)[:200]

    def hang_up(self) -> None:
        self.provider = None


# Both ----------------------------------------------------------------------------------------------------------------
def said(error: Exception) -> str:
    """Say what went wrong, for administrators and logs: without addresses, and fit for a text column."""
    answers = getattr(error, "recipients", None)  # SMTPRecipientsRefused: address → code, words
    if answers:
        code, words = next(iter(answers.values()))
    elif isinstance(error, smtplib.SMTPResponseException):
        code, words = error.smtp_code, error.smtp_error
    else:
        code, words = type(error).__name__, str(error)
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return without_addresses(f"{code} {text}")


def without_addresses(words: str) -> str:
    """Hide e-mail addresses and phone numbers in what a carrier said; of a number, the last three digits stay."""
    text = re.sub(r"[^\s<>'\"]+@[^\s<>'\"]+", "…", words)
    text = re.sub(r"\+[1-9]\d{3,11}(?=\d{3}(?!\d))", "…", text)
    return "".join(letter if letter.isprintable() else " " for letter in text)[:500]

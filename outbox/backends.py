"""How messages leave the house: mail by SMTP or Amazon SES, texts by Amazon SNS; in development, both become files."""

from __future__ import annotations

import logging
import os
import re
import smtplib
from collections.abc import Sequence
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import boto3
from anymail.backends.amazon_ses import EmailBackend as AnymailSes
from anymail.exceptions import AnymailAPIError, AnymailError
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend
from django.utils import timezone

from outbox.errors import CarrierFailed, MessageRefused
from outbox.rules import masked
from outbox.services.lines import without_addresses

log = logging.getLogger("clearance.outbox")

_LONGEST_NAME = 200  # bytes; file systems allow 255


class _Particular:
    """A connection that counts a mail as refused when its first recipient is, whoever else was accepted (cc, bcc)."""

    def sendmail(self, from_addr: str, to_addrs: Sequence[str], msg: bytes, *options: Any) -> Any:
        refused = super().sendmail(from_addr, to_addrs, msg, *options)  # type: ignore[misc]
        if to_addrs[0] in refused:
            raise smtplib.SMTPRecipientsRefused({to_addrs[0]: refused[to_addrs[0]]})
        if refused:
            log.warning("some copies of a mail were refused", extra={"refused": len(refused)})
        return refused


class _Smtp(_Particular, smtplib.SMTP):  # type: ignore[misc]
    pass


class _SmtpOverTls(_Particular, smtplib.SMTP_SSL):  # type: ignore[misc]
    pass


class Smtp(EmailBackend):
    """Django's SMTP, which would take a mail for sent as long as anybody was accepted."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SmtpOverTls if self.use_ssl else _Smtp


# Amazon --------------------------------------------------------------------------------------------------------------
# What Amazon says of one message. Anything else, an unknown code too, would befall the next message as well: to wait
# for somebody to look costs less than to bury mail that was good.
_ABOUT_ONE_MAIL = frozenset({"MessageRejected", "BadRequestException", "InvalidParameterValue"})
_ABOUT_ONE_TEXT = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "OptedOut"})


class Ses(AnymailSes):  # type: ignore[misc]
    """Anymail's Amazon SES, whose refusals tell a mail that it will not take from a service that does not work."""

    def open(self) -> bool | None:
        try:
            is_new: bool | None = super().open()
        except (BotoCoreError, ValueError) as error:
            raise CarrierFailed(_told(error)) from error
        return is_new

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        try:
            return int(super().send_messages(email_messages))
        except AnymailAPIError as error:
            if isinstance(error.__cause__, ClientError) and self._is_about_the_mail(error.__cause__):
                raise MessageRefused(_told(error.__cause__)) from error
            raise CarrierFailed(_told(error.__cause__ or error)) from error
        except AnymailError as error:  # what anymail finds wrong with a mail before it asks Amazon
            raise MessageRefused(_told(error)) from error

    @staticmethod
    def _is_about_the_mail(error: ClientError) -> bool:
        """A rejection that names our own address is one of everything: nobody has verified it, or not here."""
        said = error.response["Error"]
        sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
        names_sender = sender.casefold() in said.get("Message", "").casefold()
        return said["Code"] in _ABOUT_ONE_MAIL and not names_sender


class Sns:
    """Text messages by Amazon SNS. One attempt each: whether to try again is for the outbox to say."""

    def __init__(self) -> None:
        try:
            self.client = boto3.session.Session().client("sns", **settings.SNS_CLIENT)
        except (BotoCoreError, ValueError) as error:
            raise CarrierFailed(_told(error)) from error

    def send(self, to: str, text: str) -> str:
        attributes = {"AWS.SNS.SMS.SMSType": "Transactional"}
        if settings.SMS_SENDER:
            attributes["AWS.SNS.SMS.SenderID"] = settings.SMS_SENDER
        given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        try:
            taken = self.client.publish(PhoneNumber=to, Message=text, MessageAttributes=given)
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABOUT_ONE_TEXT:
                raise MessageRefused(_told(error)) from error
            raise CarrierFailed(_told(error)) from error
        except BotoCoreError as error:
            raise CarrierFailed(_told(error)) from error
        return str(taken["MessageId"])


def _told(error: BaseException) -> str:
    if isinstance(error, ClientError):
        said = error.response["Error"]
        return without_addresses(f"{said.get('Code', '')} {said.get('Message', '')}")
    return without_addresses(f"{type(error).__name__} {error}")


# Development ---------------------------------------------------------------------------------------------------------
class MailFolder(BaseEmailBackend):
    """Write each message to `<time>-<recipient>-<subject>-<message id>.eml`; a file is there whole or not at all."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.EMAIL_FILE_PATH)
        for mail in email_messages:
            _write(folder / f"{_file_name(mail)}.eml", mail.message().as_bytes())
        return len(email_messages)


class TextFolder:
    """Write each text to `<time>-<last digits of its number>.txt`, and say so in the log."""

    def send(self, to: str, text: str) -> str:
        name = f"{timezone.localtime():%Y%m%d-%H%M%S-%f}-{to[-3:]}"
        try:
            _write(Path(settings.SMS_FILE_PATH) / f"{name}.txt", f"{to}\n\n{text}\n".encode())
        except OSError as error:
            raise CarrierFailed(_told(error)) from error
        log.info("text message to %s: %s", masked(to), text)
        return name


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    unfinished.write_bytes(content)
    unfinished.rename(path)


def _file_name(mail: EmailMessage) -> str:
    about = re.sub(r"[^\w.@-]+", "-", f"{timezone.localtime():%Y%m%d-%H%M%S-%f}-{mail.to[0]}-{mail.subject}")
    short = about.encode()[:_LONGEST_NAME].decode(errors="ignore")  # Arabic takes two bytes a letter
    return f"{short}-{mail.extra_headers.get('Message-ID', '')[1:9]}"

"""How mail leaves the house: by SMTP or, in development, into files under `var/mail/` that any mail program opens."""

from __future__ import annotations

import logging
import os
import re
import smtplib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend
from django.utils import timezone

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


class MailFolder(BaseEmailBackend):
    """Write each message to `<time>-<recipient>-<subject>-<message id>.eml`; a file is there whole or not at all."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(parents=True, exist_ok=True)
        for mail in email_messages:
            path = folder / f"{_file_name(mail)}.eml"
            unfinished = path.with_suffix(f".{os.getpid()}.part")
            unfinished.write_bytes(mail.message().as_bytes())
            unfinished.rename(path)
        return len(email_messages)


def _file_name(mail: EmailMessage) -> str:
    about = re.sub(r"[^\w.@-]+", "-", f"{timezone.localtime():%Y%m%d-%H%M%S-%f}-{mail.to[0]}-{mail.subject}")
    short = about.encode()[:_LONGEST_NAME].decode(errors="ignore")  # Arabic takes two bytes a letter
    return f"{short}-{mail.extra_headers.get('Message-ID', '')[1:9]}"

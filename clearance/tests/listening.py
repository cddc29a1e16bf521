"""Listens to what the process logs, as production would write it, and knows a secret by its looks."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from clearance import logs
from clearance.tests.cast import PASSWORD

LOOKS = {
    "an e-mail address": r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[a-z]+",
    "a token": r"\bey[\w-]{8,}\.[\w-]+\.[\w-]+",
    "the hash of a password": r"\$argon2",
    "a link's token": r"\b[0-9a-f]{32}:[\w-]{43}\b",
    "a backup code": r"\b(?:[a-z2-9]{4}-){3}[a-z2-9]{4}\b",
    "the secret of a second factor": r"\b(?=\w*[G-Z])[A-Z2-7]{32}\b",
    "a private key": r"PRIVATE KEY",
    "the body of a mail": r"<html|<!DOCTYPE|Dear ",
}


@contextmanager
def listening() -> Iterator[io.StringIO]:
    """Have all that is logged inside the block written down, by our own formatter."""
    written, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.line(is_readable=False))
    root.addHandler(handler)
    try:
        yield written
    finally:
        root.removeHandler(handler)


def secrets_in(text: str) -> set[str]:
    """What of a log should not be there: the kind of it, and how it reads."""
    found = {f"{kind}: {match[0]}" for kind, looks in LOOKS.items() for match in re.finditer(looks, text)}
    return found | {secret for secret in (PASSWORD, settings.SECRET_KEY) if secret in text}

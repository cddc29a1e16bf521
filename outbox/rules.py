"""What a message says, the patience of its delivery (C19), and what a text message may hold (I11)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.template import Context, Engine
from django.template.loader import render_to_string

from outbox.choices import Severity, SmsName
from outbox.errors import BracesUnmatched, TextTooLong, UnknownVariables
from outbox.models import Message

RUN = timedelta(seconds=60)  # after which one look at the outbox begins no further message
REFUSALS = 3
RETRY = timedelta(minutes=5)
PROBE = timedelta(minutes=1)
HIDDEN = "•••"


class Person(Protocol):
    """What the outbox knows of people, whatever model they are: how to reach them, and what they may."""

    pk: Any
    email: str
    phone: str
    language: str
    is_active: bool
    is_service: bool

    def has_perm(self, perm: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says; HTML and text say the same. `secret` is the part that only the recipient may read.

    A text message has no subject and no HTML. Subject and text are never markup, whatever made them: a page that shows
    them escapes them.
    """

    subject: str
    text: str
    html: str
    secret: str = ""

    def __post_init__(self) -> None:
        for name in ("subject", "text"):
            object.__setattr__(self, name, str.__str__(getattr(self, name)))  # `str` alone leaves a SafeString as it is

    def without_secret(self) -> Content:
        if not self.secret:
            return self
        hidden = (one.replace(self.secret, HIDDEN) for one in (self.subject, self.text, self.html))
        return Content(*hidden)


def mail(kind: str, *, subject: str, given: Mapping[str, Any], secret: str = "") -> Content:
    """Write a mail of a kind, in the language of now: its two templates say the same, and only the HTML escapes."""
    text = Engine.get_default().get_template(f"mail/{kind}.txt").render(Context(dict(given), autoescape=False))
    return Content(subject=subject, text=text, html=render_to_string(f"mail/{kind}.html", dict(given)), secret=secret)


Compose = Callable[[Message, datetime], Content | None]
"""Composes a message as of a moment; None where nothing is left to say."""


# Text messages -------------------------------------------------------------------------------------------------------
MOST_TEXTS_A_DAY = 5  # to one person, so that a day of many changes is no siege
MOST_SEGMENTS = 3
TEXT_SEVERITIES = (Severity.URGENT,)


@dataclass(frozen=True, slots=True)
class Variable:
    """What may stand in a text in two pairs of braces: an example, and the most letters that it takes.

    None: it is never cut, as a link would be of no use then.
    """

    sample: str
    most: int | None

    def fitted(self, value: str) -> str:
        if self.most is None or len(value) <= self.most:
            return value
        return f"{value[: self.most - 3]}..."  # three dots: one letter for them would double the price of the text

    @property
    def longest(self) -> str:
        return self.sample if self.most is None else self.sample.ljust(self.most, "0")[: self.most]


# By the name of the text.
VARIABLES: Mapping[str, Mapping[str, Variable]] = {
    SmsName.URGENT_ALERT: {
        "number": Variable("SH-2026-014", 24),
        "step": Variable("11.0 Bayan approved", 30),
        "omr": Variable("115.386", 13),
        "count": Variable("3", 4),
        "link": Variable("https://clearance.example.com/admin/alerts/alert/", None),
    },
    SmsName.SECOND_FACTOR_CODE: {"code": Variable("482913", 10), "minutes": Variable("10", 3)},
}
_PLACEHOLDER = re.compile(r"\{\{[ \t]*(\w+)[ \t]*\}\}")

# 3GPP TS 23.038: the letters of GSM 7-bit; those of its extension take the room of two.
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = frozenset("\f^{}\\[~]|€")


def segments(text: str) -> int:
    """Count the messages that a phone network makes of a text, and charges.

    160 letters of GSM 7-bit or 70 of UCS-2 are one; of several, each holds 153 or 67, and nothing that takes the room
    of two is cut in half. Source: 3GPP TS 23.038, 23.040.
    """
    if set(text) <= _GSM | _GSM_EXTENDED:
        sizes, alone, each = [2 if letter in _GSM_EXTENDED else 1 for letter in text], 160, 153
    else:
        sizes, alone, each = [2 if ord(letter) > 0xFFFF else 1 for letter in text], 70, 67
    if sum(sizes) <= alone:
        return 1
    count, left = 1, each
    for size in sizes:
        if size > left:
            count, left = count + 1, each
        left -= size
    return count


def require_good_text(name: str, content: str) -> None:
    """See that a text can be filled in whatever happens, and is not dearer than agreed.

    :raises UnknownVariables: :raises BracesUnmatched: :raises TextTooLong:
    """
    known = VARIABLES[name]
    if unknown := {found for found in _PLACEHOLDER.findall(content) if found not in known}:
        raise UnknownVariables(unknown=", ".join(sorted(unknown)), known=", ".join(known))
    bare = _PLACEHOLDER.sub("x", content)
    if "{{" in bare or "}}" in bare:
        raise BracesUnmatched
    count = segments(filled(name, content, {one: variable.longest for one, variable in known.items()}))
    if count > MOST_SEGMENTS:
        raise TextTooLong(segments=count, most=MOST_SEGMENTS)


def filled(name: str, content: str, values: Mapping[str, str]) -> str:
    """Put values into a text's variables, each cut to its length; what a value holds is not looked at again."""
    known = VARIABLES[name]
    return _PLACEHOLDER.sub(lambda found: known[found[1]].fitted(values[found[1]]), content)


def samples(name: str) -> dict[str, str]:
    return {one: variable.sample for one, variable in VARIABLES[name].items()}


def masked(phone: str) -> str:
    """A phone number for logs and files."""
    return f"…{phone[-3:]}" if len(phone) > 3 else "…"

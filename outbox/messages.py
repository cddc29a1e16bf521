"""The kinds of messages that there are: what apps bring in their `mails`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.utils.translation import override

from clearance.languages import Language
from clearance.rooms import rooms
from outbox.models import Message, SmsTemplate
from outbox.rules import VARIABLES, Compose, Content, filled

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

_NAMES = {Language.ENGLISH: "Khalid Example", Language.ARABIC: "خالد مثال"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of message: its templates are `templates/mail/<code>.{txt,html}`, or an `SmsTemplate`.

    `sample` composes one of made-up facts for those who look after the wording; a text message needs none. `about` says
    in a word what messages, given by their keys, are about: one statement for a page of them.
    """

    code: str
    name: str | StrPromise
    compose: Compose
    sample: Compose | None = None
    about: Callable[[list[int]], Mapping[int, str]] | None = None


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind of message by its code."""
    return {kind.code: kind for room in rooms("mails") for kind in room.KINDS}


def mails() -> list[Kind]:
    """The kinds that go by mail."""
    return [kind for kind in kinds().values() if kind.sample]


def composers() -> Mapping[str, Compose]:
    """Who composes which kind."""
    return {code: kind.compose for code, kind in kinds().items()}


def sample(code: str, *, language: Language, at: datetime) -> Content:
    """Compose a kind of mail as somebody of that language would get it; nothing is ever saved."""
    write = kinds()[code].sample
    recipient = get_user_model()(full_name=_NAMES[language], email="khalid@example.com", language=language)
    with override(language):
        content = write(Message(kind=code, recipient=recipient, created_at=at), at) if write else None
    return content.without_secret() if content else Content("", "", "")


def sample_text(template: SmsTemplate, *, language: Language) -> str:
    """Fill in a text as somebody of that language would get it."""
    values = {name: variable.sample for name, variable in VARIABLES[template.name].items()}
    return filled(template.name, template.content(language), values)

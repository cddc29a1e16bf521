"""What a log line looks like: one JSON object, or in development words for the eye; never a secret, whoever wrote it.

Our modules and the libraries log with the standard library; structlog renders what they say.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from celery import _state as celery
from django.conf import settings

from clearance import context

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

HIDDEN = "…"
# What our modules say beside the sentence. What a library attaches (a request, the arguments of a task) stays out.
FACTS = ("status", "duration_ms", "outbox_message", "is_dead", "refused")
_TELLING_NAME = (
    r"(?<![\w-])[\w-]*"
    r"(?:password|passwd|secret|token|authorization|cookie|session_?key|session_?id|api[_-]?key|private[_-]?key)[\w-]*"
)
_SCHEMES = r"(?:bearer|basic|api-key)"
_SECRETS = re.compile(
    rf"""
    (?P<key> \b clr_[a-z0-9]{{8}}_ ) \w+                                        # an API key: its prefix may be told
    | (?P<name> {_TELLING_NAME}["']? \s*[=:]\s* ) (?: {_SCHEMES}\s+ )? (?: "[^"]*" | '[^']*' | [^\s,;&)}}\]]+ )
    | (?P<scheme> \b{_SCHEMES}\s+ ) [\w.~+/=-]{{8,}}
    | (?P<url> ://[^\s:/@]*: ) [^\s/]+ (?=@)
    | (?P<link> /reset/[^/\s]+/ ) [^/\s]+
    | \b ey[\w-]{{8,}} \. [\w-]+ (?: \. [\w-]* )?                              # a JWT
    | \b (?: argon2 | pbkdf2_sha256 | scrypt | bcrypt\w* ) \$ [^\s'"]+           # the hash of a password
    | -----BEGIN[\w\ ]+----- .*? (?: -----END[\w\ ]+----- | \Z )
    | (?<![\w.+-]) [\w.+-]+ @ [\w-]+ (?: \.[\w-]+ )+                         # an e-mail address
    | \+[1-9]\d{{3,11}} (?=\d{{3}}(?!\d))                                      # a phone number but its end
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def line(*, is_readable: bool) -> structlog.stdlib.ProcessorFormatter:
    """The formatter of every handler."""
    said: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=FACTS),
        structlog.processors.TimeStamper(fmt="iso", key="at"),
        add_circumstances,
        structlog.processors.format_exc_info,
    ]
    shown: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if is_readable
        else [structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer(_json)]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=said,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, *shown],
    )


def add_circumstances(_logger: Any, _level: str, line: EventDict) -> EventDict:
    """Say in which request, by whom and in which task; a task's request is the one that caused it."""
    known, task = context.current(), celery.get_current_task()
    line["request_id"] = known.request_id
    if known.client_request_id:
        line["client_request_id"] = known.client_request_id
    if known.user_id is not None:
        line["user_id"] = known.user_id
    if task is not None:
        line["task_id"] = task.request.id
        line["request_id"] = known.request_id or (task.request.headers or {}).get("request_id") or task.request.id
    return line


def redact(_logger: Any, _level: str, line: EventDict) -> EventDict:
    """Hide e-mail addresses, passwords, tokens and keys: by the name of what holds them, and by how they look."""
    return {name: _without_secrets(value, name) for name, value in line.items()}


def _of_the_settings() -> tuple[str, ...]:
    return (
        settings.SECRET_KEY,
        *settings.SECRET_KEY_FALLBACKS,
        settings.EMAIL_HOST_PASSWORD,
        settings.OIDC_CLIENT_SECRET,
    )


def _without_secrets(value: Any, name: str = "") -> Any:
    if re.fullmatch(_TELLING_NAME, name, re.IGNORECASE):
        return HIDDEN
    if isinstance(value, str):
        for known in _of_the_settings():
            value = value.replace(known, HIDDEN) if known else value
        return _SECRETS.sub(lambda found: "".join(filter(None, found.groups())) + HIDDEN, value)
    if isinstance(value, Mapping):
        return {key: _without_secrets(inner, str(key)) for key, inner in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _json(line: EventDict, **_options: Any) -> str:
    return orjson.dumps(line, default=str).decode()

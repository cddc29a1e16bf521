"""Who acts, through which door, in which request: one ContextVar that every door fills before it calls the desk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a change.

    `channel` is the door: api, admin, command, task, or system where no door filled the context.
    """

    channel: str = "system"
    request_id: str = ""
    user_id: int | None = None
    ip_address: str | None = None


_current: ContextVar[Context] = ContextVar("clearance_context", default=Context())  # noqa: B039 - it is frozen


def current() -> Context:
    """The context of the running request, command or task."""
    return _current.get()


@contextmanager
def acting(*, channel: str, request_id: str = "", ip_address: str | None = None) -> Iterator[Context]:
    """Fill the context for the duration of one request, command or task; a request without an id gets one."""
    context = Context(channel=channel, request_id=request_id or uuid4().hex, ip_address=ip_address)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def signed_in(user_id: int) -> None:
    """Note who acts, once the door knows."""
    _current.set(replace(_current.get(), user_id=user_id))

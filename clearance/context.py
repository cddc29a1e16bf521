"""Who acts, through which door, in which request, and why: a ContextVar that every door fills before it calls the desk.

The database learns it with every transaction (`clearance.postgresql`), so that the trail can tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a change.

    `channel` is the door: api, admin, command, task, or system where no door filled the context. Names and roles are
    kept as the text that they were: people change, what they did does not. `request_id` is always ours;
    `client_request_id` is what the caller calls the request, which may be anything and the same for many.
    """

    channel: str = "system"
    request_id: str = ""
    user_id: int | None = None
    user_name: str = ""
    user_role: str = ""
    ip_address: str | None = None
    reason: str = ""
    on_behalf_of: str = ""
    import_batch: str = ""
    client_request_id: str = ""

    def as_json(self) -> str:
        """What the database is told: the names and values that are not empty; nothing at all where no door is."""
        told = {name: value for name, value in asdict(self).items() if value}
        return "" if self == Context() else json.dumps(told, ensure_ascii=False, separators=(",", ":"))


_current: ContextVar[Context] = ContextVar("clearance_context", default=Context())  # noqa: B039 - it is frozen


def current() -> Context:
    """The context of the running request, command or task."""
    return _current.get()


@contextmanager
def acting(
    *, channel: str, request_id: str = "", client_request_id: str = "", ip_address: str | None = None
) -> Iterator[Context]:
    """Fill the context for the duration of one request, command or task; `request_id` is of a task's cause, if any."""
    given = Context(
        channel=channel,
        request_id=request_id or uuid4().hex,
        client_request_id=client_request_id,
        ip_address=ip_address,
    )
    with _being(given) as context:
        yield context


@contextmanager
def remarking(*, reason: str = "", on_behalf_of: str = "", import_batch: str = "") -> Iterator[None]:
    """Say of the changes in the block why they are made, for whom, or with which import."""
    known = current()
    with _being(
        replace(
            known,
            reason=reason or known.reason,
            on_behalf_of=on_behalf_of or known.on_behalf_of,
            import_batch=import_batch or known.import_batch,
        )
    ):
        yield


def signed_in(*, user_id: int, name: str, role: str) -> None:
    """Note who acts, once the door knows."""
    _current.set(replace(current(), user_id=user_id, user_name=name, user_role=role))


@contextmanager
def _being(context: Context) -> Iterator[Context]:
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)

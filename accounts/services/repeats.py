"""Requests that come again with the same key: done once, answered alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from accounts.errors import IdempotencyInFlight, IdempotencyKeyNotValid
from accounts.models import KeptAnswer, User
from clearance.errors import IdempotencyKeyReused

# How long an answer is kept for the same request, and how long that one waits while the first is still under way.
ANSWERS_ARE_KEPT_FOR = timedelta(hours=24)
WAITS_FOR_THE_FIRST = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered; `kept` is the body without what only the first answer may tell."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    kept: bytes | None = None


@transaction.atomic
def answer_once(
    *, by: User, key: str, endpoint: str, fingerprint: str, at: datetime, carry_out: Callable[[], Answer]
) -> Answer:
    """Carry out a request and keep its answer; if it came before with this key, answer the same and do nothing.

    Change and kept answer commit together. What `carry_out` raises leaves neither: the request may then be tried anew.
    A request that comes while an equal one is under way waits for its answer. `fingerprint` stands for the body.

    :raises IdempotencyKeyNotValid: the key isn't one.
    :raises IdempotencyKeyReused: the key came before, with another body.
    :raises IdempotencyInFlight: the equal request takes longer than can be waited for.
    """
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise IdempotencyKeyNotValid
    _wait_for_equal_requests(f"{by.pk} {endpoint} {key}")
    kept = KeptAnswer.objects.filter(user=by, key=key, endpoint=endpoint).first()
    if kept is None:
        answer = carry_out()
        body = answer.body if answer.kept is None else answer.kept
        told = {"status": answer.status, "headers": dict(answer.headers), "body": body}
        KeptAnswer.objects.create(user=by, key=key, endpoint=endpoint, fingerprint=fingerprint, created_at=at, **told)
        return answer
    if kept.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    return Answer(kept.status, kept.headers, bytes(kept.body))


def forget_kept_answers(*, at: datetime) -> int:
    """Delete the answers that were kept long enough; return how many."""
    return KeptAnswer.objects.filter(created_at__lt=at - ANSWERS_ARE_KEPT_FOR).delete()[0]


def _wait_for_equal_requests(name: str) -> None:
    """Let one request of a name through at a time; it is out of the way with the end of its transaction.

    :raises IdempotencyInFlight: the one before takes too long.
    """
    with connection.cursor() as cursor:
        patience = f"{WAITS_FOR_THE_FIRST.total_seconds() * 1000:.0f}ms"
        cursor.execute("SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, true)", [patience])
        usual, _ = cursor.fetchone()
        try:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise IdempotencyInFlight from error
            raise
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [usual])

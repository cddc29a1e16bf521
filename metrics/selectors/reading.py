"""From where figures are read: five minutes from the cache, else from the replica, if there is one that answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import wraps
from hashlib import sha256
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.core.cache import cache
from django.db import InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from redis.exceptions import RedisError

from metrics.selectors.question import Question

KEPT_SECONDS = 300
SHAPE = 1  # of the answers that are kept; a release that changes one counts on, so that it meets none of the old ones
RESTS_SECONDS = 30  # for which a replica that failed isn't asked
log = logging.getLogger("metrics")

Options = ParamSpec("Options")
Answer = TypeVar("Answer")


# For the statements that follow: compiling them takes longer than running them, and a year's sorts want memory.
_PREPARE = "SELECT set_config('jit', 'off', true), set_config('work_mem', '64MB', true)"


class _Sitting:
    """A prepared transaction, begun with the first statement: on the replica, or on the main database if that fails."""

    rests_until = 0.0  # of the replica, for the whole process

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.name = ""

    def run(self, work: Callable[[BaseDatabaseWrapper], Answer]) -> Answer:
        try:
            return work(self._connection())
        except (OperationalError, InterfaceError) as error:
            if self.name != "replica":
                raise
            log.warning("figures are read from the main database: %s", error)
            _Sitting.rests_until = time.monotonic() + RESTS_SECONDS
            self.stack.pop_all().__exit__(type(error), error, error.__traceback__)
            self.name = ""
        return work(self._connection())

    def _connection(self) -> BaseDatabaseWrapper:
        if not self.name:
            rests = "replica" not in connections or time.monotonic() < _Sitting.rests_until
            self.name = "default" if rests else "replica"
            self.stack.enter_context(transaction.atomic(using=self.name))
            with connections[self.name].cursor() as cursor:
                cursor.execute(_PREPARE)
        return connections[self.name]


_sitting: ContextVar[_Sitting | None] = ContextVar("sitting", default=None)


@contextmanager
def together() -> Iterator[None]:
    """Read the figures that are asked for within in one transaction; if all of them are kept, there is none."""
    with ExitStack() as stack:
        token = _sitting.set(_Sitting(stack))
        try:
            yield
        finally:
            _sitting.reset(token)


def fetch(statement: str, asked: Question, **more: Any) -> list[dict[str, Any]]:
    """Run a statement with the question's parameters (and more); return its rows."""

    def rows(connection: BaseDatabaseWrapper) -> list[dict[str, Any]]:
        with connection.cursor() as cursor:
            cursor.execute(statement, asked.parameters | more)
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    with ExitStack() as stack:
        return (_sitting.get() or _Sitting(stack)).run(rows)


def stream(statement: str, asked: Question, **more: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement as they come, without ever holding them all."""
    with ExitStack() as stack:
        connection = _Sitting(stack).run(lambda connection: connection)
        with connection.chunked_cursor() as cursor:
            cursor.execute(statement, asked.parameters | more)
            yield from cursor


def kept(
    figure: Callable[Concatenate[Question, Options], Answer],
) -> Callable[Concatenate[Question, Options], Answer]:
    """Keep a figure's answers to equal questions for five minutes; without Redis it is computed every time.

    What a person may see is part of the question, so nobody gets another's answer. Keep no words: they have a language.
    """

    @wraps(figure)
    def answer(asked: Question, /, *given: Options.args, **options: Options.kwargs) -> Answer:
        about = sha256(repr((asked, given, options)).encode()).hexdigest()
        key = f"{figure.__module__}.{figure.__name__}:{SHAPE}:{about}"
        try:
            if (known := cache.get(key)) is not None:
                return known  # type: ignore[no-any-return]
        except (RedisError, OSError) as error:
            log.warning("figures are computed without the cache: %s", error)
            return figure(asked, *given, **options)
        found = figure(asked, *given, **options)
        try:
            cache.set(key, found, KEPT_SECONDS)
        except (RedisError, OSError) as error:
            log.warning("a figure was not kept: %s", error)
        return found

    return answer

"""The pool of connections; it hands out none that is dead, and nobody waits for a server that is away (decision 0025).

psycopg's own pool tries again at intervals that double, and lets everybody wait meanwhile. This one tries when somebody
asks, at most twice a second, and whoever asks in between hears at once that the server is away.
"""

from __future__ import annotations

import select
import threading
import time
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from psycopg_pool import ConnectionPool, PoolTimeout

PAUSE_SECONDS = 0.5  # in which a server that refused isn't asked again
SILENCE_SECONDS = 0.8  # after which a server that says nothing counts as away
STEP_SECONDS = 0.1  # how often whoever waits looks whether the wait is in vain
NEVER = float("-inf")


class ServerAway(PoolTimeout):
    """The server could not be reached a moment ago, or says nothing."""


class Pool(ConnectionPool):
    """Connections to one server, and what the last attempt to reach it came to."""

    def __init__(self, **options: Any) -> None:
        self._refused_at = NEVER
        self._attempts: dict[int, float] = {}  # under way: since when, by thread
        super().__init__(reconnect_timeout=0, **options)

    def getconn(self, timeout: float | None = None) -> psycopg.Connection[Any]:
        """Hand out a connection that answers.

        :raises ServerAway: the server can't be reached; known within a second, and then at once.
        :raises PoolTimeout: all connections are in use for longer than `timeout` seconds.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            if not self._pool and self.is_away():
                raise ServerAway("The database is away.")
            try:
                connection = super().getconn(min(STEP_SECONDS, max(deadline - time.monotonic(), 0.001)))
            except PoolTimeout:
                if time.monotonic() > deadline:
                    raise
                continue
            try:
                _require_answer(connection)
            except ServerAway:  # as it will be on all the others
                self._refused_at = time.monotonic()
                self._discard(connection)
                self.drain()
                raise
            except psycopg.Error:
                self._discard(connection)
            else:
                return connection

    def is_away(self) -> bool:
        """Whether the last attempt failed a moment ago, or one under way is met by silence."""
        now = time.monotonic()
        return now - self._refused_at < PAUSE_SECONDS or any(
            now - since > SILENCE_SECONDS for since in list(self._attempts.values())
        )

    def _discard(self, connection: psycopg.Connection[Any]) -> None:
        connection.close()
        self.putconn(connection)  # which makes room for another

    def _connect(self, timeout: float | None = None) -> psycopg.Connection[Any]:
        me = threading.get_ident()
        self._attempts[me] = time.monotonic()
        try:
            connection = super()._connect(timeout)
        except psycopg.Error:
            self._refused_at = time.monotonic()
            raise
        finally:
            del self._attempts[me]
        self._refused_at = NEVER
        return connection


def _require_answer(connection: psycopg.Connection[Any]) -> None:
    """Have the server answer to an empty statement.

    As the library does it, but for the patience: with a server that hangs, that one waits for ever.

    :raises ServerAway: it says nothing.
    :raises OperationalError: the connection is dead.
    """
    link = connection.pgconn
    deadline = time.monotonic() + SILENCE_SECONDS
    waiting = select.poll()
    waiting.register(link.socket, select.POLLIN)
    link.send_query(b"")
    link.flush()
    while link.is_busy():
        if not waiting.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise ServerAway("The database says nothing.")
        link.consume_input()
    while (found := link.get_result()) is not None:
        if found.status != ExecStatus.EMPTY_QUERY:
            raise psycopg.OperationalError(found.error_message.decode(errors="replace"))

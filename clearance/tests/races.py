"""Races on purpose: several verbs at the same moment, each in a thread with a database connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, models, transaction

PATIENCE = 30.0  # seconds until a race counts as stuck


def at_once(*verbs: Callable[[], Any], held: models.QuerySet[Any] | Callable[[], Any]) -> list[Any]:
    """Run the verbs so that they all stand before the same lock, then let them go; return results or exceptions.

    `held` are rows that every verb has to lock or to write, or a function that writes what stands in their way. They
    are held until all verbs wait (as many as the connection pool lets in), so that none can be through before another
    begins; what the function wrote is rolled back.
    """
    results: list[Any] = [None] * len(verbs)

    def run(place: int) -> None:
        try:
            results[place] = verbs[place]()
        except Exception as error:  # noqa: BLE001 - what a verb raises is the result that the test looks at
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(verbs))]
    with transaction.atomic():
        held() if callable(held) else list(held.select_for_update())
        for thread in threads:
            thread.start()
        _wait_until_waiting(min(len(verbs), _room_in_pool()))
        transaction.set_rollback(True)
    _join(threads)
    return results


def blocked_by(first: Callable[[], Any], verb: Callable[[], Any]) -> Any:
    """Run `first`, and commit it only when `verb`, begun meanwhile, waits for it; return what became of the verb."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(verb())
        except Exception as error:  # noqa: BLE001 - what a verb raises is the result that the test looks at
            results.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run, daemon=True)
    with transaction.atomic():
        first()
        thread.start()
        _wait_until_waiting(1)
    _join([thread])
    return results[0]


def free_for_all(*verbs: Callable[[], Any]) -> list[Any]:
    """Run the verbs at the same moment without holding anything up; return results or exceptions."""
    results: list[Any] = [None] * len(verbs)
    start = threading.Barrier(len(verbs))

    def run(place: int) -> None:
        try:
            connection.ensure_connection()
            start.wait(PATIENCE)
            results[place] = verbs[place]()
        except Exception as error:  # noqa: BLE001 - what a verb raises is the result that the test looks at
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(verbs))]
    for thread in threads:
        thread.start()
    _join(threads)
    return results


def _room_in_pool() -> int:
    """Connections that the threads can have at once: all that nobody holds, as this thread does."""
    pool = connection.pool.get_stats()
    return int(pool["pool_max"] - (pool["pool_size"] - pool["pool_available"]))


def _wait_until_waiting(wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE
    waiting = 0
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # or the transaction sees its first answer for ever
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
            )
            (waiting,) = cursor.fetchone()
        if waiting >= wanted:
            return
        time.sleep(0.01)
    raise AssertionError(f"only {waiting} of {wanted} verbs came to the lock")


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a verb is stuck"

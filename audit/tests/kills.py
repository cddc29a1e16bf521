"""Writers that are killed at random moments, and what rows and trail say afterwards."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import connection
from psycopg.conninfo import make_conninfo

from audit.tests import writer
from clearance.tests.processes import eventually

WRITERS = 4
NAME = "writer"
LONGEST_LIFE = 0.3  # seconds from its first statement to its end

_VERSIONED = """
    WITH told AS (
        SELECT entity_id::bigint AS id,
            count(*) FILTER (WHERE action = 'created') AS created,
            count(*) FILTER (WHERE action = 'changed') AS changed,
            count(DISTINCT changes::jsonb -> 'version') FILTER (WHERE action = 'changed') AS versions
        FROM audit_auditentry WHERE entity_type = '{kind}' GROUP BY entity_id
    ), remembered AS (
        SELECT id, count(*) AS rows FROM {history} GROUP BY id
    )
    SELECT coalesce(sum(version), 0), coalesce(sum(created + changed), 0), count(*) FILTER (
        WHERE {table}.id IS NULL OR told.id IS NULL OR told.created <> 1 OR told.changed <> version - 1
            OR told.versions <> version - 1 OR remembered.rows IS DISTINCT FROM version
    )
    FROM {table} FULL JOIN told USING (id) FULL JOIN remembered USING (id)
"""
_DIVISIONS = """
    WITH told AS (
        SELECT entity_id::bigint AS id,
            count(*) FILTER (WHERE action = 'created') AS created, count(*) FILTER (WHERE action = 'deleted') AS deleted
        FROM audit_auditentry WHERE entity_type = 'accounts.division' GROUP BY entity_id
    )
    SELECT coalesce(sum(created + deleted), 0), coalesce(sum(created + deleted), 0), count(*) FILTER (
        WHERE created IS DISTINCT FROM 1 OR deleted <> (accounts_division.id IS NULL)::int
    )
    FROM accounts_division FULL JOIN told USING (id)
"""
CHECKS = (
    _VERSIONED.format(kind="shipments.shipment", table="shipments_shipment", history="shipments_historicalshipment"),
    _VERSIONED.format(
        kind="workflow.workflowstep", table="workflow_workflowstep", history="workflow_historicalworkflowstep"
    ),
    _DIVISIONS,
)


@dataclass(frozen=True)
class Figures:
    """`changes` are those of the rows, as their versions say; of rows that are `amiss`, the trail says otherwise."""

    killed: int
    changes: int
    entries: int
    amiss: int

    def told(self) -> str:
        return f"\n{self.killed} writers killed; {self.changes} changes of rows, {self.entries} entries\n"


def kill_writers(kills: int, seed: int = 0) -> Figures:
    """Start so many writers, a few at a time, and kill each in the middle of its work."""
    dice = random.Random(seed)
    lives = [(number, dice.uniform(0, LONGEST_LIFE)) for number in range(kills)]
    address = _address()
    with ThreadPoolExecutor(WRITERS) as undertakers:
        killed = sum(undertakers.map(lambda life: _live_and_die(address, *life), lives))
    assert eventually(lambda: not _still_served()), "a killed writer's statement never ended"
    changes, entries, amiss = map(sum, zip(*map(_found, CHECKS), strict=True))
    return Figures(killed, int(changes), int(entries), int(amiss))


def _live_and_die(address: str, seed: int, seconds: float) -> bool:
    process = subprocess.Popen(
        [sys.executable, writer.__file__, str(seed)],
        stdout=subprocess.PIPE,
        env={**os.environ, "WRITER_DATABASE": address},
    )
    with process:
        is_ready = process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        is_alive = process.poll() is None
        process.kill()
    return is_ready and is_alive


def _address() -> str:
    given = connection.get_connection_params()
    known = {name: given[name] for name in ("host", "port", "user", "password", "dbname") if given.get(name)}
    return make_conninfo(**known, application_name=NAME)


def _still_served() -> int:
    """Writers whose end the server has not noticed: what they sent last may still be at work."""
    return _ask(
        "SELECT count(*) FROM pg_stat_activity, pg_stat_clear_snapshot()"
        f" WHERE datname = current_database() AND application_name = '{NAME}'"
    )[0]


def _found(check: str) -> tuple[int, int, int]:
    changes, entries, amiss = _ask(check)
    return changes, entries, amiss


def _ask(sql: str) -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row: tuple[int, ...] = cursor.fetchone()
    return row

"""The trail among 5 million entries: reading it, adding to it, exporting it, and what it costs a step's completion."""

from __future__ import annotations

import time
from functools import partial

import psycopg

from benchmarks import scratch
from benchmarks.measure import Check, Figures, Report, finish, in_turns, part, say, sized

SHIPMENTS = sized(2_000)
ENTRIES = sized(5_000_000)
RECORDS = sized(1_000_000)
PEOPLE = 200
ADDED = sized(400_000)
STEPS = sized(150)
PAGES = sized(400)
EXPORTED = sized(50_000), sized(500_000)


def measure() -> Report:
    with scratch.database() as connection:
        scratch.fill(connection, SHIPMENTS, with_steps=True)
        found = in_turns(
            3,
            {
                "with": partial(part, "trail", "complete", STEPS),
                "without": partial(_untracked, connection, partial(part, "trail", "complete", STEPS)),
            },
        )
        say(f"filling in {ENTRIES:,} entries")
        _add(connection, ENTRIES)
        scratch.settle(connection)
        found |= in_turns(
            3,
            {
                "read": partial(part, "trail", "read", RECORDS, PEOPLE, PAGES),
                "scan": partial(part, "trail", "scan", RECORDS),
                "add": partial(_add, connection, ADDED),
            },
        )
        exports = [part("trail", "export", number) for number in EXPORTED]
    read = found["read"]
    return Report(
        "audit",
        f"The trail, {ENTRIES:,} entries",
        {
            "one record's newest 50: floor, SQL, p50, ms": read["entity_sql_p50_ms"],
            "one record's newest 50: ours, p50, ms": read["entity_p50_ms"],
            "one person's newest 50 of 30 days: floor, SQL, p50, ms": read["user_sql_p50_ms"],
            "one person's newest 50 of 30 days: ours, p50, ms": read["user_p50_ms"],
            "peer: one record without the indexes, ms": found["scan"]["scan_ms"],
            "a step's completion, with the trail, p50, ms": found["with"]["p50_ms"],
            "a step's completion, its triggers off, p50, ms": found["without"]["p50_ms"],
            "completion with ÷ without": found["with"]["p50_ms"] / found["without"]["p50_ms"],
            f"CSV of {EXPORTED[1]:,} entries, s": exports[1]["seconds"],
            f"CSV of {EXPORTED[1]:,} entries, peak memory, MB": exports[1]["peak_mb"],
        },
        [
            Check("one record, p95", read["entity_p95_ms"], 2, unit="ms"),
            Check("one person in 30 days, p95", read["user_p95_ms"], 2, unit="ms"),
            Check("set-based insert, entries a second", found["add"]["per_second"], 80_000, at_least=True, unit="/s"),
            Check("peak memory of ten times the export", exports[1]["peak_mb"] / exports[0]["peak_mb"], 1.1),
        ],
    )


def _untracked(connection: psycopg.Connection, run: partial[Figures]) -> Figures:
    with scratch.untracked(connection):
        return run()


def _add(connection: psycopg.Connection, number: int) -> Figures:
    """Add entries as a large update of steps makes them, spread over three years up to now."""
    started = time.perf_counter()
    connection.execute(
        """
        INSERT INTO audit_auditentry (
            at, entity_type, entity_id, action, changes, user_id, user_name, user_role, on_behalf_of, channel,
            ip_address, request_id, import_batch, reason
        )
        SELECT now() - interval '3 years' * (1 - i::float8 / %(number)s), 'workflow.workflowstep',
               (1 + i::bigint * 7919 %% %(records)s)::text, 'changed',
               '{"actual_date":[null,"2026-03-01"],"completed_via":["","person"],"version":[1,2]}',
               1 + i::bigint * 104729 %% %(people)s, 'Some Person', 'Finance PPR', '', 'api', '192.0.2.1',
               md5(i::text), '', ''
        FROM generate_series(1, %(number)s) AS i
        """,
        {"number": number, "records": RECORDS, "people": PEOPLE},
    )
    return {"per_second": number / (time.perf_counter() - started)}


if __name__ == "__main__":
    finish(measure())

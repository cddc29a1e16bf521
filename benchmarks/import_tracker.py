"""Importing a tracker of 10,000 shipments, with and without its trail: against COPY of the same rows and two peers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks import scratch
from benchmarks.measure import Check, Figures, Report, finish, in_turns, part, say, sized

ROWS = sized(10_000)
ROWS_FOR_PEERS = sized(
    1_000
)  # and scaled up: they take every row by itself, so their time grows with the number of rows
TABLES = ("outbox_message", "shipments_shipment", "workflow_workflowstep", "alerts_alert")
CHUNK = 1 << 17


class Copy:
    """The floor: the very rows that an import has made, put back into the same tables by COPY, in one transaction."""

    def __init__(self, connection: psycopg.Connection, folder: Path) -> None:
        self.connection = connection
        self.files = {table: folder / table for table in TABLES}
        self.columns = {table: self._columns(table) for table in TABLES}
        for table, file in self.files.items():
            query = sql.SQL("COPY (SELECT {} FROM {} ORDER BY id) TO STDOUT").format(
                self.columns[table], sql.Identifier(table)
            )
            with connection.cursor().copy(query) as copy, file.open("wb") as out:
                out.writelines(copy)

    def _columns(self, table: str) -> sql.Composed:
        """All but those that the database computes."""
        found = self.connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
            "AND attgenerated = '' ORDER BY attnum",
            [table],
        )
        return sql.SQL(", ").join(sql.Identifier(name) for (name,) in found)

    def run(self) -> Figures:
        started = time.perf_counter()
        with self.connection.transaction():
            for table, file in self.files.items():
                query = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), self.columns[table])
                with self.connection.cursor().copy(query) as copy, file.open("rb") as lines:
                    while chunk := lines.read(CHUNK):
                        copy.write(chunk)
        return {"seconds": time.perf_counter() - started}


def measure() -> Report:
    with tempfile.TemporaryDirectory() as name, scratch.database() as connection:
        folder = Path(name)
        path, short = folder / "tracker.xlsx", folder / "short.xlsx"
        part("reading", "write", path, ROWS, date.today())  # noqa: DTZ011 (any day will do)
        part("reading", "write", short, ROWS_FOR_PEERS, date.today())  # noqa: DTZ011
        say("one import, for the rows that COPY shall write")
        scratch.empty(connection)
        _require(part("importing", "ours", path)["created"] == ROWS)
        steps = connection.execute("SELECT count(*) FROM workflow_workflowstep").fetchone()
        floor = Copy(connection, folder)

        def fresh(run: Callable[[], Figures]) -> Callable[[], Figures]:
            def emptied() -> Figures:
                scratch.empty(connection)
                return run()

            return emptied

        def bare(run: Callable[[], Figures]) -> Callable[[], Figures]:
            def untracked() -> Figures:
                with scratch.untracked(connection):
                    return run()

            return fresh(untracked)

        def peer(name: str) -> Callable[[], Figures]:
            def as_owner() -> Figures:
                with scratch.as_owner():
                    return part("importing", name, short)

            return bare(as_owner)

        ours = partial(part, "importing", "ours", path)
        found = in_turns(
            3,
            {
                "import_export": peer("import_export"),
                "with_history": peer("bulk_create_with_history"),
                "COPY": bare(floor.run),
                "ours without": bare(ours),
                "ours": fresh(ours),
                "ours again": ours,
            },
        )
        trail = connection.execute("SELECT count(*) FROM audit_auditentry").fetchone()
    _require(found["ours again"]["unchanged"] == ROWS)
    seconds = {name: figures["seconds"] for name, figures in found.items()}
    for name in ("import_export", "with_history"):
        _require(found[name]["created"] == ROWS_FOR_PEERS)
        seconds[name] *= ROWS / ROWS_FOR_PEERS
    return Report(
        "import_tracker",
        f"Import {ROWS:,} shipments + {steps[0] if steps else 0:,} steps, file to commit",
        {
            "floor: COPY of the same rows, without a trail, s": seconds["COPY"],
            "ours, with the whole trail, s": seconds["ours"],
            "ours, the trail's triggers off, s": seconds["ours without"],
            "entries in the trail": trail[0] if trail else 0,
            "ours: the same file again (nothing changes), s": seconds["ours again"],
            f"peer: our reading, bulk_create_with_history, s (scaled from {ROWS_FOR_PEERS:,} rows)": seconds[
                "with_history"
            ],
            f"peer: django-import-export, with history, s (scaled from {ROWS_FOR_PEERS:,} rows)": seconds[
                "import_export"
            ],
            "ours: peak memory, MB": found["ours"]["peak_mb"],
        },
        [
            Check("without the trail ÷ COPY", seconds["ours without"] / seconds["COPY"], 1.2),
            Check("with the trail ÷ COPY", seconds["ours"] / seconds["COPY"], 2),
            Check("django-import-export ÷ ours", seconds["import_export"] / seconds["ours"], 25, at_least=True),
            Check("bulk_create_with_history ÷ ours", seconds["with_history"] / seconds["ours"], 3, at_least=True),
            Check("peak memory", found["ours"]["peak_mb"], 150, unit="MB"),
        ],
    )


def _require(is_right: bool) -> None:
    if not is_right:
        raise RuntimeError("A way of importing didn't import what it should: the times mean nothing.")


if __name__ == "__main__":
    finish(measure())

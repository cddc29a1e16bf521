"""A sweep over 100,000 shipments on day 4 to 7: ours against a bare INSERT of its rows (floor) and a loop (peer)."""

from __future__ import annotations

from functools import partial

import psycopg

from benchmarks import scratch
from benchmarks.measure import Check, Figures, Report, finish, in_turns, part, sized

SHIPMENTS = sized(100_000)
SAMPLE = sized(2_000)  # of the loop
DAY = "2026-04-14"  # a Tuesday of a plain week: no rung of day 4 to 7 is pulled forward


def measure() -> Report:
    with scratch.database() as connection:
        part("sweeping", "take_on_the_others")
        # Whatever was due before the day is done; of what remains, nobody was told yet.
        scratch.fill(
            connection,
            SHIPMENTS,
            with_steps=True,
            eta=f"date '{DAY}' - 4 - (i %% 4)",
            done=f"shipment.eta + offset_days < date '{DAY}'",
        )
        found = in_turns(
            3,
            {
                "ours": partial(_ours, connection),
                "floor": partial(_floor, connection),
                "loop": partial(_loop, connection),
            },
        )
    ours, floor, loop = found["ours"], found["floor"], found["loop"]
    loop_seconds = loop["seconds"] / SAMPLE * SHIPMENTS
    assert loop["raised_per_shipment"] * SHIPMENTS == ours["raised"], "the loop raises something else"
    return Report(
        "sweep",
        f"Sweep, {SHIPMENTS:,} active shipments on day 4 to 7",
        {
            "alerts raised": ours["raised"],
            "mails written": ours["messages"],
            "floor: bare INSERT … SELECT of the same alerts, s": floor["seconds"],
            "ours: sweep, alerts and mails, s": ours["seconds"],
            "ours: the same sweep again, s": ours["again_seconds"],
            f"peer: per-shipment loop, {SAMPLE:,} shipments scaled up, s": loop_seconds,
            "statements": ours["statements"],
            "statements for 100 shipments": found["ours"]["statements_for_100"],
        },
        [
            Check("ours ÷ floor", ours["seconds"] / floor["seconds"], 1.5),
            Check("loop ÷ ours", loop_seconds / ours["seconds"], 25, at_least=True),
            Check("statements", max(ours["statements"], ours["statements_for_100"]), 5, unit=""),
            Check("alerts that the second run raises", ours["again_raised"], 0, unit=""),
        ],
    )


def _ours(connection: psycopg.Connection) -> Figures:
    _forget(connection)
    few = part("sweeping", "ours_for", DAY, 100)
    _forget(connection)
    found = part("sweeping", "ours", DAY)
    scratch.settle(connection)
    again = part("sweeping", "ours", DAY)
    # What the floor inserts; the mails that it refers to stay.
    connection.execute("DROP TABLE IF EXISTS same_alerts")
    connection.execute("CREATE TABLE same_alerts AS SELECT * FROM alerts_alert ORDER BY id")
    scratch.let_read(connection, "same_alerts")
    return found | {
        "again_seconds": again["seconds"],
        "again_raised": again["raised"],
        "statements_for_100": few["statements"],
    }


def _floor(connection: psycopg.Connection) -> Figures:
    scratch.empty(connection, "alerts_alert")
    return part("sweeping", "floor")


def _loop(connection: psycopg.Connection) -> Figures:
    _forget(connection)
    return part("sweeping", "loop", DAY, SAMPLE)


def _forget(connection: psycopg.Connection) -> None:
    scratch.empty(connection, "alerts_alert", "outbox_message", "outbox_attachment", "alerts_sweeprun")


if __name__ == "__main__":
    finish(measure())

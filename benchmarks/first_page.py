"""The first page of each department among 10,000 shipments, and how many statements it takes."""

from __future__ import annotations

from datetime import date
from functools import partial

from benchmarks import scratch
from benchmarks.measure import Check, Report, finish, in_turns, part, sized

SHIPMENTS = sized(10_000)
PAGES = sized(20)
DEPARTMENTS = ("BUSINESS_UNIT", "FINANCE", "CUSTOMS", "STORES", "INTERNAL_AUDIT", "MANAGEMENT")

# ETAs over two years up to six weeks ahead. What was due is done, but every seventh of the last weeks is stuck.
AROUND = "current_date + 42 - (i::bigint * 7919 %% 730)::int"
DONE = "eta + offset_days < current_date AND NOT (shipment.id % 7 = 0 AND offset_days >= 3 AND eta > current_date - 21)"
COMPLETE = """
    UPDATE shipments_shipment shipment SET status = 'completed', cleared_on = eta + 7
    WHERE NOT EXISTS (
        SELECT FROM workflow_workflowstep step WHERE step.shipment_id = shipment.id AND step.actual_date IS NULL
    )
"""


def measure() -> Report:
    with scratch.database() as connection:
        scratch.fill(connection, SHIPMENTS, with_steps=True, eta=AROUND, done=DONE)
        active = SHIPMENTS - connection.execute(COMPLETE).rowcount
        part("sweeping", "take_on_the_others")
        part("sweeping", "ours", date.today())  # noqa: DTZ011 - the database's day
        scratch.settle(connection)
        found = in_turns(3, {name: partial(part, "opening", "first_page", name, PAGES) for name in DEPARTMENTS})
    return Report(
        "first_page",
        f"First page among {SHIPMENTS:,} shipments",
        {
            "active shipments": active,
            **{f"{name}, p50, ms": figures["p50_ms"] for name, figures in found.items()},
            **{f"{name}, statements": figures["statements"] for name, figures in found.items()},
            "MANAGEMENT, with nothing in the cache, statements": found["MANAGEMENT"]["first_statements"],
        },
        [
            Check("slowest department, p50", max(figures["p50_ms"] for figures in found.values()), 300, unit="ms"),
            Check("Management, with nothing in the cache", found["MANAGEMENT"]["first_ms"], 1000, unit="ms"),
            Check("most statements", max(figures["statements"] for figures in found.values()), 15, unit=""),
        ],
    )


if __name__ == "__main__":
    finish(measure())

"""Changing an ETA among 100,000 shipments: ours against a bare UPDATE of the steps (floor) and a save() loop (peer)."""

from __future__ import annotations

from functools import partial

from benchmarks import scratch
from benchmarks.measure import Check, Report, finish, in_turns, part, sized

SHIPMENTS = sized(100_000)
TIMES = sized(200, at_least=5)


def measure() -> Report:
    with scratch.database() as connection:
        scratch.fill(connection, SHIPMENTS, with_steps=True)
        found = in_turns(3, {"ETA changes": partial(part, "moving", "compare", TIMES)})["ETA changes"]
    ours, floor, loop = (found[f"{name}_p50_ms"] for name in ("ours", "floor", "loop"))
    return Report(
        "eta_change",
        f"ETA change, 34 dates, {SHIPMENTS:,} shipments",
        {
            "floor: UPDATE of 34 rows and its commit, p50, ms": floor,
            "ours: change_eta (lock, rules, shipment, steps), p50, ms": ours,
            "ours: p95, ms": found["ours_p95_ms"],
            "peer: save() loop, p50, ms": loop,
        },
        [Check("ours ÷ floor", ours / floor, 4), Check("loop ÷ ours", loop / ours, 7, at_least=True)],
    )


if __name__ == "__main__":
    finish(measure())

"""A year's figures over 100,000 shipments: ours against the plainest SQL (floor), a loop (peer), and the cache."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from urllib.parse import urlencode

from benchmarks import scratch, web
from benchmarks.measure import Check, Figures, Report, finish, in_turns, part, sized

SHIPMENTS = sized(100_000)
SAMPLE = sized(1_000)  # of the loop
SECONDS = sized(10)  # the first answer of each is not kept yet, and may take two of them
NAMES = ("clearance-time", "on-time-rate", "demurrage-savings", "delayed-steps")

# ETAs over the year that ended three weeks ago; one step in six is late, and one in a hundred shipments has one open.
ETA = "current_date - 21 - (i::bigint * 7919 %% 365)::int"
DONE = "NOT fact.is_optional AND (shipment.id * 31 + fact.id) % 3400 > 0"
DAYS_LATE = "(CASE WHEN (shipment.id * 7 + fact.id * 13) % 6 = 0 THEN 1 + (shipment.id + fact.id) % 5 ELSE 0 END)::int"


def measure() -> Report:
    until = date.today() - timedelta(days=14)  # noqa: DTZ011 - the database's own date
    start = until - timedelta(days=364)
    with scratch.database() as connection:
        scratch.fill(connection, SHIPMENTS, with_steps=True, eta=ETA, done=DONE, days_late=DAYS_LATE)
        part("figuring", "settle")
        scratch.settle(connection)
        found = {name: _measured(name, str(start), str(until)) for name in NAMES}
        cached = _cached(start, until)
    figures: dict[str, float] = {}
    checks = []
    for name, of in found.items():
        assert abs(of["ours"]["check"] - of["floor"]["check"]) < 0.05, f"{name}: the floor has other numbers"
        ours, floor = of["ours"]["seconds"], of["floor"]["seconds"]
        loop = of["loop"]["seconds_per_shipment"] * SHIPMENTS
        figures |= {
            f"{name}: floor, the plainest SQL, s": floor,
            f"{name}: ours, s": ours,
            f"{name}: peer, {SAMPLE:,} shipments in a loop, scaled up, s": loop,
            f"{name}: ours from the cache, over HTTP, p50, ms": cached[name],
        }
        checks += [
            Check(f"{name}: ours ÷ floor", ours / floor, 1.3),
            Check(f"{name}: loop ÷ ours", loop / ours, 40, at_least=True),
            Check(f"{name}: from the cache, p50", cached[name], 10, unit="ms"),
        ]
    return Report(
        "metrics", f"Metrics, a year of {SHIPMENTS:,} shipments and {SHIPMENTS * 34:,} steps", figures, checks
    )


def _measured(name: str, start: str, until: str) -> dict[str, Figures]:
    return in_turns(
        3,
        {
            way: partial(part, "figuring", way, name, start, until, *more)
            for way, more in (("ours", ()), ("floor", ()), ("loop", (SAMPLE,)))
        },
    )


def _cached(start: date, until: date) -> dict[str, float]:
    """The median of each figure's answers over HTTP with a sign-in, in milliseconds, once it is kept."""
    with web.serving("clearance.wsgi:application") as port:
        token = web.sign_in(port)
        given = urlencode({"from": start, "to": until})
        return {
            name: part("load", "run", port, f"/api/v1/metrics/{name}?{given}", token, 1, SECONDS)["p50_ms"]
            for name in NAMES
        }


if __name__ == "__main__":
    finish(measure())

"""The web process: a list from it against gunicorn's own worker, and 200 slow clients beside it."""

from __future__ import annotations

from functools import partial

from benchmarks import scratch, web
from benchmarks.measure import Check, Figures, Report, finish, in_turns, part, sized

SHIPMENTS = sized(10_000, at_least=50)
SLOW = sized(200)
CONNECTIONS = 4
SECONDS = sized(4)
APPLICATION = "benchmarks.parts.list_server:application"
LIST, ME = "/api/v1/shipments?status=active&eta_from=2001-01-01&cursor=", "/api/v1/users/me"


def measure() -> Report:
    with scratch.database() as connection:
        scratch.fill(connection, SHIPMENTS, with_steps=False)
        with web.serving(APPLICATION) as ours, web.serving(APPLICATION, "--worker-class=gthread") as peer:
            token = web.sign_in(ours)
            listing = in_turns(3, {"ours": partial(_load, ours, token), "peer": partial(_load, peer, token)})
            paced = in_turns(
                3, {"alone": partial(_paced, ours, token, 0), "beside": partial(_paced, ours, token, SLOW)}
            )
            stopped = _paced(peer, token, SLOW)
    ours_rate, peer_rate = (listing[name]["requests_per_second"] for name in ("ours", "peer"))
    return Report(
        "slow_clients",
        f"The web process; {SLOW} slow clients",
        {
            f"ours: list of 50 of {SHIPMENTS:,}, {CONNECTIONS} connections, requests/s": ours_rate,
            "peer: the same by gunicorn's gthread, requests/s": peer_rate,
            "ours: alone, p50, ms": paced["alone"]["p50_ms"],
            "ours: alone, p95, ms": paced["alone"]["p95_ms"],
            "ours: beside the slow, p50, ms": paced["beside"]["p50_ms"],
            "ours: beside the slow, p95, ms": paced["beside"]["p95_ms"],
            "peer: beside the slow, p50, ms (5,000: no answer)": stopped["p50_ms"],
        },
        [
            Check("p95 beside the slow ÷ alone", paced["beside"]["p95_ms"] / paced["alone"]["p95_ms"], 2),
            Check("list: gthread ÷ ours", peer_rate / ours_rate, 1.15),
        ],
    )


def _load(port: int, token: str) -> Figures:
    return part("load", "run", port, LIST, token, CONNECTIONS, SECONDS)


def _paced(port: int, token: str, slow: int) -> Figures:
    return part("slowness", "run", port, ME, token, slow, 2 * SECONDS)


if __name__ == "__main__":
    finish(measure())

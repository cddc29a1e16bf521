"""Listing 50 of 100,000 shipments over HTTP: ours against bare values() (floor) and DRF's own way (peer)."""

from __future__ import annotations

import http.client
import json
from functools import partial
from urllib.parse import urlsplit

from benchmarks import scratch, web
from benchmarks.measure import Check, Figures, Report, finish, in_turns, part, say, sized

SHIPMENTS = sized(100_000)
PAGE = 50
DEEP = sized(1_000, at_least=3)
CONNECTIONS = 16
SECONDS = sized(4)
FILTERS = "status=active&eta_from=2001-01-01"


def measure() -> Report:
    with scratch.database() as connection:
        scratch.fill(connection, SHIPMENTS, with_steps=False)
        with web.serving("benchmarks.parts.list_server:application") as port:
            token = web.sign_in(port)
            second, deep = _cursors(port, token)
            paths = {
                "floor": "/api/bench/floor",
                "peer": f"/api/bench/peer?{FILTERS}",
                "first": f"/api/v1/shipments?{FILTERS}",
                "second": second,
                "deep": deep,
            }
            found = in_turns(3, {name: partial(_load, port, path, token, CONNECTIONS) for name, path in paths.items()})
            alone = in_turns(3, {name: partial(_load, port, paths[name], token, 1) for name in ("second", "deep")})
    rate = {name: figures["requests_per_second"] for name, figures in found.items()}
    return Report(
        "list_shipments",
        f"List {PAGE} of {SHIPMENTS:,} shipments, {CONNECTIONS} connections",
        {
            "floor: values() + orjson, no sign-in, no filters, requests/s": rate["floor"],
            "ours: first page, with the count, requests/s": rate["first"],
            "ours: the next page by cursor, requests/s": rate["second"],
            f"ours: page {DEEP:,} by cursor, requests/s": rate["deep"],
            "peer: ModelSerializer + count(*), requests/s": rate["peer"],
            "floor: p50, ms": found["floor"]["p50_ms"],
            "floor: p99, ms": found["floor"]["p99_ms"],
            "ours: first page, p50, ms": found["first"]["p50_ms"],
            "ours: first page, p99, ms": found["first"]["p99_ms"],
            "ours: the next page, p50, ms": found["second"]["p50_ms"],
            "ours: the next page, p99, ms": found["second"]["p99_ms"],
            "ours: the next page with one connection, p50, ms": alone["second"]["p50_ms"],
            f"ours: page {DEEP:,} with one connection, p50, ms": alone["deep"]["p50_ms"],
        },
        [
            Check("floor ÷ ours, first page", rate["floor"] / rate["first"], 1.7),
            Check("floor ÷ ours, next page by cursor", rate["floor"] / rate["second"], 1.7),
            Check("ours ÷ peer, first page", rate["first"] / rate["peer"], 3.8, at_least=True),
            Check("ours ÷ peer, next page by cursor", rate["second"] / rate["peer"], 3.8, at_least=True),
            Check("p99 ÷ p99 of the floor, first page", found["first"]["p99_ms"] / found["floor"]["p99_ms"], 2.5),
            Check(
                "p99 ÷ p99 of the floor, next page by cursor",
                found["second"]["p99_ms"] / found["floor"]["p99_ms"],
                2.5,
            ),
            Check(f"page {DEEP:,} ÷ page 2 by cursor", alone["deep"]["p50_ms"] / alone["second"]["p50_ms"], 1.15),
        ],
    )


def _load(port: int, path: str, token: str, connections: int) -> Figures:
    return part("load", "run", port, path, token, connections, SECONDS)


def _cursors(port: int, token: str) -> tuple[str, str]:
    """Follow `next` as a client would, for the addresses of the second and of a deep page."""
    say(f"following the cursor to page {DEEP:,}")
    client = http.client.HTTPConnection("127.0.0.1", port)
    paths = [f"/api/v1/shipments?{FILTERS}&cursor="]
    while len(paths) < DEEP:
        client.request("GET", paths[-1], headers={**web.HEADERS, "Authorization": f"Bearer {token}"})
        address = urlsplit(json.loads(client.getresponse().read())["next"])
        paths.append(f"{address.path}?{address.query}")
    return paths[1], paths[-1]


if __name__ == "__main__":
    finish(measure())

"""What the limit of requests costs each of them, and how exactly it holds over two web processes under load."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from benchmarks import scratch, web
from benchmarks.measure import Check, Figures, Report, finish, in_turns, part, say, sized

PATH = "/api/v1/users/me"
SHIPMENTS = "/api/v1/shipments"
LIMIT = 100
REQUESTS = sized(600, at_least=LIMIT + 20)
CONNECTIONS = 16
REPEATS = sized(20, at_least=4)
SECONDS = sized(4)
APPLICATION = "clearance.wsgi:application"


def measure() -> Report:
    with scratch.database():
        with limited_to(LIMIT), web.serving(APPLICATION) as one, web.serving(APPLICATION) as other:
            token = web.sign_in(one)
            let_through, lacking = _burst(token, one, other)
        with (
            limited_to(0),
            web.serving(APPLICATION) as free,
            limited_to(1_000_000),
            web.serving(APPLICATION) as counted,
        ):
            found = in_turns(3, {"without": partial(_load, free, token), "with": partial(_load, counted, token)})
            repeated = _repeats(token, free, counted)
    return Report(
        "limits",
        "The limit of requests, and requests sent again",
        {
            "without a limit, p50, ms": found["without"]["p50_ms"],
            "with one, p50, ms": found["with"]["p50_ms"],
            "without a limit, requests/s": found["without"]["requests_per_second"],
            "with one, requests/s": found["with"]["requests_per_second"],
            f"let through of {REQUESTS} at two web processes": let_through,
            "answers without the headers": lacking,
            f"shipments of {REPEATS} equal requests at once": repeated["shipments"],
            "different answers to them": repeated["answers"],
        },
        [
            Check("with ÷ without a limit, p50", found["with"]["p50_ms"] / found["without"]["p50_ms"], 1.25),
            Check(f"let through beyond {LIMIT} a minute", abs(let_through - LIMIT), 0, unit=""),
            Check("answers without the headers", lacking, 0, unit=""),
            Check("shipments of equal requests at once", repeated["shipments"], 1, unit=""),
            Check("different answers to them", repeated["answers"], 1, unit=""),
        ],
    )


@contextmanager
def limited_to(number: int) -> Iterator[None]:
    """Have the web processes that start meanwhile limit each person to so many requests a minute."""
    before = os.environ["RATE_LIMIT_PER_MINUTE"]
    os.environ["RATE_LIMIT_PER_MINUTE"] = str(number)
    try:
        yield
    finally:
        os.environ["RATE_LIMIT_PER_MINUTE"] = before


def _load(port: int, token: str) -> Figures:
    return part("load", "run", port, PATH, token, 4, SECONDS)


def _burst(token: str, *ports: int) -> tuple[int, int]:
    """Ask as fast as 16 connections can, at all ports in turn; how many got through, how many lacked the headers."""
    say(f"{REQUESTS} requests at {len(ports)} web processes")
    found: Counter[int] = Counter()
    lacking = 0

    def ask(number: int) -> tuple[int, bool]:
        client = http.client.HTTPConnection("127.0.0.1", ports[number % len(ports)], timeout=30)
        client.request("GET", PATH, headers={**web.HEADERS, "Authorization": f"Bearer {token}"})
        answer = client.getresponse()
        answer.read()
        client.close()
        return answer.status, {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} <= set(answer.headers)

    with ThreadPoolExecutor(CONNECTIONS) as burst:
        for status, is_told in burst.map(ask, range(REQUESTS)):
            found[status] += 1
            lacking += not is_told
    return found[200], lacking


def _repeats(token: str, *ports: int) -> dict[str, int]:
    """Register one shipment by equal requests at once, with one Idempotency-Key, at all ports in turn."""
    say(f"{REPEATS} equal requests at once")
    eta = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 10 * 86_400))
    body = json.dumps(
        {"shipment_number": "B-1", "principal": "P", "brand": "B", "invoice_amount_omr": "1.000", "eta": eta}
    )
    given = {**web.HEADERS, "Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def send(number: int) -> tuple[int, bytes]:
        client = http.client.HTTPConnection("127.0.0.1", ports[number % len(ports)], timeout=60)
        client.request("POST", SHIPMENTS, body, {**given, "Idempotency-Key": "benchmark-1"})
        answer = client.getresponse()
        content = answer.status, answer.read()
        client.close()
        return content

    with ThreadPoolExecutor(REPEATS) as burst:
        answers = set(burst.map(send, range(REPEATS)))
    client = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=30)
    client.request("GET", f"{SHIPMENTS}?search=B-1", headers=given)
    return {"shipments": json.loads(client.getresponse().read())["count"], "answers": len(answers)}


if __name__ == "__main__":
    finish(measure())

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Event, Thread
from typing import Any

import pytest

from clearance.tests import callers
from clearance.tests.processes import eventually
from clearance.tests.relays import Relay, relay
from clearance.tests.webs import web

ME, HEALTH, LIVE, READY = "/api/v1/users/me", "/api/v1/health", "/api/v1/health/live", "/api/v1/health/ready"
PRODUCTION = {
    "DEBUG": "0",
    "SECRET_KEY": "k3J9-vQ2x_Zr7Lw5Tn8Ys4Bd6Fg1Hm0Pc-Xe9Ua2Io7Rk5Vj3Wq",
    "ALLOWED_HOSTS": "127.0.0.1",
    "LOG_LEVEL": "CRITICAL",
    "TRUSTED_PROXY_COUNT": "1",
    "RATE_LIMIT_PER_MINUTE": "0",
}


class Answer:
    """What came of a request, and the seconds that it took."""

    def __init__(self, port: int, path: str, token: str = "") -> None:
        started = time.perf_counter()
        client = HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"X-Forwarded-Proto": "https"} | ({"Authorization": f"Bearer {token}"} if token else {})
        client.request("GET", path, headers=headers)
        found = client.getresponse()
        self.status, self.headers, body = found.status, found.headers, found.read()
        client.close()
        self.seconds = time.perf_counter() - started
        self.body: Any = json.loads(body) if found.headers["Content-Type"] == "application/json" else body.decode()

    def is_refusal_of_an_outage(self) -> bool:
        return (
            self.status == 503
            and self.body["error"]["code"] == "UNAVAILABLE"
            and self.body["error"]["request_id"] == self.headers["X-Request-ID"]
            and int(self.headers["Retry-After"]) > 0
        )


@contextmanager
def behind_a_relay(settings: Any) -> Iterator[tuple[int, Relay]]:
    """A web process as in production, that reaches the database through a relay."""
    settings.SECRET_KEY = PRODUCTION["SECRET_KEY"]
    with relay() as between, web("redis://127.0.0.1:1/0", DATABASE_URL=between.url, **PRODUCTION) as port:
        yield port, between


@pytest.mark.django_db(transaction=True)
class TestWithTheDatabaseAway:
    def test_requests_fail_at_once_and_the_health_answers_at_once_under_load(self, settings, bu_clerk):
        with behind_a_relay(settings) as (port, between):
            token = callers.token_of(bu_clerk)
            assert eventually(lambda: Answer(port, ME, token).status == 200)
            with load(port, token) as answers:
                time.sleep(1)
                between.down()
                time.sleep(0.5)
                answers.clear()
                health = [Answer(port, path) for _ in range(8) for path in (LIVE, HEALTH, READY)]
                time.sleep(1)
                refused = list(answers)

        assert len(refused) > 20
        assert all(answer.is_refusal_of_an_outage() for answer in refused)
        assert statistics.quantiles([answer.seconds for answer in refused], n=20)[-1] < 1
        assert statistics.median(answer.seconds for answer in health) < 0.1
        assert {answer.status for answer in health[0::3]} == {answer.status for answer in health[1::3]} == {200}
        assert {answer.status for answer in health[2::3]} == {503}
        assert {health[place].body["status"] for place in (1, 4, 7)} == {"degraded"}

    def test_a_server_that_says_nothing_is_not_waited_for(self, settings, bu_clerk):
        with behind_a_relay(settings) as (port, between):
            token = callers.token_of(bu_clerk)
            assert eventually(lambda: Answer(port, ME, token).status == 200)
            between.speaks.clear()
            found = [Answer(port, ME, token) for _ in range(8)]
            between.speaks.set()

        assert all(answer.is_refusal_of_an_outage() for answer in found)
        assert statistics.median(answer.seconds for answer in found) < 1
        assert max(answer.seconds for answer in found) < 5

    def test_the_back_office_says_so_too(self, settings):
        with behind_a_relay(settings) as (port, between):
            between.down()
            client = HTTPConnection("127.0.0.1", port, timeout=30)
            client.request(
                "GET", "/admin/", headers={"X-Forwarded-Proto": "https", "Cookie": "__Host-session=" + "a1b2" * 8}
            )
            found = client.getresponse()
            page = found.read().decode()
            client.close()

        assert (found.status, found.headers["Retry-After"]) == (503, "5")
        assert "<h1>Not available now</h1>" in page


@pytest.mark.django_db(transaction=True)
class TestWithTheDatabaseBack:
    def test_nobody_gets_a_connection_from_before(self, settings, bu_clerk):
        with behind_a_relay(settings) as (port, between):
            token = callers.token_of(bu_clerk)
            assert eventually(lambda: Answer(port, ME, token).status == 200)
            with load(port, token):  # so that it has several connections
                time.sleep(1)
            between.hang_up()
            time.sleep(0.2)

            assert [Answer(port, ME, token).status for _ in range(10)] == [200] * 10

    def test_it_is_found_again_within_seconds_by_who_was_idle(self, settings, bu_clerk):
        with behind_a_relay(settings) as (port, between):
            token = callers.token_of(bu_clerk)
            assert eventually(lambda: Answer(port, ME, token).status == 200)
            between.down()
            assert {Answer(port, ME, token).status for _ in range(3)} == {503}
            time.sleep(8)  # in which who tries at intervals that double has come to long ones
            between.up()
            back = time.monotonic()
            assert eventually(lambda: Answer(port, ME, token).status == 200)

            assert time.monotonic() - back < 5
            assert Answer(port, READY).body["database"] is True


@contextmanager
def load(port: int, token: str, clients: int = 12) -> Iterator[list[Answer]]:
    """So many clients that ask as fast as they can; what they hear."""
    answers: list[Answer] = []
    is_over = Event()

    def go_on() -> None:
        while not is_over.is_set():
            answers.append(Answer(port, ME, token))

    threads = [Thread(target=go_on) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join()

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from clearance.embedded import ROOT
from clearance.tests.processes import eventually

ENDPOINTS = ("/health", "/health/live", "/health/ready", "/health/db", "/health/redis")
OPTIONS = ("--threads=4", "--graceful-timeout=1", "--log-level=error", "--no-control-socket")
SAYS_SO = {"/health": 200, "/health/live": 200, "/health/ready": 503, "/health/db": 503, "/health/redis": 503}


@pytest.fixture
def closed_port() -> int:
    """A port that refuses every connection."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield int(listener.getsockname()[1])


@contextmanager
def serving(**environment: str) -> Iterator[int]:
    """Clearance as production runs it, in a process of its own; the port it serves."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        production = {
            "PATH": os.defpath,
            "DEBUG": "0",
            "SECRET_KEY": "k3J9-vQ2x_Zr7Lw5Tn8Ys4Bd6Fg1Hm0Pc-Xe9Ua2Io7Rk5Vj3Wq",
            "ALLOWED_HOSTS": "127.0.0.1",
            "LOG_LEVEL": "CRITICAL",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "clearance.wsgi", f"--bind=fd://{listener.fileno()}", *OPTIONS],
            cwd=ROOT,
            env=production | environment,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        try:
            yield int(listener.getsockname()[1])
        finally:
            process.terminate()
            process.wait(20)


def ask(port: int, endpoint: str) -> tuple[int, dict[str, Any], float]:
    """Status, answer and seconds of one request."""
    started = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", f"/api/v1{endpoint}")
        answer = connection.getresponse()
        body = json.loads(answer.read())
    return answer.status, body, time.perf_counter() - started


class TestWithBothServersDown:
    @pytest.mark.parametrize("kind", ["closed_port", "black_hole"])
    def test_every_answer_comes_within_a_tenth_of_a_second(self, request, kind):
        port = request.getfixturevalue(kind)
        with serving(
            DATABASE_URL=f"postgresql://clearance:secret@127.0.0.1:{port}/clearance",
            REDIS_URL=f"redis://127.0.0.1:{port}/0",
        ) as served:
            ask(served, "/health/live")  # waits for the process

            seconds: dict[str, list[float]] = {endpoint: [] for endpoint in ENDPOINTS}
            for _ in range(5):
                for endpoint in ENDPOINTS:
                    status, body, taken = ask(served, endpoint)
                    seconds[endpoint].append(taken)
                    assert status == SAYS_SO[endpoint], body

            _, whole, _ = ask(served, "/health")

        # The median: a busy machine may hold up one of them, whatever the servers do.
        typical = {endpoint: statistics.median(taken) for endpoint, taken in seconds.items()}
        assert max(typical.values()) < 0.1, typical
        assert (whole["status"], whole["database"], whole["redis"]) == ("degraded", False, False)


@pytest.mark.django_db(transaction=True)
class TestWithBothServersUp:
    def test_everything_is_well(self, client):
        # The first question of a process may come too early: its connections are only being made.
        assert eventually(lambda: client.get("/api/v1/health/ready").status_code == 200)

        whole = client.get("/api/v1/health").json()

        assert whole.keys() == {"status", "version", "uptime_seconds", "database", "redis", "sweep", "mail", "sms"}
        assert (whole["status"], whole["database"], whole["redis"]) == ("ok", True, True)
        assert whole["uptime_seconds"] >= 0

    @pytest.mark.parametrize("server", ["db", "redis"])
    def test_each_of_them_says_so(self, client, server):
        assert eventually(lambda: client.get(f"/api/v1/health/{server}").json()["status"] == "ok")

    def test_nobody_needs_to_sign_in_and_no_credentials_are_looked_at(self, client):
        answer = client.get("/api/v1/health/live", headers={"authorization": "Bearer nonsense"})

        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_nothing_is_to_be_posted(self, client):
        assert client.post("/api/v1/health").status_code == 405

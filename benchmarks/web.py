"""Gunicorn as `make run` starts it, on a free port, with an application of one's own choice."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import scratch
from benchmarks.measure import ROOT
from clearance.supervisor import WEB

PATIENCE = 60
HEADERS = {"X-Forwarded-Proto": "https"}
CLERK = "clerk@benchmarks.example"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(application: str, *more: str) -> Iterator[int]:
    """Serve the application until the block ends, with `more` options for gunicorn; yield the port once it answers."""
    port = free_port()
    _, _, *options = WEB
    command = [sys.executable, "-m", "gunicorn", application, *options, *more, f"--bind=127.0.0.1:{port}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_answer(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def await_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the product answers.

    :raises RuntimeError: the process ended, or a minute has passed.
    """
    deadline = time.monotonic() + PATIENCE
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"No answer on port {port}: {process.args!r}")
        time.sleep(0.02)


def sign_in(port: int) -> str:
    """Sign in as the clerk of the scratch database; return an access token."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"email": CLERK, "password": scratch.PASSWORD})
    client.request("POST", "/api/v1/auth/login", body, {**HEADERS, "Content-Type": "application/json"})
    token: str = json.loads(client.getresponse().read())["access_token"]
    return token


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/v1/health/live", headers=HEADERS)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from clearance import embedded
from clearance.tests import processes

ROOT = embedded.ROOT


class Run:
    """`make run` in a folder of its own for its data, on a port of its own."""

    def __init__(self, var: Path, *command: str, **environment: str) -> None:
        self.var = var
        self.port = free_port()
        given = {"VAR_DIR": str(var), "PORT": str(self.port), "DEMO": "0"}
        given |= dict.fromkeys(("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"), "")
        self.since = time.monotonic()
        self.process = subprocess.Popen(
            command or ("make", "run"),
            cwd=ROOT,
            env={**os.environ, **given, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def first_answer(self) -> float:
        """The seconds it took until web answered."""
        assert processes.eventually(lambda: status(self.port) == 200, seconds=120), self.words()
        return time.monotonic() - self.since

    def lines_until(self, text: str) -> str:
        """What it said up to the line that holds the text."""
        said = ""
        for line in self.process.stdout:
            said += line
            if text in line:
                return said
        raise AssertionError(said)

    def words(self) -> str:
        """The rest of what it said, once it has ended."""
        return self.process.communicate(timeout=40)[0]

    def supervisor(self) -> int:
        return processes.named("clearance.supervisor", self.var).pid


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status(port: int) -> int:
    with (
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection,
        suppress(OSError, http.client.HTTPException),
    ):
        connection.request("GET", "/api/v1/health/live")
        with connection.getresponse() as answer:
            return answer.status
    return 0


@pytest.fixture(scope="module")
def var() -> Iterator[Path]:
    """Shared by the tests of this file: whichever comes first creates the database."""
    with processes.var_folder() as folder:
        yield folder


@pytest.fixture(autouse=True)
def nothing_left(var: Path) -> Iterator[None]:
    yield
    left = [process.cmdline() for process in processes.of(var)]
    for process in processes.of(var):
        process.kill()
    assert left == []


class TestMakeRun:
    def test_serves_the_demonstration_prints_address_and_sign_ins_and_ends_on_sigterm_to_make(self, var):
        run = Run(var, DEMO="1", DEMO_PASSWORD="A password 4 this test")
        said = run.lines_until("Clearance runs at")
        assert f"http://127.0.0.1:{run.port}/admin/" in said
        assert "A password 4 this test" in said
        assert status(run.port) == 200
        for name in ("gunicorn", "--queues=", "beat"):
            known = processes.named(name, var).environ()
            assert known["DATABASE_OWNER_URL"] == ""
            assert embedded.OWNER not in known["DATABASE_URL"]
        asked_at = time.monotonic()

        run.process.terminate()
        run.words()

        assert time.monotonic() - asked_at < 30
        assert processes.of(var) == []
        assert re.search(r"entries sealed in 1 seals|Nothing to seal", (var / "log" / "seal.log").read_text())

    def test_leaves_nothing_unsealed_behind(self, var):
        run = Run(var, DEMO="1", DEMO_PASSWORD="A password 4 this test")
        run.lines_until("Clearance runs at")
        run.process.terminate()
        run.words()

        verification = Run(var, sys.executable, "manage.py", "verify_audit", "--full")

        told = verification.words()
        assert verification.process.returncode == 0, told
        assert re.search(r"[0-9]{3,} entries in [0-9]+ seals verified", told)
        assert "wait for a seal" not in told

    def test_ends_everything_and_says_which_process_died(self, var):
        run = Run(var)
        run.lines_until("Clearance runs at")

        processes.named("--queues=", var).kill()

        words = run.words()
        assert "worker stopped by itself (exit status -9)" in words
        assert "worker.log ends with" in words
        assert run.process.returncode != 0

    def test_killed_without_a_word_leaves_nothing_and_answers_again_within_ten_seconds(self, var):
        killed = Run(var)
        killed.lines_until("Clearance runs at")

        os.kill(killed.supervisor(), signal.SIGKILL)

        killed.words()
        assert processes.eventually(lambda: processes.of(var) == [], seconds=30)
        again = Run(var)
        assert again.first_answer() < 10
        again.process.terminate()
        again.words()

    def test_refuses_a_taken_port_before_it_starts_anything(self, var):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]

            run = Run(var, PORT=str(port))

            assert f"Port {port} is taken. Choose another: PORT={port + 1} make run" in run.words()
            assert run.process.returncode != 0

    def test_refuses_a_second_one_in_the_same_folder_and_ends_on_ctrl_c(self, var):
        first = Run(var)
        first.lines_until("Clearance runs at")
        second = Run(var)
        assert "already running" in second.words()
        assert second.process.returncode != 0
        assert status(first.port) == 200

        os.kill(first.supervisor(), signal.SIGINT)

        first.words()
        assert first.process.returncode == 0

    def test_says_why_the_database_could_not_be_prepared(self, var):
        run = Run(var, DEBUG="0", SECRET_KEY="too short")

        words = run.words()

        assert "The database could not be prepared." in words
        assert "Set SECRET_KEY to at least 50 random characters" in words
        assert run.process.returncode != 0


class TestALoneCommand:
    CODE = "from django.db import connection as c; c.ensure_connection(); print('reached', c.settings_dict['NAME'])"

    def test_has_the_embedded_servers_for_as_long_as_it_lasts(self, var):
        run = Run(var, sys.executable, "manage.py", "shell", "--no-imports", "--command", self.CODE)

        assert run.words() == "reached clearance\n"
        assert run.process.returncode == 0

    def test_that_is_ended_early_stops_them_too(self, var):
        code = "import time; print('up', flush=True); time.sleep(60)"
        run = Run(var, sys.executable, "manage.py", "shell", "--no-imports", "--command", code)
        run.lines_until("up")

        run.process.terminate()

        run.words()
        assert run.process.returncode == 143

    def test_that_needs_no_server_starts_none(self, var):
        run = Run(var, sys.executable, "manage.py", "help", "migrate")

        assert "usage: manage.py migrate" in run.words()
        assert run.process.returncode == 0

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from clearance import embedded
from clearance.tests import processes

ROOT = embedded.ROOT
SUPERVISOR = (sys.executable, "-m", "clearance.supervisor")
ALONE = (sys.executable, "manage.py", "migrate", "--check")
IMPATIENT = "import sys; from clearance import supervisor; supervisor.RETURN = 1; sys.exit(supervisor.main())"
# Takes from root the power to write where nobody may (CAP_DAC_OVERRIDE, by PR_CAPBSET_DROP); others have none to lose.
AS_ANYBODY = """
import os, sys
from clearance import supervisor

supervisor.prctl(24, 1)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


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
        return self.process.communicate(timeout=90)[0]

    def supervisor(self) -> int:
        return processes.named("clearance.supervisor", self.var).pid


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status(port: int, of: str = "live") -> int:
    with (
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection,
        suppress(OSError, http.client.HTTPException),
    ):
        connection.request("GET", f"/api/v1/health/{of}")
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
    left = processes.of(var)
    for process in left:
        with suppress(psutil.Error):
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


class TestItsOwnServers:
    def test_that_are_killed_are_started_again_and_everything_else_lives_through_it(self, var):
        run = Run(var)
        run.lines_until("Clearance runs at")
        children = {name: processes.named(name, var).pid for name in ("gunicorn", "--queues=", "beat")}
        assert processes.eventually(lambda: tasks_done(var) > 0, seconds=60)
        for killed, words in (("bin/postgres", "PostgreSQL"), ("valkey-server", "Redis")):
            processes.named(killed, var).kill()

            run.lines_until(f"{words} was gone; it was started again.")

            done = tasks_done(var)
            assert processes.eventually(lambda: status(run.port, of="ready") == 200, seconds=30)
            assert processes.eventually(lambda done=done: tasks_done(var) > done, seconds=120)
        assert {name: processes.named(name, var).pid for name in children} == children

        run.process.terminate()
        run.words()

    def test_that_do_not_come_back_end_everything_with_a_sentence(self, var):
        run = Run(var, sys.executable, "-c", IMPATIENT)
        run.lines_until("Clearance runs at")
        (var / "postgres" / "PG_VERSION").rename(var / "postgres" / "PG_VERSION.gone")

        processes.named("bin/postgres", var).kill()

        words = run.words()
        (var / "postgres" / "PG_VERSION.gone").rename(var / "postgres" / "PG_VERSION")
        assert "The embedded PostgreSQL failed at pg_ctl." in words
        assert "Traceback" not in words
        assert run.process.returncode == 1


def tasks_done(var: Path) -> int:
    return (var / "log" / "worker.log").read_text().count(" succeeded in ")


class TestTheTrail:
    def test_is_sealed_to_its_last_entry_when_it_stops(self, var):
        run = Run(var)
        run.lines_until("Clearance runs at")
        late = "from accounts.models import Division; print(Division.objects.create(code='LATE', name='Late').pk)"
        assert (
            Run(var, sys.executable, "manage.py", "shell", "--no-imports", "--command", late).words().strip().isdigit()
        )

        run.process.terminate()

        run.words()
        verification = Run(var, sys.executable, "manage.py", "verify_audit", "--full")
        said = verification.words()
        assert verification.process.returncode == 0, said
        assert "wait for a seal" not in said


class TestWhatItCannotUse:
    @pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "80.5", "8_000", "٨٠٠٠", " "])
    def test_of_ports_it_names_in_a_sentence(self, var, port):
        run = Run(var, *SUPERVISOR, PORT=port)

        assert run.words() == f"PORT is {port!r}, and must be a number from 1 to 65535: PORT=8080 make run\n"
        assert run.process.returncode == 1

    @pytest.mark.parametrize("command", [SUPERVISOR, ALONE])
    @pytest.mark.parametrize("kind", ["file", "below a file", "read-only", "locked", "log", "long", "no place"])
    def test_of_folders_it_names_in_a_sentence(self, tmp_path, kind, command):
        var = tmp_path / "var"
        match kind:
            case "file":
                var.touch()
            case "below a file":
                var.touch()
                var /= "var"
            case "read-only":
                var.mkdir(mode=0o500)
            case "locked":
                var.mkdir()
                for name in ("run.lock", "users.lock"):
                    (var / name).touch(mode=0o400)
            case "log":
                (var / "log").mkdir(parents=True)
                (var / "log").chmod(0o500)
            case "long":
                var /= "x" * 300
            case "no place":
                var = Path("/proc/clearance")

        run = Run(var, sys.executable, "-c", AS_ANYBODY, *command[1:])

        assert "can't be written" in (words := run.words())
        assert "set VAR_DIR to another folder" in words
        assert words.count("\n") == 1
        assert run.process.returncode == 1

    @pytest.mark.parametrize("command", [SUPERVISOR, ALONE])
    def test_since_it_is_full_it_names_in_a_sentence(self, full_folder, command):
        run = Run(full_folder / "var", *command)

        words = run.words()
        assert "No space left on device" in words
        assert "Traceback" not in words
        assert run.process.returncode == 1


@pytest.fixture
def full_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with next to no room, where this user may have one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


class TestTheTemporaryFolder:
    def test_is_as_it_was_after_a_stop_and_after_a_kill(self, var, tmp_path):
        for number in (signal.SIGTERM, signal.SIGKILL):
            run = Run(var, TMPDIR=str(tmp_path))
            run.lines_until("Clearance runs at")
            supervisor = run.supervisor()
            if number == signal.SIGKILL:
                os.kill(supervisor, signal.SIGSTOP)
                processes.named("gunicorn", var).kill()  # which takes nothing of its own away then

            os.kill(supervisor, number)

            run.words()
            assert processes.eventually(lambda: processes.of(var) == [], seconds=30)
            assert list(tmp_path.iterdir()) == []
        again = Run(var)
        again.lines_until("Clearance runs at")
        again.process.terminate()
        again.words()
        assert not (var / "tmp").exists()


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

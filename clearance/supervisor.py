"""`make run`: the embedded servers, then web, worker and beat, started and ended as one.

Knows nothing of Django, which takes a second to load: what needs Django is a child process.
"""

from __future__ import annotations

import ctypes
import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from environ import Env

from clearance import embedded

PYTHON = [sys.executable, "-m"]
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 60  # seconds until web must have answered


class Failed(Exception):
    """Why it could not start, or could not go on, and what to do about it."""


class Stopped(Exception):
    """Somebody asked it to end."""


class Child:
    """A process in its own session, whose words go to `var/log/<name>.log` (the run before: `<name>.log.1`).

    `orphaned` is the signal that ends it when the supervisor dies without a word.
    """

    def __init__(
        self,
        name: str,
        *command: str,
        grace: float,
        stdout: int | None = None,
        orphaned: int = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.grace = grace
        self.log = embedded.VAR / "log" / f"{name}.log"
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        parent = os.getpid()

        def end_with_parent() -> None:
            """Have Linux end the child when the supervisor dies without a word (kill -9)."""
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*PYTHON, *command],
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                cwd=embedded.ROOT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - there is one thread only
            )

    def last_words(self) -> str:
        return f"{self.log} ends with:\n{embedded.tail(self.log)}"

    def end(self) -> None:
        """Ask it to end; after its grace, end it and whatever it started."""
        with suppress(subprocess.TimeoutExpired):
            self.process.terminate()
            self.process.wait(self.grace)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Supervisor:
    """Runs everything until it is told to stop or until something stops by itself."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stopping = False
        self.children: list[Child] = []  # in the order of their start

    def run(self) -> None:
        """Start in order, stay, and end in the opposite order.

        :raises Failed: something did not start, or stopped by itself.
        :raises CannotStart: an embedded server did not start.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        with embedded.servers(), suppress(Stopped):
            try:
                sign_ins = self._prepare()
                self._start("keeper", "clearance.embedded", grace=3)
                self._start("web", *WEB, f"--bind=127.0.0.1:{self.port}", grace=4, environment=as_application())
                self._start("worker", *WORKER, grace=6, environment=as_application())
                # A tick that waits for the database takes no SIGTERM; beat holds nothing, so that it may simply go.
                self._start("beat", *BEAT, grace=2, orphaned=signal.SIGKILL, environment=as_application())
                self._await_answer()
                print(f"{sign_ins}\n\nClearance runs at http://127.0.0.1:{self.port}/{admin_path()}")
                print(f"Ctrl-C stops it; its logs are in {embedded.VAR / 'log'}", flush=True)
                while True:
                    self._pause()
            finally:
                if self.children:
                    print("\nStopping …", flush=True)
                for child in reversed(self.children):
                    child.end()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Only a note: an exception out of a handler could hit between the start of a child and its listing.
        self.stopping = True

    def _start(self, name: str, *command: str, **options: Any) -> None:
        self.children.append(Child(name, *command, **options))

    def _prepare(self) -> str:
        """Migrate, load the reference data and the demonstration; what the latter has to say is the answer."""
        print("Preparing the database …", flush=True)
        with tempfile.TemporaryFile("w+") as words:  # has no name that its passwords could be read under
            child = Child("prepare", "clearance.prepare", grace=4, stdout=words.fileno())
            try:
                while child.process.poll() is None:
                    self._pause()
            finally:
                child.end()
            if child.process.returncode:
                raise Failed(f"The database could not be prepared. {child.last_words()}")
            words.seek(0)
            return words.read().rstrip()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._is_answering():
            self._pause()
            if time.monotonic() > deadline:
                web = next(child for child in self.children if child.name == "web")
                raise Failed(f"web gives no answer after {PATIENCE} seconds. {web.last_words()}")

    def _is_answering(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/api/v1/health/live")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _pause(self) -> None:
        """Let a moment pass, and look what happened in it."""
        time.sleep(0.05)
        if self.stopping:
            raise Stopped
        for child in self.children:
            status = child.process.poll()
            if status is not None:
                raise Failed(f"{child.name} stopped by itself (exit status {status}). {child.last_words()}")


WEB = ("gunicorn", "clearance.wsgi:application", "--workers=2", "--threads=2", "--graceful-timeout=3")
WORKER = (
    "celery",
    "--app=clearance",
    "worker",
    "--queues=alerts,mail,default",
    "--concurrency=2",
    "--loglevel=INFO",
    # What several workers tell each other; here is one.
    "--without-gossip",
    "--without-mingle",
)
BEAT = (
    "celery",
    "--app=clearance",
    "beat",
    "--scheduler=django_celery_beat.schedulers:DatabaseScheduler",
    "--loglevel=INFO",
    "--pidfile=",
)


def prctl(option: int, value: int) -> None:
    """Ask Linux for something about this process that other systems don't offer."""
    if sys.platform == "linux":
        LIBC.prctl(option, value)


@contextmanager
def collecting_remains() -> Iterator[None]:
    """Take in the servers, whose starters end at once, so that their remains can be cleared away at the end.

    Otherwise process 1 does it, when it finds the time; in many a container it never does.
    """
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        deadline = time.monotonic() + 1  # is only reached if somebody else still uses the servers
        with suppress(ChildProcessError):
            while time.monotonic() < deadline:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.02)


def as_application() -> dict[str, str]:
    """What those who serve know of the database: the application's address, never the owner's."""
    return {"DATABASE_URL": os.environ.get("DATABASE_URL") or embedded.database_url(), "DATABASE_OWNER_URL": ""}


def admin_path() -> str:
    return os.environ.get("ADMIN_PATH", "admin/").strip("/") + "/"


def require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Failed(f"Port {port} is taken. Choose another: PORT={port + 1} make run") from error


@contextmanager
def alone() -> Iterator[None]:
    """Hold the place of the one supervisor: a second beat would send everything twice."""
    embedded.VAR.mkdir(parents=True, exist_ok=True)
    with (embedded.VAR / "run.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failed("Clearance is already running from this folder. Stop it first (Ctrl-C there).") from error
        yield


def main() -> int:
    if (embedded.ROOT / ".env").exists():
        Env.read_env(embedded.ROOT / ".env")
    os.environ.setdefault("DEBUG", "1")
    os.environ.setdefault("DEMO", "1")
    os.environ["PYTHONUNBUFFERED"] = "1"
    port = int(os.environ.get("PORT") or 8000)
    try:
        require_free(port)
        with alone(), collecting_remains():
            Supervisor(port).run()
    except (Failed, embedded.CannotStart) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

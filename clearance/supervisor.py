"""`make run`: the embedded servers, then web, worker and beat, started and ended as one.

Knows nothing of Django, which takes a second to load: what needs Django is a child process.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from clearance import embedded

PYTHON = [sys.executable, "-m"]
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 60  # seconds until web must have answered, or the trail must be sealed
WATCH = 1  # seconds between two looks at the servers
RETURN = 30  # seconds until a server that is gone must be there again


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
        parent = os.getpid()

        def end_with_parent() -> None:
            """Have Linux end the child when the supervisor dies without a word (kill -9)."""
            prctl(PR_SET_PDEATHSIG, orphaned)
            if os.getppid() != parent:
                os._exit(1)

        with embedded.speaking_of_var():
            if self.log.exists():
                self.log.replace(self.log.with_suffix(".log.1"))
            log = self.log.open("w")
        with log:
            self.process = subprocess.Popen(
                [*PYTHON, *command],
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                cwd=embedded.ROOT,
                env={**os.environ, "TMPDIR": str(scratch()), **(environment or {})},
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
        self.is_prepared = False
        self.watched_at = self.served_at = time.monotonic()
        self.children: list[Child] = []  # in the order of their start
        self.pids: set[int] = set()  # of those that we look after ourselves

    def run(self) -> None:
        """Start in order, stay, and end in the opposite order.

        :raises Failed: something did not start, or stopped by itself.
        :raises CannotStart: an embedded server did not start.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        with embedded.servers(), emptied(scratch()), suppress(Stopped):
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
                if self.is_prepared:
                    self._seal()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Only a note: an exception out of a handler could hit between the start of a child and its listing.
        self.stopping = True

    def _start(self, name: str, *command: str, **options: Any) -> None:
        self.children.append(self._child(name, *command, **options))

    def _child(self, name: str, *command: str, **options: Any) -> Child:
        child = Child(name, *command, **options)
        self.pids.add(child.process.pid)
        return child

    def _prepare(self) -> str:
        """Migrate, load the reference data and the demonstration; what the latter has to say is the answer."""
        print("Preparing the database …", flush=True)
        with tempfile.TemporaryFile("w+", dir=scratch()) as words:  # has no name that its passwords could be read under
            child = self._child("prepare", "clearance.prepare", grace=4, stdout=words.fileno())
            try:
                while child.process.poll() is None:
                    self._pause()
            finally:
                child.end()
            if child.process.returncode:
                raise Failed(f"The database could not be prepared. {child.last_words()}")
            self.is_prepared = True
            words.seek(0)
            return words.read().rstrip()

    def _seal(self) -> None:
        """Seal what the trail was told, now that nobody writes any more: nothing of it waits for the next run."""
        child = self._child("seal", *SEAL, grace=1, environment=as_application())
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(PATIENCE)  # takes two seconds where there is nothing else to do
        child.end()
        if child.process.returncode:
            print(f"The trail's last entries are not sealed; the next run seals them. {child.last_words()}", flush=True)

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
        if time.monotonic() - self.watched_at > WATCH:
            self._watch_servers()
            self.watched_at = time.monotonic()

    def _watch_servers(self) -> None:
        """Start a server again that is gone; the others wait for it meanwhile."""
        self._clear_remains_away()
        try:
            for server in embedded.start_missing():
                print(f"{server.title} was gone; it was started again.", flush=True)
        except embedded.CannotStart:
            # PostgreSQL doesn't while anything of the one before is still at work.
            if time.monotonic() - self.served_at > RETURN:
                raise
        else:
            self.served_at = time.monotonic()

    def _clear_remains_away(self) -> None:
        """Take note of servers that ended, whose starters are gone: else their numbers look like running ones."""
        if sys.platform != "linux":
            return  # there process 1 does it
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, look)) and ended.si_pid not in self.pids:
                os.waitpid(ended.si_pid, 0)


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
SEAL = ("django", "seal_audit", "--settings=clearance.settings")


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


def scratch() -> Path:
    """Where the children put what is temporary: nothing of it is left, even by one that was killed."""
    return embedded.VAR / "tmp"


@contextmanager
def emptied(folder: Path) -> Iterator[None]:
    """Have an empty folder of our own for as long as the block lasts."""
    with embedded.speaking_of_var():
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def admin_path() -> str:
    return os.environ.get("ADMIN_PATH", "admin/").strip("/") + "/"


def chosen_port() -> int:
    """The port that PORT names, which is free.

    :raises Failed: it is no port, or this user can't have it.
    """
    given = os.environ.get("PORT") or "8000"
    if not re.fullmatch("[0-9]{1,5}", given) or not 1 <= int(given) <= 65535:
        raise Failed(f"PORT is {given!r}, and must be a number from 1 to 65535: PORT=8080 make run")
    port = int(given)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be had ({error.strerror})"
            other = port + 1 if 1024 <= port < 65535 else 8080
            raise Failed(f"Port {port} {why}. Choose another: PORT={other} make run") from error
    return port


@contextmanager
def alone() -> Iterator[None]:
    """Hold the place of the one supervisor: a second beat would send everything twice."""
    with embedded.speaking_of_var():
        (embedded.VAR / "log").mkdir(parents=True, exist_ok=True)
        lock = (embedded.VAR / "run.lock").open("a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failed("Clearance is already running from this folder. Stop it first (Ctrl-C there).") from error
        yield


def main() -> int:
    os.environ.setdefault("DEBUG", "1")
    os.environ.setdefault("DEMO", "1")
    os.environ["PYTHONUNBUFFERED"] = "1"
    try:
        port = chosen_port()
        with alone(), collecting_remains():
            Supervisor(port).run()
    except (Failed, embedded.CannotStart) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Real Celery workers in processes of their own, on the tests' database, with a Redis of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
from celery import Celery
from django.conf import settings
from django.db import connection

from clearance import embedded
from clearance.tests import processes


def database_url() -> str:
    """The address of the tests' own database, for another process."""
    given = connection.settings_dict
    person = quote(given["USER"]) + (f":{quote(given['PASSWORD'])}" if given["PASSWORD"] else "")
    host = given["OPTIONS"].get("host") or given["HOST"]
    if host.startswith("/"):
        return f"postgresql://{person}@/{given['NAME']}?host={quote(host, safe='/')}"
    return f"postgresql://{person}@{host}:{given['PORT'] or 5432}/{given['NAME']}"


class Redis:
    """A Redis that nobody else uses; it may fail and come back, and forgets everything then."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self.start()

    def start(self) -> None:
        binary = embedded.REDIS.binary()
        command = [binary, "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", self.socket.parent]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        assert processes.eventually(lambda: embedded._answers(self.socket))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)


@contextmanager
def redis() -> Iterator[Redis]:
    """Have a Redis for as long as the block lasts."""
    # Not pytest's tmp_path, which can be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="clearance-redis-") as folder:
        server = Redis(Path(folder))
        try:
            yield server
        finally:
            server.kill()


def sender(redis_url: str) -> Celery:
    """What beat is to the workers: it says “look now”, in the product's own queues."""
    url = embedded.as_broker_url(redis_url)
    app = Celery("sender", broker=url, backend=url, set_as_current=False)
    app.conf.task_queues = settings.CELERY_TASK_QUEUES
    app.conf.task_default_queue = settings.CELERY_TASK_DEFAULT_QUEUE
    app.conf.task_routes = settings.CELERY_TASK_ROUTES
    return app


class Worker:
    """A worker as production runs it, in a process group of its own; it may be killed and started again."""

    def __init__(self, name: str, folder: Path, *, redis_url: str, processes: int = 1, **environment: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.processes = processes
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != "PGOPTIONS"},
            "DATABASE_URL": database_url(),
            "DATABASE_OWNER_URL": "",  # which no worker ever learns
            "REDIS_URL": redis_url,
            "PGAPPNAME": name,
            "DEBUG": "1",
            **environment,
        }
        self.start()

    def start(self) -> None:
        self.begun = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "--app=clearance", "worker", f"--hostname={self.name}@%h"),
                    *("--queues=alerts,mail,default", f"--concurrency={self.processes}", "--loglevel=INFO"),
                    *("--without-gossip", "--without-mingle"),
                ],
                cwd=embedded.ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def words(self) -> str:
        """What it has said since its last start."""
        return self.log.read_bytes()[self.begun :].decode(errors="replace")

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.words()[-3000:]
        return " ready." in self.words()

    def has_done(self) -> list[str]:
        """The tasks that it has completed since its last start, in that order."""
        return re.findall(r"Task ([\w.]+)\[[\w-]+\] succeeded", self.words())

    def children(self) -> list[psutil.Process]:
        """The processes that its tasks run in."""
        return psutil.Process(self.process.pid).children()

    def kill(self) -> None:
        """End it without a word, with its whole group, as a failing machine would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        """Ask it to end, as a deployment does."""
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            if self.process.poll() is None:
                self.kill()

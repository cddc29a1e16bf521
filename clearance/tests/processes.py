"""Looks at real processes: who still runs for a folder of servers."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


@contextmanager
def var_folder(*deeper: str) -> Iterator[Path]:
    """A folder to be `var/`, and at the end no process and no socket of it.

    Not pytest's tmp_path: pytest closes that to other users at its every start, and root's PostgreSQL is another user.
    """
    top = Path(tempfile.mkdtemp(prefix="clearance-test-", dir="/tmp"))
    var = top.joinpath(*deeper, "var")
    var.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield var
    finally:
        for process in of(var):
            process.kill()
        shutil.rmtree(top)


def of(var: Path) -> list[psutil.Process]:
    """The processes that know the folder: from their environment, their command line or as their working directory."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == psutil.Process().pid:
                continue
            known = (*process.environ().values(), *process.cmdline(), process.cwd())
            if any(str(var) in word for word in known):
                found.append(process)
    return found


def named(name: str, var: Path) -> psutil.Process:
    """The oldest process of the folder whose command line holds the name."""
    found = []
    for process in of(var):
        with suppress(psutil.Error):  # it may have ended meanwhile
            if any(name in word for word in process.cmdline()):
                found.append(process)
    return min(found, key=lambda process: process.create_time())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return met

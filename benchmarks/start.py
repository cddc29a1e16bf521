"""Starting: `make run` until its first answer, the first time (nothing to download) and the second; gunicorn alone."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from functools import partial

from benchmarks import scratch, web
from benchmarks.measure import ROOT, SIZE, Check, Figures, Report, finish, in_turns, say

GRACE = 40


def measure() -> Report:
    with tempfile.TemporaryDirectory(prefix="clearance-") as folder:
        own = dict.fromkeys(("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"), "")
        environment = {**os.environ, **own, "VAR_DIR": folder, "DEBUG": "1", "DEMO": "1" if SIZE == 1 else "0"}
        say("the first start")
        first = _make_run(environment)
        with scratch.database():
            found = in_turns(3, {"second start": partial(_make_run, environment), "gunicorn": _gunicorn})
    second, alone = found["second start"]["seconds"], found["gunicorn"]["seconds"]
    return Report(
        "start",
        "Start to the first answer",
        {
            "make run, first time: cluster, migrations, demonstration, s": first["seconds"],
            "make run, second time, s": second,
            "floor: gunicorn with the same application, s": alone,
        },
        [Check("make run, second time", second, 10, unit="s")],
    )


def _make_run(environment: dict[str, str]) -> Figures:
    """Start in a session of its own, wait for the answer, end it as Ctrl-C does."""
    port = web.free_port()
    started = time.perf_counter()
    process = subprocess.Popen(
        ["make", "--silent", "run"],
        cwd=ROOT,
        env={**environment, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        web.await_answer(port, process)
        return {"seconds": time.perf_counter() - started}
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(GRACE)


def _gunicorn() -> Figures:
    started = time.perf_counter()
    with web.serving("clearance.wsgi:application"):
        return {"seconds": time.perf_counter() - started}


if __name__ == "__main__":
    finish(measure())

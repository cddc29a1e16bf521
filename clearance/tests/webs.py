"""Real web processes, like production's, on the tests' database."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

from clearance.embedded import ROOT
from clearance.tests import workers
from clearance.tests.processes import eventually


@contextmanager
def web(
    redis_url: str, *options: str, application: str = "clearance.tests.patient_wsgi", **environment: str
) -> Iterator[int]:
    """Have a web process that limits requests, and waits for Redis however busy the machine is; yield its port."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gunicorn",
                application,
                f"--bind=fd://{listener.fileno()}",
                *("--threads=4", "--graceful-timeout=1"),
                *options,
            ],
            cwd=ROOT,
            env={
                "PATH": os.defpath,
                "DATABASE_URL": workers.database_url(),
                "REDIS_URL": redis_url,
                "RATE_LIMIT_PER_MINUTE": "100",
                "DEBUG": "1",
                "LOG_LEVEL": "ERROR",
                **environment,
            },
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        port: int = listener.getsockname()[1]
        try:
            assert eventually(lambda: _is_live(port), seconds=60)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _is_live(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/api/v1/health/live")
        return connection.getresponse().status == 200

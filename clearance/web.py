"""A web process: reads every request wholly before a thread is taken, and hangs up on who is too slow (decision 0024).

waitress reads, writes and has the threads; gunicorn starts, counts and ends the processes. Knows no page of ours.
"""

from __future__ import annotations

import os
import resource
import time
from typing import Any

from django.conf import settings
from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ThreadedTaskDispatcher

HEALTH = "/api/v1/health"
HEALTH_THREADS = 2
# How long a client may take for each of these, in seconds, however lively it is meanwhile.
PATIENCE = {"head": 20, "body": 120, "answer": 600, "nothing": 75}
MOST_CONNECTIONS = 2000  # of one process
MOST_BYTES_OF_A_HEAD = 64 * 1024
LINGER_SECONDS = 1  # in which an ending process still takes what a kept connection was just about to send


class Client(HTTPChannel):
    """A connection, and since when it has been where it is."""

    began = 0  # how many requests were begun to be answered
    _stage: tuple[str, int] = ("", 0)
    _since = 0.0

    def service(self) -> None:
        self.began += 1
        super().service()

    def is_too_slow(self, now: float) -> bool:
        """Whether it has been at one thing for longer than anybody may; to be asked every second or so."""
        stage = (self._awaited(), self.began)
        if stage != self._stage:
            self._stage, self._since = stage, now
        return now - self._since > PATIENCE.get(stage[0], float("inf"))

    def is_busy(self) -> bool:
        return bool(self.requests or self.total_outbufs_len)

    def _awaited(self) -> str:
        """What we wait for the client to send or to take; empty while it waits for us."""
        if self.total_outbufs_len:
            return "answer"
        if self.requests:
            return ""
        if self.request is not None and self.request.headers_finished:
            return "body"
        return "head" if self.request is not None or not self.began else "nothing"


class Threads(ThreadedTaskDispatcher):
    """The threads that answer; the health has some of its own, so that it answers whatever the others wait for."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.set_thread_count(count)
        self.of_health = ThreadedTaskDispatcher()
        self.of_health.set_thread_count(HEALTH_THREADS)

    def add_task(self, task: Client) -> None:
        path = getattr(task.requests[0], "path", "")  # a head that nobody understands names none
        if path.startswith(HEALTH):
            self.of_health.add_task(task)
        else:
            super().add_task(task)


class WebWorker(Worker):
    """What gunicorn runs in each of its processes."""

    def run(self) -> None:
        """Serve until told to end, then finish what was begun."""
        self.open: dict[int, Any] = {}
        create_server(
            self._counted,
            map=self.open,
            _dispatcher=Threads(self.cfg.threads),
            sockets=[listener.sock for listener in self.sockets],
            threads=self.cfg.threads,
            connection_limit=_most_connections(),
            max_request_header_size=MOST_BYTES_OF_A_HEAD,
            # Up to here the answer is ours, in our envelope; beyond it nobody reads on.
            max_request_body_size=2 * settings.UPLOAD_LIMIT_BYTES,
            recv_bytes=64 * 1024,
            outbuf_high_watermark=256 * 1024**2,  # of an answer that is taken slowly: on the disk, and without a thread
            clear_untrusted_proxy_headers=False,  # TRUSTED_PROXY_COUNT says which count
            ident=None,
        )
        self.servers = [one for one in self.open.values() if isinstance(one, BaseWSGIServer)]
        for server in self.servers:
            server.channel_class = Client
        while self.alive and self.ppid == os.getppid():
            self._serve_for(1)
        self._finish()

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        for server in getattr(self, "servers", ()):
            server.pull_trigger()  # or it would only be noticed within a second

    def _counted(self, environ: Any, start_response: Any) -> Any:
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        return self.wsgi(environ, start_response)

    def _serve_for(self, seconds: float) -> None:
        """Read and write for so long, then tell the master that all is well, and hang up on the slow."""
        end = time.monotonic() + seconds
        while self.alive and (left := end - time.monotonic()) > 0:
            wasyncore.poll2(left, self.open)
        self.notify()
        now = time.monotonic()
        for client in self._clients():
            if client.is_too_slow(now):
                client.will_close = True

    def _finish(self) -> None:
        for server in self.servers:
            server.del_channel()
            server.socket.close()
        now = time.monotonic()
        at_least, at_most = now + LINGER_SECONDS, now + self.cfg.graceful_timeout
        while (now := time.monotonic()) < at_most:
            if now > at_least and not any(client.is_busy() for client in self._clients()):
                break
            self.notify()
            wasyncore.poll2(0.05, self.open)

    def _clients(self) -> list[Client]:
        return [one for one in self.open.values() if isinstance(one, Client)]


def _most_connections() -> int:
    """As many as this process may open files for: a client and, if much of it waits on the disk, two more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = 4 * MOST_CONNECTIONS if most == resource.RLIM_INFINITY else min(most, 4 * MOST_CONNECTIONS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return files // 4

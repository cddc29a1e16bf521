"""Starts parts of benchmarks: `python -m benchmarks.parts <descriptor of a listening socket> [django]`.

Every connection is one part: a line with its module, its function and its arguments, answered by its figures and its
peak memory. It runs in a process of its own, forked from this one, so that Django is loaded once.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import socket
import sys
from importlib import import_module
from socketserver import ForkingMixIn, StreamRequestHandler, UnixStreamServer
from typing import Any


class Part(StreamRequestHandler):
    """One part. What goes wrong in it is told on stderr; the connection then ends without an answer."""

    def handle(self) -> None:
        module, function, *arguments = json.loads(self.rfile.readline())
        figures = getattr(import_module(f"benchmarks.parts.{module}"), function)(*arguments)
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.wfile.write(json.dumps({**(figures or {}), "peak_mb": peak_kb / 1024}).encode())


class Starter(ForkingMixIn, UnixStreamServer):
    """Goes on for as long as the process that started it."""

    def __init__(self, descriptor: int) -> None:
        super().__init__("", Part, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=descriptor)
        self.parent = os.getppid()

    def service_actions(self) -> None:
        super().service_actions()
        if os.getppid() != self.parent:
            sys.exit()

    def handle_error(self, request: Any, client_address: Any) -> None:
        sys.excepthook(*sys.exc_info())


def main(descriptor: str, *loaded: str) -> None:
    server = Starter(int(descriptor))
    if loaded:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clearance.settings")
        import_module("django").setup()
        gc.freeze()  # else a part's first collection would copy what it shares
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

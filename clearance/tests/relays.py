"""Stands before PostgreSQL: for whoever comes through it, the server may go away, be silent, and come back."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from django.db import connection


class Relay:
    """A socket like the server's own; what comes in goes on to the tests' server."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / ".s.PGSQL.5432"
        given = connection.settings_dict
        self.url = f"postgresql://{quote(given['USER'])}@/{given['NAME']}?host={quote(str(folder), safe='/')}"
        self.speaks = threading.Event()
        self.speaks.set()
        self.open: set[socket.socket] = set()
        self.up()

    def up(self) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket))
        self.listener.listen(200)
        threading.Thread(target=self._listen, args=(self.listener,), daemon=True).start()

    def down(self) -> None:
        """Refuse everybody, and hang up on those who are there: what a killed server does."""
        self.socket.unlink()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Break the connections: what remains of them when a server was started again."""
        for one in list(self.open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _listen(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = _server()
                threading.Thread(target=self._carry_both, args=(client, server), daemon=True).start()

    def _carry_both(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            self.open |= {client, server}
            back = threading.Thread(target=self._carry, args=(server, client), daemon=True)
            back.start()
            self._carry(client, server)
            back.join()
            self.open -= {client, server}

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                self.speaks.wait()
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _server() -> socket.socket:
    given = connection.settings_dict
    host = given["OPTIONS"].get("host") or given["HOST"]
    if not host.startswith("/"):
        return socket.create_connection((host, int(given["PORT"] or 5432)))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{host}/.s.PGSQL.{given['PORT'] or 5432}")
    return server


@contextmanager
def relay() -> Iterator[Relay]:
    """Have a relay for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="clearance-relay-"))  # not tmp_path, which can be too long for a socket
    made = Relay(folder)
    try:
        yield made
    finally:
        made.speaks.set()
        with suppress(FileNotFoundError):
            made.down()
        shutil.rmtree(folder)

"""A client that costs the server's cores little: raw sockets that stay open, one request at a time on each."""

from __future__ import annotations

import re
import selectors
import socket
import time

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class Refused(Exception):
    """An answer other than 200."""


class Connection:
    """One open connection, with the answer that it waits for."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = request

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        self.head, self.left = b"", -1
        self.socket.sendall(self.request)

    def receive(self) -> bool:
        """Take in what is there; whether that completes the answer.

        :raises Refused: its status isn't 200, or the server closed the connection.
        """
        chunk = self.socket.recv(1 << 18)
        if not chunk:
            raise Refused("The server closed the connection.")
        if self.left >= 0:
            self.left -= len(chunk)
            return not self.left
        self.head += chunk
        head, end, body = self.head.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if end and (not head.startswith(b"HTTP/1.1 200") or length is None):
            raise Refused(self.head[:2_000].decode())
        if length is not None and end:
            self.left = int(length[1]) - len(body)
        return not self.left


def request(path: str, token: str) -> bytes:
    """A GET as the front server would pass it on."""
    lines = (
        "Host: 127.0.0.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-For: 192.0.2.1",
        f"Authorization: Bearer {token}",
    )
    return "\r\n".join((f"GET {path} HTTP/1.1", *lines, "", "")).encode()


def run(port: str, path: str, token: str, connections: str, seconds: str) -> dict[str, float]:
    """Keep so many connections busy for so many seconds, after a fifth of that to warm up."""
    busy = selectors.DefaultSelector()
    for _ in range(int(connections)):
        connection = Connection(int(port), request(path, token))
        busy.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
    waits: list[float] = []
    start = time.perf_counter() + float(seconds) / 5
    while (now := time.perf_counter()) < start + float(seconds):
        for key, _ in busy.select(timeout=10):
            connection = key.data
            if connection.receive():
                now = time.perf_counter()
                if now > start:
                    waits.append(now - connection.sent_at)
                connection.send()
    waits.sort()
    return {
        "requests_per_second": len(waits) / (now - start),
        "p50_ms": waits[len(waits) // 2] * 1000,
        "p99_ms": waits[len(waits) * 99 // 100] * 1000,
    }

"""Normal clients at a steady pace, beside others that send a byte a second."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress

from benchmarks.parts.load import Connection, request

PACE = 30  # requests a second in all: what two cores manage without queueing
CLIENTS = 3
PATIENCE = 5  # seconds that stand for an answer which does not come
HEAD = b"GET /api/v1/users/me HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Padding: "
BODY = (
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n"
    b"Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
)


def run(port: str, path: str, token: str, slow: str, seconds: str) -> dict[str, float]:
    """So many slow clients, half within a head and half within a body, who come again when they are hung up on."""
    is_over = threading.Event()
    slowly = threading.Thread(target=_send_slowly, args=(int(port), int(slow), is_over))
    slowly.start()
    time.sleep(1)
    waits: list[float] = []
    end = time.perf_counter() + float(seconds)
    normal = [threading.Thread(target=_ask, args=(int(port), request(path, token), end, waits)) for _ in range(CLIENTS)]
    for thread in normal:
        thread.start()
    for thread in normal:
        thread.join()
    is_over.set()
    slowly.join()
    waits.sort()
    return {"p50_ms": waits[len(waits) // 2] * 1000, "p95_ms": waits[len(waits) * 95 // 100] * 1000}


def _ask(port: int, asked: bytes, end: float, waits: list[float]) -> None:
    connection: Connection | None = None
    while (now := time.perf_counter()) < end:
        try:
            connection = connection or Connection(port, asked)
            connection.socket.settimeout(PATIENCE)
            connection.send()
            while not connection.receive():
                pass
            waits.append(time.perf_counter() - now)
        except OSError:
            waits.append(PATIENCE)
            connection = None
        time.sleep(max(now + CLIENTS / PACE - time.perf_counter(), 0))


def _send_slowly(port: int, number: int, is_over: threading.Event) -> None:
    clients = [_slow(port, place) for place in range(number)]
    while clients and not is_over.wait(1):
        for place, client in enumerate(clients):
            try:
                client.send(b" ")
                is_hung_up_on = _is_closed(client)
            except OSError:
                is_hung_up_on = True
            if is_hung_up_on:
                client.close()
                with suppress(OSError):
                    clients[place] = _slow(port, place)
    for client in clients:
        client.close()


def _slow(port: int, place: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(BODY if place % 2 else HEAD)
    return client


def _is_closed(client: socket.socket) -> bool:
    with selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ)
        return bool(ready.select(0))

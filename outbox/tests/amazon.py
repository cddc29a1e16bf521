"""Amazon on loopback: moto's server in a process of its own, behind a gate that sees, holds and refuses what passes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import boto3

from clearance.tests import processes
from outbox.tests.post_office import free_port

REGION = "eu-central-1"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@dataclass(frozen=True, slots=True)
class Taken:
    """What Amazon took: a mail for some addresses, or a text for a number."""

    to: tuple[str, ...]
    text: str
    mail: EmailMessage | None = None


@dataclass(slots=True)
class Amazon:
    """The gate: `taken` is what came through and was accepted. `answer`, while it is set, is said instead of moto's.

    While `is_open` is not set, the answers wait: moto has done its work, and nobody knows.
    """

    port: int
    moto_port: int
    taken: list[Taken] = field(default_factory=list)
    asked: deque[str] = field(default_factory=deque)
    answer: tuple[int, dict[str, str], bytes] | None = None
    is_open: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def refuses(self, status: int, code: str, message: str = "") -> None:
        """Answer like Amazon's own error, whose names moto does not know all: SES speaks JSON, SNS XML."""
        self.answer = (status, {"code": code, "message": message}, b"")

    def verify(self, address: str) -> None:
        """Have Amazon know an address as ours."""
        client = boto3.client(
            "sesv2",
            region_name=REGION,
            endpoint_url=f"http://127.0.0.1:{self.moto_port}",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        client.create_email_identity(EmailIdentity=address)

    # What the gate does with a request.
    def pass_on(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        if self.answer is not None:
            status, told, _ = self.answer
            return status, *_refusal(told["code"], told["message"], is_json=path.startswith("/v2"))
        upstream = HTTPConnection("127.0.0.1", self.moto_port, timeout=20)
        upstream.request(method, path, body, headers)
        found = upstream.getresponse()
        content = found.read()
        upstream.close()
        if found.status == 200:
            self.taken.append(_taken(path, body))
        return found.status, dict(found.getheaders()), content


def _taken(path: str, body: bytes) -> Taken:
    if path.startswith("/v2"):
        given = json.loads(body)
        mail = message_from_bytes(base64.b64decode(given["Content"]["Raw"]["Data"]), policy=policy.default)
        to = tuple(address for addresses in given["Destination"].values() for address in addresses)
        part = mail.get_body(("plain",))  # type: ignore[attr-defined]
        return Taken(to, str(part.get_content()).replace("\r\n", "\n"), mail)  # type: ignore[arg-type]
    given = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    return Taken((given["PhoneNumber"],), given["Message"])


def _refusal(code: str, message: str, *, is_json: bool) -> tuple[dict[str, str], bytes]:
    if is_json:
        body = json.dumps({"message": message}).encode()
        return {"Content-Type": "application/json", "x-amzn-ErrorType": code}, body
    xml = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return {"Content-Type": "text/xml"}, xml.encode()


@contextmanager
def opened(port: int = 0) -> Iterator[Amazon]:
    """Have Amazon running on loopback."""
    amazon = Amazon(port or free_port(), free_port())
    amazon.is_open.set()
    with _moto(amazon.moto_port), _gate(amazon):
        yield amazon


@contextmanager
def _moto(port: int) -> Iterator[None]:
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    environment = {"PATH": os.defpath, "MOTO_ALLOW_NONEXISTENT_REGION": "true"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            assert processes.eventually(lambda: _answers(port), seconds=60)
            yield
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with suppress(OSError):
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/moto-api/")
        return connection.getresponse().status < 500
    return False


@contextmanager
def _gate(amazon: Amazon) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = amazon.pass_on("POST", self.path, dict(self.headers), body)
            while not amazon.is_open.is_set():
                time.sleep(0.01)
            with suppress(OSError):  # whoever asked may be dead by now
                self.send_response(status)
                self.send_header("Content-Type", headers.get("Content-Type", "application/json"))
                if error := headers.get("x-amzn-ErrorType") or headers.get("x-amzn-errortype"):
                    self.send_header("x-amzn-ErrorType", error)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_words: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", amazon.port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        amazon.is_open.set()
        server.shutdown()
        server.server_close()
        thread.join(5)

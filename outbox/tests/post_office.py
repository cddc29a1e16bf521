"""A real SMTP server on loopback that does as it is told: takes mail, refuses, hangs, hangs up."""

# ruff: noqa: N802 - the handlers have the names that aiosmtpd calls them by

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd tells every line of every dialogue

HANG = "hang"
HANG_UP = "hang up"
ACCEPT_AND_HANG_UP = "accept and hang up"

Answer = str | Callable[[str], str | None] | None


@dataclass(frozen=True, slots=True)
class Received:
    """A mail that the server took: for whom, and what."""

    recipients: tuple[str, ...]
    mail: EmailMessage
    at: float

    @property
    def message_id(self) -> str:
        return str(self.mail["Message-ID"])

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    def _body(self, kind: str) -> str:
        part = self.mail.get_body((kind,))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")


@dataclass(slots=True)
class PostOffice:
    """What the server has taken (`received`), and what it answers at each stage: `mail`, `rcpt` or `data`.

    An answer is a line of SMTP, HANG, HANG_UP, ACCEPT_AND_HANG_UP (`data` only), or a function of the recipient;
    None takes what comes. `pause` is what each mail takes, in seconds. `gate`, while it is shut, holds the answer at
    the stage `gate_at`. `stages` tells what was asked so far; at `content` the server has a mail, at `data` it says so.
    """

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    pause: float = 0
    most_per_connection: int | None = None
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    stages: deque[str] = field(default_factory=deque)
    on_stage: Callable[[str, Session], None] | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    gate_at: str = "content"

    def __post_init__(self) -> None:
        self.gate.set()

    # aiosmtpd calls these.
    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        session.mails_taken = 0
        self.connections += 1
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer("mail", server, session, address)
        if answer is None and self.most_per_connection is not None and session.mails_taken >= self.most_per_connection:
            answer = "421 4.7.0 Too many messages on this connection"
        if answer is None:
            envelope.mail_from = address
        return answer or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer("rcpt", server, session, address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self._told("data", envelope.rcpt_tos[0])
        if answer in (None, ACCEPT_AND_HANG_UP):
            mail = message_from_bytes(envelope.content, policy=policy.default)  # type: ignore[arg-type]
            self.received.append(Received(tuple(envelope.rcpt_tos), mail, time.time()))  # type: ignore[arg-type]
            session.mails_taken += 1
        await self._reach("content", session)
        await asyncio.sleep(self.pause)
        return await self._answer("data", server, session, envelope.rcpt_tos[0]) or "250 OK"

    async def _answer(self, stage: str, server: SMTP, session: Session, about: str) -> str | None:
        await self._reach(stage, session)
        answer = self._told(stage, about)
        if answer == HANG:
            await asyncio.sleep(3600)
        if answer in (HANG_UP, ACCEPT_AND_HANG_UP):
            server.transport.abort()
            return "250 nobody hears this"
        return answer

    async def _reach(self, stage: str, session: Session) -> None:
        self.stages.append(stage)
        if self.on_stage is not None:
            self.on_stage(stage, session)
        while stage == self.gate_at and not self.gate.is_set():
            await asyncio.sleep(0.01)

    def _told(self, stage: str, about: str) -> str | None:
        answer = self.answers.get(stage)
        return answer(about) if callable(answer) else answer

    # What tests ask.
    def ids(self) -> list[str]:
        return [received.message_id for received in self.received]

    def addresses(self) -> list[str]:
        return [received.recipients[0] for received in self.received]


@contextmanager
def opened(port: int = 0, **given: Any) -> Iterator[PostOffice]:
    """Have the server running on loopback."""
    office = PostOffice(port=port or free_port(), **given)
    controller = Controller(office, hostname="127.0.0.1", port=office.port, ready_timeout=10)
    controller.start()
    try:
        yield office
    finally:
        office.gate.set()
        controller.stop()


@contextmanager
def greeting(with_words: bytes | None) -> Iterator[int]:
    """A server that says only this to whoever connects, and nothing more; None: not a word. Yield its port."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    held.append(client)
                    if with_words is not None:
                        client.sendall(with_words)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for client in held:
                client.close()
            thread.join(5)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

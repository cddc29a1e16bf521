"""Whether the process serves, and whether its servers and what runs by itself are well.

Each answer comes within 100 ms, whatever the servers do; and however often it is asked for, the servers are asked once
a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextlib import contextmanager
from datetime import datetime
from functools import cache, partial
from threading import Lock
from typing import ClassVar

import redis
from django.conf import settings
from django.db import Error, connection, transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import selectors as alerts
from audit import selectors as audit
from clearance import __version__
from outbox.choices import Channel
from outbox.models import Carrier, Message

STATUSES = ["ok", "degraded", "down"]
PATIENCE_SECONDS = 0.07
KEPT_SECONDS = 1
_STARTED = time.monotonic()


# Questions -----------------------------------------------------------------------------------------------------------
Answers = Mapping[str, bool]


class Question:
    """Something that is asked in a thread of its own, once for all who ask it within a second.

    One that hangs isn't asked again: until it returns, the answer is no.
    """

    def __init__(self, ask: Callable[[], Answers]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._asked: Future[Answers] | None = None
        self._asked_at = 0.0

    def ask(self) -> None:
        with self._lock:
            now = time.monotonic()
            if self._asked is None or (self._asked.done() and now - self._asked_at >= KEPT_SECONDS):
                self._asked, self._asked_at = _threads().submit(self._ask), now

    def answers(self) -> Answers:
        """What came of it within the patience that it was asked with; nothing if it failed."""
        if self._asked is None:
            return {}
        left = self._asked_at + PATIENCE_SECONDS - time.monotonic()
        try:
            return {} if self._asked.exception(timeout=max(left, 0)) else self._asked.result()
        except Late:
            return {}

    def forget(self) -> None:
        self._asked = None


def _ask_database() -> Answers:
    with _connected(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {"database": True}


def _ask_redis() -> Answers:
    return {"redis": bool(_redis().ping())}


def _ask_state() -> Answers:
    at = timezone.now()
    with _connected():
        return {word: _is_so(is_well, at) for word, is_well in _WORDS.items()}


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=0.05)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=len(QUESTIONS), thread_name_prefix="health")


@contextmanager
def _connected() -> Iterator[None]:
    """Give the thread's connection back at the end."""
    try:
        yield
    finally:
        connection.close()


QUESTIONS = {"database": Question(_ask_database), "redis": Question(_ask_redis), "state": Question(_ask_state)}


# What the database knows of the rest ---------------------------------------------------------------------------------
def _takes_writes(_at: datetime) -> bool:
    """Whether it may write, and has room on its disk: what is reckoned here goes there for a moment."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64kB'")
        cursor.execute("SELECT current_setting('transaction_read_only'), count(*) FROM generate_series(1, 20000)")
        is_read_only, _ = cursor.fetchone()
    return bool(is_read_only == "off")


def _sweeps(at: datetime) -> bool:
    return alerts.sweep_is_healthy(at=at)


def _seals(at: datetime) -> bool:
    return not audit.sealing_stands_still(at=at)


def _carries(channel: Channel, at: datetime) -> bool:
    return not Carrier.objects.down(channel).exists() and not Message.objects.stuck(channel, at=at).exists()


_WORDS: dict[str, Callable[[datetime], bool]] = {
    "writing": _takes_writes,
    "sealing": _seals,
    "sweep": _sweeps,
    "mail": partial(_carries, Channel.MAIL),
    "sms": partial(_carries, Channel.SMS),
}


def _is_so(is_well: Callable[[datetime], bool], at: datetime) -> bool:
    try:
        return is_well(at)
    except Error:
        return False


def answering(*servers: str) -> dict[str, bool]:
    """Which of the servers (`database`, `redis`) answer in time; all are asked at once."""
    return _answers(servers, servers)


def _answers(questions: Iterable[str], words: Iterable[str]) -> dict[str, bool]:
    asked = [QUESTIONS[name] for name in questions]
    for question in asked:
        question.ask()
    told = {word: is_well for question in asked for word, is_well in question.answers().items()}
    return {word: told.get(word, False) for word in words}


# The API -------------------------------------------------------------------------------------------------------------
class HealthSerializer(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES)
    version = serializers.CharField(required=False)
    uptime_seconds = serializers.IntegerField(required=False)
    database = serializers.BooleanField(required=False)
    redis = serializers.BooleanField(required=False)
    writing = serializers.BooleanField(required=False, help_text="The database may write, and its disk isn't full.")
    sealing = serializers.BooleanField(
        required=False, help_text="No entry of the trail has waited for a seal for more than five minutes."
    )
    sweep = serializers.BooleanField(required=False, help_text="It came to its end within the last 26 hours.")
    mail = serializers.BooleanField(
        required=False,
        help_text="The mail server isn't known not to work, and no mail is more than a quarter of an hour late.",
    )
    sms = serializers.BooleanField(required=False, help_text="The same of the provider of text messages.")


@extend_schema(responses=HealthSerializer, auth=[], tags=["health"])
class _Open(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)


class Live(_Open):
    """The process serves; no server is asked."""

    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


@extend_schema(responses={200: HealthSerializer, 503: HealthSerializer})
class _Servers(_Open):
    servers: ClassVar[tuple[str, ...]]

    def get(self, request: Request) -> Response:
        found = answering(*self.servers)
        is_up = all(found.values())
        return Response({"status": "ok" if is_up else "down", **found}, 200 if is_up else 503)


class Ready(_Servers):
    """Database and Redis answer: 200, else 503."""

    servers = ("database", "redis")


class Database(_Servers):
    """The database answers: 200, else 503."""

    servers = ("database",)


class Redis(_Servers):
    """Redis answers: 200, else 503."""

    servers = ("redis",)


class Health(_Open):
    """How the process is: always 200 while it serves; `degraded` says what doesn't work."""

    def get(self, request: Request) -> Response:
        found = _answers(QUESTIONS, ("database", "redis", *_WORDS))
        return Response(
            {
                "status": "ok" if all(found.values()) else "degraded",
                "version": __version__,
                "uptime_seconds": int(time.monotonic() - _STARTED),
                **found,
            }
        )

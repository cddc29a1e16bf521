"""Whether the process serves, and whether its servers answer; each answer within 100 ms, whatever the servers do."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from functools import cache, partial
from typing import ClassVar

import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import selectors as alerts
from clearance import __version__
from outbox.choices import Channel
from outbox.models import Carrier

STATUSES = ["ok", "degraded", "down"]
PATIENCE_SECONDS = 0.07
_STARTED = time.monotonic()
_waiting: dict[str, Future[None]] = {}


class CarrierIsDown(Exception):
    """What carries a channel's messages is known not to work."""


class SweepIsLate(Exception):
    """No sweep came to its end for longer than it may take."""


def _ask_database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=0.05)


def _ask_sweep() -> None:
    try:
        if not alerts.sweep_is_healthy(at=timezone.now()):
            raise SweepIsLate
    finally:
        connection.close()


def _ask_carrier(channel: Channel) -> None:
    try:
        if Carrier.objects.down(channel).exists():
            raise CarrierIsDown
    finally:
        connection.close()


def _ask_redis() -> None:
    _redis().ping()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=5, thread_name_prefix="health")


_QUESTIONS: dict[str, Callable[[], None]] = {
    "database": _ask_database,
    "redis": _ask_redis,
    "sweep": _ask_sweep,
    "mail": partial(_ask_carrier, Channel.MAIL),
    "sms": partial(_ask_carrier, Channel.SMS),
}


def answering(*servers: str) -> dict[str, bool]:
    """Which of the servers (`database`, `redis`) answer in time, whether the `sweep` runs, and whether `mail` and `sms`
    go out; all are asked at once.

    A question that hangs is asked once: until it returns, the answer is no.
    """
    asked = {server: _ask(server) for server in servers}
    deadline = time.monotonic() + PATIENCE_SECONDS
    return {server: _is_answered(question, deadline) for server, question in asked.items()}


def _ask(server: str) -> Future[None] | None:
    hanging = _waiting.get(server)
    if hanging is not None and not hanging.done():
        return None
    _waiting[server] = _threads().submit(_QUESTIONS[server])
    return _waiting[server]


def _is_answered(question: Future[None] | None, deadline: float) -> bool:
    if question is None:
        return False
    try:
        return question.exception(timeout=max(deadline - time.monotonic(), 0)) is None
    except Late:
        return False


class HealthSerializer(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES)
    version = serializers.CharField(required=False)
    uptime_seconds = serializers.IntegerField(required=False)
    database = serializers.BooleanField(required=False)
    redis = serializers.BooleanField(required=False)
    sweep = serializers.BooleanField(required=False, help_text="It came to its end within the last 26 hours.")
    mail = serializers.BooleanField(required=False, help_text="False while the mail server is known not to work.")
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
        found = answering(*_QUESTIONS)
        return Response(
            {
                "status": "ok" if all(found.values()) else "degraded",
                "version": __version__,
                "uptime_seconds": int(time.monotonic() - _STARTED),
                **found,
            }
        )

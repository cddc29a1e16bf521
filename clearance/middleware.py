"""What happens around every request: its context and id, one access-log line, slashes at the API, personal settings."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from clearance import context

access_log = logging.getLogger("clearance.access")

GetResponse = Callable[[HttpRequest], HttpResponse]
_SENSIBLE_REQUEST_ID = re.compile(r"[\w.-]{8,64}", re.ASCII)


class RequestContext:
    """Open the context of a request, give its id back as X-Request-ID, and log the request."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        channel = "api" if request.path_info.startswith("/api/") else "admin"
        started = time.perf_counter()
        with context.acting(
            channel=channel,
            request_id=given if _SENSIBLE_REQUEST_ID.fullmatch(given) else "",
            ip_address=client_address(request),
        ) as opened:
            response = self.get_response(request)
            response["X-Request-ID"] = opened.request_id
            access_log.info(
                "%s %s",
                request.method,
                request.path,
                extra={
                    "status": response.status_code,
                    "duration_ms": round((time.perf_counter() - started) * 1000, 1),
                    "user_id": context.current().user_id,
                },
            )
        return response


class ApiPaths:
    """Make the trailing slash optional everywhere at the API."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/"):
            request.path_info = request.path_info.rstrip("/")
        return self.get_response(request)


class PersonalSettings:
    """Show pages in the signed-in person's language and time zone; note in the context who acts."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/") or not request.user.is_authenticated:
            return self.get_response(request)
        context.signed_in(request.user.pk)
        request.LANGUAGE_CODE = request.user.language
        try:
            zone = ZoneInfo(request.user.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            zone = ZoneInfo(settings.TIME_ZONE)
        with translation.override(request.user.language), timezone.override(zone):
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", request.user.language)
            return response


def client_address(request: HttpRequest) -> str | None:
    """Return the client's address: X-Forwarded-For counts only what our own proxies wrote, from the right (C26)."""
    hops = settings.TRUSTED_PROXY_COUNT
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    address = forwarded[-hops] if hops and len(forwarded) >= hops else request.META.get("REMOTE_ADDR", "")
    try:
        return str(ip_address(address))
    except ValueError:  # a unix socket has none, and not every proxy writes one
        return None


class LogLine(logging.Formatter):
    """One JSON object a line, with the request's id; nothing of its body, headers or query."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": context.current().request_id,
        }
        for name in ("status", "duration_ms", "user_id"):
            if (value := getattr(record, name, None)) is not None:
                line[name] = value
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()

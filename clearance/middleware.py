"""What happens around every request: context, id, access-log line; what browsers may do; slashes of the API."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from clearance import context, telemetry

access_log = logging.getLogger("clearance.access")

GetResponse = Callable[[HttpRequest], HttpResponse]
_SENSIBLE_REQUEST_ID = re.compile(r"[\w.-]{8,64}", re.ASCII)
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](:\d+)?|(?P<v4>[\d.]+):\d+", re.ASCII)  # as some proxies write it


class RequestContext:
    """Open the context of a request, give its id back as X-Request-ID, log and count the request.

    The id is ours, so that nobody chooses under which one the trail keeps what they do; the caller's is logged with it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        channel = "api" if request.path_info.startswith("/api/") else "admin"
        started = time.perf_counter()
        with context.acting(
            channel=channel,
            client_request_id=given if _SENSIBLE_REQUEST_ID.fullmatch(given) else "",
            ip_address=client_address(request),
        ) as opened:
            response = self.get_response(request)
            response["X-Request-ID"] = opened.request_id
            seconds = time.perf_counter() - started
            facts = {"status": response.status_code, "duration_ms": round(seconds * 1000, 1)}
            access_log.info("%s %s", request.method, request.path, extra=facts)
            telemetry.note_request(request, status=response.status_code, seconds=seconds)
        return response


class PermissionsPolicy:
    """Have browsers keep from our pages, and from whatever gets into them, what none of them needs (I15)."""

    unwanted = ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.policy = ", ".join(f"{feature}=()" for feature in self.unwanted)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["Permissions-Policy"] = self.policy
        return response


class ApiPaths:
    """Make the trailing slash optional everywhere at the API, and keep its answers out of every cache."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/api/"):
            return self.get_response(request)
        request.path_info = request.path_info.rstrip("/")
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def client_address(request: HttpRequest) -> str | None:
    """Return the client's address: X-Forwarded-For counts only what our own proxies wrote, from the right (C26)."""
    hops = settings.TRUSTED_PROXY_COUNT
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    address = forwarded[-hops] if hops and len(forwarded) >= hops else request.META.get("REMOTE_ADDR", "")
    if with_port := _WITH_PORT.fullmatch(address):
        address = with_port["v6"] or with_port["v4"]
    try:
        found = ip_address(address.partition("%")[0])  # without the zone, which means something on that host only
    except ValueError:  # a unix socket has none, and not every proxy writes one
        return None
    return str(getattr(found, "ipv4_mapped", None) or found)

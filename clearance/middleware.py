"""What happens around every request: context, id, access-log line; slashes and limit of the API; personal settings."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts import services as accounts
from accounts.errors import ApiKeyRefused, ProviderUnavailable, TokenRefused
from clearance import context, limits, telemetry
from clearance.admin import sign_in
from clearance.api import authentication, refusals

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


class RateLimit:
    """Let each caller of the API make so many requests a minute, say how many are left, and refuse the rest (C35).

    Strangers at the back office too, where what they do costs or leaves something; counted apart from the API.

    Here rather than in a throttle of DRF, which counts only who has passed its authentication and permissions: whoever
    guesses passwords or tokens counts too. Probes of the health aren't counted, or they would find us ill.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        is_api = path.startswith("/api/")
        if path.startswith("/api/v1/health") or not (is_api or _tries_the_door(request)):
            return self.get_response(request)
        allowance = limits.count(_caller(request) if is_api else f"{_stranger()} at the door")
        if allowance is None:
            return self.get_response(request)
        if allowance.is_exceeded:
            sentence = _("The limit is {limit} requests a minute. Go on in {seconds} seconds.")
            told = sentence.format(limit=allowance.limit, seconds=allowance.reset_seconds)
            response = refusals.answer_outside_views(429, told) if is_api else sign_in.too_many(request, told)
            response["Retry-After"] = str(allowance.reset_seconds)
        else:
            response = self.get_response(request)
        response["RateLimit-Limit"] = str(allowance.limit)
        response["RateLimit-Remaining"] = str(allowance.remaining)
        response["RateLimit-Reset"] = str(allowance.reset_seconds)
        return response


class PersonalSettings:
    """Show pages in the signed-in person's language and time zone; note in the context who acts."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/") or not request.user.is_authenticated:
            return self.get_response(request)
        accounts.note_actor(request.user)
        sign_in.note_use(request)
        language = request.LANGUAGE_CODE = request.user.language  # whoever signs out is nobody afterwards
        try:
            zone = ZoneInfo(request.user.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            zone = ZoneInfo(settings.TIME_ZONE)
        with translation.override(language), timezone.override(zone):
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", language)
            return response


def _tries_the_door(request: HttpRequest) -> bool:
    """Whether a stranger sends the back office a form, or begins or ends a sign-in at the provider."""
    door = f"/{settings.ADMIN_PATH}"
    is_deed = request.method == "POST" or request.path_info.startswith(f"{door}login/provider/")
    return is_deed and request.path_info.startswith(door) and not request.user.is_authenticated


def _caller(request: HttpRequest) -> str:
    """Who makes a request, as far as that can be told before the view: else a stranger, known by the address."""
    try:
        if claims := authentication.claims_of(request):
            return claims.caller
        if found := authentication.key_of(request):
            return f"user:{found[0].pk}"
    except (TokenRefused, ProviderUnavailable, ApiKeyRefused):
        return _stranger()
    except (OperationalError, InterfaceError):  # the key can't be looked up; the view will say so
        return _stranger()
    try:
        return f"user:{request.user.pk}" if request.user.is_authenticated else _stranger()
    except (OperationalError, InterfaceError):  # the session can't be read; the view will say so
        return _stranger()


def _stranger() -> str:
    address = context.current().ip_address
    if address is None:
        return "address:unknown"
    # A network of IPv6 gives each of its machines billions of addresses: it counts as one.
    return f"address:{ip_network(f'{address}/64', strict=False) if ':' in address else address}"


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

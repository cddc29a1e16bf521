"""Around every request: how many of them a caller may make, and whose language and time zone its pages are in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_network
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts import services as accounts
from accounts.doors import authentication
from accounts.errors import ApiKeyRefused, ProviderUnavailable, TokenRefused
from clearance import context, limits
from clearance.admin.pages import page_context
from clearance.api import refusals

_NOTED_EVERY = timedelta(minutes=5)

GetResponse = Callable[[HttpRequest], HttpResponse]


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
            response = refusals.answer_outside_views(429, told) if is_api else _too_many(request, told)
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
        _note_use(request)
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


def _too_many(request: HttpRequest, told: str) -> HttpResponse:
    """Tell a stranger that it is enough for now."""
    page = page_context(request, _("Signing in did not work"), told=told)
    return render(request, "admin/too_many.html", page, status=429)


def _note_use(request: HttpRequest) -> None:
    """Note in a session every five minutes that it is used; others stay as they are, and aren't written."""
    opened, at = request.session.get("opened"), timezone.now()
    if opened and datetime.fromisoformat(opened["seen_at"]) <= at - _NOTED_EVERY:
        request.session["opened"] = {**opened, "seen_at": at.isoformat()}

"""Signing in to the back office through an OpenID provider (I8): there, and back with a code (decision 0020).

The library keeps state, nonce and PKCE's verifier, and trades the code; the endpoints are the discovery document's, the
tokens are checked by `accounts.provider`, and who somebody is here is for the desk to say.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.generic import View
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from accounts import provider
from accounts import services as accounts
from accounts.doors.authentication import PROVED_ELSEWHERE
from accounts.errors import IdentityNotProved, ProviderUnavailable, RefusedByProvider, SignInNotBegun
from accounts.models import BrowserSession, User
from accounts.pages import sign_in
from clearance import calls
from clearance.admin.pages import page_context
from clearance.errors import DomainError, Unavailable

log = logging.getLogger("clearance.sign_in")

_STATES = "oidc_states"  # where the library keeps what it began
_WITHIN = timedelta(minutes=10)
_SETTINGS = {
    "OIDC_RP_SIGN_ALGO": "RS256",
    "OIDC_RP_SCOPES": "openid email profile",
    "OIDC_USE_PKCE": True,
    "OIDC_USE_NONCE": True,
    "OIDC_AUTHENTICATION_CALLBACK_URL": "admin:provider_callback",
}
_ENDPOINTS = {
    "OIDC_OP_AUTHORIZATION_ENDPOINT": "authorization_endpoint",
    "OIDC_OP_TOKEN_ENDPOINT": "token_endpoint",
    "OIDC_OP_USER_ENDPOINT": "userinfo_endpoint",
    "OIDC_OP_JWKS_ENDPOINT": "jwks_uri",
}


class _OurSettings:
    """What the library would read from settings of its own, whose defaults are not safe."""

    @staticmethod
    def get_settings(attr: str, *default: Any) -> Any:
        if attr in _ENDPOINTS:
            return provider.endpoint(_ENDPOINTS[attr], at=timezone.now())
        ours = {
            "OIDC_RP_CLIENT_ID": settings.OIDC_CLIENT_ID,
            "OIDC_RP_CLIENT_SECRET": settings.OIDC_CLIENT_SECRET,
            **_SETTINGS,
        }
        return ours.get(attr, *default)


class Exchange(_OurSettings, OIDCAuthenticationBackend):
    """Trades the code of a callback for the person and whether they still owe us a code.

    Not a backend of Django's: sessions belong to `accounts.backends`.
    """

    def get_token(self, payload: dict[str, str]) -> dict[str, Any]:
        answer = _ask(self.OIDC_OP_TOKEN_ENDPOINT, form=payload)
        if answer.status != 200 or not isinstance(answer.body.get("id_token"), str):
            raise IdentityNotProved(why=f"no ID token, {answer.body.get('error', 'no error')}")
        return answer.body

    def verify_token(self, token: str, **given: Any) -> dict[str, Any]:
        return provider.read_id_token(token, nonce=given.get("nonce") or "", at=timezone.now())

    def store_tokens(self, access_token: str, id_token: str) -> None:
        """Nobody needs them any more."""

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Complete an ID token that says too little; not all providers put the address there."""
        if "email" in payload or not self.OIDC_OP_USER_ENDPOINT:
            return payload
        answer = _ask(self.OIDC_OP_USER_ENDPOINT, bearer=access_token)
        if answer.status != 200 or answer.body.get("sub") != payload["sub"]:
            raise IdentityNotProved(why="no user information")
        return {**answer.body, **payload}

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> tuple[User, bool, bool]:
        identity = provider.identity_of(self.get_userinfo(access_token, id_token, payload))
        user, needs_code = accounts.admit(identity=identity, at=timezone.now())
        return user, needs_code, identity.has_second_factor


def _ask(url: str, **given: Any) -> calls.Answer:
    try:
        return calls.ask(url, **given)
    except calls.NoAnswer as error:
        raise ProviderUnavailable from error


class StartPage(_OurSettings, OIDCAuthenticationRequestView):
    """Leads to the provider; changes nothing but the session."""


class CallbackPage(_OurSettings, OIDCAuthenticationCallbackView):
    """Where the provider leads back to."""

    def get(self, request: HttpRequest) -> HttpResponse:
        begun = self._spend_state(request)
        if begun.get("added_on", 0) < timezone.now().timestamp() - _WITHIN.total_seconds():
            raise SignInNotBegun
        if "error" in request.GET or "code" not in request.GET:
            raise RefusedByProvider
        if request.GET.get("iss", settings.OIDC_ISSUER) != settings.OIDC_ISSUER:  # RFC 9207
            raise IdentityNotProved(why="another issuer")
        proof = {"nonce": begun["nonce"], "code_verifier": begun["code_verifier"]}
        user, needs_code, has_proved_two = Exchange().authenticate(request, **proof)
        goal = request.session.pop("oidc_login_next", None) or reverse("admin:index")
        if needs_code:
            return sign_in.ask_for_code(request, user, goal)
        sign_in.enter(request, user)
        request.session[PROVED_ELSEWHERE] = has_proved_two
        return HttpResponseRedirect(goal)

    @staticmethod
    @transaction.atomic
    def _spend_state(request: HttpRequest) -> dict[str, Any]:
        """Take what began this sign-in out of the session, before anything else: it is good once. Empty: nothing did.

        The session's row is locked: of two answers at the same moment one finds it.

        :raises SignInNotBegun: this browser began none at all (`is_stray`), as anybody's may; that stays in the log.
        """
        list(BrowserSession.objects.select_for_update().filter(pk=BrowserSession.kept_as(request.session.session_key)))
        request.session = type(request.session)(request.session.session_key)
        states = request.session.get(_STATES)
        if not states:
            raise SignInNotBegun(is_stray=True)
        begun = states.pop(request.GET.get("state", ""), None)
        request.session[_STATES] = states if begun else {}  # of other tabs; after a wrong one none is left to guess at
        request.session.save()
        return begun or {}


def start(request: HttpRequest) -> HttpResponse:
    """The way to the provider."""
    return _or_said_why_not(StartPage, request)


def callback(request: HttpRequest) -> HttpResponse:
    """The way back."""
    return _or_said_why_not(CallbackPage, request)


def _or_said_why_not(view: type[View], request: HttpRequest) -> HttpResponse:
    """Show a refusal in plain words; without a provider there is no such page."""
    if not provider.signs_people_in():
        raise Http404
    try:
        return view.as_view()(request)
    except DomainError as refusal:
        # What only the operator can mend, such as a wrong secret or issuer.
        why = refusal.context.get("why") or type(_root(refusal)).__name__
        log.warning("the company sign-in was refused: %s (%r)", refusal.code, str(why)[:80])
        if not refusal.context.get("is_stray"):
            sign_in.refuse(request, refusal)
        goal = request.session.get("oidc_login_next") or ""
        shown = page_context(request, _("Signing in did not work"), refusal=refusal, next=goal)
        status = 503 if isinstance(refusal, Unavailable) else 403
        return TemplateResponse(request, "admin/company_sign_in_refused.html", shown, status=status)


def _root(error: BaseException) -> BaseException:
    return _root(error.__cause__) if error.__cause__ else error

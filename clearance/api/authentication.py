"""Who calls: a bearer of an access token, or somebody signed in to the admin."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.request import Request

from accounts import selectors as people
from accounts import services as accounts
from accounts import tokens
from accounts.errors import TokenRefused
from accounts.models import User


def claims_of(request: HttpRequest) -> tokens.Claims | None:
    """Read the access token that a request brings, once for all who ask; None: it brings none.

    :raises TokenRefused: it isn't a good one.
    """
    if not hasattr(request, "_claims"):
        request._claims = _read_claims(request)
    if isinstance(request._claims, TokenRefused):
        raise request._claims
    return request._claims


def _read_claims(request: HttpRequest) -> tokens.Claims | TokenRefused | None:
    scheme, *rest = get_authorization_header(request).split() or [b""]
    if scheme.lower() != b"bearer":
        return None
    try:
        return tokens.read(b" ".join(rest).decode("latin-1"), kind=tokens.Kind.ACCESS, at=timezone.now())
    except TokenRefused as refusal:
        return refusal


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`; ends with the sign-in or the person, not only with its time."""

    def authenticate(self, request: Request) -> tuple[User, tokens.Claims] | None:
        try:
            claims = claims_of(request._request)
        except TokenRefused as error:
            sentence = _("The access token is not valid or has expired. Refresh it, or sign in again.")
            raise exceptions.AuthenticationFailed(sentence) from error
        if claims is None:
            return None
        user = people.signed_in(user_id=claims.user_id, sign_in_id=claims.sign_in_id)
        if user is None:
            raise exceptions.AuthenticationFailed(_("The token was revoked. Sign in again."))
        accounts.note_actor(user)
        return user, claims

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class StaffSession(SessionAuthentication):
    """The session of somebody signed in to the admin, for the browsable API; writes need the CSRF token.

    Who owes a second factor sets it up at the admin first.
    """

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        signed_in = super().authenticate(request)
        if signed_in is None or signed_in[0].owes_second_factor:
            return None
        accounts.note_actor(signed_in[0])
        return signed_in

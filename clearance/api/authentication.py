"""Who calls: a bearer of an access token, or somebody signed in to the admin."""

from __future__ import annotations

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


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`; ends with the sign-in or the person, not only with its time."""

    def authenticate(self, request: Request) -> tuple[User, tokens.Claims] | None:
        scheme, *rest = get_authorization_header(request).split() or [b""]
        if scheme.lower() != b"bearer":
            return None
        try:
            claims = tokens.read(b" ".join(rest).decode(), kind=tokens.Kind.ACCESS, at=timezone.now())
        except (TokenRefused, UnicodeDecodeError) as error:
            sentence = _("The access token is not valid or has expired. Refresh it, or sign in again.")
            raise exceptions.AuthenticationFailed(sentence) from error
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

"""Who calls: a bearer of an access token, a machine with an API key, or somebody signed in to the admin."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.request import Request

from accounts import provider, tokens
from accounts import selectors as people
from accounts import services as accounts
from accounts.errors import ApiKeyRefused, ProviderUnavailable, SecondFactorOwed, TokenRefused
from accounts.models import ApiKey, User
from clearance import context, denials
from clearance.api import refusals
from clearance.errors import DomainError

PROVED_ELSEWHERE = "second_factor_proved_elsewhere"  # in a session that began at the provider with two factors
_Claims = tokens.Claims | provider.Bearer


def claims_of(request: HttpRequest) -> _Claims | None:
    """Read the access token that a request brings, once for all who ask; None: it brings none.

    :raises TokenRefused: it isn't a good one. :raises ProviderUnavailable: nobody can tell now.
    """
    if not hasattr(request, "_claims"):
        request._claims = _read_claims(request)
    if isinstance(request._claims, DomainError):
        raise request._claims
    return request._claims


def _read_claims(request: HttpRequest) -> _Claims | DomainError | None:
    scheme, *rest = get_authorization_header(request).split() or [b""]
    if scheme.lower() != b"bearer":
        return None
    token, at = b" ".join(rest).decode("latin-1"), timezone.now()
    try:
        if provider.is_theirs(token):
            return provider.read_access_token(token, at=at)
        return tokens.read(token, kind=tokens.Kind.ACCESS, at=at)
    except (TokenRefused, ProviderUnavailable) as refusal:
        return refusal


def owes_second_factor(request: HttpRequest) -> bool:
    """Whether somebody signed in to the admin owes a second factor; who proved one to the provider doesn't."""
    return request.user.owes_second_factor and not request.session.get(PROVED_ELSEWHERE)


def _is_before_second_factor(request: Request) -> bool:
    """Whether the action is one of those with which a second factor is set up."""
    view = request.parser_context["view"]
    return getattr(view, "action", None) in getattr(view, "before_second_factor", ())


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`, ours or the provider's.

    Ours ends with the sign-in or the person, not only with its time; the provider's with the person. While its person
    owes a second factor, ours is good for what the view names in `before_second_factor`, and for nothing else.
    """

    def authenticate(self, request: Request) -> tuple[User, _Claims] | None:
        try:
            claims = claims_of(request._request)
        except TokenRefused as error:
            sentence = _("The access token is not valid or has expired. Refresh it, or sign in again.")
            raise exceptions.AuthenticationFailed(sentence) from error
        except ProviderUnavailable as error:
            raise refusals.Unavailable(str(error), wait=error.context["retry_after"]) from error
        if claims is None:
            return None
        user = self._person(claims)
        if user is None:
            raise exceptions.AuthenticationFailed(_("The token was revoked. Sign in again."))
        accounts.note_actor(user)
        if isinstance(claims, tokens.Claims) and user.owes_second_factor and not _is_before_second_factor(request):
            request.user, request.auth = user, claims  # whoever renders the refusal would ask here again
            raise SecondFactorOwed
        return user, claims

    @staticmethod
    def _person(claims: _Claims) -> User | None:
        if isinstance(claims, provider.Bearer):
            return people.identified(issuer=claims.issuer, subject=claims.subject, issued_at=claims.issued_at)
        return people.signed_in(user_id=claims.user_id, sign_in_id=claims.sign_in_id)

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def key_of(request: HttpRequest) -> tuple[User, ApiKey] | None:
    """Look up the API key that a request brings, once for all who ask; None: it brings none.

    :raises ApiKeyRefused: it isn't a good one.
    """
    if not hasattr(request, "_api_key"):
        request._api_key = _take_key(request)
    if isinstance(request._api_key, ApiKeyRefused):
        raise request._api_key
    return request._api_key


def _take_key(request: HttpRequest) -> tuple[User, ApiKey] | ApiKeyRefused | None:
    scheme, *rest = get_authorization_header(request).split() or [b""]
    if scheme.lower() != b"api-key":
        return None
    try:
        key = b" ".join(rest).decode("latin-1")
        return accounts.take_key(key=key, at=timezone.now(), ip_address=context.current().ip_address)
    except ApiKeyRefused as refusal:
        return refusal


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Api-Key clr_…`, of a service account; ends with the key or the account, on the next request.

    Not as a bearer token: those are read as JWTs, of ours or of an identity provider.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        at = timezone.now()
        try:
            found = key_of(request._request)
        except ApiKeyRefused as refusal:
            if accounts.is_worth_telling(refusal, at=at):
                attempted = f"{request.method} {request.path}"
                denials.note(refusal, about=User, attempted=attempted)
            raise exceptions.AuthenticationFailed(str(refusal)) from refusal
        if found is None:
            return None
        account, key = found
        accounts.note_actor(account)
        accounts.note_use(key, at=at, ip_address=context.current().ip_address)
        return account, key


class StaffSession(SessionAuthentication):
    """The session of somebody signed in to the admin, for the browsable API; writes need the CSRF token.

    Who owes a second factor sets it up at the admin first; who may not use the admin any more has none here either.
    """

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        signed_in = super().authenticate(request)
        if signed_in is None or not signed_in[0].is_staff or owes_second_factor(request._request):
            return None
        accounts.note_actor(signed_in[0])
        return signed_in

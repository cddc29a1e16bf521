"""What an OpenID provider says (I8): of itself, by its discovery document and keys; of people, by tokens that it signs.

Its keys are kept by the process and in the cache, so that no request waits for the provider (decision 0020). Knows no
database and reads no clock.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import jwt
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from redis.exceptions import RedisError

from accounts.choices import Department, Role
from accounts.errors import IdentityNotProved, ProviderUnavailable, TokenRefused
from clearance import calls, text

if TYPE_CHECKING:
    from jwt.types import Options

log = logging.getLogger("accounts.provider")

FRESH_FOR = timedelta(minutes=5)  # so long a key that the provider withdrew may still work, while it answers
KEPT_FOR = timedelta(hours=8)  # so long known keys work while it does not
ASKED_AGAIN_AFTER = timedelta(seconds=10)  # for a key that nobody knows, however many tokens name one
PAUSE = timedelta(seconds=30)  # in which a provider that gave no answer isn't asked again
SKEW = timedelta(seconds=30)  # by which its clock may be ahead of ours
_ALGORITHM = "RS256"
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_LEAST_BITS = 2048


# Whom it speaks of ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Bearer:
    """What an access token of the provider says: whose it is, and since when."""

    issuer: str
    subject: str
    issued_at: float
    sign_in_id: None = None  # it belongs to no sign-in of ours

    @property
    def caller(self) -> str:
        """Whose requests are counted together."""
        return f"identity:{hashlib.sha256(f'{self.issuer} {self.subject}'.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody whom the provider has signed in.

    `email` is empty unless the provider verified it. `department` and `role` are what configured claims say, empty if
    they say nothing that we understand; `divisions` are codes, and None where no claim is configured for them.
    """

    issuer: str
    subject: str
    email: str = ""
    unverified_email: str = ""
    full_name: str = ""
    department: str = ""
    role: str = ""
    divisions: frozenset[str] | None = None
    has_second_factor: bool = False


def signs_people_in() -> bool:
    """Whether a provider is configured for the back office."""
    return bool(settings.OIDC_ISSUER and settings.OIDC_CLIENT_ID)


def is_theirs(token: str) -> bool:
    """Whether the provider's key is the one to check a token with; says nothing of whether it is any good."""
    if not (settings.OIDC_ISSUER and settings.OIDC_AUDIENCE):
        return False
    try:
        return jwt.get_unverified_header(token).get("alg") == _ALGORITHM
    except jwt.InvalidTokenError:
        return False


def read_access_token(token: str, *, at: datetime) -> Bearer:
    """Check an access token that was made for our API; whether anybody has the identity is for the database to say.

    :raises TokenRefused: it isn't one. :raises ProviderUnavailable: its key is unknown, and the provider away.
    """
    claims = _verified(token, audience=settings.OIDC_AUDIENCE, at=at)
    return Bearer(settings.OIDC_ISSUER, claims["sub"], float(claims["iat"]))


def read_id_token(token: str, *, nonce: str, at: datetime) -> dict[str, Any]:
    """Check an ID token that answers a sign-in which we began with `nonce`; return its claims.

    :raises IdentityNotProved: it isn't one. :raises ProviderUnavailable: its key is unknown, and the provider away.
    """
    client_id = settings.OIDC_CLIENT_ID
    try:
        claims = _verified(token, audience=client_id, at=at, may_be_nameless=True)
    except TokenRefused as error:
        raise IdentityNotProved from error
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    is_for_us = claims.get("azp", client_id if len(audiences) == 1 else None) == client_id
    if not nonce or claims.get("nonce") != nonce or not is_for_us:
        raise IdentityNotProved(why="nonce or authorised party")
    return claims


def identity_of(claims: dict[str, Any]) -> Identity:
    """Understand the claims about somebody; what makes no sense counts as not said."""
    email = _email(claims.get("email"))
    is_verified = claims.get("email_verified") is True
    return Identity(
        issuer=settings.OIDC_ISSUER,
        subject=claims["sub"],
        email=email if is_verified else "",
        unverified_email="" if is_verified else email,
        full_name=_line(claims.get("name")) or email.partition("@")[0][:120],
        has_second_factor="mfa" in _texts(claims.get("amr")),
        **_work(claims),
    )


def _work(claims: dict[str, Any]) -> dict[str, Any]:
    """What the configured claims make of somebody: all that they decide, or nothing; never an administrator."""
    names = settings.OIDC_CLAIMS
    department = _texts(claims.get(names["department"])) & set(Department.values)
    role = _texts(claims.get(names["role"])) & (set(Role.values) - {Role.ADMIN})
    if len(department) != 1 or len(role) != 1 or (names["divisions"] and names["divisions"] not in claims):
        return {}
    divisions = frozenset(_texts(claims[names["divisions"]])) if names["divisions"] else None
    return {"department": department.pop(), "role": role.pop(), "divisions": divisions}


def _texts(value: object) -> set[str]:
    """A claim that may be one text or several."""
    return {one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)}


def _email(value: object) -> str:
    email = value.strip().lower() if isinstance(value, str) else ""
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email if len(email) <= 254 else ""


def _line(value: object) -> str:
    """One line of printable text that fits a name."""
    return text.tidied(re.sub(r"[^\w\s.,'’()-]", " ", text.tidied(value)))[:120] if isinstance(value, str) else ""


# Its signature -------------------------------------------------------------------------------------------------------
def _verified(token: str, *, audience: str, at: datetime, may_be_nameless: bool = False) -> dict[str, Any]:
    """Check everything that needs no database.

    `may_be_nameless`: the token needn't name its key where the provider has only one (OpenID Connect Core, 10.1).

    :raises TokenRefused: signature, issuer, audience or times are wrong. :raises ProviderUnavailable: see above.
    """
    # The times are compared below with `at`: the library would read the clock.
    options: Options = {
        "require": ["iss", "sub", "aud", "exp", "iat"],
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
    }
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != _ALGORITHM:
            raise TokenRefused
        kid = header.get("kid")
        if kid is None and may_be_nameless:
            kid = _only_key(at=at.timestamp())
        key = _key(kid, at=at.timestamp())
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[_ALGORITHM], audience=audience, issuer=settings.OIDC_ISSUER, options=options
        )
        is_good = _is_in_time(claims, at=at.timestamp()) and _is_subject(claims["sub"])
    except (jwt.InvalidTokenError, jwt.InvalidKeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise TokenRefused from error
    if not is_good:
        raise TokenRefused
    return claims


def _is_in_time(claims: dict[str, Any], *, at: float) -> bool:
    times = [claims["exp"], claims["iat"], claims.get("nbf", 0)]
    if not all(isinstance(time, (int, float)) and not isinstance(time, bool) for time in times):
        return False
    expires, issued, begins = times
    latest = at + SKEW.total_seconds()
    return bool(at < expires and 0 <= issued <= latest and 0 <= begins <= latest)


def _is_subject(subject: str) -> bool:
    return 0 < len(subject) <= 255 and subject.isprintable() and text.tidied(subject) == subject


# What it says of itself ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Known:
    """Endpoints and keys (kid → modulus and exponent) as of `fetched_at`; when it was last asked, in vain or not."""

    endpoints: dict[str, str] = field(default_factory=dict)
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    fetched_at: float = 0.0
    asked_at: float = 0.0
    has_failed: bool = False

    def serves(self, at: float, kid: str | None) -> bool:
        """Whether it is fresh, and has the key."""
        return abs(at - self.fetched_at) < FRESH_FOR.total_seconds() and (kid is None or kid in self.keys)

    def may_serve(self, at: float, kid: str | None) -> bool:
        """Whether it still counts where nothing newer is to be had."""
        return abs(at - self.fetched_at) < KEPT_FOR.total_seconds() and (kid is None or kid in self.keys)

    def asked_again_in(self, at: float) -> int:
        """After how many seconds the provider may be asked again; 0: now."""
        pause = PAUSE if self.has_failed else ASKED_AGAIN_AFTER
        passed = abs(at - self.asked_at)
        return 0 if passed >= pause.total_seconds() else max(1, round(pause.total_seconds() - passed))


_known_here: dict[str, _Known] = {}
_asking = Lock()


def endpoint(name: str, *, at: datetime) -> str:
    """The address of an endpoint; empty if the provider has none.

    :raises ProviderUnavailable: it has not been reached for hours.
    """
    return _known(at.timestamp()).endpoints.get(name, "")


def _key(kid: object, *, at: float) -> jwt.PyJWK:
    """:raises TokenRefused: the provider has no such key. :raises ProviderUnavailable: it can't be asked."""
    if not isinstance(kid, str) or not kid:
        raise TokenRefused
    known = _known(at, kid)
    if kid not in known.keys:
        if known.has_failed:
            raise ProviderUnavailable(retry_after=known.asked_again_in(at) or 1)
        raise TokenRefused
    return _parsed(*known.keys[kid])


def _only_key(*, at: float) -> str | None:
    """The name of the provider's key; None: it has several, or none."""
    names = list(_known(at).keys)
    return names[0] if len(names) == 1 else None


def _known(at: float, kid: str | None = None) -> _Known:
    """What is known of the provider: fresh and with that key, if it answers and has it; otherwise what there is.

    :raises ProviderUnavailable: nothing that is recent enough.
    """
    issuer = settings.OIDC_ISSUER
    here = _known_here.get(issuer, _Known())
    if here.serves(at, kid):
        return here
    # One thread asks. Others wait for it only if they can't do with what there is.
    if _asking.acquire(blocking=not here.may_serve(at, kid)):
        try:
            here = max(_known_here.get(issuer, here), _known_elsewhere(issuer), key=lambda known: known.asked_at)
            if not here.serves(at, kid) and not here.asked_again_in(at):
                here = _ask(issuer, here, at)
                _tell_elsewhere(issuer, here)
            _known_here[issuer] = here
        finally:
            _asking.release()
    if not here.may_serve(at, None):
        raise ProviderUnavailable(retry_after=here.asked_again_in(at) or 1)
    return here


def _ask(issuer: str, known: _Known, at: float) -> _Known:
    """Ask for the discovery document and the keys; without an answer, what is known stays."""
    try:
        document = _said(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise calls.NoAnswer("another issuer")
        endpoints = {name: url for name, url in document.items() if name.endswith(("_endpoint", "_uri"))}
        if not all(_is_safe(endpoints.get(name)) for name in _ENDPOINTS):
            raise calls.NoAnswer("an endpoint without https")
        entries = _said(endpoints["jwks_uri"]).get("keys")
        if not isinstance(entries, list):
            raise calls.NoAnswer("no keys")
    except calls.NoAnswer as error:
        log.warning("the identity provider gave no answer: %s", error)
        return _Known(known.endpoints, known.keys, known.fetched_at, asked_at=at, has_failed=True)
    safe = {name: url for name, url in endpoints.items() if _is_safe(url)}
    return _Known(safe, dict(filter(None, map(_usable, entries))), fetched_at=at, asked_at=at)


def _said(url: str) -> dict[str, Any]:
    """:raises calls.NoAnswer: also for a refusal."""
    answer = calls.ask(url)
    if answer.status != 200:
        raise calls.NoAnswer(f"status {answer.status}")
    return answer.body


def _is_safe(url: object) -> bool:
    """Whether it is https, as the provider itself; a provider on this machine may do without, on this machine."""
    kinds = r"https://[^/]"
    if settings.OIDC_ISSUER.startswith("http://"):
        kinds += r"|http://(127\.0\.0\.1|localhost|\[::1\])[:/]"
    return isinstance(url, str) and bool(re.match(kinds, url))


def _usable(entry: object) -> tuple[str, tuple[str, str]] | None:
    """A key that may sign tokens by RS256, with its name; None: it is for something else, or too short."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("alg", _ALGORITHM) != _ALGORITHM:
        return None
    kid, modulus, exponent = (entry.get(name, "") for name in ("kid", "n", "e"))
    if entry.get("kty") != "RSA" or not (kid and isinstance(kid, str)):
        return None
    try:
        is_long_enough = _parsed(modulus, exponent).key.key_size >= _LEAST_BITS
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return None
    return (kid, (modulus, exponent)) if is_long_enough else None


@lru_cache(maxsize=64)
def _parsed(modulus: str, exponent: str) -> jwt.PyJWK:
    return jwt.PyJWK({"kty": "RSA", "n": modulus, "e": exponent}, algorithm=_ALGORITHM)


def _known_elsewhere(issuer: str) -> _Known:
    """What another process was told; without Redis each process asks for itself."""
    try:
        told = cache.get(f"provider:{issuer}")
    except (RedisError, OSError) as error:
        log.warning("the provider's keys are not shared: %s", type(error).__name__)
        told = None
    return _Known(**told) if told else _Known()


def _tell_elsewhere(issuer: str, known: _Known) -> None:
    try:
        cache.set(f"provider:{issuer}", asdict(known), timeout=KEPT_FOR.total_seconds())
    except (RedisError, OSError) as error:
        log.warning("the provider's keys are not shared: %s", type(error).__name__)

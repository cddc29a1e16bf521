"""What we sign: access and refresh tokens (JWT), and the ids of tickets. Knows no database, never reads the clock."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import jwt
from django.conf import settings
from django.core.signing import BadSignature, Signer

from accounts.errors import LinkRefused, TokenRefused

if TYPE_CHECKING:
    from jwt.types import Options

_ALGORITHM = "HS256"
_TICKETS = Signer(salt="accounts.ticket")


class Kind(StrEnum):
    """What a token is good for; one is never taken for the other (I4)."""

    ACCESS = "access"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: whose it is, of which sign-in, and which one of that sign-in's tokens."""

    user_id: int
    sign_in_id: uuid.UUID
    token_id: str

    @property
    def caller(self) -> str:
        """Whose requests are counted together."""
        return f"user:{self.user_id}"


def lifetime(kind: Kind) -> timedelta:
    """How long a token is good for."""
    return settings.ACCESS_TOKEN_LIFETIME if kind == Kind.ACCESS else settings.REFRESH_TOKEN_LIFETIME


def write(claims: Claims, *, kind: Kind, email: str, at: datetime) -> str:
    """Sign a token that is good from `at` for the lifetime of its kind."""
    payload = {
        "sub": str(claims.user_id),
        "email": email,
        "type": kind,
        "sid": str(claims.sign_in_id),
        "jti": claims.token_id,
        "iat": at,
        "exp": at + lifetime(kind),
    }
    return jwt.encode(payload, settings.SECRET_KEY, algorithm=_ALGORITHM)


def read(token: str, *, kind: Kind, at: datetime) -> Claims:
    """Check signature, kind and time of a token; whether its sign-in still lasts is for the database to say.

    :raises TokenRefused: it isn't one of ours, not of this kind, or no longer good at `at`.
    """
    # The times are compared below with `at`: the library would read the clock.
    options: Options = {"require": ["sub", "type", "sid", "jti", "exp"], "verify_exp": False, "verify_iat": False}
    try:
        payload = jwt.decode(token, settings.SECRET_KEY, algorithms=[_ALGORITHM], options=options)
        claims = Claims(int(payload["sub"]), uuid.UUID(payload["sid"]), str(payload["jti"]))
        is_good = payload["type"] == kind and at.timestamp() < payload["exp"]
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as error:
        raise TokenRefused from error
    if not is_good:
        raise TokenRefused
    return claims


def write_ticket(ticket_id: uuid.UUID) -> str:
    """Sign the id of a ticket, for a link; the same id gives the same token."""
    return _TICKETS.sign(ticket_id.hex)


def read_ticket(token: str) -> uuid.UUID:
    """Check the signature of a ticket's token; whether the ticket is still good is for the database to say.

    :raises LinkRefused: it isn't one of ours.
    """
    try:
        return uuid.UUID(_TICKETS.unsign(token))
    except (BadSignature, ValueError) as error:
        raise LinkRefused from error

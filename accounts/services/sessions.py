"""What a sign-in lasts for: opening, refreshing and ending; sign-ins at the API and sessions of the back office."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from accounts import rules, tokens
from accounts.errors import InvalidCredentials, TokenRefused
from accounts.models import BrowserSession, FailedSignIns, SignIn, Ticket, User
from clearance import context, text


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in hands out: a short-lived access token and a refresh token that is good once."""

    access_token: str
    refresh_token: str
    user: User


def note_actor(user: User) -> None:
    """Put on record that `user` acts from here on, with name and role as they are now."""
    context.signed_in(user_id=user.pk, name=user.full_name, role=rules.acting_role(user))


@transaction.atomic
def open_sign_in(*, user: User, at: datetime, ip_address: str | None, user_agent: str) -> Tokens:
    """Hand out tokens to somebody who has proved who they are.

    :raises InvalidCredentials: their password was changed, or they were deactivated, since they proved it.
    """
    still_good = User.objects.active().filter(pk=user.pk, password=user.password)
    with context.remarking():  # a refusal is not on record as theirs
        note_actor(user)
        if not still_good.update(last_login=at):
            raise InvalidCredentials(user_id=user.pk)
    note_actor(user)
    opened = SignIn(
        user=user,
        ip_address=ip_address,
        user_agent=text.tidied(user_agent)[:200],
        created_at=at,
        last_used_at=at,
        expires_at=at + settings.REFRESH_TOKEN_LIFETIME,
    )
    issued, opened.refresh_hash = _issue(user, opened.pk, at=at)
    opened.save(force_insert=True)
    return issued


def refresh(*, refresh_token: str, at: datetime) -> Tokens:
    """Trade a refresh token for a new pair; a token that was traded before ends its whole sign-in.

    :raises TokenRefused: it isn't a refresh token, or is expired, revoked or used already.
    """
    claims = tokens.read(refresh_token, kind=tokens.Kind.REFRESH, at=at)
    sign_in_id, token_hash = claims.sign_in_id, _hash(claims.token_id)
    with transaction.atomic():
        opened = SignIn.objects.live(at=at).select_related("user").filter(pk=sign_in_id, user__is_active=True).first()
        if opened is not None:
            note_actor(opened.user)
            issued, new_hash = _issue(opened.user, opened.pk, at=at)
            claimed = SignIn.objects.live(at=at).filter(pk=opened.pk, refresh_hash=token_hash)
            if claimed.update(refresh_hash=new_hash, last_used_at=at, expires_at=at + settings.REFRESH_TOKEN_LIFETIME):
                return issued
    # Outside the transaction above, so that the refusal doesn't undo it: the old token is in two hands.
    SignIn.objects.filter(pk=sign_in_id, revoked_at=None).update(revoked_at=at)
    raise TokenRefused(user_id=claims.user_id)


def sign_out(*, refresh_token: str, at: datetime) -> None:
    """End the sign-in that a refresh token belongs to, access tokens included. Idempotent.

    :raises TokenRefused: it isn't a refresh token of ours.
    """
    claims = tokens.read(refresh_token, kind=tokens.Kind.REFRESH, at=at)
    if opened := SignIn.objects.select_related("user").filter(pk=claims.sign_in_id, revoked_at=None).first():
        note_actor(opened.user)
        SignIn.objects.filter(pk=opened.pk, revoked_at=None).update(revoked_at=at)


@transaction.atomic
def sign_out_everywhere(*, user: User, at: datetime, but: uuid.UUID | None = None) -> None:
    """End every sign-in of a person and every session of theirs in the back office; `but` keeps one sign-in."""
    User.objects.filter(pk=user.pk).update(signed_out_at=at)  # the person first, as everywhere
    user.signed_out_at = at
    open_ones = SignIn.objects.filter(user=user, revoked_at=None)
    (open_ones.exclude(pk=but) if but else open_ones).update(revoked_at=at)


def end_browser_session(*, user: User, handle: str, at: datetime) -> None:
    """End one of a person's sessions of the back office. Idempotent: one that ended meanwhile is none any more."""
    keys = [one.session_key for one in BrowserSession.objects.of(user, at=at) if one.handle == handle]
    BrowserSession.objects.filter(session_key__in=keys).delete()


def forget_expired_sign_ins(*, at: datetime) -> int:
    """Delete sign-ins, admin sessions, links and counts of failures that mean nothing any more; return how many."""
    expired = (
        SignIn.objects.filter(expires_at__lt=at),
        BrowserSession.objects.filter(expire_date__lt=at),
        Ticket.objects.filter(expires_at__lt=at),
        FailedSignIns.objects.filter(last_failed_at__lt=at - rules.FORGOTTEN_AFTER),
    )
    return sum(rows.delete()[0] for rows in expired)


def _issue(user: User, sign_in_id: uuid.UUID, *, at: datetime) -> tuple[Tokens, str]:
    """Write a pair of tokens; return it with the hash of the refresh token's id."""
    token_id = uuid.uuid4().hex
    claims = tokens.Claims(user.pk, sign_in_id, token_id)
    access_token, refresh_token = (tokens.write(claims, kind=kind, email=user.email, at=at) for kind in tokens.Kind)
    return Tokens(access_token, refresh_token, user), _hash(token_id)


def _hash(token_id: str) -> str:
    return hashlib.sha256(token_id.encode()).hexdigest()

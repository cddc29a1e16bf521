"""Signing in (I4): the password first, then the second factor of whoever has one; the same at every door."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, check_password

from accounts.errors import InvalidCredentials, TotpRequired
from accounts.models import SecondFactor, User
from accounts.services import lockout, second_factor, sessions
from accounts.services.sessions import Tokens


def sign_in(
    *, email: str, password: str, at: datetime, ip_address: str | None, user_agent: str = "", totp_code: str = ""
) -> Tokens:
    """Check e-mail, password and, where there is a second factor, its code; open a sign-in at the API.

    :raises AccountLocked: too many guesses have failed.
    :raises InvalidCredentials: for an unknown address, a wrong password and a deactivated person alike.
    :raises TotpRequired: the password is right, and a code is needed as well.
    :raises InvalidSecondFactorCode: the code is wrong, or was used already.
    """
    with lockout.one_guess(email=email, ip_address=ip_address, at=at) as known:
        user = _require_password(known, password)
        if _has_second_factor(user):
            if not totp_code:
                raise TotpRequired(user_id=user.pk)
            second_factor.spend_code(user=user, code=totp_code, at=at)
    lockout.forgive(email=email, ip_address=ip_address)
    return sessions.open_sign_in(user=user, at=at, ip_address=ip_address, user_agent=user_agent)


def prove_password(*, email: str, password: str, at: datetime, ip_address: str | None) -> tuple[User, bool]:
    """Check e-mail and password for the back office; return the person, and whether a code is to be proved next.

    :raises AccountLocked: :raises InvalidCredentials: as `sign_in`; also for who doesn't work in the back office.
    """
    with lockout.one_guess(email=email, ip_address=ip_address, at=at) as known:
        user = _require_password(known, password)
        if not user.is_staff:
            raise InvalidCredentials(user_id=user.pk)
    needs_code = _has_second_factor(user)
    if not needs_code:
        lockout.forgive(email=email, ip_address=ip_address)
        sessions.note_actor(user)
    return user, needs_code


def prove_code(*, user_id: int, code: str, at: datetime, ip_address: str | None) -> User:
    """Check the code of somebody whose password was proved a moment ago.

    :raises AccountLocked: :raises InvalidSecondFactorCode: as `sign_in`.
    :raises InvalidCredentials: the person was deactivated meanwhile.
    """
    person: User = User.objects.get(pk=user_id)
    with lockout.one_guess(email=person.email, ip_address=ip_address, at=at):
        if not person.is_active:
            raise InvalidCredentials(user_id=user_id)
        second_factor.spend_code(user=person, code=code, at=at)
    lockout.forgive(email=person.email, ip_address=ip_address)
    sessions.note_actor(person)
    return person


def _require_password(user: User | None, password: str) -> User:
    """:raises InvalidCredentials: after the same work for everybody, people whom nobody knows included."""
    is_right = check_password(password, user.password if user else UNUSABLE_PASSWORD_PREFIX)
    if user is None or not is_right or not user.is_active:
        raise InvalidCredentials(user_id=user and user.pk)
    return user


def _has_second_factor(user: User) -> bool:
    return SecondFactor.objects.confirmed().filter(user=user).exists()

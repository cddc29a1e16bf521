"""Two factors (I7): an authenticator app (TOTP, RFC 6238) and backup codes, beside the password."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import pyotp
import segno
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction

from accounts import rules
from accounts.choices import MessageKind
from accounts.errors import InvalidSecondFactorCode, SecondFactorIsOff, SecondFactorIsOn, SecondFactorRequired
from accounts.models import BackupCode, RequiredSecondFactor, SecondFactor, User
from accounts.services import notices, passwords, sessions
from clearance import numerals
from clearance.errors import NotFound

_STEP = 30  # seconds that a code lasts
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app needs: the secret to type in, or the same as an address and as a QR code."""

    secret: str
    otpauth_uri: str

    @property
    def qr_code(self) -> str:
        """A PNG as a data URI."""
        return segno.make(self.otpauth_uri, error="m").png_data_uri(scale=5, border=4)


def set_up_second_factor(*, user: User, password: str, at: datetime, ip_address: str | None) -> Enrolment:
    """Make a new secret, which counts once `enable_second_factor` proved, within minutes, that the app has it.

    Asks for the password, or whoever finds a session open could have the person's sign-in for good.

    :raises SecondFactorIsOn: there is one already.
    :raises WrongPassword: :raises AccountLocked: the password is guessed at.
    """
    passwords.require_current_password(user=user, password=password, at=at, ip_address=ip_address)
    secret = pyotp.random_base32()
    sealed = _cipher().encrypt(secret.encode()).decode()
    with transaction.atomic():
        SecondFactor.objects.bulk_create([SecondFactor(user=user, secret=sealed, created_at=at)], ignore_conflicts=True)
        unconfirmed = SecondFactor.objects.filter(user=user, confirmed_at=None)
        if not unconfirmed.update(secret=sealed, created_at=at):
            raise SecondFactorIsOn
    return _enrolment(user, secret)


def pending_second_factor(user: User, *, at: datetime) -> Enrolment | None:
    """The set-up that still lacks its first code; None: there is none, or none that the password was just asked for."""
    factor = SecondFactor.objects.pending(at=at).filter(user=user).first()
    secret = factor and _secret(factor)
    return _enrolment(user, secret) if secret else None


@transaction.atomic
def enable_second_factor(*, user: User, code: str, at: datetime, but: uuid.UUID | None = None) -> list[str]:
    """Turn the second factor on with its first code; return ten backup codes, which nobody can read again.

    Every other sign-in and session ends (`but` is the sign-in that stays): they were opened with the password alone.

    :raises SecondFactorIsOff: nothing was set up, or too long ago. :raises SecondFactorIsOn: it is on already.
    :raises InvalidSecondFactorCode: the code is wrong.
    """
    if SecondFactor.objects.confirmed().filter(user=user).exists():
        raise SecondFactorIsOn
    factor = SecondFactor.objects.pending(at=at).filter(user=user).first()
    if factor is None:
        raise SecondFactorIsOff
    step = _step_of(factor, code, at=at)
    if step is None:
        raise InvalidSecondFactorCode(user_id=user.pk)
    unconfirmed = SecondFactor.objects.filter(pk=factor.pk, secret=factor.secret, confirmed_at=None)
    if not unconfirmed.update(confirmed_at=at, last_step=step):
        raise SecondFactorIsOn
    sessions.sign_out_everywhere(user=user, at=at, but=but)
    return _new_codes(user)


def disable_second_factor(*, user: User, password: str, at: datetime, ip_address: str | None) -> None:
    """Do without a second factor again.

    :raises SecondFactorRequired: the person's role requires one. :raises SecondFactorIsOff: there is none.
    :raises WrongPassword: :raises AccountLocked: the password is guessed at.
    """
    if RequiredSecondFactor.objects.filter(role=user.role).exists():
        raise SecondFactorRequired
    passwords.require_current_password(user=user, password=password, at=at, ip_address=ip_address)
    _forget(user, at=at)


def regenerate_backup_codes(*, user: User, password: str, at: datetime, ip_address: str | None) -> list[str]:
    """Trade all backup codes for ten new ones.

    :raises SecondFactorIsOff: there is no second factor that they could stand in for.
    :raises WrongPassword: :raises AccountLocked: the password is guessed at.
    """
    passwords.require_current_password(user=user, password=password, at=at, ip_address=ip_address)
    with transaction.atomic():
        if not SecondFactor.objects.confirmed().filter(user=user).select_for_update().exists():
            raise SecondFactorIsOff
        return _new_codes(user)


@transaction.atomic
def reset_second_factor(*, user_id: int, by: User, at: datetime) -> None:
    """Take the second factor from somebody who lost theirs; they set up another one.

    :raises Forbidden: `by` lacks the permission, which administrators have by their role.
    :raises AdministratorsOnly: :raises BeyondYourRights: it would guard less than their own rights.
    :raises NotFound: there is no such person. :raises SecondFactorIsOff: there is none.
    """
    rules.require_permission(by, "accounts.change_user")
    user = User.objects.people().filter(pk=user_id).first()
    if user is None:
        raise NotFound
    rules.require_may_touch(by, user.role)
    rules.require_reaches(by, user)
    _forget(user, at=at)


@transaction.atomic
def require_second_factor(*, roles: Collection[str], by: User) -> None:
    """Have exactly these roles need a second factor, in the back office and at the API, from the next request on.

    :raises Forbidden: `by` lacks the permission, which administrators have by their role.
    :raises AdministratorsOnly: somebody else decides about the role of administrators.
    """
    rules.require_permission(by, "accounts.change_user")
    known = RequiredSecondFactor.objects.values_list("role", flat=True)
    rules.require_may_touch(by, *set(known).symmetric_difference(roles))
    RequiredSecondFactor.objects.exclude(role__in=roles).delete()
    RequiredSecondFactor.objects.bulk_create([RequiredSecondFactor(role=role) for role in roles], ignore_conflicts=True)


def spend_code(*, user: User, code: str, at: datetime) -> None:
    """Use up a code of the app, or a backup code.

    Conditional updates: of the same code twice at once, one goes through. Nor is a code taken that is older than the
    last one.

    :raises InvalidSecondFactorCode: it is wrong, or used.
    """
    factor = SecondFactor.objects.confirmed().filter(user=user).first()
    if factor is not None:
        step = _step_of(factor, code, at=at)
        if step is not None:
            if SecondFactor.objects.filter(pk=factor.pk, last_step__lt=step).update(last_step=step):
                return
        else:
            unused = BackupCode.objects.filter(user=user, code_hash=_hash(code), used_at=None)
            if unused.exists():
                sessions.note_actor(user)  # before the first entry, and not for a wrong code
                if unused.update(used_at=at):
                    return
    raise InvalidSecondFactorCode(user_id=user.pk)


def backup_codes_left(user: User) -> int:
    return BackupCode.objects.filter(user=user, used_at=None).count()


def _step_of(factor: SecondFactor, code: str, *, at: datetime) -> int | None:
    """The half minute that a code belongs to: this one, or its neighbours, as clocks drift; None: it is wrong."""
    secret, given = _secret(factor), "".join(numerals.in_ascii(code).split())
    if not secret:
        return None
    totp, now = pyotp.TOTP(secret, interval=_STEP), int(at.timestamp()) // _STEP
    steps = (now, now - 1, now + 1)
    return next((one for one in steps if hmac.compare_digest(totp.generate_otp(one).encode(), given.encode())), None)


def _enrolment(user: User, secret: str) -> Enrolment:
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name="Clearance"))


def _new_codes(user: User) -> list[str]:
    """Ten codes of 79 bits each: too many to guess, so that a plain hash keeps them."""
    codes = ["-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4)) for _ in range(10)]
    BackupCode.objects.filter(user=user).delete()
    BackupCode.objects.bulk_create([BackupCode(user=user, code_hash=_hash(code)) for code in codes])
    return codes


def _forget(user: User, *, at: datetime) -> None:
    """:raises SecondFactorIsOff: there is none."""
    with transaction.atomic():
        was_on = SecondFactor.objects.confirmed().filter(user=user).exists()
        BackupCode.objects.filter(user=user).delete()
        if not SecondFactor.objects.filter(user=user).delete()[0]:
            raise SecondFactorIsOff
        if was_on:
            notices.tell(user, MessageKind.SECOND_FACTOR_OFF, at=at)


def _hash(code: str) -> str:
    plain = "".join(letter for letter in numerals.in_ascii(code).lower() if letter in _LETTERS)
    return hashlib.sha256(plain.encode()).hexdigest()


# At rest ------------------------------------------------------------------------------------------------------------
def _cipher() -> MultiFernet:
    """Keys follow from SECRET_KEY and the ones before it, for this purpose alone."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    derived = (hashlib.sha256(b"accounts.second_factor:" + key.encode()).digest() for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])


def _secret(factor: SecondFactor) -> str:
    """Empty when it was encrypted with a key that nobody has any more: then no code is right, and it is to be reset."""
    try:
        return _cipher().decrypt(factor.secret.encode()).decode()
    except InvalidToken:
        return ""

"""Passwords (I5): the policy, changing, and starting anew by mail."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import rules
from accounts.choices import MessageKind, Purpose
from accounts.errors import PasswordReused, WeakPassword, WrongPassword
from accounts.models import OldPassword, User
from accounts.services import lockout, notices, sessions, tickets


def require_good_password(password: str, user: User) -> None:
    """:raises WeakPassword: :raises PasswordReused: the password breaks the rules; the message says which."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(reasons=" ".join(error.messages)) from error
    if user.pk is not None:
        kept = OldPassword.objects.filter(user=user)[: rules.PASSWORDS_REMEMBERED]
        had = {user.password, *kept.values_list("password", flat=True)}
        if any(check_password(password, one) for one in had):
            raise PasswordReused


def change_password(
    *,
    user: User,
    current_password: str,
    password: str,
    at: datetime,
    ip_address: str | None,
    but: uuid.UUID | None = None,
) -> None:
    """Change one's own password; every other sign-in and session ends (`but` is the sign-in that stays).

    :raises WrongPassword: :raises AccountLocked: the current password is guessed at.
    :raises WeakPassword: :raises PasswordReused: the new one breaks the rules.
    """
    require_current_password(user=user, password=current_password, at=at, ip_address=ip_address)
    with transaction.atomic():
        _set(user, password, at=at)
        sessions.sign_out_everywhere(user=user, at=at, but=but)


@transaction.atomic
def set_password(*, user: User, password: str | None, by: User, at: datetime) -> None:
    """Give somebody another password, or none; they are signed out everywhere.

    :raises Forbidden: `by` lacks the permission, which administrators have by their role.
    :raises AdministratorsOnly: :raises BeyondYourRights: with the password, `by` would have more than their own rights.
    :raises WeakPassword: :raises PasswordReused: it breaks the rules.
    """
    rules.require_permission(by, "accounts.change_user")
    rules.require_may_touch(by, user.role)
    rules.require_reaches(by, user)
    _set(user, password, at=at)
    sessions.sign_out_everywhere(user=user, at=at)


@transaction.atomic
def request_reset(*, email: str, at: datetime) -> None:
    """Write a mail with a link that sets a new password; where nobody active has the address, nothing shows it."""
    user = User.objects.people().active().filter(email=User.objects.normalize_email(email)).first()
    make_password(email)  # hides, for both alike, what little time the mail takes to write
    if user is not None:
        tickets.mail(user=user, purpose=Purpose.RESET, at=at)


@transaction.atomic
def reset_password(*, token: str, password: str, at: datetime) -> None:
    """Set a new password with the link of a mail; the person is signed out everywhere, and no longer locked out.

    :raises LinkRefused: the link isn't good, or not any more.
    :raises WeakPassword: :raises PasswordReused: the password breaks the rules; the link stays good.
    """
    user = tickets.use(token=token, purpose=Purpose.RESET, at=at)
    _set(user, password, at=at)
    sessions.sign_out_everywhere(user=user, at=at)
    lockout.forget_failures(user)
    User.objects.filter(pk=user.pk, email_verified_at=None).update(email_verified_at=at)


def set_first(user: User, password: str, *, at: datetime) -> None:
    """Set the password of somebody who came with an invitation, which proves their address.

    Within a transaction of the caller.

    :raises WeakPassword: the password breaks the rules.
    """
    _set(user, password, at=at)
    User.objects.filter(pk=user.pk, email_verified_at=None).update(email_verified_at=at)


@transaction.atomic
def send_verification(*, user: User, at: datetime) -> None:
    """Write a mail with a link that proves who reads the address; nothing where it was proved already."""
    if user.email_verified_at is None:
        tickets.mail(user=user, purpose=Purpose.VERIFY, at=at)


@transaction.atomic
def verify_email(*, token: str, by: User, at: datetime) -> None:
    """Take a person's address for proved.

    :raises LinkRefused: the link isn't good, not any more, or somebody else's.
    """
    user = tickets.use(token=token, purpose=Purpose.VERIFY, at=at, of=by)
    User.objects.filter(pk=user.pk).update(email_verified_at=at)


def require_current_password(*, user: User, password: str, at: datetime, ip_address: str | None) -> None:
    """Have somebody who is signed in prove it; counted like signing in, as a session may be in wrong hands.

    :raises WrongPassword: :raises AccountLocked:
    """
    with lockout.one_guess(email=user.email, ip_address=ip_address, at=at):
        if not check_password(password, user.password):
            raise WrongPassword(user_id=user.pk)
    lockout.forgive(email=user.email, ip_address=ip_address)


def remember(user: User, *, at: datetime) -> None:
    """Keep a person's password among those that are not taken again; the oldest goes."""
    if user.has_usable_password():
        OldPassword.objects.create(user=user, password=user.password, set_at=at)
        kept = OldPassword.objects.filter(user=user).values_list("pk", flat=True)[: rules.PASSWORDS_REMEMBERED]
        OldPassword.objects.filter(user=user).exclude(pk__in=list(kept)).delete()


def _set(user: User, password: str | None, *, at: datetime) -> None:
    """One at a time for a person, and by what is stored: what the caller holds may be out of date."""
    stored = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    rules.require_person(stored)
    if password is not None:
        require_good_password(password, stored)
    if not OldPassword.objects.filter(user=stored).exists():
        remember(stored, at=at)  # one from before there was a memory
    tickets.void(user=user, purpose=Purpose.INVITE, at=at)  # whoever has a password has come
    user.password = make_password(password)
    User.objects.filter(pk=user.pk).update(password=user.password, updated_at=at)
    remember(user, at=at)
    if stored.has_usable_password():  # a first password is no news to its owner
        notices.tell(stored, MessageKind.PASSWORD_CHANGED, at=at)

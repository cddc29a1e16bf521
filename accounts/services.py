"""Verbs about people: taking on, changing, deactivating; signing in and out; absences; the system roles."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, Value
from django.db.models.functions import Concat

from accounts import rules, tokens
from accounts.choices import Role
from accounts.errors import (
    AbsenceOverlaps,
    InvalidCredentials,
    LastAdministrator,
    SubstituteFromAnotherDepartment,
    TokenRefused,
    UserExists,
    WeakPassword,
)
from accounts.models import Absence, Division, SignIn, User
from clearance.constraints import explained, require_valid_fields


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in hands out: a short-lived access token and a refresh token that is good once."""

    access_token: str
    refresh_token: str
    user: User


# People --------------------------------------------------------------------------------------------------------------
@transaction.atomic
def take_on(
    *,
    email: str,
    full_name: str,
    department: str,
    role: str,
    password: str | None = None,
    divisions: Iterable[Division] = (),
    **fields: object,
) -> User:
    """Add a person; without a password, one who can't sign in until it is set.

    :raises UserExists: the e-mail address is taken.
    :raises WeakPassword: the password breaks the password rules.
    """
    user = User.objects.with_password(email, password, full_name=full_name, department=department, role=role, **fields)
    if password is not None:
        require_good_password(password, user)
    with _address_free(email):
        user.save(force_insert=True)
    user.divisions.set(divisions)
    settle_role(user=user)
    return user


@transaction.atomic
def amend_person(*, user_id: int, changes: Mapping[str, Any], at: datetime) -> User:
    """Change what is known of a person; role, permissions and sign-ins follow with the next request.

    `changes` may hold every field of `take_on` but the password, and `is_active`, `is_staff`.

    :raises UserExists: the e-mail address is somebody else's.
    :raises LastAdministrator: nobody would be left to administer.
    :raises InvalidFields: :raises ConstraintViolated: a value can't be right.
    """
    list(User.objects.filter(Q(pk=user_id) | Q(role=Role.ADMIN)).order_by("pk").select_for_update(no_key=True))
    user: User = User.objects.get(pk=user_id)
    was_active = user.is_active
    fields = {name: value for name, value in changes.items() if name != "divisions"}
    if "email" in fields:
        fields["email"] = User.objects.normalize_email(fields["email"])
    for name, value in fields.items():
        setattr(user, name, value)
    require_valid_fields(user)
    with explained(User), _address_free(user.email):
        user.save(update_fields=[*fields, "updated_at"])
    _require_an_administrator()
    if "divisions" in changes:
        user.divisions.set(changes["divisions"])
    settle_role(user=user)
    if was_active and not user.is_active:
        deactivate(user=user, at=at)
    return user


def _require_an_administrator() -> None:
    """:raises LastAdministrator: no active person is one; whoever changes people holds the administrators' locks."""
    if not User.objects.active().filter(role=Role.ADMIN).exists():
        raise LastAdministrator


@transaction.atomic
def choose_language(*, user: User, language: str, at: datetime) -> None:
    """Show a person pages and messages in another language from now on."""
    User.objects.filter(pk=user.pk).update(language=language, updated_at=at)


@transaction.atomic
def save_division(*, division: Division) -> Division:
    """Add or rename a division.

    :raises InvalidFields: a value can't be right.
    """
    require_valid_fields(division)
    division.save()
    return division


@contextmanager
def _address_free(email: str) -> Iterator[None]:
    """:raises UserExists: the database says that the address is used; so no race can slip through."""
    try:
        yield
    except IntegrityError as error:
        if "(email)" in str(error):
            raise UserExists(email=email) from error
        raise


@transaction.atomic
def settle_role(*, user: User) -> None:
    """Give a person exactly the system role that department and role call for. Other roles stay as they are."""
    wanted = Group.objects.filter(name=rules.system_role_name(user.department, user.role))
    user.groups.remove(*user.groups.filter(name__in=[name for name, _ in rules.system_roles()]).exclude(pk__in=wanted))
    user.groups.add(*wanted)


@transaction.atomic
def deactivate(*, user: User, at: datetime) -> None:
    """Keep a person from everything at once: sign-ins end, tokens and sessions with them. Idempotent."""
    User.objects.filter(pk=user.pk).update(is_active=False, updated_at=at)
    user.is_active = False
    SignIn.objects.filter(user=user, revoked_at=None).update(revoked_at=at)


def require_good_password(password: str, user: User) -> None:
    """:raises WeakPassword: the password breaks the password rules; the message names each that it breaks."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(reasons=" ".join(error.messages)) from error


@transaction.atomic
def load_system_roles() -> None:
    """Make the system roles and their permissions what `accounts.rules` says. Idempotent."""
    known = dict(
        Permission.objects.annotate(
            name_of=Concat("content_type__app_label", Value("."), "codename"),
        ).values_list("name_of", "pk")
    )
    wanted = dict(rules.system_roles())
    Group.objects.bulk_create([Group(name=name) for name in wanted], ignore_conflicts=True)
    through = Group.permissions.through
    groups = dict(Group.objects.filter(name__in=wanted).values_list("name", "pk"))
    pairs = {(groups[name], known[permission]) for name, permissions in wanted.items() for permission in permissions}
    present = set(through.objects.filter(group_id__in=groups.values()).values_list("group_id", "permission_id"))
    for group_id, permission_id in present - pairs:  # only after a permission was taken from a role: a handful
        through.objects.filter(group_id=group_id, permission_id=permission_id).delete()
    through.objects.bulk_create(
        [through(group_id=group_id, permission_id=permission_id) for group_id, permission_id in pairs - present]
    )


# Absences ------------------------------------------------------------------------------------------------------------
@transaction.atomic
def record_absence(
    *, user: User, starts_on: date, ends_on: date, substitute: User, by: User, absence_id: int | None = None
) -> Absence:
    """Record (or, with `absence_id`, change) when somebody is away, both days included, and who stands in.

    :raises AbsenceOfAnotherDepartment: `by` is neither the head of the person's department nor an administrator.
    :raises AbsenceOverlaps: another absence of the same person covers one of the days.
    :raises SubstituteFromAnotherDepartment: the substitute works elsewhere.
    :raises ConstraintViolated: it ends before it starts, or somebody substitutes for themselves.
    """
    stored = Absence.objects.select_related("user").filter(pk=absence_id or 0)
    for person in (user, *(absence.user for absence in stored)):
        rules.require_absence_keeper(person, by)
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # one absence of a person at a time
    if substitute.department != user.department:
        raise SubstituteFromAnotherDepartment(substitute=substitute, department=user.get_department_display())
    overlapping = Absence.objects.filter(user=user, starts_on__lte=ends_on, ends_on__gte=starts_on)
    if other := overlapping.exclude(pk=absence_id or 0).first():
        raise AbsenceOverlaps(name=user, starts_on=other.starts_on, ends_on=other.ends_on)
    absence = Absence(pk=absence_id, user=user, starts_on=starts_on, ends_on=ends_on, substitute=substitute)
    with explained(Absence):
        absence.save()
    return absence


@transaction.atomic
def remove_absence(*, absence: Absence, by: User) -> None:
    """Take back an absence that was recorded in error, or that didn't happen.

    :raises AbsenceOfAnotherDepartment: `by` is neither the head of the person's department nor an administrator.
    """
    rules.require_absence_keeper(absence.user, by)
    absence.delete()


# Signing in ----------------------------------------------------------------------------------------------------------
@transaction.atomic
def sign_in(*, email: str, password: str, at: datetime, ip_address: str | None, user_agent: str = "") -> Tokens:
    """Check e-mail and password and open a sign-in.

    :raises InvalidCredentials: for an unknown address, a wrong password and a deactivated person alike.
    """
    user = User.objects.filter(email=User.objects.normalize_email(email)).first()
    if user is None:
        make_password(password)  # so that an unknown address takes as long as a wrong password
        raise InvalidCredentials
    if not check_password(password, user.password) or not user.is_active:
        raise InvalidCredentials
    User.objects.filter(pk=user.pk).update(last_login=at)
    opened = SignIn(
        user=user,
        ip_address=ip_address,
        user_agent=user_agent[:200],
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
            issued, new_hash = _issue(opened.user, opened.pk, at=at)
            claimed = SignIn.objects.live(at=at).filter(pk=opened.pk, refresh_hash=token_hash)
            if claimed.update(refresh_hash=new_hash, last_used_at=at, expires_at=at + settings.REFRESH_TOKEN_LIFETIME):
                return issued
    # Outside the transaction above, so that the refusal doesn't undo it: the old token is in two hands.
    SignIn.objects.filter(pk=sign_in_id, revoked_at=None).update(revoked_at=at)
    raise TokenRefused


def sign_out(*, refresh_token: str, at: datetime) -> None:
    """End the sign-in that a refresh token belongs to, access tokens included. Idempotent.

    :raises TokenRefused: it isn't a refresh token of ours.
    """
    claims = tokens.read(refresh_token, kind=tokens.Kind.REFRESH, at=at)
    SignIn.objects.filter(pk=claims.sign_in_id, revoked_at=None).update(revoked_at=at)


def forget_expired_sign_ins(*, at: datetime) -> int:
    """Delete sign-ins and admin sessions that can't be used any more; return how many."""
    sign_ins, _ = SignIn.objects.filter(expires_at__lt=at).delete()
    sessions, _ = Session.objects.filter(expire_date__lt=at).delete()
    return sign_ins + sessions


def _issue(user: User, sign_in_id: uuid.UUID, *, at: datetime) -> tuple[Tokens, str]:
    """Write a pair of tokens; return it with the hash of the refresh token's id."""
    token_id = uuid.uuid4().hex
    claims = tokens.Claims(user.pk, sign_in_id, token_id)
    access_token, refresh_token = (tokens.write(claims, kind=kind, email=user.email, at=at) for kind in tokens.Kind)
    return Tokens(access_token, refresh_token, user), _hash(token_id)


def _hash(token_id: str) -> str:
    return hashlib.sha256(token_id.encode()).hexdigest()

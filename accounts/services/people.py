"""Verbs about people: taking on, changing, deactivating; what is one's own; divisions.

`by` is who asks for it; None is the system: a command, or a provider that tells of somebody new. Whoever is no
administrator gives nobody more than they have themselves, and leaves administrators alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts import rules
from accounts.choices import Role
from accounts.errors import LastAdministrator, UserExists
from accounts.models import Division, User
from accounts.services import passwords, roles, sessions
from clearance.constraints import explained, require_valid_fields
from clearance.errors import NotFound
from outbox import services as outbox


@transaction.atomic
def take_on(
    *,
    email: str,
    full_name: str,
    department: str,
    role: str,
    by: User | None,
    password: str | None = None,
    divisions: Iterable[Division] = (),
    further_roles: Iterable[Group] = (),
    **fields: object,
) -> User:
    """Add a person; without a password, one who can't sign in until it is set. No mail is written: see `invite`.

    :raises Forbidden: :raises AdministratorsOnly: :raises BeyondYourRights: `by` may not, or not that much.
    :raises UserExists: the e-mail address is taken.
    :raises WeakPassword: the password breaks the password rules.
    :raises SystemRoleIsFixed: one of the further roles follows from department and role.
    :raises InvalidFields: :raises ConstraintViolated: a value can't be right.
    """
    rules.require_permission(by, "accounts.add_user")
    rules.require_may_touch(by, role)
    rules.require_holds(by, rules.permissions_of(department, role))
    divisions = list(divisions)
    rules.require_within_sight(by, {one.pk for one in divisions})
    user = User.objects.with_password(email, password, full_name=full_name, department=department, role=role, **fields)
    require_valid_fields(user)
    rules.require_time_zone(user.time_zone)
    if password is not None:
        passwords.require_good_password(password, user)
    with explained(User), _address_free(user.email):
        user.save(force_insert=True)
    passwords.remember(user, at=user.created_at)
    user.divisions.set(divisions)
    roles.settle_role(user=user)
    roles.hold_exactly(further_roles, user=user, by=by)
    return user


@transaction.atomic
def amend_person(*, user_id: int, changes: Mapping[str, Any], by: User | None, at: datetime) -> User:
    """Change what is known of a person; role, permissions and sign-ins follow with the next request.

    `changes` may hold every field of `take_on` but the password, and `is_active`, `is_staff`.

    :raises Forbidden: :raises AdministratorsOnly: :raises BeyondYourRights: `by` may not, or not that much.
    :raises NotFound: there is no such person.
    :raises UserExists: the e-mail address is somebody else's.
    :raises LastAdministrator: nobody would be left to administer. :raises NotAPerson: it is a service account.
    :raises SystemRoleIsFixed: one of the further roles follows from department and role.
    :raises InvalidFields: :raises ConstraintViolated: a value can't be right.
    """
    rules.require_permission(by, "accounts.change_user")
    user = locked(user_id)
    rules.require_person(user)
    rules.require_may_touch(by, user.role, changes.get("role", user.role))
    was_active, had = user.is_active, rules.permissions_of(user.department, user.role)
    fields = _differing(user, changes)
    if fields.keys() & {"department", "role"}:
        rules.require_somebody_else(by, user)
    if fields.keys() & {"email", "is_active"} and fields.get("is_active", True):
        # Who has the address can have the password.
        rules.require_reaches(by, user)
    for name, value in fields.items():
        setattr(user, name, value)
    if gained := rules.permissions_of(user.department, user.role) - had:
        rules.require_holds(by, gained)
        rules.require_within_sight(by, user.own_divisions)
    require_valid_fields(user)
    rules.require_time_zone(user.time_zone)
    if fields:
        with explained(User), _address_free(user.email):
            user.save(update_fields=[*fields, "updated_at"])
        require_an_administrator()
    if "divisions" in changes:
        rules.require_within_sight(by, {one.pk for one in changes["divisions"]})
        user.divisions.set(changes["divisions"])
    roles.settle_role(user=user)
    if "further_roles" in changes:
        roles.hold_exactly(changes["further_roles"], user=user, by=by)
    if was_active and not user.is_active:
        sessions.sign_out_everywhere(user=user, at=at)
    return user


def deactivate(*, user: User, by: User | None, at: datetime) -> None:
    """Keep a person from everything at once: sign-ins end, tokens and sessions with them. Idempotent.

    :raises Forbidden: :raises AdministratorsOnly: `by` may not.
    :raises LastAdministrator: nobody would be left to administer.
    """
    amend_person(user_id=user.pk, changes={"is_active": False}, by=by, at=at)
    user.is_active = False


@transaction.atomic
def amend_oneself(*, user: User, changes: Mapping[str, Any], at: datetime) -> User:
    """Change what is one's own to choose: `phone`, `language`, `time_zone`. The rest is for administrators.

    :raises InvalidFields: a value can't be right.
    """
    own: User = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if chosen := _differing(own, {name: changes[name] for name in rules.ONES_OWN if name in changes}):
        for name, value in chosen.items():
            setattr(own, name, value)
        require_valid_fields(own)
        rules.require_time_zone(own.time_zone)
        with explained(User):
            own.save(update_fields=[*chosen, "updated_at"])
    return own


@transaction.atomic
def choose_language(*, user: User, language: str, at: datetime) -> None:
    """Show a person pages and messages in another language from now on."""
    User.objects.filter(pk=user.pk).update(language=language, updated_at=at)


@transaction.atomic
def choose_messages(
    *,
    user: User,
    by: User,
    at: datetime,
    language: str | None = None,
    mail: Collection[str] | None = None,
    sms: Collection[str] | None = None,
) -> None:
    """Choose in which language a person is written to, and which alerts come by mail and by text message (I12).

    What is None stays as it is.

    :raises Forbidden: :raises AdministratorsOnly: it is somebody else, and `by` may not.
    :raises PhoneMissing: :raises NoTextMessages: a text message is wanted that could go nowhere.
    """
    if by.pk != user.pk:
        rules.require_permission(by, "accounts.change_user")
        rules.require_may_touch(by, user.role)
    outbox.choose_channels(user=user, mail=mail, sms=sms)
    if language is not None:
        choose_language(user=user, language=language, at=at)


@transaction.atomic
def save_division(*, division: Division, by: User | None) -> Division:
    """Add or rename a division.

    :raises Forbidden: `by` may not. :raises InvalidFields: a value can't be right.
    """
    rules.require_permission(by, "accounts.change_division" if division.pk else "accounts.add_division")
    require_valid_fields(division)
    division.save()
    return division


def locked(user_id: int) -> User:
    """Lock a person together with every administrator, always in the same order, so that one of those is left.

    :raises NotFound: there is no such person.
    """
    found = User.objects.filter(Q(pk=user_id) | Q(role=Role.ADMIN)).order_by("pk").select_for_update(no_key=True)
    user: User | None = next((one for one in found if one.pk == user_id), None)
    if user is None:
        raise NotFound
    return user


def require_an_administrator() -> None:
    """:raises LastAdministrator: nobody is left who administers; the caller holds the administrators' locks."""
    if not User.objects.administrators().exists():
        raise LastAdministrator


def _differing(user: User, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the changes that are the person's own columns and hold something else now."""
    given = {name: value for name, value in changes.items() if name not in ("divisions", "further_roles")}
    if "email" in given:
        given["email"] = User.objects.normalize_email(given["email"])
    fields = {name: value for name, value in given.items() if getattr(user, name) != value}
    if "email" in fields:
        fields["email_verified_at"] = None
    return fields


@contextmanager
def _address_free(email: str) -> Iterator[None]:
    """:raises UserExists: the database says that the address is used; so no race can slip through."""
    try:
        yield
    except IntegrityError as error:
        if "(email)" in str(error):
            raise UserExists(email=email) from error
        raise

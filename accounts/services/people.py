"""Verbs about people: taking on, changing, deactivating; divisions; the system roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, transaction
from django.db.models import Q, Value
from django.db.models.functions import Concat

from accounts import rules
from accounts.choices import Role
from accounts.errors import LastAdministrator, UserExists
from accounts.models import Division, User
from accounts.services import passwords, sessions
from clearance.constraints import explained, require_valid_fields


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
        passwords.require_good_password(password, user)
    with _address_free(email):
        user.save(force_insert=True)
    passwords.remember(user, at=user.created_at)
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
        if fields["email"] != user.email:
            fields["email_verified_at"] = None
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
    sessions.sign_out_everywhere(user=user, at=at)


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

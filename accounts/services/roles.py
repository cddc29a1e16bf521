"""Verbs about roles: those of the system, which follow the rules, and further ones, which people make."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts import rules
from accounts.errors import RoleIsHeld, RoleNameTaken
from accounts.models import RoleGroup, User
from clearance.constraints import require_valid_fields
from clearance.errors import NotFound


@transaction.atomic
def add_role(*, name: str, permissions: Collection[str], by: User) -> RoleGroup:
    """Add a role with these permissions (`app.codename`), which people may then hold beside their own.

    :raises Forbidden: :raises BeyondYourRights: `by` may not, or doesn't have them all.
    :raises RoleNameTaken: another role has the name, in whatever letters.
    :raises UnknownRight: :raises InvalidFields: a value can't be right.
    """
    rules.require_permission(by, "accounts.change_user")
    role = RoleGroup(name=name.strip())
    _require_good_name(role)
    with _name_free(role.name):
        role.save(force_insert=True)
    _give(role, permissions, by=by)
    return role


@transaction.atomic
def amend_role(*, role_id: int, name: str, permissions: Collection[str], by: User) -> RoleGroup:
    """Rename a role, and have it bring exactly these permissions; it counts with the next request of who holds it.

    :raises NotFound: :raises SystemRoleIsFixed: there is no such role to change. For the others see `add_role`.
    """
    role = _locked(role_id, by=by)
    if name.strip() != role.name:
        role.name = name.strip()
        _require_good_name(role)
        with _name_free(role.name):
            role.save(update_fields=["name"])
    _take(role, _permissions_of(role) - set(permissions))
    _give(role, permissions, by=by)
    return role


@transaction.atomic
def give_to_role(*, role_id: int, permissions: Collection[str], by: User) -> RoleGroup:
    """Have a role bring these permissions as well. Idempotent. Raises as `amend_role`."""
    role = _locked(role_id, by=by)
    _give(role, permissions, by=by)
    return role


@transaction.atomic
def take_from_role(*, role_id: int, permissions: Collection[str], by: User) -> RoleGroup:
    """Have a role bring these permissions no more. Idempotent. Raises as `amend_role`."""
    role = _locked(role_id, by=by)
    rules.require_grantable(permissions)
    _take(role, permissions)
    return role


@transaction.atomic
def delete_role(*, role_id: int, by: User) -> None:
    """Delete a role that nobody holds.

    :raises NotFound: :raises SystemRoleIsFixed: :raises Forbidden: as `amend_role`.
    :raises RoleIsHeld: people would lose rights without anybody looking at them one by one.
    """
    role = _locked(role_id, by=by)
    if count := User.objects.filter(groups=role).count():
        raise RoleIsHeld(name=role.name, count=count)
    role.delete()


@transaction.atomic
def settle_role(*, user: User) -> None:
    """Give a person exactly the system role that department and role call for. Other roles stay as they are."""
    wanted = Group.objects.filter(name=rules.system_role_name(user.department, user.role))
    user.groups.remove(*user.groups.filter(name__in=rules.system_role_names()).exclude(pk__in=wanted))
    user.groups.add(*wanted)


def hold_exactly(further: Iterable[Group], *, user: User, by: User | None) -> None:
    """Have a person hold exactly these roles beside that of department and role; in the caller's transaction.

    :raises NotFound: one was deleted meanwhile. :raises SystemRoleIsFixed: one follows from department and role.
    :raises BeyondYourRights: one that is new brings what `by` doesn't have, or to somebody who sees more.
    """
    wanted = {role.pk for role in further}
    # Locked, so that none is deleted, or gets another permission, between the look and the gift.
    found = list(Group.objects.filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True))
    if len(found) < len(wanted):
        raise NotFound
    for role in found:
        rules.require_custom(role.name)
    held = set(user.groups.exclude(name__in=rules.system_role_names()).values_list("pk", flat=True))
    added = [role for role in found if role.pk not in held]
    if added and by is not None:
        brought = Permission.objects.filter(group__in=added)
        rules.require_holds(by, _by_name(brought))
        rules.require_within_sight(by, set(user.divisions.values_list("pk", flat=True)))
    user.groups.remove(*(held - wanted))
    user.groups.add(*added)


@transaction.atomic
def load_system_roles() -> None:
    """Make the system roles and their permissions what `accounts.rules` says. Idempotent."""
    known = _by_name(Permission.objects.all())
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


def _locked(role_id: int, *, by: User) -> RoleGroup:
    """:raises Forbidden: :raises NotFound: :raises SystemRoleIsFixed:"""
    rules.require_permission(by, "accounts.change_user")
    role = RoleGroup.objects.select_for_update().filter(pk=role_id).first()
    if role is None:
        raise NotFound
    rules.require_custom(role.name)
    return role  # type: ignore[return-value]  # a proxy's manager is taken for that of its table


def _give(role: RoleGroup, permissions: Collection[str], *, by: User) -> None:
    """:raises UnknownRight: :raises BeyondYourRights:"""
    rules.require_grantable(permissions)
    added = set(permissions) - _permissions_of(role)
    rules.require_holds(by, added)
    role.permissions.add(*_found(added))


def _take(role: RoleGroup, permissions: Collection[str]) -> None:
    role.permissions.remove(*_found(permissions))


def _permissions_of(role: RoleGroup) -> set[str]:
    return set(_by_name(role.permissions.all()))


def _found(permissions: Collection[str]) -> list[int]:
    known = _by_name(Permission.objects.filter(codename__in=[name.split(".")[1] for name in permissions]))
    return [known[name] for name in permissions]


def _by_name(permissions: QuerySet[Permission]) -> dict[str, int]:
    """The ids of permissions by their names, `app.codename`."""
    found = permissions.order_by().values_list("content_type__app_label", "codename", "pk")
    return {f"{app}.{codename}": pk for app, codename, pk in found}


def _require_good_name(role: RoleGroup) -> None:
    """:raises InvalidFields: :raises RoleNameTaken:"""
    require_valid_fields(role)
    rules.require_free_name(role.name)
    if RoleGroup.objects.filter(name__iexact=role.name).exclude(pk=role.pk).exists():
        raise RoleNameTaken(name=role.name)


@contextmanager
def _name_free(name: str) -> Iterator[None]:
    """:raises RoleNameTaken: the database says that the name is used; so no race can slip through."""
    try:
        yield
    except IntegrityError as error:
        if "(name)" in str(error):
            raise RoleNameTaken(name=name) from error
        raise

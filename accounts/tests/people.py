"""People whose rights tests bend: with an override, a further role, and as the next request sees them."""

from __future__ import annotations

from django.contrib.auth.models import Permission

from accounts.models import Override, RoleGroup, User
from clearance.tests.cast import Cast
from clearance.tests.recipes import NOON


def fresh(user: User) -> User:
    """As the next request sees them: without kept rights."""
    found: User = User.objects.get(pk=user.pk)
    return found


def right(name: str) -> Permission:
    app, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)


def granted(user: User, *names: str, is_granted: bool = True) -> User:
    """Somebody who is granted (or denied) these by name."""
    Override.objects.bulk_create(
        Override(user=user, permission=right(name), is_granted=is_granted, reason="A test", created_at=NOON)
        for name in names
    )
    return fresh(user)


def denied(user: User, *names: str) -> User:
    return granted(user, *names, is_granted=False)


def role(*names: str, name: str = "Reporting") -> RoleGroup:
    made: RoleGroup = RoleGroup.objects.create(name=name)
    made.permissions.set(map(right, names))
    return made


def holding(user: User, *roles: RoleGroup) -> User:
    user.groups.add(*roles)
    return fresh(user)


def caretaker(cast: Cast, *more: str) -> User:
    """Somebody who looks after people without being an administrator: Internal Audit's, with a further role."""
    return holding(cast.auditor, role("accounts.add_user", "accounts.change_user", *more, name="Caretakers"))

"""Verbs about overrides: granting or denying somebody one right by name, and taking that back."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import Permission
from django.db import transaction

from accounts import rules
from accounts.models import Override, User
from accounts.services import people
from clearance import context
from clearance.constraints import require_valid_fields
from clearance.errors import NotFound, ReasonMissing


@transaction.atomic
def override(*, user_id: int, permission: str, is_granted: bool, reason: str, by: User, at: datetime) -> Override:
    """Grant or deny somebody a permission (`app.codename`), whatever their roles say; counts with the next request.

    There is one override of a person's permission: another one takes its place.

    :raises Forbidden: :raises AdministratorsOnly: `by` may not.
    :raises BeyondYourRights: `by` would grant what they don't have, or to somebody who sees more.
    :raises NotFound: there is no such person. :raises NotAPerson: it is a service account, whose role alone decides.
    :raises UnknownRight: :raises ReasonMissing: :raises InvalidFields: what is given can't be right.
    :raises LastAdministrator: nobody would be left to administer.
    """
    rules.require_permission(by, "accounts.change_user")
    rules.require_grantable([permission])
    if not reason.strip():
        raise ReasonMissing
    user = people.locked(user_id)
    rules.require_person(user)
    rules.require_may_touch(by, user.role)
    if is_granted:
        rules.require_holds(by, [permission])
        rules.require_within_sight(by, user.own_divisions)
    app, codename = permission.split(".")
    right = Permission.objects.get(content_type__app_label=app, codename=codename)
    made = Override.objects.filter(user=user, permission=right).first() or Override(user=user, permission=right)
    made.is_granted, made.reason, made.created_by, made.created_at = is_granted, reason.strip(), by, at
    require_valid_fields(made)
    with context.remarking(reason=made.reason):
        made.save()
    people.require_an_administrator()
    return made


@transaction.atomic
def take_override_back(*, user_id: int, override_id: int, by: User) -> None:
    """Have a person's roles decide again about a permission.

    :raises Forbidden: :raises AdministratorsOnly: `by` may not.
    :raises BeyondYourRights: it was denied, and `by` doesn't have it themselves, or sees less.
    :raises NotFound: there is no such override of this person.
    """
    rules.require_permission(by, "accounts.change_user")
    user = people.locked(user_id)
    rules.require_may_touch(by, user.role)
    kept = Override.objects.select_related("permission__content_type").filter(user=user, pk=override_id).first()
    if kept is None:
        raise NotFound
    if not kept.is_granted:
        right = kept.permission
        rules.require_holds(by, [f"{right.content_type.app_label}.{right.codename}"])
        rules.require_within_sight(by, user.own_divisions)
    kept.delete()

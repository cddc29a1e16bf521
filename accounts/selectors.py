"""Reads about people that join several models."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from accounts.models import Absence, User


def stands_in_for(user: User, *, on: date) -> list[int]:
    """Return the ids of the people for whom `user` is the substitute on that day."""
    return list(Absence.objects.covering(on).filter(substitute=user).values_list("user_id", flat=True))


_SIGNED_IN = """
    SELECT person.*,
           ARRAY(SELECT division_id FROM accounts_user_divisions WHERE user_id = person.id) AS division_ids,
           ARRAY(
               SELECT type.app_label || '.' || permission.codename
               FROM (
                   SELECT granted.permission_id
                   FROM accounts_user_groups role
                   JOIN auth_group_permissions granted USING (group_id)
                   WHERE role.user_id = person.id
                   UNION
                   SELECT permission_id FROM accounts_user_user_permissions WHERE user_id = person.id
               ) AS granted
               JOIN auth_permission permission ON permission.id = granted.permission_id
               JOIN django_content_type type ON type.id = permission.content_type_id
           ) AS permissions
    FROM accounts_user person
    JOIN accounts_signin sign_in ON sign_in.user_id = person.id
    WHERE person.id = %s AND person.is_active AND sign_in.id = %s AND sign_in.revoked_at IS NULL
"""


def signed_in(*, user_id: int, sign_in_id: UUID) -> User | None:
    """Return the person behind an access token; None once the sign-in was ended or the person deactivated.

    One statement, as every request to the API begins with it: divisions and permissions come along.
    """
    for user in User.objects.raw(_SIGNED_IN, [user_id, sign_in_id]):
        user.own_divisions = frozenset(user.division_ids)
        user._perm_cache = set(user.permissions)  # where Django's ModelBackend looks first
        return user  # type: ignore[no-any-return]
    return None

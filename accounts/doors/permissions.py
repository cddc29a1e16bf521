"""Who may use a view at all; what may be done with a record is for the desk to say."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.errors import PeopleOnly


class MayRead(BasePermission):
    """The person's roles carry the permission that the view names in `reads`, if it names one."""

    def has_permission(self, request: Request, view: Any) -> bool:
        permission = getattr(view, "reads", "")
        return not permission or request.user.has_perm(permission)


class IsPerson(BasePermission):
    """A person acts, not a machine with an API key."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """:raises PeopleOnly: a service account."""
        if request.user.is_authenticated and request.user.is_service:
            raise PeopleOnly
        return True

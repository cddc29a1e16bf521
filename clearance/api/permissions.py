"""Who may use a view at all; what may be done with a record is for the desk to say."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class MayRead(BasePermission):
    """The person's roles carry the permission that the view names in `reads`, if it names one."""

    def has_permission(self, request: Request, view: Any) -> bool:
        permission = getattr(view, "reads", "")
        return not permission or request.user.has_perm(permission)

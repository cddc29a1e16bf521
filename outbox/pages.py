"""What the outbox brings to the first page: word of a mail server that doesn't work."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from outbox.models import Message


def notices(request: HttpRequest) -> list[dict[str, Any]]:
    if not request.user.has_perm("outbox.view_carrier"):
        return []
    return admin.site.get_model_admin(Message).notices(request)


NOTICES = (notices,)

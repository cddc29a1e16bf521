"""Why the history is left alone."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class LeftAlone(BaseCommand):
    """Takes the place of a command of django-simple-history that would rewrite what the trail keeps (C24)."""

    help = "Refused: history is part of the trail, which is written by the database alone and kept for years."

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError(
            "Nothing was done. History is part of the trail: the database alone writes it, nobody rewrites it, and it"
            f" is kept for {settings.AUDIT_RETENTION_YEARS} years."
        )

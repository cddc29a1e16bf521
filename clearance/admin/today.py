"""The first page: what is wrong, what waits for this person, the board of their department: each brought by an app."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import HttpRequest

from clearance.rooms import rooms


def today(request: HttpRequest, *, on: date) -> dict[str, Any]:
    """What the first page shows; what it asks of the database doesn't grow with what is there."""
    brought = rooms("pages")
    notices = [notice for room in brought for tell in getattr(room, "NOTICES", ()) for notice in tell(request)]
    sections = [
        section
        for room in brought
        for tell in getattr(room, "SECTIONS", ())
        if (section := tell(request, on=on)) is not None
    ]
    shown: dict[str, Any] = {}
    for section in sections:
        shown |= section.context
    return {
        **shown,
        "on": on,
        "notices": notices,
        "sections": sections,
        "links": [link for section in sections for link in section.links],
        "has_charts": any(section.has_charts for section in sections),
    }

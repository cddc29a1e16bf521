"""What apps bring to the back office in their `pages`, and what all of its pages show.

`PAGES` are addresses of its own; `GUARDS` see every request of somebody signed in first, and may answer it; `NOTICES`
tell what is wrong with the machinery that people rely on; `SECTIONS` are the parts of the first page, from the ground
up, and `BOARDS` those of a department.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True)
class Page:
    """An address below the back office's, named for links; for people who work here unless it `is_open`."""

    route: str
    name: str
    view: Callable[..., HttpResponse]
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the first page: what its template shows, and links that lead to it from the page's top."""

    template: str
    context: Mapping[str, Any]
    links: Sequence[tuple[str, Any]] = field(default=())  # anchor, label
    has_charts: bool = False


def page_context(request: HttpRequest, title: Any, **more: Any) -> dict[str, Any]:
    """What the frame around a page needs, and its title."""
    return {**admin.site.each_context(request), "title": title, "subtitle": None, **more}

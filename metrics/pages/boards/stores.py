"""Stores’ board: what has been collected, what comes, what is to be confirmed or claimed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from metrics.pages.boards.parts import Fact, coming, list_of, named
from metrics.selectors import boards
from workflow.choices import Due
from workflow.models import WorkflowStep


def stores(request: HttpRequest, *, on: date) -> dict[str, Any]:
    found = boards.receipts(request.user, on=on)
    settling = [
        {"title": f"{number} {name}", **_group(place, number, on=on)}
        for (number, name), place in sorted(found.to_settle.items())
    ]
    received = [{"title": _("Collected, not received yet"), **_group(found.to_receive, boards.RECEIVED, on=on)}]
    expected = found.coming.values()
    unknown = sum(place.unknown for place in expected)
    return {
        "template": "admin/today/stores.html",
        "title": _("Receipts and claims"),
        "facts": [
            Fact(
                found.to_receive.total,
                _("collected, not received yet"),
                _list(boards.RECEIVED, turn="now"),
                is_bad=bool(found.to_receive.total),
            ),
            Fact(
                sum(place.containers for place in expected),
                _("containers expected in the next fourteen days"),
                _list(boards.RECEIVED, turn="held", target_date__gte=on, target_date__lte=max(found.coming)),
            ),
            *([Fact(unknown, _("shipments among them with an unknown number, counted as one"))] if unknown else []),
            Fact(
                found.delayed.total,
                _("due here already, still at the port"),
                _list(boards.RECEIVED, turn="held", due=Due.PAST.value),
                is_bad=bool(found.delayed.total),
            ),
        ],
        "groups": [group for group in (*received, *settling) if group["steps"]],
        "chart": coming(
            {day: place.total for day, place in found.coming.items()},
            name="receipts",
            title=_("Receipts expected in the next fourteen days"),
            series=_("Shipments"),
            none=_("No receipt is expected in the next fourteen days."),
            some=lambda n: ngettext(
                "%(count)d receipt is expected in the next fourteen days. Busiest day: %(day)s (%(most)d).",
                "%(count)d receipts are expected in the next fourteen days. Busiest day: %(day)s (%(most)d).",
                n,
            ),
        ),
    }


def _group(place: boards.Place, number: Decimal, *, on: date) -> dict[str, Any]:
    return {
        "total": place.total,
        "steps": named(place, on=on),
        "more": place.total - len(place.steps),
        "url": _list(number, turn="now"),
    }


def _list(number: Decimal, **query: Any) -> str:
    return list_of(WorkflowStep, whose="department", q=number, **query)

"""C&C’s board: what is to be declared, paid and collected, day by day."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from metrics.pages.boards.parts import list_of, named, told
from metrics.selectors import boards
from workflow.choices import Due
from workflow.models import WorkflowStep


def customs(request: HttpRequest, *, on: date) -> dict[str, Any]:
    found = boards.schedule(request.user, on=on)
    days = [
        {
            "told": told(day) if day else _("Overdue"),
            "aside": _("today") if day == on else "",
            "is_late": day is None,
            "places": [
                {
                    "step": f"{number} {found.steps[number]}",
                    "steps": named(place, on=on),
                    "more": place.total - len(place.steps),
                    "url": list_of(WorkflowStep, whose="department", q=number, **_when(day)),
                }
                for number, place in places.items()
            ],
        }
        for day, places in found.days.items()
    ]
    return {
        "template": "admin/today/customs.html",
        "title": _("Bayan, payment and collection"),
        "steps": [f"{number} {name}" for number, name in found.steps.items()],
        "days": [day for day in days if any(place["steps"] for place in day["places"])],
    }


def _when(day: date | None) -> dict[str, Any]:
    """Of an overdue shipment only its first critical step is meant."""
    return {"target_date": day} if day else {"due": Due.PAST.value, "turn": "first"}

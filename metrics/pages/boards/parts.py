"""What boards are made of: figures with their lists, charts of days, steps by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from clearance.admin.charts import Chart
from metrics.selectors.boards import Place


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure, what it counts, and the list behind it."""

    figure: Any
    told: str
    url: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class NoChart:
    """In the place of a chart that would have nothing to show: a sentence that says so."""

    title: str
    sentence: str


def list_of(model: type[Model], **query: Any) -> str:
    """The address of a list, with these filters."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{url}?{urlencode(query)}" if query else url


def told(day: date) -> str:
    """A day of the next weeks, with its weekday."""
    return date_format(day, "D j M")


def coming(
    days: dict[date, int], *, name: str, title: str, series: str, none: str, some: Callable[[int], str]
) -> Chart | NoChart:
    """How many come on each day, as a chart."""
    count, busiest = sum(days.values()), max(days, key=lambda day: days[day])
    if not count:
        return NoChart(title, none)
    sentence = some(count) % {"count": count, "day": told(busiest), "most": days[busiest]}
    labels = [told(day) for day in days]
    return Chart(name, "bar", title, sentence, _("Day"), labels, {series: list(days.values())})


def named(place: Place, *, on: date) -> list[dict[str, Any]]:
    """The steps that a place of a schedule names."""
    return [
        {
            "number": row.shipment__shipment_number,
            "principal": row.shipment__principal,
            "about": f"{row.step_number} {row.step_name}",
            "url": reverse("admin:workflow_workflowstep_change", args=[row.pk]),
            "days_late": max((on - row.target_date).days, 0),
            "done_on": getattr(row, "done_on", None),
        }
        for row in place.steps
    ]

"""Figures on paper: the monthly report, and each figure with its rows as a workbook."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.choices import DEPARTMENTS, Department
from clearance import sheets
from clearance.admin.display import money
from clearance.admin.pages import page_context
from clearance.clock import day_of
from clearance.errors import DomainError, InvalidFields
from metrics import selectors as metrics
from shipments.choices import EARLIEST_DATE, LATEST_DATE

COSTLIEST = 10
ONE_DAY = timedelta(days=1)

TITLES = {
    "clearance-time": gettext_lazy("Clearance time"),
    "on-time-rate": gettext_lazy("On-time rate"),
    "demurrage-savings": gettext_lazy("Demurrage incurred and avoided"),
    "delayed-steps": gettext_lazy("Delayed steps"),
}
LABELS: dict[str, Promise] = {
    "definition": gettext_lazy("How it is reckoned"),
    "from": gettext_lazy("From"),
    "to": gettext_lazy("To"),
    "department": gettext_lazy("Department"),
    "as_of": gettext_lazy("As of"),
    "daily_rate_omr": gettext_lazy("Daily rate (OMR)"),
    "free_time_days": gettext_lazy("Free time (days)"),
    "counterfactual_days": gettext_lazy("Counterfactual delay (days)"),
    "counterfactual_is": gettext_lazy("The counterfactual delay is"),
    "set": gettext_lazy("set"),
    "computed": gettext_lazy("computed"),
    "unknown": gettext_lazy("unknown"),
    "end_to_end": gettext_lazy("End to end"),
    "departments": gettext_lazy("By department"),
    "steps": gettext_lazy("By step"),
    "shipments": gettext_lazy("Shipments"),
    "average_days": gettext_lazy("Days, average"),
    "median_days": gettext_lazy("Days, median"),
    "p90_days": gettext_lazy("Days, 90th percentile"),
    "judged": gettext_lazy("Judged"),
    "on_time": gettext_lazy("On time"),
    "late": gettext_lazy("Late"),
    "still_open": gettext_lazy("Still open"),
    "not_judged": gettext_lazy("Without critical steps"),
    "on_time_percent": gettext_lazy("On time (%)"),
    "incurred_omr": gettext_lazy("Incurred (OMR)"),
    "savings_omr": gettext_lazy("Avoided (OMR)"),
    "containers": gettext_lazy("Containers"),
    "containers_unknown": gettext_lazy("Without a container count"),
    "container_days": gettext_lazy("Container days"),
    "delay_days": gettext_lazy("Days late"),
    "waiting_days": gettext_lazy("Days waiting"),
    "working_days": gettext_lazy("Days working"),
    "average_delay_days": gettext_lazy("Days late, average"),
    "mandatory": gettext_lazy("Mandatory steps"),
    "delayed": gettext_lazy("Delayed"),
    "completed_late": gettext_lazy("Completed late"),
    "overdue": gettext_lazy("Overdue"),
    "step_number": gettext_lazy("Number"),
    "step_name": gettext_lazy("Step"),
}


class RangeForm(forms.Form):
    to = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    department = forms.ChoiceField(required=False, choices=[("", ""), *DEPARTMENTS])

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["from"] = forms.DateField(required=False, input_formats=["%Y-%m-%d"])

    def asked(self, request: HttpRequest, *, on: date) -> metrics.Question:
        given = self.cleaned_data
        return metrics.ask(
            user=request.user, on=on, from_=given["from"], until=given["to"], department=given["department"]
        )


# Export --------------------------------------------------------------------------------------------------------------
def export(request: HttpRequest, figure: str) -> HttpResponse:
    """A figure and the rows behind it as a workbook; a refusal is told on the first page."""
    _require_permission(request)
    if figure not in TITLES:
        raise Http404
    form = RangeForm(request.GET)
    if not form.is_valid():
        field, faults = next(iter(form.errors.items()))
        return _refused(request, f"{LABELS[field]}: {faults[0]}")
    try:
        answer, rows = metrics.with_rows(figure, form.asked(request, on=day_of(timezone.now())))
    except InvalidFields as refusal:
        fault = refusal.details()[0]
        return _refused(request, f"{LABELS[fault['field']]}: {fault['message']}")
    except DomainError as refusal:
        return _refused(request, str(refusal))
    title = str(TITLES[figure])
    content = sheets.write(
        sheets.Page(title, _lines(answer), heading_row=0, widths={1: 40, 2: 18, 3: 18}),
        sheets.Page(_("Rows"), rows, widths=dict.fromkeys(range(1, 11), 18)),
    )
    name = f"{figure}-{answer['inputs']['from']}-{answer['inputs']['to']}.xlsx"
    return HttpResponse(content, sheets.CONTENT_TYPE, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _refused(request: HttpRequest, sentence: str) -> HttpResponse:
    messages.error(request, sentence)
    return HttpResponseRedirect(reverse("admin:index"))


def _lines(answer: dict[str, Any]) -> Iterator[list[Any]]:
    """A figure as lines of a sheet: what it says, then its tables."""
    for name, value in answer.items():
        if isinstance(value, dict):
            yield [str(LABELS.get(name, ""))]
            yield from _lines(value)
        elif isinstance(value, list):
            yield []
            yield [str(LABELS[name])]
            yield [str(LABELS[column]) for column in value[0]] if value else []
            yield from ([_cell(column, cell) for column, cell in row.items()] for row in value)
        else:
            yield [str(LABELS[name]), _cell(name, value)]


def _cell(name: str, value: Any) -> Any:
    if name == "department":
        return str(Department(value).label) if value else _("All")
    if name == "counterfactual_is":
        return str(LABELS[value])
    return str(value) if name == "step_number" else value


# The monthly report --------------------------------------------------------------------------------------------------
def report(request: HttpRequest, year: int, month: int) -> HttpResponse:
    """The figures of a month beside those of the month before, on a page that prints."""
    _require_permission(request)
    on = day_of(timezone.now())
    try:
        first = date(year, month, 1)
    except ValueError as error:
        raise Http404 from error
    if not EARLIEST_DATE < first <= min(on, LATEST_DATE):
        raise Http404
    asked, before = (_month(request, day, on=on) for day in (first, first - ONE_DAY))
    spans = {one["department"]: one for one in metrics.clearance_time(asked)["departments"]}
    context = {
        **page_context(request, _("Management report")),
        "on": on,
        "month": first,
        "month_before": before.from_,
        "next_month": asked.until + ONE_DAY if asked.until < on else None,
        "is_running": asked.until >= on,
        "headlines": list(zip(_headlines(asked), _headlines(before), strict=True)),
        "own_department": Department(own).label if (own := asked.own_department) else "",
        "departments": [
            one | {"name": Department(one["department"]).label, "span": spans[one["department"]]}
            for one in metrics.by_department(asked)
        ],
        "principals": metrics.by_principal(asked),
        "costliest": metrics.costliest(asked, most=COSTLIEST),
        "definitions": [(title, metrics.FIGURES[name](asked)["definition"]) for name, title in TITLES.items()],
        "exports": [(title, reverse("admin:metrics_export", args=[name])) for name, title in TITLES.items()],
        "range": urlencode({"from": asked.from_, "to": asked.until}),
    }
    return TemplateResponse(request, "admin/metrics/report.html", context)


def _month(request: HttpRequest, day: date, *, on: date) -> metrics.Question:
    """Ask about the month that a day lies in."""
    last = day.replace(day=monthrange(day.year, day.month)[1])
    return metrics.ask(user=request.user, on=on, from_=day.replace(day=1), until=last)


def _headlines(asked: metrics.Question) -> list[tuple[str, str]]:
    """What the report begins with: labels and values."""
    cleared, on_time = metrics.clearance_time(asked)["end_to_end"], metrics.on_time_rate(asked)
    demurrage = metrics.demurrage_savings(asked)
    delays = metrics.delayed_steps(asked)["departments"]
    return [
        (_("Shipments cleared"), _number(cleared["shipments"])),
        (_("Days to clear (median)"), _number(cleared["median_days"])),
        (_("Shipments judged"), _number(on_time["judged"])),
        (_("On time (%)"), _number(on_time["on_time_percent"])),
        (_("Demurrage incurred (OMR)"), money(demurrage["incurred_omr"])),
        (_("Demurrage avoided (OMR)"), money(demurrage["savings_omr"])),
        (_("Delayed steps"), _number(sum(one["delayed"] for one in delays))),
        (_("Days late, waiting for others"), _number(sum(one["waiting_days"] for one in delays))),
        (_("Days late, working"), _number(sum(one["working_days"] for one in delays))),
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else number_format(value, use_l10n=True, force_grouping=True)


def _require_permission(request: HttpRequest) -> None:
    if not request.user.has_perm("metrics.view_metric"):
        raise PermissionDenied

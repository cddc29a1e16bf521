"""Management’s board: the indicators of a year, and where the delay arises."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from accounts.choices import Department
from clearance.admin.charts import Chart
from clearance.admin.display import money
from metrics import rules
from metrics import selectors as metrics
from metrics.pages.boards.parts import Fact, NoChart, list_of
from metrics.pages.figures import TITLES
from shipments.choices import Status
from shipments.models import Shipment

MONTHS = 12


def management(request: HttpRequest, *, on: date) -> dict[str, Any]:
    """The figures of the last twelve months, this one included."""
    asked = metrics.ask(user=request.user, on=on, from_=_months_before(on, MONTHS - 1), until=on)
    with metrics.together():
        months = metrics.by_month(asked)
        demurrage = metrics.demurrage_savings(asked)
        departments = metrics.by_department(asked)
        median = metrics.clearance_time(asked)["end_to_end"]["median_days"]
        principals = metrics.by_principal(asked)
    on_time = rules.percent(sum(row["on_time"] for row in months), sum(row["judged"] for row in months))
    judged = _list(eta__gte=asked.eta_from, eta__lte=asked.eta_until)
    cleared = _list(cleared_on__gte=asked.from_, cleared_on__lte=asked.until)
    span = urlencode({"from": asked.from_, "to": asked.until})
    return {
        "template": "admin/today/management.html",
        "title": _("Indicators of the last twelve months"),
        "facts": [
            Fact(_percent(on_time), _("on time"), judged),
            Fact(_figure(median), _("days to clear (median)"), cleared),
            Fact(
                money(demurrage["incurred_omr"]),
                _("OMR demurrage incurred"),
                judged,
                is_bad=demurrage["incurred_omr"] > 0,
            ),
            Fact(money(demurrage["savings_omr"]), _("OMR demurrage avoided"), judged),
        ],
        "charts": [
            _over_time(months, "on_time_percent", name="on-time", title=_("On-time rate by month (%)")),
            _over_time(months, "median_days", name="median", title=_("Days to clear by month (median)")),
            _demurrage(months, demurrage),
            _where_delay_arises(departments),
        ],
        "departments": [
            {**row, "name": Department(row["department"]).label, "percent": _percent(row["on_time_percent"])}
            for row in departments
        ],
        "principals": [
            {**row, "percent": _percent(row["on_time_percent"]), "omr": money(row["incurred_omr"])}
            for row in principals
        ],
        "reports": [(date_format(row["month"], "F Y"), _report_of(row["month"])) for row in months[:-3:-1]],
        "exports": [
            (title, f"{reverse('admin:metrics_export', args=[figure])}?{span}") for figure, title in TITLES.items()
        ],
    }


def _list(**query: Any) -> str:
    """The shipments of the figures: without the cancelled ones."""
    return list_of(Shipment, status__in=f"{Status.ACTIVE.value},{Status.COMPLETED.value}", **query)


def _report_of(month: date) -> str:
    return reverse("admin:metrics_report", args=[month.year, month.month])


def _months_before(on: date, months: int) -> date:
    year, month = divmod(on.year * 12 + on.month - 1 - months, 12)
    return date(year, month + 1, 1)


def _figure(value: float | None) -> str:
    return "–" if value is None else number_format(value, 1)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{_figure(value)} %"


def _over_time(months: list[dict[str, Any]], key: str, *, name: str, title: str) -> Chart | NoChart:
    known = [row for row in months if row[key] is not None]
    if not known:
        return NoChart(title, _("No shipment’s free time has ended in the last twelve months."))
    first, last = known[0], known[-1]
    sentence = _("%(now)s in %(last)s, after %(before)s in %(first)s.") % {
        "now": _figure(last[key]),
        "last": date_format(last["month"], "F Y"),
        "before": _figure(first[key]),
        "first": date_format(first["month"], "F Y"),
    }
    series = {title: [row[key] for row in months]}
    return Chart(name, "line", title, sentence, _("Month"), _named(months), series, decimals=1)


def _demurrage(months: list[dict[str, Any]], told: dict[str, Any]) -> Chart | NoChart:
    """What each month cost; and what it would have cost had those that were on time been as late as reckoned with."""
    title = _("Demurrage by month (OMR)")
    if not any(row["judged"] for row in months):
        return NoChart(title, _("No shipment’s free time has ended in the last twelve months."))
    rate, days = told["inputs"]["daily_rate_omr"], Decimal(str(told["inputs"]["counterfactual_days"] or 0))
    avoided = [rules.demurrage_omr(row["on_time_containers"] * days, daily_rate_omr=rate) for row in months]
    worst = max(months, key=lambda row: row["incurred_omr"])
    sentence = _(
        "Most was incurred in %(month)s: %(omr)s OMR. What was avoided counts %(days)s days of delay for each "
        "container that was on time."
    ) % {"month": date_format(worst["month"], "F Y"), "omr": money(worst["incurred_omr"]), "days": _figure(days)}
    series = {_("incurred"): [row["incurred_omr"] for row in months], _("avoided"): avoided}
    return Chart("demurrage", "bar", title, sentence, _("Month"), _named(months), series, decimals=3)


def _named(months: list[dict[str, Any]]) -> list[str]:
    return [date_format(row["month"], "M y") for row in months]


def _where_delay_arises(departments: list[dict[str, Any]]) -> Chart | NoChart:
    title = _("Days of delay: waiting and working")
    delayed = [row for row in departments if row["delay_days"]]
    if not delayed:
        return NoChart(title, _("No step was delayed in the last twelve months."))
    worst = max(delayed, key=lambda row: row["delay_days"])
    sentence = _(
        "Most delay arises in %(department)s: %(days)s days, of which %(waiting)s waiting for earlier steps."
    ) % {
        "department": Department(worst["department"]).label,
        "days": worst["delay_days"],
        "waiting": worst["waiting_days"],
    }
    labels = [str(Department(row["department"]).label) for row in departments]
    series = {
        _("working"): [row["working_days"] for row in departments],
        _("waiting for earlier steps"): [row["waiting_days"] for row in departments],
    }
    return Chart("delay", "stacked", title, sentence, _("Department"), labels, series)

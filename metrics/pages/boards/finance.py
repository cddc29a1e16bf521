"""Finance’s board: papers at the bank, and the money that is needed."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from clearance.admin.charts import Chart
from clearance.admin.display import money
from metrics.pages.boards.parts import Fact, NoChart, list_of, told
from metrics.selectors import boards
from workflow.choices import Due
from workflow.models import WorkflowStep


def finance(request: HttpRequest, *, on: date) -> dict[str, Any]:
    found = boards.funding(request.user, on=on)
    rows = [
        {
            "name": f"{row.step_number} {row.step_name}",
            "places": [
                {
                    "when": due.label,
                    "steps": steps,
                    "is_late": due == Due.PAST and steps,
                    "url": list_of(WorkflowStep, whose="department", q=row.step_number, due=due.value),
                }
                for due, steps in row.steps.items()
            ],
        }
        for row in found.steps
    ]
    return {
        "template": "admin/today/finance.html",
        "title": _("LC, DAN and funding"),
        "facts": [
            Fact(money(found.overdue_omr), _("OMR overdue for open shipments"), is_bad=bool(found.overdue_omr)),
            Fact(money(found.weeks[boards.week_of(on)]), _("OMR due in the rest of this week")),
        ],
        "dues": [due.label for due in Due],
        "rows": rows,
        "chart": _funds(found),
    }


def _funds(found: boards.Funding) -> Chart | NoChart:
    title = _("Funds required by week")
    total = sum(found.weeks.values(), found.overdue_omr)
    if not total:
        return NoChart(title, _("No open shipment requires funds in the next weeks."))
    sentence = _("%(total)s OMR are to be available for customs by %(day)s, of which %(overdue)s are overdue.") % {
        "total": money(total),
        "day": told(max(found.weeks) + 6 * boards.ONE_DAY),
        "overdue": money(found.overdue_omr),
    }
    labels = [_("overdue"), *(date_format(week, "j M") for week in found.weeks)]
    values = [found.overdue_omr, *found.weeks.values()]
    return Chart("funds", "bar", title, sentence, _("Week from"), labels, {_("OMR"): values}, decimals=3)

"""What lies behind a figure: each shipment or step, as the rows of a sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from django.utils.translation import gettext as _

from accounts.choices import WORKING_DEPARTMENTS, Department
from metrics.errors import TooManyRows
from metrics.selectors.clearing import CLEARED, clearance_time
from metrics.selectors.delays import LATE, WAITING, delayed_steps
from metrics.selectors.demurrage import demurrage_savings
from metrics.selectors.judging import judged
from metrics.selectors.punctuality import on_time_rate
from metrics.selectors.question import Question
from metrics.selectors.reading import stream

Row = tuple[Any, ...]
Figure = Callable[[Question], dict[str, Any]]

FIGURES: dict[str, Figure] = {
    "clearance-time": clearance_time,
    "on-time-rate": on_time_rate,
    "demurrage-savings": demurrage_savings,
    "delayed-steps": delayed_steps,
}
MOST_ROWS = 100_000

_JUDGED = """
    SELECT shipment_number, principal, eta, last_free_on, done_on, days_late, containers,
           round(days_late * containers * %(rate)s, 3)
    FROM judged
    WHERE is_judged
    ORDER BY days_late DESC, eta, id
"""
_DELAYED = f"""
    WITH {LATE}
    SELECT shipment.shipment_number, step.step_number::text, step.step_name, step.department, late.target_date,
           late.actual_date, late.delay_days, waiting_days, late.delay_days - waiting_days
    FROM late
    JOIN workflow_workflowstep step USING (id)
    JOIN shipments_shipment shipment ON shipment.id = late.shipment_id
    JOIN workflow_templatestep fact ON fact.id = late.template_step_id
    {WAITING}
    ORDER BY late.delay_days DESC, late.id
"""


def with_rows(figure: str, asked: Question) -> tuple[dict[str, Any], Iterator[Row]]:
    """Return a figure (a name in `FIGURES`) and, after their headings, the shipments or steps behind it, as they come.

    :raises TooManyRows: there are more than 100,000.
    """
    answer = FIGURES[figure](asked)
    if _COUNTS[figure](answer) > MOST_ROWS:
        raise TooManyRows(most=MOST_ROWS)
    headings, found = _ROWS[figure](asked)
    return answer, chain([headings], found)


def _cleared(asked: Question) -> tuple[Row, Iterator[Row]]:
    places = [place for place, one in enumerate(WORKING_DEPARTMENTS) if one in asked.departments]
    days = "".join(f", done_{place} - eta" for place in places)
    statement = f"""
        WITH {CLEARED}
        SELECT shipment_number, principal, eta, cleared_on, cleared_on - eta {days} FROM cleared ORDER BY cleared_on, id
    """
    headings = (
        *(_("Shipment"), _("Principal"), _("ETA"), _("Cleared on"), _("Days, end to end")),
        *(_("Days, {department}").format(department=WORKING_DEPARTMENTS[place].label) for place in places),
    )
    return headings, stream(statement, asked)


def _judged(asked: Question) -> tuple[Row, Iterator[Row]]:
    headings = (
        *(_("Shipment"), _("Principal"), _("ETA"), _("Last free day"), _("Completed on"), _("Days late")),
        *(_("Containers"), _("Demurrage (OMR)")),
    )
    return headings, stream(f"WITH {judged(asked)} {_JUDGED}", asked, rate=asked.daily_rate_omr)


def _delayed(asked: Question) -> tuple[Row, Iterator[Row]]:
    headings = (
        *(_("Shipment"), _("Number"), _("Step"), _("Department"), _("Target date"), _("Actual date")),
        *(_("Days late"), _("Days waiting"), _("Days working")),
    )
    found = ((*row[:3], str(Department(row[3]).label), *row[4:]) for row in stream(_DELAYED, asked))
    return headings, found


_ROWS: dict[str, Callable[[Question], tuple[Row, Iterator[Row]]]] = {
    "clearance-time": _cleared,
    "on-time-rate": _judged,
    "demurrage-savings": _judged,
    "delayed-steps": _delayed,
}
_COUNTS: dict[str, Callable[[dict[str, Any]], int]] = {
    "clearance-time": lambda answer: answer["end_to_end"]["shipments"],
    "on-time-rate": lambda answer: answer["judged"],
    "demurrage-savings": lambda answer: answer["late"]["shipments"] + answer["on_time"]["shipments"],
    "delayed-steps": lambda answer: sum(one["delayed"] for one in answer["departments"]),
}

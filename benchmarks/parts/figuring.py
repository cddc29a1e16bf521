"""The ways to work out a figure about a year."""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from benchmarks.parts import cast
from metrics import selectors as metrics
from shipments.models import Shipment
from workflow import services as workflow

# As the figures have it, so that the SQL alone is compared.
_AS_OURS = "SELECT set_config('jit', 'off', false), set_config('work_mem', '64MB', false)"


def settle() -> None:
    """Let the desk say which shipments are cleared and completed."""
    workflow.settle(shipment_ids=list(Shipment.objects.values_list("pk", flat=True)), at=timezone.now())


def _asked(start: str, end: str) -> metrics.Question:
    day = date.fromisoformat
    return metrics.ask(user=cast.clerk(), on=timezone.localdate(), from_=day(start), until=day(end))


# Ours ----------------------------------------------------------------------------------------------------------------
def ours(figure: str, start: str, end: str) -> dict[str, float]:
    """Ask for a figure that nobody has asked for yet."""
    cache.key_prefix = secrets.token_hex(8)
    asked = _asked(start, end)
    started = time.perf_counter()
    answer = metrics.FIGURES[figure](asked)
    return {"seconds": time.perf_counter() - started, "check": _CHECKS[figure](answer)}


_CHECKS: dict[str, Callable[[dict[str, Any]], float]] = {
    "clearance-time": lambda answer: sum(one["average_days"] for one in [answer["end_to_end"], *answer["departments"]]),
    "on-time-rate": lambda answer: answer["on_time"],
    "demurrage-savings": lambda answer: answer["late"]["container_days"],
    "delayed-steps": lambda answer: sum(one["waiting_days"] for one in answer["departments"]),
}


# The floor -----------------------------------------------------------------------------------------------------------
def floor(figure: str, start: str, end: str) -> dict[str, float]:
    """Ask the plainest SQL that has the numbers, for somebody who sees everything."""
    asked = _asked(start, end)
    given = {"from": asked.from_, "until": asked.until, "on": asked.on}
    with connection.cursor() as cursor:
        cursor.execute(_AS_OURS)
        started = time.perf_counter()
        cursor.execute(_FLOORS[figure], given)
        rows = cursor.fetchall()
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "check": float(sum(row[0] or 0 for row in rows))}


_CRITICAL = """
    SELECT shipment.id, shipment.eta, shipment.container_count,
           CASE WHEN bool_and(step.actual_date IS NOT NULL) THEN max(step.actual_date) END AS done_on
    FROM shipments_shipment shipment
    JOIN workflow_workflowstep step ON step.shipment_id = shipment.id AND step.is_critical
    WHERE shipment.eta + 7 BETWEEN %(from)s AND %(until)s
    GROUP BY shipment.id
"""
_FLOORS = {
    "clearance-time": """
        SELECT round(avg(days), 1), percentile_cont(0.5) WITHIN GROUP (ORDER BY days),
               percentile_cont(0.9) WITHIN GROUP (ORDER BY days), count(*)
        FROM (
            SELECT step.department, max(step.actual_date) - shipment.eta AS days
            FROM shipments_shipment shipment
            JOIN workflow_workflowstep step ON step.shipment_id = shipment.id AND step.actual_date IS NOT NULL
            WHERE shipment.cleared_on BETWEEN %(from)s AND %(until)s
            GROUP BY shipment.id, step.department
            UNION ALL
            SELECT '', cleared_on - eta FROM shipments_shipment WHERE cleared_on BETWEEN %(from)s AND %(until)s
        ) AS span
        GROUP BY department
    """,
    "on-time-rate": f"""
        SELECT count(*) FILTER (WHERE done_on <= eta + 7), count(*) FROM ({_CRITICAL}) AS shipment
    """,
    "demurrage-savings": f"""
        SELECT sum(GREATEST(COALESCE(done_on, %(on)s) - eta - 7, 0) * container_count),
               sum(container_count) FILTER (WHERE done_on <= eta + 7), count(*) FILTER (WHERE done_on <= eta + 7),
               sum(GREATEST(COALESCE(done_on, %(on)s) - eta - 7, 0)), count(*)
        FROM ({_CRITICAL}) AS shipment
    """,
    "delayed-steps": """
        SELECT sum(LEAST(GREATEST(COALESCE(free_on - target_date, 0), 0), days)) FILTER (WHERE days > 0),
               sum(days) FILTER (WHERE days > 0), count(*) FILTER (WHERE days > 0), count(*), step_number, department
        FROM (
            SELECT step.step_number, step.department, step.target_date,
                   COALESCE(step.actual_date, %(on)s) - step.target_date AS days,
                   CASE WHEN COALESCE(step.actual_date, %(on)s) > step.target_date THEN (
                       SELECT max(COALESCE(before.actual_date, %(on)s)) FROM workflow_workflowstep before
                       WHERE before.shipment_id = step.shipment_id AND NOT before.not_required
                           AND before.step_number = ANY(fact.depends_on)
                   ) END AS free_on
            FROM shipments_shipment shipment
            JOIN workflow_workflowstep step ON step.shipment_id = shipment.id AND NOT step.is_optional
            JOIN workflow_templatestep fact ON fact.id = step.template_step_id
            WHERE shipment.eta + 7 BETWEEN %(from)s AND %(until)s
        ) AS step
        GROUP BY step_number, department
    """,
}


# The loop ------------------------------------------------------------------------------------------------------------
def loop(figure: str, start: str, end: str, number: str) -> dict[str, float]:
    """Walk over so many shipments, read the steps of each, and count in Python."""
    first, last, today = date.fromisoformat(start), date.fromisoformat(end), timezone.localdate()
    week = timedelta(days=7)
    of_range = (
        Shipment.objects.filter(cleared_on__range=(first, last))
        if figure == "clearance-time"
        else Shipment.objects.filter(eta__range=(first - week, last - week))
    )
    sample = list(of_range.order_by("pk")[: int(number)])
    walk = {
        "clearance-time": _time_clearing,
        "on-time-rate": _judge,
        "demurrage-savings": _judge,
        "delayed-steps": _split_delays,
    }[figure]
    started = time.perf_counter()
    walk(sample, today)
    return {"seconds_per_shipment": (time.perf_counter() - started) / len(sample)}


def _time_clearing(sample: list[Shipment], today: date) -> None:
    days: dict[str, list[int]] = {"": []}
    for shipment in sample:
        last: dict[str, date] = {}
        for step in shipment.steps.exclude(actual_date=None):
            last[step.department] = max(last.get(step.department, step.actual_date), step.actual_date)
        days[""].append((shipment.cleared_on - shipment.eta).days)
        for department, done_on in last.items():
            days.setdefault(department, []).append((done_on - shipment.eta).days)
    for spans in days.values():
        statistics.mean(spans), statistics.quantiles(spans, n=10)


def _judge(sample: list[Shipment], today: date) -> None:
    on_time, incurred = 0, 0
    for shipment in sample:
        dates = [step.actual_date for step in shipment.steps.filter(is_critical=True)]
        late = max(((today if None in dates else max(dates)) - shipment.eta).days - 7, 0)
        on_time += not late
        incurred += late * (shipment.container_count or 0) * settings.DEMURRAGE_DAILY_RATE_OMR


def _split_delays(sample: list[Shipment], today: date) -> None:
    waited: dict[str, int] = {}
    for shipment in sample:
        steps = list(shipment.steps.select_related("template_step"))
        done = {step.step_number: step.actual_date or today for step in steps if not step.not_required}
        for step in steps:
            delay = ((step.actual_date or today) - step.target_date).days
            if delay > 0 and not step.is_optional:
                before = [done[number] for number in step.template_step.depends_on if number in done]
                waiting = max((max(before) - step.target_date).days, 0) if before else 0
                waited[step.department] = waited.get(step.department, 0) + min(waiting, delay)

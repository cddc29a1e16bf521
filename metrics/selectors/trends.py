"""The indicators side by side: month by month, by department, by principal."""

from __future__ import annotations

from typing import Any

from metrics import rules
from metrics.selectors.delays import delayed_steps
from metrics.selectors.judging import IN_RANGE, judged
from metrics.selectors.question import Question
from metrics.selectors.reading import fetch, kept

_COUNTS = """
    count(judged.id) AS judged, count(*) FILTER (WHERE days_late = 0) AS on_time,
    round(percentile_cont(0.5) WITHIN GROUP (ORDER BY done_on - eta)::numeric, 1)::float8 AS median_days,
    COALESCE(sum(days_late * containers), 0) AS container_days,
    COALESCE(sum(containers) FILTER (WHERE days_late = 0), 0)::int AS on_time_containers
"""
_BY_MONTH = f"""
    SELECT month.first::date AS month, {_COUNTS}
    FROM generate_series(date_trunc('month', %(from)s::timestamp), %(until)s::timestamp, '1 month') AS month (first)
    LEFT JOIN judged ON is_judged AND date_trunc('month', last_free_on::timestamp) = month.first
    GROUP BY month.first
    ORDER BY month.first
"""
_BY_PRINCIPAL = f"""
    SELECT principal, {_COUNTS}
    FROM judged
    WHERE is_judged
    GROUP BY principal
    ORDER BY container_days DESC, judged DESC, principal
    LIMIT %(most)s
"""
_BY_DEPARTMENT = f"""
    WITH done AS (
        SELECT step.department,
               bool_and(COALESCE(step.actual_date <= shipment.eta + %(free_days)s::int, false)) AS is_on_time
        FROM shipments_shipment shipment
        JOIN workflow_workflowstep step ON step.shipment_id = shipment.id AND step.is_critical
            AND step.department = ANY(%(departments)s)
        WHERE {IN_RANGE}
        GROUP BY step.department, shipment.id
    )
    SELECT department, count(*) AS judged, count(*) FILTER (WHERE is_on_time) AS on_time
    FROM done
    GROUP BY department
"""


@kept
def by_month(asked: Question) -> list[dict[str, Any]]:
    """Tell of each month of the range (`month`, its first day; 13 at most) how its shipments did.

    A shipment belongs to the month in which its free time ended. Each row has `judged`, `on_time`, `on_time_percent`,
    `median_days` (from the ETA until it was cleared), `incurred_omr` and `on_time_containers`; months without a
    shipment have zeros and None.
    """
    return _told(fetch(f"WITH {judged(asked)} {_BY_MONTH}", asked), asked)


@kept
def by_principal(asked: Question, *, most: int = 10) -> list[dict[str, Any]]:
    """Tell the same of each `principal`, those with the most demurrage first."""
    return _told(fetch(f"WITH {judged(asked)} {_BY_PRINCIPAL}", asked, most=most), asked)


def by_department(asked: Question) -> list[dict[str, Any]]:
    """Tell of each `department` that the asker may know how it did with the shipments of the range.

    `judged`, `on_time`, `on_time_percent`: shipments by that department's own critical steps; `mandatory`, `delayed`,
    `delay_days`, `waiting_days`, `working_days`: its steps, see `delayed_steps`. A department without critical steps
    has None for its percentage.
    """
    own = _on_time_by_department(asked)
    return [{**delays, **own[delays["department"]]} for delays in delayed_steps(asked)["departments"]]


@kept
def _on_time_by_department(asked: Question) -> dict[str, dict[str, Any]]:
    found = {row.pop("department"): row for row in fetch(_BY_DEPARTMENT, asked)}
    nothing = {"judged": 0, "on_time": 0}
    counts = {one: found.get(one, nothing) for one in asked.departments}
    return {one: row | {"on_time_percent": rules.percent(row["on_time"], row["judged"])} for one, row in counts.items()}


def _told(rows: list[dict[str, Any]], asked: Question) -> list[dict[str, Any]]:
    for row in rows:
        row["on_time_percent"] = rules.percent(row["on_time"], row["judged"])
        container_days = row.pop("container_days")
        row["incurred_omr"] = rules.demurrage_omr(container_days, daily_rate_omr=asked.daily_rate_omr)
    return rows

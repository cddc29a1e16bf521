"""Which steps are late, and why (C30)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from metrics import rules
from metrics.selectors.judging import IN_RANGE
from metrics.selectors.question import Question
from metrics.selectors.reading import fetch, kept

_OF_RANGE = f"""
    shipments_shipment shipment
    JOIN workflow_workflowstep step ON step.shipment_id = shipment.id AND NOT step.is_optional
        AND step.department = ANY(%(departments)s)
    WHERE {IN_RANGE}
"""
_IS_DELAYED = "COALESCE(step.actual_date, %(on)s) > step.target_date"

LATE = f"""
    late AS (
        SELECT step.id, step.shipment_id, step.template_step_id, step.target_date, step.actual_date,
               COALESCE(step.actual_date, %(on)s) - step.target_date AS delay_days
        FROM {_OF_RANGE} AND {_IS_DELAYED}
    )
"""
# Given `late` and `fact`, its step of the template: up to when it waited for the last of its predecessors.
WAITING = """
    LEFT JOIN LATERAL (
        SELECT max(COALESCE(before.actual_date, %(on)s)) AS free_on
        FROM workflow_workflowstep before
        WHERE fact.depends_on <> '{}' AND before.shipment_id = late.shipment_id
            AND before.step_number = ANY(fact.depends_on) AND NOT before.not_required
    ) AS predecessors ON true
    CROSS JOIN LATERAL (
        SELECT COALESCE(LEAST(GREATEST(free_on - late.target_date, 0), late.delay_days), 0) AS waiting_days
    ) AS split
"""

_COUNTS = f"""
    WITH {LATE},
    planned AS (
        SELECT step.template_step_id, count(*) AS mandatory
        FROM {_OF_RANGE}
        GROUP BY step.template_step_id
    ),
    -- Materialized, so that predecessors are looked up as they lie on the disk: shipment by shipment.
    split AS MATERIALIZED (
        SELECT late.template_step_id, late.actual_date, late.delay_days, waiting_days
        FROM late
        JOIN workflow_templatestep fact ON fact.id = late.template_step_id
        {WAITING}
    ),
    delayed AS (
        SELECT template_step_id, count(*) AS delayed, count(actual_date) AS completed_late,
               sum(delay_days) AS delay_days, sum(waiting_days) AS waiting_days
        FROM split
        GROUP BY template_step_id
    )
    -- The versions of a procedure together.
    SELECT fact.step_number, fact.department, max(fact.name) AS step_name, sum(mandatory)::int AS mandatory,
           COALESCE(sum(delayed), 0)::int AS delayed, COALESCE(sum(completed_late), 0)::int AS completed_late,
           COALESCE(sum(delay_days), 0)::int AS delay_days, COALESCE(sum(waiting_days), 0)::int AS waiting_days
    FROM planned
    JOIN workflow_templatestep fact ON fact.id = planned.template_step_id
    LEFT JOIN delayed USING (template_step_id)
    GROUP BY fact.step_number, fact.department
    ORDER BY delay_days DESC, step_number, department
"""

_LIST = f"""
    WITH {LATE},
    late_page AS (
        SELECT * FROM late ORDER BY delay_days DESC, id LIMIT %(page_size)s OFFSET %(skipped)s
    )
    SELECT late.id, late.shipment_id AS shipment, shipment.shipment_number, step.step_number, step.step_name,
           step.department, late.target_date, late.actual_date, late.delay_days, waiting_days,
           late.delay_days - waiting_days AS working_days
    FROM late_page late
    JOIN workflow_workflowstep step USING (id)
    JOIN shipments_shipment shipment ON shipment.id = late.shipment_id
    JOIN workflow_templatestep fact ON fact.id = late.template_step_id
    {WAITING}
    ORDER BY late.delay_days DESC, late.id
"""
_COUNTED = ("mandatory", "delayed", "completed_late", "delay_days", "waiting_days")


def delayed_steps(asked: Question) -> dict[str, Any]:
    """Count the delayed steps of the shipments whose free time ended in the range, and split their delay.

    Each of `departments` (with `department`) and of `steps` (with `step_number`, `step_name`, `department`, the most
    delay first) has `mandatory` (how many there are), `delayed` = `completed_late` + `overdue`, `delay_days` =
    `waiting_days` + `working_days`, and `average_delay_days`.
    """
    return {"definition": _definition(), "inputs": asked.inputs, **_delayed_steps(asked)}


@kept
def _delayed_steps(asked: Question) -> dict[str, Any]:
    steps = fetch(_COUNTS, asked)
    return {
        "departments": [
            {"department": one, **_told(step for step in steps if step["department"] == one)}
            for one in asked.departments
        ],
        "steps": [
            {name: step[name] for name in ("step_number", "step_name", "department")} | _told([step]) for step in steps
        ],
    }


@kept
def list_delayed_steps(asked: Question, *, page: int, page_size: int) -> list[dict[str, Any]]:
    """List the delayed steps, the longest delay first; pages count from 1.

    Each with `id`, `shipment`, `shipment_number`, `step_number`, `step_name`, `department`, `target_date`,
    `actual_date` (None: still open), `delay_days`, `waiting_days`, `working_days`.
    """
    return fetch(_LIST, asked, page_size=page_size, skipped=(page - 1) * page_size)


def _told(steps: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sums over some steps of the procedure."""
    totals = dict.fromkeys(_COUNTED, 0)
    for step in steps:
        for name in _COUNTED:
            totals[name] += step[name]
    return {
        **totals,
        "overdue": totals["delayed"] - totals["completed_late"],
        "working_days": totals["delay_days"] - totals["waiting_days"],
        "average_delay_days": rules.mean(totals["delay_days"], totals["delayed"]),
    }


def _definition() -> str:
    return _(
        "Mandatory steps of the shipments whose last free day (ETA plus 7) lies in the range and is over, without "
        "deleted and cancelled ones. Delayed: completed after the target date, or open and past it; the delay lasts "
        "from the target date until the step was completed, or today. Waiting is that part of the delay that lies "
        "before the last predecessor was completed (until today while one is open), working is the rest. Optional "
        "steps are never delayed."
    )

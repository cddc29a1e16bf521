"""How long clearing takes (C27)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from accounts.choices import WORKING_DEPARTMENTS
from metrics.selectors.judging import IN_SIGHT
from metrics.selectors.question import Question
from metrics.selectors.reading import fetch, kept

# One column per department, so that the steps are gathered once per shipment.
_LAST_DONE = ",".join(
    f"max(step.actual_date) FILTER (WHERE step.department = '{department}') AS done_{place}"
    for place, department in enumerate(WORKING_DEPARTMENTS)
)
_DAYS = ",".join(
    f"('{department}', cleared.done_{place} - cleared.eta)" for place, department in enumerate(WORKING_DEPARTMENTS)
)

CLEARED = f"""
    cleared AS (
        SELECT shipment.id, shipment.shipment_number, shipment.principal, shipment.eta, shipment.cleared_on,
               {_LAST_DONE}
        FROM shipments_shipment shipment
        JOIN workflow_workflowstep step ON step.shipment_id = shipment.id AND step.actual_date IS NOT NULL
        WHERE shipment.cleared_on BETWEEN %(from)s AND %(until)s AND {IN_SIGHT}
        GROUP BY shipment.id
    )
"""

_STATEMENT = f"""
    WITH {CLEARED}
    SELECT department, count(*) AS shipments,
           round(avg(days), 1)::float8 AS average_days,
           round(percentile_cont(0.5) WITHIN GROUP (ORDER BY days)::numeric, 1)::float8 AS median_days,
           round(percentile_cont(0.9) WITHIN GROUP (ORDER BY days)::numeric, 1)::float8 AS p90_days
    FROM cleared
    CROSS JOIN LATERAL (VALUES ('', cleared.cleared_on - cleared.eta), {_DAYS}) AS span (department, days)
    WHERE days IS NOT NULL AND (department = '' OR department = ANY(%(departments)s))
    GROUP BY department
"""
_NOTHING = {"shipments": 0, "average_days": None, "median_days": None, "p90_days": None}


def clearance_time(asked: Question) -> dict[str, Any]:
    """Tell how many days after the ETA the shipments cleared in the range were cleared, and each department was done.

    `end_to_end` and each of `departments` (with `department`) have `shipments`, `average_days`, `median_days` and
    `p90_days`; days before the ETA are negative.
    """
    return {"definition": _definition(), "inputs": asked.inputs, **_clearance_time(asked)}


@kept
def _clearance_time(asked: Question) -> dict[str, Any]:
    found = {row.pop("department"): row for row in fetch(_STATEMENT, asked)}
    return {
        "end_to_end": found.get("", _NOTHING),
        "departments": [{"department": one, **found.get(one, _NOTHING)} for one in asked.departments],
    }


def _definition() -> str:
    return _(
        "Shipments cleared in the range (their last critical step completed), without deleted and cancelled ones. "
        "End to end: days from the ETA until the shipment was cleared. By department: days from the ETA until the "
        "department's last completed step; days before the ETA are negative."
    )

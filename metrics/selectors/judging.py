"""Which shipments a range is about, as SQL: the common beginning of the statements."""

from __future__ import annotations

from metrics.selectors.question import Question
from shipments.choices import Status

# Deleted and cancelled shipments count nowhere. Without divisions of their own a person sees all (C14).
IN_SIGHT = f"""
    shipment.deleted_at IS NULL AND shipment.status <> '{Status.CANCELLED}'
    AND (cardinality(%(divisions)s::bigint[]) = 0 OR shipment.division_id IS NULL
         OR shipment.division_id = ANY(%(divisions)s))
"""
IN_RANGE = f"{IN_SIGHT} AND shipment.eta BETWEEN %(eta_from)s AND %(eta_until)s"

_COLUMNS = """
    shipment.id, shipment.shipment_number, shipment.principal, shipment.eta, shipment.cleared_on,
    shipment.container_count AS containers, shipment.eta + %(free_days)s::int AS last_free_on
"""

# A shipment that isn't cleared has an open critical step, or none at all.
_WHOLE = f"""
    SELECT {_COLUMNS}, shipment.cleared_on AS done_on,
           shipment.cleared_on IS NOT NULL OR EXISTS (
               SELECT FROM workflow_workflowstep step
               WHERE step.shipment_id = shipment.id AND step.is_critical AND step.actual_date IS NULL
           ) AS is_judged
    FROM shipments_shipment shipment
    WHERE {IN_RANGE}
"""

_OF_DEPARTMENT = f"""
    SELECT {_COLUMNS},
           CASE WHEN bool_and(step.actual_date IS NOT NULL) THEN max(step.actual_date) END AS done_on,
           count(step.id) > 0 AS is_judged
    FROM shipments_shipment shipment
    LEFT JOIN workflow_workflowstep step
        ON step.shipment_id = shipment.id AND step.is_critical AND step.department = %(department)s
    WHERE {IN_RANGE}
    GROUP BY shipment.id
"""


def judged(asked: Question) -> str:
    """Return the common table expression `judged`: the shipments whose last free day lies in the range and is over.

    `done_on` is the day on which the last critical step (of the department that was asked about) was completed, null
    while one is open; `days_late` are the days past day 7 until then, or until today; without any such step a shipment
    is not judged (`is_judged`).
    """
    return f"""
        judged AS MATERIALIZED (
            SELECT *, GREATEST(COALESCE(done_on, %(on)s) - last_free_on, 0) AS days_late
            FROM ({_OF_DEPARTMENT if asked.department else _WHOLE}) AS shipment
        )
    """

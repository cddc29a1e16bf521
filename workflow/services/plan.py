"""What hangs on a shipment as a whole: planning its steps, re-dating them, following its fields, settling its state.

Each verb takes any number of shipments and needs a fixed number of statements. The callers hold the shipments' locks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection, models
from django.db.models import F

from clearance.clock import day_of
from shipments.choices import Status
from shipments.models import Shipment
from workflow.choices import ENTRY_FIELDS, CompletedVia
from workflow.models import WorkflowStep

StepDates = Mapping[Decimal, date]


@dataclass(frozen=True, slots=True)
class Plan:
    """One shipment to plan: its template, and the actual dates that an import already knows."""

    shipment_id: int
    template_id: int
    dates: StepDates = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DateChange:
    """An actual date that an import recorded (`old` is None) or corrected."""

    shipment_id: int
    step_number: Decimal
    old: date | None
    new: date


# Who is responsible for each template step in each division (0 = none). Per person: the responsibility for the
# division, else the one for every division, else the department's fallback.
DUTIES = """
    duties AS MATERIALIZED (
        SELECT step.*, division.key AS division_key,
               COALESCE(own.ppr_id, every.ppr_id, fallback.ppr_id) AS ppr_id,
               COALESCE(own.apr_id, every.apr_id, fallback.apr_id) AS apr_id
        FROM workflow_templatestep step
        JOIN workflow_workflowtemplate template ON template.id = step.template_id
        CROSS JOIN (SELECT 0 UNION ALL SELECT id FROM accounts_division) AS division (key)
        LEFT JOIN workflow_responsibility own
            ON own.template_code = template.code
            AND own.step_number = step.step_number AND own.division_id = division.key
        LEFT JOIN workflow_responsibility every
            ON every.template_code = template.code
            AND every.step_number = step.step_number AND every.division_id IS NULL
        LEFT JOIN workflow_departmentfallback fallback ON fallback.department = step.department
    )
"""


# The fields whose entry completes a step, and (in the same order) whether each of them holds something.
_FIELDS = sorted(ENTRY_FIELDS)


def _is_recorded(name: str) -> str:
    is_text = isinstance(Shipment._meta.get_field(name), models.CharField)
    return f"shipment.{name} <> ''" if is_text else f"shipment.{name} IS NOT NULL"


_RECORDED = f"ARRAY[{', '.join(map(_is_recorded, _FIELDS))}]"

# What differs by shipment and what differs by step is each worked out once; the join only picks from the two.
_PLAN_STEPS = f"""
    WITH {DUTIES}, duty AS MATERIALIZED (
        SELECT duties.*, array_position(%(numbers)s::numeric[], step_number) AS date_at,
               array_position(%(fields)s::text[], filled_by_field::text) AS field_at
        FROM duties
    ), planned AS MATERIALIZED (
        SELECT shipment.id, shipment.eta, COALESCE(shipment.division_id, 0) AS division_key, given.template_id,
               given.dates::date[] AS dates, {_RECORDED} AS recorded
        FROM unnest(%(shipments)s::bigint[], %(templates)s::bigint[], %(dates)s::text[])
            AS given (shipment_id, template_id, dates)
        JOIN shipments_shipment shipment ON shipment.id = given.shipment_id
    )
    INSERT INTO workflow_workflowstep (
        shipment_id, template_step_id, step_number, step_name, department, offset_days, is_critical, is_optional,
        target_date, actual_date, not_required, ppr_user_id, apr_user_id, completed_at, completed_via, note,
        created_at, updated_at, version
    )
    SELECT planned.id, duty.id, duty.step_number, duty.name, duty.department, duty.offset_days, duty.is_critical,
           duty.is_optional, planned.eta + duty.offset_days, COALESCE(known.imported_on, known.entered_on), false,
           duty.ppr_id, duty.apr_id,
           CASE WHEN COALESCE(known.imported_on, known.entered_on) IS NOT NULL THEN %(at)s::timestamptz END,
           CASE WHEN known.imported_on IS NOT NULL THEN 'import' WHEN known.entered_on IS NOT NULL THEN 'entry'
                ELSE '' END,
           '', %(at)s, %(at)s, 1
    FROM planned
    JOIN duty USING (template_id, division_key)
    CROSS JOIN LATERAL (
        SELECT planned.dates[duty.date_at] AS imported_on,
               CASE WHEN planned.recorded[duty.field_at] THEN %(today)s::date END AS entered_on
    ) AS known
"""

_RESCHEDULE = """
    UPDATE workflow_workflowstep step
    SET target_date = shipment.eta + step.offset_days, version = step.version + 1, updated_at = %(at)s
    FROM shipments_shipment shipment
    WHERE shipment.id = step.shipment_id AND shipment.id = ANY(%(shipments)s)
"""

_RECORD_DATES = """
    WITH given AS MATERIALIZED (
        SELECT shipment_id, dates::date[] AS dates
        FROM unnest(%(shipments)s::bigint[], %(dates)s::text[]) AS given (shipment_id, dates)
    ), changed AS (
        SELECT step.id, step.actual_date AS old, known.new
        FROM given
        JOIN workflow_workflowstep step ON step.shipment_id = given.shipment_id
        CROSS JOIN LATERAL (
            SELECT given.dates[array_position(%(numbers)s::numeric[], step.step_number)]
        ) AS known (new)
        WHERE known.new IS NOT NULL AND known.new IS DISTINCT FROM step.actual_date
    )
    UPDATE workflow_workflowstep step
    SET actual_date = changed.new, not_required = false, completed_by_id = NULL, on_behalf_of_id = NULL,
        completed_at = %(at)s, completed_via = 'import', version = step.version + 1, updated_at = %(at)s
    FROM changed
    WHERE step.id = changed.id
    RETURNING step.shipment_id, step.step_number, changed.old, changed.new
"""

_REPLACED_DATES = """
    WITH given AS MATERIALIZED (
        SELECT shipment_id, dates::date[] AS dates
        FROM unnest(%(shipments)s::bigint[], %(dates)s::text[]) AS given (shipment_id, dates)
    )
    SELECT step.shipment_id, step.step_number, step.actual_date, known.new, replaced.at
    FROM given
    JOIN workflow_workflowstep step ON step.shipment_id = given.shipment_id AND step.version > 1
    CROSS JOIN LATERAL (
        SELECT given.dates[array_position(%(numbers)s::numeric[], step.step_number)]
    ) AS known (new)
    CROSS JOIN LATERAL (
        SELECT min(later.history_date)
        FROM workflow_historicalworkflowstep later
        WHERE later.id = step.id AND later.actual_date IS DISTINCT FROM known.new
            AND later.history_date >= (
                SELECT max(former.history_date)
                FROM workflow_historicalworkflowstep former
                WHERE former.id = step.id AND former.actual_date = known.new
            )
    ) AS replaced (at)
    WHERE known.new IS NOT NULL AND known.new IS DISTINCT FROM step.actual_date AND replaced.at IS NOT NULL
"""

_COMPLETE_ENTERED = f"""
    UPDATE workflow_workflowstep step
    SET actual_date = %(today)s, not_required = false, completed_at = %(at)s, completed_via = 'entry',
        version = step.version + 1, updated_at = %(at)s
    FROM shipments_shipment shipment, workflow_templatestep fact
    WHERE step.shipment_id = ANY(%(shipments)s) AND step.actual_date IS NULL
        AND shipment.id = step.shipment_id AND fact.id = step.template_step_id AND fact.filled_by_field <> ''
        AND ({_RECORDED})[array_position(%(fields)s::text[], fact.filled_by_field::text)]
"""

_SETTLE = """
    WITH judged AS (
        SELECT shipment_id,
               CASE WHEN bool_and(actual_date IS NOT NULL OR is_optional) THEN 'completed' ELSE 'active' END AS status,
               CASE WHEN bool_and(actual_date IS NOT NULL) FILTER (WHERE is_critical)
                    THEN max(actual_date) FILTER (WHERE is_critical) END AS cleared_on
        FROM workflow_workflowstep
        WHERE shipment_id = ANY(%(shipments)s)
        GROUP BY shipment_id
    )
    UPDATE shipments_shipment shipment
    SET status = judged.status, cleared_on = judged.cleared_on,
        version = shipment.version + 1, updated_at = %(at)s
    FROM judged
    WHERE shipment.id = judged.shipment_id AND shipment.status <> 'cancelled'
        AND (shipment.status, shipment.cleared_on) IS DISTINCT FROM (judged.status, judged.cleared_on)
    RETURNING shipment.id, shipment.status
"""


def plan_steps(*, plans: Sequence[Plan], at: datetime) -> None:
    """Insert every step of the shipments from their templates, dated from the ETA, with PPR and APR.

    A date of an import completes its step; so does an entry field that is recorded already (dated that day).
    """
    numbers = _numbers(plan.dates for plan in plans)
    with connection.cursor() as cursor:
        cursor.execute(
            _PLAN_STEPS,
            {
                "shipments": [plan.shipment_id for plan in plans],
                "templates": [plan.template_id for plan in plans],
                "dates": [_array(plan.dates, numbers) for plan in plans],
                "numbers": numbers,
                "fields": _FIELDS,
                "today": day_of(at),
                "at": at,
            },
        )


def reschedule(*, shipment_ids: Collection[int], at: datetime) -> int:
    """Date every step of the shipments anew from their ETA, completed ones too; actual dates stay.

    Return how many steps moved.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RESCHEDULE, {"shipments": list(shipment_ids), "at": at})
        return int(cursor.rowcount)


def record_dates(*, dates: Mapping[int, StepDates], at: datetime) -> list[DateChange]:
    """Record the actual dates that an import brings for planned shipments (by id); return what changed."""
    if not any(dates.values()):
        return []
    with connection.cursor() as cursor:
        cursor.execute(_RECORD_DATES, {**_arrays(dates), "at": at})
        return [DateChange(*row) for row in cursor.fetchall()]


def replaced_dates(*, dates: Mapping[int, StepDates]) -> list[tuple[DateChange, datetime]]:
    """Of the dates that `record_dates` would record, those that a step had before: when they were replaced."""
    if not any(dates.values()):
        return []
    with connection.cursor() as cursor:
        cursor.execute(_REPLACED_DATES, _arrays(dates))
        return [(DateChange(*change), at) for *change, at in cursor.fetchall()]


def _arrays(dates: Mapping[int, StepDates]) -> dict[str, Any]:
    numbers = _numbers(dates.values())
    return {
        "shipments": list(dates),
        "dates": [_array(given, numbers) for given in dates.values()],
        "numbers": numbers,
    }


def follow_fields(*, shipment_ids: Collection[int], at: datetime, cleared: Collection[str] = ()) -> None:
    """Complete the entry steps whose field is recorded by now; reopen those whose field was just `cleared`."""
    with connection.cursor() as cursor:
        cursor.execute(
            _COMPLETE_ENTERED,
            {"shipments": list(shipment_ids), "fields": _FIELDS, "today": day_of(at), "at": at},
        )
    if cleared:
        WorkflowStep.objects.completed().filter(
            shipment__in=shipment_ids, template_step__filled_by_field__in=cleared
        ).update(**REOPENED, version=F("version") + 1, updated_at=at)


def settle(*, shipment_ids: Collection[int], at: datetime) -> None:
    """Make the shipments' `status` and `cleared_on` agree with their steps (C7, C11).

    Completed with the last mandatory step, active again when one is reopened; cancelled ones stay cancelled. Optional
    steps that a shipment was completed without are marked as not required, and taken back with it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, {"shipments": list(shipment_ids), "at": at})
        settled = cursor.fetchall()
    completed = [pk for pk, status in settled if status == Status.COMPLETED]
    taken_back = [pk for pk, status in settled if status == Status.ACTIVE]
    steps = WorkflowStep.objects.filter(is_optional=True)
    if completed:
        steps.open().filter(shipment__in=completed).update(
            not_required=True,
            completed_at=at,
            completed_via=CompletedVia.SYSTEM,
            version=F("version") + 1,
            updated_at=at,
        )
    if taken_back:
        steps.filter(shipment__in=taken_back, not_required=True, completed_via=CompletedVia.SYSTEM).update(
            **REOPENED, version=F("version") + 1, updated_at=at
        )


# What an open step says about its completion: nothing.
REOPENED = {
    "actual_date": None,
    "not_required": False,
    "completed_by": None,
    "on_behalf_of": None,
    "completed_at": None,
    "completed_via": "",
}


def _numbers(dates: Iterable[StepDates]) -> list[Decimal]:
    """Every step number that has a date, in SOP order: the positions of `_array`."""
    return sorted({number for given in dates for number in given})


def _array(dates: StepDates, numbers: Sequence[Decimal]) -> str:
    """A PostgreSQL array literal of the dates; one text per shipment travels faster than one date per step."""
    return "{" + ",".join(dates[number].isoformat() if number in dates else "NULL" for number in numbers) + "}"

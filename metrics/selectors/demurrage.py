"""What demurrage cost, and what was avoided (C29)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from metrics import rules
from metrics.selectors.judging import judged
from metrics.selectors.question import Question
from metrics.selectors.reading import fetch, kept
from shipments.rules import FREE_TIME_DAYS

_COUNTS = """
    SELECT days_late > 0 AS is_late, count(*) AS shipments,
           count(*) FILTER (WHERE done_on IS NULL) AS still_open,
           COALESCE(sum(containers), 0)::int AS containers,
           count(*) FILTER (WHERE containers IS NULL) AS containers_unknown,
           COALESCE(sum(days_late), 0)::int AS delay_days,
           COALESCE(sum(days_late * containers), 0) AS container_days
    FROM judged
    WHERE is_judged
    GROUP BY is_late
"""
_COSTLIEST = """
    SELECT id, shipment_number, principal, eta, cleared_on, containers, days_late AS delay_days
    FROM judged
    WHERE is_judged AND days_late * containers > 0
    ORDER BY days_late * containers DESC, eta, id
    LIMIT %(most)s
"""
_COUNTED = ("shipments", "still_open", "containers", "containers_unknown", "delay_days", "container_days")


def demurrage_savings(asked: Question) -> dict[str, Any]:
    """Reckon the demurrage of the late shipments, and what the others would have cost had they been late.

    `incurred_omr`, `savings_omr` (None without a counterfactual delay); `late` has `shipments`, `still_open`,
    `containers`, `containers_unknown`, `delay_days`, `container_days`; `on_time` has `shipments`, `containers`,
    `containers_unknown` (shipments that are left out since nobody has recorded their containers). Of `inputs`,
    `counterfactual_is` tells whether the delay was `set`, `computed` or is `unknown`.
    """
    counts = _counts(asked)
    late, on_time = counts["late"], counts["on_time"]
    days = asked.counterfactual_days
    source = "set"
    if days is None:
        mean = rules.mean(late["delay_days"], late["shipments"])
        days, source = (None, "unknown") if mean is None else (Decimal(str(mean)), "computed")
    rate = asked.daily_rate_omr
    savings = None if days is None else rules.demurrage_omr(on_time["containers"] * days, daily_rate_omr=rate)
    return {
        "definition": _definition(asked),
        "inputs": {
            **asked.inputs,
            "daily_rate_omr": rate.quantize(rules.BAISA),
            "free_time_days": FREE_TIME_DAYS,
            "counterfactual_days": None if days is None else float(days),
            "counterfactual_is": source,
        },
        "incurred_omr": rules.demurrage_omr(late["container_days"], daily_rate_omr=rate),
        "savings_omr": savings,
        "late": late,
        "on_time": {name: on_time[name] for name in ("shipments", "containers", "containers_unknown")},
    }


@kept
def _counts(asked: Question) -> dict[str, dict[str, int]]:
    found = {row["is_late"]: row for row in fetch(f"WITH {judged(asked)} {_COUNTS}", asked)}
    return {
        name: {counted: found.get(is_late, {}).get(counted, 0) for counted in _COUNTED}
        for name, is_late in (("late", True), ("on_time", False))
    }


@kept
def costliest(asked: Question, *, most: int = 10) -> list[dict[str, Any]]:
    """List the shipments of the range that cost most demurrage, the costliest first.

    Each with `id`, `shipment_number`, `principal`, `eta`, `cleared_on` (None: still open), `containers`, `delay_days`,
    `incurred_omr`.
    """
    rows = fetch(f"WITH {judged(asked)} {_COSTLIEST}", asked, most=most)
    for row in rows:
        container_days = row["containers"] * row["delay_days"]
        row["incurred_omr"] = rules.demurrage_omr(container_days, daily_rate_omr=asked.daily_rate_omr)
    return rows


def _definition(asked: Question) -> str:
    told = _(
        "Shipments whose last free day (ETA plus 7) lies in the range and is over, without deleted and cancelled ones "
        "and those without critical steps. Incurred: days after that day until the shipment was cleared (or today) × "
        "containers × daily rate. Avoided: containers of the shipments that were on time × daily rate × the delay that "
        "they would have had, which is set or else the mean delay of the late ones in the range. Shipments whose "
        "containers are unknown are counted, but left out of the amounts."
    )
    if asked.department:
        told += " " + _(
            "For a department, a shipment counts as cleared when the department's own critical steps are completed; "
            "days that two departments were late together count for both."
        )
    return told

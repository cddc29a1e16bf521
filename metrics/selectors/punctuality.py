"""How many shipments are on time (C28)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from metrics import rules
from metrics.selectors.judging import judged
from metrics.selectors.question import Question
from metrics.selectors.reading import fetch, kept

_COUNTS = """
    SELECT count(*) FILTER (WHERE is_judged) AS judged,
           count(*) FILTER (WHERE is_judged AND days_late = 0) AS on_time,
           count(*) FILTER (WHERE is_judged AND days_late > 0) AS late,
           count(*) FILTER (WHERE is_judged AND done_on IS NULL) AS still_open,
           count(*) FILTER (WHERE NOT is_judged) AS not_judged
    FROM judged
"""


def on_time_rate(asked: Question) -> dict[str, Any]:
    """Tell how many of the shipments whose free time ended in the range had their critical steps done by then.

    `judged` = `on_time` + `late`; `still_open` of the late ones aren't done yet; `not_judged` have no critical step;
    `on_time_percent` is None if nothing was judged.
    """
    return {"definition": _definition(asked), "inputs": asked.inputs, **_on_time_rate(asked)}


@kept
def _on_time_rate(asked: Question) -> dict[str, Any]:
    (counts,) = fetch(f"WITH {judged(asked)} {_COUNTS}", asked)
    return {**counts, "on_time_percent": rules.percent(counts["on_time"], counts["judged"])}


def _definition(asked: Question) -> str:
    if asked.department:
        return _(
            "Shipments whose last free day (ETA plus 7) lies in the range and is over, without deleted and cancelled "
            "ones. On time: all critical steps of the department were completed by that day. A shipment without a "
            "critical step of the department is not judged."
        )
    return _(
        "Shipments whose last free day (ETA plus 7) lies in the range and is over, without deleted and cancelled ones. "
        "On time: all critical steps were completed by that day. A shipment without critical steps is not judged."
    )

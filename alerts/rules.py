"""The ladder and the working calendar, as data and pure functions; the day is always given."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from alerts.choices import Audience
from outbox.choices import Severity

FRIDAY, SATURDAY = 4, 5
WEEKEND = (FRIDAY, SATURDAY)

# The rungs that are pulled forward to a working day (C16). From day 9 on demurrage runs anyway, every day.
FIRST_PULLED_DAY, LAST_PULLED_DAY = 4, 8

# Rungs with a mail of their own per shipment, on their day; all others, and late ones, go into the digest (C19).
OWN_MAIL_DAYS = (7, 8)

# From the mildest to the gravest.
SEVERITIES = (Severity.WARNING, Severity.CRITICAL, Severity.URGENT)


@dataclass(frozen=True, slots=True)
class Rung:
    """A default escalation rule; see `alerts.models.EscalationRule`."""

    name: str
    from_day: int
    until_day: int
    severity: Severity
    audiences: tuple[Audience, ...]


# Source: requirement C15; day 7 is the last free day (SOP 14.0).
LADDER = (
    Rung("Day 4: tell the PPR", 4, 4, Severity.WARNING, (Audience.PPR,)),
    Rung("Day 5: urge the PPR", 5, 5, Severity.CRITICAL, (Audience.PPR,)),
    Rung("Day 6: APR and head", 6, 6, Severity.CRITICAL, (Audience.APR, Audience.HEAD)),
    Rung("Day 7: last free day", 7, 7, Severity.URGENT, (Audience.INTERNAL_AUDIT, Audience.MANAGEMENT)),
    Rung("From day 8: demurrage is running", 8, 30, Severity.URGENT, (Audience.HEAD,)),
)


def is_working_day(on: date, *, holidays: Collection[date]) -> bool:
    """Whether people work: neither Friday or Saturday nor a holiday, estimated or confirmed."""
    return on.weekday() not in WEEKEND and on not in holidays


def due_on(eta: date, *, day: int, holidays: Collection[date], pulls_forward: bool = True) -> date:
    """The date on which a rung is raised.

    Rungs of day 4 to 8 that fall on a day off are raised on the last working day before it, never before the ETA.
    """
    nominal = eta + timedelta(days=day)
    if not pulls_forward or not FIRST_PULLED_DAY <= day <= LAST_PULLED_DAY:
        return nominal
    pulled = nominal
    while pulled > eta and not is_working_day(pulled, holidays=holidays):
        pulled -= timedelta(days=1)
    return pulled


@dataclass(frozen=True, slots=True)
class LadderRule:
    """What the calendar needs to know of an escalation rule."""

    pk: int
    from_day: int
    until_day: int
    starts_on: date
    ended_on: date | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> LadderRule:
        """Build from the rule's row as JSON."""
        ended = row["ended_on"]
        return cls(
            pk=row["id"],
            from_day=row["from_day"],
            until_day=row["until_day"],
            starts_on=date.fromisoformat(row["starts_on"]),
            ended_on=date.fromisoformat(ended) if ended else None,
        )

    def in_force(self, on: date) -> bool:
        return self.starts_on <= on and (self.ended_on is None or on < self.ended_on)


@dataclass(frozen=True, slots=True)
class DueRung:
    """A rung for every shipment of an ETA: which rule, on which day after the ETA, and the date it is raised on."""

    eta: date
    rule_id: int
    day: int
    due_on: date


def rungs_due(
    etas: Iterable[date], ladder: Sequence[LadderRule], *, on: date, holidays: Collection[date], pulls_forward: bool
) -> list[DueRung]:
    """Return every rung that is due by `on`, for ETAs up to then; of each rule the days on which it was in force."""
    found = []
    for eta in etas:
        reached = max((on - eta).days, LAST_PULLED_DAY)  # what is pulled forward is due before its day
        for rule in ladder:
            for day in range(rule.from_day, min(rule.until_day, reached) + 1):
                due = due_on(eta, day=day, holidays=holidays, pulls_forward=pulls_forward)
                if due <= on and rule.in_force(due):
                    found.append(DueRung(eta, rule.pk, day, due))
    return found


def columns(rungs: Sequence[DueRung]) -> dict[str, list[Any]]:
    """The rungs as the arrays that `alerts.selectors.RUNGS` takes."""
    return {
        "etas": [rung.eta for rung in rungs],
        "rules": [rung.rule_id for rung in rungs],
        "days": [rung.day for rung in rungs],
        "due": [rung.due_on for rung in rungs],
    }

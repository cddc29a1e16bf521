"""What somebody asks of the metrics, and what of the answer they may see: a value that decides every figure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings

from accounts.choices import OWN_STEPS_ONLY, WORKING_DEPARTMENTS, Department
from accounts.models import User
from metrics.errors import FiguresOfAnotherDepartment, RangeReversed, RangeTooLong
from shipments.rules import FREE_TIME_DAYS, require_believable_dates

USUAL_DAYS = 90  # of a range that nobody named
MOST_DAYS = 366
FREE_TIME = timedelta(days=FREE_TIME_DAYS)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Question:
    """A range (both days included), perhaps one department, what the asker sees, and what the answer is reckoned with.

    Equal questions have equal answers: the cache goes by that.
    """

    from_: date
    until: date
    on: date  # today in Muscat
    department: str  # empty: every one
    divisions: tuple[int, ...]  # whose shipments the asker sees; empty: all
    own_department: str  # the only one whose own figures the asker sees; empty: every one
    daily_rate_omr: Decimal
    counterfactual_days: Decimal | None  # None: computed from the late ones

    @property
    def departments(self) -> list[str]:
        """The departments whose own figures the answer tells."""
        only = self.department or self.own_department
        return [only] if only else [department.value for department in WORKING_DEPARTMENTS]

    @property
    def parameters(self) -> dict[str, Any]:
        """What the statements are given. A shipment is judged once its last free day lies in the range and is over."""
        return {
            "from": self.from_,
            "until": self.until,
            "eta_from": self.eta_from,
            "eta_until": self.eta_until,
            "on": self.on,
            "department": self.department,
            "departments": self.departments,
            "divisions": list(self.divisions),
            "free_days": FREE_TIME_DAYS,
        }

    @property
    def eta_from(self) -> date:
        """The earliest ETA of the shipments that are judged."""
        return self.from_ - FREE_TIME

    @property
    def eta_until(self) -> date:
        """The latest ETA of the shipments that are judged; before `eta_from` if there can't be any yet."""
        return min(self.until, self.on - ONE_DAY) - FREE_TIME

    @property
    def inputs(self) -> dict[str, Any]:
        """What every answer says it was reckoned from."""
        return {"from": self.from_, "to": self.until, "department": self.department or None, "as_of": self.on}


def ask(
    *, user: User, on: date, from_: date | None = None, until: date | None = None, department: str = ""
) -> Question:
    """Put a question for a person, as of `on`: by default about the 90 days up to it, and about every department.

    Finance, C&C and Stores see the figures of their own department only, like its steps in lists (C14); what is told
    of whole shipments they see of every shipment in sight.

    :raises InvalidFields: a date that only a slip in the year explains.
    :raises RangeReversed: :raises RangeTooLong: more than a year.
    :raises FiguresOfAnotherDepartment: they asked for another department than their own.
    """
    require_believable_dates({"from": from_, "to": until})
    until = until or on
    from_ = from_ or until - (USUAL_DAYS - 1) * ONE_DAY
    if until < from_:
        raise RangeReversed(from_=from_, until=until)
    if (days := (until - from_).days + 1) > MOST_DAYS:
        raise RangeTooLong(days=days, most=MOST_DAYS)
    own = user.department if user.department in OWN_STEPS_ONLY else ""
    if own and department not in ("", own):
        raise FiguresOfAnotherDepartment(own=Department(own).label)
    return Question(
        from_=from_,
        until=until,
        on=on,
        department=department,
        divisions=tuple(sorted(user.own_divisions)),
        own_department=own,
        daily_rate_omr=settings.DEMURRAGE_DAILY_RATE_OMR,
        counterfactual_days=settings.DEMURRAGE_COUNTERFACTUAL_DAYS,
    )

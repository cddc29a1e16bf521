"""What the ladder should be, worked out another way: plain Python over plain rows, step by step, without set algebra.

Shares nothing with the sweep: neither its SQL nor `alerts.rules`.
"""

from __future__ import annotations

import calendar
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from accounts.models import Absence, User
from alerts.models import EscalationRule, Holiday
from shipments.models import Shipment
from workflow.models import WorkflowStep

ONE_DAY = timedelta(days=1)


def is_off(day: date, holidays: Collection[date]) -> bool:
    return calendar.day_name[calendar.weekday(day.year, day.month, day.day)] in {"Friday", "Saturday"} or (
        day in holidays
    )


def raised_on(eta: date, day: int, holidays: Collection[date]) -> date:
    """Every date from the ETA to the rung's own, thrown out if nobody works; the last that is left, else the ETA."""
    nominal = date.fromordinal(eta.toordinal() + day)
    if day not in {4, 5, 6, 7, 8}:
        return nominal
    working = [
        on for on in map(date.fromordinal, range(eta.toordinal(), nominal.toordinal() + 1)) if not is_off(on, holidays)
    ]
    return max(working, default=eta)


@dataclass(frozen=True, slots=True)
class Rung:
    """What should exist, whomever it tells."""

    step_id: int
    revision: int
    rule_id: int
    day: int


@dataclass(frozen=True, slots=True)
class Raised:
    due_on: date
    recipients: frozenset[int]


def expected(on: date, shipments: Iterable[Shipment] | None = None) -> dict[Rung, Raised]:
    """Every rung that should exist by `on` as things stand, with whom it tells."""
    holidays = set(Holiday.objects.values_list("on", flat=True))
    house = _House()
    found = {}
    for shipment in Shipment.objects.all() if shipments is None else shipments:
        if shipment.deleted_at is not None or shipment.status != "active":
            continue
        for step in WorkflowStep.objects.filter(shipment=shipment, is_critical=True):
            if step.actual_date is not None:
                continue
            for rule in EscalationRule.objects.all():
                for day in range(rule.from_day, rule.until_day + 1):
                    due_on = raised_on(shipment.eta, day, holidays)
                    if due_on > on or due_on < rule.starts_on or (rule.ended_on and due_on >= rule.ended_on):
                        continue
                    told = set()
                    for audience in rule.audiences:
                        told |= house.told(audience, step, shipment, due_on)
                    rung = Rung(step.pk, shipment.eta_edit_count, rule.pk, day)
                    found[rung] = Raised(due_on, frozenset(told))
    return found


class _House:
    """Who works here, who is away when."""

    def __init__(self) -> None:
        self.people = {user.pk: user for user in User.objects.prefetch_related("divisions")}
        self.absences = list(Absence.objects.all())

    def told(self, audience: str, step: WorkflowStep, shipment: Shipment, on: date) -> set[int]:
        named = {"ppr": step.ppr_user_id, "apr": step.apr_user_id}.get(audience)
        told, is_reached = self._reach([named] if self._sees(named, shipment) else [], shipment, on)
        if not is_reached:
            office = [pk for pk in self._office(audience, step) if self._sees(pk, shipment)]
            of_office, is_reached = self._reach(office, shipment, on)
            told |= of_office
        if not is_reached:
            told |= {pk for pk, user in self.people.items() if user.is_active and user.role == "Admin"}
        return told

    def _reach(self, people: Iterable[int], shipment: Shipment, on: date) -> tuple[set[int], bool]:
        told, is_reached = set(), False
        for pk in people:
            told.add(pk)
            substitute = self._substitute(pk, on)
            if substitute is None:
                is_reached = True
            elif self._sees(substitute, shipment) and self._substitute(substitute, on) is None:
                told.add(substitute)
                is_reached = True
        return told, is_reached

    def _substitute(self, pk: int, on: date) -> int | None:
        """The named substitute of somebody who is away that day; None of somebody who is there."""
        for absence in self.absences:
            if absence.user_id == pk and absence.starts_on <= on <= absence.ends_on:
                return absence.substitute_id
        return None

    def _sees(self, pk: int | None, shipment: Shipment) -> bool:
        if pk is None or not self.people[pk].is_active:
            return False
        own = [division.pk for division in self.people[pk].divisions.all()]
        return not own or shipment.division_id is None or shipment.division_id in own

    def _office(self, audience: str, step: WorkflowStep) -> Iterator[int]:
        for pk, user in self.people.items():
            if audience == "internal_audit":
                belongs = user.department == "IA"
            elif audience == "management":
                belongs = user.department == "Management"
            else:
                belongs = user.department == step.department and user.role == "Manager"
            if belongs:
                yield pk

"""What the figures should be, worked out another way: plain Python over plain rows, shipment by shipment.

Shares nothing with the figures: neither their SQL nor `metrics.rules`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

from shipments.models import Shipment
from workflow.models import TemplateStep, WorkflowStep

DEPARTMENTS = ["BusinessUnit", "Finance", "C&C", "Stores"]
RATE = Fraction("38.462")


def rounded(value: Fraction, places: int) -> Fraction:
    """Half away from zero."""
    shifted = abs(value) * 10**places
    whole = floor(shifted + Fraction(1, 2))
    return Fraction(whole if value >= 0 else -whole, 10**places)


def tenth(value: Fraction | None) -> float | None:
    return None if value is None else float(rounded(value, 1))


def mean(values: list[int]) -> Fraction | None:
    return Fraction(sum(values), len(values)) if values else None


def percentile(values: list[int], share: Fraction) -> Fraction | None:
    """Between two neighbours in proportion, as spreadsheets do (PERCENTILE.INC)."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def omr(amount: Fraction) -> Decimal:
    return Decimal(int(rounded(amount, 3) * 1000)) / 1000


class Books:
    """All shipments with their steps, as somebody sees them who sees these divisions."""

    def __init__(self, divisions: Iterable[int] = ()) -> None:
        seen = set(divisions)
        steps = defaultdict(list)
        for step in WorkflowStep.objects.all():
            steps[step.shipment_id].append(step)
        self.before = {fact.pk: set(fact.depends_on) for fact in TemplateStep.objects.all()}
        self.files = [
            (shipment, steps[shipment.pk])
            for shipment in Shipment.objects.all()
            if shipment.deleted_at is None
            and shipment.status != "cancelled"
            and (not seen or shipment.division_id is None or shipment.division_id in seen)
        ]

    def clearance_time(self, start: date, end: date, departments: list[str]) -> dict[str, Any]:
        whole, by_department = [], defaultdict(list)
        for shipment, steps in self.files:
            critical = [step.actual_date for step in steps if step.is_critical]
            if not critical or None in critical or not start <= max(critical) <= end:
                continue
            whole.append((max(critical) - shipment.eta).days)
            for department in departments:
                done = [step.actual_date for step in steps if step.department == department and step.actual_date]
                if done:
                    by_department[department].append((max(done) - shipment.eta).days)
        return {
            "end_to_end": self._span(whole),
            "departments": [{"department": one, **self._span(by_department[one])} for one in departments],
        }

    @staticmethod
    def _span(days: list[int]) -> dict[str, Any]:
        return {
            "shipments": len(days),
            "average_days": tenth(mean(days)),
            "median_days": tenth(percentile(days, Fraction(1, 2))),
            "p90_days": tenth(percentile(days, Fraction(9, 10))),
        }

    def of_range(self, start: date, end: date, on: date) -> list[tuple[Shipment, list[WorkflowStep]]]:
        return [
            (shipment, steps)
            for shipment, steps in self.files
            if start <= (last_free := shipment.eta + timedelta(days=7)) <= end and last_free < on
        ]

    def judged(
        self, start: date, end: date, on: date, department: str = ""
    ) -> tuple[list[tuple[Shipment, date | None, int]], int]:
        """Each shipment with the day on which it was done and its days late; and how many can't be judged."""
        found, unjudged = [], 0
        for shipment, steps in self.of_range(start, end, on):
            dates = [
                step.actual_date
                for step in steps
                if step.is_critical and (not department or step.department == department)
            ]
            if not dates:
                unjudged += 1
                continue
            done = None if None in dates else max(dates)
            found.append((shipment, done, max(((done or on) - shipment.eta).days - 7, 0)))
        return found, unjudged

    def on_time_rate(self, start: date, end: date, on: date, department: str) -> dict[str, Any]:
        judged, unjudged = self.judged(start, end, on, department)
        on_time = sum(1 for _, _, late in judged if not late)
        return {
            "judged": len(judged),
            "on_time": on_time,
            "late": len(judged) - on_time,
            "still_open": sum(1 for _, done, _ in judged if done is None),
            "not_judged": unjudged,
            "on_time_percent": tenth(Fraction(100 * on_time, len(judged)) if judged else None),
        }

    def demurrage_savings(
        self, start: date, end: date, on: date, department: str, set_days: Fraction | None
    ) -> dict[str, Any]:
        judged, _ = self.judged(start, end, on, department)
        late = [(shipment.container_count, done, days) for shipment, done, days in judged if days]
        punctual = [shipment.container_count for shipment, _, days in judged if not days]
        container_days = sum(containers * days for containers, _, days in late if containers is not None)
        delay = set_days
        if delay is None and late:
            delay = rounded(mean([days for _, _, days in late]), 1)
        containers = sum(count for count in punctual if count is not None)
        return {
            "counterfactual_days": None if delay is None else float(delay),
            "incurred_omr": omr(container_days * RATE),
            "savings_omr": None if delay is None else omr(containers * RATE * delay),
            "late": {
                "shipments": len(late),
                "still_open": sum(1 for _, done, _ in late if done is None),
                "containers": sum(count for count, _, _ in late if count is not None),
                "containers_unknown": sum(1 for count, _, _ in late if count is None),
                "delay_days": sum(days for _, _, days in late),
                "container_days": container_days,
            },
            "on_time": {
                "shipments": len(punctual),
                "containers": containers,
                "containers_unknown": punctual.count(None),
            },
        }

    def delayed(self, start: date, end: date, on: date, departments: list[str]) -> dict[int, dict[str, Any]]:
        """Every delayed step by its id: how many days, and how many of them it waited."""
        found = {}
        for _, steps in self.of_range(start, end, on):
            by_number = {step.step_number: step for step in steps}
            for step in steps:
                if step.is_optional or step.department not in departments:
                    continue
                delayed = [
                    step.target_date + timedelta(days=n)
                    for n in range(((step.actual_date or on) - step.target_date).days)
                ]
                blockers = [by_number[one] for one in self.before[step.template_step_id] if one in by_number]
                waits = [
                    day
                    for day in delayed
                    if any(not one.not_required and (one.actual_date or on) > day for one in blockers)
                ]
                if delayed:
                    found[step.pk] = {
                        "delay_days": len(delayed),
                        "waiting_days": len(waits),
                        "working_days": len(delayed) - len(waits),
                    }
        return found

    def delays(self, start: date, end: date, on: date, departments: list[str]) -> list[dict[str, Any]]:
        delayed = self.delayed(start, end, on, departments)
        return [self._delay(one, self.of_range(start, end, on), delayed) for one in departments]

    @staticmethod
    def _delay(department: str, files: list[Any], delayed: dict[int, dict[str, Any]]) -> dict[str, Any]:
        steps = [one for _, steps in files for one in steps if one.department == department and not one.is_optional]
        late = [step for step in steps if step.pk in delayed]
        sums = {
            name: sum(delayed[step.pk][name] for step in late)
            for name in ("delay_days", "waiting_days", "working_days")
        }
        return {
            "department": department,
            "mandatory": len(steps),
            "delayed": len(late),
            "completed_late": sum(1 for step in late if step.actual_date),
            "overdue": sum(1 for step in late if not step.actual_date),
            **sums,
            "average_delay_days": tenth(Fraction(sums["delay_days"], len(late)) if late else None),
        }

    def by_month(self, start: date, end: date, on: date, department: str) -> list[dict[str, Any]]:
        judged, _ = self.judged(start, end, on, department)
        months, day = [], start.replace(day=1)
        while day <= end:
            months.append(day)
            day = (day + timedelta(days=31)).replace(day=1)
        of_month = defaultdict(list)
        for one in judged:
            of_month[(one[0].eta + timedelta(days=7)).replace(day=1)].append(one)
        return [{"month": month, **self._trend(of_month[month])} for month in months]

    def by_principal(self, start: date, end: date, on: date, department: str) -> list[dict[str, Any]]:
        judged, _ = self.judged(start, end, on, department)
        of_principal = defaultdict(list)
        for one in judged:
            of_principal[one[0].principal].append(one)
        found = [{"principal": name, **self._trend(its)} for name, its in of_principal.items()]
        return sorted(found, key=lambda row: (-row["incurred_omr"], -row["judged"], row["principal"]))

    @staticmethod
    def _trend(judged: list[tuple[Shipment, date | None, int]]) -> dict[str, Any]:
        on_time = sum(1 for _, _, late in judged if not late)
        spans = [(done - shipment.eta).days for shipment, done, _ in judged if done is not None]
        container_days = sum((shipment.container_count or 0) * late for shipment, _, late in judged)
        return {
            "judged": len(judged),
            "on_time": on_time,
            "on_time_percent": tenth(Fraction(100 * on_time, len(judged)) if judged else None),
            "median_days": tenth(percentile(spans, Fraction(1, 2))),
            "incurred_omr": omr(container_days * RATE),
            "on_time_containers": sum(shipment.container_count or 0 for shipment, _, late in judged if not late),
        }

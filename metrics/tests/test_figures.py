"""Each figure against the same figure worked out in plain Python, over random histories."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearance.tests.cast import Cast
from clearance.tests.recipes import MUSCAT
from metrics import selectors as metrics
from metrics.tests import histories
from metrics.tests.histories import NUMBERS, OPTIONAL, Past
from metrics.tests.oracle import DEPARTMENTS, Books
from shipments import services as shipments
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import TemplateStep

pytestmark = pytest.mark.django_db

TODAYS = (date(2026, 3, 15), date(2028, 2, 29), date(2028, 3, 1), date(2027, 1, 1))
SHIPMENTS = 15


def a_past(random: Random, *, today: date, divisions: tuple[int | None, ...], unjudged: list[TemplateStep]) -> Past:
    """A shipment that arrived in the last weeks, or does so soon, whatever became of it."""
    done = dict.fromkeys(NUMBERS, random.randint(2, 8)) if random.random() < 0.7 else {}
    for number in NUMBERS:
        if random.random() < 0.3:
            done[number] = random.randint(-12, 30)
        elif random.random() < (0.6 if number == OPTIONAL else 0.1):
            done.pop(number, None)
    return Past(
        eta=today - timedelta(days=random.randint(-3, 50)),
        done=done,
        not_required=random.random() < 0.5,
        containers=random.choice([None, 1, 2, 7]),
        division_id=random.choice(divisions),
        principal=random.choice(["Al Noor Tyres", "Dhofar Motors", "Sohar Parts"]),
        is_cancelled=random.random() < 0.1,
        is_deleted=random.random() < 0.1,
        facts=unjudged if random.random() < 0.1 else (),
    )


class TestAFigure:
    # The history comes from a seed of its own: dense from the first example on, where Hypothesis begins with next to
    # nothing. It reports the seed of a failure.
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(random=st.randoms(use_true_random=True))
    def test_is_what_plain_arithmetic_makes_of_the_same_rows(self, cast, settings, random):
        today = random.choice(TODAYS)
        divisions = (None, cast.tyres.pk, cast.vehicles.pk)
        with transaction.atomic():
            facts = histories.procedure()
            unjudged = histories.procedure(version=2, has_critical=False)
            pasts = [a_past(random, today=today, divisions=divisions, unjudged=unjudged) for _ in range(SHIPMENTS)]
            written = histories.write(pasts, facts=facts, on=today)
            self.change(written, cast, random, on=today)
            histories.forget_what_was_kept()
            start = today - timedelta(days=random.randint(0, 50))
            end = start + timedelta(days=random.randint(0, 50))
            user = random.choice([cast.manager, cast.divisional_clerk, cast.stranger, cast.finance_clerk])
            own = ["Finance"] if user == cast.finance_clerk else DEPARTMENTS
            department = random.choice(["", "", "", *own])
            set_days = random.choice([None, "2.5"])
            settings.DEMURRAGE_COUNTERFACTUAL_DAYS = set_days and Decimal(set_days)

            asked = metrics.ask(user=user, on=today, from_=start, until=end, department=department)
            self.compare(asked, Books(user.own_divisions), set_days and Fraction(set_days))
            transaction.set_rollback(True)

    def change(self, written: list[Shipment], cast: Cast, random: Random, *, on: date) -> None:
        """Reopen steps and move ETAs as people do: by the desk."""
        at = datetime(on.year, on.month, on.day, 12, tzinfo=MUSCAT)
        existing = [one for one in written if one.status != "cancelled" and not one.deleted_at]
        for shipment in random.sample(existing, min(4, len(existing))):
            done = list(shipment.steps.exclude(actual_date=None).order_by("step_number"))
            if done:
                step = random.choice(done)
                workflow.reopen_step(step_id=step.pk, by=cast.administrator, at=at, reason="Too early.")
        active = list(Shipment.objects.active().order_by("pk"))
        for shipment in random.sample(active, min(3, len(active))):
            eta = shipment.eta + timedelta(days=random.randint(1, 9))
            early = datetime(shipment.eta.year, shipment.eta.month, shipment.eta.day, tzinfo=MUSCAT)
            shipments.change_eta(shipment_id=shipment.pk, eta=eta, by=cast.bu_clerk, at=early)

    def compare(self, asked: metrics.Question, books: Books, set_days: Fraction | None) -> None:
        start, end, on, one = asked.from_, asked.until, asked.on, asked.department
        only = one or asked.own_department
        departments = [only] if only else DEPARTMENTS

        told = metrics.clearance_time(asked)
        assert {name: told[name] for name in ("end_to_end", "departments")} == books.clearance_time(
            start, end, departments
        )

        expected = books.on_time_rate(start, end, on, one)
        told = metrics.on_time_rate(asked)
        assert {name: told[name] for name in expected} == expected

        expected = books.demurrage_savings(start, end, on, one, set_days)
        told = metrics.demurrage_savings(asked)
        assert told["inputs"]["counterfactual_days"] == expected.pop("counterfactual_days")
        assert {name: told[name] for name in expected} == expected
        incurred = sum(row["incurred_omr"] for row in metrics.costliest(asked))
        assert incurred == told["incurred_omr"]

        expected = books.delays(start, end, on, departments)
        told = metrics.delayed_steps(asked)
        assert told["departments"] == expected
        assert sum(step["delay_days"] for step in told["steps"]) == sum(row["delay_days"] for row in expected)

        delayed = books.delayed(start, end, on, departments)
        listed = metrics.list_delayed_steps(asked, page=1, page_size=200)
        assert {row["id"]: {name: row[name] for name in delayed[row["id"]]} for row in listed} == delayed
        assert [row["delay_days"] for row in listed] == sorted((row["delay_days"] for row in listed), reverse=True)

        assert metrics.by_month(asked) == books.by_month(start, end, on, one)
        assert metrics.by_principal(asked) == books.by_principal(start, end, on, one)
        for row in metrics.by_department(asked):
            own = books.on_time_rate(start, end, on, row["department"])
            assert (row["judged"], row["on_time"]) == (own["judged"], own["on_time"])
            assert row["on_time_percent"] == own["on_time_percent"]

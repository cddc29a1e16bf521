from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from clearance.errors import DomainError
from clearance.tests import recipes
from clearance.tests.cast import Cast
from clearance.tests.recipes import NOON, TODAY
from shipments import services as shipments
from shipments.models import Shipment
from shipments.rows import TrackerRow
from workflow import imports
from workflow import services as workflow
from workflow.models import WorkflowStep

pytestmark = pytest.mark.django_db

ENTRY, FIRST, CRITICAL, LAST_CRITICAL, OPTIONAL, ALSO_OPTIONAL = map(
    Decimal, ("1.0", "2.0", "3.0", "4.0", "5.0", "6.0")
)
NUMBERS = (ENTRY, FIRST, CRITICAL, LAST_CRITICAL, OPTIONAL, ALSO_OPTIONAL)

a_number = st.sampled_from(NUMBERS)
a_day = st.integers(0, 5).map(lambda days: TODAY - timedelta(days=days))


def small_procedure() -> workflow.TemplateFacts:
    """Six steps of every kind, so that a few verbs complete a shipment; for air freight."""
    sop = imports.procedure(imports.SOP, code="small", name="A small procedure")
    plain = replace(
        sop.steps[0], department="C&C", is_critical=False, is_optional=False, filled_by_field="", depends_on=()
    )
    steps = [
        replace(
            plain,
            step_number=number,
            offset_days=place - 2,
            is_critical=number in (CRITICAL, LAST_CRITICAL),
            is_optional=number in (OPTIONAL, ALSO_OPTIONAL),
            filled_by_field="vessel" if number == ENTRY else "",
        )
        for place, number in enumerate(NUMBERS)
    ]
    return replace(sop, steps=steps, transport_mode="air")


class Verbs(RuleBasedStateMachine):
    """One shipment, and verbs in any order; what must always hold is checked after each."""

    cast: Cast

    @initialize()
    def register(self) -> None:
        self.savepoint = transaction.savepoint()
        self.shipment = recipes.registered(by=self.cast.bu_clerk, transport_mode="air")
        self.before = self.rows()

    def teardown(self) -> None:
        transaction.savepoint_rollback(self.savepoint)

    def rows(self) -> dict[str, dict[str, Any]]:
        shipment = Shipment.objects.filter(pk=self.shipment.pk).values().get()
        steps = WorkflowStep.objects.filter(shipment=self.shipment).values()
        return {"shipment": shipment} | {str(step["step_number"]): step for step in steps}

    def attempt(self, verb: Any, **arguments: Any) -> None:
        """Call a verb of the desk; refused, it must have changed nothing."""
        try:
            result = verb(**arguments, at=NOON)
        except DomainError:
            assert self.rows() == self.before
        else:
            if getattr(result, "failed", 0):
                assert self.rows() == self.before

    def step_id(self, number: Decimal) -> int:
        return self.before[str(number)]["id"]

    @rule(number=a_number, on=a_day)
    def complete(self, number, on):
        self.attempt(workflow.complete_step, step_id=self.step_id(number), by=self.cast.cc_head, actual_date=on)

    @rule(on=a_day)
    def complete_all(self, on):
        for number in (FIRST, CRITICAL, LAST_CRITICAL):
            self.complete(number, on)
            self.always()

    @rule(number=a_number)
    def mark_not_required(self, number):
        self.attempt(workflow.mark_not_required, step_id=self.step_id(number), by=self.cast.cc_clerk)

    @rule(number=a_number)
    def reopen(self, number):
        self.attempt(workflow.reopen_step, step_id=self.step_id(number), by=self.cast.cc_head, reason="Wrong papers")

    @rule(vessel=st.sampled_from(["", "Sea Star", "Sun Star"]))
    def amend(self, vessel):
        self.attempt(shipments.amend, shipment_id=self.shipment.pk, changes={"vessel": vessel}, by=self.cast.bu_clerk)

    @rule(days=st.integers(-1, 4))
    def change_eta(self, days):
        eta = TODAY + timedelta(days=days)
        self.attempt(shipments.change_eta, shipment_id=self.shipment.pk, eta=eta, by=self.cast.bu_clerk)

    @rule()
    def cancel(self):
        self.attempt(shipments.cancel, shipment_id=self.shipment.pk, by=self.cast.bu_head, reason="Order withdrawn")

    @rule()
    def delete(self):
        self.attempt(shipments.delete, shipment_id=self.shipment.pk, by=self.cast.bu_head)

    @rule()
    def restore(self):
        self.attempt(shipments.restore, shipment_id=self.shipment.pk, by=self.cast.bu_head)

    @rule(
        steps=st.dictionaries(a_number, a_day, max_size=6),
        fields=st.sampled_from([{}, {"vessel": "Sea Star"}, {"eta": TODAY}, {"eta": TODAY + timedelta(days=9)}]),
    )
    def bring(self, steps, fields):
        row = TrackerRow(2, {"shipment_number": self.shipment.shipment_number, **fields}, steps)
        self.attempt(shipments.import_rows, rows=[row], by=self.cast.bu_clerk)

    @invariant()
    def always(self) -> None:
        if not hasattr(self, "before"):
            return
        before, self.before = self.before, self.rows()
        shipment = self.before["shipment"]
        steps = {Decimal(number): row for number, row in self.before.items() if number != "shipment"}

        is_complete = all(steps[number]["actual_date"] for number in (ENTRY, FIRST, CRITICAL, LAST_CRITICAL))
        if shipment["status"] != "cancelled":
            assert shipment["status"] == ("completed" if is_complete else "active")

        critical = [steps[number]["actual_date"] for number in (CRITICAL, LAST_CRITICAL)]
        assert shipment["cleared_on"] == (max(critical) if all(critical) else None)

        for step in steps.values():
            assert step["target_date"] == shipment["eta"] + timedelta(days=step["offset_days"])
            if step["not_required"] and step["completed_via"] == "system":
                assert shipment["status"] == "completed"

        entry = steps[ENTRY]
        if shipment["vessel"]:
            assert entry["actual_date"]
        elif entry["actual_date"]:
            assert entry["completed_via"] == "import"

        assert shipment["eta_edit_count"] <= 3
        for key, row in self.before.items():
            grown = row["version"] - before[key]["version"]
            assert grown > 0 if row != before[key] else grown == 0


class TestInAnyOrder:
    def test_the_verbs_keep_shipment_and_steps_in_agreement(self, cast, noon):
        workflow.load_template(facts=small_procedure(), at=noon)
        Verbs.cast = cast

        run_state_machine_as_test(
            Verbs,
            settings=settings(
                max_examples=40,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=set(Phase) - {Phase.explain},  # which takes minutes
            ),
        )

"""Twenty people work on the same shipments while sweeps run: nobody fails, nobody waits for ever, nothing is lost."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from django.db.models import Count

from alerts import services as alerts
from alerts.models import Alert, SweepRun
from alerts.tests import oracle
from alerts.tests.oracle import Rung
from alerts.tests.test_ladder import CRITICAL
from clearance.errors import DomainError
from clearance.tests import races, recipes
from clearance.tests.recipes import ETA, MUSCAT
from outbox.models import Message
from shipments import services as shipments
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import WorkflowStep

ROUNDS = 12
ON = ETA + timedelta(days=6)
AT = datetime(ON.year, ON.month, ON.day, 9, tzinfo=MUSCAT)

# What another person's being first looks like; anything else is an error.
TOO_LATE = {
    "STEP_ALREADY_COMPLETED", "STEP_NOT_COMPLETED", "ETA_EDIT_LIMIT", "ALERT_NOT_OPEN", "SHIPMENT_COMPLETED",
}  # fmt: skip


class Client:
    """One person with a database connection of their own, who notes what they were told had worked."""

    def __init__(self, cast, kind: str, seed: int, where: list[Shipment]) -> None:
        self.cast, self.kind, self.where = cast, kind, where
        self.chance = random.Random(seed)
        self.next_eta = ON + timedelta(days=seed * ROUNDS)
        self.completed: list[int] = []
        self.reopened: list[int] = []
        self.moved: list[int] = []
        self.acknowledged: list[int] = []

    def __call__(self) -> str:
        for _ in range(ROUNDS):
            try:
                getattr(self, self.kind)()
            except DomainError as error:
                if error.code not in TOO_LATE:
                    raise
        return "done"

    def one(self) -> Shipment:
        return self.chance.choice(self.where)

    def step(self) -> WorkflowStep:
        return recipes.step(self.one(), self.chance.choice(CRITICAL))

    def completes(self) -> None:
        step = self.step()
        by = self.cast.finance_head if step.department == "Finance" else self.cast.cc_head
        workflow.complete_step(step_id=step.pk, by=by, at=AT)
        self.completed.append(step.pk)

    def reopens(self) -> None:
        step = self.step()
        by = self.cast.finance_head if step.department == "Finance" else self.cast.cc_head
        workflow.reopen_step(step_id=step.pk, by=by, at=AT, reason="Rejected")
        self.reopened.append(step.pk)

    def moves(self) -> None:
        one = self.one()
        self.next_eta += timedelta(days=1)  # a date that nobody else chooses: the same date again would use no edit
        shipments.change_eta(shipment_id=one.pk, eta=self.next_eta, by=self.cast.bu_clerk, at=AT)
        self.moved.append(one.pk)

    def acknowledges(self) -> None:
        alert = Alert.objects.open().select_related("recipient_user").order_by("?").first()
        if alert is not None:
            alerts.acknowledge(alert_id=alert.pk, by=alert.recipient_user, at=AT, promised_on=ON)
            self.acknowledged.append(alert.pk)

    def sweeps(self) -> None:
        alerts.sweep(on=ON, at=AT)


@pytest.mark.django_db(transaction=True)
def test_twenty_clients_complete_reopen_re_date_and_acknowledge_while_sweeps_run(cast):
    """No error, no deadlock, no lost update; and in the end exactly the alerts of what is then open."""
    where = [recipes.registered(by=cast.bu_clerk, eta=ETA + timedelta(days=n % 3)) for n in range(12)]
    kinds = ["completes"] * 6 + ["reopens"] * 4 + ["moves"] * 3 + ["acknowledges"] * 4 + ["sweeps"] * 3
    clients = [Client(cast, kind, seed, where) for seed, kind in enumerate(kinds)]

    results = races.free_for_all(*clients)

    assert results == ["done"] * 20
    assert SweepRun.objects.filter(finished_at=None).count() == 0
    assert SweepRun.objects.count() == 3 * ROUNDS

    alerts.sweep(on=ON, at=AT)
    require_every_step_counted(clients)
    require_every_eta_counted(clients)
    noted = {pk for client in clients for pk in client.acknowledged}
    assert set(Alert.objects.exclude(acknowledged_at=None).values_list("pk", flat=True)) == noted
    found = {
        Rung(one.workflow_step_id, one.eta_revision, one.rule_id, one.days_post_eta) for one in Alert.objects.open()
    }
    assert found == set(oracle.expected(ON))
    assert not Message.objects.annotate(lines=Count("alerts")).filter(lines=0).exists()


def require_every_step_counted(clients: list[Client]) -> None:
    """Every completion and every reopening that was confirmed has counted: they alternate on a step."""
    for step in WorkflowStep.objects.filter(is_critical=True):
        completed = sum(client.completed.count(step.pk) for client in clients)
        reopened = sum(client.reopened.count(step.pk) for client in clients)
        assert completed - reopened == (step.actual_date is not None)


def require_every_eta_counted(clients: list[Client]) -> None:
    """Every change of an ETA that was confirmed is counted, and every step fits the last one."""
    for shipment in Shipment.objects.all():
        moved = sum(client.moved.count(shipment.pk) for client in clients)
        assert shipment.eta_edit_count == moved
        for step in shipment.steps.all():
            assert step.target_date == shipment.eta + timedelta(days=step.offset_days)

"""Whatever people do in whatever order: a sweep leaves exactly what the oracle says, and nothing open is done."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts import services as accounts
from accounts.errors import AbsenceOverlaps
from accounts.models import Absence, Division, User
from alerts import services as alerts
from alerts.models import Alert, EscalationRule, Holiday
from alerts.tests import oracle
from alerts.tests.oracle import Raised, Rung
from clearance.tests import recipes
from clearance.tests.recipes import BAYAN_SUBMITTED, COLLECTED, MUSCAT
from shipments import services as shipments
from shipments.errors import EtaEditLimitReached
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import WorkflowStep

pytestmark = pytest.mark.django_db

CRITICAL = (BAYAN_SUBMITTED, "10.0", "11.0", "13.0", COLLECTED)
MOST_SHIPMENTS = 3
a_shipment = st.integers(0, MOST_SHIPMENTS - 1)
a_step = st.sampled_from(CRITICAL)


class House(RuleBasedStateMachine):
    """`raised` is the independent model: what was to be raised when it was first due, and to whom."""

    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.people = {user.email.partition("@")[0]: user for user in User.objects.all()}
        self.today = date(2026, 3, 8)  # a Sunday; the Eid break begins on the 19th
        self.raised: dict[Rung, Raised] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    @property
    def at(self) -> datetime:
        return datetime(self.today.year, self.today.month, self.today.day, 12, tzinfo=MUSCAT)

    def shipment(self, place: int, **only) -> Shipment | None:
        found = list(Shipment.objects.order_by("pk"))
        one = found[place % len(found)] if found else None
        return one if one and all(getattr(one, name) == value for name, value in only.items()) else None

    def head_of(self, step: WorkflowStep) -> User:
        return self.people["finance_head" if step.department == "Finance" else "cc_head"]

    def note(self, *touched: Shipment) -> None:
        """What is due now and was not before has its people from now on."""
        fresh = Shipment.objects.filter(pk__in=[one.pk for one in touched]) if touched else None
        for rung, raised in oracle.expected(self.today, fresh).items():
            self.raised.setdefault(rung, raised)

    # What people do --------------------------------------------------------------------------------------------------
    @initialize()
    def begins_with_a_shipment(self) -> None:
        self.note(recipes.registered(by=self.people["bu_clerk"], at=self.at, eta=self.today))

    @precondition(lambda self: Shipment.objects.count() < MOST_SHIPMENTS)
    @rule(days=st.integers(0, 3), division=st.sampled_from(["", "TBL", "LV"]))
    def register(self, days: int, division: str) -> None:
        found = Division.objects.filter(code=division).first()
        eta = self.today + timedelta(days=days)
        self.note(recipes.registered(by=self.people["bu_clerk"], at=self.at, eta=eta, division=found))

    @rule(place=a_shipment, days=st.integers(0, 6))
    def change_eta(self, place: int, days: int) -> None:
        one = self.shipment(place, status="active", deleted_at=None)
        if one is None:
            return
        eta = self.today + timedelta(days=days)
        try:
            shipments.change_eta(shipment_id=one.pk, eta=eta, by=self.people["bu_clerk"], at=self.at)
        except EtaEditLimitReached:
            assert one.eta_edit_count == 3
        else:
            if eta != one.eta:
                self.note(one)

    @rule(place=a_shipment, number=a_step)
    def complete(self, place: int, number: str) -> None:
        one = self.shipment(place, status="active", deleted_at=None)
        if one is not None:
            step = recipes.step(one, number)
            if not step.is_closed:
                workflow.complete_step(step_id=step.pk, by=self.head_of(step), at=self.at)

    @rule(place=a_shipment)
    def complete_all(self, place: int) -> None:
        one = self.shipment(place, status="active", deleted_at=None)
        if one is not None:
            assert recipes.record_all_but(one, on=self.today, at=self.at).status == "completed"

    @rule(place=a_shipment, number=a_step)
    def reopen(self, place: int, number: str) -> None:
        one = self.shipment(place, deleted_at=None)
        if one is not None and one.status != "cancelled":
            step = recipes.step(one, number)
            if step.is_closed:
                workflow.reopen_step(step_id=step.pk, by=self.head_of(step), at=self.at, reason="Rejected")
                self.note(one)

    @rule(place=a_shipment, is_deletion=st.booleans())
    def withdraw(self, place: int, is_deletion: bool) -> None:
        one = self.shipment(place, status="active", deleted_at=None)
        if one is not None:
            given = {"shipment_id": one.pk, "by": self.people["bu_head"], "at": self.at}
            if is_deletion:
                shipments.delete(**given)
            else:
                shipments.cancel(**given, reason="Sold at sea")

    @rule(place=a_shipment)
    def restore(self, place: int) -> None:
        one = self.shipment(place)
        if one is not None and (one.deleted_at is not None or one.status == "cancelled"):
            shipments.restore(shipment_id=one.pk, by=self.people["bu_head"], at=self.at)
            self.note(one)

    @rule(
        pair=st.sampled_from(
            [
                ("cc_clerk", "cc_alternate"),
                ("cc_clerk", "vehicles_clerk"),
                ("cc_alternate", "cc_clerk"),
                ("cc_head", "cc_alternate"),
                ("finance_clerk", "finance_alternate"),
                ("finance_head", "finance_clerk"),
                ("auditor", "second_auditor"),
                ("second_auditor", "auditor"),
            ]
        ),
        first=st.integers(-2, 5),
        days=st.integers(0, 6),
    )
    def be_away(self, pair: tuple[str, str], first: int, days: int) -> None:
        user, substitute = (self.people[name] for name in pair)
        starts_on = self.today + timedelta(days=first)
        try:
            accounts.record_absence(
                user=user,
                starts_on=starts_on,
                ends_on=starts_on + timedelta(days=days),
                substitute=substitute,
                by=self.people["administrator"],
            )
        except AbsenceOverlaps:
            assert Absence.objects.filter(user=user).exists()

    @rule()
    def come_back(self) -> None:
        if absence := Absence.objects.order_by("pk").last():
            accounts.remove_absence(absence=absence, by=self.people["administrator"])

    @rule(name=st.sampled_from(["cc_clerk", "cc_alternate", "finance_clerk", "manager"]), is_active=st.booleans())
    def leave_or_return(self, name: str, is_active: bool) -> None:
        accounts.amend_person(user_id=self.people[name].pk, changes={"is_active": is_active}, by=None, at=self.at)

    @rule(place=st.integers(0, 50))
    def acknowledge(self, place: int) -> None:
        open_ones = list(Alert.objects.open().select_related("recipient_user").order_by("pk"))
        if open_ones:
            alert = open_ones[place % len(open_ones)]
            alerts.acknowledge(alert_id=alert.pk, by=alert.recipient_user, at=self.at, promised_on=self.today)
            assert Alert.objects.get(pk=alert.pk).is_acknowledged

    @rule(days=st.integers(-1, 9), is_added=st.booleans())
    def change_a_holiday(self, days: int, is_added: bool) -> None:
        on = self.today + timedelta(days=days)
        if is_added:
            alerts.load_holidays(holidays=[(on, "Decreed", True)])
        else:
            Holiday.objects.filter(on=on).delete()

    @rule(days=st.integers(0, 2), audience=st.sampled_from(["ppr", "head", "management"]))
    def replace_a_rule(self, days: int, audience: str) -> None:
        by, on = self.people["administrator"], self.today + timedelta(days=days)
        running = EscalationRule.objects.filter(ended_on=None, starts_on__lte=on).order_by("-pk").first()
        if running is not None and EscalationRule.objects.count() < 8:
            alerts.end_rule(rule_id=running.pk, on=on, by=by)
            alerts.add_rule(
                name="Another", from_day=running.from_day, until_day=running.until_day, severity="urgent",
                audiences=[audience], starts_on=on, by=by,
            )  # fmt: skip

    @rule(days=st.integers(1, 4))
    def days_pass(self, days: int) -> None:
        self.today += timedelta(days=days)

    # What must hold --------------------------------------------------------------------------------------------------
    @rule(times=st.integers(1, 3))
    def sweep(self, times: int) -> None:
        self.note()
        reports = [alerts.sweep(on=self.today, at=self.at) for _ in range(times)]

        assert [report.raised for report in reports[1:]] == [0] * (times - 1)
        found: dict[Rung, tuple[date, set[int]]] = {}
        for alert in Alert.objects.all():
            rung = Rung(alert.workflow_step_id, alert.eta_revision, alert.rule_id, alert.days_post_eta)
            found.setdefault(rung, (alert.due_on, set()))[1].add(alert.recipient_user_id)
        assert found == {rung: (one.due_on, set(one.recipients)) for rung, one in self.raised.items()}
        assert Alert.objects.count() == sum(len(one.recipients) for one in self.raised.values())
        assert not Alert.objects.filter(mail="digest", outbox_message=None).exists()

        should_be_open = set(oracle.expected(self.today)) & set(self.raised)
        for one in Alert.objects.open():
            should_be_open.discard(Rung(one.workflow_step_id, one.eta_revision, one.rule_id, one.days_post_eta))
        assert not should_be_open

    @invariant()
    def every_alert_says_what_became_of_it(self) -> None:
        open_ones = set(Alert.objects.open().values_list("pk", flat=True))
        for alert in Alert.objects.with_state().select_related("shipment", "workflow_step"):
            if alert.workflow_step.actual_date is not None:
                state = "resolved"
            elif alert.eta_revision != alert.shipment.eta_edit_count:
                state = "superseded"
            elif alert.shipment.deleted_at is not None or alert.shipment.status != "active":
                state = "withdrawn"
            else:
                state = "open"
            assert alert.state == state
            assert (alert.pk in open_ones) == (state == "open")


def test_any_sequence_of_work_absence_and_sweeps_leaves_what_the_oracle_says(cast):
    accounts.take_on(by=None, email="second_auditor@example.com", full_name="Ibtisam", department="IA", role="ReadOnly")
    accounts.take_on(
        by=None,
        email="vehicles_clerk@example.com",
        full_name="Walid",
        department="C&C",
        role="APR",
        divisions=[cast.vehicles],
    )
    run_state_machine_as_test(
        House,
        settings=settings(
            max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

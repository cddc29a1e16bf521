"""A right denied by name stops its verb, whoever they are; one that is granted goes as far as the object allows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts import services as accounts
from accounts.models import Absence, Division, User
from accounts.tests.people import denied, granted, role
from alerts import services as alerts
from alerts.models import Alert, EscalationRule, Holiday
from alerts.tests import late
from clearance import sheets
from clearance.clock import day_of
from clearance.errors import Forbidden
from clearance.tests import callers, pages, recipes
from clearance.tests.cast import Cast
from clearance.tests.recipes import BAYAN_SUBMITTED, DAN_SENT, NOON, POLICE_CHECK, TODAY
from clearance.tests.traces import everything
from outbox import services as outbox
from outbox.choices import Delivery
from outbox.tests import mails
from shipments import services as shipments
from shipments.errors import EtaEditForbidden
from shipments.rows import TrackerRow
from workflow import services as workflow
from workflow.errors import ReopeningForbidden, StepNotYours
from workflow.models import DepartmentFallback, Responsibility, WorkflowTemplate

pytestmark = pytest.mark.django_db

Verb = Callable[[User], Any]


def registered(cast: Cast, **values: Any) -> Any:
    return recipes.registered(by=cast.bu_clerk, **values)


def done_step(cast: Cast, number: str = BAYAN_SUBMITTED) -> Any:
    shipment = registered(cast)
    recipes.record(shipment, {number: TODAY})
    return recipes.step(shipment, number)


def alert(cast: Cast) -> Alert:
    late.shipment(by=cast.bu_clerk, days=5)
    late.sweep()
    return Alert.objects.filter(recipient_user=cast.cc_clerk).latest("pk")


def absence(cast: Cast) -> Absence:
    return Absence.objects.create(user=cast.cc_clerk, starts_on=TODAY, ends_on=TODAY, substitute=cast.cc_alternate)


def duty(cast: Cast) -> Responsibility:
    return Responsibility(step_number=Decimal(BAYAN_SUBMITTED), ppr=cast.cc_clerk)


def saved(record: Any) -> Any:
    record.save()
    return record


def register(cast: Cast) -> Verb:
    values = recipes.values()
    return lambda by: shipments.register(values=values, by=by, at=NOON)


def amend(cast: Cast) -> Verb:
    pk = registered(cast).pk
    return lambda by: shipments.amend(shipment_id=pk, changes={"vessel": "Sea Star"}, by=by, at=NOON)


def change_eta(cast: Cast) -> Verb:
    shipment = registered(cast)
    eta = shipment.eta + timedelta(days=3)
    return lambda by: shipments.change_eta(shipment_id=shipment.pk, eta=eta, by=by, at=NOON)


def delete(cast: Cast) -> Verb:
    pk = registered(cast).pk
    return lambda by: shipments.delete(shipment_id=pk, by=by, at=NOON)


def cancel(cast: Cast) -> Verb:
    pk = registered(cast).pk
    return lambda by: shipments.cancel(shipment_id=pk, reason="Withdrawn", by=by, at=NOON)


def restore(cast: Cast) -> Verb:
    pk = registered(cast).pk
    shipments.cancel(shipment_id=pk, reason="Withdrawn", by=cast.bu_head, at=NOON)
    return lambda by: shipments.restore(shipment_id=pk, by=by, at=NOON)


def import_rows(cast: Cast) -> Verb:
    rows = [TrackerRow(row=2, fields=recipes.values(), steps={})]
    return lambda by: shipments.import_rows(rows=rows, by=by, at=NOON)


def complete(cast: Cast) -> Verb:
    pk = recipes.step(registered(cast), BAYAN_SUBMITTED).pk
    return lambda by: workflow.complete_step(step_id=pk, by=by, at=NOON)


def mark_not_required(cast: Cast) -> Verb:
    pk = recipes.step(registered(cast), POLICE_CHECK).pk
    return lambda by: workflow.mark_not_required(step_id=pk, by=by, at=NOON)


def reopen(cast: Cast) -> Verb:
    pk = done_step(cast).pk
    return lambda by: workflow.reopen_step(step_id=pk, reason="Too early", by=by, at=NOON)


def name_responsible(cast: Cast) -> Verb:
    return lambda by: workflow.save_duty(duty=duty(cast), by=by)


def rename_responsible(cast: Cast) -> Verb:
    row = saved(duty(cast))
    return lambda by: workflow.save_duty(duty=row, by=by)


def remove_responsible(cast: Cast) -> Verb:
    row = saved(duty(cast))
    return lambda by: workflow.remove_duty(duty=row, by=by)


def change_fallback(cast: Cast) -> Verb:
    row = DepartmentFallback.objects.get(department="C&C")
    return lambda by: workflow.save_duty(duty=row, by=by)


def apply(cast: Cast) -> Verb:
    return lambda by: workflow.apply_responsibilities(departments=["C&C"], by=by, at=NOON)


def use_template(cast: Cast) -> Verb:
    pk = WorkflowTemplate.objects.get().pk
    return lambda by: workflow.use_template(template_id=pk, by=by)


def acknowledge(cast: Cast) -> Verb:
    one = alert(cast)
    return lambda by: alerts.acknowledge(alert_id=one.pk, by=by, at=one.created_at)


def add_rule(cast: Cast) -> Verb:
    facts = {"name": "Day 10", "from_day": 10, "until_day": 10, "severity": "urgent", "audiences": ["head"]}
    return lambda by: alerts.add_rule(**facts, starts_on=TODAY, by=by)


def end_rule(cast: Cast) -> Verb:
    pk = EscalationRule.objects.first().pk
    return lambda by: alerts.end_rule(rule_id=pk, on=day_of(NOON) + timedelta(days=400), by=by)


def add_holiday(cast: Cast) -> Verb:
    return lambda by: alerts.save_holiday(holiday=Holiday(on="2031-07-04", name="A day of joy"), by=by)


def change_holiday(cast: Cast) -> Verb:
    day = Holiday.objects.create(on="2031-07-04", name="A day of joy")
    return lambda by: alerts.save_holiday(holiday=day, by=by)


def remove_holiday(cast: Cast) -> Verb:
    day = Holiday.objects.create(on="2031-07-04", name="A day of joy")
    return lambda by: alerts.remove_holiday(holiday=day, by=by)


def resend(cast: Cast) -> Verb:
    dead = mails.waiting(cast.cc_clerk, at=NOON, delivery=Delivery.DEAD, refusals=3, last_refusal="550")
    return lambda by: outbox.resend(message_id=dead.pk, by=by, at=NOON)


def record_absence(cast: Cast) -> Verb:
    facts = {"user": cast.cc_clerk, "starts_on": TODAY, "ends_on": TODAY, "substitute": cast.cc_alternate}
    return lambda by: accounts.record_absence(**facts, by=by)


def change_absence(cast: Cast) -> Verb:
    pk = absence(cast).pk
    facts = {"user": cast.cc_clerk, "starts_on": TODAY, "ends_on": TODAY, "substitute": cast.cc_alternate}
    return lambda by: accounts.record_absence(**facts, absence_id=pk, by=by)


def remove_absence(cast: Cast) -> Verb:
    one = absence(cast)
    return lambda by: accounts.remove_absence(absence=one, by=by)


NEWCOMER = {"email": "new@example.com", "full_name": "Nasra New", "department": "C&C", "role": "PPR"}


def take_on(cast: Cast) -> Verb:
    return lambda by: accounts.take_on(**NEWCOMER, by=by)


def invite(cast: Cast) -> Verb:
    return lambda by: accounts.invite(**NEWCOMER, by=by, at=NOON)


def invite_again(cast: Cast) -> Verb:
    pk = accounts.take_on(**NEWCOMER, by=None).pk
    return lambda by: accounts.invite_again(user_id=pk, by=by, at=NOON)


def amend_person(cast: Cast) -> Verb:
    return lambda by: accounts.amend_person(user_id=cast.cc_clerk.pk, changes={"full_name": "Khalid"}, by=by, at=NOON)


def deactivate(cast: Cast) -> Verb:
    return lambda by: accounts.deactivate(user=cast.cc_clerk, by=by, at=NOON)


def set_password(cast: Cast) -> Verb:
    return lambda by: accounts.set_password(user=cast.cc_clerk, password="Tall-ship-sails-9", by=by, at=NOON)


def unlock(cast: Cast) -> Verb:
    return lambda by: accounts.unlock(user_id=cast.cc_clerk.pk, by=by, at=NOON)


def require_second_factor(cast: Cast) -> Verb:
    return lambda by: accounts.require_second_factor(roles=["PPR"], by=by)


def override(cast: Cast) -> Verb:
    facts = {"permission": "metrics.view_metric", "is_granted": False, "reason": "A test"}
    return lambda by: accounts.override(user_id=cast.cc_clerk.pk, **facts, by=by, at=NOON)


def add_role(cast: Cast) -> Verb:
    return lambda by: accounts.add_role(name="Reporting", permissions=[], by=by)


def amend_role(cast: Cast) -> Verb:
    pk = role().pk
    return lambda by: accounts.amend_role(role_id=pk, name="Reports", permissions=[], by=by)


def delete_role(cast: Cast) -> Verb:
    pk = role().pk
    return lambda by: accounts.delete_role(role_id=pk, by=by)


def add_division(cast: Cast) -> Verb:
    return lambda by: accounts.save_division(division=Division(code="PTS", name="Parts"), by=by)


def rename_division(cast: Cast) -> Verb:
    return lambda by: accounts.save_division(division=cast.tyres, by=by)


# Who may by their role, the permission, and the verb, once the stage is set.
VERBS: list[tuple[str, str, Callable[[Cast], Verb]]] = [
    ("bu_clerk", "shipments.add_shipment", register),
    ("bu_clerk", "shipments.change_shipment", amend),
    ("bu_clerk", "shipments.change_eta", change_eta),
    ("bu_clerk", "shipments.delete_shipment", delete),
    ("bu_head", "shipments.cancel_shipment", cancel),
    ("administrator", "shipments.cancel_shipment", cancel),
    ("bu_head", "shipments.restore_shipment", restore),
    ("bu_alternate", "shipments.import_shipment", import_rows),
    ("cc_clerk", "workflow.complete_workflowstep", complete),
    ("cc_head", "workflow.complete_workflowstep", complete),
    ("cc_alternate", "workflow.complete_workflowstep", mark_not_required),
    ("cc_head", "workflow.reopen_workflowstep", reopen),
    ("administrator", "workflow.reopen_workflowstep", reopen),
    ("cc_head", "workflow.add_responsibility", name_responsible),
    ("cc_head", "workflow.change_responsibility", rename_responsible),
    ("administrator", "workflow.delete_responsibility", remove_responsible),
    ("cc_head", "workflow.change_departmentfallback", change_fallback),
    ("cc_head", "workflow.change_departmentfallback", apply),
    ("administrator", "workflow.change_departmentfallback", apply),
    ("administrator", "workflow.change_workflowtemplate", use_template),
    ("cc_clerk", "alerts.acknowledge_alert", acknowledge),
    ("administrator", "alerts.add_escalationrule", add_rule),
    ("administrator", "alerts.end_escalationrule", end_rule),
    ("administrator", "alerts.add_holiday", add_holiday),
    ("administrator", "alerts.change_holiday", change_holiday),
    ("administrator", "alerts.delete_holiday", remove_holiday),
    ("administrator", "outbox.resend_message", resend),
    ("cc_head", "accounts.add_absence", record_absence),
    ("cc_head", "accounts.change_absence", change_absence),
    ("administrator", "accounts.delete_absence", remove_absence),
    ("administrator", "accounts.add_user", take_on),
    ("administrator", "accounts.add_user", invite),
    ("administrator", "accounts.add_user", invite_again),
    ("administrator", "accounts.change_user", amend_person),
    ("administrator", "accounts.change_user", deactivate),
    ("administrator", "accounts.change_user", set_password),
    ("administrator", "accounts.change_user", unlock),
    ("administrator", "accounts.change_user", require_second_factor),
    ("administrator", "accounts.change_user", override),
    ("administrator", "accounts.change_user", add_role),
    ("administrator", "accounts.change_user", amend_role),
    ("administrator", "accounts.change_user", delete_role),
    ("administrator", "accounts.add_division", add_division),
    ("administrator", "accounts.change_division", rename_division),
]
NAMES = [f"{part}-{verb.__name__}" for part, _permission, verb in VERBS]


class TestADenial:
    @pytest.mark.parametrize(("part", "permission", "stage"), VERBS, ids=NAMES)
    def test_stops_the_verb_and_leaves_no_trace(self, cast, part, permission, stage):
        act, person = stage(cast), denied(getattr(cast, part), permission)
        before = everything()

        with pytest.raises(Forbidden):
            act(person)

        assert everything() == before

    @pytest.mark.parametrize(("part", "permission", "stage"), VERBS, ids=NAMES)
    def test_is_all_that_stops_it(self, cast, part, permission, stage):
        act = stage(cast)

        act(getattr(cast, part))


class TestADenialOfTheEta:
    def test_fails_the_row_of_an_import_and_leaves_its_shipment(self, cast):
        shipment = registered(cast)
        clerk = denied(cast.bu_clerk, "shipments.change_eta")
        eta = shipment.eta + timedelta(days=3)
        fields = {"shipment_number": shipment.shipment_number, "eta": eta, "vessel": "Sea Star"}
        before = everything()

        report = shipments.import_rows(rows=[TrackerRow(row=2, fields=fields, steps={})], by=clerk, at=NOON)

        assert (report.failed, report.updated) == (1, 0)
        assert everything() == before

    def test_stops_the_api_and_the_back_office(self, cast):
        shipment = registered(cast)
        clerk = denied(cast.bu_clerk, "shipments.change_eta")
        body = {"eta": str(shipment.eta + timedelta(days=400))}

        answer = callers.signed_in(clerk).patch(f"/api/v1/shipments/{shipment.pk}/eta", body)
        page = pages.signed_in(clerk).get(pages.verb("eta", shipment))

        assert callers.error_of(answer, 403)["code"] == "PERMISSION_DENIED"
        assert page.status_code == 403

    def test_stops_a_command_in_their_name(self, cast, tmp_path):
        denied(cast.bu_clerk, "shipments.import_shipment")
        file = tmp_path / "tracker.xlsx"
        file.write_bytes(
            sheets.write(sheets.Page("Tracker", [["Shipment #", "Principal", "Brand"], ["N-1", "Al Noor", "Noor"]]))
        )

        with pytest.raises(CommandError, match="You may not do this"):
            call_command("import_shipments", str(file), "--as", cast.bu_clerk.email)


class TestAGrant:
    @pytest.mark.parametrize(
        ("part", "permission", "stage"),
        [
            ("finance_clerk", "shipments.add_shipment", register),
            ("finance_clerk", "shipments.change_shipment", amend),
            ("cc_clerk", "shipments.import_shipment", import_rows),
            ("bu_clerk", "shipments.cancel_shipment", cancel),
            ("cc_clerk", "workflow.reopen_workflowstep", reopen),
            ("cc_clerk", "workflow.change_departmentfallback", apply),
            ("cc_clerk", "accounts.add_absence", record_absence),
            ("auditor", "outbox.resend_message", resend),
        ],
    )
    def test_opens_the_verb_to_somebody_whose_roles_do_not(self, cast, part, permission, stage):
        act = stage(cast)
        with pytest.raises(Forbidden):
            act(getattr(cast, part))

        act(granted(getattr(cast, part), permission))

    @pytest.mark.parametrize("part", ["finance_clerk", "cc_head", "administrator", "auditor", "manager"])
    def test_lets_nobody_outside_the_business_unit_move_an_eta(self, cast, part):
        act, person = change_eta(cast), granted(getattr(cast, part), "shipments.change_eta")

        with pytest.raises(EtaEditForbidden):
            act(person)

    def test_reaches_steps_of_ones_own_department_only(self, cast):
        step = done_step(cast)
        clerk = granted(cast.finance_clerk, "workflow.reopen_workflowstep")

        with pytest.raises(ReopeningForbidden):
            workflow.reopen_step(step_id=step.pk, reason="Too early", by=clerk, at=NOON)
        workflow.reopen_step(step_id=done_step(cast, DAN_SENT).pk, reason="Too early", by=clerk, at=NOON)

    def test_makes_nobody_elses_step_ones_own(self, cast):
        act, person = complete(cast), granted(cast.administrator, "workflow.complete_workflowstep")

        with pytest.raises(StepNotYours):
            act(person)

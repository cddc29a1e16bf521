from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from accounts import services as accounts
from clearance.errors import Forbidden
from clearance.tests import races, recipes
from clearance.tests.recipes import BAYAN_SUBMITTED, DAN_SENT, INVOICE_RECEIVED, POLICE_CHECK, TODAY
from clearance.tests.traces import everything, refused
from shipments import services as shipments
from shipments.models import Shipment
from workflow import services as workflow
from workflow.errors import NotYourDepartment
from workflow.models import DepartmentFallback, Responsibility, WorkflowStep

pytestmark = pytest.mark.django_db

BAYAN = Decimal(BAYAN_SUBMITTED)


def apply(*departments, by, at):
    return workflow.apply_responsibilities(departments=departments, by=by, at=at)


def change_customs_fallback(cast):
    DepartmentFallback.objects.filter(department="C&C").update(ppr=cast.cc_head, apr=cast.cc_clerk)


class TestApplyingTheMatrix:
    def test_assigns_the_open_steps_of_the_department(self, cast, shipment, noon):
        recipes.record(shipment, {BAYAN_SUBMITTED: TODAY})
        change_customs_fallback(cast)

        assert apply("C&C", by=cast.cc_head, at=noon) == 8

        step = recipes.step(shipment, "10.0")
        assert (step.ppr_user, step.apr_user, step.version, step.updated_at) == (cast.cc_head, cast.cc_clerk, 2, noon)
        assert recipes.step(shipment, BAYAN_SUBMITTED).ppr_user == cast.cc_clerk
        assert recipes.step(shipment, DAN_SENT).version == 1

    def test_again_changes_nothing(self, cast, shipment, noon):
        change_customs_fallback(cast)
        apply("C&C", by=cast.administrator, at=noon)
        before = everything()

        assert apply("C&C", by=cast.administrator, at=noon) == 0
        assert everything() == before

    def test_leaves_closed_steps_and_shipments_out_of_work_alone(self, cast, noon):
        cancelled, deleted, completed, active = (recipes.registered(by=cast.bu_clerk) for _ in range(4))
        shipments.cancel(shipment_id=cancelled.pk, reason="Order withdrawn", by=cast.bu_head, at=noon)
        shipments.delete(shipment_id=deleted.pk, by=cast.bu_clerk, at=noon)
        recipes.record_all_but(completed)
        workflow.mark_not_required(step_id=recipes.step(active, POLICE_CHECK).pk, by=cast.cc_clerk, at=noon)
        change_customs_fallback(cast)

        assert apply("C&C", by=cast.administrator, at=noon) == 8

        moved = WorkflowStep.objects.filter(ppr_user=cast.cc_head)
        assert set(moved.values_list("shipment")) == {(active.pk,)}
        assert not moved.filter(step_number=Decimal(POLICE_CHECK)).exists()

    def test_follows_the_row_of_the_shipments_division(self, cast, noon):
        tyres = recipes.registered(by=cast.bu_clerk, division=cast.tyres)
        vehicles = recipes.registered(by=cast.bu_clerk, division=cast.vehicles)
        Responsibility.objects.create(step_number=BAYAN, division=cast.tyres, ppr=cast.cc_head)

        assert apply("C&C", by=cast.cc_head, at=noon) == 1

        assert recipes.step(tyres, BAYAN_SUBMITTED).ppr_user == cast.cc_head
        assert recipes.step(vehicles, BAYAN_SUBMITTED).ppr_user == cast.cc_clerk

    @pytest.mark.parametrize("who", ["cc_clerk", "finance_head", "auditor", "manager"])
    def test_is_refused_to_others_than_the_head_and_administrators(self, cast, shipment, noon, who):
        change_customs_fallback(cast)

        with refused(Forbidden, "PERMISSION_DENIED"):
            apply("C&C", by=getattr(cast, who), at=noon)

    def test_is_refused_where_one_of_the_departments_is_anothers(self, cast, shipment, noon):
        change_customs_fallback(cast)

        with refused(Forbidden, "PERMISSION_DENIED"):
            apply("C&C", "Finance", by=cast.cc_head, at=noon)

    @pytest.mark.django_db(transaction=True)
    def test_as_a_step_is_completed_lets_both_through(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)
        step = recipes.step(shipment, BAYAN_SUBMITTED)
        change_customs_fallback(cast)

        applied, completed = races.at_once(
            lambda: apply("C&C", by=cast.administrator, at=noon),
            lambda: workflow.complete_step(step_id=step.pk, by=cast.cc_clerk, at=noon),
            held=Shipment.objects.filter(pk=shipment.pk),
        )

        assert applied in (8, 9)
        assert completed.step.is_closed
        assert recipes.step(shipment, BAYAN_SUBMITTED).is_closed


class TestSavingARowOfTheMatrix:
    @pytest.mark.parametrize("who", ["cc_head", "administrator"])
    def test_is_for_the_head_of_the_steps_department_and_administrators(self, cast, shipment, who):
        duty = Responsibility(step_number=BAYAN, ppr=cast.cc_alternate)

        workflow.save_duty(duty=duty, by=getattr(cast, who))

        assert recipes.step(recipes.registered(by=cast.bu_clerk), BAYAN_SUBMITTED).ppr_user == cast.cc_alternate
        assert recipes.step(shipment, BAYAN_SUBMITTED).ppr_user == cast.cc_clerk

    @pytest.mark.parametrize("who", ["cc_clerk", "finance_head", "manager", "auditor"])
    def test_is_refused_to_others(self, cast, who):
        with refused(NotYourDepartment, "NOT_YOUR_DEPARTMENT"):
            workflow.save_duty(duty=Responsibility(step_number=BAYAN, ppr=cast.cc_alternate), by=getattr(cast, who))

    def test_is_refused_for_the_fallback_of_another_department(self, cast):
        fallback = DepartmentFallback.objects.get(department="Finance")
        fallback.ppr = cast.cc_clerk

        with refused(NotYourDepartment, "NOT_YOUR_DEPARTMENT"):
            workflow.save_duty(duty=fallback, by=cast.cc_head)

    def test_twice_for_a_step_and_every_division_is_refused_by_the_database(self, cast):
        Responsibility.objects.create(step_number=BAYAN, ppr=cast.cc_head)

        with pytest.raises(IntegrityError, match="responsibility_is_unique"), transaction.atomic():
            Responsibility.objects.create(step_number=BAYAN, ppr=cast.cc_clerk)


class TestRemovingARowOfTheMatrix:
    def test_is_for_the_head_of_the_steps_department(self, cast):
        duty = Responsibility.objects.create(step_number=BAYAN, ppr=cast.cc_head)

        with refused(NotYourDepartment, "NOT_YOUR_DEPARTMENT"):
            workflow.remove_duty(duty=duty, by=cast.finance_head)
        workflow.remove_duty(duty=duty, by=cast.cc_head)

        assert not Responsibility.objects.exists()


class TestLoadingFallbacks:
    def test_names_people_only_where_nobody_is_named_yet(self, cast):
        DepartmentFallback.objects.filter(department="Stores").delete()

        workflow.load_fallbacks(
            pairs={"Stores": (cast.stores_head, cast.storekeeper), "C&C": (cast.cc_head, cast.cc_head)}
        )

        named = {one.department: (one.ppr, one.apr) for one in DepartmentFallback.objects.all()}
        assert named["Stores"] == (cast.stores_head, cast.storekeeper)
        assert named["C&C"] == (cast.cc_clerk, cast.cc_alternate)


class TestTheStepsInSomebodysCare:
    def numbers(self, user, *, on=TODAY):
        return {str(step.step_number) for step in WorkflowStep.objects.in_care_of(user, on=on)}

    def of(self, shipment, department):
        return {str(step.step_number) for step in shipment.steps.filter(department=department)}

    def test_are_those_of_which_they_are_ppr_or_apr(self, cast, shipment):
        assert self.numbers(cast.cc_clerk) == self.numbers(cast.cc_alternate) == self.of(shipment, "C&C")
        assert self.numbers(cast.auditor) == self.numbers(cast.administrator) == set()

    def test_are_a_heads_own_only_while_nobody_active_is_named(self, cast, shipment, noon):
        assert self.numbers(cast.cc_head) == set()

        accounts.deactivate(user=cast.cc_clerk, by=None, at=noon)
        assert self.numbers(cast.cc_head) == self.of(shipment, "C&C")

        WorkflowStep.objects.filter(department="Finance").update(ppr_user=None)
        assert self.numbers(cast.finance_head) == self.of(shipment, "Finance")
        assert self.numbers(cast.cc_head) == self.of(shipment, "C&C")

    @pytest.mark.parametrize(
        ("day", "stands_in"),
        [(date(2026, 3, 14), False), (TODAY, True), (date(2026, 3, 16), True), (date(2026, 3, 17), False)],
    )
    def test_are_the_absent_persons_on_the_days_of_the_absence(self, cast, shipment, day, stands_in):
        accounts.record_absence(
            by=cast.administrator,
            user=cast.cc_clerk,
            starts_on=TODAY,
            ends_on=date(2026, 3, 16),
            substitute=cast.cc_head,
        )

        assert self.numbers(cast.cc_head, on=day) == (self.of(shipment, "C&C") if stands_in else set())


class TestTheStatusOfAStep:
    @pytest.mark.parametrize(("days", "status"), [(-1, "pending"), (0, "pending"), (1, "overdue")])
    def test_is_overdue_from_the_day_after_its_target_date(self, shipment, days, status):
        step = recipes.step(shipment, INVOICE_RECEIVED)
        on = date.fromordinal(step.target_date.toordinal() + days)

        assert WorkflowStep.objects.with_status(on=on).get(pk=step.pk).status == status

    def test_is_completed_or_not_required_whatever_the_day(self, cast, shipment, noon):
        workflow.mark_not_required(step_id=recipes.step(shipment, POLICE_CHECK).pk, by=cast.cc_clerk, at=noon)

        found = dict(WorkflowStep.objects.with_status(on=date(2027, 1, 1)).values_list("step_number", "status"))

        assert found[Decimal("1.1")] == "completed"
        assert found[Decimal(POLICE_CHECK)] == "not_required"
        assert found[BAYAN] == "overdue"

    @pytest.mark.parametrize("on", [date(2026, 3, 13), date(2026, 3, 14), TODAY, date(2027, 1, 1)])
    @pytest.mark.parametrize("status", ["pending", "overdue", "completed", "not_required"])
    def test_is_filtered_as_it_is_shown(self, cast, shipment, noon, on, status):
        workflow.mark_not_required(step_id=recipes.step(shipment, POLICE_CHECK).pk, by=cast.cc_clerk, at=noon)
        steps = WorkflowStep.objects.all()

        filtered = set(steps.having_status(status, on=on))

        assert filtered == {step for step in steps.with_status(on=on) if step.status == status}


class TestWhoSeesAStep:
    @pytest.mark.parametrize(
        ("who", "department"),
        [
            ("finance_clerk", "Finance"),
            ("cc_head", "C&C"),
            ("storekeeper", "Stores"),
            ("bu_clerk", None),
            ("auditor", None),
            ("manager", None),
            ("administrator", None),
        ],
    )
    def test_lists_only_the_own_departments_for_finance_customs_and_stores(self, cast, shipment, who, department):
        listed = WorkflowStep.objects.listed_for(getattr(cast, who))

        assert set(listed) == set(shipment.steps.filter(department=department) if department else shipment.steps.all())
        assert WorkflowStep.objects.visible_to(getattr(cast, who)).count() == 34

    def test_sees_none_of_another_divisions_shipment(self, cast):
        recipes.registered(by=cast.bu_clerk, division=cast.tyres)

        assert not WorkflowStep.objects.visible_to(cast.stranger).exists()
        assert WorkflowStep.objects.visible_to(cast.divisional_clerk).count() == 34

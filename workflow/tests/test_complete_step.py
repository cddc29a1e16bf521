from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from accounts import services as accounts
from clearance.errors import Forbidden, NotFound, VersionConflict
from clearance.tests import races, recipes
from clearance.tests.recipes import (
    BAYAN_SUBMITTED,
    CLAIM_NOTIFIED,
    COLLECTED,
    DAN_SENT,
    INVOICE_RECEIVED,
    MUSCAT,
    POLICE_CHECK,
    SAILED,
    TODAY,
)
from clearance.tests.traces import refused
from shipments import services as shipments
from shipments.errors import ShipmentCancelled
from shipments.models import Shipment
from workflow import rules
from workflow import services as workflow
from workflow.errors import (
    ActualDateInTheFuture,
    ActualDateTooEarly,
    StepAlreadyCompleted,
    StepCompletesOnEntry,
    StepNotYours,
)
from workflow.models import WorkflowStep

pytestmark = pytest.mark.django_db


def complete(shipment, number, by, at, **more):
    return workflow.complete_step(step_id=recipes.step(shipment, number).pk, by=by, at=at, **more)


class TestCompletingAStep:
    def test_records_who_when_and_what_they_noted(self, cast, shipment, noon):
        done = complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon, note="By courier").step

        assert (done.actual_date, done.completed_at, done.updated_at) == (TODAY, noon, noon)
        assert (done.completed_by, done.completed_via, done.on_behalf_of) == (cast.bu_clerk, "person", None)
        assert (done.note, done.version, done.target_date) == ("By courier", 2, date(2026, 3, 13))

    def test_leaves_the_shipment_and_its_other_steps_alone(self, cast, shipment, noon):
        before = list(WorkflowStep.objects.exclude(step_number=INVOICE_RECEIVED).values())

        complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon)

        assert list(WorkflowStep.objects.exclude(step_number=INVOICE_RECEIVED).values()) == before
        assert Shipment.objects.get(pk=shipment.pk).version == 1

    @pytest.mark.parametrize("who", ["cc_clerk", "cc_alternate", "cc_head"])
    def test_is_for_its_ppr_its_apr_and_the_head_of_its_department(self, cast, shipment, noon, who):
        assert complete(shipment, BAYAN_SUBMITTED, getattr(cast, who), noon).step.completed_by == getattr(cast, who)

    def test_is_dated_the_day_in_muscat(self, cast, shipment):
        done = complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, datetime(2026, 3, 16, 0, 0, tzinfo=MUSCAT)).step

        assert done.actual_date == date(2026, 3, 16)  # still the 15th in UTC

    def test_may_be_dated_back(self, cast, shipment, noon):
        assert complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon, actual_date=date(2026, 3, 2)).step.actual_date

    def test_names_predecessors_that_are_still_open(self, cast, shipment, noon):
        done = complete(shipment, BAYAN_SUBMITTED, cast.cc_clerk, noon)

        assert done.step.is_closed
        assert [str(step.step_number) for step in done.open_predecessors] == ["2.5", "6.2"]

    def test_names_no_predecessor_that_is_completed(self, cast, shipment, noon):
        recipes.record(shipment, {"2.5": TODAY})

        done = complete(shipment, BAYAN_SUBMITTED, cast.cc_clerk, noon)

        assert [str(step.step_number) for step in done.open_predecessors] == ["6.2"]
        assert complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon).open_predecessors == []

    def test_works_for_a_step_that_was_marked_not_required(self, cast, shipment, noon):
        step = recipes.step(shipment, POLICE_CHECK)
        workflow.mark_not_required(step_id=step.pk, by=cast.cc_clerk, at=noon)

        done = complete(shipment, POLICE_CHECK, cast.cc_alternate, noon).step

        assert (done.actual_date, done.not_required, done.completed_by) == (TODAY, False, cast.cc_alternate)


class TestASubstitute:
    @pytest.fixture
    def substitute(self, cast):
        return accounts.take_on(
            by=None, email="cover@example.com", full_name="Kareem Cover", department="C&C", role="APR"
        )

    @pytest.fixture
    def absent(self, cast, substitute):
        accounts.record_absence(
            by=cast.administrator,
            user=cast.cc_clerk,
            starts_on=date(2026, 3, 15),
            ends_on=date(2026, 3, 16),
            substitute=substitute,
        )
        return cast.cc_clerk

    @pytest.mark.parametrize("day", [15, 16])
    def test_completes_on_behalf_of_the_absent_person(self, cast, shipment, substitute, absent, day):
        at = datetime(2026, 3, day, 9, tzinfo=MUSCAT)

        done = complete(shipment, BAYAN_SUBMITTED, substitute, at).step

        assert (done.completed_by, done.on_behalf_of) == (substitute, absent)

    @pytest.mark.parametrize("day", [14, 17])
    def test_may_not_before_and_after_the_absence(self, cast, shipment, substitute, absent, day):
        with refused(StepNotYours, "STEP_NOT_YOURS"):
            complete(shipment, BAYAN_SUBMITTED, substitute, datetime(2026, 3, day, 9, tzinfo=MUSCAT))

    def test_of_the_alternate_acts_on_the_alternates_behalf(self, cast, shipment, substitute, noon):
        accounts.record_absence(
            by=cast.administrator, user=cast.cc_alternate, starts_on=TODAY, ends_on=TODAY, substitute=substitute
        )

        assert complete(shipment, BAYAN_SUBMITTED, substitute, noon).step.on_behalf_of == cast.cc_alternate

    def test_who_is_responsible_anyway_acts_in_their_own_right(self, cast, shipment, noon):
        accounts.record_absence(
            by=cast.administrator, user=cast.cc_clerk, starts_on=TODAY, ends_on=TODAY, substitute=cast.cc_alternate
        )

        assert complete(shipment, BAYAN_SUBMITTED, cast.cc_alternate, noon).step.on_behalf_of is None

    def test_does_not_keep_the_absent_person_from_acting(self, cast, shipment, absent, noon):
        assert complete(shipment, BAYAN_SUBMITTED, absent, noon).step.on_behalf_of is None

    def test_who_may_only_read_is_refused(self, cast, shipment, noon):
        reader = accounts.take_on(by=None, email="r@example.com", full_name="Reem", department="C&C", role="ReadOnly")
        accounts.record_absence(
            by=cast.administrator, user=cast.cc_clerk, starts_on=TODAY, ends_on=TODAY, substitute=reader
        )

        with refused(Forbidden, "PERMISSION_DENIED"):
            complete(shipment, BAYAN_SUBMITTED, reader, noon)


class TestCompletingAStepIsRefused:
    @pytest.mark.parametrize(
        "who",
        ["bu_clerk", "bu_head", "finance_clerk", "finance_head", "storekeeper", "auditor", "manager", "administrator"],
    )
    def test_to_other_departments_and_administrators(self, cast, shipment, noon, who):
        with refused(StepNotYours, "STEP_NOT_YOURS") as refusal:
            complete(shipment, BAYAN_SUBMITTED, getattr(cast, who), noon)

        assert "Customs & Clearance" in str(refusal.value)

    def test_to_a_colleague_who_is_not_named(self, cast, shipment, noon):
        colleague = accounts.take_on(by=None, email="c@example.com", full_name="Karim", department="C&C", role="PPR")

        with refused(StepNotYours, "STEP_NOT_YOURS"):
            complete(shipment, BAYAN_SUBMITTED, colleague, noon)

    def test_to_a_person_named_in_the_matrix_who_may_only_read(self, cast, shipment, noon):
        accounts.amend_person(user_id=cast.cc_clerk.pk, changes={"role": "ReadOnly"}, by=None, at=noon)

        with refused(Forbidden, "PERMISSION_DENIED"):
            complete(shipment, BAYAN_SUBMITTED, type(cast.cc_clerk).objects.get(pk=cast.cc_clerk.pk), noon)

    def test_for_a_shipment_of_another_division(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk, division=cast.tyres)

        with refused(NotFound, "NOT_FOUND"):
            complete(shipment, INVOICE_RECEIVED, cast.stranger, noon)

    def test_for_a_step_that_does_not_exist(self, cast, shipment, noon):
        with refused(NotFound, "NOT_FOUND"):
            workflow.complete_step(step_id=10**12, by=cast.cc_clerk, at=noon)

    def test_for_a_deleted_shipment(self, cast, shipment, noon):
        shipments.delete(shipment_id=shipment.pk, by=cast.bu_clerk, at=noon)

        with refused(NotFound, "NOT_FOUND"):
            complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon)

    def test_for_a_cancelled_shipment(self, cast, shipment, noon):
        shipments.cancel(shipment_id=shipment.pk, reason="Order withdrawn", by=cast.bu_head, at=noon)

        with refused(ShipmentCancelled, "SHIPMENT_CANCELLED"):
            complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon)

    def test_for_a_step_that_is_completed_already(self, cast, shipment, noon):
        complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon)

        with refused(StepAlreadyCompleted, "STEP_ALREADY_COMPLETED") as refusal:
            complete(shipment, INVOICE_RECEIVED, cast.bu_alternate, noon + timedelta(days=1))

        assert "2026-03-15" in str(refusal.value)

    @pytest.mark.parametrize(("number", "field"), [(SAILED, "sail date"), ("1.1", "principal")])
    def test_for_a_step_that_follows_a_field(self, cast, shipment, noon, number, field):
        with refused(StepCompletesOnEntry, "STEP_COMPLETES_ON_ENTRY") as refusal:
            complete(shipment, number, cast.bu_clerk, noon)

        assert f"“{field}”" in str(refusal.value)

    def test_for_another_version_than_the_present_one(self, cast, shipment, noon):
        with refused(VersionConflict, "VERSION_CONFLICT") as refusal:
            complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon, version=2)

        assert refusal.value.context == {"current": 1}
        assert complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon, version=1).step.version == 2

    @pytest.mark.parametrize(
        "at", [datetime(2026, 3, 15, 23, 59, 59, tzinfo=MUSCAT), datetime(2026, 3, 15, 0, 0, tzinfo=MUSCAT)]
    )
    def test_for_a_date_after_today_in_muscat(self, cast, shipment, at):
        with refused(ActualDateInTheFuture, "ACTUAL_DATE_IN_THE_FUTURE"):
            complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, at, actual_date=date(2026, 3, 16))

        assert complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, at, actual_date=date(2026, 3, 15)).step.is_closed

    def test_for_a_date_before_the_year_before_the_eta(self, cast, shipment, noon):
        with refused(ActualDateTooEarly, "ACTUAL_DATE_TOO_EARLY") as refusal:
            complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon, actual_date=date(2024, 12, 31))
        assert refusal.value.context["earliest"] == date(2025, 1, 1)

        assert complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon, actual_date=date(2025, 1, 1)).step.is_closed

    def test_for_a_date_before_the_year_before_the_invoice_when_its_date_is_known(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk, supplier_invoice_date=date(2025, 11, 3))

        with refused(ActualDateTooEarly, "ACTUAL_DATE_TOO_EARLY"):
            complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon, actual_date=date(2023, 12, 31))

        assert complete(shipment, INVOICE_RECEIVED, cast.bu_clerk, noon, actual_date=date(2024, 1, 1)).step.is_closed


class TestTheLastMandatoryStep:
    def test_completes_the_shipment_and_marks_optional_steps_not_required(self, cast, shipment, noon):
        recipes.record_all_but(shipment, CLAIM_NOTIFIED)
        later = noon + timedelta(days=3)

        complete(shipment, CLAIM_NOTIFIED, cast.storekeeper, later)

        kept = Shipment.objects.get(pk=shipment.pk)
        assert (kept.status, kept.cleared_on, kept.updated_at) == ("completed", TODAY, later)
        police = recipes.step(shipment, POLICE_CHECK)
        assert (police.not_required, police.actual_date, police.completed_via) == (True, None, "system")
        assert (police.completed_by, police.completed_at, police.version) == (None, later, 2)

    def test_leaves_an_optional_step_that_was_completed_as_it_is(self, cast, shipment, noon):
        complete(shipment, POLICE_CHECK, cast.cc_clerk, noon)

        recipes.record_all_but(shipment)

        police = recipes.step(shipment, POLICE_CHECK)
        assert (police.actual_date, police.not_required, police.completed_via) == (TODAY, False, "person")

    def test_is_not_the_optional_one(self, cast, shipment, noon):
        recipes.record_all_but(shipment, CLAIM_NOTIFIED)

        complete(shipment, POLICE_CHECK, cast.cc_clerk, noon)

        assert Shipment.objects.get(pk=shipment.pk).status == "active"

    def test_bumps_the_versions_of_both(self, cast, shipment, noon):
        before = recipes.record_all_but(shipment, COLLECTED)

        done = complete(shipment, COLLECTED, cast.cc_clerk, noon)

        assert done.step.version == 2
        assert Shipment.objects.get(pk=shipment.pk).version == before.version + 1


class TestTheEarliestBelievableDate:
    def test_is_new_years_day_of_the_year_before_the_invoice_or_else_the_eta(self):
        eta = date(2026, 1, 1)

        assert rules.earliest_actual_date(invoice_on=None, eta=eta) == date(2025, 1, 1)
        assert rules.earliest_actual_date(invoice_on=date(2025, 12, 31), eta=eta) == date(2024, 1, 1)


@pytest.mark.django_db(transaction=True)
class TestCompletingAtTheSameMoment:
    def test_one_step_twice_lets_one_through(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)

        results = races.at_once(
            lambda: complete(shipment, BAYAN_SUBMITTED, cast.cc_clerk, noon),
            lambda: complete(shipment, BAYAN_SUBMITTED, cast.cc_head, noon),
            held=Shipment.objects.filter(pk=shipment.pk),
        )

        assert sorted(type(result).__name__ for result in results) == ["Completion", "StepAlreadyCompleted"]
        winner = next(result for result in results if isinstance(result, workflow.Completion))
        step = recipes.step(shipment, BAYAN_SUBMITTED)
        assert (step.completed_by, step.version) == (winner.step.completed_by, 2)

    def test_different_steps_of_one_shipment_lets_all_through(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)
        pairs = [(INVOICE_RECEIVED, cast.bu_clerk), (DAN_SENT, cast.finance_clerk), (BAYAN_SUBMITTED, cast.cc_clerk)]

        results = races.at_once(
            *[lambda number=number, by=by: complete(shipment, number, by, noon) for number, by in pairs],
            held=Shipment.objects.filter(pk=shipment.pk),
        )

        assert all(isinstance(result, workflow.Completion) for result in results)
        assert all(recipes.step(shipment, number).completed_by == by for number, by in pairs)

    def test_the_last_two_steps_completes_the_shipment_once(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)
        before = recipes.record_all_but(shipment, COLLECTED, CLAIM_NOTIFIED)

        results = races.at_once(
            lambda: complete(shipment, COLLECTED, cast.cc_clerk, noon, actual_date=date(2026, 3, 14)),
            lambda: complete(shipment, CLAIM_NOTIFIED, cast.storekeeper, noon),
            held=Shipment.objects.filter(pk=shipment.pk),
        )

        assert all(isinstance(result, workflow.Completion) for result in results)
        kept = Shipment.objects.get(pk=shipment.pk)
        assert (kept.status, kept.cleared_on) == ("completed", TODAY)
        # Once for `cleared_on` and once for `status`, or for both at once: as the order was.
        assert kept.version - before.version in (1, 2)
        assert recipes.step(shipment, POLICE_CHECK).version == 2

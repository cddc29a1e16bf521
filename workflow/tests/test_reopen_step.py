from __future__ import annotations

from datetime import date, timedelta

import pytest

from clearance.constraints import ConstraintViolated
from clearance.errors import Forbidden, NotFound, ReasonMissing, VersionConflict
from clearance.tests import races, recipes
from clearance.tests.recipes import BAYAN_SUBMITTED, CLAIM_NOTIFIED, COLLECTED, INVOICE_RECEIVED, POLICE_CHECK, TODAY
from clearance.tests.traces import refused
from shipments import services as shipments
from shipments.errors import ShipmentCancelled
from shipments.models import Shipment
from workflow import services as workflow
from workflow.errors import (
    ReopeningForbidden,
    StepAlreadyCompleted,
    StepAlreadyNotRequired,
    StepCompletesOnEntry,
    StepNotCompleted,
    StepNotOptional,
    StepNotYours,
)

pytestmark = pytest.mark.django_db


def complete(shipment, number, by, at, **more):
    return workflow.complete_step(step_id=recipes.step(shipment, number).pk, by=by, at=at, **more)


def mark(shipment, number, by, at, **more):
    return workflow.mark_not_required(step_id=recipes.step(shipment, number).pk, by=by, at=at, **more)


def reopen(shipment, number, by, at, reason="Wrong papers", **more):
    return workflow.reopen_step(step_id=recipes.step(shipment, number).pk, by=by, at=at, reason=reason, **more)


def status(shipment):
    return Shipment.objects.get(pk=shipment.pk).status


def cleared_on(shipment):
    return Shipment.objects.get(pk=shipment.pk).cleared_on


class TestReopeningAStep:
    @pytest.mark.parametrize("who", ["cc_head", "administrator"])
    def test_takes_back_all_that_completing_said_and_keeps_the_reason(self, cast, shipment, noon, who):
        complete(shipment, BAYAN_SUBMITTED, cast.cc_clerk, noon, note="Lodged")

        step = reopen(shipment, BAYAN_SUBMITTED, getattr(cast, who), noon + timedelta(hours=1), " Wrong papers ")

        assert (step.actual_date, step.completed_at, step.completed_via) == (None, None, "")
        assert (step.completed_by, step.on_behalf_of, step.not_required) == (None, None, False)
        assert (step.note, step.version, step.updated_at) == ("Wrong papers", 3, noon + timedelta(hours=1))

    def test_lets_it_be_completed_again(self, cast, shipment, noon):
        complete(shipment, BAYAN_SUBMITTED, cast.cc_clerk, noon)
        reopen(shipment, BAYAN_SUBMITTED, cast.cc_head, noon)

        assert complete(shipment, BAYAN_SUBMITTED, cast.cc_alternate, noon).step.is_closed

    def test_works_for_a_step_that_was_not_required(self, cast, shipment, noon):
        mark(shipment, POLICE_CHECK, cast.cc_clerk, noon)

        assert not reopen(shipment, POLICE_CHECK, cast.cc_head, noon).is_closed

    def test_makes_a_completed_shipment_active_and_its_optional_steps_open_again(self, cast, shipment, noon):
        recipes.record_all_but(shipment)
        assert status(shipment) == "completed"

        reopen(shipment, INVOICE_RECEIVED, cast.bu_head, noon)

        assert (status(shipment), cleared_on(shipment)) == ("active", TODAY)
        assert not recipes.step(shipment, POLICE_CHECK).is_closed

    def test_keeps_what_a_person_marked_as_not_required(self, cast, shipment, noon):
        mark(shipment, POLICE_CHECK, cast.cc_clerk, noon)
        recipes.record_all_but(shipment)

        reopen(shipment, INVOICE_RECEIVED, cast.bu_head, noon)

        police = recipes.step(shipment, POLICE_CHECK)
        assert (police.not_required, police.completed_by, police.version) == (True, cast.cc_clerk, 2)

    def test_of_an_optional_step_leaves_the_shipment_completed(self, cast, shipment, noon):
        complete(shipment, POLICE_CHECK, cast.cc_clerk, noon)
        recipes.record_all_but(shipment)

        reopen(shipment, POLICE_CHECK, cast.cc_head, noon)

        assert status(shipment) == "completed"


class TestReopeningAStepIsRefused:
    @pytest.fixture
    def done(self, cast, shipment, noon):
        complete(shipment, BAYAN_SUBMITTED, cast.cc_clerk, noon)
        return shipment

    @pytest.mark.parametrize(
        "who", ["cc_clerk", "cc_alternate", "bu_clerk", "finance_clerk", "storekeeper", "auditor", "manager"]
    )
    def test_to_everybody_without_the_permission(self, cast, done, noon, who):
        with refused(Forbidden, "PERMISSION_DENIED"):
            reopen(done, BAYAN_SUBMITTED, getattr(cast, who), noon)

    @pytest.mark.parametrize("who", ["bu_head", "finance_head", "stores_head"])
    def test_to_heads_of_other_departments(self, cast, done, noon, who):
        with refused(ReopeningForbidden, "REOPENING_FORBIDDEN"):
            reopen(done, BAYAN_SUBMITTED, getattr(cast, who), noon)

    @pytest.mark.parametrize("reason", ["", "  \n"])
    def test_without_a_reason(self, cast, done, noon, reason):
        with refused(ReasonMissing, "REASON_MISSING"):
            reopen(done, BAYAN_SUBMITTED, cast.cc_head, noon, reason)

    def test_with_a_reason_that_is_longer_than_the_database_keeps(self, cast, done, noon):
        with refused(ConstraintViolated, "VALIDATION_ERROR"):
            reopen(done, BAYAN_SUBMITTED, cast.cc_head, noon, "x" * 501)

    def test_for_an_open_step(self, cast, shipment, noon):
        with refused(StepNotCompleted, "STEP_NOT_COMPLETED"):
            reopen(shipment, BAYAN_SUBMITTED, cast.cc_head, noon)

    def test_for_a_step_that_follows_a_field(self, cast, shipment, noon):
        with refused(StepCompletesOnEntry, "STEP_COMPLETES_ON_ENTRY"):
            reopen(shipment, "1.1", cast.bu_head, noon)

    def test_for_another_version_than_the_present_one(self, cast, done, noon):
        with refused(VersionConflict, "VERSION_CONFLICT"):
            reopen(done, BAYAN_SUBMITTED, cast.cc_head, noon, version=1)

    def test_for_a_cancelled_shipment(self, cast, done, noon):
        shipments.cancel(shipment_id=done.pk, reason="Order withdrawn", by=cast.bu_head, at=noon)

        with refused(ShipmentCancelled, "SHIPMENT_CANCELLED"):
            reopen(done, BAYAN_SUBMITTED, cast.cc_head, noon)

    def test_for_a_deleted_shipment(self, cast, done, noon):
        shipments.delete(shipment_id=done.pk, by=cast.bu_clerk, at=noon)

        with refused(NotFound, "NOT_FOUND"):
            reopen(done, BAYAN_SUBMITTED, cast.cc_head, noon)


class TestMarkingAStepAsNotRequired:
    @pytest.mark.parametrize("who", ["cc_clerk", "cc_alternate", "cc_head"])
    def test_is_for_those_who_could_complete_it(self, cast, shipment, noon, who):
        step = mark(shipment, POLICE_CHECK, getattr(cast, who), noon, note="No inspection")

        assert (step.not_required, step.actual_date, step.completed_at) == (True, None, noon)
        assert (step.completed_by, step.completed_via, step.note) == (getattr(cast, who), "person", "No inspection")
        assert step.version == 2

    def test_is_refused_to_others(self, cast, shipment, noon):
        with refused(StepNotYours, "STEP_NOT_YOURS"):
            mark(shipment, POLICE_CHECK, cast.finance_head, noon)

    @pytest.mark.parametrize("number", [BAYAN_SUBMITTED, "16.0"])
    def test_is_refused_for_a_mandatory_step(self, cast, shipment, noon, number):
        by = cast.cc_clerk if number == BAYAN_SUBMITTED else cast.storekeeper

        with refused(StepNotOptional, "STEP_NOT_OPTIONAL"):
            mark(shipment, number, by, noon)

    def test_is_refused_for_a_completed_step(self, cast, shipment, noon):
        complete(shipment, POLICE_CHECK, cast.cc_clerk, noon)

        with refused(StepAlreadyCompleted, "STEP_ALREADY_COMPLETED"):
            mark(shipment, POLICE_CHECK, cast.cc_clerk, noon)

    def test_is_refused_the_second_time(self, cast, shipment, noon):
        mark(shipment, POLICE_CHECK, cast.cc_clerk, noon)

        with refused(StepAlreadyNotRequired, "STEP_ALREADY_NOT_REQUIRED"):
            mark(shipment, POLICE_CHECK, cast.cc_alternate, noon)

    def test_is_refused_for_another_version_than_the_present_one(self, cast, shipment, noon):
        with refused(VersionConflict, "VERSION_CONFLICT"):
            mark(shipment, POLICE_CHECK, cast.cc_clerk, noon, version=4)

    def test_is_refused_for_a_cancelled_shipment(self, cast, shipment, noon):
        shipments.cancel(shipment_id=shipment.pk, reason="Order withdrawn", by=cast.bu_head, at=noon)

        with refused(ShipmentCancelled, "SHIPMENT_CANCELLED"):
            mark(shipment, POLICE_CHECK, cast.cc_clerk, noon)


class TestTheDayOnWhichAShipmentIsCleared:
    """`cleared_on`: the date on which the last critical step was completed, empty until all are."""

    CRITICAL = ("9.0", "10.0", "11.0", "13.0", "14.0")

    def test_is_empty_until_the_last_critical_step(self, shipment):
        recipes.record(shipment, dict.fromkeys(self.CRITICAL[:-1], TODAY))

        assert cleared_on(shipment) is None
        assert recipes.record(shipment, {"14.0": date(2026, 3, 12)}).cleared_on == TODAY

    def test_is_the_latest_date_whatever_the_order(self, cast, shipment, noon):
        recipes.record(shipment, {"14.0": date(2026, 3, 10), "11.0": date(2026, 3, 14), "10.0": date(2026, 3, 2)})
        complete(shipment, "13.0", cast.finance_clerk, noon, actual_date=date(2026, 3, 9))

        complete(shipment, "9.0", cast.cc_clerk, noon, actual_date=date(2026, 3, 1))

        assert (cleared_on(shipment), status(shipment)) == (date(2026, 3, 14), "active")

    def test_is_empty_again_after_reopening_a_critical_step(self, cast, shipment, noon):
        recipes.record(shipment, dict.fromkeys(self.CRITICAL, TODAY))

        reopen(shipment, COLLECTED, cast.cc_head, noon)

        assert cleared_on(shipment) is None

    def test_moves_back_when_the_step_is_completed_again_with_an_earlier_date(self, cast, shipment, noon):
        recipes.record(shipment, dict.fromkeys(self.CRITICAL, date(2026, 3, 5)) | {"14.0": TODAY})
        reopen(shipment, COLLECTED, cast.cc_head, noon)

        complete(shipment, COLLECTED, cast.cc_clerk, noon, actual_date=date(2026, 3, 7))

        assert cleared_on(shipment) == date(2026, 3, 7)

    def test_follows_a_correction_by_import_even_of_a_completed_shipment(self, shipment):
        recipes.record_all_but(shipment)

        corrected = recipes.record(shipment, dict.fromkeys(self.CRITICAL, date(2026, 3, 5)))

        assert (corrected.cleared_on, corrected.status) == (date(2026, 3, 5), "completed")

    def test_is_not_moved_by_steps_that_are_not_critical(self, cast, shipment, noon):
        recipes.record(shipment, dict.fromkeys(self.CRITICAL, date(2026, 3, 5)))

        complete(shipment, "16.0", cast.storekeeper, noon)

        assert cleared_on(shipment) == date(2026, 3, 5)


@pytest.mark.django_db(transaction=True)
class TestAtTheSameMoment:
    def test_reopening_one_step_as_the_last_is_completed_leaves_the_shipment_active(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)
        recipes.record_all_but(shipment, CLAIM_NOTIFIED)

        reopened, completed = races.at_once(
            lambda: reopen(shipment, INVOICE_RECEIVED, cast.bu_head, noon),
            lambda: complete(shipment, CLAIM_NOTIFIED, cast.storekeeper, noon),
            held=Shipment.objects.filter(pk=shipment.pk),
        )

        assert not reopened.is_closed
        assert completed.step.is_closed
        assert status(shipment) == "active"
        assert not recipes.step(shipment, POLICE_CHECK).is_closed

    def test_reopening_twice_lets_one_through(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)
        complete(shipment, BAYAN_SUBMITTED, cast.cc_clerk, noon)

        results = races.at_once(
            lambda: reopen(shipment, BAYAN_SUBMITTED, cast.cc_head, noon),
            lambda: reopen(shipment, BAYAN_SUBMITTED, cast.administrator, noon),
            held=Shipment.objects.filter(pk=shipment.pk),
        )

        assert sorted(type(result).__name__ for result in results) == ["StepNotCompleted", "WorkflowStep"]
        assert recipes.step(shipment, BAYAN_SUBMITTED).version == 3

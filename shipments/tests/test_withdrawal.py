from __future__ import annotations

from datetime import timedelta

import pytest

from clearance.errors import Forbidden, NotFound, ReasonMissing, VersionConflict
from clearance.tests import races, recipes
from clearance.tests.recipes import COLLECTED, INVOICE_RECEIVED
from clearance.tests.traces import refused
from shipments import services as shipments
from shipments.errors import ShipmentCancelled, ShipmentCompleted, ShipmentNotWithdrawn
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import WorkflowStep

pytestmark = pytest.mark.django_db

OUTSIDE = ["cc_head", "finance_clerk", "storekeeper", "auditor", "manager"]


def cancel(shipment, by, at, reason="Order withdrawn", **more):
    return shipments.cancel(shipment_id=shipment.pk, reason=reason, by=by, at=at, **more)


def delete(shipment, by, at, **more):
    return shipments.delete(shipment_id=shipment.pk, by=by, at=at, **more)


def restore(shipment, by, at, **more):
    return shipments.restore(shipment_id=shipment.pk, by=by, at=at, **more)


def state(shipment):
    one = Shipment.objects.get(pk=shipment.pk)
    return one.status, one.deleted_at, one.cancel_reason, one.version


class TestCancelling:
    @pytest.mark.parametrize("who", ["bu_head", "administrator"])
    def test_keeps_the_shipment_in_sight_with_its_reason(self, cast, shipment, noon, who):
        cancelled = cancel(shipment, getattr(cast, who), noon, " Order withdrawn ")

        assert cancelled.status == "cancelled"
        assert state(shipment) == ("cancelled", None, "Order withdrawn", 2)
        assert Shipment.objects.visible_to(cast.cc_clerk).filter(pk=shipment.pk).exists()
        assert not Shipment.objects.active().exists()
        assert not WorkflowStep.objects.of_active_shipments().exists()

    def test_stays_whatever_its_steps_say(self, cast, shipment, noon):
        cancel(shipment, cast.bu_head, noon)

        assert recipes.record_all_but(shipment).status == "cancelled"

    @pytest.mark.parametrize("who", [*OUTSIDE, "bu_clerk", "bu_alternate"])
    def test_is_refused_to_everybody_but_the_head_and_administrators(self, cast, shipment, noon, who):
        with refused(Forbidden, "PERMISSION_DENIED"):
            cancel(shipment, getattr(cast, who), noon)

    def test_is_refused_without_a_reason(self, cast, shipment, noon):
        with refused(ReasonMissing, "REASON_MISSING"):
            cancel(shipment, cast.bu_head, noon, "  ")

    def test_twice_is_refused(self, cast, shipment, noon):
        cancel(shipment, cast.bu_head, noon)

        with refused(ShipmentCancelled, "SHIPMENT_CANCELLED"):
            cancel(shipment, cast.bu_head, noon)

    def test_is_refused_for_a_completed_shipment(self, cast, shipment, noon):
        recipes.record_all_but(shipment)

        with refused(ShipmentCompleted, "SHIPMENT_COMPLETED"):
            cancel(shipment, cast.bu_head, noon)

    def test_is_refused_for_another_version_than_the_present_one(self, cast, shipment, noon):
        with refused(VersionConflict, "VERSION_CONFLICT"):
            cancel(shipment, cast.bu_head, noon, version=7)

    def test_is_refused_for_a_deleted_shipment(self, cast, shipment, noon):
        delete(shipment, cast.bu_clerk, noon)

        with refused(NotFound, "NOT_FOUND"):
            cancel(shipment, cast.bu_head, noon)


class TestDeleting:
    @pytest.mark.parametrize("who", ["bu_clerk", "bu_alternate", "bu_head"])
    def test_hides_the_shipment_everywhere_and_removes_nothing(self, cast, shipment, noon, who):
        delete(shipment, getattr(cast, who), noon)

        assert state(shipment) == ("active", noon, "", 2)
        for user in (cast.bu_head, cast.cc_clerk, cast.auditor, cast.administrator):
            assert not Shipment.objects.visible_to(user).exists()
            assert not WorkflowStep.objects.visible_to(user).exists()
            assert not WorkflowStep.objects.listed_for(user).exists()
        assert not Shipment.objects.existing().exists()
        assert not Shipment.objects.active().exists()
        assert shipment.steps.count() == 34

    @pytest.mark.parametrize("who", [*OUTSIDE, "administrator"])
    def test_is_refused_to_everybody_outside_the_business_unit(self, cast, shipment, noon, who):
        with refused(Forbidden, "PERMISSION_DENIED"):
            delete(shipment, getattr(cast, who), noon)

    def test_is_refused_for_a_shipment_of_another_division(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk, division=cast.tyres)

        with refused(NotFound, "NOT_FOUND"):
            delete(shipment, cast.stranger, noon)

    def test_is_refused_for_another_version_than_the_present_one(self, cast, shipment, noon):
        with refused(VersionConflict, "VERSION_CONFLICT"):
            delete(shipment, cast.bu_clerk, noon, version=7)

    def test_twice_is_refused(self, cast, shipment, noon):
        delete(shipment, cast.bu_clerk, noon)

        with refused(NotFound, "NOT_FOUND"):
            delete(shipment, cast.bu_clerk, noon)


class TestRestoring:
    @pytest.mark.parametrize("who", ["bu_head", "administrator"])
    def test_brings_a_deleted_shipment_back(self, cast, shipment, noon, who):
        delete(shipment, cast.bu_clerk, noon)

        restored = restore(shipment, getattr(cast, who), noon + timedelta(hours=1))

        assert state(shipment) == ("active", None, "", 3)
        assert restored.updated_at == noon + timedelta(hours=1)
        assert Shipment.objects.visible_to(cast.cc_clerk).exists()

    def test_brings_a_cancelled_shipment_back_without_its_reason(self, cast, shipment, noon):
        cancel(shipment, cast.bu_head, noon)

        assert restore(shipment, cast.bu_head, noon).status == "active"
        assert state(shipment) == ("active", None, "", 3)

    def test_brings_one_back_that_was_cancelled_and_then_deleted(self, cast, shipment, noon):
        cancel(shipment, cast.bu_head, noon)
        delete(shipment, cast.bu_head, noon)

        restore(shipment, cast.bu_head, noon)

        assert state(shipment)[:2] == ("active", None)

    def test_leaves_a_completed_shipment_completed(self, cast, shipment, noon):
        recipes.record_all_but(shipment)
        delete(shipment, cast.bu_clerk, noon)

        restored = restore(shipment, cast.bu_head, noon)

        assert (restored.status, restored.cleared_on) == ("completed", noon.date())

    def test_lets_the_work_go_on(self, cast, shipment, noon):
        recipes.record_all_but(shipment, INVOICE_RECEIVED, COLLECTED)
        cancel(shipment, cast.bu_head, noon)
        restore(shipment, cast.bu_head, noon)

        workflow.complete_step(step_id=recipes.step(shipment, INVOICE_RECEIVED).pk, by=cast.bu_clerk, at=noon)
        workflow.complete_step(step_id=recipes.step(shipment, COLLECTED).pk, by=cast.cc_clerk, at=noon)

        assert state(shipment)[0] == "completed"

    @pytest.mark.parametrize("who", [*OUTSIDE, "bu_clerk", "bu_alternate"])
    def test_is_refused_to_everybody_but_the_head_and_administrators(self, cast, shipment, noon, who):
        delete(shipment, cast.bu_clerk, noon)

        with refused(Forbidden, "PERMISSION_DENIED"):
            restore(shipment, getattr(cast, who), noon)

    def test_is_refused_for_a_deleted_shipment_of_another_division(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk, division=cast.tyres)
        delete(shipment, cast.bu_clerk, noon)

        with refused(NotFound, "NOT_FOUND"):
            restore(shipment, cast.stranger, noon)

    def test_is_refused_where_there_is_nothing_to_restore(self, cast, shipment, noon):
        with refused(ShipmentNotWithdrawn, "SHIPMENT_NOT_WITHDRAWN"):
            restore(shipment, cast.bu_head, noon)

    def test_is_refused_for_another_version_than_the_present_one(self, cast, shipment, noon):
        cancel(shipment, cast.bu_head, noon)

        with refused(VersionConflict, "VERSION_CONFLICT"):
            restore(shipment, cast.bu_head, noon, version=1)


@pytest.mark.django_db(transaction=True)
class TestAtTheSameMoment:
    def test_cancelling_twice_lets_one_through(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)

        results = races.at_once(
            lambda: cancel(shipment, cast.bu_head, noon),
            lambda: cancel(shipment, cast.administrator, noon),
            held=Shipment.objects.filter(pk=shipment.pk),
        )

        assert sorted(type(result).__name__ for result in results) == ["Shipment", "ShipmentCancelled"]

    def test_a_step_is_completed_before_the_deletion_or_not_at_all(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)
        step = recipes.step(shipment, INVOICE_RECEIVED)

        deleted, completed = races.at_once(
            lambda: delete(shipment, cast.bu_clerk, noon),
            lambda: workflow.complete_step(step_id=step.pk, by=cast.bu_clerk, at=noon),
            held=Shipment.objects.filter(pk=shipment.pk),
        )

        assert deleted is None
        assert recipes.step(shipment, INVOICE_RECEIVED).is_closed is not isinstance(completed, NotFound)

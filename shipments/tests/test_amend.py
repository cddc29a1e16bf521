from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from clearance.constraints import ConstraintViolated
from clearance.errors import Forbidden, InvalidFields, NotFound, VersionConflict
from clearance.tests import races, recipes
from clearance.tests.recipes import SAILED
from clearance.tests.traces import everything, refused
from shipments import services as shipments
from shipments.errors import EtaHasItsOwnVerb, NotYourDivision, ShipmentCancelled, ShipmentNumberTaken
from shipments.models import Shipment

pytestmark = pytest.mark.django_db


def amend(shipment, by, at, *, version=None, **changes):
    return shipments.amend(shipment_id=shipment.pk, changes=changes, by=by, at=at, version=version)


class TestAmending:
    def test_changes_what_is_given_and_bumps_the_version(self, cast, shipment, noon):
        later = noon + timedelta(hours=1)

        amended = amend(shipment, cast.bu_alternate, later, vessel=" Sea Star ", division=cast.tyres)

        assert (amended.vessel, amended.division) == ("Sea Star", cast.tyres)
        assert (amended.version, amended.updated_at, amended.created_at) == (2, later, noon)
        assert (amended.principal, amended.eta) == (shipment.principal, shipment.eta)

    def test_recomputes_the_money(self, cast, shipment, noon):
        amended = amend(shipment, cast.bu_clerk, noon, invoice_amount_omr=Decimal("200.000"))

        assert amended.funds_required_omr == Decimal("22.000")

    def test_to_what_it_is_already_changes_nothing(self, cast, shipment, noon):
        before = everything()

        amend(shipment, cast.bu_clerk, noon + timedelta(days=1), principal=f"{shipment.principal} ", eta=shipment.eta)

        assert everything() == before

    def test_of_a_completed_shipment_leaves_it_completed(self, cast, shipment, noon):
        amend(shipment, cast.bu_clerk, noon, lc_number="LC1", sail_date=date(2026, 3, 1))
        recipes.record_all_but(shipment)

        amended = amend(shipment, cast.bu_clerk, noon, lc_number="LC2")

        assert (amended.status, amended.lc_number) == ("completed", "LC2")


class TestRecordingAField:
    def test_completes_its_step_dated_that_day_via_entry(self, cast, shipment, noon):
        amend(shipment, cast.bu_clerk, noon + timedelta(days=2), sail_date=date(2026, 3, 1))

        step = recipes.step(shipment, SAILED)
        assert (step.actual_date, step.completed_via, step.completed_by) == (date(2026, 3, 17), "entry", None)
        assert step.version == 2

    def test_again_with_another_value_leaves_the_step_as_it_is(self, cast, shipment, noon):
        amend(shipment, cast.bu_clerk, noon, sail_date=date(2026, 3, 1))
        before = recipes.step(shipment, SAILED)

        amend(shipment, cast.bu_clerk, noon + timedelta(days=2), sail_date=date(2026, 3, 2))

        after = recipes.step(shipment, SAILED)
        assert (after.actual_date, after.version) == (before.actual_date, before.version)

    def test_and_clearing_it_reopens_its_step(self, cast, shipment, noon):
        amend(shipment, cast.bu_clerk, noon, sail_date=date(2026, 3, 1))

        amend(shipment, cast.bu_clerk, noon, sail_date=None)

        step = recipes.step(shipment, SAILED)
        assert (step.actual_date, step.completed_via, step.completed_at, step.version) == (None, "", None, 3)

    def test_and_clearing_a_text_reopens_its_step_too(self, cast, shipment, noon):
        amend(shipment, cast.bu_clerk, noon, bl_number="BL-1")
        assert recipes.step(shipment, "2.1").is_closed

        amend(shipment, cast.bu_clerk, noon, bl_number=" ")

        assert not recipes.step(shipment, "2.1").is_closed

    def test_completes_the_shipment_when_its_step_was_the_last(self, cast, shipment, noon):
        recipes.record_all_but(shipment, SAILED)
        assert Shipment.objects.get(pk=shipment.pk).status == "active"

        assert amend(shipment, cast.bu_clerk, noon, sail_date=date(2026, 3, 1)).status == "completed"
        assert amend(shipment, cast.bu_clerk, noon, sail_date=None).status == "active"


class TestAmendingIsRefused:
    @pytest.mark.parametrize("who", ["cc_clerk", "finance_head", "auditor", "manager", "administrator"])
    def test_to_everybody_outside_the_business_unit(self, cast, shipment, noon, who):
        with refused(Forbidden, "PERMISSION_DENIED"):
            amend(shipment, getattr(cast, who), noon, vessel="Sea Star")

    def test_for_a_shipment_of_another_division(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk, division=cast.tyres)

        with refused(NotFound, "NOT_FOUND"):
            amend(shipment, cast.stranger, noon, vessel="Sea Star")

    def test_for_a_deleted_shipment(self, cast, shipment, noon):
        shipments.delete(shipment_id=shipment.pk, by=cast.bu_clerk, at=noon)

        with refused(NotFound, "NOT_FOUND"):
            amend(shipment, cast.bu_clerk, noon, vessel="Sea Star")

    def test_for_a_cancelled_shipment(self, cast, shipment, noon):
        shipments.cancel(shipment_id=shipment.pk, reason="Order withdrawn", by=cast.bu_head, at=noon)

        with refused(ShipmentCancelled, "SHIPMENT_CANCELLED"):
            amend(shipment, cast.bu_clerk, noon, vessel="Sea Star")

    @pytest.mark.parametrize("version", [0, 2, 99])
    def test_for_another_version_than_the_present_one(self, cast, shipment, noon, version):
        with refused(VersionConflict, "VERSION_CONFLICT") as refusal:
            amend(shipment, cast.bu_clerk, noon, version=version, vessel="Sea Star")

        assert refusal.value.context == {"current": 1}

    def test_not_for_the_present_one(self, cast, shipment, noon):
        assert amend(shipment, cast.bu_clerk, noon, version=1, vessel="Sea Star").version == 2

    def test_for_another_eta_naming_the_endpoint(self, cast, shipment, noon):
        with refused(EtaHasItsOwnVerb, "ETA_HAS_ITS_OWN_ENDPOINT") as refusal:
            amend(shipment, cast.bu_clerk, noon, eta=shipment.eta + timedelta(days=1), vessel="Sea Star")

        assert f"/api/v1/shipments/{shipment.pk}/eta" in str(refusal.value)

    def test_for_a_number_that_another_shipment_has(self, cast, shipment, noon):
        other = recipes.registered(by=cast.bu_clerk)
        shipments.delete(shipment_id=other.pk, by=cast.bu_clerk, at=noon)

        with refused(ShipmentNumberTaken, "SHIPMENT_NUMBER_TAKEN"):
            amend(shipment, cast.bu_clerk, noon, shipment_number=other.shipment_number)

    def test_for_moving_it_to_a_division_that_is_not_ones_own(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk, division=cast.tyres)

        with refused(NotYourDivision, "NOT_YOUR_DIVISION"):
            amend(shipment, cast.divisional_clerk, noon, division=cast.vehicles)

    @pytest.mark.parametrize(
        ("changes", "fields"),
        [
            ({"principal": " ", "invoice_amount_omr": Decimal(0)}, {"principal", "invoice_amount_omr"}),
            ({"transport_mode": "rail"}, {"transport_mode"}),
            ({"sail_date": date(1999, 12, 31), "ata": date(2101, 1, 1)}, {"sail_date", "ata"}),
        ],
    )
    def test_for_values_that_cannot_be_right(self, cast, shipment, noon, changes, fields):
        with refused(InvalidFields, "VALIDATION_ERROR") as refusal:
            amend(shipment, cast.bu_clerk, noon, **changes)

        assert {detail["field"] for detail in refusal.value.details()} == fields

    def test_by_the_database_with_its_own_sentence(self, cast, shipment, noon):
        with refused(ConstraintViolated, "VALIDATION_ERROR") as refusal:
            amend(shipment, cast.bu_clerk, noon, container_count=0)

        assert str(refusal.value) == "There is at least one container; leave it empty while it is not known."


@pytest.mark.django_db(transaction=True)
class TestAmendingAtTheSameMoment:
    def test_from_the_same_version_lets_one_through(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)

        results = races.at_once(
            lambda: amend(shipment, cast.bu_clerk, noon, version=1, vessel="Sea Star"),
            lambda: amend(shipment, cast.bu_alternate, noon, version=1, vessel="Sun Star"),
            held=Shipment.objects.filter(pk=shipment.pk),
        )

        assert sorted(type(result).__name__ for result in results) == ["Shipment", "VersionConflict"]
        winner = next(result for result in results if isinstance(result, Shipment))
        assert Shipment.objects.get(pk=shipment.pk).vessel == winner.vessel

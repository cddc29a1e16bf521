from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, Permission

from accounts.models import User
from clearance.errors import Forbidden, InvalidFields, NotFound, VersionConflict
from clearance.tests import races, recipes
from clearance.tests.recipes import INVOICE_RECEIVED, MUSCAT
from clearance.tests.traces import everything, refused
from shipments import services as shipments
from shipments.errors import (
    EtaEditForbidden,
    EtaEditLimitReached,
    EtaInThePast,
    ShipmentCancelled,
    ShipmentCompleted,
)
from shipments.models import Shipment
from workflow import services as workflow

pytestmark = pytest.mark.django_db

NEXT = recipes.ETA + timedelta(days=9)


def move(shipment, by, at, eta=NEXT, **more):
    return shipments.change_eta(shipment_id=shipment.pk, eta=eta, by=by, at=at, **more)


def target_dates(shipment):
    return dict(shipment.steps.values_list("step_number", "target_date"))


def planned_for(shipment, eta):
    return {
        number: eta + timedelta(days=days) for number, days in shipment.steps.values_list("step_number", "offset_days")
    }


class TestChangingTheEta:
    def test_re_dates_every_step_and_keeps_actual_dates(self, cast, shipment, noon):
        actual = dict(shipment.steps.values_list("step_number", "actual_date"))

        moved = move(shipment, cast.bu_clerk, noon, reason=" Vessel rolled ")

        assert target_dates(shipment) == planned_for(shipment, NEXT)
        assert dict(shipment.steps.values_list("step_number", "actual_date")) == actual
        assert set(shipment.steps.values_list("version", flat=True)) == {2}
        kept = Shipment.objects.get(pk=shipment.pk)
        assert (kept.eta, kept.eta_edit_count, kept.version) == (NEXT, 1, 2)
        assert kept.eta_change_reason == "Vessel rolled"
        assert [getattr(moved, name) for name in ("eta", "eta_edit_count", "version")] == [NEXT, 1, 2]

    @pytest.mark.parametrize("who", ["bu_clerk", "bu_alternate", "bu_head"])
    def test_is_for_the_business_unit(self, cast, shipment, noon, who):
        assert move(shipment, getattr(cast, who), noon).eta == NEXT

    def test_works_three_times_and_the_fourth_is_refused_and_moves_nothing(self, cast, shipment, noon):
        for days in (1, 2, 3):
            move(shipment, cast.bu_clerk, noon, shipment.eta + timedelta(days=days))

        with refused(EtaEditLimitReached, "ETA_EDIT_LIMIT"):
            move(shipment, cast.bu_head, noon)

        assert Shipment.objects.get(pk=shipment.pk).eta_edit_count == 3
        assert target_dates(shipment) == planned_for(shipment, shipment.eta + timedelta(days=3))

    def test_back_to_an_earlier_date_counts_as_well(self, cast, shipment, noon):
        move(shipment, cast.bu_clerk, noon)

        assert move(shipment, cast.bu_clerk, noon, recipes.ETA).eta_edit_count == 2

    def test_to_the_same_date_uses_no_edit_and_changes_nothing(self, cast, shipment, noon):
        for days in (1, 2, 3):
            move(shipment, cast.bu_clerk, noon, shipment.eta + timedelta(days=days))
        before = everything()

        same = move(shipment, cast.bu_clerk, noon, shipment.eta + timedelta(days=3), reason="again")

        assert same.eta_edit_count == 3
        assert everything() == before

    def test_to_the_same_date_is_fine_even_when_it_has_passed(self, cast, shipment):
        before = everything()

        move(shipment, cast.bu_clerk, datetime(2026, 5, 1, tzinfo=MUSCAT), shipment.eta)

        assert everything() == before


class TestChangingTheEtaIsRefused:
    @pytest.mark.parametrize(
        "who",
        [
            "finance_clerk",
            "finance_head",
            "cc_clerk",
            "cc_head",
            "storekeeper",
            "auditor",
            "manager",
            "administrator",
        ],
    )
    def test_to_everybody_outside_the_business_unit(self, cast, shipment, noon, who):
        with refused(EtaEditForbidden, "ETA_FORBIDDEN"):
            move(shipment, getattr(cast, who), noon)

    def test_to_readers_in_the_business_unit(self, cast, shipment, noon):
        cast.bu_alternate.role = "ReadOnly"
        cast.bu_alternate.save()

        with refused(EtaEditForbidden, "ETA_FORBIDDEN"):
            move(shipment, cast.bu_alternate, noon)

    def test_to_who_is_of_the_business_unit_but_has_a_role_without_it(self, cast, shipment, noon):
        Group.objects.get(name="BusinessUnit PPR").permissions.remove(Permission.objects.get(codename="change_eta"))
        clerk = User.objects.get(pk=cast.bu_clerk.pk)

        with refused(Forbidden, "PERMISSION_DENIED"):
            move(shipment, clerk, noon)

    def test_even_for_the_same_date(self, cast, shipment, noon):
        with refused(EtaEditForbidden, "ETA_FORBIDDEN"):
            move(shipment, cast.administrator, noon, shipment.eta)

    def test_for_a_shipment_of_another_division(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk, division=cast.tyres)

        with refused(NotFound, "NOT_FOUND"):
            move(shipment, cast.stranger, noon)

    def test_for_a_deleted_shipment(self, cast, shipment, noon):
        shipments.delete(shipment_id=shipment.pk, by=cast.bu_clerk, at=noon)

        with refused(NotFound, "NOT_FOUND"):
            move(shipment, cast.bu_clerk, noon)

    @pytest.mark.parametrize(
        "at",
        [
            datetime(2026, 3, 16, 0, 0, tzinfo=MUSCAT),  # still the 15th in UTC
            datetime(2026, 3, 16, 23, 59, 59, tzinfo=MUSCAT),
        ],
    )
    def test_for_a_date_before_today_in_muscat(self, cast, shipment, at):
        with refused(EtaInThePast, "ETA_IN_THE_PAST"):
            move(shipment, cast.bu_clerk, at, date(2026, 3, 15))

        assert move(shipment, cast.bu_clerk, at, date(2026, 3, 16)).eta_edit_count == 1
        assert move(shipment, cast.bu_clerk, at, date(2026, 3, 17)).eta_edit_count == 2

    def test_for_a_date_that_only_a_slip_in_the_year_explains(self, cast, shipment, noon):
        with refused(InvalidFields, "VALIDATION_ERROR"):
            move(shipment, cast.bu_clerk, noon, date(2101, 1, 1))

        assert move(shipment, cast.bu_clerk, noon, date(2100, 12, 31)).eta_edit_count == 1

    def test_for_another_version_than_the_present_one(self, cast, shipment, noon):
        move(shipment, cast.bu_clerk, noon)

        with refused(VersionConflict, "VERSION_CONFLICT"):
            move(shipment, cast.bu_clerk, noon, NEXT + timedelta(days=1), version=1)
        assert move(shipment, cast.bu_clerk, noon, NEXT + timedelta(days=1), version=2).version == 3

    def test_for_a_completed_shipment(self, cast, shipment, noon):
        recipes.record_all_but(shipment)

        with refused(ShipmentCompleted, "SHIPMENT_COMPLETED"):
            move(shipment, cast.bu_clerk, noon)

    def test_for_a_cancelled_shipment(self, cast, shipment, noon):
        shipments.cancel(shipment_id=shipment.pk, reason="Order withdrawn", by=cast.bu_head, at=noon)

        with refused(ShipmentCancelled, "SHIPMENT_CANCELLED"):
            move(shipment, cast.bu_clerk, noon)


@pytest.mark.django_db(transaction=True)
class TestChangingTheEtaAtTheSameMoment:
    def test_fifty_times_succeeds_exactly_three_times(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)
        etas = [recipes.ETA + timedelta(days=days) for days in range(1, 51)]

        results = races.at_once(
            *[lambda eta=eta: move(shipment, cast.bu_clerk, noon, eta) for eta in etas],
            held=Shipment.objects.filter(pk=shipment.pk),
        )

        moved = [result for result in results if isinstance(result, Shipment)]
        assert len(moved) == 3
        assert sum(isinstance(result, EtaEditLimitReached) for result in results) == 47
        kept = Shipment.objects.get(pk=shipment.pk)
        assert kept.eta_edit_count == 3
        assert kept.eta == max(moved, key=lambda one: one.eta_edit_count).eta
        assert target_dates(kept) == planned_for(kept, kept.eta)

    def test_as_a_step_is_completed_lets_both_through(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk)
        step = recipes.step(shipment, INVOICE_RECEIVED)

        for eta in (NEXT, recipes.ETA):  # in whichever order they come to the lock
            step = recipes.step(shipment, INVOICE_RECEIVED)
            results = races.at_once(
                lambda eta=eta: move(shipment, cast.bu_clerk, noon, eta),
                lambda step=step: workflow.complete_step(step_id=step.pk, by=cast.bu_alternate, at=noon),
                held=Shipment.objects.filter(pk=shipment.pk),
            )

            assert [type(result).__name__ for result in results] == ["Shipment", "Completion"]
            after = recipes.step(shipment, INVOICE_RECEIVED)
            assert after.actual_date == noon.date()
            assert after.version == step.version + 2
            assert target_dates(shipment) == planned_for(shipment, eta)
            workflow.reopen_step(step_id=step.pk, by=cast.bu_head, at=noon, reason="Once more")

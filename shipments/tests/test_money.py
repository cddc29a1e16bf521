from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clearance.tests import recipes
from shipments.models import Shipment

pytestmark = pytest.mark.django_db

BAISA = Decimal("0.001")


def share(amount: Decimal, rate: str) -> Decimal:
    return (amount * Decimal(rate)).quantize(BAISA, ROUND_HALF_UP)


def computed(amounts: list[Decimal]) -> list[tuple[Decimal, ...]]:
    """What the database computes for the amounts, in one round trip; nothing stays."""
    with transaction.atomic():
        new = Shipment.objects.bulk_create(recipes.shipment.prepare(invoice_amount_omr=amount) for amount in amounts)
        columns = ("customs_duty_omr", "vat_omr", "insurance_omr", "funds_required_omr")
        rows = Shipment.objects.filter(pk__in=[one.pk for one in new]).order_by("pk").values_list(*columns)
        found = list(rows)
        transaction.set_rollback(True)
    return found


amounts = st.decimals(min_value=BAISA, max_value=Decimal(10**9), places=3)


class TestDutyVatInsuranceAndTheirSum:
    @given(st.lists(amounts, min_size=1, max_size=60))
    @example([Decimal("0.001"), Decimal("0.009"), Decimal("0.010"), Decimal("0.030"), Decimal("0.049")])
    @example([Decimal("0.050"), Decimal("0.149"), Decimal("0.150"), Decimal("12345.670"), Decimal("999999999.999")])
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_are_rounded_half_up_to_the_baisa_each(self, db, given_amounts):
        expected = [
            (
                duty := share(amount, "0.05"),
                vat := share(amount, "0.05"),
                fee := share(amount, "0.01"),
                duty + vat + fee,
            )
            for amount in given_amounts
        ]

        assert computed(given_amounts) == expected

    def test_follow_the_amount(self, shipment):
        Shipment.objects.filter(pk=shipment.pk).update(invoice_amount_omr=Decimal("100.010"))

        shipment.refresh_from_db()

        # 5.0005 and 1.0001
        assert (shipment.customs_duty_omr, shipment.vat_omr) == (Decimal("5.001"), Decimal("5.001"))
        assert shipment.insurance_omr == Decimal("1.000")
        assert shipment.funds_required_omr == Decimal("11.002")


class TestTheDatabaseItself:
    @pytest.mark.parametrize(
        ("values", "constraint"),
        [
            ({"invoice_amount_omr": Decimal(0)}, "shipment_invoice_amount_is_positive"),
            ({"quantity": Decimal(-1)}, "shipment_quantity_is_positive"),
            ({"container_count": 0}, "shipment_container_count_is_positive"),
            ({"principal": ""}, "shipment_has_its_essentials"),
            ({"eta_edit_count": 4}, "shipment_eta_is_edited_three_times_at_most"),
            ({"status": "lost"}, "shipment_status_is_known"),
            ({"transport_mode": "rail"}, "shipment_transport_mode_is_known"),
            ({"quantity_unit": "boxes"}, "shipment_quantity_unit_is_known"),
        ],
    )
    def test_refuses_impossible_shipments(self, shipment, values, constraint):
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            Shipment.objects.filter(pk=shipment.pk).update(**values)

"""The default ladder, rung by rung. The ETA is a Wednesday whose days 4 to 8 are working days."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from alerts import services as alerts
from alerts.models import Alert
from clearance.tests import recipes
from clearance.tests.recipes import BAYAN_SUBMITTED, COLLECTED, ETA, MUSCAT
from shipments import services as shipments

pytestmark = pytest.mark.django_db

DELIVERY_ORDER_PAID = "13.0"  # Finance; the other critical steps are C&C's
CRITICAL = (BAYAN_SUBMITTED, "10.0", "11.0", DELIVERY_ORDER_PAID, COLLECTED)


def sweep_day(day: int, *, hour: int = 8):
    """Sweep on the morning of a day after the ETA."""
    on = ETA + timedelta(days=day)
    return alerts.sweep(on=on, at=datetime(on.year, on.month, on.day, hour, tzinfo=MUSCAT))


def raised(step: str = BAYAN_SUBMITTED, **only) -> list[tuple[int, str, str]]:
    """Day, severity and recipient of every alert of a step."""
    found = Alert.objects.filter(workflow_step__step_number=step, **only).select_related("recipient_user")
    return sorted((one.days_post_eta, one.severity, one.recipient_user.full_name) for one in found)


class TestARung:
    @pytest.mark.parametrize(
        ("day", "severity", "told"),
        [
            (4, "warning", ["Khalid Clerk"]),
            (5, "critical", ["Khalid Clerk"]),
            (6, "critical", ["Kamila Head", "Kawthar Alternate"]),
            (7, "urgent", ["Idris Auditor", "Maryam Manager"]),
            (8, "urgent", ["Kamila Head"]),
            (9, "urgent", ["Kamila Head"]),
            (30, "urgent", ["Kamila Head"]),
        ],
    )
    def test_is_raised_on_its_day_to_its_people_not_the_day_before_and_not_again_the_day_after(
        self, shipment, day, severity, told
    ):
        sweep_day(day - 1, hour=23)
        assert raised(days_post_eta=day) == []

        sweep_day(day)
        assert raised(days_post_eta=day) == [(day, severity, name) for name in told]

        sweep_day(day + 1)
        assert raised(days_post_eta=day) == [(day, severity, name) for name in told]

    def test_is_raised_for_every_critical_step_that_is_open_and_for_no_other(self, shipment):
        recipes.record(shipment, {"10.0": recipes.TODAY})

        sweep_day(4)

        found = Alert.objects.values_list("workflow_step__step_number", flat=True).order_by(
            "workflow_step__step_number"
        )
        assert [str(number) for number in found] == [BAYAN_SUBMITTED, "11.0", DELIVERY_ORDER_PAID, COLLECTED]

    def test_goes_to_the_people_of_the_steps_own_department(self, shipment):
        for day in range(4, 10):
            sweep_day(day)

        assert raised(DELIVERY_ORDER_PAID) == [
            (4, "warning", "Faisal Clerk"),
            (5, "critical", "Faisal Clerk"),
            (6, "critical", "Farah Alternate"),
            (6, "critical", "Fatma Head"),
            (7, "urgent", "Idris Auditor"),
            (7, "urgent", "Maryam Manager"),
            (8, "urgent", "Fatma Head"),
            (9, "urgent", "Fatma Head"),
        ]


class TestTheLadder:
    def test_ends_on_day_30(self, shipment):
        sweep_day(40)

        days = sorted({day for day, _, _ in raised()})
        assert days == list(range(4, 31))

    def test_says_on_which_day_a_rung_was_due_and_when_it_was_raised(self, shipment):
        sweep_day(4)

        alert = Alert.objects.filter(workflow_step__step_number=BAYAN_SUBMITTED).get()
        assert (alert.due_on, alert.days_post_eta, alert.is_late) == (ETA + timedelta(days=4), 4, False)
        assert alert.created_at == datetime(2026, 4, 5, 8, tzinfo=MUSCAT)
        assert (alert.shipment_id, alert.eta_revision) == (shipment.pk, 0)

    def test_is_raised_over_every_shipment_that_arrived(self, cast):
        for days in (-1, 0, 4, 5):
            recipes.registered(by=cast.bu_clerk, eta=ETA + timedelta(days=days))

        report = sweep_day(4)

        assert (report.shipments, report.raised, report.late, report.messages) == (3, 15, 5, 2)

    @pytest.mark.parametrize("gone", ["cancelled", "deleted", "completed"])
    def test_is_not_raised_for_a_shipment_that_is_out_of_the_work(self, cast, shipment, noon, gone):
        if gone == "cancelled":
            shipments.cancel(shipment_id=shipment.pk, reason="Sold at sea", by=cast.bu_head, at=noon)
        elif gone == "deleted":
            shipments.delete(shipment_id=shipment.pk, by=cast.bu_head, at=noon)
        else:
            assert recipes.record_all_but(shipment).status == "completed"

        assert sweep_day(9).raised == 0
        recipes.registered(by=cast.bu_clerk)  # another one of the same ETA
        assert sweep_day(9).raised > 0
        assert not Alert.objects.filter(shipment=shipment).exists()

    def test_is_pulled_forward_to_the_working_day_before_a_day_off(self, cast):
        recipes.registered(by=cast.bu_clerk, eta=ETA + timedelta(days=5))  # its days 4 and 5 are Friday and Saturday

        assert sweep_day(7).raised == 0
        sweep_day(8)  # Thursday the 9th

        found = Alert.objects.filter(workflow_step__step_number=BAYAN_SUBMITTED).order_by("days_post_eta")
        on = ETA + timedelta(days=8)
        assert [(one.days_post_eta, one.due_on, one.is_late) for one in found] == [(4, on, False), (5, on, False)]
        assert [one.mail for one in found] == ["none", "digest"]  # the higher one is mailed

    def test_knows_no_weekend_where_the_setting_is_off(self, cast, settings):
        settings.ALERTS_PULL_FORWARD = False
        recipes.registered(by=cast.bu_clerk, eta=ETA + timedelta(days=5))

        assert sweep_day(8).raised == 0
        assert sweep_day(9).raised == 5

"""Late shipments for the tests of the doors, which read the clock: their days are counted from the real today."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.utils import timezone

from accounts.models import User
from alerts import services as alerts
from clearance.clock import day_of
from clearance.tests import recipes
from shipments.models import Shipment

DUTY_PAID = "10.0"  # Customs & Clearance, critical
BAYAN_APPROVED = "11.0"  # Customs & Clearance, critical
ORDER_PAID = "13.0"  # Finance, critical


def now() -> datetime:
    return timezone.now()


def today() -> date:
    return day_of(now())


def shipment(*, by: User, days: int, left_open: tuple[str, ...] = (BAYAN_APPROVED,), **changed) -> Shipment:
    """A shipment that arrived so many days ago, with nothing but these steps (and optional ones) left to do."""
    arrived = now() - timedelta(days=days)
    new = recipes.registered(by=by, at=arrived, eta=day_of(arrived), **changed)
    return recipes.record_all_but(new, *left_open, on=today(), at=now())


def sweep() -> None:
    alerts.sweep(on=today(), at=now())

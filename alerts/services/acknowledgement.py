"""Acknowledging an alert."""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction

from accounts import selectors as people
from accounts.models import User
from alerts.errors import AlertNotOpen, AlertNotYours, PromiseInThePast
from alerts.models import Alert
from clearance import context
from clearance.clock import day_of
from clearance.errors import Forbidden, NotFound
from shipments.models import Shipment


@transaction.atomic
def acknowledge(*, alert_id: int, by: User, at: datetime, promised_on: date | None = None) -> Alert:
    """Note that the recipient (or their substitute) has seen an alert, and by when they promise to act.

    It never stops the ladder. Acknowledging again replaces the promise.

    :raises NotFound: there is no such alert, or its shipment belongs to another division.
    :raises Forbidden: `by` has no role that acknowledges. :raises AlertNotYours: somebody else's.
    :raises PromiseInThePast: `promised_on` lies before the Muscat date of `at`.
    :raises AlertNotOpen: its step is done, its ETA changed, its shipment gone.
    """
    today = day_of(at)
    visible = Alert.objects.filter(shipment__in=Shipment.objects.visible_to(by))
    alert = visible.select_for_update(of=("self",), no_key=True).filter(pk=alert_id).first()
    if alert is None:
        raise NotFound
    if not by.has_perm("alerts.acknowledge_alert"):
        raise Forbidden
    if alert.recipient_user_id not in (by.pk, *people.stands_in_for(by, on=today)):
        raise AlertNotYours(recipient=alert.recipient_user)
    if promised_on is not None and promised_on < today:
        raise PromiseInThePast(today=today)
    if not Alert.objects.open().filter(pk=alert.pk).exists():
        raise AlertNotOpen
    alert.acknowledged_at = at
    alert.acknowledged_by = by
    alert.promised_on = promised_on
    absent = alert.recipient_user.full_name if alert.recipient_user_id != by.pk else ""
    with context.remarking(on_behalf_of=absent):
        alert.save(update_fields=["acknowledged_at", "acknowledged_by", "promised_on"])
    return alert

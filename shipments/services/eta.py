"""Moving the ETA, and with it everything that hangs on it."""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction
from django.db.models import F

from accounts.models import User
from alerts import services as alerts
from clearance import context
from clearance.clock import day_of
from clearance.constraints import explained
from clearance.errors import NotFound, VersionConflict, Versions, require_current
from shipments import rules
from shipments.models import Shipment
from workflow import services as workflow


@transaction.atomic
def change_eta(
    *, shipment_id: int, eta: date, by: User, at: datetime, reason: str = "", version: Versions = None
) -> Shipment:
    """Move a shipment's ETA and re-date every step from it; actual dates stay.

    The Business Unit may do this three times per shipment (SOP, "ETA changes"); the same date again uses none.
    `eta_edit_count` is the ETA's revision.

    :raises NotFound: there is no such shipment, or it belongs to another division.
    :raises EtaEditForbidden: `by` doesn't belong to the Business Unit.
    :raises Forbidden: `by` belongs to it, and is denied the permission.
    :raises VersionConflict: the shipment isn't at `version`.
    :raises ShipmentCancelled: :raises ShipmentCompleted: its ETA is history.
    :raises InvalidFields: `eta` lies too far away to be meant.
    :raises EtaInThePast: `eta` lies before the Muscat date of `at`.
    :raises EtaEditLimitReached: the third edit is already used.
    """
    shipment = Shipment.objects.visible_to(by).locked().filter(pk=shipment_id).first()
    if shipment is None:
        raise NotFound
    rules.require_eta_editor(by)
    require_current(shipment.version, version)
    if eta == shipment.eta:
        return shipment
    rules.require_active(shipment)
    rules.require_believable_dates({"eta": eta})
    rules.require_not_past(eta, today=day_of(at))
    rules.require_edit_left(shipment)

    moved = {"eta": eta, "eta_change_reason": reason.strip(), "updated_at": at}
    current = Shipment.objects.filter(pk=shipment.pk, version=shipment.version)
    with context.remarking(reason=reason.strip()):
        with explained(Shipment):
            if not current.update(**moved, eta_edit_count=F("eta_edit_count") + 1, version=F("version") + 1):
                raise VersionConflict(current=shipment.version)
        workflow.reschedule(shipment_ids=[shipment.pk], at=at)
        alerts.evaluate(shipment_ids=[shipment.pk], at=at)
    for name, value in moved.items():
        setattr(shipment, name, value)
    shipment.eta_edit_count += 1
    shipment.version += 1
    return shipment

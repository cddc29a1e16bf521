"""Taking a shipment out of the work: cancelled, deleted (hidden, never removed), restored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from accounts.models import User
from accounts.rules import require_permission
from alerts import services as alerts
from clearance import context
from clearance.constraints import explained
from clearance.errors import NotFound, ReasonMissing, VersionConflict, Versions, require_current
from shipments import rules
from shipments.choices import Status
from shipments.errors import ShipmentNotWithdrawn
from shipments.models import Shipment
from workflow import services as workflow


@transaction.atomic
def cancel(*, shipment_id: int, reason: str, by: User, at: datetime, version: Versions = None) -> Shipment:
    """Cancel a shipment: it stays visible, nothing can be done on it, nobody is alerted.

    :raises NotFound: :raises Forbidden: :raises VersionConflict: :raises ReasonMissing:
    :raises ShipmentCancelled: it is already. :raises ShipmentCompleted: its goods have arrived.
    """
    shipment = _lock(shipment_id, by, permission="shipments.cancel_shipment", version=version)
    if not reason.strip():
        raise ReasonMissing
    rules.require_active(shipment)
    with context.remarking(reason=reason.strip()):
        return _write(shipment, at=at, status=Status.CANCELLED, cancel_reason=reason.strip())


@transaction.atomic
def delete(*, shipment_id: int, by: User, at: datetime, version: Versions = None) -> None:
    """Hide a shipment everywhere; its number stays reserved and it can be restored.

    :raises NotFound: :raises Forbidden: :raises VersionConflict:
    """
    shipment = _lock(shipment_id, by, permission="shipments.delete_shipment", version=version)
    _write(shipment, at=at, deleted_at=at)


@transaction.atomic
def restore(*, shipment_id: int, by: User, at: datetime, version: Versions = None) -> Shipment:
    """Bring back a deleted or cancelled shipment, as active or completed as its steps say.

    :raises NotFound: :raises Forbidden: :raises VersionConflict:
    :raises ShipmentNotWithdrawn: it is neither deleted nor cancelled.
    """
    shipment = _lock(shipment_id, by, permission="shipments.restore_shipment", version=version, also_deleted=True)
    if shipment.deleted_at is None and shipment.status != Status.CANCELLED:
        raise ShipmentNotWithdrawn(number=shipment.shipment_number)
    status = Status.ACTIVE if shipment.status == Status.CANCELLED else shipment.status
    _write(shipment, at=at, deleted_at=None, status=status, cancel_reason="")
    workflow.settle(shipment_ids=[shipment.pk], at=at)
    alerts.evaluate(shipment_ids=[shipment.pk], at=at)
    return Shipment.objects.get(pk=shipment.pk)


def _lock(shipment_id: int, by: User, *, permission: str, version: Versions, also_deleted: bool = False) -> Shipment:
    sight = Shipment.objects.in_sight_of(by) if also_deleted else Shipment.objects.visible_to(by)
    shipment = sight.locked().filter(pk=shipment_id).first()
    if shipment is None:
        raise NotFound
    require_permission(by, permission)
    require_current(shipment.version, version)
    return shipment


def _write(shipment: Shipment, *, at: datetime, **values: Any) -> Shipment:
    current = Shipment.objects.filter(pk=shipment.pk, version=shipment.version)
    with explained(Shipment):
        if not current.update(**values, version=F("version") + 1, updated_at=at):
            raise VersionConflict(current=shipment.version)
    return Shipment.objects.get(pk=shipment.pk)

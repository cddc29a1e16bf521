"""Registering a shipment with its plan, and amending what its papers say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from accounts.models import User
from accounts.rules import require_permission
from alerts import services as alerts
from clearance.clock import day_of
from clearance.constraints import explained, require_valid_fields
from clearance.errors import NotFound, VersionConflict, Versions, require_current
from shipments import rules
from shipments.errors import EtaHasItsOwnVerb, NotYourDivision, ShipmentNumberTaken
from shipments.models import Shipment
from workflow import rules as workflow_rules
from workflow import services as workflow
from workflow.models import WorkflowTemplate


@transaction.atomic
def register(*, values: Mapping[str, Any], by: User, at: datetime) -> Shipment:
    """Register a shipment and plan every step of its procedure from the ETA.

    `values` are the fields of `shipments.rules.AMENDABLE` and `eta`. Steps that a recorded field completes are
    completed at once (C12).

    :raises Forbidden: `by` lacks the permission; by their role, only the Business Unit has it.
    :raises EtaInThePast: the ETA lies before today.
    :raises ShipmentNumberTaken: also by a deleted shipment.
    :raises NotYourDivision: `by` is limited to other divisions.
    :raises InvalidFields: :raises ConstraintViolated: a value can't be right.
    """
    require_permission(by, "shipments.add_shipment")
    shipment = Shipment(**rules.normalised(values), created_by=by, created_at=at, updated_at=at)
    require_valid_fields(shipment)
    rules.require_believable_dates(values)
    rules.require_not_past(shipment.eta, today=day_of(at))
    _require_own_division(shipment.division_id, by)
    template = workflow_rules.choose_template(
        WorkflowTemplate.objects.in_use(),
        transport_mode=shipment.transport_mode,
        division_id=shipment.division_id,
    )
    with explained(Shipment), _number_free(shipment.shipment_number):
        shipment.save(force_insert=True)
    workflow.plan_steps(plans=[workflow.Plan(shipment.pk, template.pk)], at=at)
    alerts.evaluate(shipment_ids=[shipment.pk], at=at)
    return shipment


@transaction.atomic
def amend(
    *, shipment_id: int, changes: Mapping[str, Any], by: User, at: datetime, version: Versions = None
) -> Shipment:
    """Change what the papers say. Steps that follow a field are completed with its entry, reopened with its clearing.

    `changes` may hold the fields of `shipments.rules.AMENDABLE`; an `eta` must be the present one.

    :raises NotFound: :raises Forbidden: :raises VersionConflict: :raises ShipmentCancelled:
    :raises EtaHasItsOwnVerb: `changes` brings another ETA.
    :raises ShipmentNumberTaken: :raises NotYourDivision: :raises InvalidFields: :raises ConstraintViolated:
    """
    shipment = Shipment.objects.visible_to(by).locked().filter(pk=shipment_id).first()
    if shipment is None:
        raise NotFound
    require_permission(by, "shipments.change_shipment")
    if changes.get("eta", shipment.eta) != shipment.eta:
        raise EtaHasItsOwnVerb(pk=shipment.pk)
    require_current(shipment.version, version)
    rules.require_not_cancelled(shipment)

    changed = rules.differing(shipment, rules.normalised(changes))
    if not changed:
        return shipment
    for name, value in changed.items():
        setattr(shipment, name, value)
    require_valid_fields(shipment)
    rules.require_believable_dates(changed)
    if "division" in changed:
        _require_own_division(shipment.division_id, by)
    with explained(Shipment), _number_free(shipment.shipment_number):
        current = Shipment.objects.filter(pk=shipment.pk, version=shipment.version)
        if not current.update(**changed, version=F("version") + 1, updated_at=at):
            raise VersionConflict(current=shipment.version)
    cleared = [name for name, value in changed.items() if value in (None, "")]
    workflow.follow_fields(shipment_ids=[shipment.pk], at=at, cleared=cleared)
    workflow.settle(shipment_ids=[shipment.pk], at=at)
    if cleared:
        alerts.evaluate(shipment_ids=[shipment.pk], at=at)
    return Shipment.objects.get(pk=shipment.pk)


@contextmanager
def _number_free(number: str) -> Iterator[None]:
    """:raises ShipmentNumberTaken: the database says that the number is used; so no race can slip through."""
    try:
        yield
    except IntegrityError as error:
        if "shipment_number_is_unique" in str(error):
            raise ShipmentNumberTaken(number=number) from error
        raise


def _require_own_division(division_id: int | None, by: User) -> None:
    if division_id is None:
        return
    own = dict(by.divisions.values_list("pk", "name"))
    if own and division_id not in own:
        raise NotYourDivision(divisions=", ".join(sorted(own.values())))

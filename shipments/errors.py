"""What can be refused about shipments."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Conflict, Forbidden, Invalid


class EtaInThePast(Invalid):
    code = "ETA_IN_THE_PAST"
    field = "eta"
    message = _("ETA cannot be in the past: {eta} is before today, {today}.")


class EtaEditForbidden(Forbidden):
    code = "ETA_FORBIDDEN"
    field = "eta"
    message = _("Only the Business Unit (PPR, APR or head) changes an ETA. Ask the shipment's Business Unit.")


class EtaEditLimitReached(Conflict):
    code = "ETA_EDIT_LIMIT"
    field = "eta"
    message = _("The ETA of {number} was already changed three times; it cannot be changed again.")
    is_denial = True


class EtaHasItsOwnVerb(Invalid):
    code = "ETA_HAS_ITS_OWN_ENDPOINT"
    field = "eta"
    message = _("The ETA is changed with PATCH /api/v1/shipments/{pk}/eta, which counts the three allowed edits.")


class ShipmentNumberTaken(Conflict):
    code = "SHIPMENT_NUMBER_TAKEN"
    field = "shipment_number"
    message = _(
        "The shipment number {number} is already used; capitals make no other number. Numbers of deleted shipments "
        "stay reserved too."
    )


class ShipmentCancelled(Conflict):
    code = "SHIPMENT_CANCELLED"
    message = _("Shipment {number} is cancelled. The head of the Business Unit can restore it.")


class ShipmentCompleted(Conflict):
    code = "SHIPMENT_COMPLETED"
    message = _("Shipment {number} is completed. Reopen one of its steps first.")


class ShipmentNotWithdrawn(Conflict):
    code = "SHIPMENT_NOT_WITHDRAWN"
    message = _("Shipment {number} is neither cancelled nor deleted: there is nothing to restore.")


class NotYourDivision(Forbidden):
    code = "NOT_YOUR_DIVISION"
    field = "division"
    message = _("You may register shipments of your own divisions only: {divisions}.")


class TooManyRows(Invalid):
    code = "IMPORT_TOO_MANY_ROWS"
    field = "rows"
    message = _("There are more than {limit} rows. Send them in several requests.")


class TooManyKeys(Invalid):
    code = "IMPORT_TOO_MANY_KEYS"
    field = "rows"
    message = _("The rows have more than {limit} different keys. Give each row the keys that the tracker has.")


class TooManyFaults(Invalid):
    code = "IMPORT_TOO_MANY_FAULTS"
    message = _(
        "Up to row {row} there are more than {most} cells that can't be read; nothing was imported. Look whether the "
        "columns have the right headings, or import fewer rows at once."
    )

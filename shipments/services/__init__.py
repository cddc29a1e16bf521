"""Verbs of shipments: register, amend, move the ETA, cancel, delete, restore, import a tracker."""

from shipments.services.eta import change_eta
from shipments.services.registration import amend, register
from shipments.services.tracker import import_rows
from shipments.services.withdrawal import cancel, delete, restore

__all__ = ["amend", "cancel", "change_eta", "delete", "import_rows", "register", "restore"]

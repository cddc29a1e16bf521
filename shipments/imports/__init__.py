"""Tracker cells → typed rows or named faults. Knows no file, no database and no model."""

from shipments.imports.cells import MAX_AMOUNT, MAX_CONTAINERS, MAX_QUANTITY, Cell
from shipments.imports.fields import MAX_LENGTHS
from shipments.imports.heading_rows import HeadingsUnclear
from shipments.imports.headings import ColumnGivenTwice, HeadingsNotFound, ShipmentNumberHidden, ShipmentNumberMissing
from shipments.imports.looks import MergesOverlap
from shipments.imports.table import Tracker
from shipments.imports.template import Template, template
from shipments.imports.tracker import cells_from_records, records, tracker
from shipments.rows import Fault, TrackerRow

__all__ = [
    "MAX_AMOUNT",
    "MAX_CONTAINERS",
    "MAX_LENGTHS",
    "MAX_QUANTITY",
    "Cell",
    "ColumnGivenTwice",
    "Fault",
    "HeadingsNotFound",
    "HeadingsUnclear",
    "MergesOverlap",
    "ShipmentNumberHidden",
    "ShipmentNumberMissing",
    "Template",
    "Tracker",
    "TrackerRow",
    "cells_from_records",
    "records",
    "template",
    "tracker",
]

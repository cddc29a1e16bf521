"""The shape of a tracker row on its way from a sheet to the desk, and of what was wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class TrackerRow:
    """One row that reads well: its number in the sheet, its typed fields and step dates, without the blank ones."""

    row: int
    fields: Mapping[str, object]
    steps: Mapping[Decimal, date]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row fails (or, among corrections, what was corrected); `column` is the heading in the sheet."""

    row: int
    column: str
    value: str
    reason: str


@dataclass(slots=True)
class ImportReport:
    """What an import did: rows by outcome; `corrections` are completed steps whose date the sheet changed."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    faults: list[Fault] = field(default_factory=list)
    corrections: list[Fault] = field(default_factory=list)

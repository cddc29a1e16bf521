"""The shape of a tracker row on its way from a sheet to the desk, and of what was wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class TrackerRow:
    """One row that reads well: its number in the sheet, its typed fields and step dates, without the blank ones.

    `headings` are those of its table: for field names and step numbers ("9.0"), what the sheet calls them.
    """

    row: int
    fields: Mapping[str, object]
    steps: Mapping[Decimal, date]
    headings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row fails (or, among corrections, what was corrected); `column` is the heading in the sheet."""

    row: int
    column: str
    value: str
    reason: str


@dataclass(slots=True)
class ImportReport:
    """What an import did, and what it left out.

    `corrections` are completed steps whose date the sheet changed, and newer values that it set back. `sheet` is the
    one that was read, `other_sheets` are those that would have done as well, `notes` sentences for the person.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    faults: list[Fault] = field(default_factory=list)
    corrections: list[Fault] = field(default_factory=list)
    sheet: str = ""
    other_sheets: list[str] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)
    skipped_rows: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

"""The way of a tracker through the house, the same for every door: cells, typed rows, the desk, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import Division, User
from clearance import sheets
from clearance.errors import InvalidFields
from shipments import services as shipments
from shipments.imports.headings import template
from shipments.imports.tracker import records, tracker
from shipments.rows import ImportReport
from workflow.selectors import step_columns


@dataclass(frozen=True, slots=True)
class ImportedWorkbook:
    """What became of a workbook; `ignored` are its columns that mean nothing to us."""

    report: ImportReport
    ignored: Sequence[str]
    sheet: sheets.Sheet
    heading_row: int

    def error_workbook(self) -> bytes:
        """The same sheet with only the failed rows, cells red and a reason column: correct it and import it again."""
        return sheets.failed_rows(self.sheet, heading_rows=[self.heading_row], faults=self.report.faults)


def import_workbook(
    content: bytes | Path, *, name: str, by: User | None, at: datetime, sheet: str | None = None, dry_run: bool = False
) -> ImportedWorkbook:
    """Import a tracker file (.xlsx, .xls, .xlsb, .ods); `name` tells its kind. Importing it twice changes nothing.

    :raises Invalid: the file or its headings can't be read; nothing is written.
    :raises Forbidden: `by` may not import.
    """
    read = sheets.read(content, name=name, sheet=sheet, max_bytes=settings.UPLOAD_LIMIT_BYTES)
    found = tracker(read.rows, steps=step_columns())
    report = shipments.import_rows(
        rows=found.rows, faults=found.faults, headings=found.columns, by=by, at=at, dry_run=dry_run
    )
    return ImportedWorkbook(report, found.ignored, read, found.heading_row)


def import_records(given: Sequence[Mapping[str, object]], *, by: User, at: datetime) -> ImportReport:
    """Import rows that a program sends: keys are field names, step numbers or headings of the template.

    :raises InvalidFields: a key means nothing to us. :raises Forbidden: `by` may not import.
    """
    found = records(given, steps=step_columns())
    if found.ignored:
        raise InvalidFields({f"rows.{key}": [_("There is no such field or step.")] for key in found.ignored})
    return shipments.import_rows(rows=found.rows, faults=found.faults, headings=found.columns, by=by, at=at)


def blank_workbook() -> bytes:
    """Write the workbook to fill in: headings, drop-down lists, and a sheet of notes."""
    facts = template(steps=step_columns(), divisions=list(Division.objects.values_list("name", flat=True)))
    widths = {column: max(12.0, len(heading) * 0.9) for column, heading in enumerate(facts.headings, 1)}
    return sheets.write(
        sheets.Page(_("Tracker"), [facts.headings], widths=widths, choices=facts.choices, dates=facts.dates),
        sheets.Page(_("Notes"), facts.notes, widths={1: 34, 2: 60, 3: 60, 4: 26}),
    )

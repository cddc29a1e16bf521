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
from clearance.clock import day_of
from clearance.errors import InvalidFields
from clearance.sheets.refusals import NoSheetWanted
from shipments import services as shipments
from shipments.errors import TooManyKeys, TooManyRows
from shipments.imports.heading_rows import SEARCHED_ROWS, resembles_a_tracker
from shipments.imports.headings import HeadingsNotFound, Steps
from shipments.imports.notes import notes_on
from shipments.imports.table import Tracker
from shipments.imports.template import template
from shipments.imports.tracker import records, tracker
from shipments.rows import ImportReport
from workflow.selectors import step_columns


@dataclass(frozen=True, slots=True)
class ImportedWorkbook:
    """What became of a workbook."""

    report: ImportReport
    sheet: sheets.Sheet
    found: Tracker

    def error_workbook(self) -> bytes:
        """The same sheet with only the failed rows, the reasons first and in red: correct it and import it again."""
        return sheets.failed_rows(
            self.sheet,
            heading_rows=self.found.heading_rows,
            positions=self.found.positions,
            faults=self.report.faults,
        )


def import_workbook(
    content: bytes | Path,
    *,
    name: str,
    by: User | None,
    at: datetime,
    sheet: str | None = None,
    dry_run: bool = False,
    set_back: bool = False,
) -> ImportedWorkbook:
    """Import a tracker file, whose `name` tells its kind. Importing it twice changes nothing.

    :raises Invalid: the file or its headings can't be read; nothing is written.
    :raises Forbidden: `by` may not import.
    """
    steps = step_columns()
    known = Steps(steps)
    try:
        read = sheets.read(
            content,
            name=name,
            sheet=sheet,
            wanted=lambda rows: resembles_a_tracker(rows, known),
            max_bytes=settings.UPLOAD_LIMIT_BYTES,
        )
    except NoSheetWanted as none:
        raise HeadingsNotFound(searched=SEARCHED_ROWS, sheets=none.context["names"]) from none
    found = tracker(read, steps=steps, today=day_of(at))
    report = shipments.import_rows(
        rows=found.rows, faults=found.faults, by=by, at=at, dry_run=dry_run, set_back=set_back
    )
    _tell(report, found)
    report.sheet, report.other_sheets = read.name, list(read.others)
    report.notes = notes_on(found, read)
    return ImportedWorkbook(report, read, found)


def import_records(
    given: Sequence[Mapping[str, object]], *, by: User, at: datetime, set_back: bool = False
) -> ImportReport:
    """Import rows that a program sends: keys are field names, step numbers or headings of the template.

    :raises TooManyRows: :raises TooManyKeys: there are more than a sheet may have.
    :raises InvalidFields: a key means nothing to us. :raises Forbidden: `by` may not import.
    """
    if len(given) > sheets.MAX_ROWS:
        raise TooManyRows(limit=sheets.MAX_ROWS)
    keys: set[str] = set()
    for row in given:
        keys |= row.keys()
        if len(keys) > sheets.MAX_COLUMNS:
            raise TooManyKeys(limit=sheets.MAX_COLUMNS)
    found = records(given, steps=step_columns(), today=day_of(at))
    if found.ignored:
        raise InvalidFields({f"rows.{key}": [_("There is no such field or step.")] for key in found.ignored})
    report = shipments.import_rows(rows=found.rows, faults=found.faults, by=by, at=at, set_back=set_back)
    _tell(report, found)
    report.notes = notes_on(found)
    return report


def _tell(report: ImportReport, found: Tracker) -> None:
    report.ignored_columns, report.skipped_rows = found.ignored, found.skipped


def blank_workbook() -> bytes:
    """Write the workbook to fill in: headings, drop-down lists, and a sheet of notes."""
    facts = template(
        steps=step_columns(),
        divisions=list(Division.objects.values_list("name", flat=True)),
        guide=f"{settings.BASE_URL}/{settings.ADMIN_PATH}shipments/shipment/guide/",
    )
    widths = {column: max(12.0, len(heading) * 0.9) for column, heading in enumerate(facts.headings, 1)}
    return sheets.write(
        sheets.Page(_("Tracker"), [facts.headings], widths=widths, choices=facts.choices, dates=facts.dates),
        sheets.Page(_("Notes"), facts.notes, widths={1: 34, 2: 60, 3: 60, 4: 26}),
    )

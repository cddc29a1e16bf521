"""A tracker as a whole: the tables of a sheet, or the rows of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from django.utils.translation import gettext as _

from clearance.sheets.cells import Sheet
from shipments.imports import headings
from shipments.imports.cells import Cell
from shipments.imports.heading_rows import Headings, find_headings
from shipments.imports.headings import ShipmentNumberMissing, Steps
from shipments.imports.table import Table, Tracker
from shipments.rows import Fault

MOST_NAMED = 5  # rows of one number, in the sentence about each of them


def tracker(sheet: Sheet, *, steps: Sequence[tuple[str | Decimal, str]], today: date) -> Tracker:
    """Read the rows of a sheet, of which the first is row 1. `today` tells what a year of two digits may mean.

    :raises HeadingsNotFound: no row names the shipment number and two more columns.
    :raises HeadingsUnclear: two rows of headings don't make sense together.
    :raises ColumnGivenTwice: two columns mean the same. :raises TooManyFaults: this is no tracker.
    """
    known = Steps(steps)
    found, rows_of = Tracker(), dict[str, list[int]]()
    table: Headings | None = find_headings(sheet, known)
    while table:
        table = Table(sheet, table, known, found, rows_of, today=today).read()
    _refuse_repeated(found, rows_of)
    for told in (found.ignored, found.hidden_columns, found.swapped):
        told[:] = dict.fromkeys(told)
    return found


def records(
    given: Sequence[Mapping[str, object]], *, steps: Sequence[tuple[str | Decimal, str]], today: date
) -> Tracker:
    """Read the rows of the API, of which the first is row 1: the same parser, with keys for headings.

    A key is a field name, a step number or any heading of a sheet; unknown ones are in `ignored`.

    :raises ShipmentNumberMissing: no row has the key.
    :raises ColumnGivenTwice: two keys mean the same. :raises TooManyFaults: this is no tracker.
    """
    rows = cells_from_records(given)
    known = Steps(steps)
    columns = headings.columns_of(rows[0], known)
    headings.require_each_once(columns, known)
    if not columns.names_shipments:
        raise ShipmentNumberMissing
    found, rows_of = Tracker(), dict[str, list[int]]()
    Table(Sheet("", rows), Headings(0, 0, columns), known, found, rows_of, today=today, first_number=0).read()
    _refuse_repeated(found, rows_of)
    return found


def cells_from_records(given: Sequence[Mapping[str, object]]) -> list[Sequence[Cell]]:
    """Records as rows below a row of their keys, in the order in which the keys first appear."""
    keys = list(dict.fromkeys(key for record in given for key in record))
    return [keys, *([record.get(key, "") for key in keys] for record in given)]  # type: ignore[list-item]


def _refuse_repeated(found: Tracker, rows_of: Mapping[str, Sequence[int]]) -> None:
    """Fail all rows of a shipment number that occurs more than once: which one is right isn't ours to say."""
    repeated = {row: rows for rows in rows_of.values() if len(rows) > 1 for row in rows}
    if not repeated:
        return
    numbers = {row.row: row for row in found.rows}
    for row, rows in repeated.items():
        others = [str(other) for other in rows[: MOST_NAMED + 1] if other != row][:MOST_NAMED]
        if more := len(rows) - 1 - len(others):
            sentence = _("The shipment number is also in rows {rows} and {more} more. Keep one of the rows.")
        else:
            sentence = _("The shipment number is also in row {rows}. Keep one of the rows.")
        reason = sentence.format(rows=", ".join(others), more=more)
        read = numbers.get(row)
        column = (read.headings if read else found.columns).get("shipment_number", "shipment_number")
        number = read.fields["shipment_number"] if read else ""
        found.faults.append(Fault(row, column, str(number), reason))
    found.rows[:] = [row for row in found.rows if row.row not in repeated]
    found.faults.sort(key=lambda fault: fault.row)

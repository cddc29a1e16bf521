"""The rows of a tracker, one by one: typed, or failed with every fault of the row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from shipments.errors import TooManyFaults
from shipments.imports import headings
from shipments.imports.cells import Cell, Parser, Unreadable, parse_date, shown
from shipments.imports.headings import Columns, ShipmentNumberMissing, Steps, heading_text, key
from shipments.rows import Fault, TrackerRow

# Shipment numbers that are none: the label of a line of sums.
TOTALS = frozenset(map(key, ["total", "totals", "grand total", "sub total", "sum", "الإجمالي", "إجمالي", "المجموع"]))

MOST_NAMED = 5  # rows of one number, in the sentence about each of them
MOST_FAULTS = 50_000
_UNKNOWN = object()
_Column = tuple[int, str | Decimal, Parser, dict[Cell, object]]


@dataclass(frozen=True, slots=True)
class Tracker:
    """What a tracker says. Rows are numbered as in the sheet.

    `columns` maps field names and step numbers ("9.0") to the headings of the sheet; `ignored` are headings that mean
    nothing to us, `skipped` the rows that only repeat the headings or sum up.
    """

    heading_row: int
    columns: dict[str, str]
    rows: list[TrackerRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)

    def fault(self, row: int, name: str, value: object, reason: str) -> Fault:
        """A fault found later, by the desk: `name` is a field or a step number, or empty for the whole row."""
        return Fault(row, self.columns.get(name, name), shown(value), reason)


def tracker(rows: Sequence[Sequence[Cell]], *, steps: Sequence[tuple[str | Decimal, str]]) -> Tracker:
    """Read the rows of a sheet, of which the first is row 1.

    :raises HeadingsNotFound: no row names the shipment number and two more columns.
    :raises ColumnGivenTwice: two columns mean the same. :raises TooManyFaults: this is no tracker.
    """
    known = Steps(steps)
    index, columns = headings.find_headings(rows, known)
    found = _Reading(columns, heading_row=index + 1).of(islice(rows, index + 1, None))
    found.ignored.extend(_unnamed(rows, index, columns))
    return found


def records(given: Sequence[Mapping[str, object]], *, steps: Sequence[tuple[str | Decimal, str]]) -> Tracker:
    """Read the rows of the API, of which the first is row 1: the same parser, with keys for headings.

    A key is a field name, a step number or any heading of a sheet; unknown ones are in `ignored`.

    :raises ShipmentNumberMissing: no row has the key.
    :raises ColumnGivenTwice: two keys mean the same. :raises TooManyFaults: this is no tracker.
    """
    rows = cells_from_records(given)
    known = Steps(steps)
    columns = headings.columns_of(rows[0], known)
    headings.require_each_once(columns, known)
    if all(one.name != "shipment_number" for one in columns.fields.values()):
        raise ShipmentNumberMissing
    return _Reading(columns, heading_row=0).of(islice(rows, 1, None))


def cells_from_records(given: Sequence[Mapping[str, object]]) -> list[Sequence[Cell]]:
    """Records as rows below a row of their keys, in the order in which the keys first appear."""
    keys = list(dict.fromkeys(key for record in given for key in record))
    return [keys, *([record.get(key, "") for key in keys] for record in given)]  # type: ignore[list-item]


def _unnamed(rows: Sequence[Sequence[Cell]], heading_row: int, columns: Columns) -> list[str]:
    """Columns with values but without a heading, which are ignored too."""
    width = max(map(len, rows[heading_row:]))
    named = {index for index, text in enumerate(columns.headings) if text}
    return [
        _("column {number}, which has no heading").format(number=index + 1)
        for index in range(width)
        if index not in named
        and any(index < len(row) and row[index] not in ("", None) for row in islice(rows, heading_row + 1, None))
    ]


class _Reading:
    """One pass over the rows below the headings."""

    def __init__(self, columns: Columns, *, heading_row: int) -> None:
        self.headings = columns.headings
        self.first = heading_row + 1
        self.number_at = next(i for i, one in columns.fields.items() if one.name == "shipment_number")
        # What the parsers have made of texts and dates so far: most cells of a column have been seen before.
        dates: dict[Cell, object] = {"": None}
        self.fields: list[_Column] = [
            (i, one.name, one.parse, dates if one.parse is parse_date else {"": None})
            for i, one in columns.fields.items()
        ]
        self.steps: list[_Column] = [(i, number, parse_date, dates) for i, number in columns.steps.items()]
        self.known = [column[0] for column in (*self.fields, *self.steps)]
        names = {str(column[1]): self.headings[column[0]] for column in (*self.fields, *self.steps)}
        self.tracker = Tracker(heading_row, names, ignored=columns.ignored)

    def of(self, rows: Iterable[Sequence[Cell]]) -> Tracker:
        found = self.tracker
        rows_of: dict[str, list[int]] = {}
        width = len(self.headings)
        for number, cells in enumerate(rows, self.first):
            row = cells if len(cells) >= width else [*cells, *[""] * (width - len(cells))]
            faults: list[Fault] = []
            fields: dict[str, Any] = self._read(row, number, self.fields, faults)
            steps: dict[Decimal, Any] = self._read(row, number, self.steps, faults)
            if not (fields or steps or faults):
                continue
            own = fields.get("shipment_number")
            if self._repeats_the_headings(row, own) or self._only_sums_up(row, own):
                found.skipped.append(number)
                continue
            if own:
                rows_of.setdefault(own.casefold(), []).append(number)
            elif all(fault.column != self.headings[self.number_at] for fault in faults):
                reason = _("The row has no shipment number. Write it, or clear the row.")
                faults.insert(0, found.fault(number, "shipment_number", "", reason))
            if faults:
                found.faults.extend(faults)
                if len(found.faults) > MOST_FAULTS:
                    raise TooManyFaults(most=MOST_FAULTS, row=number)
            else:
                found.rows.append(TrackerRow(number, fields, steps))
        self._refuse_repeated(rows_of)
        return found

    def _read(self, row: Sequence[Cell], number: int, columns: list[_Column], faults: list[Fault]) -> dict[Any, Any]:
        """The values of the cells that aren't blank; this loop sees every cell, hence no calls in the common case."""
        values = {}
        for index, name, parse, seen in columns:
            cell = row[index]
            kind = type(cell)
            value = seen.get(cell, _UNKNOWN) if kind is str or kind is date else _UNKNOWN
            if value is _UNKNOWN:
                try:
                    value = parse(cell)
                except Unreadable as unreadable:
                    heading = self.headings[index]
                    faults.append(Fault(number, heading, shown(cell), unreadable.told(heading, cell)))
                    continue
                if kind is str or kind is date:
                    seen[cell] = value
            if value is not None:
                values[name] = value
        return values

    def _repeats_the_headings(self, row: Sequence[Cell], own: str | None) -> bool:
        """Whether it is the heading row again, as printed lists have it on every page."""
        return own == self.headings[self.number_at] and all(
            heading_text(row[index]) == self.headings[index] for index in self.known
        )

    def _only_sums_up(self, row: Sequence[Cell], own: str | None) -> bool:
        """Whether it is a line of sums: a label such as “Total” and numbers, nothing else."""
        if own and key(own) not in TOTALS:
            return False
        texts = [key(cell) for cell in row if isinstance(cell, str) and cell.strip()]
        others = [cell for cell in row if cell is not None and not isinstance(cell, str)]
        return (
            any(text in TOTALS for text in texts)
            and all(text in TOTALS or text.isdecimal() or not text for text in texts)
            and all(type(cell) in (int, float, Decimal) for cell in others)
        )

    def _refuse_repeated(self, rows_of: dict[str, list[int]]) -> None:
        """Fail all rows of a shipment number that occurs more than once: which one is right isn't ours to say."""
        repeated = {row: rows for rows in rows_of.values() if len(rows) > 1 for row in rows}
        if not repeated:
            return
        numbers = {row.row: row.fields["shipment_number"] for row in self.tracker.rows}
        for row, rows in repeated.items():
            others = [str(other) for other in rows[: MOST_NAMED + 1] if other != row][:MOST_NAMED]
            if more := len(rows) - 1 - len(others):
                sentence = _("The shipment number is also in rows {rows} and {more} more. Keep one of the rows.")
            else:
                sentence = _("The shipment number is also in row {rows}. Keep one of the rows.")
            reason = sentence.format(rows=", ".join(others), more=more)
            self.tracker.faults.append(self.tracker.fault(row, "shipment_number", numbers.get(row, ""), reason))
        self.tracker.rows[:] = [row for row in self.tracker.rows if row.row not in repeated]
        self.tracker.faults.sort(key=lambda fault: fault.row)

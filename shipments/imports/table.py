"""One table of a sheet: its rows from the headings down, to the end or to where another table begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from clearance.errors import Invalid
from clearance.sheets.cells import Sheet
from clearance.text import key as identity
from shipments.errors import TooManyFaults
from shipments.imports import headings
from shipments.imports.cells import Cell, Parser, Unreadable, shown
from shipments.imports.dates import Convention, date_parser, look_half_swapped, month_first_rows, plausible_years
from shipments.imports.fields import CHECKS, CURRENCY
from shipments.imports.heading_rows import FEWEST, Headings, headings_at
from shipments.imports.headings import ShipmentNumberHidden, Steps, heading_text, key
from shipments.imports.looks import Looks
from shipments.rows import Fault, TrackerRow

# Shipment numbers that are none: the label of a line of sums.
TOTALS = frozenset(map(key, ["total", "totals", "grand total", "sub total", "sum", "الإجمالي", "إجمالي", "المجموع"]))

_NUMBER_HEADINGS = frozenset(text for text, one in headings.FIELD_OF.items() if one.name == "shipment_number")
MOST_FAULTS = 50_000
_UNKNOWN = object()
_WITH_DIGITS = re.compile(r"\S*\d\S*")
_Column = tuple[int, str | Decimal, Parser, dict[Cell, object]]


@dataclass(frozen=True, slots=True)
class Tracker:
    """What a tracker says. Rows are numbered as in the sheet.

    `heading_rows` are the rows of headings of its tables, `columns` maps field names and step numbers ("9.0") to the
    headings of the first table, and `positions` the headings to their columns (from 1). `ignored` are headings that
    mean nothing to us; `skipped` the rows that repeat the headings, sum up, are a title, or link to nothing; `zeros`
    those in which a formula's zero was read as a blank; `hidden` and `struck_out` those that fail for it,
    `hidden_columns` what isn't read for it; `swapped` the columns of dates in which a program seems to have swapped
    day and month.
    """

    heading_rows: list[int] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    rows: list[TrackerRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    zeros: list[int] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)
    struck_out: list[int] = field(default_factory=list)
    hidden_columns: list[str] = field(default_factory=list)
    swapped: list[str] = field(default_factory=list)


def only_sums_up(row: Sequence[object], number: object) -> bool:
    """Whether it is a line of sums: a label such as “Total” and numbers, nothing else."""
    if isinstance(number, str) and number.strip() and key(number) not in TOTALS:
        return False
    texts = [key(cell) for cell in row if isinstance(cell, str) and cell.strip()]
    others = [cell for cell in row if cell is not None and not isinstance(cell, str)]
    return (
        any(text in TOTALS for text in texts)
        and all(text in TOTALS or text.isdecimal() or not text for text in texts)
        and all(type(cell) in (int, float, Decimal) for cell in others)
    )


class Table:
    """One pass over the rows below the headings; what it finds is added to the tracker."""

    def __init__(
        self,
        sheet: Sheet,
        found: Headings,
        steps: Steps,
        tracker: Tracker,
        rows_of: dict[str, list[int]],
        *,
        today: date,
        first_number: int = 1,
    ) -> None:
        self.sheet, self.known_steps, self.tracker, self.rows_of = sheet, steps, tracker, rows_of
        self.first, self.shift, self.today = found.bottom + 1, first_number, today
        self.is_empty = True
        self.columns = self._seen(found)
        self.headings = self.columns.headings
        self.number_at = self.columns.of("shipment_number")[0]
        self.looks = Looks(sheet, self.columns, self.first, only_sums_up=only_sums_up)
        self.rows = self.looks.rows
        self.fields, self.steps = self._readers()
        self.currencies = {self.headings[index] for index in self.columns.of(CURRENCY.name)}
        self.known = [column[0] for column in (*self.fields, *self.steps)]
        self.names = {str(column[1]): self.headings[column[0]] for column in (*self.fields, *self.steps)}
        for name in (one.name for one in CHECKS):
            self.names.pop(name, None)

    def _seen(self, found: Headings) -> headings.Columns:
        """Its columns without those that are hidden.

        :raises ShipmentNumberHidden:
        """
        columns, hidden = found.columns, self.sheet.hidden_columns & found.columns.meanings.keys()
        if not hidden:
            return columns
        if hidden & set(columns.of("shipment_number")):
            raise ShipmentNumberHidden(heading=columns.headings[columns.of("shipment_number")[0]])
        self.tracker.hidden_columns.extend(columns.headings[index] for index in sorted(hidden))
        return columns.without(hidden)

    # What the columns are ---------------------------------------------------------------------------------------------
    def _readers(self) -> tuple[list[_Column], list[_Column]]:
        """For each column its parser, and what the parser has made so far of texts and dates: most are seen again."""
        made: dict[Convention, tuple[Parser, dict[Cell, object]]] = {}

        def of_dates(index: int, ahead: int) -> tuple[Parser, dict[Cell, object]]:
            convention = self._convention(index, ahead)
            if convention not in made:
                made[convention] = date_parser(convention), {"": None}
            return made[convention]

        fields: list[_Column] = []
        for index, one in self.columns.fields.items():
            known = of_dates(index, one.years_ahead) if one.parse is None else (one.parse, {"": None})
            fields.append((index, one.name, *known))
        return fields, [(index, number, *of_dates(index, 0)) for index, number in self.columns.steps.items()]

    def _convention(self, index: int, ahead: int) -> Convention:
        """How the dates of a column are to be read, from all that it holds."""
        years, is_1904 = plausible_years(self.today, ahead=ahead), self.sheet.counts_from_1904
        rows = self.rows[self.first :]
        texts = {cell for row in rows if len(row) > index and type(cell := row[index]) is str}
        if not any(texts):
            return Convention(years, counts_from_1904=is_1904)
        dates = {cell for row in rows if len(row) > index and isinstance(cell := row[index], date)}
        if look_half_swapped([*texts, *dates]):
            self.tracker.swapped.append(self.headings[index])
        month_first: tuple[int, ...] = ()
        if month_first_rows(enumerate(texts)):
            column = (
                (number, row[index]) for number, row in enumerate(rows, self.first + self.shift) if len(row) > index
            )
            month_first = month_first_rows(column)
        return Convention(years, month_first, is_1904)

    # The rows --------------------------------------------------------------------------------------------------------
    def read(self) -> Headings | None:
        """Read the rows; return the headings of the next table, if there is one."""
        following, end = None, len(self.rows)
        width = len(self.headings)
        for index, cells in enumerate(islice(self.rows, self.first, None), self.first):
            row = cells if len(cells) >= width else [*cells, *[""] * (width - len(cells))]
            faults: list[Fault] = []
            number = index + self.shift
            fields: dict[str, Any] = self._read(row, number, self.fields, faults)
            steps: dict[Decimal, Any] = self._read(row, number, self.steps, faults)
            if not (fields or steps or faults):
                continue
            own = fields.get("shipment_number")
            if self._repeats_the_headings(row, own) or only_sums_up(row, own):
                self.tracker.skipped.append(number)
                continue
            if faults or not own or not _WITH_DIGITS.fullmatch(own):
                another = self._another(index, own, faults)
                if another:
                    self._skip_title_above(number)
                    following, end = self._lose(index, another) if isinstance(another, str) else (another, index)
                    break
            self._take(number, fields, steps, faults, own)
            self.is_empty = False
        if not (following and self.is_empty):
            self._tell(end)
        return following

    def _read(self, row: Sequence[Cell], number: int, columns: list[_Column], faults: list[Fault]) -> dict[Any, Any]:
        """The values of the cells that aren't blank; this loop sees every cell, hence no calls in the common case."""
        values = {}
        for index, name, parse, seen in columns:
            cell = row[index]
            kind = type(cell)
            value = seen.get(cell, _UNKNOWN) if kind is str or kind is date else _UNKNOWN
            if value is _UNKNOWN:
                try:
                    if isinstance(cell, Unreadable):  # in the place of a cell, for what that looks like
                        raise cell
                    value = parse(cell)
                except Unreadable as unreadable:
                    heading, quoted = self.headings[index], unreadable.of(cell)
                    faults.append(Fault(number, heading, shown(quoted), unreadable.told(heading, quoted)))
                    continue
                if kind is str or kind is date:
                    seen[cell] = value
            if value is not None:
                values[name] = value
        return values

    def _take(
        self, number: int, fields: dict[str, Any], steps: dict[Decimal, Any], faults: list[Fault], own: str | None
    ) -> None:
        """Add a row to what was found, with its faults or its values.

        :raises TooManyFaults: this is no tracker.
        """
        number_heading = self.headings[self.number_at]
        if own:
            self.rows_of.setdefault(identity(own), []).append(number)
        elif all(fault.column != number_heading for fault in faults):
            reason = _("The row has no shipment number. Write it, or clear the row.")
            faults.insert(0, Fault(number, number_heading, "", reason))
        if faults and self.currencies and "invoice_amount_omr" not in fields:
            # Whatever the currency is: there is no amount.
            amount = self.names["invoice_amount_omr"]
            if all(fault.column != amount for fault in faults):
                faults = [fault for fault in faults if fault.column not in self.currencies]
        if faults:
            self.tracker.faults.extend(faults)
            if len(self.tracker.faults) > MOST_FAULTS:
                raise TooManyFaults(most=MOST_FAULTS, row=number)
        else:
            self.tracker.rows.append(TrackerRow(number, fields, steps, self.names))

    def _repeats_the_headings(self, row: Sequence[Cell], own: str | None) -> bool:
        """Whether it is the heading row again, as printed lists have it on every page."""
        heading = self.headings[self.number_at]
        return own == heading and all(heading_text(row[index]) == self.headings[index] for index in self.known)

    # Other tables ----------------------------------------------------------------------------------------------------
    def _another(self, index: int, own: str | None, faults: Sequence[Fault]) -> Headings | str | None:
        """The headings of the table that begins in this row, or a sentence that says why it can't be read."""
        if not self.shift:
            return None
        here, *below = self.sheet.rows[index : index + 2]
        filled = [cell for cell in here if cell is not None and cell != ""]
        is_text = len(filled) > 1 and all(type(cell) is str for cell in filled)
        is_named = _names_shipments(here)
        if is_named or any(map(_names_shipments, below)):
            try:
                found = headings_at(self.sheet, index, self.known_steps)
            except Invalid as unclear:
                return str(unclear)
            if found and len(found.columns) >= FEWEST:
                return found
            if found or (is_named and is_text and not any(map(str.isdigit, own or ""))):
                return _("It needs the heading “Shipment number” and at least two more that are known.")
        has_digits = any(type(cell) is str and any(map(str.isdigit, cell)) for cell in filled)
        if is_text and own and len(faults) > 1 and len(filled) > FEWEST and not has_digits:
            return _("It looks like headings, but none of them is known.")
        return None

    def _lose(self, index: int, why: str) -> tuple[Headings | None, int]:
        """Fail all rows below headings that can't be read, up to the next that can, and tell where those are."""
        reason = _("Row {row} begins another table. {why}").format(row=index + self.shift, why=why)
        self.is_empty = False
        for below in range(index, len(self.rows)):
            cells = self.sheet.rows[below]
            if not any(cell is not None and cell != "" for cell in cells):
                continue
            following = self._another(below, "", ()) if below > index else None
            if isinstance(following, Headings):
                return following, below
            quoted = cells[self.number_at] if self.number_at < len(cells) else ""
            self.tracker.faults.append(Fault(below + self.shift, self.headings[self.number_at], shown(quoted), reason))
        return None, len(self.rows)

    def _skip_title_above(self, number: int) -> None:
        """A lone text right above another table is its title, and was taken for a shipment number."""
        rows = self.tracker.rows
        title = rows[-1] if rows and rows[-1].row in (number - 1, number - 2) else None
        if title and not title.steps and title.fields.keys() == {"shipment_number"}:
            rows.pop()
            self.rows_of[identity(str(title.fields["shipment_number"]))].remove(title.row)
            self.tracker.skipped.append(title.row)

    # What is told ----------------------------------------------------------------------------------------------------
    def _tell(self, end: int) -> None:
        tracker, looks = self.tracker, self.looks
        if not tracker.columns:
            tracker.columns.update(self.names)
        tracker.heading_rows.append(self.first - 1 + self.shift)
        for index in self.known:
            tracker.positions.setdefault(self.headings[index], index + 1)
        tracker.ignored.extend(self.columns.ignored)
        tracker.ignored.extend(self._unnamed(end))
        for found, told in (
            (looks.titles | looks.empty, tracker.skipped),
            (looks.zeros, tracker.zeros),
            (looks.hidden, tracker.hidden),
            (looks.struck_out, tracker.struck_out),
        ):
            told.extend(row + self.shift for row in found if row < end)
            told.sort()

    def _unnamed(self, end: int) -> list[str]:
        """Columns with values but without a heading, which are ignored too."""
        rows = self.sheet.rows[self.first : end]
        named = {index for index, text in enumerate(self.headings) if text}
        return [
            _("column {number}, which has no heading").format(number=index + 1)
            for index in range(max(map(len, rows), default=0))
            if index not in named and any(index < len(row) and row[index] not in ("", None) for row in rows)
        ]


@lru_cache(maxsize=10_000)
def _names_the_shipment(text: str) -> bool:
    return key(text) in _NUMBER_HEADINGS


def _names_shipments(row: Sequence[Cell]) -> bool:
    texts = (cell for cell in row if type(cell) is str and len(cell) <= 40)
    return any(map(_names_the_shipment, texts))

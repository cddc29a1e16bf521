"""The error workbook: the sheet again with only the rows that failed, to be corrected and imported anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import date, datetime
from io import BytesIO
from typing import Any, Protocol

import openpyxl
from django.utils.translation import gettext as _
from openpyxl.comments import Comment
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from clearance.sheets.cells import Cell, Mark, Sheet
from clearance.sheets.writing import as_title, heading_text, mark_red, written

REASONS = frozenset({"reason", "السبب"})  # the heading of the first column, in either language, without case
MAX_NOTES = 5_000  # beyond them the column of reasons must do

_NO_RESULT = "#N/A"  # for a formula that has none: a blank would be taken for nothing to say
_ERRORS = frozenset({"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"})


class RowFault(Protocol):
    """What `failed_rows` needs to know of a fault; `column` is the heading's text, `row` counts from 1."""

    @property
    def row(self) -> int: ...
    @property
    def column(self) -> str: ...
    @property
    def reason(self) -> str: ...


def is_reason(heading: object) -> bool:
    """Whether a heading is that of the reasons, which mean nothing to an import."""
    return heading_text(heading).casefold() in REASONS


def failed_rows(
    sheet: Sheet,
    *,
    heading_rows: Sequence[int],
    faults: Iterable[RowFault],
    positions: Mapping[str, int] | None = None,
) -> bytes:
    """Write the sheet with only the rows that failed, as they were; faulty cells are red and have the reason as a note.

    All reasons of a row stand in the first column; that of an earlier round is replaced. Everything down to the first
    of the `heading_rows` stays, and so do the others, each of which begins a further table. `positions` are the columns
    (from 1) that faults name; they default to the headings of the first table.
    """
    by_row: dict[int, list[RowFault]] = {}
    for fault in faults:
        if heading_rows[0] < fault.row <= len(sheet.rows):
            by_row.setdefault(fault.row, []).append(fault)
    if positions is None:
        headings = enumerate(map(heading_text, sheet.rows[heading_rows[0] - 1]), 1)
        positions = {text: number for number, text in reversed(list(headings)) if text}
    return _Writer(sheet, set(heading_rows), by_row, positions).write(last_kept=heading_rows[0])


@dataclass(slots=True)
class _Writer:
    sheet: Sheet
    heading_rows: set[int]
    faults: Mapping[int, Sequence[RowFault]]
    positions: Mapping[str, int]
    pending: dict[int, int] = field(init=False)  # by row, the last column with a formula that has no result

    def __post_init__(self) -> None:
        self.pending = {}
        for (row, column), mark in self.sheet.marks.items():
            if mark.has_no_result:
                self.pending[row + 1] = max(column + 1, self.pending.get(row + 1, 0))

    def write(self, *, last_kept: int) -> bytes:
        sheet = self.sheet
        kept = sorted({*range(1, last_kept + 1), *self.heading_rows, *self.faults})
        first = 2 if any(row and is_reason(row[0]) for row in self._headings()) else 1  # of the columns that stay
        book = openpyxl.Workbook(write_only=True)
        if sheet.counts_from_1904:
            book.epoch = CALENDAR_MAC_1904
        page = book.create_sheet(as_title(sheet.name))
        page.freeze_panes = f"A{kept.index(last_kept) + 2}"
        page.column_dimensions["A"].width = 60
        for column in range(first, max(map(len, sheet.rows)) + 1):
            letter = get_column_letter(column - first + 2)
            page.column_dimensions[letter].width = min(max(sheet.widths.get(column - 1) or 14.0, 4.0), 120.0)
        values = self._merge(page, kept, first)
        notes = MAX_NOTES
        for number in kept:
            cells = self._row(page, number, first, values)
            notes -= sum(getattr(cell, "comment", None) is not None for cell in cells)
            if notes < 0:
                for cell in cells:
                    if getattr(cell, "comment", None):
                        cell.comment = None
            page.append(cells)
        target = BytesIO()
        book.save(target)
        return target.getvalue()

    def _headings(self) -> list[Sequence[Cell]]:
        return [self.sheet.rows[number - 1] for number in self.heading_rows]

    def _merge(self, page: Any, kept: Sequence[int], first: int) -> dict[tuple[int, int], Cell]:
        """Keep merges as far as their rows stay; values (by row and column) whose first row has gone move down.

        A number that stood for several rows must not become that of one: it goes, if only one of them is left.
        """
        places = {number: place for place, number in enumerate(kept, 1)}
        moved: dict[tuple[int, int], Cell] = {}
        for merge in self.sheet.merges:
            rows = [number for number in range(merge.top + 1, merge.bottom + 2) if number in places]
            left, right = max(merge.left + 1, first), merge.right + 1
            if not rows or right < left:
                continue
            if rows[0] != merge.top + 1 or len(rows) < merge.bottom - merge.top + 1:
                value = self._value(merge.top + 1, merge.left + 1)
                is_sum = isinstance(value, int | float) and not isinstance(value, bool) and len(rows) == 1
                moved[merge.top + 1, merge.left + 1] = ""
                moved[rows[0], left] = "" if is_sum else value
            if len(rows) > 1 or right > left:
                page.merged_cells.add(
                    f"{get_column_letter(left - first + 2)}{places[rows[0]]}:"
                    f"{get_column_letter(right - first + 2)}{places[rows[-1]]}"
                )
        return moved

    def _value(self, row: int, column: int) -> Cell:
        cells = self.sheet.rows[row - 1]
        return cells[column - 1] if column <= len(cells) else ""

    def _row(self, page: Any, number: int, first: int, moved: Mapping[tuple[int, int], Cell]) -> list[Any]:
        faults = self.faults.get(number, ())
        is_heading = number in self.heading_rows
        reasons = dict.fromkeys(fault.reason for fault in faults)
        notes: dict[int, list[str]] = {}
        for fault in faults:
            if place := self.positions.get(fault.column):
                notes.setdefault(place, []).append(fault.reason)
        head = _("Reason") if is_heading else " ".join(reasons)
        if is_heading and not is_reason(head):
            head = "Reason"
        cells = [written(page, head, heading=is_heading, red=bool(faults))]
        moved_to = [column for row, column in moved if row == number]
        width = max([len(self.sheet.rows[number - 1]), self.pending.get(number, 0), *notes, *moved_to])
        for column in range(first, width + 1):
            value = moved.get((number, column), self._value(number, column))
            cell = self._cell(page, number - 1, column - 1, value, is_heading=is_heading)
            if column in notes:
                cell = mark_red(page, cell)
                cell.comment = Comment("\n".join(dict.fromkeys(notes[column])), "Clearance", height=90, width=320)
            cells.append(cell)
        return cells

    def _cell(self, page: Any, row: int, column: int, value: Cell, *, is_heading: bool) -> Any:
        """A cell with the looks that it had."""
        mark = self.sheet.marks.get((row, column)) or _PLAIN
        code = self.sheet.codes.get((row, column))
        if isinstance(value, date) and not code:
            code = self.sheet.date_codes.get(column)
            if code and isinstance(value, datetime) and not any(letter in code.lower() for letter in "hs"):
                code = None
        if mark.has_no_result:
            mark, value = Mark(error=_NO_RESULT), _NO_RESULT
        cell = written(page, value, heading=is_heading, code=code, forced=bool(mark.error or mark.is_struck_out))
        if mark.error in _ERRORS:
            cell.data_type = "e"
        if mark.is_struck_out or mark.is_partly_struck_out:
            cell = mark_red(page, cell, red=False)
            font = copy(cell.font)
            cell.font = Font(bold=font.bold, strike=True)
        return cell


_PLAIN = Mark()

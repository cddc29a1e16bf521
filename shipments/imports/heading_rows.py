"""Where a table begins: its heading row, or the two or three rows that are its headings together.

Headings may be merged over several columns, with a row below that says what each of them is (“9.0 Bayan submitted”
above “Target”, “Actual” and “Remarks”), or stand above blanks that mean the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from django.utils.translation import gettext_lazy as _

from clearance.errors import Invalid
from clearance.sheets.cells import Merge, Sheet
from shipments.imports.cells import Cell
from shipments.imports.fields import Field
from shipments.imports.headings import (
    Columns,
    HeadingsNotFound,
    Steps,
    by_text,
    columns_of,
    columns_of_paths,
    heading_text,
    is_date_form,
    is_hint,
    is_vague,
    meaning,
    require_each_once,
    says_which_date,
)

SEARCHED_ROWS = 50  # the heading row is among the first fifty
LEVELS = 3  # rows of headings
FEWEST = 3  # columns that are known


class HeadingsUnclear(Invalid):
    code = "TRACKER_HEADINGS_UNCLEAR"
    message = _(
        "The headings in rows {first} and {second} of the sheet “{sheet}” can't be understood together: “{heading}” "
        "stands over several columns, and it isn't clear which of them holds its date or value. Name them in row "
        "{second}, for example “Target”, “Actual” and “Remarks”, or write all headings in one row."
    )


@dataclass(frozen=True, slots=True)
class Headings:
    """The heading rows of a table, from `top` to `bottom` (from 0), and what its columns are."""

    top: int
    bottom: int
    columns: Columns


def find_headings(sheet: Sheet, steps: Steps) -> Headings:
    """The headings of the first table of a sheet, among its first fifty rows.

    :raises HeadingsNotFound: no row names the shipment number and two more columns.
    :raises HeadingsUnclear: two rows of headings don't make sense together.
    :raises ColumnGivenTwice: two columns mean the same.
    """
    for index in range(min(SEARCHED_ROWS, len(sheet.rows))):
        found = headings_at(sheet, index, steps)
        if found and len(found.columns) >= FEWEST:
            return found
    raise HeadingsNotFound(searched=SEARCHED_ROWS, sheets=sheet.name)


def resembles_a_tracker(rows: Sequence[Sequence[Cell]], steps: Steps) -> bool:
    """Whether rows that stand together name the shipment number and two more columns, perhaps with something amiss."""
    known = [columns_of(row, steps).names for row in rows[: SEARCHED_ROWS + LEVELS]]
    for index in range(min(SEARCHED_ROWS, len(known))):
        together = known[index : index + LEVELS]
        named = set[str]().union(*together)
        if "shipment_number" in named and len(named) >= FEWEST and max(map(len, together)) > 1:
            return True
    return False


def headings_at(sheet: Sheet, index: int, steps: Steps) -> Headings | None:
    """The headings that begin in this row, none if it isn't a heading row.

    :raises HeadingsUnclear: :raises ColumnGivenTwice:
    """
    row = sheet.rows[index]
    texts = sum(1 for cell in row if isinstance(cell, str) and cell.strip())
    if not texts or 2 * texts < sum(1 for cell in row if cell not in ("", None)):
        return None
    grid = _Grid(sheet, index, steps)
    columns = grid.columns()
    if not columns.names_shipments or len(columns) < 2 or (grid.bottom == index and texts < FEWEST):
        return None
    grid.require_clear(columns)
    require_each_once(columns, steps)
    return Headings(index, grid.bottom, columns)


class _Grid:
    """The rows that may be headings together, with the text that a merge shows in each of its cells."""

    def __init__(self, sheet: Sheet, top: int, steps: Steps) -> None:
        self.sheet, self.steps, self.top = sheet, steps, top
        self.width = max(map(len, sheet.rows[top : top + LEVELS]))
        self.merge_of: dict[tuple[int, int], Merge] = {}
        for one in sheet.merges:
            if one.top <= top + LEVELS and one.bottom >= top:
                for row in range(max(one.top, top), min(one.bottom, top + LEVELS) + 1):
                    for column in range(one.left, min(one.right, self.width - 1) + 1):
                        self.merge_of[row, column] = one
        self.bottom = top
        while self.bottom + 1 < min(top + LEVELS, len(sheet.rows)) and self._goes_on():
            self.bottom += 1

    # Cells -----------------------------------------------------------------------------------------------------------
    def own(self, row: int, column: int) -> Cell:
        cells = self.sheet.rows[row]
        return cells[column] if column < len(cells) else ""

    def text(self, row: int, column: int) -> str:
        """What a person sees there, also in the middle of a merge."""
        merge = self.merge_of.get((row, column))
        return heading_text(self.own(merge.top, merge.left) if merge else self.own(row, column))

    def meant(self, row: int, column: int) -> Field | Decimal | None:
        return by_text(self.text(row, column), self.steps)

    def is_dated(self, row: int, column: int) -> bool:
        found = self.meant(row, column)
        return isinstance(found, Decimal) or (isinstance(found, Field) and found.is_date)

    def wide(self, row: int, column: int) -> Merge | None:
        """The merge over several columns in which this cell lies."""
        merge = self.merge_of.get((row, column))
        return merge if merge and merge.right > merge.left else None

    # The rows --------------------------------------------------------------------------------------------------------
    def _goes_on(self) -> bool:
        """Whether the next row belongs to the headings too: a heading reaches into it, or it explains one."""
        row = self.bottom
        columns = range(self.width)
        if any((one := self.merge_of.get((row, i))) and one.bottom > row and self.meant(row, i) for i in columns):
            return True
        filled = [i for i in columns if heading_text(self.own(row + 1, i))]
        if not filled or any(not isinstance(self.own(row + 1, i), str) for i in filled):
            return False
        numbers = columns_of([self.text(row, i) for i in columns], self.steps).of("shipment_number")
        if any(
            i in filled and meaning([self.text(row, i), self.text(row + 1, i)], self.steps) is None for i in numbers
        ):
            return False
        if all(self._is_hint(row + 1, i) for i in filled) and any(self.meant(row, i) for i in filled):
            return True
        beneath = [i for i in filled if self.wide(row, i)]
        if any(self.meant(row, i) or self.meant(row + 1, i) or self._is_which(row + 1, i) for i in beneath):
            return True
        which = [i for i in filled if self._is_which(row + 1, i)]
        return len(which) > 1 and any(self.is_dated(row, i) or self._from_the_left(row, i) for i in which)

    def _is_hint(self, row: int, column: int) -> bool:
        return is_hint(self.text(row, column)) and not (self.meant(row, column) or self._is_which(row, column))

    def _is_which(self, row: int, column: int) -> bool:
        return says_which_date(self.text(row, column))

    def _from_the_left(self, row: int, column: int) -> str:
        """A heading that stands above the first of several columns, and above blanks for the others."""
        if self.text(row, column) or (row, column) in self.merge_of:
            return ""
        left = next((i for i in range(column - 1, -1, -1) if self.text(row, i)), None)
        if left is None or self.wide(row, left) or not self.is_dated(row, left) or not self.text(row + 1, left):
            return ""
        return self.text(row, left)

    # The columns -----------------------------------------------------------------------------------------------------
    def columns(self) -> Columns:
        return columns_of_paths([self._path(column) for column in range(self.width)], self.steps)

    @cached_property
    def _numbers(self) -> set[int]:
        """The columns in which some row says “Shipment number”, or at least “Ref”."""
        cells = [(row, column) for row in range(self.top, self.bottom + 1) for column in range(self.width)]
        found = [cell for cell in cells if getattr(self.meant(*cell), "name", "") == "shipment_number"]
        plain = [cell for cell in found if not is_vague(self.text(*cell))]
        return {column for _row, column in plain or found}

    def _path(self, column: int) -> list[str]:
        """The headings of a column from the top down, without titles of the whole table."""
        found: list[str] = []
        for row in range(self.top, self.bottom + 1):
            text, merge = self.text(row, column), self.wide(row, column)
            is_leaf = not any(self._differs(row, below, column) for below in range(row + 1, self.bottom + 1))
            if merge and is_leaf:
                text = text if column == merge.left else ""
            elif merge:
                text = "" if self._numbers & set(range(merge.left, merge.right + 1)) else text
            elif not is_leaf and not text:
                known = self.meant(row + 1, column) is not None and not self._is_which(row + 1, column)
                text = "" if known else self._from_the_left(row, column)
            elif not is_leaf and self.meant(row, column) is None and self.meant(row + 1, column) is not None:
                text = ""
            if text and text not in found[-1:] and not (found and is_date_form(text)):
                found.append(text)
        return found or [""]

    def _differs(self, row: int, below: int, column: int) -> bool:
        """Whether a lower row adds a text of its own to the column."""
        same = self.merge_of.get((row, column))
        return bool(self.text(below, column)) and not (same and self.merge_of.get((below, column)) == same)

    def require_clear(self, columns: Columns) -> None:
        """:raises HeadingsUnclear: of a heading over several columns, none is read, or it isn't known which."""
        known = columns.fields.keys() | columns.steps.keys()
        for row in range(self.top, self.bottom + 1):
            for column in range(self.width):
                span = self._span(row, column)
                if len(span) < 2 or self.meant(row, column) is None:
                    continue
                leaves = {i: self._leaf(row, i) for i in span}
                strange = [i for i, text in leaves.items() if text and not says_which_date(text)]
                unnamed = [i for i, text in leaves.items() if not text and i != column and self._has_data(i)]
                if unnamed or (strange and not known & set(span)):
                    raise HeadingsUnclear(
                        first=row + 1,
                        second=max(self.bottom, row + 1) + 1,
                        sheet=self.sheet.name,
                        heading=self.text(row, column),
                    )

    def _span(self, row: int, column: int) -> range:
        """The columns over which a heading stands that begins in this one; no more than itself for a title."""
        if merge := self.wide(row, column):
            is_title = self._numbers & set(range(merge.left, merge.right + 1)) and row < self.bottom
            is_first = (row, column) == (max(merge.top, self.top), merge.left)
            return range(column, min(merge.right, self.width - 1) + 1) if is_first and not is_title else range(0)
        end = column + 1
        while end < self.width and row < self.bottom and self._from_the_left(row, end) and self._leaf(row, end):
            end += 1
        return range(column, end) if self.text(row, column) else range(0)

    def _leaf(self, row: int, column: int) -> str:
        """The lowest text below a row that isn't the same cell."""
        below = (i for i in range(self.bottom, row, -1) if self._differs(row, i, column))
        return next((self.text(i, column) for i in below), "")

    def _has_data(self, column: int) -> bool:
        rows = self.sheet.rows[self.bottom + 1 :]
        return any(column < len(row) and row[column] not in ("", None) for row in rows)

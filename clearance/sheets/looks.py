"""What a file's own records say about the cells of one sheet, and how that and the values become a `Sheet`.

The values come from the reading library, which drops formats, formulas and errors; a `Look` has just those. It is made
for each kind of file by a module of its own, and put to use here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from itertools import pairwise
from typing import Any

from clearance.sheets.cells import Cell, Mark, Merge, Sheet
from clearance.sheets.formats import Format, as_date, as_serial
from clearance.sheets.refusals import WorkbookTooDemanding

MAX_MARKED = 1_000_000
MAX_HIDDEN_BY_MERGES = 5_000_000
EVERYTHING = frozenset({"formats", "formulas", "hidden", "errors", "merges"})

Place = tuple[int, int]  # row and column, from 0
Runs = frozenset[bool | None]  # which kinds of runs a text has: struck out, not, or as its cell is


@dataclass(frozen=True, slots=True)
class Style:
    """What matters of a cell's style."""

    format: Format
    is_struck_out: bool
    is_dull: bool  # it says nothing about any value

    @classmethod
    def of(cls, form: Format, *, is_struck_out: bool = False) -> Style:
        return cls(form, is_struck_out, not is_struck_out and form.is_dull)


@dataclass(slots=True)
class Look:
    """One sheet, as its file describes it besides the values."""

    styles: dict[Place, Style] = field(default_factory=dict)  # of cells whose style isn't dull
    formulas: dict[Place, bool] = field(default_factory=dict)  # whether there is a stored result
    errors: dict[Place, str] = field(default_factory=dict)
    currencies: dict[Place, str] = field(default_factory=dict)  # that a cell names itself
    runs: dict[Place, Runs] = field(default_factory=dict)  # of texts of which parts are struck out, or aren't
    values: dict[Place, Cell] = field(default_factory=dict)  # that the library tells wrongly
    merges: list[Merge] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    date_codes: dict[int, str] = field(default_factory=dict)  # by column: how its first date is written
    widths: dict[int, float] = field(default_factory=dict)
    counts_from_1904: bool = False
    unseen: frozenset[str] = frozenset()

    def dress(self, place: Place, style: Style) -> None:
        """Note a cell's style, as far as it matters."""
        if not style.is_dull:
            self.styles[place] = style
        elif style.format.is_date:
            self.date_codes.setdefault(place[1], style.format.code)


def runs_of(text: str, fonts: Sequence[tuple[int, int]], struck: Sequence[bool]) -> Runs | None:
    """The runs of a text whose fonts change at these letters; None if it says nothing about being struck out."""
    changes = [(at, font < len(struck) and struck[font]) for at, font in fonts]
    parts = pairwise([(0, None), *changes, (len(text), None)])
    runs = frozenset(state for (at, state), (end, _) in parts if text[at:end].strip())
    return runs if runs - {None} else None


def put_together(title: str, rows: list[Sequence[Cell]], look: Look, *, name: str, others: Sequence[str] = ()) -> Sheet:
    """The sheet from its values and its look: marks, errors in their cells, nothing where nothing is seen."""
    if len(look.styles) + len(look.formulas) + len(look.errors) > MAX_MARKED:
        raise WorkbookTooDemanding(name=name)
    cells = _Cells(rows)
    for place, value in (look.values | look.errors).items():
        cells.set(*place, value)
    merges = _within(look.merges, rows, look)
    if sum((one.bottom - one.top + 1) * (one.right - one.left + 1) for one in merges) > MAX_HIDDEN_BY_MERGES:
        raise WorkbookTooDemanding(name=name)
    for merge in merges:
        cells.clear_but_first(merge)
    marks = _marks(cells, look)
    cells.cut()
    rows.extend([()] * (max((row + 1 for row, _ in marks), default=0) - len(rows)))  # of formulas without results
    return Sheet(
        title,
        rows,
        marks,
        merges,
        frozenset(row for row in look.hidden_rows if row < len(rows)),
        frozenset(look.hidden_columns),
        look.counts_from_1904,
        look.unseen,
        others,
        {place: style.format.code for place, style in look.styles.items()},
        look.date_codes,
        look.widths,
    )


def _within(merges: Sequence[Merge], rows: Sequence[Sequence[Cell]], look: Look) -> list[Merge]:
    """The merges as far as they reach into the table: one over whole rows or columns ends with it."""
    last_row = max([len(rows) - 1, *(row for row, _ in look.formulas)])
    last_column = max([*(len(row) - 1 for row in rows), *(column for _, column in look.formulas)], default=0)
    whole = (one for one in merges if one.top <= one.bottom and one.left <= one.right)
    cut = (Merge(one.top, one.left, min(one.bottom, last_row), min(one.right, last_column)) for one in whole)
    return [
        one
        for one in cut
        if one.top <= one.bottom and one.left <= one.right and (one.top, one.left) != (one.bottom, one.right)
    ]


def _marks(cells: _Cells, look: Look) -> dict[Place, Mark]:
    marks: dict[Place, Mark] = {}
    for place in set().union(look.styles, look.formulas, look.errors, look.currencies, look.runs):
        error = look.errors.get(place, "")
        style = look.styles.get(place)
        if place in cells.cleared or (place not in look.formulas and not error and cells.get(*place) == ""):
            continue
        own = bool(style and style.is_struck_out)
        struck = {own if one is None else one for one in look.runs.get(place, _AS_ITS_CELL)}
        shown = None
        if style and not error:
            cells.set(*place, _of_its_kind(cells.get(*place), style.format, counts_from_1904=look.counts_from_1904))
            shown = style.format.shown(cells.get(*place))
        if shown is None and place in look.styles and struck == _SEEN and place not in look.formulas and not error:
            if place not in look.currencies:
                continue  # the common case: a number as it is
        elif shown and shown.is_hidden:
            cells.set(*place, "")
            continue
        mark = Mark(
            text=shown.text if shown else "",
            currency=look.currencies.get(place) or (shown.currency if shown else ""),
            is_percent=bool(shown and shown.is_percent),
            is_rounded=bool(shown and shown.is_rounded),
            is_formula=place in look.formulas,
            has_no_result=not look.formulas.get(place, True) and not error,
            error=error,
            is_struck_out=struck == {True},
            is_partly_struck_out=len(struck) > 1,
        )
        if mark != _NOTHING:
            marks[place] = mark
    return marks


_NOTHING, _AS_ITS_CELL, _SEEN = Mark(), frozenset([None]), {False}


def _of_its_kind(value: Any, form: Format, *, counts_from_1904: bool) -> Any:
    """A number whose format is a date's is a date, and a date whose format is a number's is a number."""
    if form.is_unknown or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and form.is_date:
        moment = as_date(value, counts_from_1904=counts_from_1904)
        if moment is None:
            return value
        return moment.date() if moment.time() == time() and form.is_whole_day else moment
    if isinstance(value, date | time | timedelta) and form.is_number:
        return as_serial(value, counts_from_1904=counts_from_1904)
    return value


class _Cells:
    """The rows while they are put together; a row is copied before it is changed."""

    def __init__(self, rows: list[Sequence[Cell]]) -> None:
        self.rows = rows
        self.cleared: set[Place] = set()

    def get(self, row: int, column: int) -> Cell:
        if row >= len(self.rows) or column >= len(self.rows[row]):
            return ""
        return self.rows[row][column]

    def set(self, row: int, column: int, value: Cell) -> None:
        if self.get(row, column) is value or (value == "" and self.get(row, column) == ""):
            return
        self.rows.extend([()] * (row + 1 - len(self.rows)))
        cells = self.rows[row]
        if not isinstance(cells, list):
            cells = self.rows[row] = list(cells)
        cells.extend([""] * (column + 1 - len(cells)))
        cells[column] = value

    def clear_but_first(self, merge: Merge) -> None:
        for row in range(merge.top, min(merge.bottom + 1, len(self.rows))):
            for column in range(merge.left, min(merge.right + 1, len(self.rows[row]))):
                if (row, column) != (merge.top, merge.left) and self.rows[row][column] != "":
                    self.set(row, column, "")
                    self.cleared.add((row, column))

    def cut(self) -> None:
        """Take away the blanks at the ends that have come about."""
        for number, row in enumerate(self.rows):
            if isinstance(row, list) and row and row[-1] == "":
                while row and row[-1] == "":
                    row.pop()
                self.rows[number] = row or ()
        while self.rows and not self.rows[-1]:
            self.rows.pop()

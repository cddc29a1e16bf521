"""A sheet as plain cells, and what they show beyond their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal

Cell = str | float | int | bool | date | datetime | time | timedelta | Decimal | None


@dataclass(frozen=True, slots=True)
class Mark:
    """What a cell shows, or is, beyond its value; only cells with something to tell have one.

    `text` is the cell as a person sees it where its number format adds a meaning to the value (“00123”,
    “USD 1,000.00”, “12%”, “Jun-26” for a day), or hides a part of it (“1,001” for 1000.5: `is_rounded`); else empty.
    It is “…” where the format can't be read. `currency` is the code or sign in that format. `error` is a formula's
    error as the sheet shows it (“#DIV/0!”), which is the cell's value, too.
    """

    text: str = ""
    currency: str = ""
    is_percent: bool = False
    is_rounded: bool = False
    is_formula: bool = False
    has_no_result: bool = False  # a formula that no program has calculated yet: its cell reads as blank
    error: str = ""
    is_struck_out: bool = False
    is_partly_struck_out: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """Cells merged into one, inclusive, counted from 0 as in `Sheet.rows`; the first one's value is what all show."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet as plain cells: `rows[0]` is row 1 of the sheet, a row's first cell is column A.

    Trailing blanks are cut, so rows differ in length; a blank row is empty. A blank cell is `""`, and so is what lies
    hidden under a merge. `marks`, `merges` and what is hidden count rows and columns from 0.
    """

    name: str
    rows: list[Sequence[Cell]]
    marks: Mapping[tuple[int, int], Mark] = field(default_factory=dict)
    merges: Sequence[Merge] = ()
    hidden_rows: frozenset[int] = frozenset()  # also those that a filter hides
    hidden_columns: frozenset[int] = frozenset()
    counts_from_1904: bool = False  # its serial numbers do; cells that are dates already are right
    unseen: frozenset[str] = (
        frozenset()
    )  # what its format can't tell: "formats", "formulas", "hidden", "errors", "merges"
    others: Sequence[str] = ()  # visible sheets that would have done as well and were not read
    codes: Mapping[tuple[int, int], str] = field(default_factory=dict)  # number formats that say more than the value
    date_codes: Mapping[int, str] = field(default_factory=dict)  # by column, where a date is written in full
    widths: Mapping[int, float] = field(default_factory=dict)  # of columns, in letters

"""Dates of a column: the form of each, and what the column as a whole says about the order of day and month.

Numbers with slashes are day first, unless a text of the same column can only be month first: then nothing in it that
can be read both ways is a date. A year of two digits is taken only where it is plausible for the column, and with
hyphens or blanks only where the digits can't be a year, a month and a day. A date with a UTC offset is a fault, as it
may be another day in Muscat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.utils.translation import gettext_lazy as _

from clearance.numerals import DIGITS as ASCII_DIGITS
from clearance.text import tidied
from shipments.choices import EARLIEST_DATE as EARLIEST
from shipments.choices import LATEST_DATE as LATEST
from shipments.imports.cells import Cell, Parser, Unreadable, readable

YEARS_BACK = 5  # a shipment is closed by then
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january يناير",
            "feb february فبراير",
            "mar march مارس",
            "apr april أبريل ابريل إبريل",
            "may مايو",
            "jun june يونيو",
            "jul july يوليو",
            "aug august أغسطس اغسطس",
            "sep sept september سبتمبر",
            "oct october أكتوبر اكتوبر",
            "nov november نوفمبر",
            "dec december ديسمبر",
        ),
        1,
    )
    for name in names.split()
}

_SERIALS_FROM = {False: date(1899, 12, 30), True: date(1904, 1, 1)}  # Excel's 1900 system (from March on), and 1904
_EMPTY_UNTIL = date(1904, 1, 1)  # what a link to an empty cell shows as a date, in either system
_CLOCK = r"(?:[t ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[ap]m)?)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_CLOCK}", re.ASCII)
_DAY_FIRST = re.compile(rf"(\d{{1,2}}) ?([-/. ]) ?(\d{{1,2}}) ?\2 ?(\d{{4}}|\d{{2}}){_CLOCK}", re.ASCII)
_DAY_MONTH = re.compile(rf"(\d{{1,2}})(?:st|nd|rd|th)?[-/., ]*([^\W\d_]+)[-/., ]*(\d{{4}}|\d{{2}}){_CLOCK}")
_MONTH_DAY = re.compile(rf"([^\W\d_]+)[. ]*(\d{{1,2}})(?:st|nd|rd|th)?[, ]+(\d{{4}}){_CLOCK}")
_SERIAL = re.compile(r"\d{5}", re.ASCII)

_NO_DATE = _("{column} “{value}” is not a date. Write it as day/month/year, for example 03/12/2026.")
_OUT_OF_TIME = _("{column} “{value}” is not a date between 2000 and 2100. Check the year.")
_SHORT_YEAR = _("{column} “{value}” may be more than one date. Write the year with four digits: 03/12/2026.")
_FROM_NOTHING = _(
    "{column} holds a time, not a date (a link to an empty cell looks so). Type the date or clear the cell."
)
_EITHER_WAY = _(
    "{column} “{value}” can be read in two ways, as rows {first} and {second} of this column have the month first. "
    "Write day/month/year in the whole column, for example 03/12/2026."
)
_EITHER_WAY_BY_ONE = _(
    "{column} “{value}” can be read in two ways, as row {first} of this column has the month first. "
    "Write day/month/year in the whole column, for example 03/12/2026."
)


@dataclass(frozen=True, slots=True)
class Convention:
    """What is known of all the dates of a column.

    `years` are those that two digits may mean; `month_first` are examples of rows whose text can only be month first.
    """

    years: range
    month_first: tuple[int, ...] = ()
    counts_from_1904: bool = False


def plausible_years(today: date, *, ahead: int = 0) -> range:
    """The years that two digits may mean, in a column of dates that lie at most `ahead` years before us."""
    return range(today.year - YEARS_BACK, today.year + ahead + 1)


def date_parser(convention: Convention) -> Parser:
    """A date from a date, a serial, ISO or day-first text; never month first in numbers."""

    def parse(cell: Cell) -> date | None:
        found = None
        if isinstance(cell, str):
            text = readable(cell)
            if text is None:
                return None
            found = _date_of_text(text.translate(ASCII_DIGITS).lower(), convention)
        elif cell is None:
            return None
        elif isinstance(cell, datetime):
            found = cell.date()
        elif isinstance(cell, date):
            found = cell
        elif isinstance(cell, time | timedelta):
            raise Unreadable(_FROM_NOTHING)
        elif isinstance(cell, int | float):  # True and False are no plausible serials
            found = _date_of_serial(cell, counts_from_1904=convention.counts_from_1904)
        if found is None:
            raise Unreadable(_NO_DATE)
        if not EARLIEST <= found <= LATEST:
            is_nothing = found <= _EMPTY_UNTIL and not isinstance(cell, str)
            raise Unreadable(_FROM_NOTHING if is_nothing else _OUT_OF_TIME)
        return found

    return parse


def _date_of_serial(serial: float, *, counts_from_1904: bool = False) -> date | None:
    """The day of a serial number, only where it can't be anything else: 2000 to 2100."""
    if not 30_000 <= serial < 80_000:
        return None
    found = _SERIALS_FROM[counts_from_1904] + timedelta(days=int(serial))
    return found if EARLIEST <= found <= LATEST else None


def _date_of_text(text: str, convention: Convention) -> date | None:
    """:raises Unreadable: it may be more than one date."""
    if match := _DAY_FIRST.fullmatch(text):
        day, month, year = match[1], int(match[3]), match[4]
        if convention.month_first and day != match[3] and int(day) <= 12 and month <= 12:
            raise _either_way(convention.month_first)
        if len(year) == 2 and match[2] in "- " and _may_be_year_first(match, convention.years):
            raise Unreadable(_SHORT_YEAR)
    elif match := _YEAR_FIRST.fullmatch(text):
        day, month, year = match[4], int(match[3]), match[1]
    elif match := _DAY_MONTH.fullmatch(text):
        day, month, year = match[1], MONTHS.get(match[2], 0), match[3]
    elif match := _MONTH_DAY.fullmatch(text):
        day, month, year = match[2], MONTHS.get(match[1], 0), match[3]
    elif _SERIAL.fullmatch(text) and not convention.counts_from_1904:
        return _date_of_serial(int(text))
    else:
        return None
    found = _date(int(year) + (2000 if len(year) == 2 else 0), month, int(day))
    if found and len(year) == 2 and found.year not in convention.years:
        raise Unreadable(_SHORT_YEAR)
    return found


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _may_be_year_first(match: re.Match[str], years: range) -> bool:
    """Whether 26-12-15 may as well be 15 December 2026."""
    other = _date(2000 + int(match[1]), int(match[3]), int(match[4]))
    return match[1] != match[4] and len(match[1]) == 2 and other is not None and other.year in years


def _either_way(rows: tuple[int, ...]) -> Unreadable:
    first, *more = rows
    return Unreadable(_EITHER_WAY, first=first, second=more[0]) if more else Unreadable(_EITHER_WAY_BY_ONE, first=first)


# The column as a whole ----------------------------------------------------------------------------------------------


def month_first_rows(column: Iterable[tuple[int, Cell]]) -> tuple[int, ...]:
    """The first two rows, of (row, cell), whose text can only be month first."""
    found = []
    for row, cell in column:
        if type(cell) is str and (parts := _numbers_of(cell)) and 1 <= parts[0] <= 12 < parts[1] <= 31:
            found.append(row)
            if len(found) == 2:
                break
    return tuple(found)


def look_half_swapped(cells: Iterable[Cell]) -> bool:
    """Whether a program seems to have swapped day and month wherever it could.

    Read with the wrong order, 05/06/2026 becomes a real date of another month, and 25/06/2026 stays text.
    """
    days: list[int] = []
    swapped = False
    for cell in cells:
        if type(cell) is str:
            if parts := _numbers_of(cell):
                if max(parts) <= 12:
                    return False
                swapped = True
        elif isinstance(cell, date):
            if cell.day > 12:
                return False
            days.append(cell.day)
    return swapped and bool(days)


def _numbers_of(text: str) -> Sequence[int] | None:
    """The first two numbers of a date in numbers whose year comes last."""
    if not 6 <= len(text) <= 40:
        return None
    match = _DAY_FIRST.fullmatch(tidied(text).translate(ASCII_DIGITS).lower())
    return (int(match[1]), int(match[3])) if match else None

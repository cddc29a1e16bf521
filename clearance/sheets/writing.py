"""Writing workbooks by openpyxl: templates, exports, the rows that failed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import IO, Any, Protocol

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from clearance.sheets.cells import Cell, Sheet

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"  # of what is written here


@dataclass(frozen=True, slots=True)
class Page:
    """One sheet to write. Rows and columns count from 1, as the user sees them.

    `heading_row` is written bold and frozen (0: there is none); `choices` are drop-down lists and `dates` date formats
    for the rows below it; `red` are the cells to mark.
    """

    title: str
    rows: Iterable[Sequence[Cell]]
    heading_row: int = 1
    widths: Mapping[int, float] = field(default_factory=dict)
    choices: Mapping[int, Sequence[str]] = field(default_factory=dict)
    dates: Collection[int] = ()
    red: Collection[tuple[int, int]] = ()


class RowFault(Protocol):
    """What `failed_rows` needs to know of a fault; `column` is the heading's text."""

    @property
    def row(self) -> int: ...
    @property
    def column(self) -> str: ...
    @property
    def reason(self) -> str: ...


REASON = "Reason"
_DATE_FORMAT = "dd/mm/yyyy"
_FORMATS = {date: _DATE_FORMAT, datetime: "dd/mm/yyyy hh:mm", time: "hh:mm", Decimal: "#,##0.000"}
_HEADING = Font(bold=True)
_HEADING_LAYOUT = Alignment(wrap_text=True, vertical="top")
_RED = PatternFill("solid", fgColor="FFC7CE")
_LISTS = "Lists"
_NOT_IN_TITLES = re.compile(r"[\\*?:/\[\]]")  # Excel refuses these and more than 31 characters; LibreOffice doesn't


def write(*pages: Page) -> bytes:
    """Write an .xlsx workbook with these sheets. Text stays text: `=1+1` is written as it is and never calculated."""
    target = BytesIO()
    write_to(target, *pages)
    return target.getvalue()


def write_to(target: IO[bytes], *pages: Page) -> None:
    """`write`, into a file: rows go to the disk as they come, however many there are."""
    book = openpyxl.Workbook(write_only=True)
    lists: list[Sequence[str]] = []
    for page in pages:
        sheet = book.create_sheet(_NOT_IN_TITLES.sub("-", page.title)[:31])
        sheet.freeze_panes = f"A{page.heading_row + 1}" if page.heading_row else None
        for column, width in page.widths.items():
            sheet.column_dimensions[get_column_letter(column)].width = width
        for column in page.dates:
            sheet.column_dimensions[get_column_letter(column)].number_format = _DATE_FORMAT
        for column, options in page.choices.items():
            lists.append(options)
            source = get_column_letter(len(lists))
            rule = DataValidation("list", formula1=f"{_LISTS}!${source}$1:${source}${len(options)}", allow_blank=True)
            letter = get_column_letter(column)
            rule.add(f"{letter}{page.heading_row + 1}:{letter}{page.heading_row + 5_000}")
            sheet.data_validations.append(rule)
        for number, row in enumerate(page.rows, 1):
            sheet.append(
                [
                    _written(sheet, cell, heading=number == page.heading_row, red=(number, column) in page.red)
                    for column, cell in enumerate(row, 1)
                ]
            )
    if lists:
        # Commas and the 255 characters of an inline list would break our names: the choices get a hidden sheet.
        sheet = book.create_sheet(_LISTS)
        sheet.sheet_state = "hidden"
        for number in range(max(map(len, lists))):
            sheet.append([_written(sheet, one[number]) if number < len(one) else None for one in lists])
    book.save(target)


def _written(sheet: Any, value: Any, *, heading: bool = False, red: bool = False) -> Any:
    """The value as openpyxl wants it; a cell of its own only where a style or a type must be forced."""
    kind = type(value)
    if kind is float and value - value != 0:  # infinite or not a number
        kind, value = str, str(value)
    if kind is str:
        value = ILLEGAL_CHARACTERS_RE.sub("", value)[:32_767]
        if not value and not red:
            return None
        if not (heading or red or value[0] in "=+-@#"):
            return value
    elif not (heading or red or kind in _FORMATS):
        return value
    cell = WriteOnlyCell(sheet, value)
    if kind is str:
        cell.data_type = "s"
        cell.quotePrefix = value[:1] in ("=", "+", "-", "@")
    elif kind in _FORMATS:
        cell.number_format = _FORMATS[kind]
    if heading:
        cell.font, cell.alignment = _HEADING, _HEADING_LAYOUT
    if red:
        cell.fill = _RED
    return cell


def heading_text(cell: object) -> str:
    """A heading on one line, as faults name it."""
    return " ".join(str("" if cell is None else cell).split())


def failed_rows(sheet: Sheet, *, heading_row: int, faults: Iterable[RowFault]) -> bytes:
    """Write the same sheet with only the rows that failed, their cells red, and a last column with the reasons.

    Everything down to the heading row stays. A column of reasons from an earlier round is replaced.
    """
    width = max(len(row) for row in sheet.rows)
    headings = [heading_text(cell) for cell in sheet.rows[heading_row - 1]]
    headings += [""] * (width - len(headings))
    kept = [index for index, heading in enumerate(headings) if heading != REASON]
    positions = {headings[index]: number for number, index in enumerate(kept, 1)}
    failed: dict[int, list[RowFault]] = {}
    for fault in faults:
        if heading_row < fault.row <= len(sheet.rows):
            failed.setdefault(fault.row, []).append(fault)

    def cells(row: Sequence[Cell]) -> list[Cell]:
        return [row[index] if index < len(row) else "" for index in kept]

    rows = [cells(row) for row in sheet.rows[: heading_row - 1]]
    rows.append([*cells(sheet.rows[heading_row - 1]), REASON])
    red: set[tuple[int, int]] = set()
    for number in sorted(failed):
        reasons = dict.fromkeys(fault.reason for fault in failed[number])
        rows.append([*cells(sheet.rows[number - 1]), " ".join(reasons)])
        red.update((len(rows), positions[fault.column]) for fault in failed[number] if fault.column in positions)
        red.add((len(rows), len(kept) + 1))
    widths = dict.fromkeys(range(1, len(kept) + 1), 14.0) | {len(kept) + 1: 80.0}
    return write(Page(sheet.name, rows, heading_row=heading_row, widths=widths, red=red))

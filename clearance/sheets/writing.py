"""Writing workbooks by openpyxl: templates and exports."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import IO, Any

import openpyxl
from openpyxl.cell import Cell as OpenpyxlCell
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from clearance.sheets.cells import Cell

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
        sheet = book.create_sheet(as_title(page.title))
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
                    written(sheet, cell, heading=number == page.heading_row, red=(number, column) in page.red)
                    for column, cell in enumerate(row, 1)
                ]
            )
    if lists:
        # Commas and the 255 characters of an inline list would break our names: the choices get a hidden sheet.
        sheet = book.create_sheet(_LISTS)
        sheet.sheet_state = "hidden"
        for number in range(max(map(len, lists))):
            sheet.append([written(sheet, one[number]) if number < len(one) else None for one in lists])
    book.save(target)


def as_title(text: str) -> str:
    """A title that every program accepts."""
    return _NOT_IN_TITLES.sub("-", text)[:31] or "Sheet"


def written(
    sheet: Any, value: Any, *, heading: bool = False, red: bool = False, code: str | None = None, forced: bool = False
) -> Any:
    """The value as openpyxl wants it; a cell of its own only where a style or a type must be forced."""
    kind = type(value)
    if kind is float and value - value != 0:  # infinite or not a number
        kind, value = str, str(value)
    is_styled = heading or red or forced or bool(code)
    if kind is str:
        value = ILLEGAL_CHARACTERS_RE.sub("", value)[:32_767]
        if not value and not is_styled:
            return None
        if not (is_styled or value[0] in "=+-@#"):
            return value
    elif not (is_styled or kind in _FORMATS):
        return value
    cell = WriteOnlyCell(sheet, value)
    if kind is str:
        cell.data_type = "s"
        cell.quotePrefix = value[:1] in ("=", "+", "-", "@")
    if code or kind in _FORMATS:
        cell.number_format = code or _FORMATS[kind]
    if heading:
        cell.font, cell.alignment = _HEADING, _HEADING_LAYOUT
    if red:
        cell.fill = _RED
    return cell


def mark_red(sheet: Any, value: Any, *, red: bool = True) -> Any:
    """What `written` has given, as a cell of its own, red."""
    cell = value if isinstance(value, OpenpyxlCell) else written(sheet, value, forced=True)
    if red:
        cell.fill = _RED
    return cell


def heading_text(cell: object) -> str:
    """A heading on one line, as faults name it."""
    return " ".join(str("" if cell is None else cell).split())

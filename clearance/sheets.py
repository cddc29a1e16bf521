"""Workbook file ↔ plain rows: calamine reads, openpyxl writes, limits come first. Knows nothing of what the cells mean.

A reader of untrusted workbooks has three enemies: archives that unpack to gigabytes, grids that are nearly empty but
reach to the last cell (calamine reserves memory for the whole rectangle and aborts the *process* when there is none,
tafia/calamine#693), and strings that thousands of cells share. `read` unpacks every part itself under a limit and
looks for the other two. A workbook that is plainly harmless is read here; one that isn't, or whose format can't be
judged cheaply (.xls, .xlsb, .ods), is read by a child process with little memory, which may die without harm.
"""

from __future__ import annotations

import os
import pickle
import re
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import IO, Any, NoReturn, Protocol
from xml.etree import ElementTree  # expat itself refuses to multiply entities
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import openpyxl
import python_calamine as calamine
from django.utils.translation import gettext_lazy as _
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from clearance.errors import Invalid

Cell = str | float | int | bool | date | datetime | time | timedelta | Decimal | None

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"  # of what is written here
MAX_BYTES = 10 * 1024 * 1024
MAX_ROWS = 50_000
MAX_COLUMNS = 256
MAX_ENTRIES = 2_000
MAX_UNPACKED = 200 * 1024 * 1024
MAX_RATIO = 250  # honest sheets shrink 10 to 60 times
RATIO_MATTERS_FROM = 16 * 1024 * 1024
MAX_LISTED = 1_000_000
MAX_INDEX = 4 * 1024 * 1024
MAX_SHARED_TEXT = 200 * 1024 * 1024
CHILD_MEMORY = 1024**3
CHILD_SECONDS = 60


class WorkbookTooLarge(Invalid):
    code = "WORKBOOK_TOO_LARGE"
    message = _("The file is larger than {limit} MB. Delete pictures and sheets it does not need, or split it.")


class NotAWorkbook(Invalid):
    code = "NOT_A_WORKBOOK"
    message = _(
        "“{name}” is damaged or is not an Excel or LibreOffice workbook. Open it in Excel, save it as .xlsx, try again."
    )


class WorkbookProtected(Invalid):
    code = "WORKBOOK_PROTECTED"
    message = _("“{name}” is protected by a password. Save a copy without the password and use that.")


class WorkbookHasMacros(Invalid):
    code = "WORKBOOK_HAS_MACROS"
    message = _("“{name}” contains macros, which are not accepted. Save it as .xlsx (without macros) and use that.")


class WorkbookUnpacksTooLarge(Invalid):
    code = "WORKBOOK_UNPACKS_TOO_LARGE"
    message = _("“{name}” unpacks to far more than a tracker needs. Copy the table into a new workbook and use that.")


class WorkbookTooDemanding(Invalid):
    code = "WORKBOOK_TOO_DEMANDING"
    message = _(
        "“{name}” takes too much memory or time to read; often a stray value far outside the table is the reason. "
        "Copy the table into a new workbook and use that."
    )


class SheetNotFound(Invalid):
    code = "SHEET_NOT_FOUND"
    message = _("There is no sheet “{sheet}”. The workbook has: {names}.")
    field = "sheet"


class SheetEmpty(Invalid):
    code = "SHEET_EMPTY"
    message = _("The workbook has no visible sheet with anything on it.")


class TooManyRows(Invalid):
    code = "SHEET_TOO_MANY_ROWS"
    message = _("The sheet “{sheet}” has more than {limit} rows. Split it into several files.")


class TooManyColumns(Invalid):
    code = "SHEET_TOO_MANY_COLUMNS"
    message = _("The sheet “{sheet}” has more than {limit} columns. Delete those that the tracker does not need.")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet as plain cells: `rows[0]` is row 1 of the sheet, a row's first cell is column A.

    Trailing blanks are cut, so rows differ in length; a blank row is empty. A blank cell is `""`.
    """

    name: str
    rows: list[Sequence[Cell]]


# Reading -------------------------------------------------------------------------------------------------------------


def read(content: bytes | Path, *, name: str, sheet: str | None = None, max_bytes: int = MAX_BYTES) -> Sheet:
    """Read one sheet of an .xlsx, .xls, .xlsb or .ods workbook: the named one, else the first visible with content.

    Formulas give their cached values, and a formula's error its text (“#REF!”; in .xlsx only, elsewhere it is blank).
    `name` is the file's name, for messages and its ending.

    :raises Invalid: a subclass that says what is wrong: too large, damaged, protected, macros, a bomb, no such sheet.
    """
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size > max_bytes:
        raise WorkbookTooLarge(limit=max_bytes // (1024 * 1024))
    data = content if isinstance(content, bytes) else content.read_bytes()

    findings = _inspect(data, name)
    found = (_extract if findings.harmless else _extract_apart)(data, name, sheet)
    for row, column, text in findings.errors_of(found.name):
        found.rows.extend([()] * (row + 1 - len(found.rows)))
        cells = [*found.rows[row], *[""] * (column + 1 - len(found.rows[row]))]
        cells[column] = text
        found.rows[row] = cells
    return found


_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MACRO_FILES = (".xlsm", ".xltm", ".xlam", ".xla")
_MACRO_PARTS = re.compile(r"(^|/)vbaproject\.bin$|(^|/)macrosheets/|^basic/|^scripts/", re.IGNORECASE)
# The stream's first record, of 20 bytes, then perhaps WRITEPROTECT, then FILEPASS; calamine would call it damaged.
_XLS_PASSWORD = re.compile(rb"\x09\x08\x10\x00\x00\x06\x05\x00.{12}(?:\x86\x00\x00\x00)?\x2f\x00", re.DOTALL)
# A cell whose address is missing, unusual, or beyond column CZ or row 59,999; elements with a namespace prefix.
_FAR_CELL = re.compile(rb'<c(?! r="[A-C]?[A-Z][1-5]?[0-9]{1,4}")[\s/>]')
_PREFIXED = re.compile(rb":(?:c|si)[\s/>]")
_ERROR_CELL = re.compile(
    rb'<c r="([A-Z]{1,2})(\d{1,5})"[^>]{0,99} t="e"[^>]{0,99}>'
    rb"(?:<f[^>]{0,999}>[^<]{0,8192}</f>|<f[^>]{0,999}/>)?<v>([^<]{2,20})"
)
_RELATIONSHIP = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


@dataclass(slots=True)
class _Findings:
    """What a look at the unpacked parts has shown."""

    harmless: bool = False
    errors: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)  # part → row, column (from 0), text
    book: bytes = b""
    relations: bytes = b""

    def errors_of(self, sheet: str) -> list[tuple[int, int, str]]:
        """The formula errors of one sheet, which calamine gives as blanks."""
        if not self.errors:
            return []
        try:
            targets = {node.get("Id"): node.get("Target", "") for node in ElementTree.fromstring(self.relations)}  # noqa: S314
            ids = {
                node.get("name"): node.get(_RELATIONSHIP)
                for node in ElementTree.fromstring(self.book).iter()  # noqa: S314
                if node.tag.endswith("}sheet")
            }
        except ElementTree.ParseError:
            return []
        target = targets.get(ids.get(sheet), "")
        return self.errors.get(target.lstrip("/") if target.startswith("/") else f"xl/{target}", [])


def _inspect(data: bytes, name: str) -> _Findings:
    """Refuse what must not be opened, and tell whether the rest may be opened in this process."""
    if name.lower().endswith(_MACRO_FILES):
        raise WorkbookHasMacros(name=name)
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data or _XLS_PASSWORD.search(data):
            raise WorkbookProtected(name=name)
        if "_VBA_PROJECT".encode("utf-16-le") in data:
            raise WorkbookHasMacros(name=name)
        return _Findings()
    if not data.startswith(b"PK"):
        raise NotAWorkbook(name=name)
    try:
        return _inspect_archive(data, name)
    except (BadZipFile, struct.error, zlib.error, ValueError, NotImplementedError, EOFError) as error:
        raise NotAWorkbook(name=name) from error


def _inspect_archive(data: bytes, name: str) -> _Findings:
    entries = ZipFile(BytesIO(data)).infolist()
    names = {entry.filename.lower() for entry in entries}
    if any(_MACRO_PARTS.search(part) for part in names):
        raise WorkbookHasMacros(name=name)
    if any(entry.flag_bits & 1 for entry in entries):
        raise WorkbookProtected(name=name)
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise WorkbookUnpacksTooLarge(name=name)

    findings = _Findings(harmless="xl/workbook.xml" in names and not names & {"xl/workbook.bin", "content.xml"})
    left, references, longest = MAX_UNPACKED, 0, 0
    for entry in entries:
        part = _unpack(data, entry, name=name, limit=left)
        left -= len(part)
        if entry.filename == "META-INF/manifest.xml" and b"encryption-data" in part:
            raise WorkbookProtected(name=name)
        if not findings.harmless:
            continue
        if entry.filename == "xl/workbook.xml":
            findings.book = part[:MAX_INDEX]
        elif entry.filename == "xl/_rels/workbook.xml.rels":
            findings.relations = part[:MAX_INDEX]
        texts = part.count(b"<si")
        findings.harmless = texts <= MAX_LISTED and not (_FAR_CELL.search(part) or _PREFIXED.search(part))
        if texts and findings.harmless:
            longest = max(longest, *map(len, part.split(b"<si")))
        references += part.count(b't="s"')
        if b't="e"' in part:
            findings.errors[entry.filename] = [
                (int(row) - 1, _column_index(column), text.decode("utf-8", "replace"))
                for column, row, text in (one.groups() for one in islice(_ERROR_CELL.finditer(part), MAX_LISTED))
            ]
    findings.harmless = findings.harmless and longest * references <= MAX_SHARED_TEXT
    return findings


def _unpack(data: bytes, entry: ZipInfo, *, name: str, limit: int) -> bytes:
    """Unpack one part, whatever size the archive's directory claims, and stop at the limit."""
    name_length, extra_length = struct.unpack_from("<HH", data, entry.header_offset + 26)
    start = entry.header_offset + 30 + name_length + extra_length
    packed = memoryview(data)[start : start + entry.compress_size]
    if entry.compress_type == ZIP_STORED:
        part = bytes(packed)
    elif entry.compress_type == ZIP_DEFLATED:
        part = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit + 1)
    else:
        raise NotAWorkbook(name=name)
    if len(part) > limit or (len(part) > RATIO_MATTERS_FROM and len(part) > MAX_RATIO * len(packed)):
        raise WorkbookUnpacksTooLarge(name=name)
    return part


def _column_index(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


def _extract(data: bytes, name: str, sheet: str | None) -> Sheet:
    try:
        with calamine.load_workbook(BytesIO(data)) as book:
            for title in _titles(book, name, sheet):
                rows = _rows(book.get_sheet_by_name(title))
                if rows or sheet is not None:
                    return Sheet(title, rows)
    except calamine.PasswordError as error:
        raise WorkbookProtected(name=name) from error
    except calamine.CalamineError as error:
        raise NotAWorkbook(name=name) from error
    except BaseException as error:
        if type(error).__module__ == "pyo3_runtime":  # a Rust panic is no Exception
            raise NotAWorkbook(name=name) from error
        raise
    raise SheetEmpty


def _titles(book: calamine.CalamineWorkbook, name: str, sheet: str | None) -> list[str]:
    """The sheets to look at, in their order."""
    kinds = calamine.SheetTypeEnum
    if any(one.typ in (kinds.MacroSheet, kinds.Vba) for one in book.sheets_metadata):
        raise WorkbookHasMacros(name=name)
    tables = [one for one in book.sheets_metadata if one.typ == kinds.WorkSheet]
    visible = [one.name for one in tables if one.visible == calamine.SheetVisibleEnum.Visible]
    if sheet is None:
        return visible
    wanted = sheet.strip().casefold()
    found = [one.name for one in tables if one.name.strip().casefold() == wanted]
    if not found:
        raise SheetNotFound(sheet=sheet, names=", ".join(visible))
    return [sheet] if sheet in found else found[:1]


def _rows(sheet: calamine.CalamineSheet) -> list[Sequence[Cell]]:
    """The cells from A1 on; calamine leaves out empty columns at the left, but not empty rows at the top."""
    left: list[Any] = [""] * (sheet.start[1] if sheet.start else 0)
    rows: list[Sequence[Cell]] = []
    filled = 0
    for row in sheet.iter_rows():
        while row and (row[-1] == "" or (type(row[-1]) is str and not row[-1].strip())):
            row.pop()
        if not row:
            rows.append(())
            continue
        filled += 1
        if filled > MAX_ROWS:
            raise TooManyRows(sheet=sheet.name, limit=MAX_ROWS)
        if len(left) + len(row) > MAX_COLUMNS:
            raise TooManyColumns(sheet=sheet.name, limit=MAX_COLUMNS)
        rows.append(left + row if left else row)
    while rows and not rows[-1]:
        rows.pop()
    return rows


_CHILD = (
    "from django.conf import settings; settings.configure(USE_I18N=False); from clearance import sheets; sheets.serve()"
)
_EXHAUSTED = 70


def _extract_apart(data: bytes, name: str, sheet: str | None) -> Sheet:
    """Do `_extract` in a child process that has little memory and none of our secrets."""
    root = str(Path(__file__).parents[1])
    try:
        child = subprocess.run(  # noqa: S603 (our own interpreter, our own code)
            [sys.executable, "-c", _CHILD],
            input=pickle.dumps((data, name, sheet)),
            capture_output=True,
            cwd=root,
            env={"PYTHONPATH": root},
            timeout=CHILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkbookTooDemanding(name=name) from error
    if child.returncode < 0 or child.returncode == _EXHAUSTED:  # killed: aborted for want of memory, out of time
        raise WorkbookTooDemanding(name=name)
    if child.returncode:
        raise RuntimeError(f"The reading process failed: {child.stderr.decode(errors='replace')[-2_000:]}")
    outcome, content = pickle.loads(child.stdout)  # noqa: S301 (written by the child's `serve`)
    if outcome != "Sheet":
        _refuse_as_the_child(outcome, content)
    return Sheet(*content)


def _refuse_as_the_child(refusal: str, context: dict[str, object]) -> NoReturn:
    raise next(kind for kind in Invalid.__subclasses__() if kind.__name__ == refusal)(**context)


def serve() -> None:
    """Be the child of `_extract_apart`: a task on stdin, the sheet or the refusal on stdout."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY, CHILD_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CHILD_SECONDS, CHILD_SECONDS))
    answer: tuple[str, Any]
    try:
        found = _extract(*pickle.load(sys.stdin.buffer))  # noqa: S301 (written by our parent)
        answer = "Sheet", (found.name, found.rows)
    except Invalid as refusal:
        answer = type(refusal).__name__, refusal.context
    except MemoryError:
        os._exit(_EXHAUSTED)
    pickle.dump(answer, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)
    sys.stdout.buffer.flush()
    os._exit(0)  # freeing a million cells one by one is wasted time


# Writing -------------------------------------------------------------------------------------------------------------


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

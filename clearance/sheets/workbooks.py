"""Workbooks of each kind, opened: which sheets there are, the values of one, its look, and the two as a `Sheet`."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import ParseError
from xml.parsers import expat
from xml.sax.saxutils import quoteattr
from zipfile import ZipFile

import python_calamine as calamine

from clearance.errors import Invalid
from clearance.sheets import compound, ods, scanning, worksheet, xls, xlsb
from clearance.sheets.cells import Cell, Sheet
from clearance.sheets.inspection import Archive
from clearance.sheets.looks import Look, put_together
from clearance.sheets.refusals import (
    NoSheetWanted,
    NotAWorkbook,
    SheetEmpty,
    SheetNotFound,
    TooManyColumns,
    TooManyRows,
    WorkbookHasMacros,
    WorkbookNotUnderstood,
    WorkbookProtected,
)
from clearance.sheets.xlsx import Book, Entry

MAX_ROWS = 50_000
MAX_COLUMNS = 256
HEAD = 200  # rows in which must be found what is wanted
MAX_AREA_HERE = 2_000_000  # cells of a sheet that is parsed in this process

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MANIFEST = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"

_DAMAGE = (ParseError, expat.ExpatError, struct.error, IndexError, compound.NotCompound, worksheet.NotXml)

Rows = list[Sequence[Cell]]
Seen = tuple[str, Rows, Invalid | None]  # a sheet's title and rows, or its first ones and why there are no more
Wanted = Callable[[Rows], bool]


class NotHere(Exception):
    """The workbook must be read by a child process after all."""


class Workbook(ABC):
    """An open workbook."""

    def __init__(self, name: str, entries: Sequence[Entry]) -> None:
        self.name = name
        self.entries = [entry for entry in entries if entry.is_table]

    def visible(self) -> list[str]:
        """The titles of the sheets that a person sees, in their order."""
        return [entry.title for entry in self.entries if entry.is_visible]

    def named(self, title: str) -> str:
        """The title that is meant, whatever its case and the blanks around it. :raises SheetNotFound:"""
        meant = title.strip().casefold()
        found = [entry.title for entry in self.entries if entry.title.strip().casefold() == meant]
        if not found:
            raise SheetNotFound(sheet=title, names=", ".join(self.visible()))
        return title if title in found else found[0]

    @abstractmethod
    def rows(self, title: str) -> tuple[Rows, Invalid | None]:
        """The values of a sheet, or those of its first rows and why there are no more."""

    @abstractmethod
    def look(self, title: str) -> Look:
        """What the file says of that sheet besides."""

    def sheet(self, title: str, rows: Rows, *, others: Sequence[str] = ()) -> Sheet:
        return put_together(title, rows, self.look(title), name=self.name, others=others)


class Scanned(Workbook):
    """An .xlsx file that the library reads as it is, searched by patterns."""

    def __init__(self, data: bytes, archive: Archive) -> None:
        self.book = Book(archive.part, archive.entries)
        super().__init__(archive.name, self.book.entries)
        self.archive = archive
        self.library = calamine.load_workbook(BytesIO(data))

    def rows(self, title: str) -> tuple[Rows, Invalid | None]:
        return values(self.library.get_sheet_by_name(title))

    def look(self, title: str) -> Look:
        part = next(entry.part for entry in self.entries if entry.title == title)
        look = scanning.scan(self.archive.part(part), styles=self.book.styles(), runs=self.book.runs())
        if look is None:
            raise NotHere
        look.counts_from_1904 = self.book.counts_from_1904
        return look


class Parsed(Workbook):
    """An .xlsx file whose sheets are parsed here, and given to the library in the plainest spelling."""

    def __init__(self, archive: Archive, *, only: str | None, is_apart: bool) -> None:
        self.book = Book(archive.part, archive.entries)
        super().__init__(archive.name, self.book.entries)
        self.refusals: dict[str, Invalid] = {}
        self.sheets: dict[str, worksheet.Worksheet] = {}
        wanted = {self.named(only)} if only is not None else set(self.visible())
        most = MAX_ROWS, MAX_COLUMNS
        parse = partial(worksheet.parse, styles=self.book.styles(), runs=self.book.runs(), most=most)
        for entry in self.entries:
            if entry.title in wanted:
                try:
                    self.sheets[entry.title] = parse(archive.part(entry.part), title=entry.title)
                except (TooManyColumns, TooManyRows) as refusal:
                    self.refusals[entry.title] = refusal
        if not is_apart and sum(one.width * len(one.filled) for one in self.sheets.values()) > MAX_AREA_HERE:
            raise NotHere
        self.library = calamine.load_workbook(BytesIO(self._plain(archive)))

    def rows(self, title: str) -> tuple[Rows, Invalid | None]:
        if title in self.refusals:
            return [], self.refusals[title]
        found, refusal = values(self.library.get_sheet_by_name(title))
        rows: Rows = []
        for number, row in zip(self.sheets[title].filled, found, strict=False):
            if row:
                rows.extend([()] * (number - len(rows)))
                rows.append(row)
        return rows, refusal

    def look(self, title: str) -> Look:
        look = self.sheets[title].look
        look.counts_from_1904 = self.book.counts_from_1904
        return look

    def _plain(self, archive: Archive) -> bytes:
        """A workbook of these sheets alone, whose parts have the usual names."""
        flag = int(self.book.counts_from_1904)
        names, links = [], []
        target = BytesIO()
        with ZipFile(target, "w") as plain:
            for number, (title, sheet) in enumerate(self.sheets.items(), 1):
                names.append(f'<sheet name={quoteattr(title)} sheetId="{number}" r:id="rId{number}"/>')
                links.append(_link(number, "worksheet", f"worksheets/sheet{number}.xml"))
                plain.writestr(f"xl/worksheets/sheet{number}.xml", sheet.xml)
                sheet.xml = b""
            others = (("styles", self.book.styles_part), ("sharedStrings", self.book.strings_part))
            for number, (kind, source) in enumerate(others, len(links) + 1):
                if content := archive.part(source):
                    links.append(_link(number, kind, f"{kind}.xml"))
                    plain.writestr(f"xl/{kind}.xml", content)
            plain.writestr("_rels/.rels", _links([_link(1, "officeDocument", "xl/workbook.xml")]))
            plain.writestr("xl/_rels/workbook.xml.rels", _links(links))
            plain.writestr(
                "xl/workbook.xml",
                f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><workbookPr date1904="{flag}"/>'
                f"<sheets>{''.join(names)}</sheets></workbook>",
            )
        return target.getvalue()


def _links(links: Sequence[str]) -> str:
    return f'<Relationships xmlns="{_PACKAGE}">{"".join(links)}</Relationships>'


def _link(number: int, kind: str, target: str) -> str:
    return f'<Relationship Id="rId{number}" Type="{_LINKS}/{kind}" Target="{target}"/>'


class Library(Workbook):
    """An .xls, .xlsb or .ods file, as the library reads it."""

    def __init__(self, data: bytes, archive: Archive | None, *, name: str) -> None:
        self.data, self.archive = data, archive
        self.library = self._open()
        kinds = calamine.SheetTypeEnum
        known = self.library.sheets_metadata
        if any(one.typ in (kinds.MacroSheet, kinds.Vba) for one in known):
            raise WorkbookHasMacros(name=name)
        visible = calamine.SheetVisibleEnum.Visible
        super().__init__(
            name, [Entry(one.name, "", one.visible == visible, one.typ == kinds.WorkSheet) for one in known]
        )

    def _open(self) -> calamine.CalamineWorkbook:
        is_ods = self.archive is not None and "content.xml" in self.archive.entries
        try:
            found = calamine.load_workbook(BytesIO(self.data))
            if found.sheet_names or not is_ods:
                return found
        except calamine.CalamineError:
            if not is_ods:
                raise
        assert self.archive  # noqa: S101 (it is an .ods)
        return calamine.load_workbook(BytesIO(_plain_ods(self.archive)))

    def rows(self, title: str) -> tuple[Rows, Invalid | None]:
        return values(self.library.get_sheet_by_name(title))

    def look(self, title: str) -> Look:
        if self.archive and "content.xml" in self.archive.entries:
            content, styles = self.archive.part("content.xml"), self.archive.part("styles.xml")
            return ods.look_of(content, styles, title=title, width=MAX_COLUMNS, name=self.name)
        if not self.archive:
            return xls.look_of(compound.stream(self.data, "Workbook"), title=title, width=MAX_COLUMNS)
        return xlsb.look_of(self.archive.part, title=title, width=MAX_COLUMNS)


def choose(seen: Iterable[Seen], wanted: Wanted | None, *, is_named: bool = False) -> tuple[str, Rows, list[str]]:
    """The first sheet that is wanted, its rows, and which others are; without `wanted`, the first with content.

    A sheet that can't be read is told only if no other is wanted.

    :raises SheetEmpty: there is no content. :raises NoSheetWanted: there is, but nothing that is wanted.
    """
    looked_at: list[str] = []
    found: list[tuple[str, Rows]] = []
    refusals: list[Invalid] = []
    for title, rows, refusal in seen:
        if refusal:
            refusals.append(refusal)
        if (rows and not (refusal and wanted is None)) or is_named:
            looked_at.append(title)
            if wanted is None or wanted(rows[:HEAD]):
                if refusal and not found:
                    raise refusal
                found.append((title, rows if not found else []))
                if wanted is None:
                    break
    if found:
        return *found[0], [title for title, _ in found[1:]]
    if refusals:
        raise refusals[0]
    if looked_at:
        raise NoSheetWanted(names=", ".join(looked_at))
    raise SheetEmpty


def open_here(data: bytes, archive: Archive, *, is_parsed: bool, only: str | None) -> Workbook:
    """Open an .xlsx workbook in this process. :raises NotHere: it isn't as harmless as it looked."""
    return Parsed(archive, only=only, is_apart=False) if is_parsed else Scanned(data, archive)


def open_apart(data: bytes, *, name: str, only: str | None) -> Workbook:
    """Open any workbook, in a process that may die of it."""
    archive = Archive(data, name=name) if data.startswith(b"PK") else None
    if archive and "xl/workbook.xml" in archive.entries:
        with complaints(WorkbookNotUnderstood(name=name)):
            try:
                return Parsed(archive, only=only, is_apart=True)
            except _DAMAGE as error:
                raise NotAWorkbook(name=name) from error
    try:
        with complaints(NotHere()):
            return Library(data, archive, name=name)
    except NotHere as error:
        raise (NotAWorkbook if _is_damaged(data, archive) else WorkbookNotUnderstood)(name=name) from error


def _is_damaged(data: bytes, archive: Archive | None) -> bool:
    """Whether the frame of an .xls, .xlsb or .ods file is broken; else the library only doesn't know what is in it."""
    try:
        if not archive:
            book = compound.stream(data, "Workbook", "Book")
            return book[:1] != b"\x09" or xls.is_cut(book)
        if content := archive.part("content.xml"):
            expat.ParserCreate().Parse(content, True)
            return False
        return not archive.part("xl/workbook.bin")
    except _DAMAGE:
        return True


def _plain_ods(archive: Archive) -> bytes:
    """An .ods file spelt in the usual way."""
    target = BytesIO()
    with ZipFile(target, "w") as plain:
        plain.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        plain.writestr("META-INF/manifest.xml", f'<manifest:manifest xmlns:manifest="{_MANIFEST}"/>')
        plain.writestr("content.xml", ods.plainly(archive.part("content.xml")))
    return target.getvalue()


@contextmanager
def complaints(told: Exception) -> Iterator[None]:
    """Turn what the library has to complain of into `told`, and a password into its refusal."""
    try:
        yield
    except calamine.PasswordError as error:
        raise WorkbookProtected(name=getattr(told, "context", {}).get("name", "")) from error
    except (calamine.CalamineError, *_DAMAGE) as error:
        raise told from error
    except BaseException as error:
        if type(error).__module__ == "pyo3_runtime":  # a Rust panic is no Exception
            raise told from error
        raise


def values(sheet: calamine.CalamineSheet) -> tuple[Rows, Invalid | None]:
    """The cells from A1 on; the library leaves out empty columns at the left, but not empty rows at the top."""
    left: list[Any] = [""] * (sheet.start[1] if sheet.start else 0)
    rows: Rows = []
    filled = 0
    for row in sheet.iter_rows():
        while row and (row[-1] == "" or (type(row[-1]) is str and not row[-1].strip())):
            row.pop()
        if not row:
            rows.append(())
            continue
        filled += 1
        if filled > MAX_ROWS:
            return rows, TooManyRows(sheet=sheet.name, limit=MAX_ROWS)
        if len(left) + len(row) > MAX_COLUMNS:
            return rows, TooManyColumns(sheet=sheet.name, limit=MAX_COLUMNS)
        rows.append(left + row if left else row)
    while rows and not rows[-1]:
        rows.pop()
    return rows, None

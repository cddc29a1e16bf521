"""A look at an untrusted workbook before anything opens it: every part is unpacked here, under a limit."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from enum import Enum
from io import BytesIO
from xml.etree.ElementTree import ParseError
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from clearance.sheets import scanning
from clearance.sheets.refusals import NotAWorkbook, WorkbookHasMacros, WorkbookProtected, WorkbookUnpacksTooLarge
from clearance.sheets.xlsx import Book

MAX_ENTRIES = 2_000
MAX_UNPACKED = 200 * 1024 * 1024
MAX_RATIO = 250  # honest sheets shrink 10 to 60 times
RATIO_MATTERS_FROM = 16 * 1024 * 1024
MAX_LISTED = 1_000_000
MAX_INDEX = 4 * 1024 * 1024  # of a part that is parsed here
MAX_PARSED = 1024 * 1024  # of all sheets, if they are parsed here
MAX_KEPT = 48 * 1024 * 1024
MAX_SHARED_TEXT = 200 * 1024 * 1024

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MACRO_FILES = (".xlsm", ".xltm", ".xlam", ".xla")
_MACRO_PARTS = re.compile(r"(^|/)vbaproject\.bin$|(^|/)macrosheets/|^basic/|^scripts/", re.IGNORECASE)
# The stream's first record, of 20 bytes, then perhaps WRITEPROTECT, then FILEPASS; calamine would call it damaged.
_XLS_PASSWORD = re.compile(rb"\x09\x08\x10\x00\x00\x06\x05\x00.{12}(?:\x86\x00\x00\x00)?\x2f\x00", re.DOTALL)


class Way(Enum):
    """How a workbook may be read."""

    SCANNED = "scanned"  # here; its large sheets are spelt as usual and are searched by patterns
    PARSED = "parsed"  # here; its small sheets are parsed
    APART = "apart"  # by a child process


class Archive:
    """An .xlsx, .xlsb or .ods file; its parts are unpacked under a limit, whatever size its directory claims."""

    def __init__(self, data: bytes, *, name: str) -> None:
        self.name = name
        self._data = data
        self.entries = {entry.filename: entry for entry in ZipFile(BytesIO(data)).infolist()}
        self._kept: dict[str, bytes] = {}

    def part(self, part: str) -> bytes:
        """A part by its name; empty if there is none."""
        if part in self._kept:
            return self._kept.pop(part)
        entry = self.entries.get(part)
        return self.unpack(entry, limit=MAX_UNPACKED) if entry else b""

    def keep(self, part: str, content: bytes) -> None:
        """Keep a part for the next who asks for it, so that it isn't unpacked twice."""
        if len(content) + sum(map(len, self._kept.values())) <= MAX_KEPT:
            self._kept[part] = content

    def unpack(self, entry: ZipInfo, *, limit: int) -> bytes:
        name_length, extra_length = struct.unpack_from("<HH", self._data, entry.header_offset + 26)
        start = entry.header_offset + 30 + name_length + extra_length
        packed = memoryview(self._data)[start : start + entry.compress_size]
        if entry.compress_type == ZIP_STORED:
            part = bytes(packed)
        elif entry.compress_type == ZIP_DEFLATED:
            part = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit + 1)
        else:
            raise NotAWorkbook(name=self.name)
        if len(part) > limit or (len(part) > RATIO_MATTERS_FROM and len(part) > MAX_RATIO * len(packed)):
            raise WorkbookUnpacksTooLarge(name=self.name)
        return part


def inspect(data: bytes, name: str) -> tuple[Way, Archive | None]:
    """Refuse what must not be opened, and tell how the rest may be read."""
    if name.lower().endswith(_MACRO_FILES):
        raise WorkbookHasMacros(name=name)
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data or _XLS_PASSWORD.search(data):
            raise WorkbookProtected(name=name)
        if "_VBA_PROJECT".encode("utf-16-le") in data:
            raise WorkbookHasMacros(name=name)
        return Way.APART, None
    if not data.startswith(b"PK"):
        raise NotAWorkbook(name=name)
    try:
        archive = Archive(data, name=name)
        return _way(archive), archive
    except (BadZipFile, struct.error, zlib.error, ValueError, NotImplementedError, EOFError) as error:
        raise NotAWorkbook(name=name) from error


def _way(archive: Archive) -> Way:
    names = {part.lower() for part in archive.entries}
    if any(_MACRO_PARTS.search(part) for part in names):
        raise WorkbookHasMacros(name=archive.name)
    if any(entry.flag_bits & 1 for entry in archive.entries.values()):
        raise WorkbookProtected(name=archive.name)
    sizes = sum(entry.file_size for entry in archive.entries.values())
    if len(archive.entries) > MAX_ENTRIES or sizes > MAX_UNPACKED:
        raise WorkbookUnpacksTooLarge(name=archive.name)
    is_xlsx = "xl/workbook.xml" in names and not names & {"xl/workbook.bin", "content.xml"}
    return _way_of_xlsx(archive) if is_xlsx else _way_of_others(archive)


def _way_of_others(archive: Archive) -> Way:
    left = MAX_UNPACKED
    for entry in archive.entries.values():
        part = archive.unpack(entry, limit=left)
        left -= len(part)
        if entry.filename == "META-INF/manifest.xml" and b"encryption-data" in part:
            raise WorkbookProtected(name=archive.name)
    return Way.APART


def _way_of_xlsx(archive: Archive) -> Way:
    """Unpack every part once, and look for what the reading library or the parser can't bear here."""
    left, references, longest, parsed = MAX_UNPACKED, 0, 0, 0
    is_harmless = is_usual = True
    sheets = _sheets(archive)
    for entry in archive.entries.values():
        part = archive.unpack(entry, limit=left)
        left -= len(part)
        if sheets is None or not is_harmless:
            continue
        if entry.filename in sheets:
            parsed += len(part)
            is_usual = is_usual and scanning.is_usual(part)
            archive.keep(entry.filename, part)
        if entry.filename not in sheets or sheets[entry.filename] == "strings":
            texts = part.count(b"<si")
            is_harmless = texts <= MAX_LISTED and not scanning.is_prefixed(part)
            if texts and is_harmless:
                longest = max(longest, *map(len, part.split(b"<si")))
        references += part.count(b't="s"')
    if sheets is None or not is_harmless or longest * references > MAX_SHARED_TEXT:
        return Way.APART
    if parsed <= MAX_PARSED:
        return Way.PARSED
    return Way.SCANNED if is_usual else Way.APART


def _sheets(archive: Archive) -> Mapping[str, str] | None:
    """The parts that hold sheets; None: the parts that name them can't be read here."""
    entries = archive.entries
    try:
        book = Book(lambda part: archive.unpack(entries[part], limit=MAX_INDEX) if part in entries else b"", entries)
    except (ParseError, WorkbookUnpacksTooLarge):
        return None
    if book.has_macro_sheets:
        raise WorkbookHasMacros(name=archive.name)
    styles = entries.get(book.styles_part)
    if styles and len(archive.unpack(styles, limit=MAX_UNPACKED)) > MAX_INDEX:
        return None
    found = {entry.part: "sheet" for entry in book.entries if entry.is_table}
    return found | {part: "strings" for part in (book.strings_part, "xl/sharedStrings.xml") if part in found}

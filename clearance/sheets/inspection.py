"""A look at an untrusted workbook before anything opens it: every part is unpacked here, under a limit."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from xml.etree import ElementTree  # expat itself refuses to multiply entities
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from clearance.sheets.refusals import NotAWorkbook, WorkbookHasMacros, WorkbookProtected, WorkbookUnpacksTooLarge

MAX_ENTRIES = 2_000
MAX_UNPACKED = 200 * 1024 * 1024
MAX_RATIO = 250  # honest sheets shrink 10 to 60 times
RATIO_MATTERS_FROM = 16 * 1024 * 1024
MAX_LISTED = 1_000_000
MAX_INDEX = 4 * 1024 * 1024
MAX_SHARED_TEXT = 200 * 1024 * 1024

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
class Findings:
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


def inspect(data: bytes, name: str) -> Findings:
    """Refuse what must not be opened, and tell whether the rest may be opened in this process."""
    if name.lower().endswith(_MACRO_FILES):
        raise WorkbookHasMacros(name=name)
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data or _XLS_PASSWORD.search(data):
            raise WorkbookProtected(name=name)
        if "_VBA_PROJECT".encode("utf-16-le") in data:
            raise WorkbookHasMacros(name=name)
        return Findings()
    if not data.startswith(b"PK"):
        raise NotAWorkbook(name=name)
    try:
        return _inspect_archive(data, name)
    except (BadZipFile, struct.error, zlib.error, ValueError, NotImplementedError, EOFError) as error:
        raise NotAWorkbook(name=name) from error


def _inspect_archive(data: bytes, name: str) -> Findings:
    entries = ZipFile(BytesIO(data)).infolist()
    names = {entry.filename.lower() for entry in entries}
    if any(_MACRO_PARTS.search(part) for part in names):
        raise WorkbookHasMacros(name=name)
    if any(entry.flag_bits & 1 for entry in entries):
        raise WorkbookProtected(name=name)
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise WorkbookUnpacksTooLarge(name=name)

    findings = Findings(harmless="xl/workbook.xml" in names and not names & {"xl/workbook.bin", "content.xml"})
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

"""An .xlsb workbook's own records (MS-XLSB): what its cells show besides their values."""

from __future__ import annotations

import posixpath
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.etree import ElementTree

from clearance.sheets import formats
from clearance.sheets.cells import Merge
from clearance.sheets.looks import EVERYTHING, Look, Runs, Style, runs_of
from clearance.sheets.xls import ERRORS

_ROW, _ERROR, _TEXT, _FORMULA_ERROR, _COLUMNS, _MERGE, _DEFAULTS = 0, 3, 7, 11, 60, 176, 485
_CELLS = frozenset([*range(2, 12), 62])
_FORMULAS = frozenset(range(8, 12))


def look_of(part: Callable[[str], bytes], *, title: str, width: int) -> Look:
    """Read the look of one sheet; `part` gives a part by its name, empty if missing. :raises struct.error: damaged."""
    look = Look()
    relations = ElementTree.fromstring(part("xl/_rels/workbook.bin.rels"))  # noqa: S314 (expat multiplies no entities)
    targets = {
        node.get("Id", ""): posixpath.join("xl", node.get("Target", "")).replace("xl//", "") for node in relations
    }
    path = ""
    for kind, content in _records(part("xl/workbook.bin")):
        if kind == 153:
            look.counts_from_1904 = bool(content[0] & 1)
        elif kind == 156:
            link, at = _text(content, 8)
            if _text(content, at)[0] == title:
                path = targets.get(link, "")
    if not path:
        return Look(unseen=EVERYTHING)
    struck, styles = _styles(part("xl/styles.bin"))
    runs = dict(_runs(part("xl/sharedStrings.bin"), struck)) if any(struck) else {}
    _read(part(path), styles, runs, look, width)
    return look


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kinds and contents; both numbers before them take seven bits of a byte, the eighth says that there are more."""
    at, end = 0, len(data)
    while at < end:
        kind = data[at]
        at += 1
        if kind & 128 and at < end:
            kind = kind & 127 | (data[at] & 127) << 7
            at += 1
        size = shift = 0
        while at < end and shift < 28:
            size |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 128:
                break
        yield kind, data[at : at + size]
        at += size


def _text(content: bytes, at: int) -> tuple[str, int]:
    """A text and where it ends."""
    count = struct.unpack_from("<L", content, at)[0]
    end = at + 4 + 2 * count
    return content[at + 4 : end].decode("utf-16-le", "replace"), end


def _styles(part: bytes) -> tuple[list[bool], list[Style]]:
    """Which fonts strike out, and the styles of cells by their number."""
    codes: dict[int, str] = {}
    struck: list[bool] = []
    found: list[Style] = []
    is_of_cells = False
    for kind, content in _records(part):
        if kind == 44:
            codes[struct.unpack_from("<H", content)[0]] = _text(content, 2)[0]
        elif kind == 43:
            struck.append(bool(content[2] & 8))
        elif kind in (617, 618):
            is_of_cells = kind == 617
        elif kind == 47 and is_of_cells:
            _, number, font = struct.unpack_from("<HHH", content)
            found.append(
                Style.of(formats.from_number(number, codes), is_struck_out=font < len(struck) and struck[font])
            )
    return struck, found


def _runs(part: bytes, struck: list[bool]) -> Iterator[tuple[int, Runs]]:
    """The shared texts that are struck out, or partly so, by their own runs."""
    texts = (content for kind, content in _records(part) if kind == 19)
    for number, content in enumerate(texts):
        if content[0] & 1:
            text, at = _text(content, 1)
            count = struct.unpack_from("<L", content, at)[0]
            pieces = list(struct.iter_unpack("<HH", content[at + 4 : at + 4 + 4 * count]))
            if own := runs_of(text, pieces, struck):
                yield number, own


def _read(part: bytes, styles: list[Style], runs: dict[int, Runs], look: Look, width: int) -> None:
    row, hides_rows, said = -1, False, set()
    for kind, content in _records(part):
        if kind in _CELLS:
            _note_cell(kind, content, row, look, runs=runs, styles=styles)
        elif kind == _ROW:
            row = struct.unpack_from("<L", content)[0]
            said.add(row)
            if content[11] & 0x10:
                look.hidden_rows.add(row)
        elif kind == _COLUMNS:
            first, last, size, _, flags = struct.unpack_from("<LLLLH", content)
            look.widths |= dict.fromkeys(range(first, min(last + 1, width)), size / 256)
            if flags & 1 or not size:
                look.hidden_columns |= set(range(first, min(last + 1, width)))
        elif kind == _MERGE:
            top, bottom, left, right = struct.unpack_from("<4L", content)
            look.merges.append(Merge(top, left, bottom, right))
        elif kind == _DEFAULTS:
            hides_rows = bool(content[8] & 2)
    if hides_rows:
        look.hidden_rows |= set(range(row + 1)) - said


def _note_cell(
    kind: int, content: bytes, row: int, look: Look, *, runs: Mapping[int, Runs], styles: Sequence[Style]
) -> None:
    column, style = struct.unpack_from("<LL", content)
    place = row, column
    if (number := style & 0xFFFFFF) < len(styles):
        look.dress(place, styles[number])
    if kind in _FORMULAS:
        look.formulas[place] = True
    if kind in (_ERROR, _FORMULA_ERROR):
        look.errors[place] = ERRORS.get(content[8], "#?")
    elif kind == _TEXT and (own := runs.get(struct.unpack_from("<L", content, 8)[0])):
        look.runs[place] = own

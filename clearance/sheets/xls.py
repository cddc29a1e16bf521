"""An .xls workbook's own records (MS-XLS, BIFF8): what its cells show besides their values."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from clearance.sheets import formats
from clearance.sheets.cells import Merge
from clearance.sheets.looks import EVERYTHING, Look, Runs, Style, runs_of

ERRORS = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}  # fmt: skip
_BOF, _EOF, _CONTINUE = 0x0809, 0x000A, 0x003C
_FORMULA, _BOOL_OR_ERROR, _TEXT, _SEVERAL_NUMBERS = 0x0006, 0x0205, 0x00FD, 0x00BD
_CELLS = frozenset({0x0203, 0x027E, _TEXT, 0x0204, 0x00D6, _BOOL_OR_ERROR, _FORMULA, _SEVERAL_NUMBERS})
_ROW, _DEFAULT_ROW, _COLUMNS, _MERGES = 0x0208, 0x0225, 0x007D, 0x00E5


def look_of(book: bytes, *, title: str, width: int) -> Look:
    """Read the look of one sheet from the workbook's stream. :raises struct.error: it is damaged."""
    if book[:6] != b"\x09\x08" + book[2:4] + b"\x00\x06":
        return Look(unseen=EVERYTHING)  # from before 1997
    found = _Globals(book)
    if title not in found.sheets:
        return Look(unseen=EVERYTHING)
    look = Look(counts_from_1904=found.counts_from_1904)
    _read(book, found.sheets[title], found, look, width)
    return look


def _records(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The records of one substream, without those nested in it (charts)."""
    depth = 0
    while at + 4 <= len(data):
        kind, size = struct.unpack_from("<HH", data, at)
        depth += (kind == _BOF) - (kind == _EOF)
        if depth == 1 and kind != _BOF:
            yield kind, data[at + 4 : at + 4 + size]
        at += 4 + size
        if depth <= 0:
            return


def is_cut(book: bytes) -> bool:
    """Whether the stream ends within a record."""
    at = 0
    while at + 4 <= len(book):
        at += 4 + struct.unpack_from("<H", book, at + 2)[0]
        if not any(book[at : at + 4]):
            return False
    return at > len(book)


class _Globals:
    """What the workbook says for all its sheets."""

    def __init__(self, data: bytes) -> None:
        self.counts_from_1904 = self.has_calculated = False
        self.sheets: dict[str, int] = {}
        self.styles: list[Style] = []
        codes: dict[int, str] = {}
        looks: list[tuple[int, int]] = []
        self.struck: list[bool] = []
        texts: list[bytes] = []
        before = 0
        for kind, content in _records(data, 0):
            if kind == 0x0022:
                self.counts_from_1904 = content[:1] == b"\x01"
            elif kind == 0x01C1:
                self.has_calculated = True
            elif kind == 0x0031:
                if len(self.struck) == 4:
                    self.struck.append(False)  # there is no font number four
                self.struck.append(bool(content[2] & 8))
            elif kind == 0x041E:
                codes[struct.unpack_from("<H", content)[0]] = _text(content, 2, wide_count=True)
            elif kind == 0x00E0:
                looks.append(struct.unpack_from("<HH", content))
            elif kind == 0x0085:
                self.sheets[_text(content, 6)] = struct.unpack_from("<L", content)[0]
            elif kind == 0x00FC or (kind == _CONTINUE and before == 0x00FC):
                texts.append(content)
            before = kind if kind != _CONTINUE else before
        for font, number in looks:
            is_struck = font < len(self.struck) and self.struck[font]
            self.styles.append(Style.of(formats.from_number(number, codes), is_struck_out=is_struck))
        self.runs = dict(_Texts(texts).runs(self.struck)) if texts and any(self.struck) else {}


def _text(content: bytes, at: int, *, wide_count: bool = False) -> str:
    count = struct.unpack_from("<H" if wide_count else "<B", content, at)[0]
    at += 2 if wide_count else 1
    if content[at] & 1:
        return content[at + 1 : at + 1 + 2 * count].decode("utf-16-le", "replace")
    return content[at + 1 : at + 1 + count].decode("latin-1")


class _Texts:
    """The shared texts, which run over several records."""

    def __init__(self, parts: Sequence[bytes]) -> None:
        self.parts = parts
        self.part, self.at = 0, 8
        self.number = struct.unpack_from("<L", parts[0], 4)[0]

    def runs(self, struck: Sequence[bool]) -> Iterator[tuple[int, Runs]]:
        """The texts that are struck out, or partly so, by their own runs."""
        for number in range(self.number):
            if self.part >= len(self.parts):
                return
            count, flags = struct.unpack("<HB", self._take(3))
            pieces = struct.unpack("<H", self._take(2))[0] if flags & 8 else 0
            more = struct.unpack("<L", self._take(4))[0] if flags & 4 else 0
            text = self._letters(count, is_wide=bool(flags & 1))
            fonts = list(struct.iter_unpack("<HH", self._take(4 * pieces)))
            self._take(more)
            if own := runs_of(text, fonts, struck):
                yield number, own

    def _take(self, size: int) -> bytes:
        taken = b""
        while size > len(taken) and self.part < len(self.parts):
            piece = self.parts[self.part][self.at : self.at + size - len(taken)]
            taken += piece
            self.at += len(piece)
            if self.at >= len(self.parts[self.part]):
                self.part, self.at = self.part + 1, 0
        return taken

    def _letters(self, count: int, *, is_wide: bool) -> str:
        text = ""
        while count > len(text) and self.part < len(self.parts):
            width = 2 if is_wide else 1
            piece = self.parts[self.part][self.at : self.at + width * (count - len(text))]
            text += piece.decode("utf-16-le" if is_wide else "latin-1", "replace")
            self.at += len(piece)
            if self.at >= len(self.parts[self.part]):
                self.part, self.at = self.part + 1, 0
                if count > len(text) and self.part < len(self.parts):  # the rest says anew how wide it is
                    is_wide, self.at = bool(self.parts[self.part][0] & 1), 1
        return text


def _read(data: bytes, at: int, found: _Globals, look: Look, width: int) -> None:
    hides_rows, said, last = False, set(), 0
    for kind, content in _records(data, at):
        if kind in _CELLS:
            _note_cell(kind, content, found, look)
            last = max(last, struct.unpack_from("<H", content)[0])
        elif kind == _ROW:
            row, flags = struct.unpack_from("<H", content)[0], content[12]
            said.add(row)
            if flags & 0x20:
                look.hidden_rows.add(row)
        elif kind == _DEFAULT_ROW:
            hides_rows = bool(content[0] & 2)
        elif kind == _COLUMNS:
            first, end, size, _, flags = struct.unpack_from("<5H", content)
            look.widths |= dict.fromkeys(range(first, min(end + 1, width)), size / 256)
            if flags & 1 or not size:
                look.hidden_columns |= set(range(first, min(end + 1, width)))
        elif kind == _MERGES:
            ranges = struct.iter_unpack("<4H", content[2 : 2 + (len(content) - 2) // 8 * 8])
            look.merges += [Merge(top, left, bottom, right) for top, bottom, left, right in ranges]
    if hides_rows:
        look.hidden_rows |= set(range(last + 1)) - said


def _note_cell(kind: int, content: bytes, found: _Globals, look: Look) -> None:
    row, column, style = struct.unpack_from("<HHH", content)
    styles = [style]
    if kind == _SEVERAL_NUMBERS:
        styles = [struct.unpack_from("<H", content, at)[0] for at in range(4, len(content) - 5, 6)]
    for n, one in enumerate(styles):
        if one < len(found.styles):
            look.dress((row, column + n), found.styles[one])
    if kind == _FORMULA:
        _note_formula(content, look, has_calculated=found.has_calculated)
    elif kind == _BOOL_OR_ERROR and content[7]:
        look.errors[row, column] = ERRORS.get(content[6], "#?")
    elif kind == _TEXT and (runs := found.runs.get(struct.unpack_from("<L", content, 6)[0])):
        look.runs[row, column] = runs


def _note_formula(content: bytes, look: Look, *, has_calculated: bool) -> None:
    """A formula and its result, which is a number unless its last bytes say otherwise."""
    row, column = struct.unpack_from("<HH", content)
    kind = content[6] if content[12:14] == b"\xff\xff" else None
    # An empty text is also what programs write that don't calculate; Excel says that it has calculated.
    look.formulas[row, column] = kind != 3 or has_calculated
    if kind == 2:
        look.errors[row, column] = ERRORS.get(content[8], "#?")

"""One sheet of an .xlsx workbook, read by a real XML parser: right however it is spelt, but slow.

It gives the look of the sheet, and its values anew in the plainest spelling: without hints (dimensions), blanks,
formulas and errors, rows closed up. So the reading library has nothing to stumble over, and a stray blank in the last
row costs nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat  # refuses to multiply entities
from xml.sax.saxutils import escape

from clearance.sheets.looks import Look, Place, Runs, Style
from clearance.sheets.refusals import TooManyColumns, TooManyRows
from clearance.sheets.xlsx import LAST_COLUMN, LAST_ROW, column_index, is_on, is_zero, merge_of, note_columns

_ADDRESS = re.compile(r"\$?([A-Za-z]{1,3})\$?(\d{1,7})")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
MAX_AREA = 13_000_000  # cells; the reading library reserves memory for all of them
_KEEP = ' xml:space="preserve"'
_KINDS = frozenset({"n", "s", "str", "inlineStr", "b", "d"})


class NotXml(Exception):
    """The part is no XML, or no sheet."""


@dataclass(slots=True)
class _Current:
    """The cell that is being read."""

    place: Place
    style: int
    kind: str
    value: str | None = None
    has_formula: bool = False
    runs: list[tuple[bool | None, str]] = field(default_factory=list)  # struck out, not, or as the cell is; text


@dataclass(slots=True)
class Worksheet:
    """A sheet's look, and its values as XML with only the `filled` rows (from 0), closed up."""

    look: Look
    filled: list[int]
    width: int
    xml: bytes


def parse(
    part: bytes, *, title: str, styles: list[Style], runs: Mapping[int, Runs], most: tuple[int, int]
) -> Worksheet:
    """Read a sheet's XML with at most so many filled rows and columns.

    :raises NotXml: it isn't well formed.
    """
    parser = _Parser(title, styles, runs, most)
    reader = expat.ParserCreate(namespace_separator="}")
    reader.buffer_text = True
    reader.StartElementHandler, reader.EndElementHandler = parser.start, parser.end
    reader.CharacterDataHandler = parser.data
    try:
        reader.Parse(part, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise NotXml from error
    return parser.finished()


class _Parser:
    def __init__(self, title: str, styles: list[Style], runs: Mapping[int, Runs], most: tuple[int, int]) -> None:
        self.title, self.styles, self.texts, self.most = title, styles, runs, most
        self.look = Look()
        self.filled: list[int] = []
        self.width = 0
        self.out: list[str] = []
        self.row = self.column = -1
        self.cell: _Current | None = None
        self.text: list[str] | None = None  # of the element that is being read
        self.is_struck_run: bool | None = None
        self.phonetic = 0
        self.hides_rows = False  # unless a row says otherwise
        self.said: set[int] = set()

    def start(self, tag: str, given: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if name == "c":
            self._start_cell(given)
        elif name in ("v", "t"):
            self.text = []
        elif name == "f" and self.cell:
            self.cell.has_formula = True
        elif name == "row":
            self._start_row(given)
        elif name == "rPh":
            self.phonetic += 1
        elif name == "rPr":
            self.is_struck_run = False
        elif name == "strike":
            self.is_struck_run = is_on(given.get("val", "1"))
        elif name == "col":
            self._column_format(given)
        elif name == "mergeCell":
            if (merge := merge_of(given.get("ref", ""))) is not None:
                self.look.merges.append(merge)
        elif name == "sheetFormatPr":
            self.hides_rows = is_on(given.get("zeroHeight", ""))

    def data(self, text: str) -> None:
        if self.text is not None:
            self.text.append(text)

    def end(self, tag: str) -> None:
        name = tag.rpartition("}")[2]
        if name in ("v", "t") and self.text is not None:
            if self.cell and name == "v":
                self.cell.value = "".join(self.text)
            elif self.cell and not self.phonetic:
                self.cell.runs.append((self.is_struck_run, "".join(self.text)))
            self.text = None
        elif name == "c" and self.cell:
            self._end_cell(self.cell)
            self.cell = None
        elif name == "rPh":
            self.phonetic -= 1
        elif name == "r":
            self.is_struck_run = None

    def _start_row(self, given: dict[str, str]) -> None:
        number = given.get("r", "")
        self.row = int(number) - 1 if number.isdecimal() and len(number) < 9 else self.row + 1
        self.column = -1
        if not 0 <= self.row < LAST_ROW:
            raise NotXml
        self.said.add(self.row)
        if is_on(given.get("hidden", "")) or is_zero(given.get("ht", "")):
            self.look.hidden_rows.add(self.row)

    def _column_format(self, given: dict[str, str]) -> None:
        note_columns(self.look, given, self.most[1])

    def _start_cell(self, given: dict[str, str]) -> None:
        address = _ADDRESS.fullmatch(given.get("r", "").strip())
        if address:
            self.column, row = column_index(address[1]), int(address[2]) - 1
            if row != self.row:  # the row doesn't say, or says something else
                self.row = row
        else:
            self.column += 1
        if not (0 <= self.column < LAST_COLUMN and 0 <= self.row < LAST_ROW):
            raise NotXml
        style = given.get("s", "")
        self.cell = _Current(
            (self.row, self.column), int(style) if style.isdecimal() and len(style) < 9 else 0, given.get("t", "n")
        )

    def _end_cell(self, cell: _Current) -> None:
        look, place = self.look, cell.place
        if cell.style < len(self.styles):
            look.dress(place, self.styles[cell.style])
        if cell.has_formula:
            is_empty_text = cell.kind == "str" and cell.value is not None
            look.formulas[place] = bool(cell.value or cell.runs) or is_empty_text
        content = self._content(cell)
        if content:
            self._write(cell, content)

    def _content(self, cell: _Current) -> str:
        """The value's XML; empty for what calamine needn't see."""
        value, place = cell.value or "", cell.place
        if cell.kind == "inlineStr":
            text = "".join(one for _, one in cell.runs)
            runs = frozenset(is_struck for is_struck, one in cell.runs if one.strip())
            if runs - {None}:
                self.look.runs[place] = runs
            return f"<is><t{_KEEP}>{escape(text)}</t></is>" if text else ""
        if not value.strip() and cell.kind != "str":
            return ""
        if cell.kind not in _KINDS:
            return self._error(cell)
        if cell.kind == "s":
            number = value.strip()
            if number.isdecimal() and (own := self.texts.get(int(number))):
                self.look.runs[place] = own
        elif cell.kind == "n" and not (_NUMBER.fullmatch(value.strip()) and math.isfinite(float(value))):
            return self._error(cell)
        return f"<v{_KEEP}>{escape(value if cell.kind == 'str' else value.strip())}</v>" if value else ""

    def _error(self, cell: _Current) -> str:
        """Note an error; the library gets a text in its place, as it doesn't know them all."""
        text = self.look.errors[cell.place] = (cell.value or "").strip()
        cell.kind = "str"
        return f"<v{_KEEP}>{escape(text)}</v>"

    def _write(self, cell: _Current, content: str) -> None:
        row, column = cell.place
        if not self.filled or row != self.filled[-1]:
            if self.filled and row < self.filled[-1]:
                raise NotXml  # rows go down
            self.filled.append(row)
            self.out.append(f'{"</row>" if len(self.filled) > 1 else ""}<row r="{len(self.filled)}">')
        self.width = max(self.width, column + 1)
        if self.width > self.most[1]:
            raise TooManyColumns(sheet=self.title, limit=self.most[1])
        kind = "str" if cell.kind == "d" else cell.kind  # an ISO date: our own rules read it
        self.out.append(f'<c r="{column_letters(column)}{len(self.filled)}" s="{cell.style}" t="{kind}">{content}</c>')

    def finished(self) -> Worksheet:
        if len(self.filled) > self.most[0] and len(self.filled) * self.width > MAX_AREA:
            raise TooManyRows(sheet=self.title, limit=self.most[0])
        if self.hides_rows:
            self.look.hidden_rows |= set(range(self.filled[-1] + 1 if self.filled else 0)) - self.said
        end = "</row>" if self.filled else ""
        xml = f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(self.out)}{end}</sheetData></worksheet>'
        return Worksheet(self.look, self.filled, self.width, xml.encode())


def column_letters(column: int) -> str:
    letters = ""
    while column >= 0:
        letters = chr(65 + column % 26) + letters
        column = column // 26 - 1
    return letters

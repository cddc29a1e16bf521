"""An .ods workbook's own XML: what its cells show besides their values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from xml.etree import ElementTree
from xml.parsers import expat

from clearance.sheets.cells import Merge
from clearance.sheets.looks import MAX_MARKED, Look, Style
from clearance.sheets.ods_styles import Styles, attributes, local
from clearance.sheets.refusals import WorkbookTooDemanding

LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
_ERROR = re.compile(
    r"#[A-Z0-9_/]+[!?]?|(?:Err|Fehler):\d{3}"
)  # as LibreOffice wrote them before it had a type for them
_DURATION = re.compile(r"-?PT(\d{1,6})H(\d{1,2})M([\d.]{1,12})S")
_PREFIXES = {
    name: f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0" for name in ("office", "table", "text", "style")
} | {"calcext": "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"}
_TYPES = frozenset({"float", "percentage", "currency", "date", "time", "boolean", "string"})
_HIDDEN = frozenset({"collapse", "filter"})


@dataclass(slots=True)
class _Current:
    """The cell that is being read."""

    given: dict[str, str]
    is_covered: bool
    has_text: bool = False  # perhaps an empty one
    texts: list[tuple[bool | None, str]] = field(default_factory=list)  # struck out or not, or as the cell is


def look_of(content: bytes, styles: bytes, *, title: str, width: int, name: str) -> Look:
    """Read the look of one sheet, as far as `width` columns. :raises ExpatError: it is no XML."""
    reader = _Reader(title, width, name)
    for part in (styles, content):
        if part:
            parser = expat.ParserCreate(namespace_separator="}")
            parser.buffer_text = True
            parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
            parser.CharacterDataHandler = reader.data
            parser.Parse(part, True)
    return reader.look


def plainly(content: bytes) -> bytes:
    """The same XML with the usual prefixes and without white space between elements, as the library needs it.

    :raises ParseError: it is no XML.
    """
    root = ElementTree.fromstring(content)  # noqa: S314 (expat multiplies no entities)
    for node in root.iter():
        if ":text:" in node.tag and not node.tag.endswith("}list"):
            continue
        if node.text and not node.text.strip():
            node.text = None
        for child in node:
            if child.tail and not child.tail.strip():
                child.tail = None
    for prefix, uri in _PREFIXES.items():
        ElementTree.register_namespace(prefix, uri)
    closed: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return closed


class _Reader:
    def __init__(self, title: str, width: int, name: str) -> None:
        self.title, self.width, self.name = title, width, name
        self.look = Look()
        self.styles = Styles()
        self.style: list[ElementTree.Element] = []  # the elements of a style that is being read
        self.is_in_styles = False
        self.tables = 0  # how many tables are open, one within another
        self.is_read = False
        self.row = self.column = 0
        self.repeated = 1
        self.row_style = ""
        self.column_styles: list[tuple[int, str]] = []  # up to which column, exclusive
        self.groups: list[bool] = []  # hidden or not
        self.cell: _Current | None = None
        self.spans: list[bool | None] = []
        self.notes = 0
        self.paragraphs = 0

    def start(self, tag: str, given: dict[str, str]) -> None:
        name = local(tag)
        if self.is_in_styles:
            node = ElementTree.Element(tag, given)
            if self.style:
                self.style[-1].append(node)
            self.style.append(node)
        elif name in ("automatic-styles", "styles"):
            self.is_in_styles = True
        elif name == "null-date":
            self.look.counts_from_1904 = attributes(given).get("date-value", "").startswith("1904")
        elif name == "table":
            self.tables += 1
            if self.tables == 1:
                self.is_read = attributes(given).get("name") == self.title
        elif self.is_read and self.tables == 1:
            self._start(name, attributes(given))

    def end(self, tag: str) -> None:
        name = local(tag)
        if self.is_in_styles:
            if self.style:
                node = self.style.pop()
                if not self.style:
                    self.styles.add(node)
            else:
                self.is_in_styles = False
        elif name == "table":
            self.tables -= 1
            self.is_read = self.is_read and self.tables > 0
        elif self.is_read and self.tables == 1:
            self._end(name)

    def data(self, text: str) -> None:
        if self.style:
            self.style[-1].text = (self.style[-1].text or "") + text
        elif self.cell and self.paragraphs and not self.notes:
            self.cell.texts.append((self.spans[-1] if self.spans else None, text))

    def _start(self, name: str, given: dict[str, str]) -> None:
        if name in ("table-cell", "covered-table-cell"):
            self.cell = _Current(given, name != "table-cell")
        elif name == "table-row":
            self.repeated = _count(given, "number-rows-repeated", LAST_ROW)
            self.row_style, self.column = given.get("default-cell-style-name", ""), 0
            if given.get("visibility") in _HIDDEN or any(self.groups):
                self.look.hidden_rows |= set(range(self.row, min(self.row + self.repeated, LAST_ROW)))
        elif name == "table-column":
            self._start_column(given)
        elif name in ("table-row-group", "table-column-group"):
            self.groups.append(given.get("display") == "false")
        elif name in ("annotation", "shapes", "frame", "custom-shape"):
            self.notes += 1
        elif name == "p":
            self.paragraphs += 1
            if self.cell and not self.notes:
                self.cell.has_text = True
        elif name == "span":
            self.spans.append(self.styles.texts.get(given.get("style-name", "")))

    def _start_column(self, given: dict[str, str]) -> None:
        first = self.column_styles[-1][0] if self.column_styles else 0
        last = first + _count(given, "number-columns-repeated", LAST_COLUMN)
        self.column_styles.append((last, given.get("default-cell-style-name", "")))
        if width := self.styles.widths.get(given.get("style-name", "")):
            self.look.widths |= dict.fromkeys(range(first, min(last, self.width)), width)
        if given.get("visibility") in _HIDDEN or any(self.groups):
            self.look.hidden_columns |= set(range(first, min(last, self.width)))

    def _end(self, name: str) -> None:
        if name in ("table-cell", "covered-table-cell") and self.cell:
            self._end_cell(self.cell)
            self.cell = None
        elif name == "table-row":
            self.row += self.repeated
        elif name in ("table-row-group", "table-column-group"):
            self.groups.pop()
        elif name in ("annotation", "shapes", "frame", "custom-shape"):
            self.notes -= 1
        elif name == "p":
            self.paragraphs -= 1
        elif name == "span":
            self.spans.pop()

    def _end_cell(self, cell: _Current) -> None:
        given, first = cell.given, self.column
        self.column += _count(given, "number-columns-repeated", LAST_COLUMN)
        right = _count(given, "number-columns-spanned", LAST_COLUMN)
        down = _count(given, "number-rows-spanned", LAST_ROW)
        if (right > 1 or down > 1) and not cell.is_covered:
            self.look.merges.append(Merge(self.row, first, self.row + down - 1, first + right - 1))
        text = "".join(one for _, one in cell.texts)
        formula = given.get("formula")
        if not (text or formula or "value-type" in given) or first >= self.width:
            return
        columns = range(first, min(self.column, self.width))
        if len(columns) * self.repeated > MAX_MARKED:
            raise WorkbookTooDemanding(name=self.name)
        for row in range(self.row, self.row + self.repeated):
            for column in columns:
                self._note(row, column, cell, text)

    def _note(self, row: int, column: int, cell: _Current, text: str) -> None:
        look, given, place = self.look, cell.given, (row, column)
        style = self._style(given, column)
        look.dress(place, style)
        if "formula" in given:
            look.formulas[place] = "value-type" in given or cell.has_text
        if given.get("calcext:value-type") == "error" or ("formula" in given and _ERROR.fullmatch(text.strip())):
            look.errors[place] = text.strip() or "#N/A"
        if given.get("value-type") == "currency" and given.get("currency"):
            look.currencies[place] = given["currency"]
        runs = frozenset(own for own, one in cell.texts if one.strip())
        if runs - {None}:
            look.runs[place] = runs
        if given.get("value-type") == "time" and (span := _DURATION.fullmatch(given.get("time-value", ""))):
            look.values[place] = _time(*(float(one or 0) for one in span.groups()))
        elif text.strip() and given.get("value-type") not in _TYPES:
            look.values[place] = text
        elif given.get("value-type") in ("float", "boolean") and text.strip() in ("TRUE", "FALSE"):
            look.values[place] = text.strip() == "TRUE"

    def _style(self, given: dict[str, str], column: int) -> Style:
        name = given.get("style-name") or self.row_style
        if not name:
            name = next((style for last, style in self.column_styles if column < last), "")
        return self.styles.style(name)


def _time(hours: float, minutes: float, seconds: float) -> time | timedelta:
    span = timedelta(hours=hours, minutes=minutes, seconds=round(seconds))
    if span >= timedelta(days=1):
        return span
    return (datetime(1900, 1, 1) + span).time()  # noqa: DTZ001 (any day will do)


def _count(given: dict[str, str], key: str, most: int) -> int:
    text = given.get(key, "1")
    return max(1, min(int(text), most)) if text.isdecimal() and len(text) < 9 else 1

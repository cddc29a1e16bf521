"""An .xlsx workbook's own XML around its sheets: which there are, their styles, texts that are struck out."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree  # expat itself refuses to multiply entities

from clearance.sheets import formats
from clearance.sheets.cells import Merge
from clearance.sheets.looks import Look, Runs, Style

LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
_TRUE = frozenset({"1", "true", "on"})
_RANGE = re.compile(r"\$?([A-Za-z]{1,3})?\$?(\d{1,7})?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A sheet of a workbook and the part that holds it."""

    title: str
    part: str
    is_visible: bool
    is_table: bool  # no chart, no dialog


class Book:
    """What a workbook's parts say about its sheets and their styles; `part` gives one by its name, empty if missing.

    :raises ParseError: a part isn't well formed.
    """

    def __init__(self, part: Callable[[str], bytes], names: Iterable[str]) -> None:
        self._part = part
        self._names = {name.lower(): name for name in names}
        self.entries: list[Entry] = []
        self.counts_from_1904 = False
        self.styles_part = self.strings_part = ""
        self.has_macro_sheets = False
        main = next(
            (part for kind, part in self._relations("").values() if kind == "officeDocument"), "xl/workbook.xml"
        )
        self._read(main, self._relations(main))

    def _relations(self, of: str) -> dict[str, tuple[str, str]]:
        """Kinds and targets of a part's relations by their ids."""
        folder, name = posixpath.split(of)
        return {
            node.get("Id", ""): (node.get("Type", "").rpartition("/")[2], self._target(folder, node.get("Target", "")))
            for node in _nodes(self._part(self._names.get(f"{folder}/_rels/{name}.rels".lower().lstrip("/"), "")))
            if _local(node.tag) == "Relationship"
        }

    def _read(self, main: str, relations: dict[str, tuple[str, str]]) -> None:
        parts = dict(relations.values())
        self.styles_part = parts.get("styles", "xl/styles.xml")
        self.strings_part = parts.get("sharedStrings", "xl/sharedStrings.xml")
        for node in _nodes(self._part(main)):
            kind = _local(node.tag)
            if kind == "workbookPr":
                self.counts_from_1904 = is_on(node.get("date1904", ""))
            elif kind == "sheet":
                link = next((value for key, value in node.items() if key.endswith("}id")), "")
                of, part = relations.get(link, ("", ""))
                is_visible = node.get("state", "visible") == "visible"
                self.has_macro_sheets |= "macro" in of.lower()
                self.entries.append(Entry(node.get("name", ""), part, is_visible, of == "worksheet"))

    def _target(self, folder: str, target: str) -> str:
        path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        return self._names.get(path.lower(), path)

    def styles(self) -> list[Style]:
        return styles_of(self._part(self.styles_part))

    def runs(self) -> dict[int, Runs]:
        return runs_of_texts(self._part(self.strings_part))


def styles_of(part: bytes) -> list[Style]:
    """The styles of cells by their number."""
    codes: dict[int, str] = {}
    struck: list[bool] = []
    found: list[Style] = []
    for above, node in _nested(part):
        kind = _local(node.tag)
        if kind == "numFmt" and above != "dxf":
            codes[_int(node.get("numFmtId"))] = node.get("formatCode", "")
        elif kind == "font" and above == "fonts":
            strike = next((one for one in node if _local(one.tag) == "strike"), None)
            struck.append(strike is not None and is_on(strike.get("val", "1")))
        elif kind == "xf" and above == "cellXfs":
            font = _int(node.get("fontId"))
            is_struck = 0 <= font < len(struck) and struck[font]
            found.append(Style.of(formats.from_number(_int(node.get("numFmtId")), codes), is_struck_out=is_struck))
    return found


def is_on(value: str) -> bool:
    return value in _TRUE


def runs_of_texts(part: bytes) -> dict[int, Runs]:
    """The shared texts with runs that are struck out or, by what they say themselves, aren't."""
    if b"strike" not in part and b"rPr" not in part:
        return {}
    texts = (node for _, node in _nested(part) if _local(node.tag) == "si")
    return {number: runs for number, text in enumerate(texts) if (runs := _runs(text))}


def _runs(text: ElementTree.Element) -> Runs | None:
    found: set[bool | None] = set()
    for node in text:
        name, said = _local(node.tag), "".join(one.text or "" for one in node.iter() if _local(one.tag) == "t")
        if name == "t" and (node.text or "").strip():
            found.add(None)
        elif name == "r" and said.strip():
            found.add(_is_struck(node))
    return frozenset(found) if found - {None} else None


def _is_struck(run: ElementTree.Element) -> bool | None:
    """Whether a run is struck out; None: it doesn't say how it looks, but looks as its cell."""
    given = next((one for one in run if _local(one.tag) == "rPr"), None)
    if given is None:
        return None
    return any(_local(one.tag) == "strike" and is_on(one.get("val", "1")) for one in given)


def _nodes(part: bytes) -> Iterator[ElementTree.Element]:
    if part:
        yield from ElementTree.fromstring(part).iter()  # noqa: S314


def _nested(part: bytes) -> Iterator[tuple[str, ElementTree.Element]]:
    """Each element with the name of the one around it."""
    if not part:
        return
    for node in ElementTree.fromstring(part).iter():  # noqa: S314
        name = _local(node.tag)
        for child in node:
            yield name, child


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _int(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 9 else 0


def is_zero(size: str) -> bool:
    return bool(size) and not size.strip("0.")


def note_columns(look: Look, given: Mapping[str, str], most: int) -> None:
    """Note width and hiding of the columns that a `col` element is about."""
    first, last, width = (given.get(key, "") for key in ("min", "max", "width"))
    if not (first.isdecimal() and last.isdecimal() and len(first) < 6 and len(last) < 6):
        return
    columns = range(int(first) - 1, min(int(last), most))
    if re.fullmatch(r"\d{1,3}(\.\d+)?", width):
        look.widths |= dict.fromkeys(columns, float(width))
    if is_on(given.get("hidden", "")) or is_zero(width):
        look.hidden_columns |= set(columns)


def column_index(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def merge_of(reference: str) -> Merge | None:
    """A merge from “A1:B2”, “1:1” or “A:B”; None if it can't be one."""
    first, _, last = reference.partition(":")
    start, end = _RANGE.fullmatch(first.strip()), _RANGE.fullmatch((last or first).strip())
    if not (start and end and first):
        return None
    left, right = (column_index(one[1]) if one[1] else None for one in (start, end))
    top, bottom = (int(one[2]) - 1 if one[2] else None for one in (start, end))
    merge = Merge(
        top or 0, left or 0, LAST_ROW - 1 if bottom is None else bottom, LAST_COLUMN - 1 if right is None else right
    )
    return merge if 0 <= merge.top <= merge.bottom < LAST_ROW and merge.left <= merge.right < LAST_COLUMN else None

"""Styles of an .ods workbook: its number formats, which are XML, as format codes, and what is struck out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree

from clearance.sheets.formats import Format, compiled
from clearance.sheets.looks import Style

_PLAIN = compiled("General")
_PARTS = {"year": "y", "month": "m", "day": "d", "day-of-week": "d", "hours": "h", "minutes": "m", "seconds": "s"}
_LENGTH = re.compile(r"(\d{1,4}(?:\.\d+)?)(cm|mm|in|pt)")
_LETTERS = {"cm": 5.1, "mm": 0.51, "in": 13.0, "pt": 0.18}  # that have room in a length, about
_SIMPLE = {"text-content": "@", "am-pm": "AM/PM", "boolean": "General", "era": "g", "quarter": '"Q"'}
_KINDS = frozenset(
    {"number-style", "currency-style", "percentage-style", "date-style", "time-style", "text-style", "boolean-style"}
)


def local(tag: str) -> str:
    """A name without its namespace; `calcext` repeats names of others, so it keeps its own."""
    uri, _, name = tag.rpartition("}")
    return f"calcext:{name}" if uri.endswith("calcext:1.0") else name


def attributes(given: Mapping[str, str]) -> dict[str, str]:
    return {local(key): value for key, value in given.items()}


@dataclass(slots=True)
class _Declared:
    """A style as it is written, with what it inherits by name only."""

    parent: str
    data: str | None
    is_struck_out: bool | None


@dataclass(slots=True)
class Styles:
    """The styles of a workbook by their names, from `styles.xml` and `content.xml`."""

    cells: dict[str, _Declared] = field(default_factory=dict)
    texts: dict[str, bool | None] = field(default_factory=dict)  # of runs: struck out or not
    codes: dict[str, str] = field(default_factory=dict)
    widths: dict[str, float] = field(default_factory=dict)  # of columns, in letters
    _maps: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    _made: dict[str, Style] = field(default_factory=dict)

    def add(self, node: ElementTree.Element) -> None:
        """Take in a style's element; others are passed over."""
        kind, given = local(node.tag), attributes(node.attrib)
        name = given.get("name", "")
        if kind == "style" and given.get("family") == "table-cell":
            self.cells[name] = _Declared(
                given.get("parent-style-name", ""), given.get("data-style-name"), _struck(node)
            )
        elif kind == "style" and given.get("family") == "text":
            self.texts[name] = _struck(node)
        elif kind == "style" and given.get("family") == "table-column":
            self.widths[name] = _width(node)
        elif kind in _KINDS:
            self.codes[name] = "".join(_code(part, is_percent=kind == "percentage-style") for part in node)
            maps = [attributes(part.attrib) for part in node if local(part.tag) == "map"]
            self._maps[name] = [
                (one.get("condition", "").replace("value()", "").strip(), one.get("apply-style-name", ""))
                for one in maps
            ]

    def style(self, name: str) -> Style:
        """What matters of a cell's style."""
        if name not in self._made:
            data, is_struck, seen = None, None, set()
            at = name or "Default"
            while at in self.cells and at not in seen:
                seen.add(at)
                one = self.cells[at]
                data = one.data if data is None else data
                is_struck = one.is_struck_out if is_struck is None else is_struck
                at = one.parent
            self._made[name] = Style.of(self._format(data or ""), is_struck_out=bool(is_struck))
        return self._made[name]

    def _format(self, name: str) -> Format:
        if name not in self.codes:
            return _PLAIN
        sections = [f"[{condition}]{self.codes.get(other, '')}" for condition, other in self._maps[name]]
        return compiled(";".join([*sections, self.codes[name]]))


def _width(node: ElementTree.Element) -> float:
    sizes = [size for part in node if (size := _LENGTH.fullmatch(attributes(part.attrib).get("column-width", "")))]
    return round(float(sizes[0][1]) * _LETTERS[sizes[0][2]], 2) if sizes else 0.0


def _struck(node: ElementTree.Element) -> bool | None:
    for part in node:
        if local(part.tag) == "text-properties":
            given = attributes(part.attrib)
            line = given.get("text-line-through-style", given.get("text-line-through-type"))
            if line is not None:
                return line != "none"
    return None


def _code(part: ElementTree.Element, *, is_percent: bool) -> str:
    """One part of a number format in the letters of a code."""
    kind, given, text = local(part.tag), attributes(part.attrib), part.text or ""
    if kind == "text":
        return "%".join(map(_literal, text.split("%"))) if is_percent else _literal(text)
    if kind == "currency-symbol":
        return f"[${text}]" if text.strip() else ""
    if kind in _PARTS:
        return _part(kind, given)
    if kind == "number":
        return _number(part, given)
    return _SIMPLE.get(kind, "") or _unusual(kind, given)


def _unusual(kind: str, given: dict[str, str]) -> str:
    if kind == "scientific-number":
        return f"{_digits(given)}E+{'0' * max(1, _count(given, 'min-exponent-digits'))}"
    if kind == "fraction":
        below = given.get("denominator-value") or "?" * max(1, _count(given, "min-denominator-digits"))
        return f"{'# ' if 'min-integer-digits' in given else ''}?/{below}"
    return ""


def _part(kind: str, given: dict[str, str]) -> str:
    letter, is_long = _PARTS[kind], given.get("style") == "long"
    if kind == "day-of-week":
        return "dddd" if is_long else "ddd"
    if kind == "month" and given.get("textual") == "true":
        return "mmmm" if is_long else "mmm"
    if kind == "year":
        return "yyyy" if is_long else "yy"
    text = letter * (2 if is_long else 1)
    return f"[{text}]" if given.get("truncate-on-overflow") == "false" else text


def _number(part: ElementTree.Element, given: dict[str, str]) -> str:
    if "decimal-places" not in given and _count(given, "min-integer-digits") <= 1 and given.get("grouping") != "true":
        return "General"
    code = _digits(given)
    whole, point, decimals = code.partition(".")
    for inner in part:  # letters among the digits, counted from the right
        if local(inner.tag) == "embedded-text":
            at = len(whole) - _count(attributes(inner.attrib), "position")
            whole = "#" * max(0, -at) + whole
            whole = f"{whole[: max(at, 0)]}{_literal(inner.text or '')}{whole[max(at, 0) :]}"
    factor = given.get("display-factor", "1").partition(".")[0]
    return whole + "," * ((len(factor) - 1) // 3) + point + decimals


def _digits(given: dict[str, str]) -> str:
    zeros, places = min(_count(given, "min-integer-digits"), 60), min(_count(given, "decimal-places"), 60)
    whole = "0" * zeros or "#"
    if given.get("grouping") == "true":
        whole = f"#,{'#' * max(0, 3 - zeros)}{whole}" if zeros < 4 else f"#,{whole}"
    least = _count(given, "min-decimal-places") if "min-decimal-places" in given else places
    decimals = "0" * min(least, places) + "#" * max(0, places - least)
    return f"{whole}.{decimals}" if decimals else whole


def _literal(text: str) -> str:
    return "".join(f'"{one}"' if one != '"' else '\\"' for one in text) if '"' in text else f'"{text}"' if text else ""


def _count(given: dict[str, str], key: str) -> int:
    text = given.get(key, "0")
    return int(text) if text.isdecimal() and len(text) < 5 else 0

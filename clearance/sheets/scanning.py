"""A large sheet of an .xlsx workbook, searched by patterns for what little matters: fast, where it is spelt as usual.

Parsing hundreds of thousands of cells one by one would cost several times what reading them does. `is_usual` says
whether a part is spelt as programs spell it, so that the patterns find everything; `scan` counts, to be sure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from clearance.sheets.looks import Look, Runs, Style
from clearance.sheets.xlsx import column_index, is_on, is_zero, merge_of, note_columns

# A cell whose address is missing, unusual, or beyond column CZ or row 59,999; elements with a namespace prefix.
_FAR_CELL = re.compile(rb'<c(?! r="[A-C]?[A-Z][1-5]?[0-9]{1,4}")[\s/>]')
_PREFIXED = re.compile(rb":(?:c|si)[\s/>]")
_DIMENSION = re.compile(rb'<dimension ref="[A-Z]{1,3}\d{1,7}(?::[A-Z]{1,3}\d{1,7})?"')
_MERGE = re.compile(rb'<mergeCell ref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})" ?/?>')
_ERROR = re.compile(
    rb'<c r="([A-Z]{1,2})(\d{1,5})"[^>]{0,99} t="e"[^>]{0,99}>'
    rb"(?:<f[^>]{0,999}>[^<]{0,8192}</f>|<f[^>]{0,999}/>)?<v>([^<]{2,20})</v>"
)
_FORMULA = re.compile(
    rb'<c r="([A-Z]{1,2})(\d{1,5})"([^>]{0,99})><f(?:[^>]{0,999}/>|(?:\s[^>]{0,999})?>[^<]{0,32767}</f>)'
    rb"(?:<v>([^<]{0,32767})</v>|<v ?/>)?"
)
_STYLED = re.compile(rb'<c r="([A-Z]{1,2})(\d{1,5})"(?: t="\w{1,9}")? s="(\d{1,6})"')
_TEXT = re.compile(rb'<c r="([A-Z]{1,2})(\d{1,5})"[^>]{0,99} t="s"[^>]{0,99}><v>(\d{1,9})</v>')
_ROW = re.compile(rb"<row ([^>]*)>")
_COLUMN = re.compile(rb"<col ([^>]*)>")
_ATTRIBUTE = re.compile(rb'(\w+)="([^"]*)"')
# What the reading library knows; any other would make it refuse the workbook.
_ERRORS = frozenset({b"#DIV/0!", b"#N/A", b"#NAME?", b"#NULL!", b"#NUM!", b"#REF!", b"#VALUE!"})
_HEAD = 256 * 1024  # in which the first dates of most columns stand


def is_usual(part: bytes) -> bool:
    """Whether the patterns will find all that there is to find, and the reading library won't stumble."""
    if (b"'" in part and b"='" in part) or (b"!" in part and b"<!" in part) or b"<rPr>" in part:
        return False  # other quotation marks, comments, texts in the cells themselves that are struck out in parts
    if _FAR_CELL.search(part) or _PREFIXED.search(part):
        return False
    head, tail = _ends(part)
    return (
        b"zeroHeight" not in head
        and head.count(b"<dimension") == len(_DIMENSION.findall(head))
        and tail.count(b"<mergeCell ") == len(_MERGE.findall(tail))
        and (b't="e"' not in part or part.count(b't="e"') == sum(one[2] in _ERRORS for one in _ERROR.findall(part)))
    )


def is_prefixed(part: bytes) -> bool:
    return bool(_PREFIXED.search(part))


def scan(part: bytes, *, styles: Sequence[Style], runs: Mapping[int, Runs]) -> Look | None:
    """The look of a sheet that `is_usual`; None if something has been found that isn't."""
    look = Look()
    for column, row, number in _STYLED.findall(part, 0, _HEAD):
        if int(number) < len(styles):
            look.dress((int(row) - 1, _column(column)), styles[int(number)])
    telling = {number: style for number, style in enumerate(styles) if not style.is_dull}
    if telling:
        numbers = b"|".join(str(number).encode() for number in telling) if len(telling) <= 40 else rb"\d{1,9}"
        styled = re.compile(rb'<c r="([A-Z]{1,2})(\d{1,5})"(?: t="\w{1,9}")? s="(' + numbers + rb')"')
        for column, row, number in (match.groups() for match in styled.finditer(part)):
            if style := telling.get(int(number)):
                look.styles[int(row) - 1, _column(column)] = style
    for column, row, text in (match.groups() for match in _ERROR.finditer(part)) if b't="e"' in part else ():
        look.errors[int(row) - 1, _column(column)] = text.decode()
    if not (_formulas(part, look) and _hidden(part, look)):
        return None
    if runs:
        for column, row, number in (match.groups() for match in _TEXT.finditer(part)):
            if own := runs.get(int(number)):
                look.runs[int(row) - 1, _column(column)] = own
    look.merges = [merge for text in _MERGE.findall(_ends(part)[1]) if (merge := merge_of(text.decode()))]
    return look


def _formulas(part: bytes, look: Look) -> bool:
    """Find the formulas; false if some are spelt in an unusual way."""
    if b"</f>" not in part and b"<f t=" not in part:
        return True
    for column, row, given, value in (match.groups() for match in _FORMULA.finditer(part)):
        has_result = bool(value) or (value is not None and b't="str"' in given)
        look.formulas[int(row) - 1, _column(column)] = has_result
    return len(look.formulas) == part.count(b"<f>") + part.count(b"<f ")


def _hidden(part: bytes, look: Look) -> bool:
    """Find hidden rows and columns; false if a row doesn't say which it is."""
    if b'hidden="' in part or b' ht="0' in part:
        for match in _ROW.finditer(part):
            given = _attributes(match[1])
            if is_on(given.get("hidden", "")) or is_zero(given.get("ht", "")):
                if "r" not in given:
                    return False
                look.hidden_rows.add(int(given["r"]) - 1)
    for match in _COLUMN.finditer(_ends(part)[0]):
        note_columns(look, _attributes(match[1]), 256)
    return True


def _attributes(text: bytes) -> dict[str, str]:
    return {key.decode(): value.decode("utf-8", "replace") for key, value in _ATTRIBUTE.findall(text)}


def _ends(part: bytes) -> tuple[bytes, bytes]:
    """What stands before and after the cells."""
    start, end = part.find(b"<sheetData"), part.rfind(b"</sheetData")
    return part[: max(start, 0)], part[max(end, 0) :]


def _column(letters: bytes) -> int:
    return column_index(letters.decode())

"""A .csv file as a sheet of texts: which encoding and which separator it has is found out, as Excel doesn't say."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import PurePath

from clearance.sheets.cells import Mark, Sheet
from clearance.sheets.refusals import (
    CsvMixesEncodings,
    CsvQuoteOpen,
    NotText,
    SheetNotFound,
    TooManyColumns,
    TooManyRows,
)
from clearance.sheets.workbooks import HEAD, MAX_COLUMNS, MAX_ROWS, Rows, Wanted, choose

_SEPARATORS = (",", ";", "\t")
_SAMPLE = 50  # rows by which the separator is judged
_LONGEST_CELL = 1_000_000
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_BINARY = (
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0",
    b"%PDF",
    b"\x1f\x8b",
    b"Rar!",
    b"7z\xbc\xaf",
    b"\x89PNG",
    b"\xff\xd8\xff",
)
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffe\uffff]")
_UTF_8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_NAMED_SEPARATOR = re.compile(r'"?sep=([,;\t])"?\r?\n?', re.IGNORECASE)
# Letters beyond ASCII, and what they touch: Arabic words are all of them, in Western ones they stand among others.
_WORD = re.compile(rb"[A-Za-z\x81\x8a\x8c-\x90\x98\x9a\x9c-\x9f\xaa\xc0-\xff]+")
_ERRORS = frozenset({"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!", "#CALC!"})


def is_delimited(name: str) -> bool:
    return name.lower().endswith(".csv")


def read_delimited(data: bytes, *, name: str, sheet: str | None, wanted: Wanted | None) -> Sheet:
    """Read a file of separated values; all cells are texts. Its one sheet has the file's name without the ending.

    :raises Invalid: it is no text, its encoding is broken, or a quotation mark isn't closed.
    """
    title = PurePath(name).stem
    if sheet is not None and sheet.strip().casefold() != title.strip().casefold():
        raise SheetNotFound(sheet=sheet, names=title)
    text = _decoded(data, name)
    named = _NAMED_SEPARATOR.match(text)
    text = text[named.end() :] if named else text
    separators = [named[1]] if named else _by_likelihood(text)
    separator = next((one for one in separators if wanted and wanted(_head(text, one))), separators[0])
    rows = _rows(text, separator, title=title, name=name)
    choose([(title, rows, None)], wanted)
    return _sheet(title, rows)


def _decoded(data: bytes, name: str) -> str:
    if data.startswith(_BINARY):
        raise NotText(name=name)
    try:
        encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding:
            raise NotText(name=name) from error
        text = _of_a_code_page(data, name)
    if _CONTROLS.search(text):
        raise NotText(name=name)
    return text


def _of_a_code_page(data: bytes, name: str) -> str:
    """The text of a file from before UTF-8, Western or Arabic.

    Half a letter in a file of UTF-8 must not turn all the others into rubbish: that is refused.
    """
    whole = _UTF_8.findall(data)
    if len(whole) > sum(byte > 127 for byte in data) - sum(map(len, whole)):
        raise CsvMixesEncodings(name=name)
    arabic = western = 0
    for word in _WORD.findall(data):
        letters = sum(byte > 127 for byte in word)
        if letters == len(word) and letters > 1:
            arabic += letters
        elif letters < len(word):
            western += letters
    if arabic <= western:
        try:
            return data.decode("cp1252")
        except UnicodeDecodeError:
            pass
    return data.decode("cp1256")


def _by_likelihood(text: str) -> list[str]:
    """The separators, that one first by which most cells stand in rows of one width."""

    def score(separator: str) -> int:
        widths = Counter(len(row) for row in _head(text, separator)[:_SAMPLE] if any(row))
        return max(((width - 1) * number for width, number in widths.items()), default=0)

    return sorted(_SEPARATORS, key=score, reverse=True)


def _head(text: str, separator: str) -> Rows:
    try:
        return list(islice(_records(text, separator), HEAD))
    except csv.Error:  # told when the whole is read
        return []


def _records(text: str, separator: str) -> Iterator[list[str]]:
    csv.field_size_limit(_LONGEST_CELL)
    return csv.reader(StringIO(text, newline=""), delimiter=separator)


def _rows(text: str, separator: str, *, title: str, name: str) -> Rows:
    rows: Rows = []
    filled = 0
    try:
        for record in _records(text, separator):
            while record and not record[-1].strip():
                record.pop()
            rows.append(record or ())
            filled += bool(record)
            if filled > MAX_ROWS:
                raise TooManyRows(sheet=title, limit=MAX_ROWS)
            if len(record) > MAX_COLUMNS:
                raise TooManyColumns(sheet=title, limit=MAX_COLUMNS)
    except csv.Error as error:
        raise NotText(name=name) from error
    if _is_left_open(text, separator):
        raise CsvQuoteOpen(name=name, row=len(rows))
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _is_left_open(text: str, separator: str) -> bool:
    """Whether a quotation mark isn't closed: the rest of the file has become one cell."""
    try:
        for _ in csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _sheet(title: str, rows: Rows) -> Sheet:
    errors = {
        (number, column): Mark(error=cell.strip())
        for number, row in enumerate(rows)
        for column, cell in enumerate(row)
        if isinstance(cell, str) and cell[:1] == "#" and cell.strip() in _ERRORS
    }
    return Sheet(title, rows, errors)

"""Reading one sheet of a workbook, here or, where it can't be trusted to be harmless, in a child process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from clearance.sheets import apart
from clearance.sheets.cells import Sheet
from clearance.sheets.delimited import is_delimited, read_delimited
from clearance.sheets.inspection import Archive, Way, inspect
from clearance.sheets.refusals import WorkbookTooLarge
from clearance.sheets.workbooks import HEAD, NotHere, Wanted, choose, complaints, open_here

MAX_BYTES = 10 * 1024 * 1024


def read(
    content: bytes | Path,
    *,
    name: str,
    sheet: str | None = None,
    wanted: Wanted | None = None,
    max_bytes: int = MAX_BYTES,
) -> Sheet:
    """Read one sheet of an .xlsx, .xlsb, .xls, .ods or .csv file: the named one, else the first visible one.

    Without a sheet's name `wanted` is asked about the first 200 rows of each visible sheet: the first that it wants is
    read, and `others` are the titles of further ones; without `wanted` it is the first with content. Formulas give
    their stored results, and a formula's error its text (“#REF!”). `name` is the file's name, for messages and its
    ending.

    :raises Invalid: a subclass that says what is wrong: too large, damaged, protected, macros, a bomb, no such sheet.
    :raises NoSheetWanted: none of the sheets, which it names, was wanted.
    """
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size > max_bytes:
        raise WorkbookTooLarge(limit=max_bytes // (1024 * 1024))
    data = content if isinstance(content, bytes) else content.read_bytes()

    if is_delimited(name):
        return read_delimited(data, name=name, sheet=sheet, wanted=wanted)
    way, archive = inspect(data, name)
    if way is not Way.APART and archive:
        try:
            return _read_here(data, archive, way, sheet, wanted)
        except NotHere:
            pass
    return _read_apart(data, name, sheet, wanted)


def _read_here(data: bytes, archive: Archive, way: Way, sheet: str | None, wanted: Wanted | None) -> Sheet:
    with complaints(NotHere()):
        book = open_here(data, archive, is_parsed=way is Way.PARSED, only=sheet)
        titles = book.visible() if sheet is None else [book.named(sheet)]
        seen = ((title, *book.rows(title)) for title in titles)
        title, rows, others = choose(seen, wanted if sheet is None else None, is_named=sheet is not None)
        return book.sheet(title, rows, others=others)


def _read_apart(data: bytes, name: str, sheet: str | None, wanted: Wanted | None) -> Sheet:
    """Have a child process read; it can't be told what is wanted, so it shows first what there is."""
    if sheet is not None or wanted is None:
        return apart.sheet(apart.Task(data, name, sheet))
    found = apart.seen(apart.Task(data, name, head=HEAD))
    if isinstance(found, Sheet):
        choose([(found.name, found.rows, None)], wanted)
        return found
    title, _, others = choose(found, wanted)
    return replace(apart.sheet(apart.Task(data, name, title)), others=others)

"""Reading one sheet of a workbook, here or, where it can't be trusted to be harmless, in a child process."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import python_calamine as calamine

from clearance.errors import Invalid
from clearance.sheets.cells import Cell, Sheet
from clearance.sheets.inspection import inspect
from clearance.sheets.refusals import (
    NotAWorkbook,
    SheetEmpty,
    SheetNotFound,
    TooManyColumns,
    TooManyRows,
    WorkbookHasMacros,
    WorkbookProtected,
    WorkbookTooDemanding,
    WorkbookTooLarge,
)

MAX_BYTES = 10 * 1024 * 1024
MAX_ROWS = 50_000
MAX_COLUMNS = 256
CHILD_MEMORY = 1024**3
CHILD_SECONDS = 60


def read(content: bytes | Path, *, name: str, sheet: str | None = None, max_bytes: int = MAX_BYTES) -> Sheet:
    """Read one sheet of an .xlsx, .xls, .xlsb or .ods workbook: the named one, else the first visible with content.

    Formulas give their cached values, and a formula's error its text (“#REF!”; in .xlsx only, elsewhere it is blank).
    `name` is the file's name, for messages and its ending.

    :raises Invalid: a subclass that says what is wrong: too large, damaged, protected, macros, a bomb, no such sheet.
    """
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size > max_bytes:
        raise WorkbookTooLarge(limit=max_bytes // (1024 * 1024))
    data = content if isinstance(content, bytes) else content.read_bytes()

    findings = inspect(data, name)
    found = (_extract if findings.harmless else _extract_apart)(data, name, sheet)
    for row, column, text in findings.errors_of(found.name):
        found.rows.extend([()] * (row + 1 - len(found.rows)))
        cells = [*found.rows[row], *[""] * (column + 1 - len(found.rows[row]))]
        cells[column] = text
        found.rows[row] = cells
    return found


def _extract(data: bytes, name: str, sheet: str | None) -> Sheet:
    try:
        with calamine.load_workbook(BytesIO(data)) as book:
            for title in _titles(book, name, sheet):
                rows = _rows(book.get_sheet_by_name(title))
                if rows or sheet is not None:
                    return Sheet(title, rows)
    except calamine.PasswordError as error:
        raise WorkbookProtected(name=name) from error
    except calamine.CalamineError as error:
        raise NotAWorkbook(name=name) from error
    except BaseException as error:
        if type(error).__module__ == "pyo3_runtime":  # a Rust panic is no Exception
            raise NotAWorkbook(name=name) from error
        raise
    raise SheetEmpty


def _titles(book: calamine.CalamineWorkbook, name: str, sheet: str | None) -> list[str]:
    """The sheets to look at, in their order."""
    kinds = calamine.SheetTypeEnum
    if any(one.typ in (kinds.MacroSheet, kinds.Vba) for one in book.sheets_metadata):
        raise WorkbookHasMacros(name=name)
    tables = [one for one in book.sheets_metadata if one.typ == kinds.WorkSheet]
    visible = [one.name for one in tables if one.visible == calamine.SheetVisibleEnum.Visible]
    if sheet is None:
        return visible
    wanted = sheet.strip().casefold()
    found = [one.name for one in tables if one.name.strip().casefold() == wanted]
    if not found:
        raise SheetNotFound(sheet=sheet, names=", ".join(visible))
    return [sheet] if sheet in found else found[:1]


def _rows(sheet: calamine.CalamineSheet) -> list[Sequence[Cell]]:
    """The cells from A1 on; calamine leaves out empty columns at the left, but not empty rows at the top."""
    left: list[Any] = [""] * (sheet.start[1] if sheet.start else 0)
    rows: list[Sequence[Cell]] = []
    filled = 0
    for row in sheet.iter_rows():
        while row and (row[-1] == "" or (type(row[-1]) is str and not row[-1].strip())):
            row.pop()
        if not row:
            rows.append(())
            continue
        filled += 1
        if filled > MAX_ROWS:
            raise TooManyRows(sheet=sheet.name, limit=MAX_ROWS)
        if len(left) + len(row) > MAX_COLUMNS:
            raise TooManyColumns(sheet=sheet.name, limit=MAX_COLUMNS)
        rows.append(left + row if left else row)
    while rows and not rows[-1]:
        rows.pop()
    return rows


_CHILD = """
from django.conf import settings
settings.configure(USE_I18N=False)
from clearance.sheets.reading import serve
serve()
"""
_EXHAUSTED = 70


def _extract_apart(data: bytes, name: str, sheet: str | None) -> Sheet:
    """Do `_extract` in a child process that has little memory and none of our secrets."""
    root = str(Path(__file__).parents[2])
    try:
        child = subprocess.run(  # noqa: S603 (our own interpreter, our own code)
            [sys.executable, "-c", _CHILD],
            input=pickle.dumps((data, name, sheet)),
            capture_output=True,
            cwd=root,
            env={"PYTHONPATH": root},
            timeout=CHILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkbookTooDemanding(name=name) from error
    if child.returncode < 0 or child.returncode == _EXHAUSTED:  # killed: aborted for want of memory, out of time
        raise WorkbookTooDemanding(name=name)
    if child.returncode:
        raise RuntimeError(f"The reading process failed: {child.stderr.decode(errors='replace')[-2_000:]}")
    outcome, content = pickle.loads(child.stdout)  # noqa: S301 (written by the child's `serve`)
    if outcome != "Sheet":
        _refuse_as_the_child(outcome, content)
    return Sheet(*content)


def _refuse_as_the_child(refusal: str, context: dict[str, object]) -> NoReturn:
    raise next(kind for kind in Invalid.__subclasses__() if kind.__name__ == refusal)(**context)


def serve() -> None:
    """Be the child of `_extract_apart`: a task on stdin, the sheet or the refusal on stdout."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY, CHILD_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CHILD_SECONDS, CHILD_SECONDS))
    answer: tuple[str, Any]
    try:
        found = _extract(*pickle.load(sys.stdin.buffer))  # noqa: S301 (written by our parent)
        answer = "Sheet", (found.name, found.rows)
    except Invalid as refusal:
        answer = type(refusal).__name__, refusal.context
    except MemoryError:
        os._exit(_EXHAUSTED)
    pickle.dump(answer, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)
    sys.stdout.buffer.flush()
    os._exit(0)  # freeing a million cells one by one is wasted time

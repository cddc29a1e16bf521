"""The ways to read a tracker workbook. Needs no Django."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from pathlib import Path

import openpyxl
import python_calamine

from benchmarks import tracker
from clearance import sheets
from shipments import imports


def write(path: str, rows: str, today: str) -> None:
    tracker.write(Path(path), int(rows), today=date.fromisoformat(today))


def calamine(path: str) -> dict[str, float]:
    started = time.perf_counter()
    rows = python_calamine.load_workbook(path).get_sheet_by_index(0).to_python()
    return {"seconds": time.perf_counter() - started, "rows": len(rows)}


def ours(path: str) -> dict[str, float]:
    started = time.perf_counter()
    sheet = sheets.read(Path(path), name=path)
    read = time.perf_counter()
    found = imports.tracker(
        sheet, steps=[(number, f"Step {number}") for number, _ in tracker.STEPS], today=datetime.now(UTC).date()
    )
    parsed = time.perf_counter()
    return {"seconds": read - started, "parsing_seconds": parsed - read, "rows": len(found.rows)}


def openpyxl_read_only(path: str) -> dict[str, float]:
    return _openpyxl(path, read_only=True)


def openpyxl_whole(path: str) -> dict[str, float]:
    return _openpyxl(path, read_only=False)


def _openpyxl(path: str, *, read_only: bool) -> dict[str, float]:
    started = time.perf_counter()
    rows = list(openpyxl.load_workbook(path, read_only=read_only).active.iter_rows(values_only=True))
    return {"seconds": time.perf_counter() - started, "rows": len(rows)}

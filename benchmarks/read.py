"""Reading a tracker of 10,000 rows and 40 columns: ours against calamine alone (floor) and openpyxl (peers)."""

from __future__ import annotations

import tempfile
from datetime import date
from functools import partial
from pathlib import Path

from benchmarks.measure import Check, Report, finish, in_turns, part, sized

ROWS = sized(10_000)


def measure() -> Report:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracker.xlsx"
        part("reading", "write", path, ROWS, date.today())  # noqa: DTZ011 (any day will do)
        names = ("calamine", "ours", "openpyxl_read_only", "openpyxl_whole")
        found = in_turns(3, {name: partial(part, "reading", name, path) for name in names})
    floor, ours, lean, whole = (found[name] for name in names)
    return Report(
        "read",
        f"Read {ROWS:,} × 40 .xlsx",
        {
            "floor: python-calamine, to_python(), s": floor["seconds"],
            "ours: sheets.read (limits, inspection, formula errors), s": ours["seconds"],
            "ours: parsing the cells to typed rows on top, s": ours["parsing_seconds"],
            "peer: openpyxl, read-only, s": lean["seconds"],
            "peer: openpyxl, s": whole["seconds"],
            "floor: peak memory, MB": floor["peak_mb"],
            "ours: peak memory, typed rows included, MB": ours["peak_mb"],
            "peer: openpyxl, peak memory, MB": whole["peak_mb"],
        },
        [
            Check("sheets.read ÷ calamine", ours["seconds"] / floor["seconds"], 1.7),
            Check("openpyxl read-only ÷ sheets.read", lean["seconds"] / ours["seconds"], 5, at_least=True),
        ],
    )


if __name__ == "__main__":
    finish(measure())

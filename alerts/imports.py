"""The holidays' CSV → dates and names. No database."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

# Source: the holidays decreed in Oman. What hangs on the moon is computed ahead and estimated until it is announced.
HOLIDAYS = Path(__file__).parent / "data" / "holidays.csv"


def holidays(path: Path) -> Iterator[tuple[date, str, bool]]:
    """Read date, name and whether the date is confirmed."""
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            yield date.fromisoformat(line["on"]), line["name"], line["is_confirmed"] == "true"

"""A sheet as plain cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

Cell = str | float | int | bool | date | datetime | time | timedelta | Decimal | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet as plain cells: `rows[0]` is row 1 of the sheet, a row's first cell is column A.

    Trailing blanks are cut, so rows differ in length; a blank row is empty. A blank cell is `""`.
    """

    name: str
    rows: list[Sequence[Cell]]

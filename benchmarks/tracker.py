"""A made-up tracker as the clerks keep it: 21 columns about the shipment and 19 with the dates of steps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

FIELDS = (
    "S.No", "Shipment #", "Division", "Mode", "Supplier", "Brand", "Inv No.", "Inv Date", "LC No.", "Issuing Bank",
    "Inv Amount (OMR)", "B/L No.", "Vessel", "POL", "POD", "Sail Date", "Containers", "Qty", "Unit", "E.T.A", "A.T.A",
)  # fmt: skip
# Number and days from the ETA.
STEPS = (
    ("3.4", -16), ("3.5", -16), ("4.0", -15), ("5.0", -14), ("6.0", -13), ("6.1", -13), ("6.2", -13), ("7.0", -12),
    ("8.0", -1), ("9.0", 0), ("10.0", 3), ("11.0", 4), ("12.0", 5), ("13.0", 6), ("14.0", 7), ("15.0", 8),
    ("16.0", 8), ("17.0", 9), ("18.0", 11),
)  # fmt: skip
DIVISIONS = ("Tyres", "Batteries", "Light vehicles", "Heavy vehicles", "Parts")
UNITS = ("tyres", "units", "vehicles", "vehicles", "parts")
DAYS = 420  # the ETAs lie within so many days, the last ones ahead of today


def rows(number: int, *, today: date) -> Iterator[list[object]]:
    """Yield the rows: four shipments in five are history with every step dated, the others are under way."""
    chance = random.Random(number)
    for n in range(1, number + 1):
        eta = today - timedelta(days=DAYS - 60) + timedelta(days=n * DAYS // number)
        kind = n % len(DIVISIONS)
        sails = eta - timedelta(days=chance.randint(8, 19))
        fields: list[object] = [
            n,
            f"SHP-{today.year}-{n:06}",
            DIVISIONS[kind],
            "sea" if n % 10 else "air",
            f"Principal {n % 40:02}",
            f"Brand {n % 90:02}",
            f"INV/{n % 97:02}/{100_000 + n}",
            eta - timedelta(days=chance.randint(25, 40)),
            f"LC{n:08}" if n % 4 else f"LC{n:08}, LC{n + 1:08}",
            f"Bank {n % 12:02}",
            chance.randrange(1_000_000, 400_000_000) / 1000,
            f"BOL{n:09}",
            f"Vessel {n % 60:02}",
            f"Port {n % 30:02}",
            "Sohar" if n % 3 else "Salalah",
            sails,
            chance.randint(1, 12),
            chance.randint(10, 4_000),
            UNITS[kind],
            eta,
            eta if eta < today else None,
        ]
        dates = [eta + timedelta(days=offset + chance.randint(-1, 1)) for _, offset in STEPS]
        yield fields + [on if on <= today else None for on in dates]


def write(path: Path, number: int, *, today: date) -> None:
    """Write the workbook, with dates as Excel's own."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Tracker")
    sheet.append([*FIELDS, *(f"Step {step}" for step, _ in STEPS)])
    for row in rows(number, today=today):
        cells: list[object] = []
        for value in row:
            cell = WriteOnlyCell(sheet, value)
            if isinstance(value, date):
                cell.number_format = "dd/mm/yyyy"
            cells.append(cell)
        sheet.append(cells)
    book.save(path)

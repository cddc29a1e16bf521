"""The same tracker, saved by LibreOffice in each of its formats, is read alike: what it shows, or a fault."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import Workbook
from openpyxl.styles import Font

from clearance import sheets
from shipments import imports
from shipments.imports.heading_rows import resembles_a_tracker
from shipments.imports.headings import Steps
from shipments.imports.notes import notes_on
from shipments.tests.trackers import STEPS, TODAY

ENDINGS = ("xlsx", "ods", "xls")
ETA, ACTUAL = date(2026, 6, 10), date(2026, 6, 14)

pytestmark = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) isn't installed")


def draft() -> Workbook:
    """Two heading rows below a title and another sheet; each row shows one kind of thing."""
    book = Workbook()
    book.active.title = "Summary"
    book.active["A1"] = "Imports of this year"
    sheet = book.create_sheet("Tracker")
    sheet.append(["Imports 2026"])
    head = [
        "Shipment number",
        "Principal",
        "Brand",
        "Invoice amount (OMR)",
        "ETA",
        "B/L number",
        "Vessel",
        "Containers",
    ]
    sheet.append([*head, "9.0 Bayan submitted"])
    sheet.append([*[None] * 8, "Target", "Actual", "Remarks"])
    for column in "ABCDEFGH":
        sheet.merge_cells(f"{column}2:{column}3")
    sheet.merge_cells("I2:K2")
    for number in range(4, 16):
        sheet.append([f"SH-{number}", "Alpha", "Alfa", 1000 + number, ETA, None, None, None, ETA, ACTUAL, "late"])
        sheet.cell(number, 5).number_format = sheet.cell(number, 10).number_format = "dd/mm/yyyy"
    sheet["A4"], sheet["A4"].number_format = 123, "00000"
    sheet["D5"].number_format = "[$USD] #,##0.00"
    sheet["D6"].number_format = "[$OMR] #,##0.000"
    sheet["G7"] = "MV Merged"
    sheet.merge_cells("G7:G8")
    sheet["H7"] = 4
    sheet.merge_cells("H7:H8")
    sheet["F9"] = "=Z99"
    sheet["G9"] = "=1/0"
    sheet["F10"] = "=Z99"
    sheet.row_dimensions[11].hidden = True
    for cell in sheet[12]:
        cell.font = Font(strike=True)
    sheet["J13"].number_format = "mmm-yy"
    sheet["D14"], sheet["D14"].number_format = 1000.5, "#,##0"
    sheet["J15"] = None
    return book


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    draft().save(folder / "draft.xlsx")
    for ending in ENDINGS:
        subprocess.run(
            ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", ending,
             "--outdir", folder / ending, folder / "draft.xlsx"],
            check=True, capture_output=True, timeout=300,
        )  # fmt: skip
    return folder


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_tracker_is_read_as_it_looks(ending, converted):
    steps = Steps(STEPS)
    sheet = sheets.read(
        converted / ending / f"draft.{ending}", name=ending, wanted=lambda rows: resembles_a_tracker(rows, steps)
    )

    found = imports.tracker(sheet, steps=STEPS, today=TODAY)

    assert {(fault.row, fault.column) for fault in found.faults} == {
        (5, "Invoice amount (OMR)"),
        (7, "Containers"),
        (8, "Containers"),
        (9, "Vessel"),
        (11, "Shipment number"),
        (12, "Shipment number"),
        (13, "9.0 Bayan submitted / Actual"),
        (14, "Invoice amount (OMR)"),
    }
    rows = {row.row: row for row in found.rows}
    assert sorted(rows) == [4, 6, 10, 15]
    assert rows[4].fields["shipment_number"] == "00123"
    assert rows[6].fields["invoice_amount_omr"] == Decimal(1006)
    assert "bl_number" not in rows[10].fields
    assert [rows[number].steps.get(Decimal("9.0")) for number in (4, 15)] == [ACTUAL, None]
    ignored = "“9.0 Bayan submitted / Target”, “9.0 Bayan submitted / Remarks”"
    assert notes_on(found, sheet) == [
        "The sheet “Tracker” was read.",
        f"These columns mean nothing here and were ignored: {ignored}.",
        "Formulas whose result is 0 were read as blanks in columns of text, in rows 9–10.",
        "Not imported, because the rows are hidden: 11.",
        "Not imported, because the rows are struck out: 12.",
    ]

"""The workbook of failed rows comes back through the same door: corrected, everything of it is read."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font

from clearance.tests import recipes
from shipments.imports import workbook
from shipments.models import Shipment

ETA, ACTUAL = date(2026, 6, 10), date(2026, 3, 14)
FIXED = ["Shipment number", "Principal", "Brand", "Invoice amount (OMR)", "ETA"]

pytestmark = pytest.mark.django_db


def saved(book: Workbook) -> bytes:
    content = BytesIO()
    book.save(content)
    return content.getvalue()


def bring(content: bytes, by):
    return workbook.import_workbook(content, name="tracker.xlsx", by=by, at=recipes.NOON)


class TestFailedRows:
    def test_of_headings_in_two_rows_are_read_by_both(self, bu_clerk):
        book = Workbook()
        sheet = book.active
        sheet.append([*FIXED, "9.0 Bayan submitted"])
        sheet.append([*[None] * 5, "Target", "Actual", "Remarks"])
        for column in "ABCDE":
            sheet.merge_cells(f"{column}1:{column}2")
        sheet.merge_cells("F1:H1")
        sheet.append(["SH-1", "Alpha", "Alfa", 1000, ETA, ETA, ACTUAL, ""])
        sheet.append(["SH-2", "Alpha", "Alfa", 1000, ETA, ETA, "soon", "late"])

        first = bring(saved(book), bu_clerk)
        failed = load_workbook(BytesIO(first.error_workbook()))
        rows = list(failed.active.iter_rows(values_only=True))

        assert [(fault.row, fault.column) for fault in first.report.faults] == [(4, "9.0 Bayan submitted / Actual")]
        assert [row[1] for row in rows] == ["Shipment number", None, "SH-2"]
        assert failed.active["H3"].fill.fgColor.rgb.endswith("FFC7CE")
        assert "is not a date" in rows[2][0]

        failed.active["H3"] = ACTUAL
        again = bring(saved(failed), bu_clerk)
        assert (again.report.created, again.report.failed) == (1, 0)
        assert again.report.ignored_columns == first.report.ignored_columns
        assert recipes.step(Shipment.objects.get(shipment_number="SH-2"), "9.0").actual_date == ACTUAL

    def test_of_a_second_table_are_read_by_its_headings(self, bu_clerk):
        book = Workbook()
        sheet = book.active
        for row in (
            FIXED, ["SH-1", "Alpha", "Alfa", "free", ETA], [], ["Closed"],
            ["Shipment number", "Brand", "Principal", "Invoice amount (OMR)", "ETA"],
            ["SH-2", "Betta", "Beta Company", "USD 5", ETA],
        ):  # fmt: skip
            sheet.append(row)

        first = bring(saved(book), bu_clerk)
        failed = load_workbook(BytesIO(first.error_workbook()))
        for row in failed.active.iter_rows():
            if row[1].value in ("SH-1", "SH-2"):
                row[4].value = 2000
        again = bring(saved(failed), bu_clerk)

        assert {fault.row for fault in first.report.faults} == {2, 6}
        assert (again.report.created, again.report.failed) == (2, 0)
        assert Shipment.objects.get(shipment_number="SH-2").principal == "Beta Company"

    def test_that_were_hidden_or_struck_out_can_be_imported_once_they_are_not(self, bu_clerk):
        book = Workbook()
        sheet = book.active
        for row in (FIXED, *([f"SH-{n}", "Alpha", "Alfa", 1000, ETA] for n in range(3))):
            sheet.append(row)
        sheet.row_dimensions[2].hidden = True
        for cell in sheet[3]:
            cell.font = Font(strike=True)

        first = bring(saved(book), bu_clerk)
        failed = load_workbook(BytesIO(first.error_workbook()))
        again = bring(saved(failed), bu_clerk)

        assert (first.report.created, first.report.failed) == (1, 2)
        assert {row[1].value for row in failed.active.iter_rows(min_row=2)} == {"SH-0", "SH-1"}
        assert again.report.ignored_columns == []
        assert again.report.created + again.report.failed == 2

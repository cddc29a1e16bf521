"""A tracker on its whole way: from a file that a real program wrote to shipments and steps, and back as a file."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from clearance import sheets
from clearance.errors import Forbidden
from clearance.sheets.refusals import NotAWorkbook, SheetNotFound
from clearance.tests import recipes
from clearance.tests.cast import Cast
from shipments.imports import HeadingsNotFound, workbook
from shipments.models import Shipment
from workflow.models import WorkflowStep

FIXTURES = Path(__file__).parent / "fixtures"
LATE_DECEMBER = datetime(2026, 12, 20, 12, tzinfo=recipes.MUSCAT)
HEADINGS = ["Shipment #", "Principal", "Brand", "Inv Amount", "E.T.A", "9.0 Bayan submitted"]


def book(*rows: list[object], headings: list[str] = HEADINGS) -> bytes:
    return sheets.write(sheets.Page("Tracker", [headings, *rows]))


def cells_of(content: bytes) -> list[tuple[object, ...]]:
    return list(openpyxl.load_workbook(BytesIO(content)).worksheets[0].iter_rows(values_only=True))


class TestAMessyTracker:
    # In .xls and .ods a formula's error reads as a blank cell, so the row with #DIV/0! fails in .xlsx only.
    @pytest.mark.parametrize(
        ("name", "created", "failed_rows"),
        [("messy.xls", 2, {8, 10}), ("messy.ods", 2, {8, 10}), ("messy.xlsx", 2, {8, 10})],
    )
    def test_becomes_shipments_with_steps_and_the_faults_say_why(self, name, created, failed_rows, bu_clerk):
        imported = workbook.import_workbook(FIXTURES / name, name=name, by=bu_clerk, at=LATE_DECEMBER)

        first = Shipment.objects.get(shipment_number="SHP-001")
        bayan = recipes.step(first, "9.0")
        assert (imported.report.created, imported.report.failed) == (created, len(failed_rows))
        assert {fault.row for fault in imported.report.faults} == failed_rows
        assert first.eta == date(2026, 12, 3)
        assert first.invoice_amount_omr == Decimal("12345.500")
        assert (bayan.actual_date, bayan.completed_via) == (date(2026, 12, 3), "import")
        assert WorkflowStep.objects.filter(shipment=first).count() == 34
        assert "99.0 Unknown step" in imported.ignored

    @pytest.mark.parametrize("name", ["messy.xls", "messy.ods", "messy.xlsx"])
    def test_changes_nothing_the_second_time(self, name, bu_clerk):
        first = workbook.import_workbook(FIXTURES / name, name=name, by=bu_clerk, at=LATE_DECEMBER)
        before = (list(Shipment.objects.values()), list(WorkflowStep.objects.order_by("id").values()))

        again = workbook.import_workbook(FIXTURES / name, name=name, by=bu_clerk, at=LATE_DECEMBER)

        assert again.report.unchanged == first.report.created
        assert (again.report.created, again.report.updated) == (0, 0)
        assert again.report.faults == first.report.faults
        assert before == (list(Shipment.objects.values()), list(WorkflowStep.objects.order_by("id").values()))


class TestTheErrorWorkbook:
    def test_holds_only_the_failed_rows_with_reasons_and_imports_once_corrected(self, bu_clerk, noon):
        good = ["A-1", "Al Noor", "Noor", "1,000", "01/04/2026", None]
        bad = ["A-2", "Al Noor", "Noor", "USD 5", "01/04/2026", "31/02/2026"]

        imported = workbook.import_workbook(book(good, bad), name="tracker.xlsx", by=bu_clerk, at=noon)
        rows = cells_of(imported.error_workbook())

        assert (imported.report.created, imported.report.failed) == (1, 1)
        assert rows[0] == ("Reason", *HEADINGS)
        assert [row[1] for row in rows[1:]] == ["A-2"]
        assert "is not in OMR" in rows[1][0]
        assert "is not a date" in rows[1][0]

        corrected = openpyxl.load_workbook(BytesIO(imported.error_workbook()))
        corrected.worksheets[0]["E2"], corrected.worksheets[0]["G2"] = 5, None
        content = BytesIO()
        corrected.save(content)
        again = workbook.import_workbook(content.getvalue(), name="errors.xlsx", by=bu_clerk, at=noon)
        assert (again.report.created, again.report.failed) == (1, 0)

    def test_marks_what_the_desk_refuses_too(self, bu_clerk, noon):
        without_brand = ["A-1", "Al Noor", None, "1,000", "01/04/2026", "16/03/2026"]

        imported = workbook.import_workbook(book(without_brand), name="tracker.xlsx", by=bu_clerk, at=noon)
        marked = openpyxl.load_workbook(BytesIO(imported.error_workbook())).worksheets[0]

        assert [fault.column for fault in imported.report.faults] == ["Brand"]
        assert marked["D2"].fill.fgColor.rgb.endswith("FFC7CE")
        assert not Shipment.objects.exists()


class TestAWrongFile:
    def test_is_refused_in_a_sentence_and_writes_nothing(self, bu_clerk, noon):
        for content, refusal in [(b"not a workbook", NotAWorkbook), (book([], headings=["a", "b"]), HeadingsNotFound)]:
            with pytest.raises(refusal):
                workbook.import_workbook(content, name="tracker.xlsx", by=bu_clerk, at=noon)

        assert not Shipment.objects.exists()

    def test_names_the_sheets_there_are_when_the_asked_one_is_missing(self, bu_clerk, noon):
        with pytest.raises(SheetNotFound, match="Tracker"):
            workbook.import_workbook(book(), name="tracker.xlsx", sheet="Sheet9", by=bu_clerk, at=noon)


class TestWhoMayImport:
    @pytest.mark.parametrize("part", ["finance_head", "cc_clerk", "storekeeper", "auditor", "manager", "administrator"])
    def test_nobody_outside_the_business_unit(self, part, cast: Cast, noon):
        by: User = getattr(cast, part)

        with pytest.raises(Forbidden):
            workbook.import_workbook(book(), name="tracker.xlsx", by=by, at=noon)

    def test_a_changed_eta_needs_a_person_of_the_business_unit(self, bu_clerk, noon):
        row = ["A-1", "Al Noor", "Noor", 1000, "01/04/2026", None]
        workbook.import_workbook(book(row), name="tracker.xlsx", by=bu_clerk, at=noon)
        moved = [*row[:4], "09/04/2026", None]

        by_system = workbook.import_workbook(book(moved), name="tracker.xlsx", by=None, at=noon)
        by_clerk = workbook.import_workbook(book(moved), name="tracker.xlsx", by=bu_clerk, at=noon)

        assert (by_system.report.failed, by_system.report.faults[0].column) == (1, "E.T.A")
        assert by_clerk.report.updated == 1
        shipment = Shipment.objects.get()
        assert (shipment.eta, shipment.eta_edit_count) == (date(2026, 4, 9), 1)
        assert recipes.step(shipment, "9.0").target_date == date(2026, 4, 9)


class TestTheNumberOfStatements:
    def test_does_not_grow_with_the_rows(self, bu_clerk, noon):
        def statements(prefix: str, rows: int) -> int:
            content = book(*([f"{prefix}-{n}", "P", "B", 1000, "01/04/2026", "15/03/2026"] for n in range(rows)))
            with CaptureQueriesContext(connection) as captured:
                report = workbook.import_workbook(content, name="tracker.xlsx", by=bu_clerk, at=noon).report
            assert report.created == rows
            return len(captured)

        bu_clerk.get_all_permissions()

        assert statements("few", 3) == statements("many", 120)


class TestTheBlankWorkbook:
    def test_is_understood_by_the_import_once_filled_in(self, cast: Cast, noon):
        blank = openpyxl.load_workbook(BytesIO(workbook.blank_workbook()))
        sheet = blank.worksheets[0]
        at = {cell.value: cell.column for cell in sheet[1]}
        filled = {
            "Shipment number": "T-1",
            "Division": cast.tyres.name,
            "Principal": "Al Noor",
            "Brand": "Noor",
            "Invoice amount (OMR)": 1000.5,
            "ETA": date(2026, 4, 1),
            "9.0 Bayan submitted": date(2026, 3, 14),
        }
        for heading, value in filled.items():
            sheet.cell(2, at[heading]).value = value
        content = BytesIO()
        blank.save(content)

        imported = workbook.import_workbook(content.getvalue(), name="filled.xlsx", by=cast.bu_clerk, at=noon)

        assert (imported.report.created, imported.report.faults, imported.ignored) == (1, [], [])
        assert Shipment.objects.get().division == cast.tyres
        assert blank.sheetnames[1] == "Notes"
        assert len(at) == 20 + 34

"""What the cells of a workbook look like decides what is read of them: each kind, in several columns and formats."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from clearance import sheets
from clearance.sheets.cells import Mark, Merge, Sheet
from shipments import imports
from shipments.imports.notes import notes_on
from shipments.tests.trackers import STEPS, TODAY

ETA = date(2026, 6, 10)
HEAD = [
    "Shipment number", "Principal", "Brand", "Invoice amount (OMR)", "ETA", "Supplier invoice number", "B/L number",
    "Vessel", "Containers", "Quantity", "Unit", "Transport mode", "ATA", "9.0 Bayan submitted", "LC number",
]  # fmt: skip
AT = {heading: number for number, heading in enumerate(HEAD, 1)}


def book(change: Callable[[Worksheet], object], *, rows: int = 4) -> imports.Tracker:
    """The tracker that comes of a workbook with SH-2, SH-3 … in rows 2, 3 …, after this change."""
    made = Workbook()
    sheet = made.active
    sheet.append(HEAD)
    for number in range(2, rows + 1):
        sheet.append([f"SH-{number}", "Alpha", "Alfa", 1000 + number, ETA])
    change(sheet)
    content = BytesIO()
    made.save(content)
    return imports.tracker(sheets.read(content.getvalue(), name="tracker.xlsx"), steps=STEPS, today=TODAY)


def put(sheet: Worksheet, row: int, heading: str, value: Any, form: str = "General") -> None:
    cell = sheet.cell(row, AT[heading], value)
    cell.number_format = form


def merge(sheet: Worksheet, heading: str, first: int, last: int, value: Any, to: str = "") -> None:
    put(sheet, first, heading, value)
    sheet.merge_cells(
        start_row=first, end_row=last, start_column=AT[heading], end_column=AT[to or heading]
    )  # fmt: skip


def values(found: imports.Tracker, name: str) -> list[Any]:
    return [row.steps.get(Decimal(name)) if name[0].isdigit() else row.fields.get(name) for row in found.rows]


def faults(found: imports.Tracker) -> dict[tuple[int, str], str]:
    return {(fault.row, fault.column): fault.reason for fault in found.faults}


class TestCellsMergedDown:
    @pytest.mark.parametrize(
        ("heading", "name", "value", "read"),
        [
            ("B/L number", "bl_number", "BL-77", "BL-77"),
            ("Principal", "principal", "Gamma", "Gamma"),
            ("Transport mode", "transport_mode", "Air", "air"),
            ("Unit", "quantity_unit", "pcs", "units"),
            ("LC number", "lc_number", "LC-1; LC-2", "LC-1, LC-2"),
            ("ETA", "eta", date(2026, 7, 1), date(2026, 7, 1)),
            ("ATA", "ata", "01/07/2026", date(2026, 7, 1)),
            ("9.0 Bayan submitted", "9.0", date(2026, 7, 1), date(2026, 7, 1)),
        ],
    )
    def test_give_each_row_their_text_date_or_choice(self, heading, name, value, read):
        found = book(lambda sheet: merge(sheet, heading, 2, 4, value))

        assert (found.faults, values(found, name)) == ([], [read] * 3)

    @pytest.mark.parametrize(
        ("heading", "value"), [("Invoice amount (OMR)", 3000), ("Quantity", "1,200"), ("Containers", 6)]
    )
    def test_fail_each_row_of_a_figure_and_name_the_merge(self, heading, value):
        found = book(lambda sheet: merge(sheet, heading, 3, 4, value))

        assert [row.row for row in found.rows] == [2]
        assert faults(found).keys() == {(3, heading), (4, heading)}
        assert f"“{value}” is merged over rows 3 to 4" in found.faults[0].reason
        assert "Unmerge it and write each shipment's own figure." in found.faults[0].reason

    def test_never_show_what_lies_hidden_beneath(self):
        def change(sheet):
            put(sheet, 3, "Vessel", "MV Old")
            merge(sheet, "Vessel", 2, 3, "MV New")
            sheet.cell(3, AT["Vessel"])

        assert values(book(change), "vessel") == ["MV New", "MV New", None]

    def test_leave_the_figure_of_one_shipment_in_a_tall_row(self):
        def change(sheet):
            sheet.delete_rows(3)
            for heading in HEAD[:5]:
                sheet.merge_cells(start_row=2, end_row=3, start_column=AT[heading], end_column=AT[heading])

        found = book(change, rows=3)

        assert (found.faults, [row.row for row in found.rows]) == ([], [2])
        assert values(found, "invoice_amount_omr") == [Decimal(1002)]

    def test_of_a_shipment_number_fail_the_rows_that_say_different_things(self):
        found = book(lambda sheet: merge(sheet, "Shipment number", 3, 4, "SH-9"))

        assert [row.row for row in found.rows] == [2]
        assert faults(found).keys() == {(3, "Shipment number"), (4, "Shipment number")}
        assert "merged over rows 3 to 4" in found.faults[0].reason

    def test_that_reach_below_the_last_row_make_no_rows(self):
        found = book(lambda sheet: merge(sheet, "Vessel", 3, 60, "MV Long"))

        assert values(found, "vessel") == [None, "MV Long", "MV Long"]
        assert found.faults == []

    def test_with_an_error_fail_every_row(self):
        found = book(lambda sheet: merge(sheet, "ATA", 2, 3, "#REF!"))

        assert faults(found).keys() == {(2, "ATA"), (3, "ATA")}


class TestCellsMergedAcross:
    def test_of_two_columns_that_are_read_fail_both(self):
        found = book(lambda sheet: merge(sheet, "B/L number", 3, 3, "BL-1 MV Example", to="Vessel"))

        assert [row.row for row in found.rows] == [2, 4]
        assert faults(found).keys() == {(3, "B/L number"), (3, "Vessel")}
        assert found.faults[0].reason == (
            "B/L number is merged with other columns (“BL-1 MV Example” in row 3). Unmerge the cells and write what "
            "belongs here."
        )

    def test_are_a_title_where_they_begin_with_the_number_and_hold_nothing_else(self):
        def change(sheet):
            for column in range(1, 6):
                sheet.cell(3, column).value = None
            merge(sheet, "Shipment number", 3, 3, "Closed shipments", to="ETA")

        found = book(change)

        assert ([row.row for row in found.rows], found.faults, found.skipped) == ([2, 4], [], [3])

    def test_may_reach_over_columns_that_nobody_reads(self):
        def change(sheet):
            sheet.cell(1, len(HEAD) + 1, "Remarks")
            merge(sheet, "LC number", 3, 3, "LC-1")
            sheet.unmerge_cells("O3:O3")
            sheet.merge_cells("O3:P3")

        assert values(book(change), "lc_number") == [None, "LC-1", None]

    def test_may_be_the_label_of_a_sum(self):
        def change(sheet):
            for column in range(1, 6):
                sheet.cell(4, column).value = None
            sheet.cell(4, AT["Invoice amount (OMR)"], 2005)
            merge(sheet, "Shipment number", 4, 4, "Total", to="Brand")

        found = book(change)

        assert ([row.row for row in found.rows], found.faults, found.skipped) == ([2, 3], [], [4])

    def test_that_overlap_each_other_are_refused(self):
        rows = [HEAD, *([f"SH-{n}", "A", "B", 1, ETA] for n in range(50))]
        everything = [Merge(1, 0, 50, 14)] * 40

        with pytest.raises(imports.MergesOverlap):
            imports.tracker(Sheet("Tracker", rows, merges=everything), steps=STEPS, today=TODAY)


class TestFormulas:
    """openpyxl stores no results; marks stand for what other programs store."""

    @pytest.mark.parametrize("heading", ["Shipment number", "Vessel", "Invoice amount (OMR)", "ATA", "Unit"])
    def test_without_a_stored_result_fail_their_row(self, heading):
        found = book(lambda sheet: put(sheet, 3, heading, "=A2"))

        assert [row.row for row in found.rows] == [2, 4]
        assert faults(found) == {
            (3, heading): f"{heading} has a formula whose result was never stored. Open the file in Excel or "
            "LibreOffice, save it, and import it again."
        }

    @staticmethod
    def linked(**cells: Any) -> imports.Tracker:
        row: list[Any] = ["SH-2", "Alpha", "Alfa", 1000, ETA, *[""] * 10]
        marks = {}
        for heading, value in cells.items():
            column = AT[heading.replace("_", " ")] - 1
            row[column] = value
            marks[1, column] = Mark(is_formula=True)
        return imports.tracker(Sheet("Tracker", [HEAD, row], marks=marks), steps=STEPS, today=TODAY)

    @pytest.mark.parametrize("heading", ["Vessel", "LC_number", "Supplier_invoice_number", "Unit", "Transport_mode"])
    @pytest.mark.parametrize("zero", [0, 0.0])
    def test_that_link_to_an_empty_cell_write_no_zero_into_a_text(self, heading, zero):
        found = self.linked(**{heading: zero})

        assert (found.faults, found.zeros) == ([], [2])
        assert set(found.rows[0].fields) == {"shipment_number", "principal", "brand", "invoice_amount_omr", "eta"}

    @pytest.mark.parametrize("day", [date(1899, 12, 31), date(1900, 1, 1), date(1904, 1, 1), 0])
    def test_that_link_to_an_empty_cell_are_no_date(self, day):
        assert faults(self.linked(ATA=day)).keys() == {(2, "ATA")}

    def test_that_link_to_empty_cells_all_along_make_no_row(self):
        row: list[Any] = [0, 0, 0, 0, date(1899, 12, 31)]
        marks = {(2, column): Mark(is_formula=True) for column in range(5)}
        rows = [HEAD, ["SH-2", "Alpha", "Alfa", 1000, ETA], row]

        found = imports.tracker(Sheet("Tracker", rows, marks=marks), steps=STEPS, today=TODAY)

        assert ([one.row for one in found.rows], found.faults, found.skipped) == ([2], [], [3])

    def test_with_a_result_are_read(self):
        found = self.linked(Vessel="MV", ATA=ETA)

        assert (found.rows[0].fields["vessel"], found.rows[0].fields["ata"]) == ("MV", ETA)

    def test_a_zero_fails_where_the_file_does_not_tell_formulas(self):
        rows = [HEAD, ["SH-2", "Alpha", "Alfa", 1000, ETA, "", 0]]

        found = imports.tracker(Sheet("Tracker", rows, unseen=frozenset(["formulas"])), steps=STEPS, today=TODAY)

        assert faults(found) == {
            (
                2,
                "B/L number",
            ): "B/L number holds 0, which a link to an empty cell shows, too. Clear the cell, or type the text."
        }


class TestNumberFormats:
    @pytest.mark.parametrize(
        ("heading", "name"),
        [
            ("Shipment number", "shipment_number"),
            ("Supplier invoice number", "supplier_invoice_number"),
            ("B/L number", "bl_number"),
            ("LC number", "lc_number"),
            ("Vessel", "vessel"),
        ],
    )
    @pytest.mark.parametrize(
        ("value", "form", "text"),
        [(123, "00000", "00123"), (4711, '"INV-"000000', "INV-004711"), (26001, "00-000", "26-001"), (77, "@", "77")],
    )
    def test_of_a_code_say_what_it_is(self, heading, name, value, form, text):
        found = book(lambda sheet: put(sheet, 3, heading, value, form))

        assert values(found, name)[1] == text

    @pytest.mark.parametrize(
        "form",
        [
            "[$USD] #,##0.00", '"$"#,##0.00', "[$$-409]#,##0.00", "[$€-407] #,##0.00", "#,##0.00 [$€-1]", "[$AED] 0",
            '#,##0.00 "USD"', "[$₹-4009] #,##0.00", "[$SAR] #,##0.00;-[$SAR] #,##0.00", "[$CHF] 0.00",
            '_("$"* #,##0.00_);_("$"* (#,##0.00);_("$"* "-"??_);_(@_)',
        ],
    )  # fmt: skip
    def test_of_another_currency_fail_the_amount_as_its_text_would(self, form):
        found = book(lambda sheet: put(sheet, 3, "Invoice amount (OMR)", 1000, form))

        assert [row.row for row in found.rows] == [2, 4]
        assert "is not in OMR. Write the equivalent in Omani rials." in faults(found)[3, "Invoice amount (OMR)"]

    @pytest.mark.parametrize(
        "form",
        [
            "General", "#,##0.000", "0", "[$OMR] #,##0.000", '#,##0.000 "OMR"', "[$ر.ع.-2001] #,##0.000",
            '"R.O." #,##0.000', "[$OMR-2001]\\ #,##0.000", "#,##0.000_);(#,##0.000)", '"ريال" 0',
        ],
    )  # fmt: skip
    def test_of_rials_are_fine(self, form):
        found = book(lambda sheet: put(sheet, 3, "Invoice amount (OMR)", 1000, form))

        assert (found.faults, values(found, "invoice_amount_omr")[1]) == ([], Decimal(1000))

    @pytest.mark.parametrize(
        ("heading", "value", "form"),
        [
            ("Invoice amount (OMR)", 1234567, "#,##0,"),
            ("Invoice amount (OMR)", 1000.5, "#,##0"),
            ("Invoice amount (OMR)", 0.5, "0%"),
            ("Quantity", 1000.25, "0"),
            ("Quantity", 500, '0 "pcs"'),
            ("Quantity", 500, "[$USD] 0"),
            ("Containers", 2, '0"x40HC"'),
            ("Containers", 0.02, "0%"),
        ],
    )
    def test_that_show_another_figure_fail_it(self, heading, value, form):
        found = book(lambda sheet: put(sheet, 3, heading, value, form))

        assert ([row.row for row in found.rows], faults(found).keys()) == ([2, 4], {(3, heading)})

    def test_say_what_is_shown_and_what_is_held(self):
        found = book(lambda sheet: put(sheet, 3, "Invoice amount (OMR)", 1000.5, "#,##0"))

        assert faults(found)[3, "Invoice amount (OMR)"] == (
            "Invoice amount (OMR) shows “1,001” but holds 1000.5. Show all its decimals, or type what it should be."
        )

    @pytest.mark.parametrize("form", ["mmm-yy", "d-mmm", "yyyy", "hh:mm"])
    def test_of_a_date_that_hide_its_day_or_year_fail_it(self, form):
        found = book(lambda sheet: put(sheet, 3, "ATA", date(2026, 6, 11), form))

        assert ([row.row for row in found.rows], faults(found).keys()) == ([2, 4], {(3, "ATA")})

    @pytest.mark.parametrize("form", ["dd/mm/yyyy", "d-mmm-yy", "yyyy-mm-dd", "[$-409]dddd, mmmm dd, yyyy", "m/d/yyyy"])
    def test_of_a_whole_date_are_fine(self, form):
        found = book(lambda sheet: put(sheet, 3, "ATA", date(2026, 6, 11), form))

        assert values(found, "ata")[1] == date(2026, 6, 11)


class TestACurrencyColumn:
    @staticmethod
    def read(heading: str, *currencies: object, amount: object = 1000) -> imports.Tracker:
        head = ["Shipment number", "Principal", "Brand", heading, "Invoice value", "ETA"]
        rows = [[f"SH-{n}", "A", "B", one, amount, ETA] for n, one in enumerate(currencies)]
        return imports.tracker(Sheet("Tracker", [head, *rows]), steps=STEPS, today=TODAY)

    @pytest.mark.parametrize("heading", ["Currency", "CCY", "Curr.", "Invoice currency", "العملة", "عملة الفاتورة"])
    @pytest.mark.parametrize("other", ["USD", "usd", "US Dollar", "€", "AED", "درهم", "دولار أمريكي", "﷼"])
    def test_that_names_another_currency_fails_the_row(self, heading, other):
        found = self.read(heading, other)

        assert (found.rows, faults(found).keys()) == ([], {(2, heading)})
        assert "is not in OMR" in found.faults[0].reason

    @pytest.mark.parametrize("own", ["OMR", "omr", "R.O.", "RO", "Omani Rial", "ر.ع.", "ريال عماني", "", "-", None])
    def test_that_names_rials_or_nothing_lets_it_pass(self, own):
        found = self.read("Currency", own)

        assert (found.faults, values(found, "invoice_amount_omr")) == ([], [Decimal(1000)])
        assert "currency" not in found.rows[0].fields

    def test_matters_only_beside_an_amount(self):
        assert self.read("Currency", "USD", amount="").faults == []

        rows = [["Shipment number", "Vessel", "Currency", "ATA"], ["SH-1", "MV", "USD", ETA]]
        found = imports.tracker(Sheet("Tracker", rows), steps=STEPS, today=TODAY)
        assert (found.faults, found.ignored) == ([], ["Currency"])


class TestAStatus:
    @pytest.mark.parametrize("heading", ["Status", "Shipment status", "الحالة"])
    @pytest.mark.parametrize("word", ["CANCELLED", "Canceled by supplier", "ملغاة", "تم الإلغاء", "Order cancelled"])
    def test_that_says_cancelled_fails_the_row(self, heading, word):
        rows = [["Shipment number", "Vessel", "ATA", heading], ["SH-1", "MV", ETA, word], ["SH-2", "MV", ETA, "open"]]

        found = imports.tracker(Sheet("Tracker", rows), steps=STEPS, today=TODAY)

        assert [row.row for row in found.rows] == [3]
        assert faults(found) == {
            (
                2,
                heading,
            ): f"{heading} says “{word}”. Cancel the shipment on its own page, with the reason, and delete the "
            "row here."
        }

    @pytest.mark.parametrize("word", ["yes", "x", "نعم", 1, True, ETA, "by supplier"])
    def test_of_its_own_fails_the_row_unless_it_is_a_no(self, word):
        head = ["Shipment number", "Vessel", "ATA", "Cancelled"]
        rows = [
            head,
            ["SH-1", "MV", ETA, word],
            *([f"SH-{no}", "MV", ETA, no] for no in ("", "no", "-", 0, False, "لا")),
        ]

        found = imports.tracker(Sheet("Tracker", rows), steps=STEPS, today=TODAY)

        assert ([fault.row for fault in found.faults], len(found.rows)) == ([2], 6)

    @pytest.mark.parametrize("word", ["Active", "In transit", "cleared", "#N/A", 5, None, "مفتوحة"])
    def test_that_says_anything_else_is_ignored_and_told(self, word):
        rows = [["Shipment number", "Vessel", "ATA", "Status"], ["SH-1", "MV", ETA, word]]

        found = imports.tracker(Sheet("Tracker", rows), steps=STEPS, today=TODAY)

        assert (found.faults, found.ignored) == ([], ["Status"])
        assert "status" not in found.rows[0].fields


class TestErrors:
    @pytest.mark.parametrize(
        "error",
        ["#DIV/0!", "#N/A", "#REF!", "#GETTING_DATA", "#BUSY!", "#WERT!", "#NAME?", "#NV", "Err:502", "#FIELD!"],
    )
    @pytest.mark.parametrize("heading", ["Vessel", "Invoice amount (OMR)", "ATA", "Unit", "9.0 Bayan submitted"])
    def test_fail_their_row_and_are_quoted(self, error, heading):
        found = book(lambda sheet: put(sheet, 3, heading, error))

        assert [row.row for row in found.rows] == [2, 4]
        assert f"{heading} holds the error “{error}”" in faults(found)[3, heading]

    def test_that_nobody_knows_fail_only_their_row(self):
        rows = [HEAD, ["SH-2", "A", "B", 1, ETA, "", "", "#MARS"], ["SH-3", "A", "B", 1, ETA]]

        found = imports.tracker(Sheet("Tracker", rows, marks={(1, 7): Mark(error="#MARS")}), steps=STEPS, today=TODAY)

        assert ([row.row for row in found.rows], faults(found).keys()) == ([3], {(2, "Vessel")})


class TestRowsThatNobodySees:
    @pytest.mark.parametrize("way", ["hidden", "filtered"])
    def test_fail_with_one_sentence_and_are_told(self, way):
        def change(sheet):
            sheet.row_dimensions[3].hidden = True
            if way == "filtered":
                sheet.auto_filter.ref = "A1:O4"

        found = book(change)

        assert [row.row for row in found.rows] == [2, 4]
        assert faults(found) == {
            (3, "Shipment number"): "The row is hidden, perhaps by a filter. Show it and import again, or delete it."
        }
        assert found.faults[0].value == "SH-3"
        assert "Not imported, because the rows are hidden: 3." in notes_on(found)

    def test_that_are_struck_out_fail_likewise(self):
        def change(sheet):
            for cell in sheet[3]:
                cell.font = Font(strike=True)

        found = book(change)

        assert [row.row for row in found.rows] == [2, 4]
        assert faults(found) == {
            (3, "Shipment number"): "The row is struck out. Delete it, or take the line through it away if it counts."
        }
        assert "Not imported, because the rows are struck out: 3." in notes_on(found)

    def test_a_struck_out_cell_fails_alone(self):
        def change(sheet):
            put(sheet, 3, "ATA", date(2026, 6, 11), "dd/mm/yyyy")
            sheet.cell(3, AT["ATA"]).font = Font(strike=True)

        assert faults(book(change)) == {
            (3, "ATA"): "ATA “11/06/2026” is struck out. Clear the cell, or take the line through it away."
        }

    def test_blank_or_summing_ones_are_none_of_anybodys_concern(self):
        def change(sheet):
            sheet.append(["Total", "", "", 3009])
            for row in (5, 6, 7):
                sheet.row_dimensions[row].hidden = True

        found = book(change)

        assert (len(found.rows), found.faults, found.hidden) == (3, [], [])

    def test_a_hidden_column_is_not_read_and_told(self):
        def change(sheet):
            put(sheet, 3, "Vessel", "MV Unseen")
            sheet.column_dimensions["H"].hidden = True

        found = book(change)

        assert (found.faults, values(found, "vessel")) == ([], [None] * 3)
        assert "These columns are hidden and were not read: “Vessel”." in notes_on(found)

    def test_a_hidden_column_of_numbers_refuses_the_sheet(self):
        def change(sheet):
            sheet.column_dimensions["A"].hidden = True

        with pytest.raises(imports.ShipmentNumberHidden, match="“Shipment number” is hidden"):
            book(change)

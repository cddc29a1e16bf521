# ruff: noqa: DTZ001, DTZ007 (a sheet's dates know no time zone)
import re
import string
import time
import tracemalloc
from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance import sheets
from shipments import imports
from shipments.errors import TooManyFaults
from shipments.imports import cells, headings
from shipments.imports.dates import Convention, date_parser, plausible_years
from shipments.tests.trackers import STEPS, TODAY

FIXTURES = Path(__file__).parent / "fixtures"
HEAD = ["Shipment #", "Principal", "Brand", "Inv Amount", "E.T.A", "9.0 Bayan submitted"]
ETA = date(2026, 12, 3)
ROW = ["SHP-1", "Bridgestone", "Ecopia", 1234.5, ETA, date(2026, 12, 5)]


parse_date = date_parser(Convention(plausible_years(TODAY, ahead=2)))


def sheet_of(*rows, **looks):
    return sheets.Sheet("Tracker", list(rows), **looks)


def read(*rows, head=HEAD, steps=STEPS, **looks):
    return imports.tracker(sheet_of(head, *rows, **looks), steps=steps, today=TODAY)


def value(heading, cell):
    """What one cell becomes below a heading, or the sentence of its fault."""
    found = read(["SHP-1", "Bridgestone", cell], head=["Shipment #", "Supplier", heading])
    if found.faults:
        assert found.rows == []
        return found.faults[0].reason
    read_values = found.rows[0].fields | {str(number): on for number, on in found.rows[0].steps.items()}
    return next((one for name, one in read_values.items() if name not in ("shipment_number", "principal")), None)


class TestARow:
    def test_becomes_typed_fields_and_step_dates_without_the_blank_ones(self):
        found = read(["SHP-1", "Bridgestone", "", 1234.5, ETA, "5/12/2026"])

        row = found.rows[0]
        assert row.row == 2
        assert row.fields == {
            "shipment_number": "SHP-1",
            "principal": "Bridgestone",
            "invoice_amount_omr": Decimal("1234.500"),
            "eta": ETA,
        }
        assert row.steps == {Decimal("9.0"): date(2026, 12, 5)}

    def test_fails_alone_and_with_all_its_faults(self):
        found = read(["SHP-1", "A", "B", "USD 5", "31/02/2026", 7], ["SHP-2", *ROW[1:]])

        assert [(one.row, one.column, one.value) for one in found.faults] == [
            (2, "Inv Amount", "USD 5"),
            (2, "E.T.A", "31/02/2026"),
            (2, "9.0 Bayan submitted", "7"),
        ]
        assert found.faults[1].reason == (
            "E.T.A “31/02/2026” is not a date. Write it as day/month/year, for example 03/12/2026."
        )
        assert [row.row for row in found.rows] == [3]

    def test_without_anything_in_known_columns_is_no_row(self):
        found = read([], ["", None, "  "], ["-", "n/a", "\u200f", "TBA"], ["", "", "", "", "", "", "a remark"], ROW)

        assert (found.faults, [row.row for row in found.rows]) == ([], [6])

    def test_without_a_shipment_number_fails(self):
        found = read(["", "Bridgestone"], ["", "", "", "x"])

        assert [one.reason for one in found.faults] == [
            "The row has no shipment number. Write it, or clear the row.",
            "The row has no shipment number. Write it, or clear the row.",
            "Inv Amount “x” is not an amount. Write it like 12345.500 or OMR 12,345.500.",
        ]

    @pytest.mark.parametrize(
        "row", [["Total", "", "", 99.5], ["", "GRAND TOTAL:", "", "1,234.500"], ["الإجمالي", "", "", 5]]
    )
    def test_of_sums_is_skipped_and_says_so(self, row):
        found = read(ROW, row)

        assert (found.faults, found.skipped, len(found.rows)) == ([], [3], 1)

    @pytest.mark.parametrize("row", [["", "Total", "Brand", 5], ["", "Total", "", 5, ETA]])
    def test_that_only_resembles_sums_fails(self, row):
        assert read(row).faults[0].reason.startswith("The row has no shipment number")

    def test_that_repeats_the_headings_is_skipped_and_says_so(self):
        found = read(ROW, HEAD, ["SHP-2", *ROW[1:]])

        assert (found.faults, found.skipped, len(found.rows)) == ([], [3], 2)

    def test_fails_with_all_others_of_its_shipment_number(self):
        found = read(ROW, ["SHP-2", *ROW[1:]], ["shp-1 ", *ROW[1:]], ["SHP-1", "", "", "x"])

        assert [row.row for row in found.rows] == [3]
        assert [(one.row, one.reason) for one in found.faults if "also" in one.reason] == [
            (2, "The shipment number is also in row 4, 5. Keep one of the rows."),
            (4, "The shipment number is also in row 2, 5. Keep one of the rows."),
            (5, "The shipment number is also in row 2, 4. Keep one of the rows."),
        ]

    def test_names_five_others_of_its_number_and_counts_the_rest(self):
        found = read(*[ROW] * 9)

        reasons = [one.reason for one in found.faults]
        assert reasons[0] == "The shipment number is also in rows 3, 4, 5, 6, 7 and 3 more. Keep one of the rows."
        assert reasons[3] == "The shipment number is also in rows 2, 3, 4, 6, 7 and 3 more. Keep one of the rows."
        assert reasons[8] == "The shipment number is also in rows 2, 3, 4, 5, 6 and 3 more. Keep one of the rows."

    def test_fails_with_fifty_thousand_others_in_little_room(self):
        tracemalloc.start()

        found = read(*[["SHP-1"]] * 50_000)

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found.faults) == 50_000
        assert max(len(one.reason) for one in found.faults) < 120
        assert peak < 100 * 1024 * 1024

    def test_quotes_little_of_a_long_heading(self):
        reason = value(f"ETA{'.' * 30_000}", "31/02/2026")

        assert reason.startswith("ETA...")
        assert len(reason) < 300

    def test_ends_a_sheet_in_which_hardly_anything_can_be_read(self):
        wrong = ["SHP-1", "A", "B", "x", "x", "x"]

        with pytest.raises(TooManyFaults) as refused:
            read(*[wrong] * 20_000)

        assert refused.value.context == {"most": 50_000, "row": 16_668}

    def test_may_be_shorter_or_longer_than_the_headings(self):
        assert [len(row.fields) for row in read(["SHP-1"], ["SHP-2", *ROW[1:], 1, 2, 3]).rows] == [1, 5]

    def test_keeps_arabic_names(self):
        assert read(["SHP-1", "شركة\u00a0 النور ", "بريدجستون"]).rows[0].fields["principal"] == "شركة النور"


class TestDates:
    @pytest.mark.parametrize(
        "cell",
        [
            ETA,
            datetime(2026, 12, 3, 23, 59),
            46359,
            46359.0,
            46359.75,
            "46359",
            "3/12/2026",
            "03-12-2026",
            "3.12.2026",
            "3/12/26",
            "3 / 12 / 2026",
            "2026-12-03",
            "2026/12/3",
            "2026-12-03T08:15:00",
            "2026-12-03 00:00",
            "03-Dec-26",
            "3 December 2026",
            "3rd Dec, 2026",
            "3DEC2026",
            "Dec 3, 2026",
            "٣/١٢/٢٠٢٦",
            "۳/۱۲/۲۰۲۶",
            "\u200f3/12/2026\u200e",
            "\u00a03/12/2026 ",
            "3 ديسمبر 2026",
            "٣ ديسمبر ٢٠٢٦",
            "3/12/2026 10:30 AM",
        ],
    )
    def test_are_read(self, cell):
        assert value("ETA", cell) == ETA

    def test_are_day_first_always(self):
        assert value("ETA", "2/3/2026") == date(2026, 3, 2)

    @pytest.mark.parametrize(
        "cell",
        [
            "12/25/2026",
            "31/02/2026",
            "3/12",
            "03-Dec",
            "December 2026",
            "2026",
            "20261203",
            "soon",
            "3/12-2026",
            "1/2/3/2026",
            "3 Foo 2026",
            "26-12-03",
            "2026-12-03T22:00:00Z",
            "2026-12-03T22:00+04:00",
            "0/1/2026",
            "33/1/2026",
            True,
            7,
            12.5,
            0,
            -5,
            float("nan"),
            float("inf"),
            10**400,
            timedelta(3),
            "#N/A",
            "==",
            [1],
            {},
        ],
    )
    def test_that_are_none_are_faults(self, cell):
        assert "ETA" in value("ETA", cell)

    def test_out_of_any_plausible_time_are_faults(self):
        for cell in (date(1926, 12, 3), "3/12/1926", datetime(2206, 1, 1), "1/1/2206"):
            assert "between 2000 and 2100" in value("ETA", cell)

    def test_that_link_to_an_empty_cell_are_explained(self):
        assert "link to an empty cell" in value("ETA", clock(0, 0))

    @pytest.mark.parametrize("cell", ["", None, "-", "–", "N/A", "TBA", "tbc", " \u200f "])
    def test_may_be_missing(self, cell):
        assert value("ETA", cell) is None


class TestAmounts:
    @pytest.mark.parametrize(
        ("cell", "omr"),
        [
            (12345.678, "12345.678"),
            (12345.678000000001, "12345.678"),
            (1200, "1200.000"),
            (0.1 + 0.2, "0.300"),
            ("12,345.500", "12345.500"),
            ("OMR 12,345.500", "12345.500"),
            ("12,345.500 OMR", "12345.500"),
            ("RO 1,200", "1200.000"),
            ("R.O. 1,200", "1200.000"),
            ("ر.ع. ١٢٬٣٤٥٫٥٠٠", "12345.500"),
            ("١٢٣٤٥٫٥ ر.ع", "12345.500"),
            ("1,234", "1234.000"),
            ("1.234", "1.234"),
            ("1 234 567.5", "1234567.500"),
            ("1\u202f234.5", "1234.500"),
            ("1,23,456.5", "123456.500"),
            ("007.5", "7.500"),
            (999999999999.999, "999999999999.999"),
            ("12.3450", "12.345"),
        ],
    )
    def test_are_read(self, cell, omr):
        found = value("Invoice Amount (OMR)", cell)

        assert (found, str(found)) == (Decimal(omr), omr)

    @pytest.mark.parametrize("cell", ["USD 5,000", "$5000", "5000 €", "AED 12.5", "5000 dollars", "EUR5"])
    def test_in_other_currencies_are_faults(self, cell):
        assert "is not in OMR" in value("Invoice Amount", cell)

    @pytest.mark.parametrize(
        "cell",
        [
            "1.234,500",
            "12,5",
            "1,2345",
            "1,234,5",
            "1.2.3",
            "abc",
            "1e5",
            "--5",
            "OMR",
            ",5",
            ".5.",
            True,
            ETA,
            "१२",
            [],
        ],
    )
    def test_that_could_be_misread_are_faults(self, cell):
        assert "is not an amount" in value("Invoice Amount", cell)

    @pytest.mark.parametrize("cell", [0, -1, "-5", 1e12, 10**12, 10**400, "0.000", 1e-300])
    def test_out_of_range_are_faults(self, cell):
        assert "greater than zero" in value("Invoice Amount", cell)

    @pytest.mark.parametrize("cell", [12.3456, "12.3456", 1.0005])
    def test_with_more_than_three_decimals_are_faults(self, cell):
        assert "more than three decimals" in value("Invoice Amount", cell)

    @settings(deadline=None)
    @given(st.decimals("0.001", "999999999999.999", places=3))
    def test_come_back_from_every_way_of_writing_them(self, omr):
        arabic = str.maketrans("0123456789.,", "٠١٢٣٤٥٦٧٨٩٫٬")

        for text in (f"{omr}", f"{omr:,}", f"OMR {omr:,}", f"{omr:,} ر.ع.", f"{omr:,}".translate(arabic), f"RO{omr}"):
            assert cells.parse_amount(text) == omr
        assert cells.parse_amount(float(omr)) == omr


class TestOtherCells:
    @pytest.mark.parametrize(
        ("heading", "cell", "expected"),
        [
            ("LC No", 1234.0, "1234"),
            ("LC No", 123456789012345.0, "123456789012345"),
            ("LC No", 10**20, "1" + "0" * 20),
            ("LC No", "LC-1 , LC/2;LC-1\nLC-3 and ٤", "LC-1, LC/2, LC-3, 4"),
            ("B/L No", " ab\u200e  12 ", "ab 12"),
            ("Mode", "By Sea", "sea"),
            ("Mode", "air-freight", "air"),
            ("Mode", "بري", "land"),
            ("Unit", "Nos.", "units"),
            ("Unit", "Tires", "tyres"),
            ("Unit", "قطع غيار", "parts"),
            ("Qty", "1,200", Decimal("1200.000")),
            ("Qty", 2.5, Decimal("2.500")),
            ("No. of containers", 3.0, 3),
            ("No. of containers", "٣", 3),
            ("Vessel", "MSC\x00 Anna\ud800", "MSC Anna"),
            ("Vessel", "nil", None),
            ("Division", "Tyres\r\nand batteries", "Tyres and batteries"),
        ],
    )
    def test_are_read(self, heading, cell, expected):
        assert value(heading, cell) == expected

    @pytest.mark.parametrize(
        ("heading", "cell", "reason"),
        [
            ("LC No", 1234567890123456.0, "Excel has rounded"),
            ("LC No", 12.5, "Excel has rounded"),
            ("LC No", float("nan"), "Excel has rounded"),
            ("B/L No", ETA, "made this a date"),
            ("Vessel", True, "is not text"),
            ("Vessel", "#REF!", "holds the error"),
            ("Mode", "rail", "sea, air, land"),
            ("Unit", 5.0, "Write one of"),
            ("Qty", "500 pcs", "unit has its own column"),
            ("Qty", 0, "greater than zero"),
            ("Containers", 1.5, "whole number"),
            ("Containers", 10_000, "whole number"),
            ("Containers", "2x40HC", "whole number"),
            ("Containers", 0, "whole number"),
            ("Vessel", "x" * 121, "longer than 120"),
            ("Mode", [], "Write one of"),
        ],
    )
    def test_that_can_not_be_read_are_faults(self, heading, cell, reason):
        assert reason in value(heading, cell)

    @pytest.mark.parametrize(("name", "longest"), imports.MAX_LENGTHS.items())
    def test_may_be_as_long_as_the_database_allows(self, name, longest):
        head = ["Shipment number", "ETA", "ATA"] if name == "shipment_number" else ["shipment_number", "ETA", name]

        for length, faults in ((longest, 0), (longest + 1, 1)):
            row = ["x" * length, ETA] if name == "shipment_number" else ["SHP-1", ETA, "x" * length]
            assert len(read(row, head=head).faults) == faults

    def test_fault_values_are_cut(self):
        assert len(read(["x" * 900, "A"]).faults[0].value) == 60


class TestHeadings:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("Shipment #", "shipment_number"),
            ("SHIPMENT NO.", "shipment_number"),
            ("Ref", "shipment_number"),
            ("رقم الشحنة", "shipment_number"),
            ("LC No.", "lc_number"),
            ("L/C Number", "lc_number"),
            ("Inv Amount", "invoice_amount_omr"),
            ("Invoice\nAmount (OMR)*", "invoice_amount_omr"),
            ("E.T.A", "eta"),
            ("ETA (dd/mm/yyyy)", "eta"),
            ("تاريخ الوصول المتوقّع", "eta"),
            ("B/L No", "bl_number"),
            ("BL #", "bl_number"),
            ("POL", "port_of_loading"),
            ("P.O.D.", "port_of_discharge"),
            ("Qty", "quantity"),
            ("No. of containers", "container_count"),
            ("# of Containers", "container_count"),
            ("Supplier", "principal"),
            ("المورّد", "principal"),
            ("الماركة", "brand"),
            ("invoice_amount_omr", "invoice_amount_omr"),
            ("Inv #", "supplier_invoice_number"),
        ],
    )
    def test_are_known_by_many_names(self, text, name):
        columns = headings.columns_of([text], headings.Steps(STEPS))

        assert [one.name for one in columns.fields.values()] == [name]

    @pytest.mark.parametrize(
        ("text", "step"),
        [
            ("9.0 Bayan submitted", "9.0"),
            ("9.0", "9.0"),
            (9.0, "9.0"),
            (9, "9.0"),
            ("9", "9.0"),
            ("Step 9.0", "9.0"),
            ("step 9", "9.0"),
            ("9 Bayan lodged", "9.0"),
            ("9.0 - whatever", "9.0"),
            ("٩٫٠ Bayan", "9.0"),
            ("09.0 Bayan submitted (actual date)", "9.0"),
            ("Bayan submitted", "9.0"),
            ("BAYAN SUBMITTED date", "9.0"),
            ("1.1", "1.1"),
            ("10", "10.0"),
            ("6.2 Documents received by C&C", "6.2"),
            ("3.3 Bank document collection date agreed", "3.3"),
        ],
    )
    def test_of_steps_are_known_by_number_or_name(self, text, step):
        assert headings.columns_of([text], headings.Steps(STEPS)).steps == {0: Decimal(step)}

    @pytest.mark.parametrize(
        "text",
        [
            "9.5 Bayan",
            "99",
            "20 ft containers",
            "10 days free",
            "10.12",
            "9/12/2026",
            datetime(2026, 9, 9),
            "9.0 Bayan submitted (Target)",
            "9.0 planned",
            "9.0 Bayan submitted by",
            "9.0 remarks",
            "Invoice amount (USD)",
            "Status",
            "Reason",
            "S.No",
            "Remarks",
            "9 tyres",
        ],
    )
    def test_that_are_not_evident_are_ignored_and_listed(self, text):
        found = read([*ROW, "x"], head=[*HEAD, text])

        assert found.ignored == [" ".join(str(text).split())]
        assert len(found.rows) == 1

    def test_missing_above_values_are_listed(self):
        found = read(["SHP-1", "", "A", "B", "", 5], head=["Shipment #", None, "Principal", "Brand"])

        assert found.ignored == ["column 6, which has no heading"]

    def test_are_found_below_titles_in_the_row_that_says_most(self):
        rows = [["Imports 2026"], [], ["Shipment", "Principal", "Brand"], [], HEAD, ["SHP-1", "A", "B"]]
        found = imports.tracker(sheet_of(*rows), steps=STEPS, today=TODAY)

        assert (found.heading_rows, found.rows[0].row, found.columns["eta"], found.columns["9.0"]) == (
            [5],
            6,
            "E.T.A",
            "9.0 Bayan submitted",
        )

    @pytest.mark.parametrize(
        "rows", [[], [[]], [["Shipment #", "ETA"]], [["Principal", "Brand", "ETA", "LC"]], [[]] * 50 + [HEAD]]
    )
    def test_that_are_not_there_are_named(self, rows):
        with pytest.raises(imports.HeadingsNotFound, match="Shipment number"):
            imports.tracker(sheet_of(*rows), steps=STEPS, today=TODAY)

    @pytest.mark.parametrize("twice", ["ETA date", "Bayan submitted", "E.T.A"])
    def test_that_mean_the_same_are_refused(self, twice):
        with pytest.raises(imports.ColumnGivenTwice, match=twice):
            read(ROW, head=[*HEAD, twice])

    def test_mean_one_thing_each(self):
        claims = {}
        for one in headings.FIELDS:
            for text in [one.heading, one.name, *one.also.split(";")]:
                assert claims.setdefault(headings.key(text), one.name) == one.name


class TestRecords:
    def test_run_through_the_same_parser_and_count_from_one(self):
        found = imports.records(
            [
                {"shipment_number": 26001, "eta": "2026-12-03"},
                {"shipment_number": "B", "invoice_amount_omr": "x", "9.0": None},
            ],
            steps=STEPS,
            today=TODAY,
        )

        assert [(row.row, row.fields) for row in found.rows] == [(1, {"shipment_number": "26001", "eta": ETA})]
        assert [(one.row, one.column) for one in found.faults] == [(2, "invoice_amount_omr")]

    def test_report_unknown_keys(self):
        assert imports.records([{"shipment_number": "A", "colour": "red"}], steps=STEPS, today=TODAY).ignored == [
            "colour"
        ]

    @pytest.mark.parametrize("nested", [[1], {"a": 1}, True])
    def test_with_nested_values_fail(self, nested):
        for key in ("shipment_number", "principal", "eta", "9.0", "invoice_amount_omr", "quantity_unit", "lc_number"):
            assert (
                len(imports.records([{"shipment_number": "A"} | {key: nested}], steps=STEPS, today=TODAY).faults) == 1
            )

    @pytest.mark.parametrize("given", [[], [{}], [{"eta": "2026-12-03"}]])
    def test_without_a_shipment_number_are_refused(self, given):
        with pytest.raises(imports.ShipmentNumberMissing):
            imports.records(given, steps=STEPS, today=TODAY)


class TestTheTemplate:
    def test_is_understood_by_the_parser_after_a_journey_through_a_file(self):
        made = imports.template(steps=STEPS, divisions=["Tyres, batteries", "Parts"])
        page = sheets.Page("Shipments", [made.headings], choices=made.choices, dates=made.dates)
        content = sheets.write(page, sheets.Page("Notes", made.notes))

        found = imports.tracker(sheets.read(content, name="template.xlsx"), steps=STEPS, today=TODAY)

        assert (found.heading_rows, found.ignored, found.faults, found.rows) == ([1], [], [], [])
        assert list(found.columns) == [one.name for one in headings.FIELDS] + [number for number, name in STEPS]

    def test_offers_only_choices_that_are_understood_and_notes_every_column(self):
        made = imports.template(steps=STEPS, divisions=["Tyres"])

        for column, options in made.choices.items():
            assert [value(made.headings[column - 1], option) for option in options] == options
        assert [line[0] for line in made.notes[1 : len(made.headings) + 1]] == made.headings


class TestFiles:
    @pytest.mark.parametrize("ending", ["xlsx", "xls", "ods"])
    def test_saved_by_libreoffice_give_the_same_rows(self, ending):
        found = imports.tracker(sheets.read(FIXTURES / f"messy.{ending}", name=ending), steps=STEPS, today=TODAY)

        assert (found.heading_rows, found.skipped) == ([5], [11])
        assert found.rows[0].fields | {"steps": found.rows[0].steps} == {
            "shipment_number": "SHP-001",
            "principal": "Bridgestone Corp",
            "brand": "بريدجستون",
            "lc_number": "123456789",
            "invoice_amount_omr": Decimal("12345.500"),
            "eta": ETA,
            "quantity": Decimal(500),
            "quantity_unit": "tyres",
            "bl_number": "MAEU1",
            "port_of_loading": "Yokohama",
            "steps": {Decimal("9.0"): ETA},
        }
        assert found.rows[1].fields["lc_number"] == "LC-1, LC-2"
        assert found.rows[1].steps == {Decimal("10.0"): date(2026, 12, 6)}
        assert [one.column for one in found.faults if one.row == 8] == [
            "Inv Amount (OMR)",
            "E.T.A",
            "Qty",
            "Unit",
            "9.0 Bayan submitted",
        ]

    def test_of_failed_rows_can_be_corrected_and_imported_again(self):
        sheet = sheets.read(FIXTURES / "messy.xlsx", name="messy.xlsx")
        first = imports.tracker(sheet, steps=STEPS, today=TODAY)

        failed = sheets.read(
            sheets.failed_rows(sheet, heading_rows=first.heading_rows, positions=first.positions, faults=first.faults),
            name="a.xlsx",
        )
        again = imports.tracker(failed, steps=STEPS, today=TODAY)

        assert [(one.column, one.reason) for one in again.faults] == [(one.column, one.reason) for one in first.faults]
        assert (again.ignored, again.columns) == (first.ignored, first.columns)
        corrected = [list(row) for row in failed.rows]
        for row in corrected[5:]:
            row[7:13] = [10.0, ETA, 5.0, "units", "", ""]
        fixed = imports.tracker(sheet_of(*corrected), steps=STEPS, today=TODAY)
        assert ([row.fields["shipment_number"] for row in fixed.rows], fixed.faults) == (["SHP-003", "20260004"], [])


CELLS = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.text("0123456789/-., ٠١٢٣٤٥٦٧٨٩٫٬OMRر.ع\u200f\u00a0TDec#", max_size=14),
    st.sampled_from(
        ["N/A", "-", "#REF!", "Total", "Shipment #", "sea", "SHP-1", "3/12/2026", True, [], {}, b"x", 10**5000]
    ),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
)
ALL_HEADINGS = [one.heading for one in headings.FIELDS] + [f"{number} {name}" for number, name in STEPS[:3]]


def by_strptime(text):
    """What a date text means, by other means than the parser's: the readings of strptime, day first."""
    readings = set()
    for form in (
        "%d/%m/%Y",
        "%d/%m/%y",
        "%d-%m-%Y",
        "%d-%m-%y",
        "%d.%m.%Y",
        "%d.%m.%y",
        "%d %m %Y",
        "%d %m %y",
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%Y.%m.%d",
        "%d %b %Y",
        "%d %b %y",
        "%d-%b-%Y",
        "%d-%b-%y",
        "%d/%b/%Y",
        "%d/%b/%y",
        "%d.%b.%Y",
        "%d.%b.%y",
        "%d %B %Y",
        "%B %d, %Y",
        "%d%b%Y",
    ):
        try:
            readings.add(datetime.strptime(text, form).date())
        except ValueError:
            continue
    if len(text) == 5 and text.isdecimal():
        readings.add(date(1899, 12, 30) + timedelta(days=int(text)))
    return readings


class TestTheParserNever:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.lists(CELLS, max_size=len(ALL_HEADINGS) + 2), max_size=6))
    def test_crashes_or_loses_a_row(self, rows):
        found = read(*rows, head=ALL_HEADINGS)

        good, failed = {row.row for row in found.rows}, {fault.row for fault in found.faults}
        assert not good & failed
        assert len(good) == len(found.rows)
        for number, row in enumerate(rows, 2):
            if number not in good | failed | set(found.skipped) | set(found.heading_rows):
                assert all(
                    cell is None or (isinstance(cell, str) and cells.tidied(cell).casefold() in cells.BLANKS)
                    for cell in row[: len(ALL_HEADINGS)]
                )
        for row in found.rows:
            assert row.fields["shipment_number"]
            for one in row.fields.values():
                assert type(one) in (str, date, Decimal, int)
            assert all(type(on) is date for on in row.steps.values())
        for fault in found.faults:
            assert fault.reason.endswith(".")
            fault.reason.encode()

    @settings(max_examples=400, deadline=None)
    @given(
        st.one_of(
            st.text("0123456789/-. ", min_size=4, max_size=10),
            st.builds(
                "{}{}{}{}{}".format,
                st.integers(0, 40),
                st.sampled_from("/-. "),
                st.integers(0, 15) | st.sampled_from(["Dec", "jan"]),
                st.sampled_from("/-. "),
                st.integers(1990, 2110) | st.integers(10, 99),
            ),
        )
    )
    def test_takes_a_date_for_another(self, text):
        try:
            found = parse_date(text)
        except cells.Unreadable:
            return

        tidy = " ".join(re.split("[-/. ]+", text) if "D" in text or "j" in text else text.split())
        for separator in "/-.":
            tidy = tidy.replace(f" {separator}", separator).replace(f"{separator} ", separator)
        if found is not None:
            century = found.year // 100 * 100
            assert {one.replace(year=century + one.year % 100) for one in by_strptime(tidy)} == {found}

    @settings(deadline=None)
    @given(st.dates(date(2000, 1, 1), date(2100, 12, 31)))
    def test_misreads_a_real_date(self, day):
        serial = (day - date(1899, 12, 30)).days
        for cell in (
            day,
            datetime(day.year, day.month, day.day, 9),
            serial,
            float(serial),
            str(serial),
            day.isoformat(),
            f"{day:%d/%m/%Y}",
            f"{day.day}/{day.month}/{day.year}",
            f"{day:%d-%b-%Y}",
            f"{day:%d %B %Y}",
            f"{day:%B %d, %Y}",
        ):
            assert parse_date(cell) == day

    @settings(deadline=None)
    @given(st.text("0123456789,. ", min_size=1, max_size=12))
    def test_takes_an_amount_for_another(self, text):
        try:
            found = cells.parse_amount(text)
        except cells.Unreadable:
            return

        if found is not None:
            whole, _, decimals = " ".join(text.split()).partition(".")
            assert "," not in decimals
            assert found == Decimal("".join(one for one in whole if one in string.digits) + "." + (decimals or "0"))

    def test_takes_long_for_a_large_tracker(self):
        rows = [[f"SHP-{n}", "A", "B", n + 0.5, ETA, ETA] for n in range(5_000)]
        started = time.perf_counter()

        found = read(*rows)

        assert len(found.rows) == 5_000
        assert time.perf_counter() - started < 3

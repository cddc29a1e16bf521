"""Headings in one, two or three rows, and tables below each other: which column is read for what."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from clearance.sheets.cells import Merge, Sheet
from shipments import imports
from shipments.tests.trackers import STEPS, TODAY

ETA, TARGET, ACTUAL = date(2026, 6, 10), date(2026, 6, 10), date(2026, 6, 14)
FIXED = ["Shipment number", "Principal", "Brand", "Invoice amount (OMR)", "ETA"]
GOODS = ["SH-1", "Alpha", "Alfa", 1000, ETA]


def across(row: int, first: int, last: int) -> Merge:
    return Merge(row, first, row, last)


def down(column: int, first: int = 0, last: int = 1) -> Merge:
    return Merge(first, column, last, column)


def read(*rows, merges=()):
    return imports.tracker(Sheet("Tracker", list(rows), merges=merges), steps=STEPS, today=TODAY)


def steps_of(found):
    assert found.faults == []
    return [{str(number): on for number, on in row.steps.items()} for row in found.rows]


class TestHeadingsInTwoRows:
    SUB = ["", "", "", "", "", "Target", "Actual", "Remarks"]
    ROW = [*GOODS, TARGET, ACTUAL, "late"]

    @pytest.mark.parametrize("fixed_reach_down", [True, False])
    def test_are_read_by_what_stands_below_a_merged_heading(self, fixed_reach_down):
        merges = [across(0, 5, 7), *(down(column) for column in range(5) if fixed_reach_down)]

        found = read(
            [*FIXED, "9.0 Bayan submitted"], self.SUB, self.ROW, [*GOODS[:0], "SH-2", *GOODS[1:], TARGET], merges=merges
        )

        assert steps_of(found) == [{"9.0": ACTUAL}, {}]
        assert found.heading_rows == [2]
        assert found.ignored == ["9.0 Bayan submitted / Target", "9.0 Bayan submitted / Remarks"]
        assert found.columns["9.0"] == "9.0 Bayan submitted / Actual"
        assert [row.row for row in found.rows] == [3, 4]

    def test_may_leave_blanks_instead_of_merging(self):
        found = read([*FIXED, "9.0 Bayan submitted"], self.SUB, self.ROW)

        assert steps_of(found) == [{"9.0": ACTUAL}]
        assert found.ignored == ["9.0 Bayan submitted / Target", "9.0 Bayan submitted / Remarks"]

    @pytest.mark.parametrize("is_merged", [True, False])
    def test_may_have_the_steps_above_and_all_others_below(self, is_merged):
        groups = ["", "", "", "", "", "9.0 Bayan submitted", "", "", "10.0 Customs duty paid", "", ""]
        below = [*FIXED, *["Target", "Actual", "Remarks"] * 2]
        merges = [across(0, 5, 7), across(0, 8, 10)] if is_merged else ()

        found = read(groups, below, [*GOODS, TARGET, ACTUAL, "", TARGET, date(2026, 6, 15)], merges=merges)

        assert steps_of(found) == [{"9.0": ACTUAL, "10.0": date(2026, 6, 15)}]

    @pytest.mark.parametrize(
        ("which", "read_from"),
        [
            (["Planned", "Done", "By"], 1),
            (["Date", "Target date", "Status"], 0),
            (["Due", "Completed on", "Delay (days)"], 1),
            (["المستهدف", "الفعلي", "ملاحظات"], 1),
            (["التاريخ المخطط", "التاريخ الفعلي", "الحالة"], 1),
            (["تاريخ الإنجاز", "الموعد", "المسؤول"], 0),
            (["Plan", "Comments", "Actual"], 2),
        ],
    )
    def test_are_understood_in_other_words_and_another_order(self, which, read_from):
        dates = [date(2026, 6, day) for day in (11, 12, 13)]
        sub = ["", "", "", "", "", *which]

        found = read([*FIXED, "9.0 Bayan submitted"], sub, [*GOODS, *dates], merges=[across(0, 5, 7)])

        assert steps_of(found) == [{"9.0": dates[read_from]}]

    def test_may_say_which_date_above_and_which_step_below(self):
        head = [*FIXED, "Target", "", "Actual", ""]
        sub = ["", "", "", "", "", "9.0", "10.0", "9.0", "10.0"]
        row = [*GOODS, TARGET, TARGET, ACTUAL, ""]

        found = read(head, sub, row, merges=[across(0, 5, 6), across(0, 7, 8), *map(down, range(5))])

        assert steps_of(found) == [{"9.0": ACTUAL}]

    def test_never_take_a_target_alone_for_the_date_of_a_step(self):
        found = read(
            [*FIXED, "9.0 Bayan submitted"], ["", "", "", "", "", "Target", "Remarks"], [*GOODS, TARGET, "late"],
            merges=[across(0, 5, 6)],
        )  # fmt: skip

        assert steps_of(found) == [{}]

    def test_belong_together_where_two_words_make_one_heading(self):
        head = ["Shipment", "Supplier", "", "Invoice", "", "", "Arrival", ""]
        sub = ["No.", "Name", "Brand", "No.", "Date", "Amount", "Estimated", "Actual"]
        row = ["SH-1", "Alpha", "Alfa", "INV-1", date(2026, 5, 1), 1000, ETA, ACTUAL]

        found = read(head, sub, row, merges=[across(0, 1, 2), across(0, 3, 5), across(0, 6, 7)])

        assert found.rows[0].fields == {
            "shipment_number": "SH-1",
            "principal": "Alpha",
            "brand": "Alfa",
            "supplier_invoice_number": "INV-1",
            "supplier_invoice_date": date(2026, 5, 1),
            "invoice_amount_omr": Decimal(1000),
            "eta": ETA,
            "ata": ACTUAL,
        }

    def test_leave_out_an_amount_or_a_reference_of_something_else(self):
        head = [*FIXED, "Customs duty", "", "9.0 Bayan submitted", ""]
        sub = ["", "", "", "", "", "Ref", "Currency", "Actual", "Ref no"]
        row = [*GOODS, "X-9", "USD", ACTUAL, "B-77"]

        found = read(head, sub, row, merges=[across(0, 5, 6), across(0, 7, 8), *map(down, range(5))])

        assert steps_of(found) == [{"9.0": ACTUAL}]
        assert found.rows[0].fields["shipment_number"] == "SH-1"
        assert found.ignored == ["Customs duty / Ref", "Customs duty / Currency", "9.0 Bayan submitted / Ref no"]

    def test_that_cannot_be_understood_are_refused_and_named(self):
        sub = ["", "", "", "", "", "A", "B", "C"]

        with pytest.raises(imports.HeadingsUnclear) as refused:
            read([*FIXED, "9.0 Bayan submitted"], sub, self.ROW, merges=[across(0, 5, 7)])

        assert str(refused.value) == (
            "The headings in rows 1 and 2 of the sheet “Tracker” can't be understood together: “9.0 Bayan submitted” "
            "stands over several columns, and it isn't clear which of them holds its date or value. Name them in row "
            "2, for example “Target”, “Actual” and “Remarks”, or write all headings in one row."
        )

    def test_that_stand_over_several_columns_without_a_word_below_are_refused_if_these_say_several_things(self):
        with pytest.raises(imports.HeadingsUnclear, match=r"9\.0 Bayan submitted"):
            read([*FIXED, "9.0 Bayan submitted"], [*GOODS, TARGET, ACTUAL, "late"], merges=[across(0, 5, 7)])

        found = read([*FIXED, "9.0 Bayan submitted"], [*GOODS, ACTUAL], merges=[across(0, 5, 7)])
        assert steps_of(found) == [{"9.0": ACTUAL}]

    def test_with_two_actual_dates_of_one_step_are_refused(self):
        sub = ["", "", "", "", "", "Actual", "Done on", ""]

        with pytest.raises(imports.ColumnGivenTwice, match=r"9\.0 Bayan submitted / Actual"):
            read([*FIXED, "9.0 Bayan submitted"], sub, self.ROW[:7], merges=[across(0, 5, 7)])


class TestARowOfCurrenciesAndForms:
    @pytest.mark.parametrize("currency", ["USD", "(USD)", "$", "in EUR", "AED"])
    def test_below_the_headings_says_that_the_amount_is_none_in_rials(self, currency):
        found = read(FIXED, ["", "", "", currency, "dd/mm/yyyy"], GOODS)

        assert (found.faults, found.ignored) == ([], [f"Invoice amount (OMR) / {currency}"])
        assert [(row.row, "invoice_amount_omr" in row.fields, row.fields["eta"]) for row in found.rows] == [
            (3, False, ETA)
        ]

    def test_is_not_what_short_headings_below_a_group_are_taken_for(self):
        head, sub = [*FIXED[:4], "Dates", "", "Ports", ""], ["", "", "", "", "ETA", "ATA", "POL", "POD"]
        merges = [across(0, 4, 5), across(0, 6, 7), *map(down, range(4))]

        found = read(head, sub, ["SH-1", "Alpha", "Alfa", 1000, ETA, ACTUAL, "Yokohama", "Sohar"], merges=merges)

        assert (found.rows[0].fields["ata"], found.rows[0].fields["port_of_discharge"]) == (ACTUAL, "Sohar")

    @pytest.mark.parametrize("currency", ["OMR", "R.O.", "ر.ع."])
    def test_below_the_headings_may_say_rials(self, currency):
        found = read(
            ["Shipment number", "Principal", "Brand", "Invoice value", "ETA"], ["", "", "", currency, ""], GOODS
        )

        assert found.rows[0].fields["invoice_amount_omr"] == Decimal(1000)


class TestAnAmountInAnotherCurrency:
    @pytest.mark.parametrize("heading", ["Invoice amount ($)", "Invoice value €", "Amount (USD)", "Inv Amount £"])
    def test_by_its_heading_is_not_read(self, heading):
        found = read([*FIXED[:3], heading, "ETA"], GOODS)

        assert (found.ignored, "invoice_amount_omr" in found.rows[0].fields) == ([heading], False)

    @pytest.mark.parametrize(
        "heading", ["Currency (USD/OMR)", "Currency of the amount", "Inv. Currency Code", "عملة المبلغ"]
    )
    def test_by_a_column_beside_it_fails_the_row(self, heading):
        found = read([*FIXED, heading], [*GOODS, "USD"])

        assert [fault.column for fault in found.faults] == [heading]

    @pytest.mark.parametrize("heading", ["Freight currency", "LC currency", "Currency rate"])
    def test_is_not_meant_by_the_currency_of_something_else(self, heading):
        assert read([*FIXED, heading], [*GOODS, "USD"]).faults == []


class TestHeadingsInThreeRows:
    def test_are_read_together(self):
        head = [*FIXED, "Customs", "", "", ""]
        steps = ["", "", "", "", "", "9.0 Bayan submitted", "", "10.0 Customs duty paid", ""]
        sub = ["", "", "", "", "", "Target", "Actual", "Target", "Actual"]
        merges = [across(0, 5, 8), across(1, 5, 6), across(1, 7, 8), *(down(column, 0, 2) for column in range(5))]

        found = read(head, steps, sub, [*GOODS, TARGET, ACTUAL, TARGET, ""], merges=merges)

        assert steps_of(found) == [{"9.0": ACTUAL}]
        assert (found.heading_rows, found.columns["9.0"]) == ([3], "Customs / 9.0 Bayan submitted / Actual")

    @pytest.mark.parametrize("is_merged", [True, False])
    def test_may_be_a_title_and_two_rows(self, is_merged):
        merges = [across(0, 0, 7), across(1, 5, 7)] if is_merged else [across(1, 5, 7)]
        sub, row = TestHeadingsInTwoRows.SUB, TestHeadingsInTwoRows.ROW

        found = read(["Imports 2026"], [*FIXED, "9.0 Bayan submitted"], sub, row, merges=merges)

        assert steps_of(found) == [{"9.0": ACTUAL}]
        assert (found.heading_rows, found.rows[0].row) == ([3], 4)


class TestASingleHeadingRow:
    def test_may_stand_below_a_title_that_is_merged_over_all_of_it(self):
        merges = [across(0, 0, 5)]

        found = read(["Target dates of 2026"], [*FIXED, "9.0 Bayan submitted"], [*GOODS, ACTUAL], merges=merges)

        assert steps_of(found) == [{"9.0": ACTUAL}]
        assert found.columns["eta"] == "ETA"

    def test_does_not_swallow_a_row_of_data_without_a_number(self):
        found = read([*FIXED, "Status", "9.0 Bayan submitted"], ["", "Alpha", "Alfa", "", "", "Delayed", ""])

        assert [(fault.row, fault.column) for fault in found.faults] == [(2, "Shipment number")]


class TestAnotherTableBelow:
    OTHER = ["Ref", "Make", "Supplier", "ETA date", "Amount"]

    def test_is_read_by_its_own_headings(self):
        found = read(FIXED, GOODS, [], ["Closed"], self.OTHER, ["SH-2", "Betta", "Beta Company", ETA, 2000])

        assert found.faults == []
        assert [(row.row, row.fields["principal"], row.fields["brand"]) for row in found.rows] == [
            (2, "Alpha", "Alfa"),
            (6, "Beta Company", "Betta"),
        ]
        assert (found.heading_rows, found.skipped) == ([1, 5], [4])
        assert found.rows[1].headings["principal"] == "Supplier"

    def test_may_have_its_number_elsewhere_and_headings_in_two_rows(self):
        head = ["Supplier", "Make", "Ref", "Amount", "ETA", "9.0 Bayan submitted", ""]
        sub = ["", "", "", "", "", "Target", "Actual"]

        found = read(
            FIXED, GOODS, head, sub, ["Beta", "Betta", "SH-2", 2000, ETA, TARGET, ACTUAL], merges=[across(2, 5, 6)]
        )

        assert steps_of(found) == [{}, {"9.0": ACTUAL}]
        assert found.rows[1].fields["shipment_number"] == "SH-2"

    def test_fails_all_of_its_rows_where_its_headings_are_not_understood(self):
        head = ["Ref", "Make", "Colour", "Weight", "Berth"]

        found = read(FIXED, GOODS, head, ["SH-2", "Betta", "red", 5, ETA], ["SH-3"], FIXED, ["SH-4", *GOODS[1:]])

        assert [row.fields["shipment_number"] for row in found.rows] == ["SH-1", "SH-4"]
        assert [fault.row for fault in found.faults] == [3, 4, 5]
        assert found.faults[1].reason == (
            "Row 3 begins another table. It needs the heading “Shipment number” and at least two more that are known."
        )

    def test_is_noticed_by_its_looks_where_no_heading_is_known(self):
        found = read(FIXED, GOODS, ["Booking", "Customer", "Cargo", "Cost", "Due"], ["SH-2", "Beta", "Betta", 5, ETA])

        assert [row.row for row in found.rows] == [2]
        assert {fault.row for fault in found.faults} == {3, 4}

    def test_that_gives_a_column_twice_fails_alone(self):
        found = read(FIXED, GOODS, ["Ref", "Make", "Brand", "Amount", "ETA"], ["SH-2", "a", "b", 5, ETA])

        assert [row.row for row in found.rows] == [2]
        assert all("“Make” and “Brand” mean the same" in fault.reason for fault in found.faults)

    def test_with_the_same_headings_goes_on(self):
        found = read(FIXED, GOODS, FIXED, ["SH-2", *GOODS[1:]])

        assert (len(found.rows), found.skipped, found.heading_rows) == (2, [3], [1])

    def test_is_none_where_a_row_of_data_merely_fails(self):
        found = read(FIXED, ["SH-1", "Ref", "Parts", "many", "soon"], ["SH-2", *GOODS[1:]])

        assert [row.row for row in found.rows] == [3]
        assert {fault.row for fault in found.faults} == {2}

    def test_counts_towards_numbers_given_twice(self):
        found = read(FIXED, GOODS, self.OTHER, ["sh-1", "Betta", "Beta", ETA, 5])

        assert [(fault.row, fault.column) for fault in found.faults] == [(2, "Shipment number"), (4, "Ref")]

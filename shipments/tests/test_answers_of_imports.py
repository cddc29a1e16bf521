"""A clerk reads the answer to a bad tracker and knows what to do: whole sentences, in English and in Arabic."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from django.utils.translation import gettext, override
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from clearance.errors import Invalid
from clearance.tests import recipes
from shipments.imports import workbook

ETA = date(2026, 6, 10)
HEAD = ["Shipment number", "Principal", "Brand", "Invoice amount (OMR)", "ETA", "Vessel", "Status"]
ROW = ["SH-1", "Alpha", "Alfa", 1000, ETA]

pytestmark = pytest.mark.django_db


def tracker(change: Callable[[Worksheet], object]) -> bytes:
    book = Workbook()
    book.active.title = "June"
    for row in (HEAD, ROW, ["SH-2", *ROW[1:]]):
        book.active.append(row)
    change(book.active)
    content = BytesIO()
    book.save(content)
    return content.getvalue()


def two_heading_rows(sheet):
    sheet.delete_rows(1)
    sheet.insert_rows(1, 2)
    for column, text in enumerate([*HEAD[:5], "9.0 Bayan submitted"], 1):
        sheet.cell(1, column, text)
    for column, text in ((6, "A"), (7, "B")):
        sheet.cell(2, column, text)
    sheet.merge_cells("F1:G1")


def merged_amount(sheet):
    sheet["D2"] = 3000
    sheet.merge_cells("D2:D3")


def formula(sheet):
    sheet["F2"] = "=A2"


def dollars(sheet):
    sheet["D2"].number_format = "[$USD] #,##0.00"


def month_first(sheet):
    sheet["E2"], sheet["E3"] = "06/05/2026", "06/25/2026"


def short_year(sheet):
    sheet["E2"] = "31/12/99"


def error(sheet):
    sheet["F2"] = "#REF!"


def hidden(sheet):
    sheet.row_dimensions[2].hidden = True


def cancelled(sheet):
    sheet["G2"] = "CANCELLED"


def second_table(sheet):
    sheet.append(["Ref", "Make", "Colour"])
    sheet.append(["SH-3", "Betta", "red"])


def no_headings(sheet):
    sheet.delete_rows(1)


def rounded(sheet):
    sheet["D2"] = 1000.5
    sheet["D2"].number_format = "#,##0"


OMR = "Invoice amount (OMR)"
# What is wrong, the sentence, and what it speaks of.
ANSWERS: dict[Callable[[Any], object], tuple[str, dict[str, object]]] = {
    two_heading_rows: (
        (
            "The headings in rows {first} and {second} of the sheet “{sheet}” can't be understood together: "
            "“{heading}” stands over several columns, and it isn't clear which of them holds its date or value. Name "
            "them in row {second}, for example “Target”, “Actual” and “Remarks”, or write all headings in one row."
        ),
        {"first": 1, "second": 2, "sheet": "June", "heading": "9.0 Bayan submitted"},
    ),
    no_headings: (
        (
            "No heading row was found in the first {searched} rows of the sheets that were looked at ({sheets}). One "
            "row needs the heading “Shipment number” and at least two more, such as “Principal”, “Brand”, “Invoice "
            "amount (OMR)” or “ETA”."
        ),
        {"searched": 50, "sheets": "June"},
    ),
    merged_amount: (
        (
            "{column} “{value}” is merged over rows {first} to {last}, so it belongs to several shipments. Unmerge it "
            "and write each shipment's own figure."
        ),
        {"column": OMR, "value": 3000, "first": 2, "last": 3},
    ),
    formula: (
        (
            "{column} has a formula whose result was never stored. Open the file in Excel or LibreOffice, save it, and "
            "import it again."
        ),
        {"column": "Vessel"},
    ),
    dollars: (
        "{column} “{value}” is not in OMR. Write the equivalent in Omani rials.",
        {"column": OMR, "value": "USD 1,000.00"},
    ),
    rounded: (
        "{column} shows “{value}” but holds {held}. Show all its decimals, or type what it should be.",
        {"column": OMR, "value": "1,001", "held": 1000.5},
    ),
    month_first: (
        (
            "{column} “{value}” can be read in two ways, as row {first} of this column has the month first. Write "
            "day/month/year in the whole column, for example 03/12/2026."
        ),
        {"column": "ETA", "value": "06/05/2026", "first": 3},
    ),
    short_year: (
        "{column} “{value}” may be more than one date. Write the year with four digits: 03/12/2026.",
        {"column": "ETA", "value": "31/12/99"},
    ),
    error: (
        "{column} holds the error “{value}”. Correct the formula or type the value.",
        {"column": "Vessel", "value": "#REF!"},
    ),
    hidden: ("The row is hidden, perhaps by a filter. Show it and import again, or delete it.", {}),
    cancelled: (
        "{column} says “{value}”. Cancel the shipment on its own page, with the reason, and delete the row here.",
        {"column": "Status", "value": "CANCELLED"},
    ),
}


def answer(content: bytes, by: Any) -> str:
    try:
        imported = workbook.import_workbook(content, name="tracker.xlsx", by=by, at=recipes.NOON)
    except Invalid as refused:
        return str(refused)
    return imported.report.faults[0].reason


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("spoil", ANSWERS, ids=lambda spoil: spoil.__name__)
def test_the_answer_is_a_whole_sentence(spoil, language, bu_clerk):
    sentence, about = ANSWERS[spoil]

    with override(language):
        told = answer(tracker(spoil), bu_clerk)
        assert told == gettext(sentence).format(**about)

    assert all(str(value) in told for value in about.values())
    assert (told == sentence.format(**about)) is (language == "en"), "has no Arabic yet"
    assert bool(re.search("[\u0621-\u064a]{3}", told)) is (language == "ar")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_answer_tells_what_was_left_out(language, bu_clerk):
    def change(sheet):
        sheet["H1"] = "Vesel"
        sheet.append(["Total", "", "", 2000])
        for row in (HEAD[:5], ["SH-9", *ROW[1:]]):
            (sheet.parent["July"] if "July" in sheet.parent else sheet.parent.create_sheet("July")).append(row)

    with override(language):
        report = workbook.import_workbook(tracker(change), name="tracker.xlsx", by=bu_clerk, at=recipes.NOON).report
        expected = [
            gettext("The sheet “{sheet}” was read.").format(sheet="June"),
            gettext(
                "These sheets are trackers, too, and were not read: {sheets}. Import each of them by its name."
            ).format(sheets="“July”"),
            gettext("These columns mean nothing here and were ignored: {columns}.").format(columns="“Status”, “Vesel”"),
            gettext("Skipped as sums, repeated headings, titles or links to empty cells: {rows}.").format(rows="4"),
        ]

    assert report.notes == expected
    assert (report.sheet, report.other_sheets, report.skipped_rows) == ("June", ["July"], [4])
    assert (expected[0] == "The sheet “June” was read.") is (language == "en"), "has no Arabic yet"


def test_a_second_table_says_which_row_begins_it(bu_clerk):
    assert answer(tracker(second_table), bu_clerk) == (
        "Row 4 begins another table. It needs the heading “Shipment number” and at least two more that are known."
    )

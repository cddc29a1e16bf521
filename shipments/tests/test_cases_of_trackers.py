"""Trackers as real people have them: what each row of `cases/expected.csv` says comes true at every door."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

from clearance.tests import recipes
from clearance.tests.callers import signed_in
from shipments.models import Shipment
from shipments.tests.import_doors import DOORS, Told

CASES = Path(__file__).parent / "fixtures" / "cases"
NOW = datetime(2026, 11, 28, 12, tzinfo=recipes.MUSCAT)
EXPECTED = list(csv.DictReader((CASES / "expected.csv").read_text(encoding="utf-8").splitlines()))
Check = Callable[[Told], object]

pytestmark = pytest.mark.django_db


def shipment(number: str) -> Shipment:
    return Shipment.objects.get(shipment_number=number)


def holds(number: str, **values: object) -> Check:
    """The shipment exists and holds these values; `dated` maps steps to their dates."""
    dated: dict[str, date | None] = values.pop("dated", {})  # type: ignore[assignment]

    def check(told: Told) -> None:
        assert not told.refused
        stored = shipment(number)
        assert {name: getattr(stored, name) for name in values} == values
        assert {step: recipes.step(stored, step).actual_date for step in dated} == dated

    return check


def fails(row: int, column: str, *words: str, number: str = "") -> Check:
    """The row has a fault at that column, whose sentence has these words, and no such shipment exists."""

    def check(told: Told) -> None:
        reason = told.faults[row, column]
        assert all(word in reason for word in words), reason
        assert not Shipment.objects.filter(shipment_number=number).exists()

    return check


def is_the_same(row: int, number: str) -> Check:
    """The row is about the shipment of the file before, and nobody else's."""

    def check(told: Told) -> None:
        assert not told.about(row)
        assert Shipment.objects.count() == 5
        assert shipment(number).version == 1

    return check


def tells(*words: str) -> Check:
    def check(told: Told) -> None:
        assert all(word in told.words for word in words), told.words

    return check


def both(*checks: Check) -> Check:
    return lambda told: [check(told) for check in checks]


def no_fault(row: int) -> Check:
    return lambda told: pytest.fail(told.about(row)) if told.about(row) or told.refused else None


def found_by_search(told: Told) -> None:
    answer = signed_in(Shipment.objects.get().created_by).get("/api/v1/shipments", {"search": "محمد"})  # type: ignore[arg-type]
    assert [one["shipment_number"] for one in answer.json()["results"]] == ["CASE-L1"]
    assert shipment("CASE-L1").principal == "شركة محمد"


ETA, OMR, BAYAN = "ETA", "Invoice amount (OMR)", "9.0 Bayan submitted / Actual"
JUNE_10, JUNE_11 = date(2026, 6, 10), date(2026, 6, 11)
CHECKS: dict[tuple[str, str, str], Check] = {
    ("a1_two_heading_rows.xlsx", "3", BAYAN): holds("CASE-A1", dated={"9.0": date(2026, 6, 14)}),
    ("a1_two_heading_rows.xlsx", "4", BAYAN): holds("CASE-A2", dated={"9.0": None}),
    ("a1_two_heading_rows.xlsx", "2", ""): no_fault(2),
    ("b1_merged_down_texts.xlsx", "3", "B/L number"): holds("CASE-B2", bl_number="BL-77"),
    ("b1_merged_down_texts.xlsx", "3", "Vessel"): holds("CASE-B2", vessel="MV Example"),
    ("b1_merged_down_texts.xlsx", "4", "B/L number"): holds("CASE-B3", bl_number="BL-77"),
    ("b4_leftovers_under_a_merge.xlsx", "3", "Vessel"): holds("CASE-B5", vessel="MV Example"),
    ("c1_link_to_empty_cell.xlsx", "2", "B/L number"): holds("CASE-C1", bl_number="BL-77"),
    ("c1_link_to_empty_cell.xlsx", "2", "Vessel"): holds("CASE-C1", vessel="MV Example"),
    ("c2_formulas_without_results.xlsx", "2", "B/L number"): fails(2, "B/L number", "save it", number="CASE-C2"),
    ("c2_formulas_without_results.xlsx", "3", ""): holds("CASE-C3", bl_number="BL-3", container_count=2, ata=JUNE_11),
    ("d1_codes_shown_with_zeros.xlsx", "2", "Shipment number"): both(
        holds("00123"), lambda _told: pytest.fail("123") if Shipment.objects.filter(shipment_number="123") else None
    ),
    ("d1_codes_shown_with_zeros.xlsx", "2", "Supplier invoice number"): holds(
        "00123", supplier_invoice_number="004711"
    ),
    ("d1_codes_shown_with_zeros.xlsx", "3", "Supplier invoice number"): holds(
        "CASE-D2", supplier_invoice_number="004711"
    ),
    ("d2_amount_shown_in_dollars.xlsx", "2", OMR): fails(2, OMR, "USD 1,000.00", "not in OMR", number="CASE-D3"),
    ("d2_amount_shown_in_dollars.xlsx", "3", OMR): fails(3, OMR, "$1,000.00", "not in OMR", number="CASE-D4"),
    ("d2_amount_shown_in_dollars.xlsx", "4", OMR): holds("CASE-D5", invoice_amount_omr=Decimal(1000)),
    ("d2_amount_shown_in_dollars.xlsx", "5", OMR): holds("CASE-D6", invoice_amount_omr=Decimal(1000)),
    ("d3_currency_column.xlsx", "2", "Currency"): fails(2, "Currency", "USD", "not in OMR", number="CASE-D7"),
    ("d3_currency_column.xlsx", "3", "Currency"): holds("CASE-D8", invoice_amount_omr=Decimal(1000)),
    ("e1_same_numbers_again.xlsx", "2", "Shipment number"): is_the_same(2, "CASE-E1"),
    ("e1_same_numbers_again.xlsx", "3", "Shipment number"): is_the_same(3, "CASE-E2"),
    ("e1_same_numbers_again.xlsx", "4", "Shipment number"): is_the_same(4, "CASE-E3"),
    ("e1_same_numbers_again.xlsx", "5", "Shipment number"): is_the_same(5, "CASE-E4"),
    ("e1_same_numbers_again.xlsx", "6", "Shipment number"): is_the_same(6, "CASE-E5"),
    ("f1_month_first_column.xlsx", "2", ETA): fails(2, ETA, "06/25/2026", "not a date", number="CASE-F1"),
    ("f1_month_first_column.xlsx", "3", ETA): fails(3, ETA, "rows 2 and 4", "month first", number="CASE-F2"),
    ("f1_month_first_column.xlsx", "4", ETA): fails(4, ETA, "06/30/2026", "not a date", number="CASE-F3"),
    ("f2_date1904.xlsx", "2", ETA): holds("CASE-F4", eta=JUNE_10),
    ("f2_date1904.xlsx", "3", ETA): holds("CASE-F5", eta=JUNE_10),
    ("f3_two_digit_years.xlsx", "2", ETA): fails(2, ETA, "31/12/99", "four digits", number="CASE-F6"),
    ("f3_two_digit_years.xlsx", "3", ETA): fails(3, ETA, "26-12-15", "four digits", number="CASE-F7"),
    ("f3_two_digit_years.xlsx", "4", ETA): holds("CASE-F8", eta=JUNE_10),
    ("g1_errors.ods", "2", "ATA"): fails(2, "ATA", "#DIV/0!", number="CASE-G1"),
    ("g1_errors.ods", "3", "ATA"): fails(3, "ATA", "#N/A", number="CASE-G2"),
    ("g1_errors.ods", "4", "ATA"): holds("CASE-G3", ata=JUNE_11),
    ("g2_error_strict_ooxml.xlsx", "2", "ATA"): fails(2, "ATA", "#DIV/0!", number="CASE-G4"),
    ("g2_error_strict_ooxml.xlsx", "3", "ATA"): holds("CASE-G5", ata=JUNE_11),
    ("g3_error_getting_data.xlsx", "2", "ATA"): fails(2, "ATA", "#GETTING_DATA", number="CASE-G6"),
    ("g3_error_getting_data.xlsx", "3", "ATA"): holds("CASE-G7", ata=JUNE_11),
    ("h1_summary_sheet_first.xlsx", "", ""): both(holds("CASE-H1"), tells("“Tracker”")),
    ("h2_two_tracker_sheets.xlsx", "", ""): both(
        holds("CASE-H2"), lambda _told: Shipment.objects.get(), tells("“June”", "were not read", "“July”")
    ),
    ("i1_second_table_other_order.xlsx", "6", ""): holds("CASE-I2", principal="Beta Company", brand="Betta"),
    ("i1_second_table_other_order.xlsx", "2", ""): holds("CASE-I1", principal="Alpha Trading", brand="Alfa"),
    ("j1_stray_blank_in_last_row.xlsx", "", ""): holds("CASE-J1"),
    ("k1_misspelled_headings.xlsx", "", "Vesel; Bill of ladding"): both(
        holds("CASE-K1"), tells("Vesel", "Bill of ladding", "Tracker", "links to empty cells: 3.")
    ),
    ("l1_arabic_presentation_forms.xlsx", "2", "Principal"): found_by_search,
    ("m1_dimension_of_whole_rows.xlsx", "2", ""): holds("CASE-M1"),
    ("m2_whole_row_merged.xlsx", "3", ""): holds("CASE-M2"),
}


@pytest.fixture(autouse=True)
def late_november(monkeypatch):
    """The cases speak of June 2026, as of something that has happened."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: f"{case['kind']}-{case['file'][:2]}-{case['row']}")
def test_a_row_of_a_case_comes_out_right(case, door, bu_clerk):
    if case["first"]:
        DOORS["command"](CASES / case["first"], bu_clerk)

    told = DOORS[door](CASES / case["file"], bu_clerk)

    CHECKS[case["file"], case["row"], case["heading"]](told)


def test_every_case_is_checked():
    assert sorted(CHECKS) == sorted((case["file"], case["row"], case["heading"]) for case in EXPECTED)

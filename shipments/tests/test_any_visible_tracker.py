"""Whatever visible way a table is written in, reading gives its values back or fails the row: never another value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from clearance import sheets
from shipments import imports
from shipments.tests.trackers import STEPS, TODAY

FIELDS = {
    "Shipment number": "shipment_number", "Principal": "principal", "Brand": "brand", "Vessel": "vessel",
    "Invoice amount (OMR)": "invoice_amount_omr", "Quantity": "quantity", "ETA": "eta", "ATA": "ata",
    "9.0 Bayan submitted": "9.0",
}  # fmt: skip
DAYS = st.dates(date(2023, 1, 1), date(2026, 12, 20))
CODES = st.integers(0, 99_999).map(lambda number: f"{number:05}")
OMR = st.decimals("0.001", "9999999.999", places=3)
NAMES = st.sampled_from(["Alpha", "Beta & Sons", "شركة النور", "Γάμμα", "N 12"])


@dataclass(frozen=True)
class Look:
    """A cell as it is written: its value, and its number format."""

    value: Any
    form: str = "General"


def serial(day: date) -> int:
    return (day - date(1899, 12, 30)).days


def mostly(good: Iterable[Look], odd: Iterable[Look]) -> st.SearchStrategy[Look]:
    """One of the looks; odd ones are rare, so that rows as a whole are read often enough."""
    return st.sampled_from([*list(good) * 4, *odd])


def looks_of_day(day: date) -> st.SearchStrategy[Look]:
    forms, texts = (
        ["dd/mm/yyyy", "d-mmm-yy", "yyyy-mm-dd", "m/d/yyyy"],
        ["{0:%d/%m/%Y}", "{0:%Y-%m-%d}", "{0:%d %b %Y}"],
    )
    good = [*(Look(day, form) for form in forms), *(Look(text.format(day)) for text in texts), Look(serial(day))]
    odd = [Look(day, "mmm-yy"), Look(day, "d-mmm"), Look(f"{day:%d-%m-%y}"), Look(f"{day:%y-%m-%d}")]
    # 06/05/2026 is 6 May for everybody here: that it was meant as 5 June, nobody can see.
    return mostly(good, odd + [Look(f"{day:%m/%d/%Y}")] * (day.day > 12))


def looks_of_amount(omr: Decimal) -> st.SearchStrategy[Look]:
    forms, texts = ["General", "0.000", "#,##0.000", "[$OMR] #,##0.000"], ["{0}", "{0:,}", "OMR {0:,}", "{0:,} ر.ع."]
    odd_forms = ["0", "#,##0.00", "[$USD] 0.00", "0%", "#,##0,", '0.000 "kg"']
    good = [*(Look(float(omr), form) for form in forms), *(Look(text.format(omr)) for text in texts)]
    return mostly(good, [*(Look(float(omr), form) for form in odd_forms), Look(f"USD {omr}"), Look(f"${omr}")])


def looks_of_code(code: str) -> st.SearchStrategy[Look]:
    return st.sampled_from([Look(code), Look(int(code), "00000"), Look(code, "@")])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Look]]]:
    """Headings in any order, rows of values, and how each cell is written."""
    order = draw(st.permutations(list(FIELDS)))
    rows, written = [], []
    for code in draw(st.lists(CODES, min_size=1, max_size=5, unique=True)):
        row: dict[str, Any] = {"Shipment number": code} | {
            name: draw(NAMES) for name in ("Principal", "Brand", "Vessel")
        }
        row |= {name: draw(OMR) for name in ("Invoice amount (OMR)", "Quantity")}
        row |= {name: draw(DAYS) for name in ("ETA", "ATA", "9.0 Bayan submitted")}
        rows.append(row)
        looks = {"Shipment number": draw(looks_of_code(code))}
        looks |= {name: Look(row[name]) for name in ("Principal", "Brand", "Vessel")}
        looks |= {name: draw(looks_of_amount(row[name])) for name in ("Invoice amount (OMR)", "Quantity")}
        looks |= {name: draw(looks_of_day(row[name])) for name in ("ETA", "ATA", "9.0 Bayan submitted")}
        written.append(looks)
    return order, rows, written


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tables(), st.data())
def test_gives_its_values_back_or_fails_the_row(table, data):
    order, rows, written = table
    merged = data.draw(st.none() | st.sampled_from(["Vessel", "ETA", "Quantity"]))
    book = Workbook()
    sheet = book.active
    sheet.append(order)
    for number, looks in enumerate(written, 2):
        for column, heading in enumerate(order, 1):
            look = looks[heading]
            cell = sheet.cell(number, column, look.value)
            cell.number_format = look.form
    if merged and len(rows) > 1:
        column = order.index(merged) + 1
        sheet.merge_cells(start_row=2, end_row=len(rows) + 1, start_column=column, end_column=column)
        for row in rows:
            row[merged] = rows[0][merged]
    content = BytesIO()
    book.save(content)

    found = imports.tracker(sheets.read(content.getvalue(), name="tracker.xlsx"), steps=STEPS, today=TODAY)

    failed = {fault.row for fault in found.faults}
    assert {row.row for row in found.rows} | failed == set(range(2, len(rows) + 2))
    for row in found.rows:
        read = dict(row.fields) | {str(number): on for number, on in row.steps.items()}
        assert read == {FIELDS[heading]: value for heading, value in rows[row.row - 2].items()}

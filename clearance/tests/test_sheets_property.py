"""Whatever a table holds and however it is shown: reading gives the values that a person sees, or marks the cell."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO

import openpyxl
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance import sheets

EPOCHS = {False: date(1899, 12, 30), True: date(1904, 1, 1)}


@dataclass(frozen=True)
class Written:
    """A cell as it is put into the file, what a person sees in it, and what that means."""

    stored: object
    code: str
    seen: str
    is_plain: bool = False  # the value alone says all that is seen


def grouped(amount, places):
    return f"{amount:,.{places}f}"


codes = st.builds(
    lambda number, zeros: Written(number, "0" * zeros, f"{number:0{zeros}d}"), st.integers(0, 99_999), st.integers(2, 9)
)
sums = st.builds(
    lambda baisa, sign: Written(baisa / 1000, f"[${sign}] #,##0.000", f"{sign} {grouped(Decimal(baisa) / 1000, 3)}"),
    st.integers(1, 10**10),
    st.sampled_from(["USD", "OMR", "€", "R.O."]),
)
plain_sums = st.builds(
    lambda baisa: Written(baisa / 1000, "#,##0.000", grouped(Decimal(baisa) / 1000, 3), is_plain=True),
    st.integers(1, 10**10),
)
shares = st.builds(lambda n: Written(n / 100, "0%", f"{n}%"), st.integers(0, 300))
days = st.dates(date(1995, 1, 1), date(2035, 12, 31))
dates = st.builds(
    lambda day, code: Written(day, code[0], day.strftime(code[1]), is_plain=True),
    days,
    st.sampled_from([("dd/mm/yyyy", "%d/%m/%Y"), ("yyyy-mm-dd", "%Y-%m-%d"), ("d mmm yyyy", "%d %b %Y")]),
)
months = st.builds(lambda day: Written(day, "mmm-yy", day.strftime("%b-%y")), days)
texts = st.builds(
    lambda text: Written(text, "General", text, is_plain=True),
    st.text(st.characters(codec="utf-8", categories=["L", "Nd", "P", "S"]), min_size=1, max_size=8).filter(
        lambda text: text[0] not in "=#" and text.strip() == text
    ),
)
numbered = st.builds(lambda n: Written(n, '"SH-"000', f"SH-{n:03d}"), st.integers(0, 99_999))
rounded = st.builds(
    lambda n: Written(n + 0.25, "#,##0", grouped(n, 0)), st.integers(1, 10**6)
)  # what isn't seen must not be taken
CELLS = st.one_of(codes, sums, plain_sums, shares, dates, months, texts, numbered, rounded)
TABLES = st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6)


def workbook(table, *, merged, is_1904, hidden):
    book = openpyxl.Workbook()
    if is_1904:
        book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    sheet = book.active
    for row, cells in enumerate(table, 1):
        for column, cell in enumerate(cells, 1):
            made = sheet.cell(row, column, cell.stored)
            made.number_format = cell.code
            if isinstance(cell.stored, str):
                made.data_type = "s"
    if merged and len(table) > 1:
        sheet.merge_cells(start_row=1, end_row=len(table), start_column=2, end_column=2)
    if hidden:
        sheet.row_dimensions[1].hidden = True
    target = BytesIO()
    book.save(target)
    return target.getvalue()


def as_number(text):
    return Decimal(re.sub(r"[^\d.]", "", text))


@settings(max_examples=150, deadline=None)
@given(TABLES, st.booleans(), st.booleans(), st.booleans())
def test_reading_gives_what_is_seen(table, merged, is_1904, hidden):
    found = sheets.read(workbook(table, merged=merged, is_1904=is_1904, hidden=hidden), name="a.xlsx")

    covered = {(row, 1) for row in range(1, len(table))} if merged else set()
    for row, cells in enumerate(table):
        for column, cell in enumerate(cells):
            value = found.rows[row][column] if column < len(found.rows[row]) else ""
            mark = found.marks.get((row, column))
            if (row, column) in covered:
                assert (value, mark) == ("", None)
            elif mark:
                assert mark.text == cell.seen
                assert mark.is_rounded == (cell.code == "#,##0")
            else:
                assert cell.is_plain
                assert value == cell.stored
                if isinstance(cell.stored, float):
                    assert Decimal(repr(value)) == as_number(cell.seen)
    assert found.hidden_rows == ({0} if hidden else set())
    assert len(found.merges) == (merged and len(table) > 1)


@settings(max_examples=60, deadline=None)
@given(days, st.booleans(), st.sampled_from(["dd/mm/yyyy", "[$-2001]d mmmm yyyy", "yyyy\\-mm\\-dd;@"]))
def test_a_serial_number_in_the_format_of_a_date_is_that_date(day, is_1904, code):
    serial = (day - EPOCHS[is_1904]) / timedelta(days=1)

    found = sheets.read(
        workbook([[Written(serial, code, "")]], merged=False, is_1904=is_1904, hidden=False), name="a.xlsx"
    )

    assert (found.rows[0][0], found.counts_from_1904) == (day, is_1904)

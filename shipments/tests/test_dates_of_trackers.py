"""The dates of a column are read by one convention: what the whole column says, or not at all."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance.sheets.cells import Sheet
from shipments import imports
from shipments.imports.dates import look_half_swapped
from shipments.imports.notes import notes_on
from shipments.tests.trackers import STEPS, TODAY

COLUMNS = ["ETA", "ATA", "Sail date", "Supplier invoice date", "9.0 Bayan submitted"]
FIELDS = {"ETA": "eta", "ATA": "ata", "Sail date": "sail_date", "Supplier invoice date": "supplier_invoice_date"}


def column(heading, *cells, **looks):
    """What becomes of these cells below one heading: dates, or the sentences of faults, by row."""
    rows = [["Shipment number", "Vessel", heading], *([f"SH-{n}", "MV", cell] for n, cell in enumerate(cells))]
    found = imports.tracker(Sheet("Tracker", rows, **looks), steps=STEPS, today=TODAY)
    name = FIELDS.get(heading)
    read = {row.row: row.fields.get(name) if name else row.steps.get(Decimal("9.0")) for row in found.rows}
    return read | {fault.row: fault.reason for fault in found.faults}, found


class TestAColumn:
    @pytest.mark.parametrize("heading", COLUMNS)
    @pytest.mark.parametrize(
        "first", ["06/25/2026", "6-25-2026", "06.25.2026", "٠٦/٢٥/٢٠٢٦", "06/25/2026 14:30", "6/25/26"]
    )
    def test_with_the_month_first_anywhere_gives_no_date_that_can_be_read_both_ways(self, heading, first):
        read, _ = column(heading, "06/05/2026", first, "3/4/26")

        assert all(isinstance(one, str) for one in read.values())
        assert "can be read in two ways, as row 3 of this column has the month first" in read[2]
        assert "can be read in two ways, as row 3 of this column has the month first" in read[4]

    def test_with_the_month_first_still_gives_what_can_be_read_in_one_way(self):
        day = date(2026, 5, 5)
        read, _ = column("ATA", "06/25/2026", "05/05/2026", day, "2026-05-05", "5 May 2026", 46147, "", "25/05/2026")

        assert isinstance(read[2], str)
        assert [read[row] for row in range(3, 10)] == [day] * 5 + [None, date(2026, 5, 25)]

    def test_names_two_rows_as_examples(self):
        read, _ = column("ETA", *["06/05/2026"] * 3, "06/25/2026", "07/31/2026", "08/30/2026")

        assert read[2] == (
            "ETA “06/05/2026” can be read in two ways, as rows 5 and 6 of this column have the month first. Write "
            "day/month/year in the whole column, for example 03/12/2026."
        )

    def test_leaves_the_other_columns_alone(self):
        rows = [["Shipment number", "ETA", "ATA"], ["A", "06/25/2026", ""], ["B", "", "06/05/2026"]]

        found = imports.tracker(Sheet("Tracker", rows), steps=STEPS, today=TODAY)

        assert [row.fields.get("ata") for row in found.rows] == [date(2026, 5, 6)]

    def test_that_never_has_the_month_first_is_day_first(self):
        assert column("ETA", "06/05/2026", "25/06/2026")[0] == {2: date(2026, 5, 6), 3: date(2026, 6, 25)}

    @pytest.mark.parametrize("impossible", ["31/31/2026", "0/25/2026", "12/32/2026", "06/25"])
    def test_takes_no_nonsense_for_a_month_that_comes_first(self, impossible):
        assert column("ETA", "06/05/2026", impossible)[0][2] == date(2026, 5, 6)


class TestTwoDigitYears:
    @pytest.mark.parametrize(
        ("heading", "text", "read"),
        [
            ("ETA", "10/06/26", date(2026, 6, 10)),
            ("ETA", "10/06/28", date(2028, 6, 10)),
            ("ETA", "10.06.21", date(2021, 6, 10)),
            ("ETA", "3-Dec-26", date(2026, 12, 3)),
            ("ETA", "31-12-26", date(2026, 12, 31)),
            ("ETA", "26-06-26", date(2026, 6, 26)),
            ("Sail date", "10/06/27", date(2027, 6, 10)),
            ("ATA", "25/06/26", date(2026, 6, 25)),
            ("9.0 Bayan submitted", "10/06/26", date(2026, 6, 10)),
        ],
    )
    def test_are_taken_where_they_are_plausible(self, heading, text, read):
        assert column(heading, text)[0] == {2: read}

    @pytest.mark.parametrize(
        ("heading", "text"),
        [
            ("ETA", "31/12/99"),
            ("ETA", "10/06/29"),
            ("ETA", "10/06/20"),
            ("ETA", "26-12-15"),
            ("ETA", "26-12-03"),
            ("ETA", "25-12-26"),
            ("ETA", "25 12 26"),
            ("Sail date", "10/06/28"),
            ("Supplier invoice date", "10/06/27"),
            ("ATA", "3 Dec 27"),
            ("9.0 Bayan submitted", "10/06/27"),
            ("9.0 Bayan submitted", "31/12/99"),
        ],
    )
    def test_fail_where_they_are_not(self, heading, text):
        assert column(heading, text)[0] == {
            2: f"{heading} “{text}” may be more than one date. Write the year with four digits: 03/12/2026."
        }


class TestTheSystemOf1904:
    @pytest.mark.parametrize("heading", COLUMNS)
    @pytest.mark.parametrize("serial", [44721, 44721.0, 44721.75])
    def test_counts_serial_numbers_from_then(self, heading, serial):
        assert column(heading, serial, counts_from_1904=True)[0] == {2: date(2026, 6, 10)}

    def test_takes_no_number_in_a_text_for_a_date(self):
        assert "is not a date" in column("ETA", "44721", counts_from_1904=True)[0][2]

    def test_leaves_real_dates_alone(self):
        assert column("ETA", date(2026, 6, 10), counts_from_1904=True)[0] == {2: date(2026, 6, 10)}


class TestHalfSwappedDates:
    SWAPPED = ("25/06/2026", date(2026, 6, 5), "13/07/2026", datetime(2026, 1, 12))  # noqa: DTZ001

    @pytest.mark.parametrize("heading", COLUMNS)
    def test_are_warned_of(self, heading):
        _, found = column(heading, *self.SWAPPED)

        assert (found.swapped, found.faults) == ([heading], [])
        assert any(f"Days and months in “{heading}” may be swapped" in note for note in notes_on(found))

    @pytest.mark.parametrize(
        "innocent", ["06/05/2026", date(2026, 6, 25)], ids=["a text up to 12", "a real date above 12"]
    )
    def test_are_not_suspected_where_one_cell_speaks_against_it(self, innocent):
        assert column("ETA", *self.SWAPPED, innocent)[1].swapped == []

    @pytest.mark.parametrize("cells", [SWAPPED[::2], SWAPPED[1::2], ("2026-06-25", date(2026, 6, 5)), ()])
    def test_need_both_texts_and_real_dates(self, cells):
        assert column("ETA", *cells)[1].swapped == []


DAYS = st.dates(date(2022, 1, 1), date(2026, 12, 20))
UNMISTAKABLE = ["{0:%Y-%m-%d}", "{0:%d %B %Y}", "{0:%d-%b-%y}", "{0:%B %d, %Y}"]
DAY_FIRST = ["{0:%d/%m/%Y}", "{0.day}/{0.month}/{0.year}", "{0:%d.%m.%Y}", "{0:%d-%m-%Y}", "{0:%d/%m/%y}"]


def as_real(day):
    return day


def as_serial(day):
    return (day - date(1899, 12, 30)).days


class TestWhateverTheForm:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(DAYS, st.sampled_from([*UNMISTAKABLE, *DAY_FIRST, as_real, as_serial])), max_size=12))
    def test_a_day_first_column_gives_each_day_back(self, days):
        cells = [form(day) if callable(form) else form.format(day) for day, form in days]

        read, _ = column("ETA", *cells)

        assert list(read.values()) == [day for day, _ in days]

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(DAYS, min_size=1, max_size=12), st.lists(st.tuples(DAYS, st.sampled_from([*UNMISTAKABLE, as_real])))
    )
    def test_a_month_first_column_gives_the_days_back_or_fails_but_never_another_day(self, american, plain):
        cells = [f"{day:%m/%d/%Y}" for day in american] + [
            form(d) if callable(form) else form.format(d) for d, form in plain
        ]
        days = [*american, *(day for day, _ in plain)]

        read, _ = column("ETA", *cells)

        if any(day.day > 12 for day in american):
            for row, day in enumerate(days, 2):
                assert read[row] == day or (isinstance(read[row], str) and row < 2 + len(american))

    @settings(max_examples=200, deadline=None)
    @given(DAYS, st.sampled_from(["{0:%d-%m-%y}", "{0:%y-%m-%d}", "{0:%d %m %y}", "{0:%d/%m/%y}"]))
    def test_two_digits_never_make_another_day(self, day, form):
        read = column("ATA", form.format(day))[0][2]

        assert read == day or isinstance(read, str)

    @settings(max_examples=100, deadline=None)
    @given(st.lists(DAYS, min_size=1))
    def test_what_a_program_has_swapped_is_suspected(self, days):
        cells = [f"{d:%d/%m/%Y}" if d.day > 12 else d.replace(day=d.month, month=d.day) for d in days]
        has_both = len({type(cell) for cell in cells}) == 2

        assert look_half_swapped(cells) is has_both

    @settings(deadline=None)
    @given(DAYS, st.integers(0, 86_399))
    def test_1904_counts_as_the_same_day(self, day, second):
        serial = (day - date(1904, 1, 1)).days + second / 86_400

        assert column("ETA", serial, counts_from_1904=True)[0] == {2: day}
        assert column("ETA", serial, counts_from_1904=False)[0][2] != day
        assert timedelta(1462) == date(1904, 1, 1) - date(1899, 12, 30)

# ruff: noqa: DTZ001 (a sheet's dates know no time zone)
from datetime import datetime
from decimal import Decimal

import openpyxl
import pytest

from clearance.sheets import renderings
from clearance.sheets.formats import compiled
from clearance.tests.fixtures.make_looks import DAY
from clearance.tests.test_sheets_looks import read, saved


class TestAFormat:
    @pytest.mark.parametrize(
        ("code", "value", "text"),
        [
            ("00000", 123456, "123456"),
            ("0 000", 12345, "12 345"),
            ('#,##0.0,,"M"', 1_234_567, "1.2M"),
            ("##0.0E+0", 12345, "12.3E+3"),
            ("# ?/16", 1.5, "1 8/16"),
            ('[<1000]0;[>=1000]0.0,"k"', 1500, "1.5k"),
            ('[=1]"yes";[=0]"no";0', 1, "yes"),
            ("USD 0.00", 5, "USD 5.00"),
            ("[$$-409]#,##0.00", -5, "-$5.00"),
            ('General" pcs"', 5, "5 pcs"),
            ("00.00", 5.5, "05.50"),
            ("[h]:mm", datetime(1900, 1, 3, 4, 5), "100:05"),
            ("hh:mm AM/PM", datetime(2026, 6, 10, 13, 4), "01:04 PM"),
            ("mmmm", DAY, "June"),
            ("x" * 256, 5, "…"),
        ],
    )
    def test_shows_a_value_in_its_own_way(self, code, value, text):
        assert compiled(code).shown(value).text == text

    @pytest.mark.parametrize(
        "code", ["[$-F800]dddd, mmmm dd, yyyy", "yyyy-mm-dd", "d/m/yy h:mm", "B2dd/mm/yyyy", "@", ""]
    )
    def test_of_full_dates_and_texts_says_nothing_more(self, code):
        assert compiled(code).is_dull

    @pytest.mark.parametrize(("code", "value"), [("0;;", -3), ("0;-0;", 0), (";;;", "x"), ("#", 0)])
    def test_may_show_nothing_at_all(self, code, value):
        assert compiled(code).shown(value).is_hidden

    def test_makes_a_date_of_a_number_and_a_number_of_a_date_whatever_the_library_takes_it_for(self):
        made = openpyxl.Workbook()
        for row, code in enumerate(['"Day "0', "[$SAR] 0.00", "[$-2060401]dd/mm/yyyy", "0.00\\ \\d\\h\\s"], 1):
            made.active.cell(row, 1, 46183).number_format = code

        sheet = read(saved(made))

        assert [row[0] for row in sheet.rows] == [46183, 46183, DAY, 46183]
        assert [sheet.marks[row, 0].text for row in (0, 1, 3)] == ["Day 46183", "SAR 46183.00", "46183.00 dhs"]

    def test_counts_from_1904_where_the_workbook_does(self):
        made = openpyxl.Workbook()
        made.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
        made.active.append([DAY, 44721])

        sheet = read(saved(made))

        assert (list(sheet.rows[0]), sheet.counts_from_1904) == ([DAY, 44721], True)


@pytest.mark.parametrize("code", ["00000", "#,##0.000", "[$OMR] #,##0.000", '0" pcs"', '"SH-"000', "#,##0.00_)", "-0"])
def test_simple_formats_are_written_as_all_others_are(code):
    section = compiled(code).sections[0]
    assert section.simple

    for value in (0, 1, 12, 123.456, 999.9995, 1234567.8915, 0.05, 1e15, 1e20, 0.1 + 0.2):
        text, _ = renderings.number(section, value, is_signed=False)
        assert text == renderings._decimal(section, Decimal(repr(value)))[0]

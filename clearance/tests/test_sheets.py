# ruff: noqa: DTZ001 (a sheet's dates know no time zone)
import re
import struct
import time
import tracemalloc
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance import sheets
from clearance.errors import Invalid
from clearance.sheets import Page, inspection, refusals, workbooks
from clearance.sheets.inspection import Way

FIXTURES = Path(__file__).parents[2] / "shipments" / "tests" / "fixtures"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
TABLE = [["Shipment #", "ETA"], ["SHP-1", date(2026, 12, 3)]]


@dataclass
class Fault:
    row: int
    column: str
    reason: str


def workbook(*tables, titles=("Data", "Second", "Third"), hidden=()):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, table in zip(titles, tables, strict=False):
        sheet = book.create_sheet(title)
        for row in table:
            sheet.append(row)
        sheet.sheet_state = "hidden" if title in hidden else "visible"
    target = BytesIO()
    book.save(target)
    return target.getvalue()


def with_part(content, name, part):
    """The archive with one part replaced or added; `part` is bytes or a function of the old ones."""
    old, target = ZipFile(BytesIO(content)), BytesIO()
    with ZipFile(target, "w", ZIP_DEFLATED) as new:
        for one in old.namelist():
            if one != name:
                new.writestr(one, old.read(one))
        new.writestr(name, part(old.read(name)) if callable(part) else part)
    return target.getvalue()


def with_sheet(xml):
    return with_part(workbook(TABLE), "xl/worksheets/sheet1.xml", f"<worksheet {MAIN}>{xml}</worksheet>".encode())


def lying(content, name):
    """The archive with a directory that claims ten bytes for a part."""
    info = ZipFile(BytesIO(content)).getinfo(name)
    mark = struct.pack("<L", info.CRC) + struct.pack("<LL", info.compress_size, info.file_size)
    return content.replace(mark, mark[:8] + struct.pack("<L", 10))


def xlsb(table, *, far=None):
    """A workbook in Excel's binary format, of texts only; `far` is the row and column of one more."""

    def record(kind, content=b""):
        size = bytes([len(content) & 127 | 128, len(content) >> 7])
        return (bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])) + size + content

    def text(value):
        return struct.pack("<L", len(value)) + value.encode("utf-16-le")

    cells = {(row, column): cell for row, cells in enumerate(table) for column, cell in enumerate(cells)}
    cells |= {far: "far"} if far else {}
    data = record(129) + record(148, struct.pack("<4L", 0, max(cells)[0], 0, max(c for _, c in cells))) + record(145)
    for (row, column), cell in sorted(cells.items()):
        data += record(0, struct.pack("<LLHBBBL", row, 0, 300, 0, 0, 0, 0)) if (row, column - 1) not in cells else b""
        data += record(6, struct.pack("<LL", column, 0) + text(cell))
    book = record(131) + record(143) + record(156, bytes(4) + b"\1\0\0\0" + text("rId1") + text("Data")) + record(144)
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
    link = f'<Relationship Id="rId1" Type="{kind}" Target="worksheets/sheet1.bin"/>'
    names = "http://schemas.openxmlformats.org/package/2006/relationships"
    target = BytesIO()
    with ZipFile(target, "w") as archive:
        archive.writestr("xl/workbook.bin", book + record(132))
        archive.writestr("xl/worksheets/sheet1.bin", data + record(146) + record(130))
        archive.writestr("xl/_rels/workbook.bin.rels", f'<Relationships xmlns="{names}">{link}</Relationships>')
    return target.getvalue()


SMALL = workbook(TABLE)


class TestReading:
    def test_gives_the_cells_by_the_row_and_column_that_the_user_sees(self):
        content = workbook(
            [[], [], [None, None, "Shipment #", "ETA"], [], [None, None, "SHP-1", date(2026, 12, 3), None]]
        )

        found = sheets.read(content, name="a.xlsx")

        assert found.name == "Data"
        assert [list(row) for row in found.rows] == [
            [],
            [],
            ["", "", "Shipment #", "ETA"],
            [],
            ["", "", "SHP-1", date(2026, 12, 3)],
        ]

    def test_cuts_blanks_at_the_end_of_rows_and_of_the_sheet(self):
        found = sheets.read(workbook([["a", "b", " "], ["c"], ["  "], [None, " "]]), name="a.xlsx")

        assert [list(row) for row in found.rows] == [["a", "b"], ["c"]]

    @pytest.mark.parametrize("ending", ["xlsx", "xls", "ods"])
    def test_reads_what_libreoffice_has_saved(self, ending):
        found = sheets.read(FIXTURES / f"messy.{ending}", name=f"messy.{ending}")

        assert found.name == "متابعة الشحنات"
        assert len(found.rows) == 11
        assert found.rows[4][2:5] == [" Shipment # ", "Supplier", "العلامة التجارية"]
        assert found.rows[6][3] == "شركة النور"
        assert found.rows[9][6:8] == [2000.5, date(2026, 12, 7)]

    def test_reads_the_binary_format(self):
        table = [["Shipment #", "Principal"], ["SHP-1", "شركة النور"]]

        assert [list(row) for row in sheets.read(xlsb(table), name="a.xlsb").rows] == table

    def test_takes_the_first_visible_sheet_with_content(self):
        content = workbook([["hidden"]], [], [["here"]], hidden=["Data"])

        assert sheets.read(content, name="a.xlsx").name == "Third"

    def test_takes_the_named_sheet_whatever_its_case(self):
        content = workbook([["a"]], [["b"]])

        assert list(sheets.read(content, name="a.xlsx", sheet="second ").rows[0]) == ["b"]

    def test_names_the_sheets_there_are_if_the_named_one_is_missing(self):
        with pytest.raises(refusals.SheetNotFound, match=r"no sheet “Tracker”.*Data, Second"):
            sheets.read(workbook([["a"]], [["b"]]), name="a.xlsx", sheet="Tracker")

    def test_refuses_an_empty_workbook(self):
        with pytest.raises(refusals.SheetEmpty):
            sheets.read(workbook([]), name="a.xlsx")

    def test_tells_the_errors_of_formulas_which_calamine_hides(self):
        content = workbook([["a", "b"], ["#REF!", 1]], [["#N/A", "x"], ["y"]])

        assert list(sheets.read(content, name="a.xlsx").rows[1]) == ["#REF!", 1.0]
        assert list(sheets.read(content, name="a.xlsx", sheet="Second").rows[0]) == ["#N/A", "x"]

    def test_reads_a_workbook_with_prefixed_elements_and_unusual_quotes(self):
        content = with_part(
            workbook(TABLE),
            "xl/worksheets/sheet1.xml",
            f'<x:worksheet {MAIN.replace("xmlns", "xmlns:x")}><x:sheetData><x:row r="2">'
            "<x:c r='B2'><x:v>7</x:v></x:c></x:row></x:sheetData></x:worksheet>".encode().decode(),
        )

        assert [list(row) for row in sheets.read(content, name="a.xlsx").rows] == [[], ["", 7.0]]


class TestLimits:
    def test_a_large_file_is_refused_before_it_is_read(self, tmp_path):
        file = tmp_path / "large.xlsx"
        file.write_bytes(b"x" * 2_000_000)

        with pytest.raises(refusals.WorkbookTooLarge, match="larger than 1 MB"):
            sheets.read(file, name=file.name, max_bytes=1024 * 1024)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"a,b\n1,2",
            b"%PDF-1.7",
            b"PK\x03\x04broken",
            OLE + bytes(3000),
            workbook(TABLE)[:2000],
            workbook(TABLE)[:-30],
        ],
    )
    def test_what_is_no_workbook_is_refused(self, content):
        with pytest.raises(refusals.NotAWorkbook):
            sheets.read(content, name="a.xlsx")

    def test_a_damaged_part_is_refused(self):
        with pytest.raises(refusals.NotAWorkbook):
            sheets.read(with_part(workbook(TABLE), "xl/workbook.xml", b"<workbook"), name="a.xlsx")

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_random_damage_is_read_or_refused_but_never_crashes(self, data):
        content = bytearray(SMALL)
        for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
            content[at] = data.draw(st.integers(0, 255))

        try:
            found = sheets.read(bytes(content), name="a.xlsx")
        except Invalid:
            return

        assert isinstance(found, sheets.Sheet)

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            (workbook(TABLE), "tracker.XLSM"),
            (with_part(workbook(TABLE), "xl/vbaProject.bin", b"x"), "a.xlsx"),
            (with_part(workbook(TABLE), "xl/macrosheets/sheet1.xml", b"x"), "a.xlsx"),
            (with_part(workbook(TABLE), "Basic/Standard/Module1.xml", b"x"), "a.ods"),
            (OLE + "_VBA_PROJECT_CUR".encode("utf-16-le"), "a.xls"),
        ],
    )
    def test_macros_are_refused(self, content, name):
        with pytest.raises(refusals.WorkbookHasMacros):
            sheets.read(content, name=name)

    @pytest.mark.parametrize(
        "content",
        [
            (FIXTURES / "locked.xls").read_bytes(),
            (FIXTURES / "locked.ods").read_bytes(),
            OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
        ],
        ids=["xls", "ods", "xlsx"],
    )
    def test_a_password_is_named_as_the_reason(self, content):
        with pytest.raises(refusals.WorkbookProtected):
            sheets.read(content, name="a")

    def test_a_bomb_is_refused_by_its_directory(self, monkeypatch):
        monkeypatch.setattr(inspection, "MAX_UNPACKED", 1_000_000)

        with pytest.raises(refusals.WorkbookUnpacksTooLarge):
            sheets.read(with_part(workbook(TABLE), "xl/sharedStrings.xml", bytes(2_000_000)), name="a.xlsx")

    def test_a_bomb_whose_directory_lies_is_refused_without_unpacking_it(self, monkeypatch):
        monkeypatch.setattr(inspection, "MAX_UNPACKED", 1_000_000)
        bomb = lying(with_part(workbook(TABLE), "xl/sharedStrings.xml", bytes(50_000_000)), "xl/sharedStrings.xml")
        assert ZipFile(BytesIO(bomb)).getinfo("xl/sharedStrings.xml").file_size == 10
        tracemalloc.start()

        with pytest.raises(refusals.WorkbookUnpacksTooLarge):
            sheets.read(bomb, name="a.xlsx")

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5_000_000

    def test_an_incredible_ratio_is_refused(self):
        with pytest.raises(refusals.WorkbookUnpacksTooLarge):
            sheets.read(with_part(workbook(TABLE), "xl/media/a.png", bytes(20_000_000)), name="a.xlsx")

    def test_thousands_of_parts_are_refused(self):
        target = BytesIO()
        with ZipFile(target, "w") as archive:
            for number in range(2_001):
                archive.writestr(f"{number}", b"")

        with pytest.raises(refusals.WorkbookUnpacksTooLarge):
            sheets.read(target.getvalue(), name="a.xlsx")

    def test_a_used_range_of_the_whole_grid_costs_nothing(self):
        book = openpyxl.load_workbook(BytesIO(workbook(TABLE)))
        book.active["A1048576"].fill = openpyxl.styles.PatternFill("solid", fgColor="FF0000")
        target = BytesIO()
        book.save(target)
        content = with_part(
            target.getvalue(),
            "xl/worksheets/sheet1.xml",
            lambda xml: re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:XFD1048576"', xml),
        )
        started = time.perf_counter()

        found = sheets.read(content, name="a.xlsx")

        assert [list(row) for row in found.rows] == TABLE
        assert time.perf_counter() - started < 5

    @pytest.mark.parametrize(
        "cells",
        [
            '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>',
            "<row r='1'><c r='A1'><v>1</v></c></row><row r='1048576'><c r='XFD1048576'><v>2</v></c></row>",
            '<row r="1"><c><v>1</v></c></row><row r="1048576"><c s="1" r="XFD1048576"><v>2</v></c></row>',
        ],
    )
    def test_two_cells_in_opposite_corners_do_not_kill_the_process(self, cells):
        with pytest.raises(refusals.TooManyColumns, match="more than 256 columns"):
            sheets.read(with_sheet(f"<sheetData>{cells}</sheetData>"), name="a.xlsx")

    def test_two_cells_far_apart_in_the_binary_format_do_not_either(self):
        with pytest.raises(refusals.WorkbookTooDemanding):
            sheets.read(xlsb([["a"]], far=(1_048_575, 16_383)), name="a.xlsb")

    def test_a_long_text_shared_by_many_cells_is_read_apart(self):
        text = "x" * 32_000
        cells = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(1, 50_000))
        content = with_sheet(f"<sheetData>{cells}</sheetData>")
        content = with_part(content, "xl/sharedStrings.xml", f"<sst {MAIN}><si><t>{text}</t></si></sst>".encode())

        assert inspection.inspect(content, "a.xlsx")[0] is Way.APART

    def test_too_many_rows_or_columns_are_refused(self, monkeypatch):
        monkeypatch.setattr(workbooks, "MAX_ROWS", 3)
        monkeypatch.setattr(workbooks, "MAX_COLUMNS", 4)

        assert len(sheets.read(workbook([["a"], [], ["b"], [], ["c"]]), name="a.xlsx").rows) == 5
        with pytest.raises(refusals.TooManyRows, match="more than 3 rows"):
            sheets.read(workbook([["a"]] * 4), name="a.xlsx")
        with pytest.raises(refusals.TooManyColumns, match="more than 4 columns"):
            sheets.read(workbook([["a"] * 5]), name="a.xlsx")

    def test_the_child_refuses_in_the_same_words(self):
        with pytest.raises(refusals.SheetNotFound, match="متابعة الشحنات"):
            sheets.read(FIXTURES / "messy.ods", name="messy.ods", sheet="x")


class TestWriting:
    def test_gives_back_what_was_written(self):
        table = [["Name", "Date", "Amount"], ["شركة النور", date(2026, 12, 3), Decimal("12.345")], ["x", None, 7]]

        found = sheets.read(sheets.write(Page("Data", table)), name="a.xlsx")

        assert [list(row) for row in found.rows] == [table[0], ["شركة النور", date(2026, 12, 3), 12.345], ["x", "", 7]]

    @settings(max_examples=40, deadline=None)
    @given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20))
    def test_text_stays_text(self, text):
        for dangerous in (f"={text}", f"+{text}", f"-{text}", f"@{text}", "#REF!"):
            content = sheets.write(Page("Data", [["x"], [dangerous]]))
            cell = openpyxl.load_workbook(BytesIO(content)).active["A2"]

            assert cell.data_type != "f"
            assert cell.value == dangerous
            assert cell.quotePrefix or dangerous[0] == "#"

    def test_heads_formats_and_offers_choices(self):
        page = Page("Data", [["Unit", "ETA"]], choices={1: ["a, b", "c"]}, dates=[2], widths={1: 30.0})

        book = openpyxl.load_workbook(BytesIO(sheets.write(page, Page("Notes", [["n"]]))))

        sheet = book["Data"]
        assert book.sheetnames == ["Data", "Notes", "Lists"]
        assert (book["Lists"].sheet_state, book["Lists"]["A1"].value) == ("hidden", "a, b")
        assert (sheet["A1"].font.bold, sheet.freeze_panes, sheet.column_dimensions["A"].width) == (True, "A2", 30)
        assert sheet.column_dimensions["B"].number_format == "dd/mm/yyyy"
        assert sheet.data_validations.dataValidation[0].formula1 == "Lists!$A$1:$A$2"

    def test_makes_titles_that_excel_accepts(self):
        assert sheets.read(sheets.write(Page("a/b: " + "x" * 40, [["a"]])), name="a.xlsx").name == "a-b- " + "x" * 26

    def test_passes_the_limits_of_the_reader(self):
        assert inspection.inspect(sheets.write(Page("Data", [["a"] * 50] * 2_000)), "a.xlsx")[0] is Way.SCANNED


class TestTheErrorWorkbook:
    def sheet(self):
        return sheets.Sheet(
            "Tracker",
            [
                ["Imports 2026"],
                (),
                ["Shipment #", " E.T.A\n", "Note"],
                ["S-1", "x", "=1"],
                ["S-2", date(2026, 1, 2)],
                ["S-3"],
            ],
        )

    def faults(self):
        return [Fault(6, "", "Deleted."), Fault(4, "E.T.A", "Not a date."), Fault(4, "Shipment #", "Twice.")]

    def test_holds_the_titles_the_failed_rows_and_the_reasons(self):
        found = sheets.read(sheets.failed_rows(self.sheet(), heading_rows=[3], faults=self.faults()), name="a.xlsx")

        assert [list(row) for row in found.rows] == [
            ["", "Imports 2026"],
            [],
            ["Reason", "Shipment #", " E.T.A\n", "Note"],
            ["Not a date. Twice.", "S-1", "x", "=1"],
            ["Deleted.", "S-3"],
        ]

    def test_marks_the_cells_red(self):
        content = sheets.failed_rows(self.sheet(), heading_rows=[3], faults=self.faults())

        sheet = openpyxl.load_workbook(BytesIO(content)).active
        red = {cell.coordinate for row in sheet for cell in row if cell.fill.fgColor.rgb == "00FFC7CE"}
        assert red == {"A4", "B4", "C4", "A5"}

    def test_replaces_the_reasons_of_an_earlier_round(self):
        first = sheets.read(sheets.failed_rows(self.sheet(), heading_rows=[3], faults=self.faults()), name="a.xlsx")

        second = sheets.read(
            sheets.failed_rows(first, heading_rows=[3], faults=[Fault(5, "", "Again.")]), name="a.xlsx"
        )

        assert [list(row) for row in second.rows[2:]] == [
            ["Reason", "Shipment #", " E.T.A\n", "Note"],
            ["Again.", "S-3"],
        ]

    def test_keeps_times_and_moments(self):
        given = sheets.Sheet("T", [["Shipment #", "At"], ["S-1", datetime(2026, 1, 2, 3, 4)]])

        found = sheets.read(sheets.failed_rows(given, heading_rows=[1], faults=[Fault(2, "At", "No.")]), name="a.xlsx")

        assert found.rows[1][2] == datetime(2026, 1, 2, 3, 4)

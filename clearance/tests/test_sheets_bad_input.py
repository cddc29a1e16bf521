"""Files that are cut, hostile, or merely larger than anybody would make them: right rows or a clear refusal."""

import struct
import time
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance import sheets
from clearance.errors import Invalid
from clearance.sheets import Mark, Merge, refusals
from clearance.sheets.inspection import Way, inspect
from clearance.tests.test_sheets_looks import MAIN, read, saved, sheet_of, with_sheet

FIXTURES = Path(__file__).parents[2] / "shipments" / "tests" / "fixtures"
LOOKS = Path(__file__).parent / "fixtures"


def grid(rows, *, after="", before=""):
    return with_sheet(f"<worksheet {MAIN}>{before}<sheetData>{rows}</sheetData>{after}</worksheet>")


def values(content, name="a.xlsx"):
    return [list(row) for row in read(content, name).rows]


def ods(rows, *, styles=""):
    names = "urn:oasis:names:tc:opendocument:xmlns:"
    xml = (
        f'<office:document-content xmlns:office="{names}office:1.0" xmlns:table="{names}table:1.0" '
        f'xmlns:text="{names}text:1.0" xmlns:style="{names}style:1.0" xmlns:number="{names}datastyle:1.0" '
        'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0" office:version="1.2">'
        f"<office:automatic-styles>{styles}</office:automatic-styles><office:body><office:spreadsheet>"
        f'<table:table table:name="Data">{rows}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    target = BytesIO()
    with ZipFile(target, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", xml)
    return target.getvalue()


class TestAFileThatIsCut:
    @pytest.mark.parametrize("file", ["looks.xlsx", "looks.xls", "looks.ods"])
    @settings(max_examples=12, deadline=None)
    @given(share=st.floats(0.01, 0.99))
    def test_is_read_or_refused_but_never_crashes(self, file, share):
        content = (LOOKS / file).read_bytes()

        try:
            found = sheets.read(content[: int(len(content) * share)], name=file)
        except (refusals.NotAWorkbook, refusals.WorkbookNotUnderstood, refusals.SheetEmpty):
            return

        assert isinstance(found, sheets.Sheet)

    @pytest.mark.parametrize("file", ["looks.xls", "looks.ods", "looks.xlsx"])
    @settings(max_examples=10, deadline=None)
    @given(data=st.data())
    def test_or_damaged_is_read_or_refused_but_never_crashes(self, file, data):
        content = bytearray((LOOKS / file).read_bytes())
        for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
            content[at] = data.draw(st.integers(0, 255))

        try:
            assert isinstance(sheets.read(bytes(content), name=file), sheets.Sheet)
        except Invalid:
            return


class TestReadableFiles:
    """Are read, though the library takes them for damaged, or would need memory for the whole grid."""

    def test_with_a_stray_blank_in_the_last_row(self):
        cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="A1048576" t="str"><v> </v></c></row>'

        assert values(grid(cells)) == [[1]]

    def test_with_a_value_in_the_last_row(self):
        started = time.perf_counter()
        cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="B1048576"><v>2</v></c></row>'

        found = read(grid(cells))

        assert (len(found.rows), list(found.rows[-1])) == (1_048_576, ["", 2])
        assert time.perf_counter() - started < 30

    @pytest.mark.parametrize("hint", ["1:4", "A:C", "A1", "", "nonsense", "A1:XFD1048576"])
    def test_with_a_strange_hint_of_their_size(self, hint):
        assert values(grid('<row r="1"><c r="A1"><v>1</v></c></row>', before=f'<dimension ref="{hint}"/>')) == [[1]]

    @pytest.mark.parametrize(
        ("merge", "found", "left"),
        [
            ("1:1", Merge(0, 0, 0, 1), [[1], [3, 4]]),
            ("A:A", Merge(0, 0, 1, 0), [[1, 2], ["", 4]]),
            ("A1:XFD1048576", Merge(0, 0, 1, 1), [[1]]),
        ],
    )
    def test_with_merges_over_whole_rows_columns_or_the_sheet(self, merge, found, left):
        cells = '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row>'
        cells += '<row r="2"><c r="A2"><v>3</v></c><c r="B2"><v>4</v></c></row>'

        sheet = read(grid(cells, after=f'<mergeCells count="1"><mergeCell ref="{merge}"/></mergeCells>'))

        assert sheet.merges == [found]
        assert [list(row) for row in sheet.rows] == left

    def test_with_white_space_between_elements(self):
        xml = f"""<worksheet {MAIN}>
          <sheetData>
            <row r="1">
              <c r="A1" t="inlineStr">
                <is>
                  <t>a</t>
                </is>
              </c>
              <c r="B1">
                <f>1+1</f>
                <v>2</v>
              </c>
            </row>
          </sheetData>
        </worksheet>"""

        assert values(with_sheet(xml)) == [["a", 2]]

    def test_with_white_space_between_elements_in_ods(self):
        cell = '<table:table-cell office:value-type="float" office:value="1">\n<text:p>1</text:p>\n</table:table-cell>'
        rows = f"\n<table:table-column/>\n<table:table-row>\n{cell}\n{cell}\n</table:table-row>\n"

        assert values(ods(rows), "a.ods") == [[1, 1]]

    def test_with_a_whole_grid_of_blank_cells_in_ods(self):
        cell = '<table:table-cell office:value-type="float" office:value="1"><text:p>1</text:p></table:table-cell>'
        blank = '<table:table-cell table:number-columns-repeated="16384"/>'
        rows = (
            f"<table:table-row>{cell}{blank}</table:table-row>"
            f'<table:table-row table:number-rows-repeated="1048574">{blank}</table:table-row>'
            "<table:table-row><table:table-cell><text:p> </text:p></table:table-cell></table:table-row>"
        )

        assert values(ods(rows), "a.ods") == [[1]]


class TestWhatIsTooMuch:
    """Is refused in a sentence, at a cost that is bounded."""

    def test_a_blank_in_each_of_a_million_rows_is_read(self):
        rows = "".join(f'<row r="{n}"><c r="A{n}" s="0"/></row>' for n in range(2, 1_048_577))

        assert values(grid(f'<row r="1"><c r="A1"><v>1</v></c></row>{rows}')) == [[1]]

    def test_16_384_columns(self):
        cells = "".join(f'<c t="n"><v>{n}</v></c>' for n in range(16_384))

        with pytest.raises(refusals.TooManyColumns, match="more than 256 columns"):
            values(grid(f"<row>{cells}</row>"))

    def test_10_000_merges_are_read(self):
        rows = "".join(
            f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}"><v>0</v></c></row>' for n in range(1, 10_001)
        )
        merges = "".join(f'<mergeCell ref="A{n}:B{n}"/>' for n in range(1, 10_001))

        sheet = read(grid(rows, after=f"<mergeCells>{merges}</mergeCells>"))

        assert len(sheet.merges) == 10_000
        assert [list(row) for row in sheet.rows[:2]] == [[1], [2]]

    def test_10_000_merges_that_cover_the_whole_sheet_each(self):
        rows = "".join(f'<row r="{n}"><c r="A{n}"><v>1</v></c><c r="B{n}"><v>1</v></c></row>' for n in range(1, 2_001))
        merges = '<mergeCell ref="A1:XFD1048576"/>' * 10_000

        with pytest.raises(refusals.WorkbookTooDemanding):
            read(grid(rows, after=f"<mergeCells>{merges}</mergeCells>"))

    @pytest.mark.parametrize(("number", "is_read"), [(1_900, True), (2_000, False)])
    def test_2_000_sheets(self, number, is_read):
        links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        package = "http://schemas.openxmlformats.org/package/2006/relationships"
        names, relations, target = "", "", BytesIO()
        with ZipFile(target, "w") as archive:
            for n in range(1, number + 1):
                names += f'<sheet name="Sheet {n}" sheetId="{n}" r:id="rId{n}"/>'
                relations += f'<Relationship Id="rId{n}" Type="{links}/worksheet" Target="worksheets/{n}.xml"/>'
                cells = f'<row r="1"><c r="A1"><v>{n}</v></c></row>'
                archive.writestr(
                    f"xl/worksheets/{n}.xml", f"<worksheet {MAIN}><sheetData>{cells}</sheetData></worksheet>"
                )
            archive.writestr(
                "xl/workbook.xml", f'<workbook {MAIN} xmlns:r="{links}"><sheets>{names}</sheets></workbook>'
            )
            archive.writestr(
                "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}">{relations}</Relationships>'
            )

        if is_read:
            found = sheets.read(target.getvalue(), name="a.xlsx", wanted=lambda rows: rows[0][0] in (7, 1_900))
            assert (found.name, found.others) == ("Sheet 7", ["Sheet 1900"])
        else:
            with pytest.raises(refusals.WorkbookUnpacksTooLarge):
                sheets.read(target.getvalue(), name="a.xlsx")

    def test_texts_of_the_greatest_length_are_read(self):
        text = "x" * 32_767
        book = openpyxl.Workbook()
        for n in range(50):
            book.active.append([f"{text}{n}"[-32_767:]])

        assert [len(row[0]) for row in read(saved(book)).rows] == [32_767] * 50

    def test_a_format_of_10_000_letters_shows_nothing_that_could_be_taken_for_a_value(self):
        book = openpyxl.Workbook()
        book.active["A1"] = 5
        book.active["A1"].number_format = "0" * 10_000

        assert read(saved(book)).marks == {(0, 0): Mark("…")}

    def test_a_formula_that_refers_to_another_file_is_a_formula(self):
        sheet = read(
            sheet_of('<c r="A1"><f>[1]Sheet1!$A$1</f><v>5</v></c><c r="B1" t="e"><f>[2]X!A1</f><v>#REF!</v></c>')
        )

        assert sheet.marks == {(0, 0): Mark(is_formula=True), (0, 1): Mark(is_formula=True, error="#REF!")}

    @pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/styles.xml", "xl/sharedStrings.xml"])
    def test_entities_that_multiply(self, part):
        entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(12))
        bomb = f'<?xml version="1.0"?><!DOCTYPE x [{entities}]><sst {MAIN}><si><t>&e11;</t></si></sst>'
        plain = f'<worksheet {MAIN}><sheetData><row><c t="s"><v>0</v></c></row></sheetData></worksheet>'
        started = time.perf_counter()

        sheet = bomb if "sheet1" in part else plain
        content = with_sheet(sheet, styles=bomb * ("styles" in part), strings=bomb * ("Strings" in part))

        with pytest.raises(Invalid):
            read(content)

        assert time.perf_counter() - started < 20

    def test_a_table_of_60_000_styles_is_read(self):
        formats = '<xf numFmtId="9"/>' * 60_000
        styles = f"<styleSheet {MAIN}><cellXfs>{formats}</cellXfs></styleSheet>"
        xml = (
            f'<worksheet {MAIN}><sheetData><row r="1"><c r="A1" s="59999"><v>0.5</v></c></row></sheetData></worksheet>'
        )

        assert read(with_sheet(xml, styles=styles)).marks == {(0, 0): Mark("50%", is_percent=True)}

    def test_styles_and_texts_that_are_missing_do_no_harm(self):
        sheet = read(sheet_of('<c r="A1" s="99999"><v>1</v></c><c r="B1" s="x"><v>2</v></c>'))

        assert [list(row) for row in sheet.rows] == [[1, 2]]

    @pytest.mark.parametrize("last", [b"\xff\xff\xff\x0f", b"\x0a\x00\x00\x00"])
    def test_records_of_xlsb_that_claim_too_much(self, last):
        content = (LOOKS / "looks.xlsx").read_bytes()
        target = BytesIO()
        with ZipFile(target, "w") as archive:
            archive.writestr("xl/workbook.bin", b"\x83\x01" + last + content[:20])

        with pytest.raises(Invalid):
            read(target.getvalue(), "a.xlsb")

    def test_a_chain_of_sectors_that_runs_in_a_circle(self):
        content = bytearray((LOOKS / "looks.xls").read_bytes())
        table = 512 * (struct.unpack_from("<L", content, 76)[0] + 1)
        struct.pack_into("<128L", content, table, *range(128))

        with pytest.raises(Invalid):
            read(bytes(content), "a.xls")


class TestALargeHarmlessWorkbook:
    def test_is_read_in_this_process(self):
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet()
        for n in range(4_000):
            sheet.append([f"text {n}", n, n / 7] * 6)

        assert inspect(saved(book), "a.xlsx")[0] is Way.SCANNED

import shutil
import struct
import subprocess
from datetime import time
from functools import cache
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import pytest
from openpyxl.styles import Font

from clearance import sheets
from clearance.sheets import Mark, Merge, scanning, worksheet
from clearance.sheets.inspection import Archive
from clearance.sheets.xlsx import Book
from clearance.tests.fixtures.make_looks import DAY, FORMATS, book

HERE = Path(__file__).parent / "fixtures"
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
SHOWN = {
    "00000": Mark("00123"),
    "[$USD] #,##0.00": Mark("USD 1,000.00", "USD"),
    '"$"#,##0.00': Mark("$1,000.00", "$"),
    "[$OMR] #,##0.000": Mark("OMR 1,000.000", "OMR"),
    "[$ر.ع.\u200f-2001] #,##0.000": Mark("ر.ع.\u200f 5.000", "ر.ع.\u200f"),
    '0.00\\ "USD"': Mark("5.00 USD", "USD"),
    "#,##0": Mark("1,001", is_rounded=True),
    "0%": Mark("12%", is_percent=True),
    "0.00%": Mark("12.50%", is_percent=True),
    "0.00E+00": Mark("1.23E+04", is_rounded=True),
    "# ?/?": Mark("1 1/2"),
    "#,##0,": Mark("1,235", is_rounded=True),
    '"SH-"0000': Mark("SH-0012"),
    '"SH-"@': Mark("SH-12"),
    "000-00-0000": Mark("123-45-6789"),
    '0" pcs"': Mark("5 pcs"),
    "mmm-yy": Mark("Jun-26"),
    "d-mmm": Mark("10-Jun"),
    "yyyy": Mark("2026"),
    "dddd": Mark("Wednesday"),
}
HIDDEN = {";;;"}


def saved(made):
    target = BytesIO()
    made.save(target)
    return target.getvalue()


def with_sheet(xml, *, styles="", strings=""):
    """A workbook of one sheet, whose XML is given."""
    made = openpyxl.Workbook()
    made.active["A1"] = "x"
    old, target = ZipFile(BytesIO(saved(made))), BytesIO()
    parts = {"xl/worksheets/sheet1.xml": xml, "xl/styles.xml": styles, "xl/sharedStrings.xml": strings}
    with ZipFile(target, "w", ZIP_DEFLATED) as new:
        for name in {*old.namelist(), *(name for name, part in parts.items() if part)}:
            new.writestr(name, parts.get(name) or old.read(name))
    return target.getvalue()


def sheet_of(cells, after=""):
    return with_sheet(f'<worksheet {MAIN}><sheetData><row r="1">{cells}</row></sheetData>{after}</worksheet>')


def read(content, name="a.xlsx"):
    return sheets.read(content, name=name)


@cache
def look(source):
    if source == "openpyxl":
        return read(saved(book()))
    return read((HERE / f"looks.{source}").read_bytes(), f"looks.{source}")


@pytest.mark.parametrize("source", ["openpyxl", "xlsx", "xls", "ods"])
class TestALook:
    def test_tells_what_each_number_format_shows(self, source):
        sheet = look(source)

        shown = {code: sheet.marks.get((row, 1)) for row, (code, _) in enumerate(FORMATS, 1)}

        assert {code: mark for code, mark in shown.items() if mark} == SHOWN

    def test_leaves_the_values_as_they_are(self, source):
        sheet = look(source)

        values = [row[1] if len(row) > 1 else "" for row in sheet.rows[1:]]

        wanted = ["" if code in HIDDEN else value for code, value in FORMATS]
        assert values == [pytest.approx(one) if isinstance(one, float) else one for one in wanted]

    def test_has_the_merge_and_nothing_of_what_lies_under_it(self, source):
        sheet = look(source)

        assert sheet.merges == [Merge(1, 3, 3, 3)]
        assert [row[3] if len(row) > 3 else "" for row in sheet.rows[1:4]] == ["merged", "", ""]

    def test_tells_what_is_struck_out_as_a_whole_or_in_part(self, source):
        sheet = look(source)

        marks = [sheet.marks.get((row, 4)) for row in range(1, 5)]

        whole, part = Mark(is_struck_out=True), Mark(is_partly_struck_out=True)
        assert marks == [whole, whole, part, None]
        assert sheet.rows[4][4] == "with a note"

    def test_tells_what_is_hidden(self, source):
        sheet = look(source)

        assert (sheet.hidden_rows, sheet.hidden_columns, sheet.unseen) == ({5}, {5}, frozenset())


class TestAFormula:
    @pytest.mark.parametrize("ending", ["xlsx", "xls", "ods"])
    def test_has_its_result_or_its_error(self, ending):
        sheet = look(ending)

        values = [sheet.rows[row][2] if len(sheet.rows[row]) > 2 else "" for row in range(1, 9)]
        assert values == ["#DIV/0!", "#N/A", 2, "", "txt", 123, 0, "#NAME?"]
        formula = {"is_formula": True}
        assert [sheet.marks[row, 2] for row in range(1, 9)] == [
            Mark(error="#DIV/0!", **formula),
            Mark(error="#N/A", **formula),
            *[Mark(**formula)] * 3,
            Mark("00123", **formula),
            Mark(**formula),
            Mark(error="#NAME?", **formula),
        ]

    @pytest.mark.parametrize(
        ("cell", "has_result"),
        [
            ('<c r="A1"><f>B1</f></c>', False),
            ('<c r="A1"><f>B1</f><v/></c>', False),
            ('<c r="A1"><f>B1</f><v></v></c>', False),
            ('<c r="A1" t="str"><f>B1</f></c>', False),
            ('<c r="A1" t="str"><f>B1</f><v></v></c>', True),
            ('<c r="A1"><f>B1</f><v>0</v></c>', True),
            ('<c r="A1"><f t="shared" si="0"/><v>0</v></c>', True),
            ('<c r="A1"><f t="shared" si="0"/></c>', False),
            ('<c r="A1"><f t="array" ref="A1:A2">[1]Sheet1!A1*2</f></c>', False),
            ('<c t="str" r="A1">\n <f>\nB1 </f>\n <v>text</v>\n</c>', True),
        ],
    )
    def test_without_a_stored_result_says_so_however_it_is_spelt(self, cell, has_result):
        sheet = read(sheet_of(f'{cell}<c r="B1"><v>1</v></c>'))

        assert sheet.marks[0, 0] == Mark(is_formula=True, has_no_result=not has_result)
        assert sheet.rows[0][1] == 1

    def test_without_a_stored_result_keeps_its_row_though_nothing_else_is_in_it(self):
        made = openpyxl.Workbook()
        made.active.append(["Number", "ETA"])
        made.active.append(["=Other!A1", "=Other!B1"])
        made.active.merge_cells("A2:B2")

        sheet = read(saved(made))

        assert (len(sheet.rows), sheet.merges) == (2, [Merge(1, 0, 1, 1)])
        assert sheet.marks[1, 0] == Mark(is_formula=True, has_no_result=True)


class TestAnError:
    @pytest.mark.parametrize(
        "cell",
        [
            '<c r="A1" t="e"><v>{}</v></c>',
            "<c t='e' r='A1'><v>{}</v></c>",
            '<c r="A1" s="0"\n   t = "e" >\n  <f>1/0</f>\n  <v>{}</v>\n</c>',
            '<c r="A1" t="e"><f t="shared" ref="A1:A9" si="0">1/0</f><v>{}</v></c>',
            '<c t="e"><v> {} </v></c>',
            '<c r="A1" t="e"><!-- why --><v><![CDATA[{}]]></v></c>',
        ],
    )
    @pytest.mark.parametrize("error", ["#DIV/0!", "#N/A", "#GETTING_DATA", "#SPILL!", "#FIELD!", "#WHATEVER"])
    def test_fails_its_cell_and_no_other_however_it_is_spelt(self, cell, error):
        sheet = read(sheet_of(f'{cell.format(error)}<c r="B1"><v>1</v></c>'))

        assert list(sheet.rows[0]) == [error, 1]
        assert sheet.marks[0, 0].error == error

    @pytest.mark.parametrize("number", ["NaN", "1E999", "-INF", "1_000", "abc", "0x10"])
    def test_is_what_a_number_that_is_none_counts_as(self, number):
        sheet = read(sheet_of(f'<c r="A1"><v>{number}</v></c><c r="B1"><v>1</v></c>'))

        assert (sheet.marks[0, 0].error, list(sheet.rows[0])) == (number, [number, 1])

    def test_is_found_under_other_prefixes_and_in_the_strict_namespace(self):
        strict = "http://purl.oclc.org/ooxml/spreadsheetml/main"
        xml = (
            f'<x:worksheet xmlns:x="{strict}"><x:sheetData>\n<x:row r="2">\n<x:c t="e" r="B2">\n<x:f>1/0</x:f>\n'
            "<x:v>#DIV/0!</x:v></x:c></x:row></x:sheetData></x:worksheet>"
        )

        sheet = read(with_sheet(xml))

        assert sheet.marks[1, 1] == Mark(error="#DIV/0!", is_formula=True)


class TestWhatIsHidden:
    @pytest.mark.parametrize(
        ("row", "hidden"),
        [
            ('<row r="2" hidden="1">', {1}),
            ("<row r='2' hidden='true'>", {1}),
            ('<row r="2" ht="0" customHeight="1">', {1}),
            ('<row r="2" outlineLevel="1" hidden="1">', {1}),
            ('<row r="2" hidden="0" ht="15">', set()),
        ],
    )
    def test_are_rows_that_nobody_sees(self, row, hidden):
        cells = f'<row r="1"><c r="A1"><v>1</v></c></row>{row}<c r="A2"><v>2</v></c></row>'

        assert read(with_sheet(f"<worksheet {MAIN}><sheetData>{cells}</sheetData></worksheet>")).hidden_rows == hidden

    def test_are_all_rows_that_do_not_say_otherwise(self):
        cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="5"><c r="A5"><v>5</v></c></row>'
        xml = f'<worksheet {MAIN}><sheetFormatPr zeroHeight="1"/><sheetData>{cells}</sheetData></worksheet>'

        assert read(with_sheet(xml)).hidden_rows == {1, 2, 3}


class TestALargeSheet:
    """Is searched by patterns instead of being parsed."""

    def made(self, rows):
        found = openpyxl.Workbook()
        sheet = found.active
        for n in range(rows):
            sheet.append([n + 0.5, f"SH-{n}", DAY, "=1+1" if n % 7 == 0 else n, "#REF!" if n % 11 == 0 else "x" * 20])
            sheet.cell(n + 1, 3).number_format = "dd/mm/yyyy" if n % 5 else "mmm-yy"
            if n % 3 == 0:
                sheet.cell(n + 1, 1).number_format = "[$USD] 0.00"
            if n % 50 == 0:
                sheet.row_dimensions[n + 1].hidden = True
                sheet.cell(n + 1, 2).font = Font(strike=True)
        sheet.merge_cells("F1:G3")
        sheet.column_dimensions["D"].hidden = True
        return saved(found)

    def test_has_the_same_look_as_if_it_were_parsed(self):
        archive = Archive(self.made(300), name="a.xlsx")
        found = Book(archive.part, archive.entries)
        part = archive.part(found.entries[0].part)

        scanned = scanning.scan(part, styles=found.styles(), runs=found.runs())
        parsed = worksheet.parse(part, title="x", styles=found.styles(), runs=found.runs(), most=(999, 99)).look

        assert scanning.is_usual(part)
        assert scanned == parsed
        assert (len(parsed.formulas), len(parsed.errors), len(parsed.hidden_rows)) == (43, 28, 6)

    def test_is_read_with_its_look(self):
        sheet = read(self.made(6_000))

        assert sheet.marks[0, 0] == Mark("USD 0.50", "USD")
        assert sheet.marks[0, 2] == Mark("Jun-26")
        assert sheet.marks[0, 3] == Mark(is_formula=True, has_no_result=True)
        assert sheet.marks[11, 4] == Mark(error="#REF!")
        assert sheet.marks[50, 1] == Mark(is_struck_out=True)
        assert (len(sheet.rows), sheet.hidden_columns, sheet.merges) == (6_000, {3}, [])

    @pytest.mark.parametrize(
        "cell",
        [
            b"<c t='e' r='A1'><v>#REF!</v></c>",
            b'<c r="A1" t="e"><v>#GETTING_DATA</v></c>',
            b'<x:c r="A1"><x:v>1</x:v></x:c>',
            b'<c r="A1" t="inlineStr"><is><r><rPr><strike/></rPr><t>x</t></r></is></c>',
            b'<c r="ZZ1"><v>1</v></c>',
            b"<!-- --><c/>",
        ],
    )
    def test_that_is_spelt_in_an_unusual_way_is_not_searched(self, cell):
        assert not scanning.is_usual(b'<worksheet><sheetData><row r="1">' + cell + b"</row></sheetData></worksheet>")


def record(kind, content=b""):
    size = bytes([len(content) & 127 | 128, len(content) >> 7])
    return (bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])) + size + content


def wide(text):
    return struct.pack("<L", len(text)) + text.encode("utf-16-le")


class TestTheBinaryFormat:
    def made(self):
        """A workbook with 123 shown as 00123, struck out; an error; a formula; a hidden row and column; a merge."""

        def row(number, flags=0):
            return record(0, struct.pack("<LLHBBBL", number, 0, 300, 0, flags, 0, 0))

        styles = (
            record(278)
            + record(615, struct.pack("<L", 1))
            + record(44, struct.pack("<H", 164) + wide("00000"))
            + record(616)
        )
        styles += record(43, struct.pack("<HH", 220, 0)) + record(43, struct.pack("<HH", 220, 8))
        plain, own = (struct.pack("<HHHHHL", 0, *one, 0, 0, 0) for one in ((0, 0), (164, 1)))
        styles += record(617, struct.pack("<L", 2)) + record(47, plain) + record(47, own) + record(618) + record(279)
        data = record(129) + record(148, struct.pack("<4L", 0, 2, 0, 2))
        data += record(60, struct.pack("<LLLLH", 1, 1, 2560, 0, 1)) + record(145)
        data += row(0) + record(5, struct.pack("<LLd", 0, 1, 123.0)) + record(3, struct.pack("<LLB", 1, 0, 7))
        formula = struct.pack("<HLL", 0, 0, 0)
        data += row(1, 0x10) + record(9, struct.pack("<LLd", 0, 0, 5.0) + formula)
        data += row(2) + record(11, struct.pack("<LLB", 0, 0, 0x2A) + formula)
        data += record(146) + record(176, struct.pack("<4L", 0, 1, 0, 0)) + record(130)
        sheet = record(156, bytes(4) + b"\1\0\0\0" + wide("rId1") + wide("Data"))
        main = record(131) + record(153, struct.pack("<LL", 1, 0)) + record(143) + sheet + record(144) + record(132)
        names = "http://schemas.openxmlformats.org/package/2006/relationships"
        kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
        link = f'<Relationship Id="rId1" Type="{kind}" Target="worksheets/sheet1.bin"/>'
        target = BytesIO()
        with ZipFile(target, "w") as archive:
            archive.writestr("xl/workbook.bin", main)
            archive.writestr("xl/styles.bin", styles)
            archive.writestr("xl/worksheets/sheet1.bin", data)
            archive.writestr("xl/_rels/workbook.bin.rels", f'<Relationships xmlns="{names}">{link}</Relationships>')
        return target.getvalue()

    def test_has_its_look(self):
        sheet = read(self.made(), "a.xlsb")

        assert [list(row) for row in sheet.rows] == [[123, "#DIV/0!"], [], ["#N/A"]]
        assert sheet.marks == {
            (0, 0): Mark("00123", is_struck_out=True),
            (0, 1): Mark(error="#DIV/0!"),
            (2, 0): Mark(error="#N/A", is_formula=True),
        }
        assert (sheet.hidden_rows, sheet.hidden_columns, sheet.merges) == ({1}, {1}, [Merge(0, 0, 1, 0)])
        assert (sheet.counts_from_1904, sheet.unseen) == (True, frozenset())


@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice is not installed")
@pytest.mark.parametrize("ending", ["ods", "xls", "xlsx"])
def test_libreoffice_shows_the_same(ending, tmp_path):
    made = openpyxl.Workbook()
    codes = ["000", "[$EUR] 0.00", "0.0%", '"No. "0', "0.000", "yyyy/mm/dd", "mm/yyyy", "hh:mm:ss"]
    values = [7, 7.5, 0.5, 7, 7.125, DAY, DAY, time(1, 2, 3)]
    for row, (code, value) in enumerate(zip(codes, values, strict=True), 1):
        made.active.cell(row, 1, value).number_format = code
    made.save(tmp_path / "own.xlsx")
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", ending]
    subprocess.run([*command, "--outdir", tmp_path / "out", tmp_path / "own.xlsx"], check=True, capture_output=True)

    own, theirs = (sheets.read(tmp_path / path, name=path) for path in ("own.xlsx", f"out/own.{ending}"))

    assert [list(row) for row in theirs.rows] == [list(row) for row in own.rows] == [[value] for value in values]
    texts = [own.marks[row, 0].text for row in sorted(row for row, _ in own.marks)]
    assert texts == ["007", "EUR 7.50", "50.0%", "No. 7", "06/2026"]
    assert {place: mark.text for place, mark in theirs.marks.items()} == {
        place: mark.text for place, mark in own.marks.items()
    }

"""Which sheet of a workbook is read, and what the error workbook keeps of it."""

from dataclasses import dataclass
from datetime import date
from io import BytesIO

import openpyxl
import pytest

from clearance import sheets
from clearance.sheets import Mark, Merge, refusals
from clearance.tests.test_sheets_looks import HERE, saved

TRACKER = [["Number", "ETA"], ["S-1", 5]]


def book(**tables):
    """A workbook of sheets; a name that begins with an underscore is hidden, with two very hidden."""
    found = openpyxl.Workbook()
    found.remove(found.active)
    for title, table in tables.items():
        sheet = found.create_sheet(title.strip("_"))
        sheet.sheet_state = ["visible", "hidden", "veryHidden"][len(title) - len(title.lstrip("_"))]
        for row in table:
            sheet.append(row)
    return saved(found)


def wanted(rows):
    return any("Number" in row for row in rows)


@dataclass
class Fault:
    row: int
    column: str
    reason: str


class TestTheSheetThatIsRead:
    def test_is_the_first_visible_one_that_is_wanted_and_the_others_are_named(self):
        content = book(_Old=TRACKER, Summary=[["x"]], June=TRACKER, July=TRACKER, Notes=[["n"]], __Secret=TRACKER)

        found = sheets.read(content, name="a.xlsx", wanted=wanted)

        assert (found.name, found.others) == ("June", ["July"])

    def test_is_the_same_when_a_child_process_reads(self):
        rows = [*TRACKER, *[["S", n] for n in range(400)]]
        content = book(_Old=rows, Summary=[["x"]], June=rows, July=rows)
        apart = sheets.apart

        found = apart.seen(apart.Task(content, "a.xlsx", head=200))

        assert [(title, len(rows)) for title, rows, _ in found] == [("Summary", 1), ("June", 200), ("July", 200)]
        assert apart.sheet(apart.Task(content, "a.xlsx", "June")).rows == rows

    @pytest.mark.parametrize("ending", ["xls", "ods"])
    def test_is_asked_for_in_other_formats_too(self, ending):
        content = (HERE / f"looks.{ending}").read_bytes()

        found = sheets.read(content, name=f"a.{ending}", wanted=lambda rows: rows[0][0] == "Format")
        with pytest.raises(refusals.NoSheetWanted, match="Looks"):
            sheets.read(content, name=f"a.{ending}", wanted=lambda rows: False)

        assert (found.name, found.marks[1, 1]) == ("Looks", Mark("00123"))

    def test_is_named_in_the_refusal_when_none_is_wanted(self):
        with pytest.raises(refusals.NoSheetWanted, match="looked at: Summary, Notes"):
            sheets.read(book(Summary=[["x"]], Empty=[], _Tracker=TRACKER, Notes=[["n"]]), name="a.xlsx", wanted=wanted)

    def test_may_stand_beside_one_that_is_too_large(self, monkeypatch):
        monkeypatch.setattr("clearance.sheets.workbooks.MAX_ROWS", 3)
        content = book(Data=[[n] for n in range(5)], Tracker=TRACKER)

        assert sheets.read(content, name="a.xlsx", wanted=wanted).name == "Tracker"
        with pytest.raises(refusals.TooManyRows, match="Data"):
            sheets.read(content, name="a.xlsx", wanted=lambda rows: rows[0] == [0])

    def test_is_the_named_one_even_if_it_is_hidden(self):
        assert sheets.read(book(June=TRACKER, _Old=[["o"]]), name="a.xlsx", sheet="old", wanted=wanted).rows == [["o"]]


class TestTheErrorWorkbookKeeps:
    def made(self):
        found = openpyxl.Workbook()
        sheet = found.active
        sheet.title = "June"
        sheet.append(["Imports"])
        sheet.append(["Number", "Amount", "ETA", "Vessel", "Links"])
        for n in range(4):
            sheet.append(
                [n + 1, 1000.5, date(2026, 6, 10 + n), "MV Example" if not n else None, "=A1" if n else "#N/A"]
            )
            sheet.cell(n + 3, 1).number_format = "00000"
            sheet.cell(n + 3, 2).number_format = "[$USD] #,##0.00"
            sheet.cell(n + 3, 3).number_format = "yyyy-mm-dd"
        sheet.merge_cells("D3:D6")
        sheet.column_dimensions["B"].width = 33
        return sheets.read(saved(found), name="a.xlsx")

    def failed(self, sheet, *faults, **given):
        return sheets.failed_rows(sheet, heading_rows=[2], faults=[Fault(*one) for one in faults], **given)

    def test_the_looks_of_the_cells_so_that_it_reads_as_before(self):
        sheet = self.made()

        again = sheets.read(self.failed(sheet, (3, "Amount", "No."), (4, "", "Nor this.")), name="a.xlsx")

        assert [list(row) for row in again.rows] == [
            ["", "Imports"],
            ["Reason", "Number", "Amount", "ETA", "Vessel", "Links"],
            ["No.", 1, 1000.5, date(2026, 6, 10), "MV Example", "#N/A"],
            ["Nor this.", 2, 1000.5, date(2026, 6, 11), "", "#N/A"],
        ]
        assert again.marks[2, 1] == Mark("00001")
        assert again.marks[2, 2] == Mark("USD 1,000.50", "USD")
        assert again.marks[2, 5] == again.marks[3, 5] == Mark(error="#N/A")  # a formula without a result fails again
        assert (again.date_codes[3], again.widths[2]) == ("yyyy-mm-dd", 33)

    def test_merges_and_moves_their_value_to_the_first_row_that_is_left(self):
        sheet = self.made()

        three, one = (
            sheets.read(self.failed(sheet, *((row, "", "No.") for row in rows)), name="a.xlsx")
            for rows in ((4, 5, 6), (5,))
        )

        assert (three.merges, three.rows[2][4]) == ([Merge(2, 4, 4, 4)], "MV Example")
        assert (one.merges, one.rows[2][4]) == ([], "MV Example")

    def test_no_sum_of_several_rows_as_the_number_of_one(self):
        sheet = sheets.Sheet("T", [["N", "Amount"], ["S-1", 900.0], ["S-2"]], merges=[Merge(1, 1, 2, 1)])

        alone, both = (
            sheets.read(
                sheets.failed_rows(sheet, heading_rows=[1], faults=[Fault(row, "Amount", "Sum.") for row in rows]),
                name="a.xlsx",
            )
            for rows in ((2,), (2, 3))
        )

        assert [list(row) for row in alone.rows[1:]] == [["Sum.", "S-1"]]
        assert ([list(row) for row in both.rows[1:]], both.merges) == (
            [["Sum.", "S-1", 900.0], ["Sum.", "S-2"]],
            [Merge(1, 2, 2, 2)],
        )

    def test_the_reason_as_a_note_at_the_cell(self):
        content = self.failed(
            self.made(), (3, "Amount", "Not in OMR."), (3, "Amount", "Too large."), (3, "ETA", "Past.")
        )

        sheet = openpyxl.load_workbook(BytesIO(content)).active
        notes = {cell.coordinate: cell.comment.text for row in sheet for cell in row if cell.comment}
        assert notes == {"C3": "Not in OMR.\nToo large.", "D3": "Past."}
        assert sheet["A3"].value == "Not in OMR. Too large. Past."

    def test_the_headings_of_each_table(self):
        rows = [["N", "A"], ["S-1", "x"], [], ["N", "B"], ["S-2", "y"], ["S-3", "z"]]
        sheet = sheets.Sheet("T", rows)

        content = sheets.failed_rows(
            sheet, heading_rows=[1, 4], faults=[Fault(6, "B", "No.")], positions={"A": 2, "B": 2}
        )

        again = sheets.read(content, name="a.xlsx")
        assert [list(row) for row in again.rows] == [["Reason", "N", "A"], ["Reason", "N", "B"], ["No.", "S-3", "z"]]
        assert sheets.is_reason(again.rows[0][0])

    @pytest.mark.parametrize("heading", ["Reason", " reason ", "السبب"])
    def test_no_reasons_of_an_earlier_round(self, heading):
        sheet = sheets.Sheet("T", [[heading, "N"], ["old", "S-1"]])

        again = sheets.read(sheets.failed_rows(sheet, heading_rows=[1], faults=[Fault(2, "N", "New.")]), name="a.xlsx")

        assert [list(row) for row in again.rows] == [["Reason", "N"], ["New.", "S-1"]]

    def test_the_date_system_of_1904(self):
        sheet = sheets.Sheet("T", [["N", "ETA"], ["S-1", date(2026, 6, 10)], ["S-2", 44721]], counts_from_1904=True)
        faults = [Fault(2, "N", "No."), Fault(3, "N", "No.")]

        again = sheets.read(sheets.failed_rows(sheet, heading_rows=[1], faults=faults), name="a.xlsx")

        assert again.counts_from_1904
        assert [row[2] for row in again.rows[1:]] == [date(2026, 6, 10), 44721]

    def test_what_is_struck_out(self):
        sheet = sheets.Sheet("T", [["N"], ["S-1"]], {(1, 0): Mark(is_struck_out=True)})

        again = sheets.read(sheets.failed_rows(sheet, heading_rows=[1], faults=[Fault(2, "", "No.")]), name="a.xlsx")

        assert again.marks == {(1, 1): Mark(is_struck_out=True)}

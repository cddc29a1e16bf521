import pytest

from clearance import sheets
from clearance.sheets import refusals

TEXT = 'Shipment number,Principal,Note\r\nS-1,شركة النور,"line\nbreak, and ""quotes"""\r\n\r\nS-2,x,\r\n'
WESTERN = "Shipment number,Principal,Note\r\nS-1,Société Générale – “x”,été\r\n"
ROWS = [["Shipment number", "Principal", "Note"], ["S-1", "شركة النور", 'line\nbreak, and "quotes"'], [], ["S-2", "x"]]


def rows(content, **given):
    return [list(row) for row in sheets.read(content, name="June 2026.csv", **given).rows]


class TestACsvFile:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1256"])
    def test_gives_the_same_rows_in_each_encoding(self, encoding):
        assert rows(TEXT.encode(encoding)) == ROWS

    def test_of_the_western_code_page_is_told_from_an_arabic_one(self):
        assert rows(WESTERN.encode("cp1252"))[1] == ["S-1", "Société Générale – “x”", "été"]

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
    def test_gives_the_same_rows_with_each_separator_and_line_end(self, separator, ending):
        lines = [["a", "b", "c"], ["1", "x", "2026"], ["2", '"y', 'z"', "3"]]
        text = ending.join(separator.join(line) for line in lines)

        joined = f"y{separator}z"
        assert rows(text.encode()) == [["a", "b", "c"], ["1", "x", "2026"], ["2", joined, "3"]]

    def test_may_name_its_separator(self):
        assert rows(b"sep=;\r\na;b,c\r\n1;2\r\n") == [["a", "b,c"], ["1", "2"]]

    def test_is_split_as_what_is_wanted_needs(self):
        content = b"a,b;c,d;e\n1,2;3,4;5\n"

        assert rows(content, wanted=lambda found: "c,d" in found[0]) == [["a,b", "c,d", "e"], ["1,2", "3,4", "5"]]

    def test_keeps_texts_as_they_are_and_marks_errors(self):
        sheet = sheets.read(b"n,b\n00123,#N/A\n=1+1,1E5\n", name="a.csv")

        assert [list(row) for row in sheet.rows[1:]] == [["00123", "#N/A"], ["=1+1", "1E5"]]
        assert sheet.marks == {(1, 1): sheets.Mark(error="#N/A")}

    def test_has_one_sheet_named_like_the_file(self):
        assert sheets.read(b"a,b", name="June 2026.csv", sheet="june 2026 ").name == "June 2026"
        with pytest.raises(refusals.SheetNotFound, match="June 2026"):
            rows(b"a,b", sheet="July")


class TestACsvFileIsRefused:
    @pytest.mark.parametrize(
        "content",
        [
            b"PK\x03\x04...",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            b"%PDF-1.7",
            b"a,b\x00c",
            TEXT.encode("utf-16-le"),
            TEXT.encode("utf-16")[:-1],
        ],
    )
    def test_when_it_is_no_text(self, content):
        with pytest.raises(refusals.NotText, match="isn’t text"):
            rows(content)

    def test_when_it_is_cut_within_a_letter(self):
        whole = ("n,p\n" + "S-1,شركة النور\n" * 3).encode()

        with pytest.raises(refusals.CsvMixesEncodings, match="cut off"):
            rows(whole[:-2])

    def test_when_a_quotation_mark_is_never_closed(self):
        with pytest.raises(refusals.CsvQuoteOpen, match="quotation mark in row 2"):
            rows(b'a,b\n1,"two\n3,4\n5,6\n')

    @pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\r\n\r\n", b",,,\n , ,\n"])
    def test_when_it_is_empty(self, content):
        with pytest.raises(refusals.SheetEmpty):
            rows(content)

    def test_when_it_is_too_large(self, monkeypatch):
        monkeypatch.setattr("clearance.sheets.delimited.MAX_ROWS", 3)
        with pytest.raises(refusals.TooManyRows):
            rows(b"a\n" * 4)
        with pytest.raises(refusals.TooManyColumns):
            rows(b"a," * 256 + b"a")

    def test_when_what_is_wanted_is_not_in_it(self):
        with pytest.raises(refusals.NoSheetWanted, match="June 2026"):
            rows(b"a,b\n1,2\n", wanted=lambda found: False)

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from clearance import sheets
from clearance.clock import day_of
from clearance.tests import recipes
from clearance.tests.callers import error_of, fields_of, signed_in
from clearance.tests.traces import everything
from shipments.models import Shipment

IMPORT = "/api/v1/shipments/import"
HEADINGS = ["Shipment #", "Principal", "Brand", "Inv Amount", "E.T.A", "9.0 Bayan submitted"]


@pytest.fixture
def clerk(bu_clerk):
    return signed_in(bu_clerk)


@pytest.fixture
def soon() -> str:
    return str(day_of(timezone.now()) + timedelta(days=10))


def row(number: str, **changed) -> dict:
    return {
        "shipment_number": number,
        "principal": "Al Noor Tyres",
        "brand": "Noor",
        "invoice_amount_omr": "12345.678",
        "eta": "2026-03-20",
    } | changed


def workbook(*rows: list, name: str = "tracker.xlsx", title: str = "Tracker") -> SimpleUploadedFile:
    book = openpyxl.Workbook()
    book.active.title = title
    for cells in (HEADINGS, *rows):
        book.active.append(cells)
    content = BytesIO()
    book.save(content)
    return SimpleUploadedFile(name, content.getvalue())


def upload(client, **parts):
    return client.post(IMPORT, parts, format="multipart")


class TestImportingRows:
    def test_registers_amends_and_reports(self, clerk):
        first = clerk.post(IMPORT, {"rows": [row("A-1"), row("A-2", **{"9.0": "2026-03-21"})]})
        again = clerk.post(IMPORT, {"rows": [row("A-1"), row("A-2", **{"9.0": "2026-03-21"})]})
        other = clerk.post(IMPORT, {"rows": [row("A-1", vessel="MV Example"), row("A-3", eta="31/02/2026")]})

        assert first.status_code == 200
        assert first.json() == {
            "created": 2, "updated": 0, "unchanged": 0, "failed": 0, "faults": [], "corrections": [],
            "sheet": "", "other_sheets": [], "ignored_columns": [], "skipped_rows": [], "notes": [],
        }  # fmt: skip
        assert {name: again.json()[name] for name in ("created", "updated", "unchanged", "failed")} == {
            "created": 0, "updated": 0, "unchanged": 2, "failed": 0,
        }  # fmt: skip
        report = other.json()
        assert (report["updated"], report["failed"]) == (1, 1)
        assert [(fault["row"], fault["column"], fault["value"]) for fault in report["faults"]] == [
            (2, "eta", "31/02/2026")
        ]
        assert "is not a date" in report["faults"][0]["reason"]
        assert recipes.step(Shipment.objects.get(shipment_number="A-2"), "9.0").completed_via == "import"

    def test_tells_which_dates_it_corrected(self, clerk):
        clerk.post(IMPORT, {"rows": [row("A-1", **{"9.0": "2026-03-21"})]})

        report = clerk.post(IMPORT, {"rows": [row("A-1", **{"9.0": "2026-03-22"})]}).json()

        assert (report["updated"], report["corrections"][0]["row"], report["corrections"][0]["column"]) == (1, 1, "9.0")

    def test_changes_an_eta_like_any_other_change(self, clerk, soon):
        clerk.post(IMPORT, {"rows": [row("A-1")]})

        report = clerk.post(IMPORT, {"rows": [row("A-1", eta=soon)]}).json()

        assert report["updated"] == 1
        assert Shipment.objects.get().eta_edit_count == 1

    def test_takes_headings_of_the_template_for_keys(self, clerk):
        given = {"Shipment #": "A-1", "Principal": "P", "Brand": "B", "Inv Amount": 7, "E.T.A": "20/03/2026"}

        assert clerk.post(IMPORT, {"rows": [given]}).json()["created"] == 1

    def test_refuses_a_key_that_means_nothing_and_writes_nothing(self, clerk):
        answer = clerk.post(IMPORT, {"rows": [row("A-1"), row("A-2", colour="red")]})

        assert fields_of(answer) == {"rows.colour"}
        assert Shipment.objects.count() == 0

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"rows": None},
            {"rows": {}},
            {"rows": "A-1"},
            {"rows": []},
            {"rows": [{}]},
            {"rows": ["A-1"]},
            {"rows": [None]},
            {"rows": [[]]},
            {"rows": [{"principal": "P", "brand": "B"}]},
            {"rows": [{"shipment_number": "A-1", "Shipment #": "A-1"}]},
        ],
    )
    def test_refuses_rows_that_are_none(self, clerk, body):
        error_of(clerk.post(IMPORT, body), 400)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("principal", ["a"]),
            ("principal", {"a": 1}),
            ("principal", True),
            ("principal", "x" * 200),
            ("invoice_amount_omr", "NaN"),
            ("invoice_amount_omr", "1e400"),
            ("invoice_amount_omr", 10**40),
            ("invoice_amount_omr", -1),
            ("container_count", 10**30),
            ("eta", "9999-12-31"),
            ("eta", 10**12),
            ("division", "nowhere"),
            ("9.0", "tomorrow"),
            ("9.0", "2999-01-01"),
        ],
    )
    def test_fails_a_row_with_a_value_of_the_wrong_kind(self, clerk, field, value):
        answer = clerk.post(IMPORT, {"rows": [row("A-1") | {field: value}, row("A-2")]})

        assert answer.status_code == 200, answer.content
        report = answer.json()
        assert (report["created"], report["failed"]) == (1, 1)
        assert all(fault["reason"] for fault in report["faults"])

    def test_drops_characters_that_nobody_sees(self, clerk):
        clerk.post(IMPORT, {"rows": [row("A-\x001", principal="Al\0 Noor\u200f")]})

        assert Shipment.objects.get().shipment_number == "A-1"
        assert Shipment.objects.get().principal == "Al Noor"


class TestUploadingAWorkbook:
    def test_imports_its_rows(self, clerk):
        answer = upload(
            clerk, file=workbook(["A-1", "P", "B", 7.5, "20/03/2026", None], ["A-2", "P", "B", "x", "", ""])
        )

        assert answer.status_code == 200
        report = answer.json()
        assert (report["created"], report["failed"]) == (1, 1)
        assert {fault["row"] for fault in report["faults"]} == {3}
        assert {fault["column"] for fault in report["faults"]} <= set(HEADINGS)

    def test_reads_the_sheet_that_is_asked_for(self, clerk):
        file = workbook(["A-1", "P", "B", 7.5, "20/03/2026", None], title="Orders")

        assert error_of(upload(clerk, file=file, sheet="Tracker"), 400)["code"] == "SHEET_NOT_FOUND"
        file.seek(0)
        assert upload(clerk, file=file, sheet="Orders").json()["created"] == 1

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("tracker.xlsx", b"no workbook at all"),
            ("tracker.xlsx", b"PK\x03\x04" + b"\0" * 100),
            ("tracker.pdf", b"%PDF-1.7"),
            ("tracker.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600),
        ],
    )
    def test_refuses_what_is_no_workbook(self, clerk, name, content):
        before = everything()

        answer = upload(clerk, file=SimpleUploadedFile(name, content))

        assert error_of(answer, 400)["code"] == "NOT_A_WORKBOOK"
        assert everything() == before

    def test_reads_a_csv_and_says_when_it_has_no_headings(self, clerk):
        text = "Shipment #;Principal;Brand;Inv Amount;E.T.A\r\nA-1;شركة النور;Noor;1,000.500;20/03/2026\r\n"
        before = everything()

        refused = error_of(upload(clerk, file=SimpleUploadedFile("tracker.csv", b"a,b,c")), 400)
        assert (refused["code"], everything() == before) == ("TRACKER_HEADINGS_NOT_FOUND", True)

        read = upload(clerk, file=SimpleUploadedFile("tracker.csv", text.encode("cp1256"))).json()
        assert (read["created"], read["sheet"], read["faults"]) == (1, "tracker", [])
        assert Shipment.objects.get().principal == "شركة النور"

    @pytest.mark.parametrize("parts", [{}, {"sheet": "Tracker"}, {"file": "text"}])
    def test_needs_a_file(self, clerk, parts):
        assert fields_of(upload(clerk, **parts)) == {"file"}

    def test_refuses_an_empty_file(self, clerk):
        assert fields_of(upload(clerk, file=SimpleUploadedFile("tracker.xlsx", b""))) == {"file"}

    def test_refuses_a_part_that_nobody_knows(self, clerk):
        assert fields_of(upload(clerk, file=workbook(), rows="[]")) == {"rows"}

    def test_refuses_a_file_that_is_too_large(self, clerk, settings):
        settings.UPLOAD_LIMIT_BYTES = 2000

        answer = upload(clerk, file=workbook(["A-1", "P", "B", 7.5, "20/03/2026", None]))

        assert error_of(answer, 413)["code"] == "TOO_LARGE"

    @pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x", "multipart/mixed"])
    def test_refuses_parts_that_fall_apart(self, clerk, kind):
        answer = clerk.generic("POST", IMPORT, b"--y\r\n\r\n", content_type=kind)

        assert answer.status_code in (400, 415)
        error_of(answer, answer.status_code)

    def test_refuses_more_parts_than_anybody_needs(self, clerk):
        answer = upload(clerk, **{f"part{number}": "x" for number in range(2000)})

        assert error_of(answer, 400)

    def test_refuses_a_bare_file(self, clerk):
        answer = clerk.generic("POST", IMPORT, b"PK", content_type="application/vnd.ms-excel")

        assert error_of(answer, 415)


class TestTooMuch:
    def test_of_rows_is_refused_as_it_is_of_a_sheet(self, clerk):
        before = everything()

        answer = clerk.post(IMPORT, {"rows": [{"shipment_number": "A-1"}] * (sheets.MAX_ROWS + 1)})

        error = error_of(answer, 400)
        assert error["code"] == "IMPORT_TOO_MANY_ROWS"
        assert everything() == before

    def test_of_keys_is_refused_before_there_is_a_cell_for_each_of_them_in_every_row(self, clerk):
        answer = clerk.post(IMPORT, {"rows": [{f"key {number}": 1} for number in range(20_000)]})

        assert error_of(answer, 400)["code"] == "IMPORT_TOO_MANY_KEYS"
        assert len(answer.content) < 1_000

    def test_that_is_wrong_is_refused_as_a_whole(self, clerk):
        wrong = row("A-1", invoice_amount_omr="x", eta="x", **{"9.0": "x"})
        before = everything()

        answer = clerk.post(IMPORT, {"rows": [wrong | {"shipment_number": f"A-{one}"} for one in range(17_000)]})

        assert error_of(answer, 400)["code"] == "IMPORT_TOO_MANY_FAULTS"
        assert everything() == before

    def test_of_one_number_is_answered_in_as_much_as_there_are_rows(self, clerk):
        few, many = (
            clerk.post(IMPORT, {"rows": [{"shipment_number": "A-1"}] * rows}).json() for rows in (1_000, 4_000)
        )

        assert (few["failed"], many["failed"]) == (1_000, 4_000)
        assert max(len(fault["reason"]) for fault in many["faults"]) < 120

    def test_of_a_heading_is_quoted_in_part(self, clerk):
        answer = clerk.post(IMPORT, {"rows": [{"shipment_number": "A-1", f"ETA{'.' * 100_000}": "x"}]})

        (fault, *_others) = answer.json()["faults"]
        assert len(fault["column"]) == 60
        assert len(answer.content) < 2_000


class TestTheRightToImport:
    @pytest.mark.parametrize("who", ["finance_clerk", "cc_head", "storekeeper", "auditor", "manager", "administrator"])
    def test_is_the_business_units(self, cast, who):
        client = signed_in(getattr(cast, who))
        file = workbook(["A-1", "P", "B", 7.5, "20/03/2026", None])

        assert error_of(client.post(IMPORT, {"rows": [row("A-1")]}), 403)["code"] == "PERMISSION_DENIED"
        assert error_of(upload(client, file=file), 403)["code"] == "PERMISSION_DENIED"
        assert Shipment.objects.count() == 0

    @pytest.mark.parametrize("who", ["bu_clerk", "bu_alternate", "bu_head"])
    def test_has_all_of_it(self, cast, who):
        answer = signed_in(getattr(cast, who)).post(IMPORT, {"rows": [row("A-1")]})

        assert answer.json()["created"] == 1

from __future__ import annotations

import csv
import hashlib
import io
import json
import tracemalloc
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Division
from audit import exports, selectors
from audit.models import AuditEntry
from audit.tests import chains, trails
from clearance.tests import recipes
from clearance.tests.callers import error_of, fields_of, signed_in
from outbox.models import SmsTemplate
from shipments import services as shipments
from shipments.models import Shipment

EXPORT = "/api/v1/audit-logs/export"

pytestmark = pytest.mark.django_db


@pytest.fixture
def auditor_calls(auditor):
    return signed_in(auditor)


def content(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)


def table(written: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written.decode("utf-8-sig"), newline="")))


def named(*names: str) -> Any:
    """The entries of divisions with these names, which they create."""
    made = [Division.objects.create(code=f"D{number}", name=name) for number, name in enumerate(names)]
    keys = [str(one.pk) for one in made]
    return AuditEntry.objects.filter(entity_type="accounts.division", entity_id__in=keys)


class TestTheCsv:
    def test_has_the_lines_of_the_list(self, shipment, bu_clerk, noon, auditor_calls):
        eta = recipes.ETA.replace(day=9)
        shipments.change_eta(shipment_id=shipment.pk, eta=eta, by=bu_clerk, at=noon, reason="vessel rolled")
        given = {"entity_type": "shipments.shipment", "entity_id": shipment.pk}

        answer = auditor_calls.get(EXPORT, given | {"format": "csv"})

        assert answer["Content-Type"] == "text/csv"
        assert answer["Content-Disposition"] == 'attachment; filename="trail.csv"'
        rows = table(content(answer))
        listed = auditor_calls.get("/api/v1/audit-logs", given).json()["results"]
        assert [(row["id"], row["field_name"]) for row in rows] == [
            (str(line["id"]), line["field_name"] or "") for line in listed
        ]
        eta_row = next(row for row in rows if row["field_name"] == "eta")
        assert (eta_row["old_value"], eta_row["new_value"]) == ("2026-04-01", "2026-04-09")
        assert eta_row["reason"] == "vessel rolled"
        assert json.loads(rows[-1]["new_value"])["principal"] == "Al Noor Tyres"

    def test_takes_the_filters_of_the_list(self, shipment, auditor_calls):
        given = {"entity_type": "workflow.workflowstep", "action": "created", "format": "csv"}

        assert {row["entity_type"] for row in table(content(auditor_calls.get(EXPORT, given)))} == {
            "workflow.workflowstep"
        }

    def test_starts_no_formula(self):
        bad = ["=1+1", "+49", "-1+1", "@SUM(A1)", "\tx", "\rx"]
        template = SmsTemplate.objects.get(name="2fa_code")  # a text of several lines, unlike most
        for words in bad:
            SmsTemplate.objects.filter(pk=template.pk).update(content_en=words)

        rows = table(b"".join(exports.as_csv(selectors.about(template), column="content_en")))

        written = {row["new_value"] for row in rows if row["field_name"]}
        assert written == {f"'{words}" for words in bad}

    def test_leaves_numbers_alone(self, shipment):
        Shipment.objects.filter(pk=shipment.pk).update(vessel="-12.5")

        (row, _created) = table(b"".join(exports.as_csv(selectors.about(shipment), column="vessel")))

        assert row["new_value"] == "-12.5"

    def test_keeps_arabic_and_line_breaks(self):
        template = SmsTemplate.objects.get(name="2fa_code")
        SmsTemplate.objects.filter(pk=template.pk).update(content_ar="إطارات\nوبطاريات")

        row, *_ = table(b"".join(exports.as_csv(selectors.about(template))))

        assert row["new_value"] == "إطارات\nوبطاريات"

    def test_needs_no_more_memory_for_more_lines(self):
        def peak(entries: Any) -> tuple[int, int]:
            tracemalloc.start()
            lines = sum(piece.count(b"\r\n") for piece in exports.as_csv(entries))
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return lines, most

        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO accounts_division (code, name)"
                " SELECT 'X' || n, 'Division number ' || n FROM generate_series(1, 20000) n"
            )
        entries = AuditEntry.objects.filter(entity_type="accounts.division").order_by("-at", "-id")
        few, many = (entries.filter(pk__gt=entries.first().pk - count) for count in (4_000, 20_000))
        peak(few[:10])  # what is imported once

        small, large = peak(few), peak(many)

        assert (small[0], large[0]) == (4_001, 20_001)
        assert large[1] < small[1] * 1.5


class TestTheWorkbook:
    def test_has_the_lines_of_the_list_and_calculates_nothing(self, shipment, auditor_calls):
        Shipment.objects.filter(pk=shipment.pk).update(vessel="=1+1")
        given = {"entity_type": "shipments.shipment", "entity_id": shipment.pk, "field": "vessel", "format": "xlsx"}

        answer = auditor_calls.get(EXPORT, given)

        sheet = openpyxl.load_workbook(io.BytesIO(content(answer))).active
        heading, *rows = sheet.iter_rows()
        assert [cell.value for cell in heading] == list(exports.COLUMNS)
        (cell,) = [row[exports.COLUMNS.index("new_value")] for row in rows if row[5].value == "vessel"]
        assert (cell.value, cell.data_type) == ("=1+1", "s")

    @pytest.mark.parametrize("most", [1, 3])
    def test_refuses_more_than_a_sheet_holds(self, monkeypatch, shipment, auditor_calls, most):
        monkeypatch.setattr(exports, "MOST_LINES", most)
        Shipment.objects.filter(pk=shipment.pk).update(vessel="MV Example", brand="Other", version=2)
        given = {"entity_type": "shipments.shipment", "entity_id": shipment.pk, "format": "xlsx"}

        error = error_of(auditor_calls.get(EXPORT, given), 400)

        assert error["code"] == "EXPORT_TOO_LONG"
        assert "CSV" in error["message"]

    def test_holds_as_much_as_a_sheet_does(self, monkeypatch, shipment, auditor_calls):
        Shipment.objects.filter(pk=shipment.pk).update(vessel="MV Example", brand="Other", version=2)
        monkeypatch.setattr(exports, "MOST_LINES", 4)
        given = {"entity_type": "shipments.shipment", "entity_id": shipment.pk, "format": "xlsx"}

        assert content(auditor_calls.get(EXPORT, given))


class TestAFile:
    @pytest.mark.parametrize("given", [{}, {"format": "pdf"}, {"format": ""}])
    def test_is_of_a_kind_that_there_is(self, auditor_calls, given):
        assert fields_of(auditor_calls.get(EXPORT, given)) == {"format"}

    def test_refuses_filters_that_nobody_knows(self, auditor_calls):
        assert fields_of(auditor_calls.get(EXPORT, {"format": "csv", "colour": "red"})) == {"colour"}

    @pytest.mark.parametrize("kind", ["csv", "xlsx", "zip"])
    def test_comes_whatever_the_caller_accepts(self, auditor_calls, kind):
        for accepted in ("text/html", "*/*", exports.FORMATS[kind].content_type):
            answer = auditor_calls.get(EXPORT, {"format": kind, "action": "denied"}, headers={"Accept": accepted})
            assert answer["Content-Type"] == exports.FORMATS[kind].content_type
            assert content(answer)

    def test_with_proofs_holds_every_entry(self, shipment, auditor_calls):
        given = {"entity_type": "shipments.shipment", "entity_id": shipment.pk, "format": "zip"}

        with ZipFile(io.BytesIO(content(auditor_calls.get(EXPORT, given)))) as archive:
            lines = archive.read("entries.jsonl").decode().splitlines()

        assert [json.loads(line)["entry"]["entity_id"] for line in lines] == [str(shipment.pk)]


class TestTheEvidencePack:
    def test_tells_and_proves_everything_under_a_shipment(self, shipment, bu_clerk, noon, auditor_calls):
        eta = recipes.ETA.replace(day=9)
        shipments.change_eta(shipment_id=shipment.pk, eta=eta, by=bu_clerk, at=noon, reason="vessel <b>rolled</b>")

        answer = auditor_calls.get(f"/api/v1/audit-logs/shipment/{shipment.pk}/evidence")

        name = f'attachment; filename="evidence-{shipment.shipment_number}.zip"'
        assert answer["Content-Disposition"] == name
        with ZipFile(io.BytesIO(content(answer))) as archive:
            timeline = archive.read("timeline.html").decode()
            entries = archive.read("entries.jsonl").splitlines()
        assert "ETA 1 Apr 2026 → 9 Apr 2026 (first of three edits), reason: vessel &lt;b&gt;rolled" in timeline
        assert "Steps (34): created" in timeline
        assert len(entries) == selectors.under_shipment(shipment.pk).count() + 1

    def test_is_on_record_itself_and_proves_its_page(self, shipment, auditor, auditor_calls):
        with trails.written() as entries:
            pack = content(auditor_calls.get(f"/api/v1/audit-logs/shipment/{shipment.pk}/evidence"))

        (entry,) = entries
        with ZipFile(io.BytesIO(pack)) as archive:
            digest = hashlib.sha256(archive.read("timeline.html")).hexdigest()
        assert (entry.entity_type, entry.user_id) == ("audit.evidencepack", auditor.pk)
        about = {"entity_type": "shipments.shipment", "entity_id": str(shipment.pk), "timeline": digest}
        assert about.items() <= entry.changes.items()
        told = chains.verifier.verify(io.BytesIO(pack))
        assert "timeline.html is the page that was exported." in told
        assert not any("no seal yet" in sentence for sentence in told)

    @pytest.mark.parametrize("name", ["timeline.html", "timeline2.html", "entries.csv"])
    def test_with_another_page_is_broken(self, shipment, name):
        pack = b"".join(exports.evidence_pack(shipment, at=timezone.now()).streaming_content)
        forged = io.BytesIO()
        with ZipFile(io.BytesIO(pack)) as archive, ZipFile(forged, "w") as other:
            for one in archive.namelist():
                text = archive.read(one)
                other.writestr(one, text.replace(b"created", b"deleted") if one == name else text)
            if name not in archive.namelist():
                other.writestr(name, "<p>Another story")

        assert name in chains.what_is_broken(forged.getvalue())
        assert chains.what_is_broken(pack) == ""

    def test_whose_entry_waits_for_its_seal_says_so(self, shipment, monkeypatch):
        monkeypatch.setattr("audit.services.evidence.seal", lambda at: None)

        pack = b"".join(exports.evidence_pack(shipment, at=timezone.now()).streaming_content)

        told = chains.verifier.verify(io.BytesIO(pack))
        assert "The entry that tells of timeline.html has no seal yet: nothing proves the page so far." in told

    def test_is_missing_where_there_is_no_shipment(self, auditor_calls):
        assert error_of(auditor_calls.get("/api/v1/audit-logs/shipment/99999999/evidence"), 404)["code"] == "NOT_FOUND"

    def test_costs_the_same_for_more_entries(self, shipment, django_assert_max_num_queries):
        for number in range(20):
            Shipment.objects.filter(pk=shipment.pk).update(vessel=f"MV {number}")

        with django_assert_max_num_queries(22):
            b"".join(exports.evidence_pack(shipment, at=timezone.now()).streaming_content)

"""The commands: their arguments, what they print, their exit codes, and that they reach the desk."""

from __future__ import annotations

from io import BytesIO, StringIO

import openpyxl
import pytest
from django.core.management import CommandError, call_command

from accounts.choices import Department
from accounts.models import Division, User
from clearance import embedded, sheets
from shipments.management import demonstration
from shipments.management.commands import load_demo
from shipments.models import Shipment
from workflow.models import WorkflowStep

pytestmark = pytest.mark.django_db
HEADINGS = ["Shipment #", "Principal", "Brand", "Inv Amount", "E.T.A"]
GOOD = ["A-1", "Al Noor", "Noor", 1000, "01/04/2026"]
BAD = ["A-2", "Al Noor", "Noor", "free", "01/04/2026"]


@pytest.fixture
def tracker(tmp_path):
    def write(*rows):
        file = tmp_path / "tracker.xlsx"
        file.write_bytes(sheets.write(sheets.Page("Tracker", [HEADINGS, *rows])))
        return file

    return write


def run(*args: object, **options: object) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*map(str, args), stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


class TestImportShipments:
    def test_imports_and_says_what_became_of_the_rows(self, tracker, bu_clerk):
        out, _ = run("import_shipments", tracker(GOOD), "--as", bu_clerk.email.upper())

        assert "created 1, updated 0, unchanged 0, failed 0" in out
        assert Shipment.objects.get().created_by == bu_clerk

    def test_a_dry_run_writes_nothing(self, tracker, bu_clerk):
        out, _ = run("import_shipments", tracker(GOOD), "--as", bu_clerk.email, "--dry-run")

        assert "would be created 1" in out
        assert not Shipment.objects.exists()

    def test_failed_rows_are_told_written_and_end_with_an_error(self, tracker, tmp_path, bu_clerk):
        errors = tmp_path / "errors.xlsx"
        err = StringIO()

        with pytest.raises(CommandError) as ended:
            call_command(
                "import_shipments", tracker(GOOD, BAD), "--as", bu_clerk.email, "--errors", errors,
                stdout=StringIO(), stderr=err,
            )  # fmt: skip

        assert ended.value.returncode == 1
        assert "row 3, Inv Amount: " in err.getvalue()
        assert Shipment.objects.count() == 1
        assert openpyxl.load_workbook(BytesIO(errors.read_bytes())).worksheets[0].max_row == 2

    @pytest.mark.parametrize(
        ("args", "sentence"),
        [
            (["--as", "nobody@example.com"], "Nobody active has the e-mail address nobody@example.com"),
            (["--sheet", "Nothing"], "Nothing"),
        ],
    )
    def test_what_it_cannot_do_is_one_sentence(self, args, sentence, tracker):
        with pytest.raises(CommandError, match=sentence):
            run("import_shipments", tracker(GOOD), *args)

        assert not Shipment.objects.exists()

    def test_a_missing_file_and_one_that_is_no_workbook_are_refused(self, tmp_path, bu_clerk):
        broken = tmp_path / "tracker.xlsx"
        broken.write_bytes(b"PK\x03\x04 damaged")

        for file in (tmp_path / "none.xlsx", broken):
            with pytest.raises(CommandError):
                run("import_shipments", file, "--as", bu_clerk.email)

    def test_somebody_who_may_not_import_is_refused(self, tracker, cc_head):
        with pytest.raises(CommandError, match="may not"):
            run("import_shipments", tracker(GOOD), "--as", cc_head.email)


class TestShipmentTemplate:
    def test_writes_a_workbook_with_a_sheet_of_notes(self, tmp_path):
        file = tmp_path / "blank.xlsx"

        run("shipment_template", file)

        assert openpyxl.load_workbook(file).sheetnames[:2] == ["Tracker", "Notes"]


class TestTheDemonstration:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch, settings):
        settings.DEBUG = True
        monkeypatch.setattr(load_demo, "FOLDER", tmp_path / "demo")
        monkeypatch.delenv("DEMO_PASSWORD", raising=False)
        return tmp_path / "demo"

    def test_brings_a_cast_divisions_and_shipments_in_every_state(self, folder):
        out, _ = run("load_demo")

        assert Division.objects.count() == 4
        assert User.objects.count() == 15
        assert not User.objects.filter(divisions__isnull=False).exists()
        for department in (Department.INTERNAL_AUDIT, Department.MANAGEMENT):
            assert User.objects.filter(department=department).count() == 1
        administrator = User.objects.get(email="admin@clearance.example")
        assert (administrator.role, administrator.department) == ("Admin", "")
        assert 55 <= Shipment.objects.count() <= 65
        assert set(Shipment.objects.values_list("status", flat=True)) == {"active", "completed", "cancelled"}
        assert set(Shipment.objects.values_list("eta_edit_count", flat=True)) == {0, 1, 2, 3}
        assert (folder / "tracker.xlsx").exists()
        for step in WorkflowStep.objects.select_related("ppr_user", "apr_user")[:34]:
            prefix = {"BusinessUnit": "bu", "Finance": "finance", "C&C": "cc", "Stores": "stores"}[step.department]
            assert step.ppr_user.email == f"{prefix}.ppr@clearance.example"
            assert step.apr_user.email == f"{prefix}.apr@clearance.example"
        password = (folder / "password").read_text().strip()
        assert password in out
        assert administrator.check_password(password)

    def test_keeps_the_data_and_the_password_the_second_time(self, folder):
        run("load_demo")
        Shipment.objects.filter(status="cancelled").update(brand="Kept")
        password = (folder / "password").read_text()

        out, _ = run("load_demo")

        assert Shipment.objects.filter(brand="Kept").count() == 3
        assert password in out

    def test_takes_the_password_that_is_given(self, folder, monkeypatch):
        run("load_demo")
        monkeypatch.setenv("DEMO_PASSWORD", "Given-1-password")

        run("load_demo")

        assert User.objects.get(email="cc.ppr@clearance.example").check_password("Given-1-password")

    def test_is_refused_in_production(self, folder, settings):
        settings.DEBUG = False

        with pytest.raises(CommandError, match="DEMO=0"):
            run("load_demo")

        assert not User.objects.exists()

    def test_lives_beside_the_servers(self):
        assert load_demo.FOLDER == embedded.VAR / "demo"
        assert len({member.email for member in demonstration.CAST}) == 15

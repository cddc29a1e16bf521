"""A tracker that is older than what the database knows sets nothing back, unless a person wants that."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Division
from clearance import sheets
from clearance.clock import day_of
from clearance.tests import recipes
from clearance.tests.callers import signed_in
from clearance.tests.traces import everything
from shipments import services as shipments
from shipments.models import Shipment
from shipments.rows import TrackerRow
from shipments.tests.import_doors import DOORS
from workflow import services as workflow

NOON = recipes.NOON
LATER = NOON + timedelta(days=2)
HEADINGS = {"vessel": "Vessel", "eta": "ETA", "9.0": "9.0 Bayan submitted"}


def row(number="SH-1", *, at_row=2, steps=(), **fields):
    dates = {Decimal(step): on for step, on in dict(steps).items()}
    return TrackerRow(at_row, {"shipment_number": number, **fields}, dates, HEADINGS)


def bring(*rows, by, at=LATER, **more):
    return shipments.import_rows(rows=rows, by=by, at=at, **more)


@pytest.fixture
def known(cast):
    """A shipment whose vessel was changed two days after it was registered."""
    shipment = recipes.registered(by=cast.bu_clerk, shipment_number="SH-1", vessel="MV First")
    shipments.amend(shipment_id=shipment.pk, changes={"vessel": "MV Second"}, by=cast.bu_clerk, at=LATER)
    return shipment


def today():
    """The trail is written by the database, and by its clock."""
    return f"{day_of(timezone.now()):%d/%m/%Y}"


def stored(shipment):
    return Shipment.objects.get(pk=shipment.pk)


class TestARowThatIsOlder:
    def test_fails_tells_the_field_and_the_day_and_leaves_no_trace(self, known, cast):
        before = everything()

        report = bring(row(vessel="MV First", principal="Gamma"), by=cast.bu_clerk)

        assert (report.updated, report.failed, report.unchanged) == (0, 1, 0)
        assert [(fault.column, fault.value) for fault in report.faults] == [("Vessel", "MV First")]
        assert report.faults[0].reason == (
            f"“MV First” was replaced by “MV Second” on {today()}: the sheet seems to be older. Write the newer value, "
            "or import it again and allow it to set values back."
        )
        assert everything() == before

    def test_is_written_when_that_is_wanted_and_tells_it(self, known, cast):
        report = bring(row(vessel="MV First"), by=cast.bu_clerk, set_back=True)

        assert (stored(known).vessel, report.updated, report.failed) == ("MV First", 1, 0)
        assert [(one.row, one.column, one.value) for one in report.corrections] == [(2, "Vessel", "MV First")]

    def test_stops_no_other(self, known, cast):
        recipes.registered(by=cast.bu_clerk, shipment_number="SH-2", vessel="MV First")

        report = bring(row(vessel="MV First"), row("SH-2", at_row=3, vessel="MV Second"), by=cast.bu_clerk)

        assert (report.updated, Shipment.objects.get(shipment_number="SH-2").vessel) == (1, "MV Second")

    def test_uses_no_change_of_the_eta(self, shipment, cast):
        eta, moved = shipment.eta, shipment.eta + timedelta(days=9)
        shipments.change_eta(shipment_id=shipment.pk, eta=moved, by=cast.bu_clerk, at=NOON)

        report = bring(row(shipment.shipment_number, eta=eta), by=cast.bu_clerk, at=NOON)

        assert [fault.column for fault in report.faults] == ["ETA"]
        assert (stored(shipment).eta, stored(shipment).eta_edit_count) == (moved, 1)

    def test_names_a_division_by_its_name(self, cast):
        shipment = recipes.registered(by=cast.bu_clerk, shipment_number="SH-1", division=cast.tyres)
        other = Division.objects.exclude(pk=cast.tyres.pk).first()
        shipments.amend(shipment_id=shipment.pk, changes={"division": other}, by=cast.bu_clerk, at=LATER)

        report = bring(row(division=cast.tyres.name), by=cast.bu_clerk)

        assert f"“{cast.tyres}” was replaced by “{other}”" in report.faults[0].reason


class TestADateThatIsOlder:
    def test_corrects_no_corrected_step(self, shipment, cast):
        wrong, right = date(2026, 3, 10), date(2026, 3, 12)
        bring(row(shipment.shipment_number, steps={"9.0": wrong}), by=cast.bu_clerk, at=NOON)
        bring(row(shipment.shipment_number, steps={"9.0": right}), by=cast.bu_clerk, at=LATER)

        report = bring(row(shipment.shipment_number, steps={"9.0": wrong}), by=cast.bu_clerk)

        assert [(fault.column, fault.value) for fault in report.faults] == [("9.0 Bayan submitted", "10/03/2026")]
        assert recipes.step(shipment, "9.0").actual_date == right

    def test_completes_no_reopened_step_again(self, shipment, cast):
        done = date(2026, 3, 10)
        bring(row(shipment.shipment_number, steps={"9.0": done}), by=cast.bu_clerk, at=NOON)
        step = recipes.step(shipment, "9.0")
        workflow.reopen_step(step_id=step.pk, reason="A slip", by=cast.cc_head, at=LATER)

        refused = bring(row(shipment.shipment_number, steps={"9.0": done}), by=cast.bu_clerk)
        assert recipes.step(shipment, "9.0").actual_date is None
        assert f"“10/03/2026” was taken away on {today()}" in refused.faults[0].reason

        wanted = bring(row(shipment.shipment_number, steps={"9.0": done}), by=cast.bu_clerk, set_back=True)
        assert recipes.step(shipment, "9.0").actual_date == done
        assert [one.column for one in wanted.corrections] == ["9.0 Bayan submitted"]


class TestARowThatIsNewer:
    def test_is_written(self, known, cast):
        report = bring(row(vessel="MV Third", steps={"9.0": date(2026, 3, 12)}), by=cast.bu_clerk)

        assert (report.updated, stored(known).vessel, report.corrections) == (1, "MV Third", [])

    def test_may_agree_with_what_is_known(self, known, cast):
        assert bring(row(vessel="MV Second"), by=cast.bu_clerk).unchanged == 1

    def test_may_fill_what_was_always_blank(self, known, cast):
        assert bring(row(bl_number="BL-1"), by=cast.bu_clerk).updated == 1


class TestTheNumberOfStatements:
    def test_does_not_grow_with_the_rows(self, cast):
        def statements(rows):
            numbers = [f"{rows}-{n}" for n in range(rows)]
            for number in numbers:
                made = recipes.registered(by=cast.bu_clerk, shipment_number=number, vessel="MV First")
                shipments.amend(shipment_id=made.pk, changes={"vessel": "MV Second"}, by=cast.bu_clerk, at=NOON)
            with CaptureQueriesContext(connection) as captured:
                report = bring(
                    *(row(number, vessel="MV First", steps={"9.0": date(2026, 3, 10)}) for number in numbers),
                    by=cast.bu_clerk,
                )
            assert report.failed == 1  # all of them say that they are row 2
            return len(captured)

        cast.bu_clerk.get_all_permissions()

        assert statements(2) == statements(6)


class TestEveryDoor:
    @pytest.fixture
    def older(self, known, tmp_path):
        file = tmp_path / "older.xlsx"
        head = ["Shipment number", "Vessel", "Principal"]
        file.write_bytes(sheets.write(sheets.Page("Tracker", [head, ["SH-1", "MV First", "Al Noor Tyres"]])))
        return file

    @pytest.mark.parametrize("door", DOORS)
    def test_fails_the_row_unless_it_is_told_to_set_back(self, door, older, known, cast, monkeypatch):
        monkeypatch.setattr(timezone, "now", lambda: LATER + timedelta(hours=1))

        refused = DOORS[door](older, cast.bu_clerk)
        assert "was replaced by “MV Second”" in refused.faults[2, "Vessel"]
        assert stored(known).vessel == "MV Second"

        DOORS[door](older, cast.bu_clerk, set_back=True)
        assert stored(known).vessel == "MV First"

    def test_a_dry_run_tells_it(self, older, known, cast):
        told = DOORS["command"](older, cast.bu_clerk, dry_run=True)

        assert "was replaced by “MV Second”" in told.faults[2, "Vessel"]

    def test_rows_of_a_program_may_want_it_too(self, known, cast):
        client, rows = signed_in(cast.bu_clerk), [{"shipment_number": "SH-1", "vessel": "MV First"}]

        assert client.post("/api/v1/shipments/import", {"rows": rows}).json()["failed"] == 1
        assert client.post("/api/v1/shipments/import", {"rows": rows, "set_back": True}).json()["updated"] == 1

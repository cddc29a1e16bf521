"""Done when a newcomer can do it: three ways to change a shipment, one place to find them, a file that proves it."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts import services as accounts
from accounts.models import User
from audit import selectors
from audit import services as audit
from clearance import sheets
from clearance.clock import day_of
from clearance.tests import callers, pages, recipes

pytestmark = pytest.mark.django_db

TRAIL = "/admin/audit/auditentry/"


class TestTheTrailOfAShipment:
    def test_finds_exports_and_proves_what_came_by_admin_api_and_import(self, shipment, bu_clerk, auditor, tmp_path):
        first, second = (day_of(timezone.now()) + timedelta(days=days) for days in (30, 35))
        office, api = pages.signed_in(bu_clerk), callers.signed_in(bu_clerk)

        # Three doors.
        given = {"eta": f"{first:%d/%m/%Y}", "reason": "vessel rolled"}
        assert office.post(pages.verb("eta", shipment), given).status_code == 302
        moved = api.patch(f"/api/v1/shipments/{shipment.pk}/eta", {"eta": second.isoformat(), "reason": "port closed"})
        assert moved.status_code == 200
        headings = ["Shipment #", "Principal", "Brand", "Inv Amount", "E.T.A", "9.0 Bayan submitted"]
        row = [shipment.shipment_number, "Al Noor Tyres", "Noor", 12345.678, f"{second:%d/%m/%Y}", "12/03/2026"]
        file = tmp_path / "tracker.xlsx"
        file.write_bytes(sheets.write(sheets.Page("Tracker", [headings, row])))
        with file.open("rb") as tracker:
            imported = api.post("/api/v1/shipments/import", {"file": tracker}, format="multipart")
        assert imported.status_code == 200, imported.content
        step = recipes.step(shipment, recipes.BAYAN_SUBMITTED)
        assert step.completed_via == "import"

        # One place.
        desk = pages.signed_in(auditor)
        search = {"q": shipment.shipment_number, "person": bu_clerk.pk}
        listed, more = (desk.get(TRAIL, search | {"p": page}) for page in (1, 2))
        found = [*listed.context["cl"].result_list, *more.context["cl"].result_list]
        told = [(entry.told.name, entry.told.summary, entry.channel) for entry in found]
        was, then, at_last = (f"{day.day} {day:%b %Y}" for day in (recipes.ETA, first, second))
        expected = [
            (str(step), "completed, 12 Mar 2026 (Import)", "api"),
            (str(shipment), f"ETA {then} → {at_last} (second of three edits), reason: port closed", "api"),
            (str(shipment), f"ETA {was} → {then} (first of three edits), reason: vessel rolled", "admin"),
        ]
        assert [one for one in told if one in expected] == expected

        # A file that proves it, checked without our code.
        audit.seal(at=timezone.now())
        export = tmp_path / "trail.zip"
        (url,) = (button.url for button in listed.context["exports"] if "/zip/" in button.url)
        export.write_bytes(b"".join(desk.get(url).streaming_content))
        script = settings.BASE_DIR / "docs" / "verify_trail.py"
        checked = subprocess.run([sys.executable, script, export], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert f"{listed.context['cl'].result_count} entries are what was sealed" in checked.stdout


def stored() -> list[Any]:
    """Every byte of every entry."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT entry::text FROM audit_auditentry entry ORDER BY id")
        return [row for (row,) in cursor.fetchall()]


class TestWhatAPersonDid:
    def test_stays_as_it_was_when_they_are_renamed_deactivated_or_made_nameless(self, shipment, bu_clerk, noon):
        client = callers.signed_in(bu_clerk)
        eta = (day_of(timezone.now()) + timedelta(days=30)).isoformat()
        assert client.patch(f"/api/v1/shipments/{shipment.pk}/eta", {"eta": eta}).status_code == 200
        before = stored()

        changes = {"full_name": "Another Name", "department": "Finance"}
        accounts.amend_person(user_id=bu_clerk.pk, changes=changes, by=None, at=noon)
        accounts.deactivate(user=bu_clerk, by=None, at=noon)
        User.objects.filter(pk=bu_clerk.pk).update(full_name="–", email="nobody@example.com", phone="")

        assert stored()[: len(before)] == before
        entry = selectors.about(shipment).first()
        assert (entry.user_name, entry.user_role) == ("Badriya Clerk", "BusinessUnit PPR")

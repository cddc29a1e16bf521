from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts import services as accounts
from accounts.models import Division, User
from alerts.tests import late
from audit import selectors
from audit import services as audit
from audit.filters import _KINDS
from audit.models import AuditEntry
from audit.wording import model_of
from clearance import context
from clearance.clock import day_of
from clearance.errors import Forbidden
from clearance.tests import recipes
from clearance.tests.callers import error_of, fields_of, signed_in
from shipments import services as shipments

LOGS = "/api/v1/audit-logs"
FIELDS = {
    "id", "created_at", "entity_type", "entity_id", "action", "field_name", "old_value", "new_value", "user",
    "on_behalf_of", "channel", "ip_address", "request_id", "import_batch", "reason",
}  # fmt: skip

pytestmark = pytest.mark.django_db


@pytest.fixture
def auditor_calls(auditor):
    return signed_in(auditor, REMOTE_ADDR="192.0.2.1")


@pytest.fixture
def moved(shipment, bu_clerk, noon):
    """A shipment whose ETA was moved at the API, from a known address."""
    client = signed_in(bu_clerk, REMOTE_ADDR="192.0.2.7")
    eta = (day_of(timezone.now()) + timedelta(days=30)).isoformat()
    answer = client.patch(
        f"/api/v1/shipments/{shipment.pk}/eta",
        {"eta": eta, "reason": "vessel rolled"},
        headers={"X-Request-ID": "request-of-the-clerk"},
    )
    assert answer.status_code == 200, answer.content
    shipment.refresh_from_db()
    shipment.moved_by_request = answer["X-Request-ID"]
    return shipment


def lines(answer: Any) -> list[dict]:
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def of(record: Any) -> dict[str, Any]:
    return {"entity_type": record._meta.label_lower, "entity_id": record.pk}


class TestTheAuditLogs:
    def test_tell_each_changed_field_on_a_line(self, moved, auditor_calls, bu_clerk):
        found = {line["field_name"]: line for line in lines(auditor_calls.get(LOGS, of(moved) | {"action": "changed"}))}

        assert found.keys() == {"eta", "eta_edit_count", "eta_change_reason", "updated_at", "version"}
        entry = AuditEntry.objects.get(request_id=moved.moved_by_request, entity_type="shipments.shipment")
        assert found["eta"].keys() == FIELDS
        assert found["eta"] == {
            "id": entry.pk,
            "created_at": entry.at.isoformat(),
            "entity_type": "shipments.shipment",
            "entity_id": str(moved.pk),
            "action": "changed",
            "field_name": "eta",
            "old_value": recipes.ETA.isoformat(),
            "new_value": moved.eta.isoformat(),
            "user": {"id": bu_clerk.pk, "name": "Badriya Clerk", "role": "BusinessUnit PPR"},
            "on_behalf_of": "",
            "channel": "api",
            "ip_address": "192.0.2.7",
            "request_id": moved.moved_by_request,
            "import_batch": "",
            "reason": "vessel rolled",
        }

    def test_tell_a_new_record_on_one_line_with_its_values(self, auditor_calls):
        division = Division.objects.create(code="TRK", name="Trucks")

        (line,) = lines(auditor_calls.get(LOGS, of(division)))

        assert (line["action"], line["field_name"], line["old_value"]) == ("created", None, None)
        assert line["new_value"] == {"id": division.pk, "code": "TRK", "name": "Trucks"}

    def test_tell_a_removed_record_on_one_line_with_what_it_held(self, auditor_calls):
        division = Division.objects.create(code="TRK", name="Trucks")
        was = of(division)
        division.delete()

        line, _created = lines(auditor_calls.get(LOGS, was))

        assert (line["action"], line["field_name"], line["new_value"]) == ("deleted", None, None)
        assert line["old_value"]["name"] == "Trucks"

    def test_tell_a_denied_attempt_on_one_line(self, shipment, bu_clerk, auditor_calls):
        with context.acting(channel="api"):
            accounts.note_actor(bu_clerk)
            audit.record_denial(
                Forbidden(), entity_type="shipments.shipment", entity_id=shipment.pk, attempted="PATCH /somewhere"
            )

        (line,) = lines(auditor_calls.get(LOGS, of(shipment) | {"action": "denied"}))

        assert line["new_value"] == {
            "code": "PERMISSION_DENIED", "message": "You may not do this.", "attempted": "PATCH /somewhere",
        }  # fmt: skip
        assert line["user"]["id"] == bu_clerk.pk

    def test_tell_of_a_link_what_was_added_and_removed(self, cast, auditor_calls, cc_clerk):
        cc_clerk.divisions.set([cast.tyres])
        cc_clerk.divisions.clear()

        gone, came = lines(auditor_calls.get(LOGS, of(cc_clerk) | {"field": "divisions"}))

        assert (came["old_value"], came["new_value"]) == (None, cast.tyres.pk)
        assert (gone["old_value"], gone["new_value"]) == (cast.tyres.pk, None)

    def test_name_nobody_where_the_system_acted(self, shipment, auditor_calls):
        (line,) = lines(auditor_calls.get(LOGS, of(shipment)))

        assert (line["user"], line["channel"], line["ip_address"]) == (None, "system", None)

    @pytest.mark.parametrize("who", ["auditor", "manager", "administrator"])
    def test_are_read_by_those_who_oversee(self, cast, who):
        assert lines(signed_in(getattr(cast, who)).get(LOGS))

    @pytest.mark.parametrize("address", [LOGS, f"{LOGS}/export?format=csv", f"{LOGS}/shipment/1"])
    def test_are_read_by_nobody_else(self, cast, address):
        those = {cast.auditor, cast.manager, cast.administrator}
        everybody_else = [one for one in User.objects.all() if one not in those]

        assert len(everybody_else) > 10
        for person in everybody_else:
            assert error_of(signed_in(person).get(address), 403)["code"] == "PERMISSION_DENIED"

    def test_cannot_be_written(self, auditor_calls):
        for method in ("post", "put", "patch", "delete"):
            error_of(getattr(auditor_calls, method)(LOGS, {}), 405)


class TestThePages:
    def test_keep_an_entry_together_and_count_entries(self, moved, auditor_calls):
        answer = auditor_calls.get(LOGS, of(moved) | {"page_size": 1}).json()

        assert {line["field_name"] for line in answer["results"]} > {"eta", "version"}
        assert (answer["count"], answer["count_is_exact"]) == (2, True)
        (created,) = lines(auditor_calls.get(answer["next"]))
        assert created["action"] == "created"

    def test_come_newest_first_and_are_not_moved_by_what_comes_meanwhile(self, auditor_calls):
        before = [Division.objects.create(code=f"D{number}", name=f"Division {number}").pk for number in range(5)]
        given = {"entity_type": "accounts.division", "action": "created", "page_size": 2}
        page = auditor_calls.get(LOGS, given).json()
        found = [line["new_value"]["id"] for line in page["results"]]

        while page["next"]:
            Division.objects.create(code=f"M{len(found)}", name=f"Meanwhile {len(found)}")
            page = auditor_calls.get(page["next"]).json()
            found += [line["new_value"]["id"] for line in page["results"]]

        assert found[:5] == before[::-1]
        assert len(found) == len(set(found))

    def test_have_no_numbers(self, auditor_calls):
        assert fields_of(auditor_calls.get(LOGS, {"page": 2})) == {"page"}

    def test_cost_the_same_whatever_they_show(self, cast, auditor_calls, django_assert_num_queries):
        for number in range(30):
            Division.objects.create(code=f"D{number}", name=f"Division {number}")

        with django_assert_num_queries(3):  # who calls, the count, the entries
            lines(auditor_calls.get(LOGS, {"page_size": 20}))


class TestTheFilters:
    def test_find_a_field_with_what_created_it(self, moved, auditor_calls):
        for name in ("field_name", "field"):
            found = lines(auditor_calls.get(LOGS, of(moved) | {name: "eta"}))

            assert [line["field_name"] for line in found] == ["eta", None]

    def test_find_a_kind_by_its_short_name(self, moved, auditor_calls):
        step = moved.steps.first()
        for short, record in (("shipment", moved), ("workflow_step", step)):
            whole = lines(auditor_calls.get(LOGS, of(record)))

            assert lines(auditor_calls.get(LOGS, of(record) | {"entity_type": short})) == whole != []

    def test_have_a_short_name_for_every_kind_but_where_two_would_share_it(self):
        short = {kind for kind, whole in _KINDS.items() if kind != whole}

        assert {whole for whole in _KINDS.values() if model_of(whole)} == {_KINDS[one] for one in short}
        assert "crontab_schedule" in short

    def test_find_a_person_a_request_a_channel_and_an_action(self, moved, auditor_calls, bu_clerk, bu_head):
        for given in (
            {"user": bu_clerk.pk},
            {"request_id": moved.moved_by_request},
            {"channel": "api", "action": "changed"},
        ):
            found = lines(auditor_calls.get(LOGS, given | of(moved)))
            assert {line["request_id"] for line in found} == {moved.moved_by_request}, given
        assert lines(auditor_calls.get(LOGS, {"user": bu_head.pk})) == []

    def test_find_days_in_muscat_with_both_ends(self, auditor_calls):
        Division.objects.create(code="TRK", name="Trucks")
        today = day_of(timezone.now())

        def count(since: date, until: date) -> int:
            given = {"entity_type": "accounts.division", "from": since.isoformat(), "to": until.isoformat()}
            return len(lines(auditor_calls.get(LOGS, given)))

        day = timedelta(days=1)
        assert count(today, today) == 3
        assert count(today - day, today - day) == count(today + day, today + day) == 0

    @pytest.mark.parametrize(
        "given",
        [
            {"entity_type": "shipments.nothing"},
            {"entity_id": "17"},
            {"user": "me"},
            {"action": "seen"},
            {"channel": "fax"},
            {"from": "15/03/2026"},
            {"to": "tomorrow"},
            {"actor": "3"},
            {"ordering": "user"},
            {"page_size": "201"},
            {"cursor": "forged"},
        ],
    )
    def test_refuse_what_they_do_not_know(self, auditor_calls, given):
        assert fields_of(auditor_calls.get(LOGS, given)) == set(given)


class TestTheLogsOfAShipment:
    def test_hold_its_steps_and_alerts_and_what_was_denied_about_it(self, settings, auditor_calls, bu_clerk):
        settings.ALERTS_PULL_FORWARD = False
        shipment, other = (late.shipment(by=bu_clerk, days=5) for _ in range(2))
        late.sweep()
        audit_of_other = {"shipments.shipment": {str(other.pk)}}
        with context.acting(channel="api"):
            accounts.note_actor(bu_clerk)
            step = shipment.steps.first()
            audit.record_denial(
                Forbidden(), entity_type="workflow.workflowstep", entity_id=step.pk, attempted="PATCH /somewhere"
            )

        found = lines(auditor_calls.get(f"{LOGS}/shipment/{shipment.pk}", {"page_size": 200}))

        about: dict[str, set[str]] = {}
        for line in found:
            about.setdefault(line["entity_type"], set()).add(line["entity_id"])
        assert about == {
            "shipments.shipment": {str(shipment.pk)},
            "workflow.workflowstep": {str(pk) for pk in shipment.steps.values_list("pk", flat=True)},
            "alerts.alert": {str(pk) for pk in shipment.alerts.values_list("pk", flat=True)},
        }
        assert about["shipments.shipment"] != audit_of_other["shipments.shipment"]
        assert found[0]["action"] == "denied"

    def test_take_the_filters_too(self, moved, auditor_calls):
        given = {"entity_type": "shipments.shipment", "field": "eta", "action": "changed"}

        (line,) = lines(auditor_calls.get(f"{LOGS}/shipment/{moved.pk}", given))

        assert line["new_value"] == moved.eta.isoformat()

    def test_are_there_for_a_deleted_one(self, shipment, bu_clerk, noon, auditor_calls):
        shipments.delete(shipment_id=shipment.pk, by=bu_clerk, at=noon)

        assert lines(auditor_calls.get(f"{LOGS}/shipment/{shipment.pk}", {"field": "deleted_at"}))

    def test_are_missing_where_there_is_no_shipment(self, auditor_calls):
        assert error_of(auditor_calls.get(f"{LOGS}/shipment/999999999"), 404)["code"] == "NOT_FOUND"

    def test_cost_the_same_whatever_lies_under_it(self, shipment, auditor_calls, django_assert_num_queries):
        with django_assert_num_queries(6):  # who calls, the shipment, its steps, its alerts, the count, the entries
            lines(auditor_calls.get(f"{LOGS}/shipment/{shipment.pk}"))


def plan(entries: Any, *, off: str) -> str:
    """How the database would read the first page, were the table large: without what only a small one allows."""
    with connection.cursor() as cursor:
        cursor.execute("".join(f"SET LOCAL enable_{way} = off;" for way in off.split()))
    return str(entries.order_by("-at", "-id")[:51].explain())


class TestTheIndexes:
    def test_serve_one_record_in_order(self, shipment):
        found = plan(
            AuditEntry.objects.filter(entity_type="shipments.shipment", entity_id=str(shipment.pk)), off="seqscan sort"
        )

        assert "Index Scan Backward using entry_entity" in found
        assert "Sort" not in found

    def test_serve_one_person_in_order(self, auditor):
        found = plan(AuditEntry.objects.filter(user=auditor), off="seqscan sort")

        assert "Index Scan Backward using entry_user" in found
        assert "Sort" not in found

    def test_serve_everything_under_a_shipment(self, shipment):
        found = plan(selectors.under_shipment(shipment.pk), off="seqscan indexscan")

        assert "entry_entity" in found
        assert "Seq Scan" not in found

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clearance.clock import day_of
from clearance.tests import recipes
from clearance.tests.callers import error_of, fields_of, signed_in
from shipments.models import Shipment
from workflow.models import WorkflowStep

SHIPMENTS = "/api/v1/shipments"


@pytest.fixture
def today() -> date:
    return day_of(timezone.now())


@pytest.fixture
def soon(today) -> date:
    return today + timedelta(days=20)


@pytest.fixture
def shipment(bu_clerk, soon) -> Shipment:
    return recipes.registered(by=bu_clerk, at=timezone.now(), eta=soon)


@pytest.fixture
def mine(shipment) -> str:
    return f"{SHIPMENTS}/{shipment.pk}"


@pytest.fixture
def clerk(bu_clerk):
    return signed_in(bu_clerk)


@pytest.fixture
def head(bu_head):
    return signed_in(bu_head)


def papers(**changed) -> dict:
    return {
        "shipment_number": recipes.number(),
        "principal": "Al Noor Tyres",
        "brand": "Noor",
        "invoice_amount_omr": "12345.678",
        "eta": "2099-03-20",
    } | changed


def cost(client, method: str, address: str, body=None) -> int:
    """How many statements a request costs, of which none may fail."""
    with CaptureQueriesContext(
        connection,
    ) as statements:
        answer = getattr(client, method)(address, body)
    assert answer.status_code < 300, answer.content
    return len(statements)


class TestRegistering:
    def test_answers_201_with_money_as_strings_and_a_tag(self, clerk, bu_clerk):
        answer = clerk.post(SHIPMENTS, papers(division="TBL", container_count=3, lc_number=" LC1 ,LC2"))

        assert answer.status_code == 201
        assert answer["ETag"] == '"1"'
        shown = answer.json()
        assert shown["funds_required_omr"] == "1358.025"
        assert shown["customs_duty_omr"] == shown["vat_omr"] == "617.284"
        assert shown["insurance_omr"] == "123.457"
        assert (shown["division"], shown["lc_number"], shown["risk"]) == ("TBL", "LC1, LC2", "expected")
        assert (shown["created_by"], shown["version"], shown["status"]) == (bu_clerk.pk, 1, "active")
        assert WorkflowStep.objects.filter(shipment=shown["id"]).count() == 34

    def test_takes_numbers_for_money_too(self, clerk):
        shown = clerk.post(SHIPMENTS, papers(invoice_amount_omr=12345.5)).json()

        assert shown["invoice_amount_omr"] == "12345.500"

    def test_refuses_an_eta_in_the_past(self, clerk, today):
        answer = clerk.post(SHIPMENTS, papers(eta=str(today - timedelta(days=1))))

        error = error_of(answer, 400)
        assert error["code"] == "ETA_IN_THE_PAST"
        assert "ETA cannot be in the past" in error["message"]
        assert fields_of(answer) == {"eta"}

    def test_takes_an_eta_of_today(self, clerk, today):
        assert clerk.post(SHIPMENTS, papers(eta=str(today))).status_code == 201

    def test_refuses_a_number_twice_also_against_a_deleted_shipment(self, clerk, mine, shipment):
        assert clerk.delete(mine).status_code == 204

        answer = clerk.post(SHIPMENTS, papers(shipment_number=shipment.shipment_number))

        assert error_of(answer, 409)["code"] == "SHIPMENT_NUMBER_TAKEN"
        assert fields_of(answer, 409) == {"shipment_number"}

    @pytest.mark.parametrize("who", ["finance_clerk", "cc_head", "storekeeper", "auditor", "manager", "administrator"])
    def test_is_for_the_business_unit_only(self, cast, who):
        answer = signed_in(getattr(cast, who)).post(SHIPMENTS, papers())

        assert error_of(answer, 403)["code"] == "PERMISSION_DENIED"
        assert Shipment.objects.count() == 0

    def test_in_another_division_is_refused(self, divisional_clerk, cast):
        answer = signed_in(divisional_clerk).post(SHIPMENTS, papers(division=cast.vehicles.code))

        assert error_of(answer, 403)["code"] == "NOT_YOUR_DIVISION"


class TestReading:
    def test_shows_the_version_as_a_tag(self, clerk, mine, shipment):
        answer = clerk.get(mine)

        assert answer.status_code == 200
        assert answer["ETag"] == '"1"'
        assert answer.json()["shipment_number"] == shipment.shipment_number

    def test_reaches_no_other_division(self, stranger, bu_clerk, cast, soon):
        foreign = recipes.registered(by=bu_clerk, at=timezone.now(), eta=soon, division=cast.tyres)
        common = recipes.registered(by=bu_clerk, at=timezone.now(), eta=soon)
        client, place = signed_in(stranger), f"{SHIPMENTS}/{foreign.pk}"

        assert [row["id"] for row in client.get(SHIPMENTS).json()["results"]] == [common.pk]
        for method, address, body in (
            ("get", place, None),
            ("get", f"{place}/workflow", None),
            ("put", place, papers()),
            ("patch", place, {"vessel": "MV Example"}),
            ("patch", f"{place}/eta", {"eta": "2099-01-01"}),
            ("delete", place, None),
            ("get", f"/api/v1/workflow-steps/{recipes.step(foreign, '9.0').pk}", None),
            ("patch", f"/api/v1/workflow-steps/{recipes.step(foreign, '9.0').pk}/complete", {}),
        ):
            assert error_of(getattr(client, method)(address, body), 404)["code"] == "NOT_FOUND"

    def test_needs_a_role(self, cast):
        cast.auditor.groups.clear()
        client = signed_in(cast.auditor)

        for address in (SHIPMENTS, f"{SHIPMENTS}/1", f"{SHIPMENTS}/1/workflow", "/api/v1/workflow-steps"):
            assert error_of(client.get(address), 403)["code"] == "PERMISSION_DENIED"

    def test_knows_no_deleted_shipment(self, clerk, mine):
        clerk.delete(mine)

        assert error_of(clerk.get(mine), 404)["code"] == "NOT_FOUND"
        assert error_of(clerk.get(f"{mine}/workflow"), 404)["code"] == "NOT_FOUND"
        assert clerk.get(SHIPMENTS).json()["results"] == []
        assert clerk.get("/api/v1/workflow-steps").json()["results"] == []

    @pytest.mark.parametrize("who", ["auditor", "manager", "administrator", "storekeeper", "finance_clerk"])
    def test_is_for_everybody_with_a_role(self, cast, mine, who):
        assert signed_in(getattr(cast, who)).get(mine).status_code == 200


class TestAmending:
    def test_takes_back_what_was_read_as_it_is(self, clerk, mine):
        clerk.patch(mine, {"vessel": "MV Example", "division": "LV", "quantity": "3.5", "quantity_unit": "tyres"})
        read = clerk.get(mine).json()

        for method in (clerk.put, clerk.patch):
            answer = method(mine, read)

            assert answer.status_code == 200, answer.content
            assert answer.json() == read

    def test_by_put_blanks_what_is_left_out(self, clerk, mine, shipment):
        clerk.patch(mine, {"vessel": "MV Example", "container_count": 3, "division": "LV", "ata": "2026-03-01"})

        answer = clerk.put(mine, papers(shipment_number=shipment.shipment_number, eta=str(shipment.eta)))

        shown = answer.json()
        assert (shown["vessel"], shown["container_count"], shown["division"], shown["ata"]) == ("", None, None, None)
        assert shown["version"] == 3

    def test_by_put_needs_what_is_required(self, clerk, mine):
        answer = clerk.put(mine, {"vessel": "MV Example"})

        assert fields_of(answer) == {"shipment_number", "principal", "brand", "invoice_amount_omr", "eta"}

    def test_by_patch_keeps_what_is_left_out(self, clerk, mine):
        clerk.patch(mine, {"vessel": "MV Example"})

        answer = clerk.patch(mine, {"bl_number": "BL-1"})

        assert (answer.json()["vessel"], answer.json()["bl_number"]) == ("MV Example", "BL-1")
        assert answer["ETag"] == '"3"'

    def test_without_a_change_keeps_the_version(self, clerk, mine):
        assert clerk.patch(mine, {})["ETag"] == '"1"'

    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_refuses_another_eta_and_names_the_endpoint(self, clerk, mine, shipment, method):
        answer = getattr(clerk, method)(mine, clerk.get(mine).json() | {"eta": "2099-03-21"})

        error = error_of(answer, 400)
        assert error["code"] == "ETA_HAS_ITS_OWN_ENDPOINT"
        assert f"PATCH /api/v1/shipments/{shipment.pk}/eta" in error["message"]
        assert fields_of(answer) == {"eta"}

    def test_ignores_what_is_computed(self, clerk, mine):
        answer = clerk.patch(mine, {"funds_required_omr": "0.001", "status": "completed", "eta_edit_count": 0, "id": 9})

        assert answer.json()["funds_required_omr"] == "1358.025"
        assert answer.json()["status"] == "active"

    def test_completes_and_reopens_the_steps_that_follow_a_field(self, clerk, mine, shipment):
        clerk.patch(mine, {"sail_date": "2026-03-01"})
        assert recipes.step(shipment, recipes.SAILED).completed_via == "entry"

        clerk.patch(mine, {"sail_date": None})
        assert recipes.step(shipment, recipes.SAILED).actual_date is None

    def test_by_others_is_refused(self, cast, mine):
        for who in ("finance_clerk", "cc_head", "auditor", "administrator"):
            assert error_of(signed_in(getattr(cast, who)).patch(mine, {"vessel": "X"}), 403)


class TestAPrecondition:
    @pytest.mark.parametrize(
        "tag", ['"1"', 'W/"1"', "1", "*", ' "1" ', '"7", "1"', '"1","1"', 'W/"9" , W/"1"', '"a,b", "1"', ',"1",, "2",']
    )
    def test_that_holds_lets_the_change_through(self, clerk, mine, tag):
        answer = clerk.patch(mine, {"vessel": "MV Example"}, HTTP_IF_MATCH=tag)

        assert answer.status_code == 200
        assert answer["ETag"] == '"2"'

    @pytest.mark.parametrize(
        "tag",
        ['"2"', 'W/"7"', '"0"', '"999999999999999999"', '"2", "3"', '"one"', '""', '"1,"', '"' + "9" * 5000 + '"'],
    )
    @pytest.mark.parametrize(
        ("method", "place", "body"),
        [
            ("patch", "", {"vessel": "MV Example"}),
            ("patch", "/eta", {"eta": "2099-01-01"}),
            ("post", "/cancel", {"reason": "ordered twice"}),
            ("delete", "", None),
        ],
    )
    def test_that_is_stale_is_a_412_and_changes_nothing(self, head, mine, shipment, method, place, body, tag):
        before = Shipment.objects.values().get(pk=shipment.pk)

        answer = getattr(head, method)(f"{mine}{place}", body, HTTP_IF_MATCH=tag)

        assert error_of(answer, 412)["code"] == "VERSION_CONFLICT"
        assert Shipment.objects.values().get(pk=shipment.pk) == before

    @pytest.mark.parametrize(
        "tag",
        ["", ",", "one", '"1', '1"', '"1" "2"', '"1", *', "*, *", 'w/"1"', "W/1", '"1"x', '"1";"2"', "'1'", '"a b"'],
    )
    def test_that_nobody_can_read_is_a_400(self, clerk, mine, tag):
        answer = clerk.patch(mine, {"vessel": "MV Example"}, HTTP_IF_MATCH=tag)

        assert fields_of(answer) == {"If-Match"}

    @pytest.mark.parametrize(
        ("method", "place", "body"),
        [
            ("patch", "", {"vessel": "MV Example"}),
            ("patch", "/eta", {"eta": "2099-01-01"}),
            ("post", "/cancel", {"reason": "ordered twice"}),
            ("delete", "", {}),
        ],
    )
    def test_in_the_body_that_is_stale_is_a_409(self, head, mine, method, place, body):
        answer = getattr(head, method)(f"{mine}{place}", body | {"version": 7})

        assert error_of(answer, 409)["code"] == "VERSION_CONFLICT"

    def test_in_the_body_wins_over_the_tag(self, clerk, mine):
        answer = clerk.patch(mine, {"vessel": "MV Example", "version": 7}, HTTP_IF_MATCH='"1"')

        assert error_of(answer, 409)["code"] == "VERSION_CONFLICT"

    def test_from_a_compressed_answer_holds(self, clerk, mine):
        tag = clerk.get(mine, HTTP_ACCEPT_ENCODING="gzip")["ETag"]

        assert clerk.patch(mine, {"vessel": "MV Example"}, HTTP_IF_MATCH=tag).status_code == 200


class TestMovingTheEta:
    def test_works_three_times_and_not_a_fourth(self, clerk, mine, shipment, soon):
        for edit in (1, 2, 3):
            eta = soon + timedelta(days=edit)
            answer = clerk.patch(f"{mine}/eta", {"eta": str(eta), "reason": "rolled"})

            assert answer.status_code == 200
            assert (answer.json()["eta"], answer.json()["eta_edit_count"]) == (str(eta), edit)
            assert answer["ETag"] == f'"{edit + 1}"'

        answer = clerk.patch(f"{mine}/eta", {"eta": str(soon)})

        assert error_of(answer, 409)["code"] == "ETA_EDIT_LIMIT"
        assert fields_of(answer, 409) == {"eta"}
        steps = clerk.get(f"{mine}/workflow").json()
        assert all(
            date.fromisoformat(step["target_date"]) == eta + timedelta(days=step["offset_days"]) for step in steps
        )

    @pytest.mark.parametrize("who", ["finance_clerk", "cc_head", "storekeeper", "auditor", "manager", "administrator"])
    def test_by_anyone_outside_the_business_unit_is_refused(self, cast, mine, who):
        answer = signed_in(getattr(cast, who)).patch(f"{mine}/eta", {"eta": "2099-01-01"})

        assert error_of(answer, 403)["code"] == "ETA_FORBIDDEN"

    def test_to_the_same_day_uses_no_edit(self, clerk, mine, soon):
        answer = clerk.patch(f"{mine}/eta", {"eta": str(soon)})

        assert (answer.status_code, answer.json()["eta_edit_count"], answer["ETag"]) == (200, 0, '"1"')

    def test_into_the_past_is_refused(self, clerk, mine, today):
        answer = clerk.patch(f"{mine}/eta", {"eta": str(today - timedelta(days=1))})

        assert error_of(answer, 400)["code"] == "ETA_IN_THE_PAST"

    @pytest.mark.parametrize("body", [{}, {"eta": None}, {"eta": ""}, {"eta": "20/03/2099"}, {"eta": 20990320}])
    def test_needs_a_date(self, clerk, mine, body):
        assert fields_of(clerk.patch(f"{mine}/eta", body)) == {"eta"}

    def test_refuses_a_field_that_is_none_of_it(self, clerk, mine):
        assert fields_of(clerk.patch(f"{mine}/eta", {"eta": "2099-01-01", "vessel": "X"})) == {"vessel"}

    def test_is_no_get_and_no_put(self, clerk, mine):
        for answer in (clerk.get(f"{mine}/eta"), clerk.put(f"{mine}/eta", {"eta": "2099-01-01"})):
            assert error_of(answer, 405)
            assert answer["Allow"] == "PATCH, OPTIONS"


class TestWithdrawing:
    def test_cancels_with_a_reason_and_restores(self, head, mine):
        cancelled = head.post(f"{mine}/cancel", {"reason": "ordered twice"})
        again = head.post(f"{mine}/cancel", {"reason": "ordered twice"})
        restored = head.post(f"{mine}/restore", {})

        assert (cancelled.json()["status"], cancelled.json()["cancel_reason"]) == ("cancelled", "ordered twice")
        assert cancelled.json()["risk"] is None
        assert error_of(again, 409)["code"] == "SHIPMENT_CANCELLED"
        assert (restored.json()["status"], restored.json()["cancel_reason"]) == ("active", "")
        assert restored["ETag"] == '"3"'

    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": None}, {"reason": "x" * 256}])
    def test_needs_a_reason(self, head, mine, body):
        assert fields_of(head.post(f"{mine}/cancel", body)) == {"reason"}

    def test_deletes_and_brings_back(self, clerk, head, mine):
        deleted = clerk.delete(mine)
        restored = head.post(f"{mine}/restore")

        assert (deleted.status_code, deleted.content) == (204, b"")
        assert restored.status_code == 200
        assert clerk.get(mine).status_code == 200

    def test_brings_back_only_what_was_withdrawn(self, head, mine):
        assert error_of(head.post(f"{mine}/restore"), 409)["code"] == "SHIPMENT_NOT_WITHDRAWN"

    def test_is_not_for_clerks(self, clerk, mine):
        assert error_of(clerk.post(f"{mine}/cancel", {"reason": "no"}), 403)["code"] == "PERMISSION_DENIED"
        assert error_of(clerk.post(f"{mine}/restore"), 403)["code"] == "PERMISSION_DENIED"


class TestTheFilterByStatus:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("", {"active", "completed", "cancelled"}),
            ("?status=completed", {"completed"}),
            ("?status=active&status=completed", {"active", "completed"}),
        ],
    )
    def test_takes_any_of_several(self, clerk, soon, query, found):
        for status in ("active", "completed", "cancelled"):
            recipes.shipment.make(eta=soon, status=status)

        assert {row["status"] for row in clerk.get(f"{SHIPMENTS}{query}").json()["results"]} == found

    def test_refuses_an_unknown_one_among_them(self, clerk):
        assert fields_of(clerk.get(f"{SHIPMENTS}?status=active&status=lost")) == {"status"}


class TestTheCost:
    """In statements, of which the first finds the token's person with divisions and permissions."""

    def test_of_a_list_is_the_same_for_any_number_of_rows(self, clerk, soon, bu_clerk):
        recipes.shipment.make(eta=soon)
        few = cost(clerk, "get", SHIPMENTS)
        recipes.shipment.make(eta=soon, _quantity=40, shipment_number=recipes.number)

        assert cost(clerk, "get", SHIPMENTS) == few == 2
        assert cost(clerk, "get", f"{SHIPMENTS}?page_size=10&status=active&search=noor") == 3  # and the count
        assert cost(clerk, "get", f"{SHIPMENTS}?cursor=") == 3

    def test_of_one_shipment(self, clerk, mine):
        assert cost(clerk, "get", mine) == 2

    def test_of_a_timeline(self, clerk, mine):
        assert cost(clerk, "get", f"{mine}/workflow") == 3

    def test_of_an_eta_change(self, clerk, mine):
        # with the savepoint that stands for the transaction in a test: begin, lock, shipment, steps, ladder, release
        assert cost(clerk, "patch", f"{mine}/eta", {"eta": "2099-01-01"}) == 8


class TestMoney:
    def test_is_exact_to_the_baisa(self, clerk):
        shown = clerk.post(SHIPMENTS, papers(invoice_amount_omr="999999999999.999")).json()

        assert Decimal(shown["invoice_amount_omr"]) == Decimal("999999999999.999")
        assert shown["customs_duty_omr"] == "50000000000.000"

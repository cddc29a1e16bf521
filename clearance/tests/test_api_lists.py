from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection

from clearance.tests import recipes
from clearance.tests.callers import error_of, fields_of, signed_in
from shipments.models import Shipment
from workflow.models import WorkflowStep

SHIPMENTS = "/api/v1/shipments"
STEPS = "/api/v1/workflow-steps"
NOWHERE = ("&", "!(", "a'b:*", "م", "other")


@pytest.fixture
def clerk(bu_clerk):
    return signed_in(bu_clerk)


def make(count: int, **values) -> list[Shipment]:
    """Bare shipments, three per ETA, so that pages end within ties."""
    return [
        recipes.shipment.make(**({"eta": recipes.ETA + timedelta(days=place // 3)} | values)) for place in range(count)
    ]


def numbers(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["shipment_number"] for row in answer.json()["results"]]


def walk(client, address: str, direction: str = "next", seen=None) -> list[str]:
    """Every shipment number from an address on, following the links."""
    found = []
    while address:
        answer = client.get(address)
        page = numbers(answer)
        found = [*found, *page] if direction == "next" else [*page, *found]
        address = answer.json()[direction]
        assert len(found) < 1000
    return found


def in_order(ordering: str = "eta") -> list[str]:
    sign = "-" if ordering.startswith("-") else ""
    return list(Shipment.objects.order_by(ordering, f"{sign}id").values_list("shipment_number", flat=True))


class TestAList:
    def test_without_rows_is_an_empty_page(self, clerk):
        answer = clerk.get(SHIPMENTS)

        assert answer.json() == {"results": [], "next": None, "previous": None, "count": 0, "count_is_exact": True}

    def test_has_fifty_rows_a_page(self, clerk):
        make(51)

        first = clerk.get(SHIPMENTS).json()
        second = clerk.get(first["next"]).json()

        assert (len(first["results"]), first["previous"], first["count"]) == (50, None, 51)
        assert (len(second["results"]), second["next"], second["count"]) == (1, None, 51)
        assert parse_qs(urlsplit(second["previous"]).query) == {"page": ["1"]}

    def test_has_as_many_rows_as_asked_for(self, clerk):
        make(7)

        answer = clerk.get(SHIPMENTS, {"page_size": 3, "page": 2}).json()

        assert [row["shipment_number"] for row in answer["results"]] == in_order()[3:6]
        assert (answer["count"], answer["count_is_exact"]) == (7, True)

    def test_ends_with_a_full_page_and_no_next(self, clerk):
        make(6)

        answer = clerk.get(SHIPMENTS, {"page_size": 3, "page": 2}).json()

        assert len(answer["results"]) == 3
        assert answer["next"] is None

    def test_is_empty_beyond_its_last_page(self, clerk):
        make(2)

        answer = clerk.get(SHIPMENTS, {"page": 9}).json()

        assert (answer["results"], answer["next"], answer["count"]) == ([], None, 2)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *[("page_size", value) for value in ("0", "201", "-1", "many", "1.5", "9" * 5000, "²", "٣", "")],
            *[("page", value) for value in ("0", "-1", "last", "9" * 5000, "²", "1000001")],
            *[("ordering", value) for value in ("vessel", "--eta", "eta,id", "deleted_at", "?")],
            *[("cursor", value) for value in ("x", "e30", "e30:x", "\0", "a" * 5000, "W10:sig")],
        ],
    )
    def test_refuses_a_page_that_cannot_be(self, clerk, name, value):
        assert fields_of(clerk.get(SHIPMENTS, {name: value})) == {name}

    def test_keeps_filters_in_its_links(self, clerk):
        make(3, brand="Noor")
        make(1, brand="Other")

        answer = clerk.get(SHIPMENTS, {"search": "noor", "page_size": 2, "ordering": "-eta"}).json()

        assert parse_qs(urlsplit(answer["next"]).query) == {
            "search": ["noor"], "page_size": ["2"], "ordering": ["-eta"], "page": ["2"],
        }  # fmt: skip

    @pytest.mark.parametrize(
        "ordering", ["eta", "-eta", "shipment_number", "-created_at", "updated_at", "-invoice_amount_omr"]
    )
    def test_is_ordered_as_asked_for_and_by_id_among_equals(self, clerk, ordering):
        make(4)
        make(3, invoice_amount_omr=Decimal(7), updated_at=recipes.NOON + timedelta(days=1))

        assert numbers(clerk.get(SHIPMENTS, {"ordering": ordering})) == in_order(ordering)

    def test_stops_counting_at_ten_thousand(self, clerk):
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO shipments_shipment (shipment_number, transport_mode, principal, brand,
                    supplier_invoice_number, lc_number, lc_issuing_bank, invoice_amount_omr, bl_number, vessel,
                    port_of_loading, port_of_discharge, quantity_unit, eta, eta_edit_count, eta_change_reason, status,
                    cancel_reason, created_at, updated_at, version)
                SELECT 'N-' || n, 'sea', 'P', 'B', '', '', '', 1, '', '', '', '', '', '2026-01-01', 0, '', 'active',
                    '', now(), now(), 1
                FROM generate_series(1, 10050) AS n
                """
            )

        by_page = clerk.get(SHIPMENTS, {"page_size": 1}).json()
        by_cursor = clerk.get(SHIPMENTS, {"page_size": 1, "cursor": ""}).json()
        far = clerk.get(SHIPMENTS, {"page_size": 200, "page": 51}).json()

        assert (by_page["count"], by_page["count_is_exact"]) == (10_000, False)
        assert (by_cursor["count"], by_cursor["count_is_exact"]) == (10_000, False)
        assert (len(far["results"]), far["next"]) == (50, None)


class TestACursor:
    @pytest.mark.parametrize(
        "ordering", ["eta", "-eta", "shipment_number", "-created_at", "-updated_at", "invoice_amount_omr"]
    )
    def test_walks_forward_and_back_over_ties(self, clerk, ordering):
        make(11)
        make(3, invoice_amount_omr=Decimal("7.005"), created_at=recipes.NOON + timedelta(microseconds=1))

        start = f"{SHIPMENTS}?cursor=&page_size=4&ordering={ordering}"
        forward = walk(clerk, start)
        last = start
        while following := clerk.get(last).json()["next"]:
            last = following

        assert forward == in_order(ordering)
        assert walk(clerk, last, "previous") == in_order(ordering)

    def test_leads_back_to_where_it_came_from(self, clerk):
        make(9)
        first = clerk.get(SHIPMENTS, {"cursor": "", "page_size": 3}).json()
        second = clerk.get(first["next"]).json()

        back = clerk.get(second["previous"]).json()

        assert back["results"] == first["results"]
        assert back["previous"] is None
        assert clerk.get(back["next"]).json()["results"] == second["results"]

    def test_shows_no_row_twice_and_loses_none_while_others_are_registered(self, clerk):
        make(9)
        first = clerk.get(SHIPMENTS, {"cursor": "", "page_size": 4}).json()
        expected = in_order()[4:]
        make(2, eta=recipes.ETA - timedelta(days=1))

        rest = walk(clerk, first["next"])

        assert rest == expected

    def test_goes_on_where_its_row_was_deleted(self, clerk):
        make(6)
        first = clerk.get(SHIPMENTS, {"cursor": "", "page_size": 3}).json()
        Shipment.objects.filter(pk=first["results"][-1]["id"]).update(deleted_at=recipes.NOON)

        assert walk(clerk, first["next"]) == in_order()[3:]

    def test_tells_the_first_pages_count_on_every_page(self, clerk):
        make(5)

        first = clerk.get(SHIPMENTS, {"cursor": "", "page_size": 2}).json()
        second = clerk.get(first["next"]).json()

        assert first["count"] == second["count"] == 5
        assert first["count_is_exact"] is second["count_is_exact"] is True

    def test_of_another_order_is_refused(self, clerk):
        make(3)
        cursor = parse_qs(urlsplit(clerk.get(SHIPMENTS, {"cursor": "", "page_size": 1}).json()["next"]).query)["cursor"]

        answer = clerk.get(SHIPMENTS, {"cursor": cursor, "ordering": "-eta"})

        assert fields_of(answer) == {"cursor"}

    def test_walks_through_steps_too(self, clerk, shipment):
        address, found = f"{STEPS}?cursor=&page_size=10&shipment={shipment.pk}", []
        while address:
            page = clerk.get(address).json()
            found += [row["id"] for row in page["results"]]
            address = page["next"]

        steps = WorkflowStep.objects.filter(shipment=shipment).order_by("target_date", "id")
        assert found == list(steps.values_list("pk", flat=True))


class TestTheFilters:
    @pytest.mark.parametrize("address", [SHIPMENTS, STEPS, f"{STEPS}/my-tasks"])
    def test_refuse_a_name_that_nobody_knows(self, clerk, address):
        answer = clerk.get(address, {"colour": "red", "status": "completed"})

        assert fields_of(answer) == {"colour"}
        assert "search" in error_of(answer, 400)["details"][0]["message"]

    @pytest.mark.parametrize(
        ("address", "name", "value"),
        [
            (SHIPMENTS, "status", "open"),
            (SHIPMENTS, "status", "ACTIVE"),
            (SHIPMENTS, "division", "nowhere"),
            (SHIPMENTS, "transport_mode", "rail"),
            (SHIPMENTS, "eta_from", "01/04/2026"),
            (SHIPMENTS, "eta_from", "2026-02-30"),
            (SHIPMENTS, "eta_to", "soon"),
            (STEPS, "status", "open"),
            (STEPS, "department", "Marketing"),
            (STEPS, "department", "IA"),
            (STEPS, "shipment", "SH-1"),
            (STEPS, "shipment", "1.5"),
            (STEPS, "shipment", "NaN"),
            (STEPS, "is_critical", "maybe"),
            (STEPS, "is_critical", "1"),
            (STEPS, "target_from", "soon"),
            (f"{STEPS}/my-tasks", "status", "open"),
        ],
    )
    def test_refuse_a_value_that_nobody_knows(self, clerk, address, name, value):
        assert fields_of(clerk.get(address, {name: value})) == {name}

    @pytest.mark.parametrize(("address", "name"), [(SHIPMENTS, "principal"), (SHIPMENTS, "search"), (STEPS, "search")])
    def test_read_what_is_shown_of_a_text(self, clerk, address, name):
        assert clerk.get(address, {name: "a\0\u200bb\n"}).status_code == 200

    def test_narrow_shipments_down(self, clerk, cast):
        early, late = make(2, eta=recipes.ETA), make(2, eta=recipes.ETA + timedelta(days=9))
        Shipment.objects.filter(pk=early[0].pk).update(status="cancelled", principal="Gulf Motors")
        Shipment.objects.filter(pk=late[0].pk).update(division=cast.tyres, transport_mode="air")

        def found(**filters):
            return set(numbers(clerk.get(SHIPMENTS, filters)))

        first, second, third, fourth = (one.shipment_number for one in (*early, *late))
        assert found(status="cancelled") == {first}
        assert found(status="active") == {second, third, fourth}
        assert found(principal="gulf motors") == {first}
        assert found(division="TBL") == {third}
        assert found(transport_mode="air") == {third}
        assert found(eta_from="2026-04-02") == {third, fourth}
        assert found(eta_to="2026-04-01") == {first, second}
        assert found(eta_from="2026-04-01", eta_to="2026-04-10", status="active") == {second, third, fourth}
        assert found(status="") == {first, second, third, fourth}

    @pytest.mark.parametrize(
        "words", ["noor", "al noor", "NOOR tyr", "tbl-2026", "mv", "mv  exam", "lc7", "'", "\\", *NOWHERE]
    )
    def test_search_words_of_any_kind(self, clerk, words):
        make(1, vessel="MV Example", lc_number="LC77")

        answer = clerk.get(SHIPMENTS, {"search": words})

        assert len(numbers(answer)) == (0 if words in NOWHERE else 1)

    def test_narrow_steps_down(self, clerk, shipment, bu_clerk):
        other = recipes.registered(by=bu_clerk)
        recipes.record(shipment, {recipes.BAYAN_SUBMITTED: recipes.TODAY})

        def found(**filters):
            answer = clerk.get(STEPS, {"page_size": 200, "shipment": shipment.pk} | filters)
            assert answer.status_code == 200, answer.content
            return {row["step_number"] for row in answer.json()["results"]}

        assert found(department="Stores") == {"16.0", "17.0", "18.0"}
        assert found(is_critical="true") == {"9.0", "10.0", "11.0", "13.0", "14.0"}
        assert len(found(is_critical="false")) == 29
        assert found(search="bayan") == {"9.0", "11.0"}
        assert "9.0" in found(status="completed")
        assert found(status="not_required") == set()
        assert found(target_from="2026-04-09") == {"15.0", "16.0", "17.0", "18.0"}
        assert found(shipment=2**63 - 1) == found(shipment=10**30) == set()
        assert len(found(shipment=other.pk)) == 34

    def test_know_a_steps_status_of_today(self, clerk, bu_clerk):
        past = recipes.registered(by=bu_clerk)

        page = clerk.get(STEPS, {"shipment": past.pk, "status": "overdue", "page_size": 200}).json()

        assert {row["status"] for row in page["results"]} == {"overdue"}
        mandatory = WorkflowStep.objects.filter(shipment=past, is_optional=False)
        assert page["count"] == mandatory.open().count()

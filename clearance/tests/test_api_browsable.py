from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clearance.tests import recipes
from clearance.tests.callers import signed_in
from shipments.models import Shipment


@pytest.fixture
def pages(shipment):
    step = recipes.step(shipment, recipes.BAYAN_SUBMITTED).pk
    return {
        "/api/v1/shipments": 200,
        "/api/v1/shipments?cursor=&search=noor": 200,
        f"/api/v1/shipments/{shipment.pk}": 200,
        f"/api/v1/shipments/{shipment.pk}/workflow": 200,
        f"/api/v1/shipments/{shipment.pk}/eta": 405,
        f"/api/v1/shipments/{shipment.pk}/cancel": 405,
        "/api/v1/shipments/import": 405,
        "/api/v1/shipments/999999": 404,
        "/api/v1/workflow-steps": 200,
        "/api/v1/workflow-steps?status=nonsense": 400,
        f"/api/v1/workflow-steps/{step}": 200,
        f"/api/v1/workflow-steps/{step}/complete": 405,
        "/api/v1/workflow-steps/my-tasks": 200,
        "/api/v1/users/me": 200,
        "/api/v1/health": 200,
        "/api/v1/auth/login": 405,
    }


class TestTheBrowsableApi:
    @pytest.mark.parametrize("who", ["bu_head", "cc_clerk", "auditor", "administrator"])
    def test_renders_every_page(self, client, cast, pages, who):
        client.force_login(getattr(cast, who))

        for address, status in pages.items():
            answer = client.get(address, headers={"accept": "text/html"})

            assert answer.status_code == status, address
            assert answer["Content-Type"].startswith("text/html"), address

    def test_shows_the_answer_itself(self, client, bu_clerk, shipment):
        client.force_login(bu_clerk)

        page = client.get(f"/api/v1/shipments/{shipment.pk}", headers={"accept": "text/html"}).content.decode()

        assert shipment.shipment_number in page
        assert "binary content" not in page

    def test_offers_a_form_filled_in_as_it_would_be_sent(self, client, bu_clerk, shipment):
        client.force_login(bu_clerk)

        page = client.get(f"/api/v1/shipments/{shipment.pk}", headers={"accept": "text/html"})

        form = page.context["raw_data_put_form"]
        assert "application/json" in str(form)

    def test_takes_what_its_form_sends(self, client, bu_clerk, shipment):
        client.force_login(bu_clerk)

        answer = client.patch(
            f"/api/v1/shipments/{shipment.pk}",
            json.dumps({"vessel": "MV Example"}),
            content_type="application/json",
            headers={"accept": "text/html"},
        )

        assert answer.status_code == 200
        assert Shipment.objects.get(pk=shipment.pk).vessel == "MV Example"

    def test_shows_a_stranger_the_refusal(self, client, db):
        answer = client.get("/api/v1/shipments", headers={"accept": "text/html"})

        assert answer.status_code == 401
        assert "NOT_AUTHENTICATED" in answer.content.decode()

    def test_costs_the_same_for_any_number_of_rows(self, client, bu_clerk):
        client.force_login(bu_clerk)

        def cost() -> int:
            with CaptureQueriesContext(connection) as statements:
                client.get("/api/v1/shipments", headers={"accept": "text/html"})
            return len(statements)

        recipes.shipment.make()
        few = cost()
        recipes.shipment.make(_quantity=30, shipment_number=recipes.number)

        assert cost() == few
        assert few <= 8


class TestTheOptions:
    def test_describe_every_place(self, bu_clerk, pages):
        client = signed_in(bu_clerk)

        for address, status in pages.items():
            if status in (200, 405):
                answer = client.options(address)
                assert answer.status_code == 200, address
                assert answer.json()["name"], address


class TestTheDocumentation:
    @pytest.mark.parametrize("address", ["/api/v1/docs", "/api/v1/redoc", "/api/v1/docs/", "/api/v1/openapi.json"])
    def test_is_open_to_everybody(self, client, db, address):
        assert client.get(address).status_code == 200

    @pytest.mark.parametrize("address", ["/api/v1/docs", "/api/v1/redoc"])
    def test_loads_nothing_from_elsewhere(self, client, db, address):
        page = client.get(address).content.decode()

        assert "//cdn" not in page
        assert "https://" not in page.replace("https://github.com", "")
        assert "/static/drf_spectacular_sidecar/" in page

    def test_tells_the_addresses_that_there_are(self, client, db):
        document = client.get("/api/v1/openapi.json").json()

        assert document["openapi"].startswith("3.")
        assert "/api/v1/shipments/{id}/eta" in document["paths"]
        assert "Error" in document["components"]["schemas"]

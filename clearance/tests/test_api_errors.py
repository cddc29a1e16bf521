from __future__ import annotations

import gzip
import logging
import re
import time

import psycopg
import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from clearance.tests import recipes
from clearance.tests.callers import error_of, fields_of, signed_in
from shipments.models import Shipment

SHIPMENTS = "/api/v1/shipments"
# What Python reads as a number, and nobody writes so.
NO_NUMBERS = ("1_0", "1e1", "1E1", "٣", "۳", "１", "৩", "1 0", "1,0", "0x1", "--1", "nan", "sNaN", "-Infinity", "∞", "")


@pytest.fixture
def clerk(bu_clerk):
    return signed_in(bu_clerk)


@pytest.fixture
def mine(shipment):
    return f"{SHIPMENTS}/{shipment.pk}"


class TestARefusal:
    def test_names_every_field_that_is_wrong(self, clerk):
        answer = clerk.post(SHIPMENTS, {"shipment_number": "", "invoice_amount_omr": "much", "eta": "31/02/2026"})

        error = error_of(answer, 400)
        assert error["code"] == "VALIDATION_ERROR"
        assert {entry["field"] for entry in error["details"]} == {
            "shipment_number", "principal", "brand", "invoice_amount_omr", "eta",
        }  # fmt: skip

    def test_of_a_stranger_is_a_401_that_says_how_to_sign_in(self, mine):
        answer = APIClient().get(mine)

        assert error_of(answer, 401)["code"] == "NOT_AUTHENTICATED"
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'

    @pytest.mark.parametrize(
        "header", ["Bearer", "Bearer x.y.z", "Bearer \xff", "bearer eyJhbGciOiJub25lIn0.e30.", "Bearer a b"]
    )
    def test_of_a_token_that_is_none_is_a_401(self, mine, header):
        answer = APIClient().get(mine, HTTP_AUTHORIZATION=header)

        assert error_of(answer, 401)["code"] == "TOKEN_NOT_VALID"
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'

    def test_of_another_scheme_is_a_401(self, mine):
        answer = APIClient().get(mine, HTTP_AUTHORIZATION="Basic YTpi")

        assert error_of(answer, 401)["code"] == "NOT_AUTHENTICATED"

    def test_of_what_another_may_do_is_a_403(self, mine, auditor):
        answer = signed_in(auditor).patch(mine, {"vessel": "MV Example"})

        assert error_of(answer, 403)["code"] == "PERMISSION_DENIED"

    @pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
    @pytest.mark.parametrize("address", ["/api", "/api/", "/api/v1", "/api/v1/nil", "/api/v2/shipments", "/api/v1//"])
    def test_of_an_unknown_address_is_a_404_whatever_the_method(self, db, address, method):
        answer = getattr(APIClient(enforce_csrf_checks=True), method)(address)

        if method == "head":
            assert answer.status_code == 404
        else:
            assert error_of(answer, 404)["code"] == "NOT_FOUND"

    def test_of_an_address_with_line_breaks_is_a_404_too(self, db):
        answer = APIClient().get("/api/v1/alerts/%0A%0D1%0A/acknowledge")

        assert error_of(answer, 404)["code"] == "NOT_FOUND"

    @pytest.mark.parametrize("pk", ["0", "999999999999999999", "9" * 30, "abc", "1.5", "-1"])
    @pytest.mark.parametrize("place", ["shipments/{}", "shipments/{}/workflow", "workflow-steps/{}"])
    def test_of_an_unknown_id_is_a_404(self, clerk, place, pk):
        answer = clerk.get(f"/api/v1/{place.format(pk)}")

        assert error_of(answer, 404)["code"] == "NOT_FOUND"

    def test_of_a_wrong_method_is_a_405_that_names_the_right_ones(self, clerk, mine):
        answer = clerk.post(mine, {})

        assert error_of(answer, 405)["code"] == "METHOD_NOT_ALLOWED"
        assert set(answer["Allow"].split(", ")) == {"GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

    def test_of_a_body_that_is_too_large_is_a_413(self, clerk, settings):
        settings.UPLOAD_LIMIT_BYTES = 1024 * 1024

        answer = clerk.post(SHIPMENTS, {"brand": "x" * 1024 * 1024})

        assert error_of(answer, 413)["code"] == "TOO_LARGE"

    @pytest.mark.parametrize("length", ["many", "-1", "9" * 5000])
    def test_survives_a_length_that_is_no_number(self, clerk, length):
        answer = clerk.post(SHIPMENTS, {}, CONTENT_LENGTH=length)

        assert answer.status_code in (400, 413)
        error_of(answer, answer.status_code)

    @pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
    def test_of_another_kind_of_body_is_a_415(self, clerk, kind):
        answer = clerk.generic("POST", SHIPMENTS, b"a=b", content_type=kind)

        assert error_of(answer, 415)["code"] == "UNSUPPORTED_MEDIA_TYPE"

    def test_of_an_answer_nobody_can_give_is_a_406(self, clerk, mine):
        answer = clerk.get(mine, HTTP_ACCEPT="application/xml")

        assert error_of(answer, 406)["code"] == "NOT_ACCEPTABLE"

    @pytest.mark.parametrize("wanted", ["csv", "xml", "xlsx", "JSON", "json,api", "\0"])
    @pytest.mark.parametrize("place", ["shipments", "shipments/{}", "users/me", "audit-logs", "health"])
    def test_of_a_format_that_there_is_none_of_is_a_406_that_names_the_others(self, clerk, shipment, wanted, place):
        answer = clerk.get(f"/api/v1/{place.format(shipment.pk)}", {"format": wanted})

        error = error_of(answer, 406)
        assert error["code"] == "NOT_ACCEPTABLE"
        assert "application/json" in error["message"]

    def test_says_no_more_than_somebody_reads(self, clerk, mine):
        started = time.perf_counter()

        answer = clerk.patch(mine, {f"{number}-{'x' * 120}": None for number in range(50_000)})

        error = error_of(answer, 400)
        assert len(error["details"]) == 51
        assert {entry["message"] for entry in error["details"][:50]} == {"There is no such field."}
        assert max(len(entry["field"]) for entry in error["details"]) == 100
        assert error["details"][50] == {"field": "", "message": "There is more that is wrong. Correct these first."}
        assert len(answer.content) < 20_000
        assert time.perf_counter() - started < 5

    @pytest.mark.parametrize(
        ("place", "body"),
        [
            ("shipments/import", {"rows": ["x"] * 100_000}),
            ("shipments/import", {"rows": [{}] * 100_000}),
            ("roles", {"name": "Readers", "permissions": ["x" * 101] * 100_000}),
            ("roles", {"name": "Readers", "permissions": [{"a": 1}] * 100}),
            ("preferences", {"mail": ["x" * 100_000] * 50}),
            ("shipments", {"principal": "x" * 1_000_000, "division": "x" * 1_000_000, "eta": "x" * 1_000_000}),
        ],
    )
    def test_is_short_however_long_the_request_was(self, administrator, place, body):
        client = signed_in(administrator)

        answer = (client.patch if place == "preferences" else client.post)(f"/api/v1/{place}", body)

        assert answer.status_code in (400, 403)
        assert len(answer.content) < 20_000

    def test_of_filters_that_nobody_knows_is_short_too(self, clerk):
        answer = clerk.get(SHIPMENTS, {f"x{number}": "x" for number in range(900)})

        assert len(error_of(answer, 400)["details"]) == 51

    def test_is_said_in_the_callers_language(self, db):
        answer = APIClient().get(SHIPMENTS, HTTP_ACCEPT_LANGUAGE="ar")

        assert answer["Content-Language"] == "ar"


class TestABody:
    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"",
            b"{'a': 1}",
            b'{"invoice_amount_omr": NaN}',
            b'{"invoice_amount_omr": Infinity}',
            b'{"brand": "\\ud800"}',
            b'{"brand": "\xff"}',
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"[]",
            b'"text"',
            b"null",
            b"17",
            b"true",
        ],
    )
    def test_that_is_no_json_object_is_refused(self, clerk, body):
        answer = clerk.generic("POST", SHIPMENTS, body, content_type="application/json")

        assert error_of(answer, 400)["code"] == "VALIDATION_ERROR"
        assert Shipment.objects.count() == 0

    def test_with_a_field_that_nobody_knows_is_refused(self, clerk, mine):
        answer = clerk.patch(mine, {"vessel": "MV Example", "vesel": "MV Example", "deleted_at": None})

        assert fields_of(answer) == {"vesel", "deleted_at"}

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("vessel", "a\0b"),
            ("shipment_number", "a\0b"),
            ("division", "a\0b"),
            ("division", {"code": "TBL"}),
            ("division", ["TBL"]),
            ("division", 10**30),
            ("vessel", "x" * 121),
            ("vessel", None),
            ("vessel", ["a"]),
            ("vessel", {"a": 1}),
            ("vessel", True),
            ("principal", ""),
            ("principal", "   "),
            ("transport_mode", "rail"),
            ("quantity_unit", "boxes"),
            ("invoice_amount_omr", "NaN"),
            ("invoice_amount_omr", "Infinity"),
            ("invoice_amount_omr", "1e400"),
            ("invoice_amount_omr", "-5"),
            ("invoice_amount_omr", "0"),
            ("invoice_amount_omr", 10**40),
            ("invoice_amount_omr", "1.2345"),
            ("invoice_amount_omr", None),
            *((amount, text) for amount in ("invoice_amount_omr", "quantity") for text in NO_NUMBERS),
            *(("container_count", text) for text in NO_NUMBERS),
            *(("version", text) for text in NO_NUMBERS),
            ("container_count", 0),
            ("container_count", -1),
            ("container_count", 1.5),
            ("container_count", 10**30),
            ("container_count", 40_000),
            ("container_count", "three"),
            ("container_count", True),
            ("quantity", "0"),
            ("quantity", "-1"),
            ("sail_date", "2026-02-30"),
            ("sail_date", "20/02/2026"),
            ("sail_date", "0000-00-00"),
            ("sail_date", 20260220),
            ("sail_date", "20260220"),
            ("sail_date", "2026-W08-5"),
            ("sail_date", "٢٠٢٦-٠٢-٢٠"),
            ("sail_date", "2026-02-20T10:00:00"),
            ("version", 0),
            ("version", "one"),
            ("version", 10**30),
        ],
    )
    def test_with_a_value_of_the_wrong_kind_is_refused_and_changes_nothing(self, clerk, mine, shipment, field, value):
        before = Shipment.objects.values().get(pk=shipment.pk)

        answer = clerk.patch(mine, {field: value})

        assert answer.status_code in (400, 409), answer.content
        assert fields_of(answer, answer.status_code) <= {field}
        assert Shipment.objects.values().get(pk=shipment.pk) == before

    @pytest.mark.parametrize("field", ["supplier_invoice_date", "sail_date", "ata"])
    @pytest.mark.parametrize("value", ["0001-01-01", "1899-12-31", "9999-12-31"])
    def test_with_a_year_that_nobody_can_mean_does_no_harm_later(self, clerk, mine, shipment, field, value):
        clerk.patch(mine, {field: value})

        assert clerk.get(mine).status_code == 200
        step = recipes.step(shipment, recipes.INVOICE_RECEIVED)
        assert clerk.patch(f"/api/v1/workflow-steps/{step.pk}/complete", {}).status_code == 200

    @pytest.mark.parametrize("eta", ["9999-12-31", "9999-12-25", "2999-01-01"])
    def test_with_an_eta_far_in_the_future_is_refused(self, clerk, mine, shipment, eta):
        registered = clerk.post(SHIPMENTS, recipes.values(eta=eta))
        moved = clerk.patch(f"{mine}/eta", {"eta": eta})

        assert fields_of(registered) == fields_of(moved) == {"eta"}
        assert clerk.get(SHIPMENTS).status_code == 200

    @pytest.mark.parametrize(
        ("place", "body", "field"),
        [
            ("preferences", {"sms": {}}, "sms"),
            ("shipments", recipes.values() | {"vessel": 7}, "vessel"),
            ("shipments", recipes.values() | {"principal": True}, "principal"),
        ],
    )
    def test_with_a_number_for_text_or_a_mapping_for_choices_is_refused(self, clerk, place, body, field):
        send = clerk.patch if place == "preferences" else clerk.post

        assert fields_of(send(f"/api/v1/{place}", body)) == {field}

    def test_is_told_all_that_is_wrong_with_it_at_once(self, clerk, mine):
        assert fields_of(clerk.patch(mine, {"vessel": 7, "invoice_amount_omr": "much"})) == {
            "vessel", "invoice_amount_omr",
        }  # fmt: skip


class TestARequest:
    @pytest.mark.parametrize("place", ["shipments", "auth/sessions", "auth/2fa/setup", "metrics/on-time-rate"])
    def test_for_the_options_learns_what_the_address_is_for(self, clerk, place):
        answer = clerk.options(f"/api/v1/{place}")

        assert answer.status_code == 200
        assert answer.json().keys() == {"name", "description"}

    def test_gets_an_id_that_the_answer_tells(self, clerk, mine):
        first, second = clerk.get(mine), clerk.get(mine)

        assert len(first["X-Request-ID"]) == 32
        assert first["X-Request-ID"] != second["X-Request-ID"]

    @pytest.mark.parametrize("given", ["order-2026.0001_a", "0" * 32, "short", "line\nbreak-in-it", "<script>alert"])
    def test_gets_one_of_ours_whatever_the_caller_calls_it(self, clerk, mine, given):
        answer = clerk.get(mine, HTTP_X_REQUEST_ID=given)

        assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-ID"])
        assert answer["X-Request-ID"] != given

    @pytest.mark.parametrize("slashes", ["", "/"])
    def test_may_end_with_a_slash_whatever_its_method(self, clerk, mine, bu_clerk, slashes):
        login = {"email": bu_clerk.email, "password": "Correct-horse-battery-9"}

        answers = [
            APIClient(enforce_csrf_checks=True).post(f"/api/v1/auth/login{slashes}", login),
            clerk.get(f"{SHIPMENTS}{slashes}"),
            clerk.post(f"{SHIPMENTS}{slashes}", recipes.values(eta="2099-01-01")),
            clerk.patch(f"{mine}{slashes}", {"vessel": "MV Example"}),
            clerk.patch(f"{mine}/eta{slashes}", {"eta": "2099-01-01"}),
            clerk.get(f"{mine}/workflow{slashes}"),
            clerk.get(f"/api/v1/workflow-steps/my-tasks{slashes}?page=1"),
            clerk.get(f"/api/v1/health/live{slashes}"),
        ]

        assert [answer.status_code for answer in answers] == [200, 200, 201, 200, 200, 200, 200, 200]

    def test_is_answered_compressed_to_those_who_can_read_it(self, clerk, mine):
        answer = clerk.get(f"{mine}/workflow", HTTP_ACCEPT_ENCODING="gzip")

        assert answer["Content-Encoding"] == "gzip"
        assert gzip.decompress(answer.content).startswith(b'[{"id":')


@pytest.fixture
def broken():
    """A database that has lost a column."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE shipments_shipment RENAME COLUMN vessel TO vessel_")


class TestAFailure:
    @pytest.mark.django_db(transaction=True, databases=["default", "owner"])
    @pytest.mark.parametrize("is_debug", [False, True])
    def test_is_a_500_that_tells_its_id_and_nothing_of_its_insides(self, clerk, mine, broken, settings, is_debug):
        settings.DEBUG = is_debug
        clerk.raise_request_exception = False

        answer = clerk.get(mine)

        assert error_of(answer, 500)["code"] == "INTERNAL_ERROR"
        assert b"vessel" not in answer.content

    @pytest.mark.django_db(transaction=True, databases=["default", "owner"])
    def test_is_logged_with_its_insides(self, clerk, mine, broken, caplog):
        clerk.raise_request_exception = False

        clerk.get(mine)

        failure = next(record for record in caplog.records if record.levelno == logging.ERROR)
        assert failure.name == "clearance.api"
        assert "vessel" in str(failure.exc_info[1])

    def test_outside_a_view_has_the_envelope_too(self, db, settings):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.failing"]

        answer = APIClient(raise_request_exception=False).get("/api/v1/health/live")

        assert error_of(answer, 500)["code"] == "INTERNAL_ERROR"

    @pytest.mark.django_db(transaction=True)
    def test_of_a_busy_database_is_a_503_that_says_when_to_come_again(self, clerk, mine, shipment):
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
            other.execute("SELECT FROM shipments_shipment WHERE id = %s FOR UPDATE", [shipment.pk])
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '20ms'")

            answer = clerk.patch(f"{mine}/eta", {"eta": "2099-01-01"})

        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
        assert error_of(answer, 503)["code"] == "UNAVAILABLE"
        assert answer["Retry-After"] == "5"

    def test_of_an_unknown_host_is_a_400(self, db, settings):
        answer = APIClient().get("/api/v1/health/live", HTTP_HOST="elsewhere.example.com")

        assert error_of(answer, 400)["code"] == "VALIDATION_ERROR"


def failing(get_response):
    def middleware(request):
        raise RuntimeError("the insides")

    return middleware

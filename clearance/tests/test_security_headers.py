from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from clearance.tests import pages
from clearance.tests.callers import signed_in

SHIPMENTS = "/api/v1/shipments"


class TestEveryAnswer:
    @pytest.fixture(
        params=[
            "/admin/",
            "/admin/login/",
            SHIPMENTS,
            f"{SHIPMENTS}?format=api",
            f"{SHIPMENTS}?format=csv",
            "/api/v1/docs",
            "/api/v1/redoc",
            "/api/v1/openapi.json",
            "/api/v1/nowhere",
            "/api/v1/health/live",
            "/metrics",
            "/nowhere",
        ]
    )
    def answer(self, request, bu_clerk):
        return pages.signed_in(bu_clerk).get(request.param)

    def test_says_what_its_page_may_load_and_who_may_frame_it(self, answer):
        policy = dict(part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";"))

        assert policy["default-src"] == "'self'"
        assert "script-src" not in policy
        assert policy["object-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert answer["X-Frame-Options"] == "DENY"

    def test_that_shows_a_mail_lets_it_do_nothing_at_all(self, administrator):
        answer = pages.signed_in(administrator).get("/admin/outbox/message/samples/welcome/en/")
        policy = dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))

        assert answer.status_code == 200
        assert policy == {
            "default-src": "'none'", "style-src": "'unsafe-inline'", "base-uri": "'none'", "form-action": "'none'",
            "frame-ancestors": "'self'", "sandbox": "",
        }  # fmt: skip

    def test_tells_other_sites_nothing_and_asks_for_no_device(self, answer):
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "camera=()" in answer["Permissions-Policy"]
        assert "microphone=()" in answer["Permissions-Policy"]

    @pytest.mark.parametrize("url", [SHIPMENTS, "/api/v1/nowhere", "/admin/", "/admin/sign_in/"])
    def test_of_ours_is_kept_by_no_cache(self, bu_clerk, url):
        assert "no-store" in pages.signed_in(bu_clerk).get(url)["Cache-Control"]

    def test_to_who_signs_out_has_the_browser_forget(self, bu_clerk):
        answer = pages.signed_in(bu_clerk).post("/admin/logout/")

        assert answer["Clear-Site-Data"] == '"cache", "storage"'


class TestAScriptInAPage:
    @pytest.mark.parametrize("url", ["/api/v1/docs", "/api/v1/redoc", SHIPMENTS, "/admin/"])
    def test_is_allowed_nowhere(self, bu_clerk, url):
        answer = pages.signed_in(bu_clerk).get(url, headers={"accept": "text/html"})

        scripts = [part for part in answer["Content-Security-Policy"].split(";") if "script" in part]
        assert answer.status_code == 200
        assert scripts == []

    @pytest.mark.parametrize("url", ["/admin/", "/admin/shipments/shipment/", "/admin/accounts/absence/add/"])
    def test_is_allowed_no_style_either_at_the_back_office(self, bu_head, url):
        assert "unsafe-inline" not in pages.signed_in(bu_head).get(url)["Content-Security-Policy"]


class TestAPageOfAnotherOrigin:
    ORIGIN = "https://partner.example.com"

    def asked(self, client):
        return client.options(
            SHIPMENTS,
            HTTP_ORIGIN=self.ORIGIN,
            HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST",
            HTTP_ACCESS_CONTROL_REQUEST_HEADERS="authorization,content-type,idempotency-key,if-match",
        )

    def test_may_not_call_the_api(self, bu_clerk):
        asked, answer = self.asked(APIClient()), signed_in(bu_clerk).get(SHIPMENTS, HTTP_ORIGIN=self.ORIGIN)

        assert not any(name.startswith("Access-Control-") for name in [*asked.headers, *answer.headers])

    def test_may_when_the_setting_names_its_origin(self, bu_clerk, settings):
        settings.CORS_ALLOWED_ORIGINS = [self.ORIGIN]

        asked, answer = self.asked(APIClient()), signed_in(bu_clerk).get(SHIPMENTS, HTTP_ORIGIN=self.ORIGIN)

        assert asked["Access-Control-Allow-Origin"] == answer["Access-Control-Allow-Origin"] == self.ORIGIN
        assert {"authorization", "idempotency-key", "if-match"} <= {
            name.strip() for name in asked["Access-Control-Allow-Headers"].split(",")
        }
        assert "RateLimit-Remaining" in answer["Access-Control-Expose-Headers"]

    def test_never_acts_as_who_is_signed_in_to_the_back_office(self, bu_clerk, settings):
        settings.CORS_ALLOWED_ORIGINS = [self.ORIGIN]

        assert "Access-Control-Allow-Credentials" not in self.asked(pages.signed_in(bu_clerk))

    def test_never_reads_the_back_office(self, bu_clerk, settings):
        settings.CORS_ALLOWED_ORIGINS = [self.ORIGIN]

        answer = pages.signed_in(bu_clerk).get("/admin/", HTTP_ORIGIN=self.ORIGIN)

        assert "Access-Control-Allow-Origin" not in answer

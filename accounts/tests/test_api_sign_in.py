from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts
from accounts import tokens
from accounts.models import SignIn, User
from clearance.tests.callers import error_of, fields_of, signed_in
from clearance.tests.cast import PASSWORD

ME = "/api/v1/users/me"


def log_in(user: User, **changed):
    return APIClient().post("/api/v1/auth/login", {"email": user.email, "password": PASSWORD} | changed)


def with_token(token: str):
    return APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {token}")


class TestSigningIn:
    def test_answers_a_pair_of_tokens_and_the_person(self, cc_clerk):
        answer = log_in(cc_clerk)

        assert answer.status_code == 200
        given = answer.json()
        assert given.keys() == {"access_token", "refresh_token", "token_type", "owes_second_factor", "user"}
        assert given["token_type"] == "Bearer"
        assert (given["user"]["id"], given["user"]["department"], given["user"]["role"]) == (cc_clerk.pk, "C&C", "PPR")

    def test_says_in_the_token_who_it_is_and_for_how_long(self, cc_clerk):
        given = log_in(cc_clerk).json()

        claims = jwt.decode(given["access_token"], settings.SECRET_KEY, algorithms=["HS256"])
        assert (claims["sub"], claims["email"], claims["type"]) == (str(cc_clerk.pk), cc_clerk.email, "access")
        assert claims["exp"] - claims["iat"] == 30 * 60
        assert jwt.decode(given["refresh_token"], settings.SECRET_KEY, algorithms=["HS256"])["type"] == "refresh"

    def test_lets_the_token_in(self, cc_clerk):
        assert with_token(log_in(cc_clerk).json()["access_token"]).json()["email"] == cc_clerk.email

    def test_cares_for_no_capitals_in_the_address(self, cc_clerk):
        assert log_in(cc_clerk, email=cc_clerk.email.upper()).status_code == 200

    def test_remembers_address_and_program(self, cc_clerk):
        body = {"email": cc_clerk.email, "password": PASSWORD}
        APIClient().post("/api/v1/auth/login", body, REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="agent/1 " * 90)

        opened = SignIn.objects.get()
        assert (opened.ip_address, len(opened.user_agent)) == ("192.0.2.7", 200)

    def test_keeps_of_the_programs_name_what_is_shown(self, cc_clerk):
        body = {"email": cc_clerk.email, "password": PASSWORD}
        APIClient().post("/api/v1/auth/login", body, HTTP_USER_AGENT="a\xadgent\x85 \x07 1")

        assert SignIn.objects.get().user_agent == "agent 1"

    @pytest.mark.parametrize("forwarded", ["unknown", "192.0.2.1:4711", "a, b", "'; DROP TABLE x"])
    def test_survives_a_forwarded_address_that_is_none(self, cc_clerk, settings, forwarded):
        settings.TRUSTED_PROXY_COUNT = 1
        body = {"email": cc_clerk.email, "password": PASSWORD}

        answer = APIClient().post("/api/v1/auth/login", body, HTTP_X_FORWARDED_FOR=forwarded)

        assert answer.status_code == 200

    @pytest.mark.parametrize("changed", [{"password": "wrong"}, {"email": "nobody@example.com"}])
    def test_with_the_wrong_words_is_a_401_that_does_not_tell_which(self, cc_clerk, changed):
        answer = log_in(cc_clerk, **changed)

        error = error_of(answer, 401)
        assert error["code"] == "INVALID_CREDENTIALS"
        assert error["message"] == "E-mail or password is wrong. Check both; an administrator can help."
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'

    def test_of_a_deactivated_person_is_the_same_401(self, cc_clerk):
        accounts.deactivate(user=cc_clerk, by=None, at=timezone.now())

        assert error_of(log_in(cc_clerk), 401)["code"] == "INVALID_CREDENTIALS"

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, {"email", "password"}),
            ({"email": "no address", "password": "x"}, {"email"}),
            ({"email": None, "password": None}, {"email", "password"}),
            ({"email": "a@example.com", "password": "x" * 201}, {"password"}),
            ({"email": "a@example.com", "password": "a\0b"}, {"password"}),
            ({"email": "a@example.com", "password": "x", "role": "Admin"}, {"role"}),
        ],
    )
    def test_with_a_body_that_cannot_be_is_a_400(self, db, body, fields):
        assert fields_of(APIClient().post("/api/v1/auth/login", body)) == fields

    def test_is_only_to_be_posted(self, db):
        answer = APIClient().get("/api/v1/auth/login")

        assert error_of(answer, 405)
        assert answer["Allow"] == "POST, OPTIONS"


class TestATokenIsRefused:
    @pytest.fixture
    def given(self, cc_clerk):
        return accounts.sign_in(email=cc_clerk.email, password=PASSWORD, at=timezone.now(), ip_address=None)

    def test_when_it_is_a_refresh_token(self, given):
        assert error_of(with_token(given.refresh_token), 401)["code"] == "TOKEN_NOT_VALID"

    def test_when_it_is_forged(self, given):
        claims = jwt.decode(given.access_token, options={"verify_signature": False})

        for forged in (
            jwt.encode(claims, "another key that is long enough for the library", algorithm="HS256"),
            jwt.encode(claims, "", algorithm="none"),
        ):
            assert error_of(with_token(forged), 401)["code"] == "TOKEN_NOT_VALID"

    @pytest.mark.parametrize("changed", [{"sub": "x"}, {"sid": "x"}, {"sid": None}, {"type": None}, {"exp": "x"}])
    def test_when_it_says_what_we_never_say(self, given, changed):
        claims = jwt.decode(given.access_token, options={"verify_signature": False}) | changed

        strange = jwt.encode(claims, settings.SECRET_KEY, algorithm="HS256")

        assert error_of(with_token(strange), 401)["code"] == "TOKEN_NOT_VALID"

    def test_when_its_time_is_over(self, cc_clerk):
        long_ago = timezone.now() - tokens.lifetime(tokens.Kind.ACCESS)
        old = accounts.sign_in(email=cc_clerk.email, password=PASSWORD, at=long_ago, ip_address=None)

        assert error_of(with_token(old.access_token), 401)["code"] == "TOKEN_NOT_VALID"

    def test_when_its_person_was_deactivated(self, given, cc_clerk):
        accounts.deactivate(user=cc_clerk, by=None, at=timezone.now())

        assert error_of(with_token(given.access_token), 401)["code"] == "TOKEN_NOT_VALID"

    def test_when_its_sign_in_has_ended(self, given):
        answer = APIClient().post("/api/v1/auth/logout", {"refresh_token": given.refresh_token})

        assert (answer.status_code, answer.content) == (204, b"")
        assert error_of(with_token(given.access_token), 401)["code"] == "TOKEN_NOT_VALID"


class TestRefreshing:
    @pytest.fixture
    def given(self, cc_clerk):
        return log_in(cc_clerk).json()

    def refresh(self, token: str):
        return APIClient().post("/api/v1/auth/refresh", {"refresh_token": token})

    def test_trades_a_token_for_a_new_pair(self, given, cc_clerk):
        answer = self.refresh(given["refresh_token"])

        new = answer.json()
        assert answer.status_code == 200
        assert new["refresh_token"] != given["refresh_token"]
        assert with_token(new["access_token"]).status_code == 200
        assert new["user"]["id"] == cc_clerk.pk

    def test_with_an_old_token_ends_the_whole_sign_in(self, given):
        new = self.refresh(given["refresh_token"]).json()

        answer = self.refresh(given["refresh_token"])

        assert error_of(answer, 401)["code"] == "TOKEN_NOT_VALID"
        assert error_of(self.refresh(new["refresh_token"]), 401)
        assert error_of(with_token(new["access_token"]), 401)

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "é"])
    def test_with_what_is_no_token_is_refused(self, db, token):
        answer = self.refresh(token)

        error_of(answer, 401 if token else 400)

    def test_with_an_access_token_is_refused(self, given):
        assert error_of(self.refresh(given["access_token"]), 401)["code"] == "TOKEN_NOT_VALID"
        assert with_token(given["access_token"]).status_code == 200


class TestWhoIAm:
    def test_tells_divisions_and_permissions(self, divisional_clerk):
        me = signed_in(divisional_clerk).get(ME).json()

        assert me["divisions"] == [
            {"id": me["divisions"][0]["id"], "code": "TBL", "name": "Tyres, batteries and lubricants"}
        ]
        assert "shipments:change_eta" in me["permissions"]
        assert "workflow_steps:complete" in me["permissions"]
        assert not {"password", "is_superuser", "identity_subject"} & me.keys()

    def test_tells_fewer_permissions_to_an_auditor(self, auditor):
        me = signed_in(auditor).get(ME).json()

        assert {name for name in me["permissions"] if not name.endswith(":view")} == {"alerts:acknowledge"}

    def test_costs_two_statements(self, cc_clerk):
        client = signed_in(cc_clerk)

        with CaptureQueriesContext(connection) as statements:
            client.get(ME)

        assert len(statements) == 2


class TestASession:
    """Of the admin, at the API: for the browsable API."""

    def test_reads(self, client, cc_clerk):
        client.force_login(cc_clerk)

        assert client.get(ME).json()["email"] == cc_clerk.email

    def test_writes_only_with_the_token_against_forged_forms(self, bu_clerk, shipment):
        client = APIClient(enforce_csrf_checks=True)
        client.login(email=bu_clerk.email, password=PASSWORD)
        address = f"/api/v1/shipments/{shipment.pk}"

        refused = client.patch(address, {"vessel": "MV Example"})
        page = client.get(address, HTTP_ACCEPT="text/html")
        allowed = client.patch(address, {"vessel": "MV Example"}, HTTP_X_CSRFTOKEN=str(page.context["csrf_token"]))

        assert error_of(refused, 403)["code"] == "PERMISSION_DENIED"
        assert allowed.status_code == 200

    def test_ends_with_the_person(self, client, cc_clerk):
        client.force_login(cc_clerk)
        accounts.deactivate(user=cc_clerk, by=None, at=timezone.now() + timedelta(0))

        assert error_of(client.get(ME), 401)["code"] == "NOT_AUTHENTICATED"

    def test_ends_with_the_back_office(self, client, cc_clerk):
        client.force_login(cc_clerk)
        User.objects.filter(pk=cc_clerk.pk).update(is_staff=False)

        assert error_of(client.get(ME), 401)["code"] == "NOT_AUTHENTICATED"

    def test_needs_no_token_beside_a_bearers(self, bu_clerk, shipment):
        client = signed_in(bu_clerk, enforce_csrf_checks=True)

        assert client.patch(f"/api/v1/shipments/{shipment.pk}", {"vessel": "MV Example"}).status_code == 200

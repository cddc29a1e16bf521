from __future__ import annotations

import pyotp
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts
from accounts import tokens
from accounts.models import SecondFactor, Ticket, User
from clearance.tests.callers import error_of, fields_of, signed_in
from clearance.tests.cast import PASSWORD
from outbox.models import Message

pytestmark = pytest.mark.django_db

AUTH = "/api/v1/auth"
NEW = "Tall-ship-sails-9"


def log_in(user: User, password: str = PASSWORD, **more: str):
    return APIClient().post(f"{AUTH}/login", {"email": user.email, "password": password} | more)


def bearer(answer) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {answer.json()['access_token']}"})


def code_of(secret: str) -> str:
    return pyotp.TOTP(secret).at(timezone.now())


class TestLockingOut:
    def test_answers_401_with_the_seconds_to_wait(self, cc_clerk):
        codes = [error_of(log_in(cc_clerk, "Wrong-9"), 401)["code"] for _ in range(5)]
        answer = log_in(cc_clerk)

        assert codes == ["INVALID_CREDENTIALS"] * 5
        assert error_of(answer, 401)["code"] == "ACCOUNT_LOCKED"
        assert 55 <= int(answer["Retry-After"]) <= 60

    def test_ends_when_an_administrator_says_so(self, cc_clerk, cc_head, administrator):
        for _ in range(5):
            log_in(cc_clerk, "Wrong-9")
        address = f"/api/v1/users/{cc_clerk.pk}/unlock"

        assert error_of(signed_in(cc_head).post(address), 403)["code"] == "PERMISSION_DENIED"
        assert signed_in(administrator).post(address).status_code == 204
        assert error_of(signed_in(administrator).post("/api/v1/users/0/unlock"), 404)["code"] == "NOT_FOUND"
        assert log_in(cc_clerk).status_code == 200


class TestPasswords:
    def test_are_changed_and_end_the_other_sign_ins(self, cc_clerk):
        here, there = bearer(log_in(cc_clerk)), bearer(log_in(cc_clerk))

        answer = here.post(f"{AUTH}/password/change", {"current_password": PASSWORD, "password": NEW})

        assert answer.status_code == 204
        assert here.get("/api/v1/users/me").status_code == 200
        assert there.get("/api/v1/users/me").status_code == 401
        assert log_in(cc_clerk, NEW).status_code == 200

    @pytest.mark.parametrize(
        ("given", "status", "code", "field"),
        [
            ({"current_password": "Wrong-9"}, 401, "INVALID_CREDENTIALS", "current_password"),
            ({"password": "weak"}, 400, "WEAK_PASSWORD", "password"),
            ({"password": PASSWORD}, 400, "PASSWORD_REUSED", "password"),
        ],
    )
    def test_are_refused_with_a_code_and_the_field(self, cc_clerk, given, status, code, field):
        body = {"current_password": PASSWORD, "password": NEW} | given

        error = error_of(signed_in(cc_clerk).post(f"{AUTH}/password/change", body), status)

        assert (error["code"], [entry["field"] for entry in error["details"]]) == (code, [field])

    def test_are_set_anew_with_a_mailed_token_once(self, cc_clerk):
        asked = APIClient().post(f"{AUTH}/password/reset-request", {"email": cc_clerk.email})
        body = {"token": tokens.write_ticket(Ticket.objects.get().pk), "password": NEW}

        first, second = (APIClient().post(f"{AUTH}/password/reset", body) for _ in range(2))

        assert (asked.status_code, first.status_code) == (204, 204)
        assert error_of(second, 400)["code"] == "LINK_NOT_VALID"
        assert log_in(cc_clerk, NEW).status_code == 200

    def test_of_nobody_are_asked_for_with_the_same_answer(self, cc_clerk):
        known, unknown = (
            APIClient().post(f"{AUTH}/password/reset-request", {"email": email})
            for email in (cc_clerk.email, "nobody@example.com")
        )

        assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (204, b"")
        assert Message.objects.count() == 1


class TestTheAddress:
    def test_is_verified_with_a_mailed_token_by_its_owner(self, cc_clerk, cc_head):
        signed_in(cc_clerk).post(f"{AUTH}/email/send-verification")
        body = {"token": tokens.write_ticket(Ticket.objects.get().pk)}

        assert error_of(signed_in(cc_head).post(f"{AUTH}/email/verify", body), 400)["code"] == "LINK_NOT_VALID"
        assert signed_in(cc_clerk).post(f"{AUTH}/email/verify", body).status_code == 204
        assert User.objects.get(pk=cc_clerk.pk).email_verified_at


class TestTheSecondFactor:
    def test_is_set_up_asked_for_and_turned_off(self, cc_clerk):
        client = signed_in(cc_clerk)
        made = client.post(f"{AUTH}/2fa/setup", {"password": PASSWORD}).json()
        assert made.keys() == {"secret", "otpauth_uri", "qr_code"}
        wrong = client.post(f"{AUTH}/2fa/enable", {"totp_code": "no code"})
        assert error_of(wrong, 401)["code"] == "INVALID_2FA_CODE"

        codes = client.post(f"{AUTH}/2fa/enable", {"totp_code": code_of(made["secret"])}).json()["backup_codes"]

        assert error_of(log_in(cc_clerk), 401)["code"] == "TOTP_REQUIRED"
        assert error_of(log_in(cc_clerk, totp_code="no code"), 401)["code"] == "INVALID_2FA_CODE"
        assert log_in(cc_clerk, totp_code=codes[0]).status_code == 200
        new = client.post(f"{AUTH}/2fa/regenerate-backup-codes", {"password": PASSWORD}).json()["backup_codes"]
        assert error_of(log_in(cc_clerk, totp_code=codes[1]), 401)["code"] == "INVALID_2FA_CODE"
        assert log_in(cc_clerk, totp_code=new[1]).status_code == 200
        assert client.post(f"{AUTH}/2fa/disable", {"password": PASSWORD}).status_code == 204
        assert log_in(cc_clerk).status_code == 200

    def test_is_not_set_up_twice(self, cc_clerk):
        client = signed_in(cc_clerk)
        secret = client.post(f"{AUTH}/2fa/setup", {"password": PASSWORD}).json()["secret"]
        client.post(f"{AUTH}/2fa/enable", {"totp_code": code_of(secret)})

        assert error_of(client.post(f"{AUTH}/2fa/setup", {"password": PASSWORD}), 409)["code"] == "SECOND_FACTOR_IS_ON"

    def test_is_not_turned_off_where_the_role_requires_it(self, cc_clerk, administrator):
        client = signed_in(cc_clerk)
        secret = client.post(f"{AUTH}/2fa/setup", {"password": PASSWORD}).json()["secret"]
        client.post(f"{AUTH}/2fa/enable", {"totp_code": code_of(secret)})
        accounts.require_second_factor(roles=["PPR"], by=administrator)

        answer = client.post(f"{AUTH}/2fa/disable", {"password": PASSWORD})

        assert error_of(answer, 403)["code"] == "SECOND_FACTOR_REQUIRED"

    def test_is_set_up_first_where_the_role_requires_it_and_then_all_goes_on(self, cc_clerk, administrator):
        earlier = bearer(log_in(cc_clerk))
        accounts.require_second_factor(roles=["PPR"], by=administrator)
        entered = log_in(cc_clerk)
        renewed = APIClient().post(f"{AUTH}/refresh", {"refresh_token": entered.json()["refresh_token"]})
        client = bearer(renewed)

        told = [answer.json()["owes_second_factor"] for answer in (entered, renewed)]
        refused = [error_of(one.get("/api/v1/users/me"), 403)["code"] for one in (earlier, bearer(entered), client)]
        secret = client.post(f"{AUTH}/2fa/setup", {"password": PASSWORD}).json()["secret"]
        still = error_of(client.get("/api/v1/users/me"), 403)["code"]
        codes = client.post(f"{AUTH}/2fa/enable", {"totp_code": code_of(secret)}).json()["backup_codes"]

        assert told == [True, True]
        assert {*refused, still} == {"SECOND_FACTOR_OWED"}
        assert client.get("/api/v1/users/me").status_code == 200
        assert earlier.get("/api/v1/users/me").status_code == 401
        again = log_in(cc_clerk, totp_code=codes[0])
        assert again.json()["owes_second_factor"] is False
        assert bearer(again).get("/api/v1/users/me").status_code == 200

    def test_is_not_set_up_by_whoever_found_a_token(self, cc_clerk):
        client = signed_in(cc_clerk)

        for body, status in (({}, 400), ({"password": "Wrong-9"}, 401)):
            assert client.post(f"{AUTH}/2fa/setup", body).status_code == status
        assert not SecondFactor.objects.exists()

    def test_takes_no_unknown_field(self, cc_clerk):
        body = {"totp_code": "1", "secret": "x"}

        assert fields_of(signed_in(cc_clerk).post(f"{AUTH}/2fa/enable", body)) == {"secret"}
        assert not SecondFactor.objects.exists()


class TestSignIns:
    def test_are_listed_for_their_owner(self, cc_clerk, cc_head, django_assert_max_num_queries):
        here = bearer(log_in(cc_clerk))
        log_in(cc_clerk)
        log_in(cc_head)

        with django_assert_max_num_queries(2):
            found = here.get(f"{AUTH}/sessions").json()

        assert [one["is_current"] for one in found] == [False, True]
        assert found[0].keys() >= {"id", "ip_address", "user_agent", "created_at", "last_used_at"}

    def test_all_end_at_once(self, cc_clerk, cc_head):
        mine, too, another = bearer(log_in(cc_clerk)), bearer(log_in(cc_clerk)), bearer(log_in(cc_head))

        assert mine.post(f"{AUTH}/logout-all").status_code == 204

        assert [one.get("/api/v1/users/me").status_code for one in (mine, too, another)] == [401, 401, 200]

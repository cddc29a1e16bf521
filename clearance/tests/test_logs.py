from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from django.core import mail
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tests import machines
from clearance import context, logs
from clearance.celery import app
from clearance.tests import listening, pages, recipes
from clearance.tests.callers import signed_in
from clearance.tests.cast import PASSWORD
from outbox import services as outbox
from outbox.messages import composers

SHIPMENTS = "/api/v1/shipments"
log = logging.getLogger("clearance.tests")


class Output:
    """What a process with our formatter would have written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]


@pytest.fixture
def is_readable() -> bool:
    return False


@pytest.fixture
def output(is_readable) -> Iterator[Output]:
    written, root = Output(), logging.getLogger()
    handler = logging.StreamHandler(written.stream)
    handler.setFormatter(logs.line(is_readable=is_readable))
    usual = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.setLevel(usual)
    root.removeHandler(handler)


class TestALine:
    def test_is_one_json_object_with_its_circumstances(self, output, bu_clerk):
        answer = signed_in(bu_clerk).get(SHIPMENTS)

        assert len(output.text.splitlines()) == len(output.lines)
        assert output.last.pop("duration_ms") > 0
        assert output.last["at"].endswith("Z")
        assert {name: value for name, value in output.last.items() if name not in {"at", "duration_ms"}} == {
            "level": "info",
            "logger": "clearance.access",
            "message": f"GET {SHIPMENTS}",
            "request_id": answer["X-Request-ID"],
            "user_id": bu_clerk.pk,
            "status": 200,
        }

    def test_keeps_what_the_caller_calls_the_request_beside_our_own_id(self, output, bu_clerk):
        answer = signed_in(bu_clerk).get(SHIPMENTS, headers={"X-Request-ID": "order-2026.0001_a"})

        assert output.last["client_request_id"] == "order-2026.0001_a"
        assert output.last["request_id"] == answer["X-Request-ID"] != "order-2026.0001_a"

    @pytest.mark.parametrize("given", ["short", "x" * 65, "has blanks in it", "line\nbreak-in-it", "<script>alert"])
    def test_leaves_out_what_could_do_harm_there(self, output, bu_clerk, given):
        signed_in(bu_clerk).get(SHIPMENTS, headers={"X-Request-ID": given})

        assert "client_request_id" not in output.last

    def test_of_the_back_office_knows_who_acts_too(self, output, bu_clerk):
        pages.signed_in(bu_clerk).get("/admin/")

        assert output.last["user_id"] == bu_clerk.pk

    def test_of_a_stranger_names_nobody(self, output, db):
        APIClient().get(SHIPMENTS)

        assert [line["message"] for line in output.lines[-2:]] == ["refused: NOT_AUTHENTICATED", f"GET {SHIPMENTS}"]
        assert not any("user_id" in line for line in output.lines)
        assert len({line["request_id"] for line in output.lines[-2:]}) == 1

    def test_of_a_failure_holds_the_trace(self, output):
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            log.exception("failed")

        assert (output.last["level"], output.last["message"]) == ("error", "failed")
        assert "ZeroDivisionError: division by zero" in output.last["exception"]

    def test_leaves_out_what_a_library_attaches(self, output):
        log.info("done", extra={"status": 200, "request": object(), "data": {"args": "everything"}})

        assert output.last.keys() == {"at", "level", "logger", "message", "request_id", "status"}

    def test_of_a_task_names_it_and_the_request_that_caused_it(self, output):
        @app.task(name="of-a-test")
        def say() -> None:
            log.info("said by a task")

        with context.acting(channel="api", request_id="the-cause"):
            result = say.apply(headers={"request_id": "the-cause"})
        app.tasks.pop("of-a-test")

        said = next(line for line in output.lines if line["message"] == "said by a task")
        assert (said["task_id"], said["request_id"]) == (result.id, "the-cause")
        assert all("task_id" in line for line in output.lines if "succeeded" in line["message"])


class TestALineInDevelopment:
    @pytest.fixture
    def is_readable(self) -> bool:
        return True

    def test_is_words_for_the_eye(self, output, bu_clerk):
        answer = signed_in(bu_clerk).get(SHIPMENTS)

        last = output.text.splitlines()[-1]
        assert f"GET {SHIPMENTS}" in last
        assert f"request_id={answer['X-Request-ID']}" in last
        assert f"user_id={bu_clerk.pk}" in last
        assert not last.startswith("{")

    def test_hides_secrets_too(self, output):
        try:
            raise ValueError("password=hunter2 of amal@example.com")
        except ValueError:
            log.exception("failed for amal@example.com")

        assert "ValueError" in output.text
        assert "hunter2" not in output.text
        assert "amal" not in output.text


SECRET_ONES = [
    "Key (email)=(amal.first@example.com) already exists.",
    "mail to <amal+work@mail.example.co.uk> refused",
    "password=hunter2hunter2",
    "{'password': 'hunter2 hunter2', 'email': 'x'}",
    '{"new_password": "hunter2hunter2"}',
    "SMTP_PASSWORD: hunter2hunter2",
    "Authorization: Bearer hunter2hunter2",
    "Authorization: Basic hunter2hunter2==",
    "sent bearer hunter2hunter2",
    "GET /api/v1/shipments?access_token=hunter2hunter2&page=1",
    "refresh_token=hunter2hunter2;",
    "Cookie: sessionid=hunter2hunter2",
    "sessionid=hunter2hunter2; csrftoken=hunter2hunter2",
    "postgresql://clearance:hunter2hunter2@db:5432/clearance",
    "redis://:hunter2hunter2@redis:6379/0",
    "GET /admin/reset/MQ/hunter2hunter2/",
    "api_key=hunter2hunter2",
    "X-Api-Key: hunter2hunter2",
    "Authorization: Api-Key clr_k3v9x0qa_hunter2hunter2",
    "Authorization: Api-Key hunter2hunter2",
    "sent api-key hunter2hunter2",
    "{'HTTP_AUTHORIZATION': 'Api-Key clr_k3v9x0qa_hunter2hunter2'}",
    "found clr_k3v9x0qa_hunter2hunter2 in a file",
    "GET /api/v1/shipments/clr_k3v9x0qa_hunter2hunter2",
    "argon2$argon2id$v=19$m=102400,t=2,p=8$hunter2hunter2",
    "-----BEGIN PRIVATE KEY-----\nhunter2hunter2\n-----END PRIVATE KEY-----",
]


class TestASecret:
    @pytest.mark.parametrize("sentence", SECRET_ONES)
    def test_is_hidden_wherever_it_stands_in_a_sentence(self, output, sentence):
        log.info("%s", sentence)

        assert "hunter2" not in output.text
        assert not re.search(r"amal", output.text)
        assert logs.HIDDEN in output.last["message"]

    def test_of_a_phone_number_leaves_its_end(self, output):
        log.info("text to +96891234567 refused, 2026-11-20T08:00:00+04:00")

        assert output.last["message"] == "text to …567 refused, 2026-11-20T08:00:00+04:00"

    def test_is_hidden_by_the_name_of_what_holds_it(self):
        line = {"event": "x", "refresh_token": "abc", "given": {"Password": "abc", "nested": [{"api_key": "abc"}]}}

        assert "abc" not in str(logs.redact(None, "info", line))

    def test_of_the_settings_is_hidden_as_such(self, output, settings):
        settings.EMAIL_HOST_PASSWORD = "tall-ship-sails-9"
        settings.OIDC_CLIENT_SECRET = "calm-harbour-waits-4"
        settings.SECRET_KEY_FALLBACKS = ["the-key-before"]
        kept = (settings.SECRET_KEY, "the-key-before", "tall-ship-sails-9", "calm-harbour-waits-4")

        log.info("they say %s, %s, %s and %s", *kept)

        assert output.last["message"] == f"they say {logs.HIDDEN}, {logs.HIDDEN}, {logs.HIDDEN} and {logs.HIDDEN}"

    def test_is_hidden_in_a_trace(self, output):
        try:
            raise ValueError("password=hunter2 of amal@example.com")
        except ValueError:
            log.exception("failed")

        assert "hunter2" not in output.text
        assert "amal" not in output.text

    @pytest.mark.parametrize(
        "sentence",
        [
            "seal 17 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08: 3 entries up to 9, root e3b0",
            "refused: TOKEN_NOT_VALID",
            "GET /api/v1/shipments/17/eta",
            "Task outbox.tasks.deliver[5f0c1d2e-9b7a-4c3d-8e6f-000000000000] succeeded in 0.01s: {'sent': 3}",
            "celery@host ready.",
        ],
    )
    def test_is_nothing_that_merely_looks_unusual(self, output, sentence):
        log.info("%s", sentence)

        assert output.last["message"] == sentence

    def test_takes_no_time_to_look_for_in_a_long_line(self, output):
        started = timezone.now()

        log.info("%s", "a" * 200_000 + " " + "a.b-" * 50_000)

        assert timezone.now() - started < timedelta(seconds=2)


class TestAThousandLinesOfARun:
    def test_hold_no_address_token_password_or_key(self, output, cast, shipment, settings, client):
        key = machines.key(machines.account(cast), cast).key
        machine, mistyped = machines.caller(key), machines.caller(f"{key[:-1]}_")
        everybody = [person for person in (getattr(cast, name) for name in cast.__slots__) if isinstance(person, User)]
        said = {person.email for person in everybody} | {
            PASSWORD,
            settings.SECRET_KEY,
            "wrong-horse",
            key[13:],
            key[13:-1],
        }
        eta = str(timezone.localdate() + timedelta(days=3))
        number = 0

        while len(output.text.splitlines()) < 1_000:
            person = everybody[number % len(everybody)]
            number += 1
            stranger, caller, desk = APIClient(), signed_in(person), pages.signed_in(person)
            entered = stranger.post("/api/v1/auth/login", {"email": person.email, "password": PASSWORD})
            said |= {entered.json()["access_token"], entered.json()["refresh_token"], desk.cookies["sessionid"].value}
            stranger.post("/api/v1/auth/login", {"email": person.email, "password": "wrong-horse"})
            stranger.get(f"{SHIPMENTS}?access_token={entered.json()['access_token']}&email={person.email}")
            stranger.get(f"/api/v1/{person.email}")
            client.get(f"/admin/reset/MQ/{entered.json()['refresh_token']}/")
            stranger.post("/api/v1/auth/refresh", {"refresh_token": entered.json()["refresh_token"]})
            for program in (machine, mistyped, stranger):
                program.get(f"{SHIPMENTS}?key={key}")
                program.get(f"/api/v1/{key}")
            enrolment = caller.post("/api/v1/auth/2fa/setup", {"password": PASSWORD}).json()
            code = pyotp.TOTP(enrolment["secret"]).now()
            codes = caller.post("/api/v1/auth/2fa/enable", {"totp_code": code}).json()["backup_codes"]
            caller.post("/api/v1/auth/2fa/disable", {"password": PASSWORD})
            stranger.post("/api/v1/auth/password/reset-request", {"email": person.email})
            said |= {enrolment["secret"], *codes}
            for _ in range(8):
                caller.get(f"{SHIPMENTS}/{shipment.pk}")
                caller.patch(f"{SHIPMENTS}/{shipment.pk}/eta", {"eta": eta})
                caller.post(SHIPMENTS, recipes.values(eta="no date"))
            desk.get("/admin/accounts/user/")
            logging.getLogger("a.library").error("can't take %r", {"email": person.email, "password": PASSWORD})
            logging.getLogger("a.library").error("can't take %s", machine._credentials)

        outbox.deliver_due(at=timezone.now(), compose=composers(), lease=timedelta(minutes=2))
        said |= {letter.body.strip().splitlines()[0] for letter in mail.outbox}
        said |= {token for letter in mail.outbox for token in re.findall(r"token=(\S+)", letter.body)}

        assert number > 5
        assert len(mail.outbox) > 5
        assert sorted(secret for secret in said if secret in output.text) == []
        assert not re.search(r"[\w.+-]+@[\w-]+\.[a-z]+", output.text)


class TestListeningToEveryTest:
    """`conftest.py` looks at what each test of the run has logged: so it must know a secret when it sees one."""

    @pytest.mark.parametrize(
        "secret",
        [
            "amal@example.com",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
            "$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$aGFzaA",
            "abcd-efgh-2345-mnpq",
            "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
            f"{'0f' * 16}:{'x' * 43}",
            PASSWORD,
            "<html dir=ltr>",
        ],
    )
    def test_finds_a_secret_that_got_through(self, secret):
        assert listening.secrets_in(f'{{"message": "it was {secret}"}}') != set()

    def test_finds_none_in_ordinary_lines(self, log, bu_clerk):
        signed_in(bu_clerk).get(SHIPMENTS)

        assert "clearance.access" in log.getvalue()
        assert listening.secrets_in(log.getvalue()) == set()

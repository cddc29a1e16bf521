from __future__ import annotations

import http.client
import json
import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.tests import machines
from clearance import limits
from clearance.tests import pages, workers
from clearance.tests.callers import error_of, signed_in
from clearance.tests.cast import PASSWORD
from clearance.tests.webs import web

ME, LOGIN, REFRESH = "/api/v1/users/me", "/api/v1/auth/login", "/api/v1/auth/refresh"


@pytest.fixture(autouse=True)
def _asks_redis(monkeypatch):
    monkeypatch.setattr(limits, "_asks_again_at", 0.0)


@pytest.fixture
def limit(settings) -> Callable[[int], None]:
    def set_to(number: int) -> None:
        settings.RATE_LIMIT_PER_MINUTE = number

    return set_to


def left(answer) -> tuple[int, int]:
    assert 0 < int(answer["RateLimit-Reset"]) <= 60
    return int(answer["RateLimit-Limit"]), int(answer["RateLimit-Remaining"])


class TestThePersonsLimit:
    def test_is_told_with_every_answer(self, limit, bu_clerk):
        limit(5)
        clerk = signed_in(bu_clerk)

        answers = [clerk.get(ME), clerk.get("/api/v1/nowhere"), clerk.post(ME), clerk.post("/api/v1/shipments", {})]

        assert [answer.status_code for answer in answers] == [200, 404, 405, 400]
        assert [left(answer) for answer in answers] == [(5, 4), (5, 3), (5, 2), (5, 1)]

    def test_refuses_what_goes_beyond_it(self, limit, bu_clerk):
        limit(2)
        clerk = signed_in(bu_clerk)

        answers = [clerk.get(ME) for _ in range(4)]

        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert error_of(answers[-1], 429)["code"] == "TOO_MANY_REQUESTS"
        assert left(answers[-1]) == (2, 0)
        assert answers[-1]["Retry-After"] == answers[-1]["RateLimit-Reset"]

    def test_is_refused_in_arabic_too(self, limit, bu_clerk):
        limit(1)
        clerk = signed_in(bu_clerk)
        clerk.get(ME)

        answer = clerk.get(ME, HTTP_ACCEPT_LANGUAGE="ar")

        assert "ثانية" in error_of(answer, 429)["message"]

    def test_counts_all_sign_ins_of_a_person_together_and_people_apart(self, limit, bu_clerk, bu_head):
        limit(2)
        program, other_program, browser = signed_in(bu_clerk), signed_in(bu_clerk), pages.signed_in(bu_clerk)

        answers = [client.get(ME) for client in (program, other_program, browser)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert signed_in(bu_head).get(ME).status_code == 200

    def test_begins_anew_after_a_minute(self, limit, bu_clerk, monkeypatch):
        limit(1)
        monkeypatch.setattr(limits, "MINUTE_MS", 300)
        clerk = signed_in(bu_clerk)

        first, second = clerk.get(ME), clerk.get(ME)
        time.sleep(0.35)

        assert (first.status_code, second.status_code, clerk.get(ME).status_code) == (200, 429, 200)

    def test_is_none_where_the_setting_is_0(self, limit, bu_clerk):
        limit(0)

        assert "RateLimit-Limit" not in signed_in(bu_clerk).get(ME)

    def test_burdens_neither_the_health_nor_the_back_office(self, limit, bu_clerk, client):
        limit(1)

        answers = [client.get(path) for path in ("/api/v1/health/live", "/admin/login/") for _ in range(3)]

        assert {answer.status_code for answer in answers} == {200}
        assert not any("RateLimit-Limit" in answer for answer in answers)

    def test_costs_no_statement(self, limit, bu_clerk, django_assert_num_queries):
        limit(100)
        clerk = signed_in(bu_clerk)
        clerk.get(ME)

        with django_assert_num_queries(2):  # as without a limit: the sign-in, the permissions
            clerk.get(ME)


class TestAMachinesLimit:
    def test_counts_all_keys_of_an_account_together(self, limit, cast):
        limit(2)
        account = machines.account(cast)
        one, other = (machines.caller(machines.key(account, cast)) for _ in range(2))

        answers = [client.get(ME) for client in (one, other, one)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert signed_in(cast.cc_clerk).get(ME).status_code == 200

    def test_is_a_strangers_until_the_key_is_proved(self, limit, cast):
        limit(2)
        issued = machines.key(machines.account(cast), cast)
        guesser = machines.caller(f"{issued.key[:-1]}{'a' if issued.key[-1] != 'a' else 'b'}")

        answers = [guesser.get(ME), guesser.get(ME), guesser.get(ME), machines.caller(issued).get(ME)]

        assert [answer.status_code for answer in answers] == [401, 401, 429, 200]

    def test_looks_the_key_up_once(self, limit, cast, django_assert_num_queries):
        limit(100)
        machine = machines.caller(machines.key(machines.account(cast), cast))
        machine.get(ME)

        with django_assert_num_queries(2):  # the key with its account and rights, the divisions
            machine.get(ME)


class TestAStrangersLimit:
    def test_holds_for_guesses_of_passwords_and_tokens_together(self, limit, bu_clerk):
        limit(4)
        stranger = APIClient()

        answers = [
            stranger.post(LOGIN, {"email": bu_clerk.email, "password": "wrong"}),
            stranger.post(REFRESH, {"refresh_token": "no token"}),
            stranger.get(ME),
            stranger.get(ME, HTTP_AUTHORIZATION="Bearer no.token.atall"),
            stranger.post(LOGIN, {"email": bu_clerk.email, "password": PASSWORD}),
        ]

        assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 429]
        assert [left(answer)[1] for answer in answers] == [3, 2, 1, 0, 0]

    def test_is_that_of_the_address(self, limit, db):
        limit(1)

        answers = [
            APIClient(REMOTE_ADDR=address).get(ME)
            for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1")
        ]

        assert [answer.status_code for answer in answers] == [401, 401, 429, 401, 429, 401]

    def test_is_not_escaped_by_an_invented_address(self, limit, db):
        limit(1)

        answers = [APIClient().get(ME, HTTP_X_FORWARDED_FOR=f"192.0.2.{number}") for number in (1, 2)]

        assert [answer.status_code for answer in answers] == [401, 429]

    @pytest.mark.parametrize(
        "deed",
        [
            lambda browser: browser.post(reverse("admin:login"), {"username": "a@example.com", "password": "wrong"}),
            lambda browser: browser.post(reverse("admin_password_reset"), {"email": "a@example.com"}),
            lambda browser: browser.post(reverse("admin:invitation"), {"token": "x"}),
            lambda browser: browser.get(reverse("admin:provider")),
            lambda browser: browser.get(reverse("admin:provider_callback")),
        ],
        ids=["guessing", "forgetting", "inviting oneself", "going to the provider", "coming back"],
    )
    def test_holds_at_the_back_office_for_what_costs_or_leaves_something(self, limit, client, db, deed):
        limit(2)

        answers = [deed(client) for _ in range(3)]

        assert [answer.status_code == 429 for answer in answers] == [False, False, True]
        assert "The limit is 2 requests a minute." in pages.words(answers[-1].content.decode())
        assert int(answers[-1]["Retry-After"]) > 0
        assert client.get(reverse("admin:login")).status_code == 200

    def test_at_the_back_office_is_apart_from_that_at_the_api(self, limit, client, db):
        limit(1)
        client.get(ME)

        assert client.post(reverse("admin_password_reset"), {"email": "a@example.com"}).status_code == 200

    def test_is_no_concern_of_who_is_signed_in_at_the_same_address(self, limit, bu_clerk):
        limit(1)
        APIClient().get(ME)

        assert APIClient().get(ME).status_code == 429
        assert signed_in(bu_clerk).get(ME).status_code == 200


@pytest.fixture
def silence() -> Iterator[str]:
    """A Redis that takes connections and never says a word."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


class TestWithoutRedis:
    @pytest.fixture(params=["refusal", "silence"])
    def _no_redis(self, request, settings, monkeypatch):
        found = {"refusal": "redis://127.0.0.1:1/0", "silence": None}[request.param]
        settings.REDIS_URL = found or request.getfixturevalue("silence")
        limits._client.cache_clear()
        yield
        limits._client.cache_clear()

    @pytest.mark.usefixtures("_no_redis")
    def test_everybody_is_let_through_with_a_line_in_the_log_and_hardly_later(self, limit, bu_clerk, caplog):
        limit(1)
        clerk = signed_in(bu_clerk)

        answers = [clerk.get(ME) for _ in range(5)]

        assert [answer.status_code for answer in answers] == [200] * 5
        assert not any("RateLimit-Limit" in answer for answer in answers)
        assert len([record for record in caplog.records if record.name == "clearance.limits"]) == 1

    @pytest.mark.usefixtures("_no_redis")
    def test_a_request_waits_for_a_moment_only(self, limit, monkeypatch):
        limit(1)
        monkeypatch.setattr(limits, "PAUSE_SECONDS", 0)
        seconds = []

        for _ in range(5):
            started = time.perf_counter()
            assert limits.count("user:1") is None
            seconds.append(time.perf_counter() - started)

        assert statistics.median(seconds) < 0.3

    @pytest.mark.usefixtures("_no_redis")
    def test_counting_goes_on_once_it_is_back(self, limit, bu_clerk, settings, monkeypatch):
        limit(5)
        clerk = signed_in(bu_clerk)
        clerk.get(ME)

        settings.REDIS_URL = settings.CACHES["default"]["LOCATION"]
        limits._client.cache_clear()
        monkeypatch.setattr(limits, "_asks_again_at", time.monotonic())

        assert left(clerk.get(ME)) == (5, 4)


def status(port: int, path: str, **headers: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        json.loads(answer.read())
        return answer.status


def headers(port: int, path: str, **given: str) -> http.client.HTTPMessage:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers=given)
        return connection.getresponse().headers


@pytest.mark.django_db(transaction=True)
class TestTwoWebProcesses:
    def test_let_exactly_100_of_300_requests_at_once_through(self, bu_clerk):
        token = signed_in(bu_clerk)._credentials["HTTP_AUTHORIZATION"]

        with workers.redis() as redis, web(redis.url) as one, web(redis.url) as other, ThreadPoolExecutor(16) as burst:
            found = Counter(burst.map(lambda port: status(port, ME, Authorization=token), [one, other] * 150))

        assert found == {200: 100, 429: 200}

    def test_tell_the_same_count_in_their_headers(self, bu_clerk):
        token = signed_in(bu_clerk)._credentials["HTTP_AUTHORIZATION"]

        with workers.redis() as redis, web(redis.url) as one, web(redis.url) as other:
            told = [headers(port, ME, Authorization=token) for port in (one, other, one, other)]

        assert [found["RateLimit-Remaining"] for found in told] == ["99", "98", "97", "96"]
        assert {found["RateLimit-Limit"] for found in told} == {"100"}
        assert all(0 < int(found["RateLimit-Reset"]) <= 60 for found in told)

"""Access tokens of an OpenID provider at the API; the provider is a process of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import provider as accounts_provider
from accounts import services as accounts
from accounts.errors import ProviderUnavailable, TokenRefused
from accounts.models import User
from audit.tests import trails
from clearance import calls, limits
from clearance.tests import providers
from clearance.tests.callers import error_of, signed_in
from clearance.tests.providers import DISCOVERY, JWKS

ME = "/api/v1/users/me"


@pytest.fixture(scope="module")
def process():
    with providers.running() as started:
        yield started


@pytest.fixture
def provider(process, settings):
    """Honest again, and nothing known of it here."""
    settings.OIDC_ISSUER, settings.OIDC_AUDIENCE = process.url, providers.AUDIENCE
    process.told(reset=True)
    accounts_provider._known_here.clear()
    return process


@pytest.fixture
def amal(cc_clerk, provider) -> User:
    """Somebody who has signed in through the provider once."""
    User.objects.filter(pk=cc_clerk.pk).update(identity_issuer=provider.url, identity_subject="amal")
    cc_clerk.refresh_from_db()
    return cc_clerk


def with_token(token: str):
    return APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {token}")


def refused(token: str) -> bool:
    answer = with_token(token)
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'
    return error_of(answer, 401)["code"] == "TOKEN_NOT_VALID"


def unavailable(token: str) -> int:
    """After how many seconds to come again."""
    answer = with_token(token)
    assert error_of(answer, 503)["code"] == "UNAVAILABLE"
    return int(answer["Retry-After"])


def later(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)


class TestATokenOfTheProvider:
    def test_lets_in_whose_identity_it_names(self, amal, provider):
        answer = with_token(provider.token())

        assert answer.status_code == 200
        assert (answer.json()["id"], answer.json()["email"]) == (amal.pk, amal.email)

    def test_for_several_audiences_is_for_us_too(self, amal, provider):
        assert with_token(provider.token(aud=["https://elsewhere.example", providers.AUDIENCE])).status_code == 200

    def test_costs_one_statement_for_the_person_and_no_call(self, amal, provider):
        token = provider.token()
        with_token(token)
        before = provider.told()["asked"]

        with CaptureQueriesContext(connection) as statements:
            answers = [with_token(token) for _ in range(5)]

        assert {answer.status_code for answer in answers} == {200}
        assert len(statements) == 2 * 5  # the person with rights, and the names of the divisions
        assert provider.told()["asked"] == before == {DISCOVERY: 1, JWKS: 1}

    def test_acts_in_the_persons_name(self, amal, provider):
        before = trails.last_id()
        APIClient().post("/api/v1/auth/logout-all", HTTP_AUTHORIZATION=f"Bearer {provider.token()}")

        assert {(entry.user_id, entry.channel) for entry in trails.since(before)} == {(amal.pk, "api")}

    def test_ends_when_the_person_signs_out_everywhere(self, amal, provider):
        token = provider.token()
        bearer = {"HTTP_AUTHORIZATION": f"Bearer {token}"}

        assert APIClient().post("/api/v1/auth/logout-all", **bearer).status_code == 204

        assert refused(token)
        assert with_token(provider.token(iat=time.time() + 1)).status_code == 200

    def test_changes_the_password_only_of_who_has_one(self, amal, provider):
        body = {"current_password": "wrong", "password": "Tall-ship-sails-9"}
        answer = APIClient().post("/api/v1/auth/password/change", body, HTTP_AUTHORIZATION=f"Bearer {provider.token()}")

        assert error_of(answer, 401)["code"] == "INVALID_CREDENTIALS"

    def test_beside_ours_leaves_ours_working(self, amal, provider, bu_clerk):
        assert signed_in(bu_clerk).get(ME).status_code == 200
        assert provider.asked(DISCOVERY) == 0


class TestATokenIsRefused:
    @pytest.mark.parametrize(
        "changed",
        [
            {"exp": -1},
            {"exp": 0},
            {"nbf": 60},
            {"iat": 60},
        ],
        ids=str,
    )
    def test_when_its_time_is_over_or_has_not_come(self, amal, provider, changed):
        name, seconds = changed.popitem()

        assert refused(provider.token(**{name: int(time.time()) + seconds}))

    def test_but_not_when_the_providers_clock_is_a_little_ahead(self, amal, provider):
        ahead = int(time.time()) + 20

        assert with_token(provider.token(iat=ahead, nbf=ahead)).status_code == 200

    @pytest.mark.parametrize(
        "changed",
        [
            {"aud": "https://elsewhere.example"},
            {"aud": providers.CLIENT_ID},  # as an ID token has it
            {"aud": []},
            {"aud": None},
            {"aud": 7},
            {"iss": "https://elsewhere.example/"},
            {"iss": None},
            {"sub": None},
            {"sub": ""},
            {"sub": 7},
            {"sub": "amal\0"},
            {"sub": "amal" * 100},
            {"exp": None},
            {"exp": "9999999999"},
            {"exp": True},
            {"exp": float("nan")},
            {"iat": None},
            {"iat": "now"},
            {"iat": -(10**400)},
            {"nbf": []},
            {"nbf": float("nan")},
        ],
        ids=str,
    )
    def test_when_it_says_something_else(self, amal, provider, changed):
        assert refused(provider.token(**changed))

    def test_when_nobody_has_the_identity(self, amal, provider):
        assert refused(provider.token(sub="badr"))

    def test_when_it_only_names_somebodys_address(self, amal, provider):
        assert refused(provider.token(sub="badr", email=amal.email, email_verified=True))

    def test_when_the_identity_is_of_another_provider(self, amal, provider):
        User.objects.filter(pk=amal.pk).update(identity_issuer="https://elsewhere.example/")

        assert refused(provider.token())

    def test_when_its_person_was_deactivated_and_stays_so(self, amal, provider):
        token = provider.token()
        accounts.deactivate(user=amal, by=None, at=timezone.now())

        assert refused(token)
        User.objects.filter(pk=amal.pk).update(is_active=True)
        assert refused(token)

    def test_when_no_provider_is_configured(self, amal, provider, settings):
        token = provider.token()
        settings.OIDC_AUDIENCE = ""

        assert refused(token)
        assert provider.asked(DISCOVERY) == 0


class TestASignatureIsRefused:
    def forged(self, provider, header: dict, key: bytes = b"") -> str:
        """A token as `provider.token` makes them, signed with HS256 or not at all."""
        claims = jwt.decode(provider.token(), options={"verify_signature": False})
        signed = b".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)
        )
        signature = hmac.digest(key, signed, hashlib.sha256) if key else b""
        return b".".join((signed, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
    def test_when_there_is_none(self, amal, provider, algorithm):
        assert refused(self.forged(provider, {"alg": algorithm, "kid": provider.told()["newest"]}))

    @pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
    def test_when_it_is_made_with_the_public_key_as_a_secret(self, amal, provider, algorithm):
        (entry,) = provider.told()["published"]["keys"]
        public = jwt.PyJWK(entry, algorithm="RS256").key
        kinds = [(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)]
        kinds += [(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)]
        kinds += [(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)]
        secrets = [public.public_bytes(*kind) for kind in kinds]
        secrets += [json.dumps(entry).encode(), entry["n"].encode()]

        for secret in secrets:
            assert refused(self.forged(provider, {"alg": algorithm, "kid": entry["kid"]}, secret))

    @pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
    def test_when_it_is_of_another_algorithm_with_the_right_key(self, amal, provider, algorithm):
        assert refused(provider.token({"alg": algorithm}))

    def test_when_it_is_of_another_key_with_the_right_name(self, amal, provider):
        good = provider.token().split(".")
        other = provider.token(sub="badr").split(".")

        assert refused(".".join([*good[:2], other[2]]))

    @pytest.mark.parametrize("kid", [None, "", "../../etc/passwd", "x" * 5000])
    def test_when_it_names_no_key_of_the_provider(self, amal, provider, kid):
        assert refused(provider.token({"kid": kid}))

    @pytest.mark.parametrize("kid", [7, ["a"], {"a": 1}])
    def test_when_the_name_is_no_text(self, amal, provider, kid):
        assert refused(self.forged(provider, {"alg": "RS256", "kid": kid}, b"whatever"))

    def test_when_the_key_comes_with_the_token(self, amal, provider):
        with_it = {"jku": f"{provider.url}/jwks2", "jwk": provider.told()["published"]["keys"][0], "kid": "brought"}

        assert refused(provider.token(with_it))
        assert provider.asked("/jwks2") == 0

    def test_when_the_published_key_is_for_something_else_or_too_short(self, amal, provider):
        (entry,) = provider.told()["published"]["keys"]
        odd = [
            entry | {"kid": "encrypts", "use": "enc"},
            entry | {"kid": "of another algorithm", "alg": "RS512"},
            entry | {"kid": "short", "n": "AQAB"},
            entry | {"kid": "broken", "n": 7},
            {"kid": "secret", "kty": "oct", "k": "c2VjcmV0"},
            {"kty": "RSA"},
            "nonsense",
            None,
        ]
        provider.told(more_keys=odd)

        assert with_token(provider.token()).status_code == 200
        for one in ("encrypts", "of another algorithm", "short", "broken", "secret"):
            assert refused(provider.token({"kid": one}))

    @pytest.mark.parametrize(
        "token", ["eyJhbGciOiJSUzI1NiJ9", "eyJhbGciOiJSUzI1NiJ9..", "eyJhbGciOiJSUzI1NiJ9.e30.x", "é"]
    )
    def test_when_it_is_no_token(self, amal, provider, token):
        assert refused(token)


class TestTheProvidersKeys:
    def test_that_are_new_work_at_once(self, amal, provider):
        old = provider.token()
        with_token(old)
        self.pass_the_pause(provider)
        provider.told(rotate=True)

        assert with_token(provider.token()).status_code == 200
        assert with_token(old).status_code == 200
        assert provider.asked() == 2

    def pass_the_pause(self, provider):
        """As if the provider had been asked a while ago, and what it said is still fresh."""
        known = accounts_provider._known_here[provider.url]
        ago = accounts_provider.ASKED_AGAIN_AFTER.total_seconds() + 1
        changed = accounts_provider._Known(
            known.endpoints, known.keys, known.fetched_at - ago, known.asked_at - ago, known.has_failed
        )
        accounts_provider._known_here[provider.url] = changed
        accounts_provider._tell_elsewhere(provider.url, changed)

    def test_that_were_withdrawn_stop_within_five_minutes(self, amal, provider):
        old, expires = provider.token(), int(time.time()) + 3600
        old = provider.token(exp=expires)
        kid = jwt.get_unverified_header(old)["kid"]
        accounts_provider.read_access_token(old, at=timezone.now())
        provider.told(rotate=True, withdraw=kid)

        just_before, after = (accounts_provider.FRESH_FOR.total_seconds() + seconds for seconds in (-5, 5))
        accounts_provider.read_access_token(old, at=later(just_before))
        with pytest.raises(TokenRefused):
            accounts_provider.read_access_token(old, at=later(after))

    def test_that_nobody_knows_have_it_asked_once_in_ten_seconds(self, amal, provider):
        with_token(provider.token())
        strange = [provider.token({"kid": f"strange-{number}"}) for number in range(40)]
        self.pass_the_pause(provider)

        assert all(refused(token) for token in strange)

        assert provider.asked() == 2

    def test_are_asked_for_once_by_many_at_the_same_moment(self, provider):
        token = provider.token()

        with ThreadPoolExecutor(8) as threads:
            read = list(threads.map(lambda _: accounts_provider.read_access_token(token, at=timezone.now()), range(40)))

        assert {bearer.subject for bearer in read} == {"amal"}
        assert provider.asked() == 1

    def test_are_shared_with_the_other_processes(self, amal, provider):
        with_token(provider.token())
        accounts_provider._known_here.clear()  # as in a process that has just begun

        assert with_token(provider.token()).status_code == 200
        assert provider.asked() == 1

    def test_need_no_redis(self, amal, provider, settings):
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}

        assert with_token(provider.token()).status_code == 200
        assert with_token(provider.token()).status_code == 200
        assert provider.asked() == 1

    def test_are_not_taken_from_what_another_issuer_says(self, amal, provider):
        provider.told(document={"issuer": "https://elsewhere.example"})

        assert unavailable(provider.token())
        assert provider.asked() == 0

    @pytest.mark.parametrize(
        "uri", ["http://elsewhere.example/jwks", "file:///etc/passwd", "ftp://127.0.0.1/", "//x/jwks", 7, None]
    )
    def test_are_not_fetched_from_an_unsafe_address(self, amal, provider, uri):
        provider.told(document={"jwks_uri": uri})

        assert unavailable(provider.token())


class TestAProviderThatIsAway:
    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch):
        monkeypatch.setattr(calls, "PATIENCE_SECONDS", 0.5)
        monkeypatch.setattr(calls, "MOST_SECONDS", 1.0)

    def test_leaves_known_keys_working_for_hours_also_through_a_new_start(self, amal, provider):
        token = provider.token(exp=int(time.time()) + 24 * 3600)
        assert with_token(token).status_code == 200
        provider.stop()

        try:
            assert with_token(token).status_code == 200
            kept_for = accounts_provider.KEPT_FOR.total_seconds()
            accounts_provider.read_access_token(token, at=later(kept_for - 60))
            with pytest.raises(ProviderUnavailable):
                accounts_provider.read_access_token(token, at=later(kept_for + 60))
        finally:
            provider.start()
        assert with_token(provider.token()).status_code == 200

    def test_is_a_503_for_a_key_that_nobody_knows_and_never_lets_in(self, amal, provider):
        token = provider.token()
        provider.stop()

        try:
            waits = [unavailable(token) for _ in range(3)]
        finally:
            provider.start()

        assert all(0 < wait <= accounts_provider.PAUSE.total_seconds() + 1 for wait in waits)
        assert unavailable(token)  # it is back, and not asked yet

    def test_is_asked_again_after_the_pause(self, amal, provider):
        token = provider.token(exp=int(time.time()) + 3600)
        provider.does("fails", DISCOVERY)
        assert unavailable(token)
        provider.does("")

        with pytest.raises(ProviderUnavailable):
            accounts_provider.read_access_token(token, at=later(accounts_provider.PAUSE.total_seconds() - 3))
        accounts_provider.read_access_token(token, at=later(accounts_provider.PAUSE.total_seconds() + 1))

    @pytest.mark.parametrize("place", [DISCOVERY, JWKS])
    @pytest.mark.parametrize(
        "what",
        [
            "fails",
            "talks nonsense",
            "says too little",
            "says null",
            "talks and talks",
            "leads elsewhere",
            "is slow",
            "sends crumbs",
        ],
    )
    def test_or_talks_nonsense_is_asked_once_and_all_wait(self, amal, provider, what, place):
        token = provider.token()
        provider.does(what, place)
        begun = time.monotonic()

        assert all(unavailable(token) for _ in range(10))

        assert time.monotonic() - begun < 5
        assert provider.asked(place) == 1
        assert provider.asked("/elsewhere") == 0

    @pytest.mark.parametrize("what", ["fails", "talks nonsense", "leads elsewhere", "is slow"])
    def test_or_talks_nonsense_leaves_known_keys_working(self, amal, provider, what):
        token = provider.token(exp=int(time.time()) + 3600)
        with_token(token)
        provider.does(what)

        at = later(accounts_provider.FRESH_FOR.total_seconds() + 1)
        for _ in range(5):
            accounts_provider.read_access_token(token, at=at)
        with pytest.raises(ProviderUnavailable):
            accounts_provider.read_access_token(provider.token({"kid": "unknown"}), at=at)

        assert provider.asked() == 2

    def test_is_not_asked_by_other_processes_either(self, amal, provider):
        provider.does("fails", DISCOVERY)
        assert unavailable(provider.token())
        accounts_provider._known_here.clear()

        assert unavailable(provider.token())
        assert provider.asked(DISCOVERY) == 1

    def test_keeps_no_signed_in_person_of_ours_waiting(self, amal, provider, bu_clerk):
        provider.does("is slow", DISCOVERY)

        assert signed_in(bu_clerk).get(ME).status_code == 200
        assert provider.asked(DISCOVERY) == 0


class TestTheLimit:
    def test_counts_the_person_behind_verified_tokens_only(self, amal, provider, settings, monkeypatch):
        monkeypatch.setattr(limits, "_asks_again_at", 0.0)
        settings.RATE_LIMIT_PER_MINUTE = 3

        answers = [with_token(provider.token()) for _ in range(2)]
        strange = [with_token(provider.token({"kid": "strange"})) for _ in range(2)]
        own = with_token(provider.token(iat=int(time.time()) - 5))

        assert [int(answer["RateLimit-Remaining"]) for answer in answers] == [2, 1]
        assert [int(answer["RateLimit-Remaining"]) for answer in strange] == [2, 1]  # of the address
        assert int(own["RateLimit-Remaining"]) == 0
        assert with_token(provider.token()).status_code == 429

    def test_has_a_token_verified_once_per_request(self, amal, provider, settings, monkeypatch):
        monkeypatch.setattr(limits, "_asks_again_at", 0.0)
        settings.RATE_LIMIT_PER_MINUTE = 100
        with_token(token := provider.token())
        read = []
        real = accounts_provider.read_access_token
        monkeypatch.setattr(accounts_provider, "read_access_token", lambda *a, **k: read.append(1) or real(*a, **k))

        assert with_token(token).status_code == 200
        assert len(read) == 1


def test_what_is_kept_is_no_secret(amal, provider):
    with_token(provider.token())

    kept = cache.get(f"provider:{provider.url}")

    assert kept.keys() == {"endpoints", "keys", "fetched_at", "asked_at", "has_failed"}
    assert all(len(key) == 2 for key in kept["keys"].values())

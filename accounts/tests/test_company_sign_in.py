"""Signing in to the back office through an OpenID provider, which is a process of its own."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import provider as accounts_provider
from accounts import services as accounts
from accounts.models import BrowserSession, IdentityRule, RequiredSecondFactor, User
from audit.models import AuditEntry
from audit.tests import trails
from audit.tests.paths import enrolled
from clearance import calls
from clearance.tests import pages, providers, races
from clearance.tests.cast import PASSWORD
from clearance.tests.providers import CALLBACK, CLIENT_ID, DISCOVERY, JWKS, START, signed_in, way_back

pytestmark = pytest.mark.django_db

LOGIN, CODE, INDEX, OWN = (reverse(f"admin:{name}") for name in ("login", "login_code", "index", "own_sign_in"))
AMAL = {"email": "cc_clerk@example.com", "email_verified": True, "name": "Amal Clerk"}


@pytest.fixture(scope="module")
def process():
    with providers.running() as started:
        yield started


@pytest.fixture
def provider(process, settings):
    """Honest, knows the clerk of C&C, and nothing is known of it here."""
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = process.url, CLIENT_ID, "a secret"
    process.told(reset=True, claims=AMAL)
    accounts_provider._known_here.clear()
    return process


@pytest.fixture
def browser() -> Client:
    return Client()


def is_in(browser: Client) -> bool:
    return browser.get(INDEX).status_code == 200


def bound_to(user: User, url: str, subject: str = "amal") -> User:
    User.objects.filter(pk=user.pk).update(identity_issuer=url, identity_subject=subject)
    return user


def refused(answer, code: str, status: int = 403) -> AuditEntry:
    """What the trail says of it; the page says it in words, and leads back."""
    assert answer.status_code == status
    entry = AuditEntry.objects.order_by("-pk").first()
    assert (entry.action, entry.changes["code"]) == ("denied", code)
    said = html.unescape(pages.words(answer.content.decode()))
    assert entry.changes["message"] in said
    assert "Begin again" in said
    assert "Traceback" not in answer.content.decode()
    assert "_auth_user_id" not in answer.client.session
    assert answer.client.get(INDEX).status_code == 302
    return entry


class TestTheWayThere:
    def test_is_offered_by_the_page_for_signing_in(self, cast, provider, browser):
        page = browser.get(f"{LOGIN}?next=/admin/shipments/")

        assert f'href="{START}?next=%2Fadmin%2Fshipments%2F"' in page.content.decode()
        assert "Sign in with the company account" in pages.words(page.content.decode())
        assert provider.asked(DISCOVERY) == 0

    def test_is_not_there_without_a_provider(self, cast, browser, settings):
        settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = "https://sign-in.example.com/", ""

        assert "company account" not in browser.get(LOGIN).content.decode()
        assert browser.get(START).status_code == 404
        assert browser.get(CALLBACK).status_code == 404

    def test_brings_state_nonce_and_a_challenge_that_are_never_the_same(self, cast, provider, browser):
        asked = [parse_qs(urlsplit(browser.get(START)["Location"]).query) for _ in range(2)]

        for one in asked:
            assert one["client_id"] == [CLIENT_ID]
            assert one["redirect_uri"] == [f"http://testserver{CALLBACK}"]
            assert one["response_type"] == ["code"]
            assert one["scope"] == ["openid email profile"]
            assert one["code_challenge_method"] == ["S256"]
            assert min(len(one[name][0]) for name in ("state", "nonce", "code_challenge")) >= 32
        for name in ("state", "nonce", "code_challenge"):
            assert asked[0][name] != asked[1][name]

    def test_is_only_to_be_followed(self, cast, provider, browser):
        assert browser.post(START).status_code == 405
        assert browser.post(CALLBACK).status_code == 405

    def test_while_the_provider_is_away_ends_with_a_page_that_says_so(self, cast, provider, browser):
        provider.does("fails", DISCOVERY)

        answer = browser.get(START)

        assert answer.status_code == 503
        assert "can't be reached now" in html.unescape(pages.words(answer.content.decode()))

    def test_is_not_led_to_an_address_that_is_not_safe(self, cast, provider, browser):
        provider.told(document={"authorization_endpoint": "http://elsewhere.example/authorize"})

        assert browser.get(START).status_code == 503


class TestTheWayBack:
    def test_signs_in_who_has_the_identity(self, cast, provider, browser):
        clerk = bound_to(cast.cc_clerk, provider.url)
        provider.told(claims={"email": "changed@example.com", "email_verified": True})

        answer = signed_in(browser)

        assert (answer.status_code, answer["Location"]) == (302, INDEX)
        assert browser.session["_auth_user_id"] == str(clerk.pk)
        assert browser.session["_auth_user_backend"] == "accounts.backends.Sessions"
        assert is_in(browser)

    def test_binds_whoever_has_the_verified_address(self, cast, provider, browser):
        signed_in(browser)

        clerk = User.objects.get(pk=cast.cc_clerk.pk)
        assert (clerk.identity_issuer, clerk.identity_subject) == (provider.url, "amal")
        assert clerk.email_verified_at is not None
        assert is_in(browser)

    def test_gives_the_session_another_name(self, cast, provider, browser):
        back = way_back(browser)
        before = browser.session.session_key

        browser.get(back)

        assert browser.session.session_key != before

    def test_leads_to_where_one_wanted_to_go(self, cast, provider, browser):
        assert signed_in(browser, next="/admin/shipments/shipment/")["Location"] == "/admin/shipments/shipment/"

    @pytest.mark.parametrize(
        "evil",
        ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http:evil.example"],
    )
    def test_leads_to_no_other_host(self, cast, provider, browser, evil):
        assert signed_in(browser, next=evil)["Location"] == INDEX

    def test_asks_for_what_the_id_token_does_not_say(self, cast, provider, browser):
        provider.told(claims={}, userinfo=AMAL)

        assert signed_in(browser)["Location"] == INDEX
        assert provider.asked("/userinfo") == 1

    def test_takes_nothing_from_what_is_said_of_somebody_else(self, cast, provider, browser):
        provider.told(claims={}, userinfo=AMAL | {"sub": "badr"})

        assert refused(signed_in(browser), "IDENTITY_NOT_PROVED")

    def test_lets_no_lockout_stop_who_came_through_the_provider(self, cast, provider, browser):
        for _ in range(6):
            browser.post(LOGIN, {"username": cast.cc_clerk.email, "password": "Wrong-9-guess"})

        assert signed_in(browser)["Location"] == INDEX

    def test_ends_with_the_person(self, cast, provider, browser):
        signed_in(browser)
        accounts.deactivate(user=cast.cc_clerk, by=None, at=timezone.now())

        assert not is_in(browser)

    def test_costs_twelve_statements_of_which_most_are_the_sessions(self, cast, provider, browser):
        bound_to(cast.cc_clerk, provider.url)
        back = way_back(browser)

        with CaptureQueriesContext(connection) as statements:
            browser.get(back)

        done = [one["sql"] for one in statements if not re.match(r"SAVEPOINT|RELEASE", one["sql"])]
        assert len(done) == 12, "\n".join(done)

    def test_is_on_record_in_the_persons_name(self, cast, provider, browser):
        before = trails.last_id()

        signed_in(browser)

        entries = trails.since(before)
        assert {(entry.channel, entry.user_id) for entry in entries} == {("admin", cast.cc_clerk.pk)}
        assert [set(entry.changes) for entry in entries] == [
            {"identity_issuer", "identity_subject", "email_verified_at"} | ({"updated_at"} & set(entries[0].changes)),
            {"last_login"},
            {"user_id", "ip_address", "opened_at"},
        ]


class TestItIsRefused:
    def test_a_second_time(self, cast, provider, browser):
        back = way_back(browser)
        browser.get(back)
        assert browser.post(reverse("admin:logout")).status_code == 200

        assert browser.get(back).status_code == 403
        assert not is_in(browser)

    def test_a_second_time_in_the_same_session(self, cast, provider, browser):
        provider.told(claims=AMAL | {"email_verified": False})
        back = way_back(browser)
        browser.get(START)  # another tab
        refused(browser.get(back), "EMAIL_NOT_VERIFIED")

        provider.told(claims=AMAL)

        assert refused(browser.get(back), "SIGN_IN_NOT_BEGUN")
        assert provider.asked("/token") == 1

    def test_without_a_session_and_without_making_one(self, cast, provider, browser):
        answer = browser.get(f"{CALLBACK}?state=x&code=y")

        assert answer.status_code == 403
        assert not BrowserSession.objects.exists()

    def test_in_another_browser(self, cast, provider, browser):
        back = way_back(browser)
        before = trails.last_id()

        answer = Client().get(back)

        assert answer.status_code == 403
        assert trails.since(before) == []  # a stray call is in the log only
        assert provider.asked("/token") == 0

    def test_in_another_browser_that_began_one_too(self, cast, provider, browser):
        back, other = way_back(browser), Client()
        own = way_back(other)

        assert refused(other.get(back), "SIGN_IN_NOT_BEGUN")
        assert other.get(own).status_code == 403  # nobody guesses twice
        assert provider.asked("/token") == 0

    @pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?code=x&state=", "?error=access_denied"])
    def test_without_a_state(self, cast, provider, browser, query):
        browser.get(START)

        assert refused(browser.get(CALLBACK + query), "SIGN_IN_NOT_BEGUN")

    def test_after_ten_minutes(self, cast, provider, browser):
        back = way_back(browser)
        session = browser.session
        (begun,) = session["oidc_states"].values()
        begun["added_on"] -= 601
        session.save()

        assert refused(browser.get(back), "SIGN_IN_NOT_BEGUN")

    def test_by_the_provider_or_the_person_there(self, cast, provider, browser):
        provider.told(denies={"error": "access_denied", "error_description": "<b>no</b>"})

        answer = signed_in(browser)

        assert refused(answer, "REFUSED_BY_PROVIDER")
        assert b"<b>no</b>" not in answer.content

    def test_but_signs_nobody_out_who_is_in_already(self, cast, provider):
        browser = pages.signed_in(cast.cc_clerk)

        browser.get(f"{CALLBACK}?error=access_denied&state=x")

        assert is_in(browser)

    def test_with_a_code_of_another_sign_in(self, cast, provider, browser):
        """The verifier of PKCE and the nonce are the browser's own."""
        theirs = parse_qs(urlsplit(way_back(Client())).query)["code"][0]
        own = way_back(browser)

        swapped = re.sub(r"code=[^&]+", f"code={theirs}", own)

        assert refused(browser.get(swapped), "IDENTITY_NOT_PROVED")

    @pytest.mark.parametrize(
        "claims",
        [
            {"nonce": "another"},
            {"nonce": None},
            {"nonce": ""},
            {"aud": "another"},
            {"aud": [CLIENT_ID, "another"]},
            {"aud": [CLIENT_ID, "another"], "azp": "another"},
            {"azp": "another"},
            {"iss": "https://elsewhere.example/"},
            {"exp": 1},
            {"iat": 9_999_999_999},
            {"sub": None},
            {"sub": ""},
        ],
        ids=str,
    )
    def test_with_an_id_token_that_is_for_something_else(self, cast, provider, browser, claims):
        provider.told(claims=AMAL | claims)

        assert refused(signed_in(browser), "IDENTITY_NOT_PROVED")

    def test_but_not_with_several_audiences_and_the_right_party(self, cast, provider, browser):
        provider.told(claims=AMAL | {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID})

        assert signed_in(browser)["Location"] == INDEX

    @pytest.mark.parametrize("header", [{"alg": "RS512"}, {"kid": "strange"}, {"kid": ""}], ids=str)
    def test_with_an_id_token_that_is_signed_otherwise(self, cast, provider, browser, header):
        provider.told(header=header)

        assert refused(signed_in(browser), "IDENTITY_NOT_PROVED")

    def test_with_an_id_token_that_does_not_say_which_of_two_keys(self, cast, provider, browser):
        provider.told(header={"kid": None})
        assert signed_in(browser)["Location"] == INDEX
        browser.post(reverse("admin:logout"))

        provider.told(rotate=True)
        accounts_provider._known_here.clear()
        cache.delete(f"provider:{provider.url}")

        assert refused(signed_in(browser), "IDENTITY_NOT_PROVED")

    @pytest.mark.parametrize("what", ["fails", "talks nonsense", "leads elsewhere", "is slow", "talks and talks"])
    def test_while_the_provider_gives_no_sensible_answer(self, cast, provider, browser, what, monkeypatch):
        monkeypatch.setattr(calls, "PATIENCE_SECONDS", 0.5)
        provider.does(what, "/token")

        assert signed_in(browser).status_code == 503
        assert not is_in(browser)

    def test_with_an_answer_that_names_another_issuer(self, cast, provider, browser):
        back = way_back(browser)

        assert refused(browser.get(f"{back}&iss=https%3A%2F%2Felsewhere.example"), "IDENTITY_NOT_PROVED")
        assert provider.asked("/token") == 0

    def test_with_no_id_token_in_the_answer(self, cast, provider, browser):
        provider.does("says too little", "/token")

        assert refused(signed_in(browser), "IDENTITY_NOT_PROVED")

    @pytest.mark.parametrize(
        "claims",
        [{"email_verified": False}, {"email_verified": None}, {"email_verified": "true"}, {"email": None}],
        ids=str,
    )
    def test_with_an_address_that_is_not_verified(self, cast, provider, browser, claims):
        provider.told(claims=AMAL | claims)

        entry = refused(signed_in(browser), "EMAIL_NOT_VERIFIED")

        known = claims.get("email", "") is not None
        assert (entry.entity_type, entry.entity_id) == ("accounts.user", str(cast.cc_clerk.pk) if known else "")
        assert entry.user_id is None
        assert not User.objects.exclude(identity_subject="").exists()

    def test_with_the_address_of_somebody_who_has_another_identity(self, cast, provider, browser):
        bound_to(cast.cc_clerk, provider.url, "somebody")

        entry = refused(signed_in(browser), "BOUND_TO_ANOTHER_IDENTITY")

        assert (entry.entity_id, entry.user_id) == (str(cast.cc_clerk.pk), None)

    @pytest.mark.parametrize("is_bound", [True, False])
    def test_to_who_was_deactivated(self, cast, provider, browser, is_bound):
        if is_bound:
            bound_to(cast.cc_clerk, provider.url)
        accounts.deactivate(user=cast.cc_clerk, by=None, at=timezone.now())

        assert refused(signed_in(browser), "KEPT_OUT").entity_id == str(cast.cc_clerk.pk)

    def test_in_arabic_too(self, cast, provider, browser):
        provider.told(claims=AMAL | {"email_verified": False})
        back = way_back(browser)

        page = browser.get(back, HTTP_ACCEPT_LANGUAGE="ar").content.decode()

        assert 'dir="rtl"' in page
        assert "بريدك الإلكتروني" in page


class TestTwoAnswersAtOnce:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_are_one_sign_in(self, cast, provider, browser):
        back, twin = way_back(browser), Client()
        twin.cookies = browser.cookies.copy()
        held = BrowserSession.objects.filter(pk=BrowserSession.kept_as(browser.session.session_key))

        answers = races.at_once(lambda: browser.get(back), lambda: twin.get(back), held=held)

        assert sorted(answer.status_code for answer in answers) == [302, 403]
        assert provider.asked("/token") == 1


class TestSomebodyNew:
    def test_waits_and_can_do_nothing(self, cast, provider, browser):
        provider.told(claims={"email": "new@example.com", "email_verified": True, "name": "Noor New"})

        page = browser.get(signed_in(browser)["Location"])

        assert page.status_code == 200
        assert "Your account waits for an administrator" in pages.words(page.content.decode())
        assert browser.get(pages.list_of(User)).status_code == 403
        assert browser.get("/admin/shipments/shipment/").status_code == 403
        assert browser.get("/api/v1/shipments").status_code == 403
        assert browser.get("/api/v1/users/me").json()["permissions"] == []
        assert browser.get(reverse("admin:metrics_report", args=[2026, 1])).status_code == 403

    def test_finds_the_desk_as_soon_as_an_administrator_says_where_they_work(self, cast, provider, browser):
        provider.told(claims={"email": "new@example.com", "email_verified": True})
        signed_in(browser)
        new = User.objects.get(email="new@example.com")
        accounts.amend_person(user_id=new.pk, changes={"department": "C&C", "role": "PPR"}, by=None, at=timezone.now())

        page = browser.get(INDEX).content.decode()

        assert "waits for an administrator" not in page
        assert 'id="board"' in page

    def test_becomes_what_configured_claims_say(self, cast, provider, browser, settings):
        settings.OIDC_CLAIMS = {"department": "https://example.com/d", "role": "https://example.com/r", "divisions": ""}
        said = {"https://example.com/d": "Finance", "https://example.com/r": ["PPR"]}
        provider.told(claims={"email": "new@example.com", "email_verified": True, **said})

        signed_in(browser)

        new = User.objects.get(email="new@example.com")
        assert (new.department, new.role) == ("Finance", "PPR")


class TestTheSecondFactor:
    def test_that_was_proved_to_the_provider_counts_for_the_session(self, cast, provider, browser):
        RequiredSecondFactor.objects.create(role="PPR")
        provider.told(claims=AMAL | {"amr": ["pwd", "mfa"]})

        signed_in(browser)

        assert is_in(browser)
        assert browser.get("/api/v1/users/me").status_code == 200

    def test_that_was_not_is_to_be_set_up_where_the_role_requires_one(self, cast, provider, browser):
        RequiredSecondFactor.objects.create(role="PPR")

        signed_in(browser)

        assert browser.get(INDEX)["Location"] == OWN
        assert browser.get("/api/v1/users/me").status_code == 401

    def test_proved_there_does_not_count_for_a_later_password(self, cast, provider, browser):
        RequiredSecondFactor.objects.create(role="PPR")
        provider.told(claims=AMAL | {"amr": ["mfa"]})
        signed_in(browser)
        browser.post(reverse("admin:logout"))

        browser.post(f"{LOGIN}?next=/admin/", {"username": cast.cc_clerk.email, "password": PASSWORD})

        assert browser.get(INDEX)["Location"] == OWN

    def test_that_somebody_has_here_is_asked_for_unless_the_provider_did(self, cast, provider, browser):
        codes = enrolled(cast.cc_clerk)

        answer = signed_in(browser, next="/admin/shipments/shipment/")

        assert answer["Location"] == f"{CODE}?next=%2Fadmin%2Fshipments%2Fshipment%2F"
        assert not is_in(browser)
        assert browser.post(answer["Location"], {"code": codes[0]})["Location"] == "/admin/shipments/shipment/"
        assert is_in(browser)

    def test_that_somebody_has_here_is_not_asked_for_after_one_at_the_provider(self, cast, provider, browser):
        enrolled(cast.cc_clerk)
        provider.told(claims=AMAL | {"amr": ["mfa"]})

        assert signed_in(browser)["Location"] == INDEX
        assert is_in(browser)


class TestTheProvidersKeys:
    def test_may_change_between_two_sign_ins(self, cast, provider, browser):
        signed_in(browser)
        known = accounts_provider._known_here[provider.url]
        ago = accounts_provider.ASKED_AGAIN_AFTER.total_seconds() + 1
        accounts_provider._known_here[provider.url] = accounts_provider._Known(
            known.endpoints, known.keys, known.fetched_at, known.asked_at - ago
        )
        accounts_provider._tell_elsewhere(provider.url, accounts_provider._known_here[provider.url])
        provider.told(rotate=True)

        assert signed_in(Client())["Location"] == INDEX
        assert provider.asked(JWKS) == 2


@pytest.fixture(scope="module")
def elsewhere():
    known = {"sub": "amal", "name": "Amal Clerk", "email": "cc_clerk@example.com", "email_verified": True}
    with providers.of_other_makers(known) as url:
        yield url


class TestAProviderOfOtherMakers:
    """One that we did not write, with its own idea of the protocol."""

    @pytest.fixture(autouse=True)
    def _configured(self, elsewhere, settings):
        settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = elsewhere, CLIENT_ID, "a secret"
        accounts_provider._known_here.clear()

    def back(self, browser: Client, **form: str) -> str:
        begun = browser.get(START)["Location"]
        assert b"Authorize" in requests.get(begun, timeout=5).content
        answer = requests.post(begun, data=form, timeout=5, allow_redirects=False)
        address = urlsplit(answer.headers["Location"])
        return f"{address.path}?{address.query}"

    def test_signs_in_who_signs_in_there(self, cast, browser):
        answer = browser.get(self.back(browser, sub="amal"))

        assert answer["Location"] == INDEX
        assert User.objects.get(pk=cast.cc_clerk.pk).identity_subject == "amal"
        assert is_in(browser)

    def test_lets_nobody_in_who_said_no_there(self, cast, browser):
        answer = browser.get(self.back(browser, action="deny"))

        assert answer.status_code == 403
        assert not is_in(browser)

    def test_lets_nobody_in_whose_address_it_has_not_verified(self, cast, browser):
        answer = browser.get(self.back(browser, sub="bu_clerk@example.com"))

        assert refused(answer, "EMAIL_NOT_VERIFIED").entity_id == str(cast.bu_clerk.pk)


class TestTheAdministrator:
    def test_makes_rules_in_small_letters(self, cast):
        browser = pages.signed_in(cast.administrator)

        given = {"pattern": " @Example.COM ", "department": "Finance", "role": "PPR"}
        assert browser.post(pages.adding(IdentityRule), given).status_code == 302

        assert str(IdentityRule.objects.get()) == "@example.com"
        refused_again = browser.post(pages.adding(IdentityRule), given)
        assert "already" in str(pages.errors_of(refused_again))

    def test_releases_a_company_account(self, cast, provider, browser):
        signed_in(browser)
        desk = pages.signed_in(cast.administrator)

        assert "Release company account" in pages.buttons(desk.get(pages.of(cast.cc_clerk)))
        desk.post(pages.verb("release_identity", cast.cc_clerk))

        assert not is_in(browser)
        assert "Release company account" not in pages.buttons(desk.get(pages.of(cast.cc_clerk)))

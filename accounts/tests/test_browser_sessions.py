from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from accounts.doors import middleware
from accounts.models import BrowserSession, User
from clearance.admin import display
from clearance.tests import pages
from clearance.tests.cast import PASSWORD

pytestmark = pytest.mark.django_db

OWN = reverse("admin:own_sign_in")


def signed_in(person: User, address: str = "203.0.113.9", program: str = "Firefox") -> Client:
    """A browser in which somebody signed in themselves."""
    browser = Client(REMOTE_ADDR=address, headers={"User-Agent": program})
    given = {"username": person.email, "password": PASSWORD, "next": "/admin/"}
    assert browser.post(reverse("admin:login"), given).status_code == 302
    return browser


def own(browser: Client) -> list[BrowserSession]:
    return browser.get(OWN).context["browsers"]


class TestABrowserSession:
    def test_says_whose_it_is_since_when_and_from_where(self, cc_clerk):
        before = timezone.now()

        signed_in(cc_clerk)

        (kept,) = BrowserSession.objects.all()
        assert (kept.user, kept.ip_address, kept.user_agent) == (cc_clerk, "203.0.113.9", "Firefox")
        assert before <= kept.opened_at == kept.seen_at <= timezone.now()

    def test_keeps_of_the_programs_name_what_is_shown(self, cc_clerk):
        signed_in(cc_clerk, program="Fire\xadfox\x85 \x07 130")

        assert BrowserSession.objects.get().user_agent == "Firefox 130"

    def test_is_noted_as_used_every_five_minutes_and_else_not_written(
        self, cc_clerk, monkeypatch, django_assert_num_queries
    ):
        browser = signed_in(cc_clerk)
        first = BrowserSession.objects.get().seen_at
        browser.get(OWN)
        assert BrowserSession.objects.get().seen_at == first

        monkeypatch.setattr(middleware, "_NOTED_EVERY", timedelta(0))
        browser.get(OWN)

        assert BrowserSession.objects.get().seen_at > first
        assert BrowserSession.objects.get().opened_at == first

    def test_of_a_stranger_is_nobodys(self, cc_clerk):
        Client().post(reverse("admin:login"), {"username": cc_clerk.email, "password": "Wrong-9"})

        assert not BrowserSession.objects.exclude(user=None).exists()


class TestTheNameOfABrowser:
    @pytest.mark.parametrize(
        ("user_agent", "told"),
        [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
                "Edge on Windows",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            ("Mozilla/5.0 (Linux; Android 10; K) Chrome/131.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
            ("excel-connector/2.1", "excel-connector/2.1"),
            ("", "–"),
        ],
    )
    def test_is_one_that_people_know(self, user_agent, told):
        assert display.browser(user_agent) == told


class TestYourSignIn:
    def test_lists_ones_own_browsers_this_one_first(self, cc_clerk, cc_head):
        here, there = signed_in(cc_clerk), signed_in(cc_clerk, "198.51.100.7", "Chromium")
        signed_in(cc_head)

        found = own(here)

        assert [(one.user_agent, one.is_here) for one in found] == [("Firefox", True), ("Chromium", False)]
        assert there.cookies["sessionid"].value not in here.get(OWN).content.decode()

    def test_ends_one_of_them(self, cc_clerk):
        here, there = signed_in(cc_clerk), signed_in(cc_clerk, program="Chromium")

        answer = here.post(OWN, {"do": "end", "handle": own(here)[1].handle}, follow=True)

        assert pages.told(answer) == [("success", "The session is ended.")]
        assert there.get("/admin/").status_code == 302
        assert [one.is_here for one in own(here)] == [True]

    def test_ends_nobody_elses(self, cc_clerk, cc_head):
        here, of_another = signed_in(cc_clerk), signed_in(cc_head)

        here.post(OWN, {"do": "end", "handle": own(of_another)[0].handle})

        assert of_another.get("/admin/").status_code == 200

    def test_forgets_what_was_ended_everywhere(self, cc_clerk):
        signed_in(cc_clerk)
        accounts.sign_out_everywhere(user=cc_clerk, at=timezone.now())

        assert len(own(signed_in(cc_clerk))) == 1

    def test_keeps_the_session_in_which_the_password_was_changed(self, cc_clerk):
        here, there = signed_in(cc_clerk), signed_in(cc_clerk)
        new = "Tall-ship-sails-9"
        given = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}

        here.post(reverse("admin:password_change"), given)

        assert [one.is_here for one in own(here)] == [True]
        assert there.get("/admin/").status_code == 302


class TestThePageOfAPerson:
    def test_tells_administrators_where_they_are_signed_in(self, administrator, cc_clerk):
        browser = signed_in(cc_clerk)

        page = pages.signed_in(administrator).get(pages.of(cc_clerk)).content.decode()

        assert "203.0.113.9" in page
        assert "Firefox" in page
        assert browser.cookies["sessionid"].value not in page

    def test_tells_nobody_else(self, cc_head, cc_clerk):
        signed_in(cc_clerk)

        page = pages.signed_in(cc_head).get(pages.of(cc_clerk)).content.decode()

        assert "Firefox" not in page


def test_what_expired_is_forgotten(cc_clerk):
    signed_in(cc_clerk)

    accounts.forget_expired_sign_ins(at=timezone.now() + timedelta(days=1))

    assert not BrowserSession.objects.exists()

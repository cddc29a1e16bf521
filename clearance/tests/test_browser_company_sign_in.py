"""Signing in through an OpenID provider as a person does: with a browser, at the provider's own form."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts import provider
from accounts.models import User
from clearance.tests import providers
from clearance.tests.test_browser import VIOLATIONS, browser, needs_chromium  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def elsewhere():
    clerk = {"sub": "clerk", "name": "Khalid Clerk", "email": "cc_clerk@example.com", "email_verified": True}
    new = {"sub": "new", "name": "Noor New", "email": "new@example.com", "email_verified": True}
    with providers.of_other_makers(clerk, new) as url:
        yield url


@pytest.fixture
def page(browser, live_server, elsewhere, settings, cast):  # noqa: F811 - a fixture
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = (
        elsewhere,
        providers.CLIENT_ID,
        "a secret",
    )
    provider._known_here.clear()
    page = browser.new_context(base_url=live_server.url).new_page()
    page.set_default_timeout(15_000)
    page.add_init_script(VIOLATIONS)
    return page


@needs_chromium
@pytest.mark.django_db(transaction=True)
class TestWithABrowser:
    def begin(self, page, url: str) -> None:
        page.goto(url)
        page.get_by_role("link", name="Sign in with the company account").click()

    def test_somebody_known_lands_where_they_wanted_to_go(self, page, cast):
        self.begin(page, reverse("admin:workflow_workflowstep_changelist"))
        page.get_by_role("button", name="clerk").click()

        page.wait_for_selector("#user-tools")
        assert page.url.endswith(reverse("admin:workflow_workflowstep_changelist"))
        assert page.get_by_text("Khalid Clerk").is_visible()
        assert page.evaluate("violations") == []
        assert User.objects.get(pk=cast.cc_clerk.pk).identity_subject == "clerk"

    def test_somebody_new_is_told_to_wait(self, page):
        self.begin(page, reverse("admin:index"))
        page.get_by_role("button", name="new").click()

        page.get_by_role("heading", name="Your account waits for an administrator").wait_for()
        assert page.evaluate("violations") == []

    def test_somebody_who_says_no_can_begin_again(self, page):
        self.begin(page, reverse("admin:index"))
        page.get_by_role("button", name="Deny").click()

        page.get_by_role("link", name="Begin again").or_(page.get_by_role("alert")).first.wait_for()
        assert page.get_by_role("alert").inner_text()
        assert page.evaluate("violations") == []

"""What only a real browser can tell. Chromium is Debian's; without it these tests are skipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from clearance.clock import day_of
from clearance.tests import recipes
from clearance.tests.cast import PASSWORD
from clearance.tests.recipes import COLLECTED
from shipments.models import Shipment
from workflow.models import WorkflowStep

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"There is no {CHROMIUM}: apt install chromium.")


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    # Playwright keeps an event loop in this thread, which Django takes for a sign of asynchronous code.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def shipment(bu_clerk: User) -> Shipment:
    """Ten days past its ETA, with dear containers: its steps are the first that C&C sees."""
    at = timezone.now()
    eta = day_of(at) - timedelta(days=10)
    return recipes.registered(by=bu_clerk, at=at - timedelta(days=40), eta=eta, container_count=9)


def opened(browser: Browser, site: Any, user: User, **options: Any) -> Page:
    """A page of somebody who has just signed in, by keyboard; any error of a script fails the test."""
    page = browser.new_context(base_url=site.url, **options).new_page()
    page.on("pageerror", lambda error: pytest.fail(f"A script failed: {error}"))
    page.goto("/admin/")
    page.keyboard.type(user.email)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#user-tools")
    return page


def completed(step: WorkflowStep) -> bool:
    return WorkflowStep.objects.get(pk=step.pk).completed_by_id is not None


@needs_chromium
@pytest.mark.django_db(transaction=True)
class TestAClerk:
    def test_completes_a_step_in_two_clicks(self, browser, live_server, cc_clerk, shipment):
        step = recipes.step(shipment, COLLECTED)
        page = opened(browser, live_server, cc_clerk)

        page.get_by_role("link", name=f"Complete {step}").click()
        page.get_by_role("button", name="Complete").click()

        page.get_by_text(f"Step {step} is completed.").wait_for()
        assert page.get_by_role("link", name=f"Complete {step}").count() == 0
        assert completed(step)

    def test_completes_a_step_with_the_keyboard_alone(self, browser, live_server, cc_clerk, shipment):
        step = recipes.step(shipment, COLLECTED)
        page = opened(browser, live_server, cc_clerk)

        tab_to(page, f"Complete {step}")
        page.keyboard.press("Enter")
        page.wait_for_selector("#id_actual_date")
        tab_to(page, "Complete")
        page.keyboard.press("Enter")
        page.wait_for_selector(".messagelist .success")

        assert completed(step)

    def test_completes_several_from_the_list(self, browser, live_server, cc_clerk, shipment):
        page = opened(browser, live_server, cc_clerk)
        page.goto(reverse("admin:workflow_workflowstep_changelist"))

        for box in page.locator("#result_list tbody .action-select").all()[:2]:
            box.check()
        page.locator("select[name=action]").select_option("Complete today")
        page.get_by_role("button", name="Go").click()

        page.get_by_text("Complete today: done for 2.").wait_for()
        assert WorkflowStep.objects.filter(completed_by=cc_clerk).count() == 2

    def test_filters_the_list_without_leaving_the_keyboard(self, browser, live_server, bu_head, shipment):
        page = opened(browser, live_server, bu_head)
        page.goto(reverse("admin:shipments_shipment_changelist"))

        page.locator("summary", has_text="Risk").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**risk=near")

        assert page.get_by_text(str(shipment)).first.is_visible()

    @pytest.mark.parametrize("language", ["en", "ar"])
    def test_scrolls_no_page_sideways_on_a_phone(self, browser, live_server, cc_head, shipment, language):
        User.objects.filter(pk=cc_head.pk).update(language=language)
        step = recipes.step(shipment, COLLECTED)
        page = opened(browser, live_server, cc_head, viewport={"width": 390, "height": 844})

        for url in (
            reverse("admin:index"),
            reverse("admin:shipments_shipment_changelist"),
            reverse("admin:shipments_shipment_change", args=[shipment.pk]),
            reverse("admin:workflow_workflowstep_changelist"),
            reverse("admin:workflow_workflowstep_change", args=[step.pk]),
            reverse("admin:workflow_workflowstep_verb", args=["complete"]) + f"?on={step.pk}",
            reverse("admin:workflow_responsibility_add"),
            reverse("admin:accounts_user_changelist"),
        ):
            page.goto(url)
            beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

            assert beyond == 0, url
            assert page.evaluate("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")

    def test_switches_to_arabic_and_back(self, browser, live_server, cc_clerk):
        page = opened(browser, live_server, cc_clerk)

        page.get_by_role("button", name="العربية").click()
        page.wait_for_selector("html[dir=rtl]")
        page.get_by_role("button", name="English").click()
        page.wait_for_selector("html[dir=ltr]")

        assert User.objects.get(pk=cc_clerk.pk).language == "en"


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the link or button of that name has the focus."""
    for _ in range(150):
        page.keyboard.press("Tab")
        focused = page.evaluate("(document.activeElement.value || document.activeElement.innerText || '').trim()")
        if " ".join(focused.split()).casefold() == name.casefold():
            return
    pytest.fail(f"Tab never reaches “{name}”.")


class TestThePills:
    CSS = (settings.BASE_DIR / "static" / "clearance" / "clearance.css").read_text()

    @pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "dark by system"])
    def test_are_readable_in_every_theme(self, theme):
        """WCAG 2.1, 1.4.3: the contrast of text is at least 4.5 : 1."""
        block = re.findall(r"{([^{}]*--pill-grey-bg[^{}]*)}", self.CSS)[theme]
        colours = dict(re.findall(r"--pill-([\w-]+): (#\w{6})", block))
        names = {name.rsplit("-", 1)[0] for name in colours}

        assert names == {"grey", "green", "yellow", "orange", "red", "alarm"}
        for name in names:
            assert contrast(colours[f"{name}-bg"], colours[f"{name}-fg"]) >= 4.5, name


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

"""What only a real browser can tell. Chromium is Debian's; without it these tests are skipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from clearance.clock import day_of
from clearance.tests import pages, recipes
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
        # Those of this thread with an event loop; nobody else finds them.
        connections.close_all()


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
    page.wait_for_selector("#id_username:focus")
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


DEPARTMENTS = ("bu_head", "finance_clerk", "cc_clerk", "storekeeper", "manager", "auditor")
DRAWN = """
    canvas => {
        const {width, height} = canvas;
        return canvas.getContext("2d").getImageData(0, 0, width, height).data.some(value => value > 0);
    }
"""


@needs_chromium
@pytest.mark.django_db(transaction=True)
class TestTheFirstPage:
    @pytest.mark.parametrize("language", ["en", "ar"])
    def test_scrolls_sideways_for_no_department_on_a_phone(self, browser, live_server, cast, shipment, language):
        User.objects.update(language=language)
        page = browser.new_context(base_url=live_server.url, viewport={"width": 390, "height": 844}).new_page()

        for who in DEPARTMENTS:
            cookie = pages.signed_in(getattr(cast, who)).cookies["sessionid"].value
            page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
            page.goto(reverse("admin:index"))

            assert page.locator("#board").is_visible(), who
            beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert beyond == 0, who

    @pytest.mark.parametrize("language", ["en", "ar"])
    def test_draws_its_charts_and_offers_them_as_tables(self, browser, live_server, manager, shipment, language):
        User.objects.filter(pk=manager.pk).update(language=language)
        recipes.record_all_but(shipment, on=shipment.eta + timedelta(days=9), at=timezone.now())
        page = opened(browser, live_server, manager)
        canvases = page.locator("canvas").all()

        assert len(canvases) == 4
        for canvas in canvases:
            assert canvas.evaluate(DRAWN)
            assert canvas.get_attribute("aria-label")
        page.locator(".chart summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator(".chart table").first.locator("tbody tr").count() == 12

    def test_draws_its_charts_anew_in_the_colours_of_the_theme_and_of_paper(
        self, browser, live_server, bu_head, shipment
    ):
        recipes.registered(by=bu_head, eta=day_of(timezone.now()) + timedelta(days=2))
        page = opened(browser, live_server, bu_head)
        picture = "document.querySelector('canvas').toDataURL()"

        light = page.evaluate(picture)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"light => {picture} !== light", arg=light)
        dark = page.evaluate(picture)
        page.emulate_media(color_scheme="dark", media="print")
        page.wait_for_function(f"dark => {picture} !== dark", arg=dark)

    def test_leads_to_its_parts_by_the_keyboard(self, browser, live_server, cc_clerk, shipment):
        page = opened(browser, live_server, cc_clerk)

        tab_to(page, "Bayan, payment and collection")
        page.keyboard.press("Enter")
        page.wait_for_url("**/admin/#board")
        page.keyboard.press("Tab")

        assert page.evaluate("document.activeElement.closest('.board') !== null")


VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", event => {
        // ReDoc shows its maker's logo from its maker's server, and can't be told not to: the policy keeps it out.
        if (event.blockedURI.startsWith("https://cdn.redoc.ly/")) return;
        window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
    });
"""


@needs_chromium
@pytest.mark.django_db(transaction=True)
class TestTheContentSecurityPolicy:
    def test_is_broken_by_no_page(self, browser, live_server, cast, shipment):
        step = recipes.step(shipment, COLLECTED)
        page = browser.new_context(base_url=live_server.url).new_page()
        page.add_init_script(VIOLATIONS)
        page.on("pageerror", lambda error: pytest.fail(f"A script failed: {error}"))

        page.set_default_timeout(15_000)

        for who, url, shows in (
            ("manager", reverse("admin:index"), "canvas"),
            ("cc_head", reverse("admin:shipments_shipment_changelist"), "#result_list"),
            ("cc_head", reverse("admin:shipments_shipment_change", args=[shipment.pk]), ".timeline"),
            ("cc_head", reverse("admin:shipments_shipment_history", args=[shipment.pk]), "#content"),
            (
                "cc_head",
                reverse("admin:workflow_workflowstep_verb", args=["complete"]) + f"?on={step.pk}",
                "form .vDateField",
            ),
            ("cc_head", reverse("admin:accounts_absence_add"), ".datetimeshortcuts"),
            ("administrator", reverse("admin:accounts_user_add"), "#id_email"),
            ("auditor", reverse("admin:audit_auditentry_changelist"), "#changelist"),
            ("auditor", "/api/v1/docs", "#swagger-ui .opblock"),
            ("auditor", "/api/v1/redoc", "[data-section-id]"),
            ("auditor", "/api/v1/shipments", ".response-info"),
        ):
            cookie = pages.signed_in(getattr(cast, who)).cookies["sessionid"].value
            page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
            answer = page.goto(url)
            page.wait_for_selector(shows)

            assert "default-src 'self'" in answer.headers["content-security-policy"], url
            assert page.evaluate("violations") == [], url

    def test_keeps_a_script_in_a_page_from_running(self, browser, live_server, administrator):
        page = opened(browser, live_server, administrator)

        with page.expect_console_message(lambda line: "Content Security Policy" in line.text):
            page.evaluate(
                "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'}))"
            )

        assert page.evaluate("window.ran") is None

    def test_leaves_the_date_picker_working(self, browser, live_server, cc_head):
        page = opened(browser, live_server, cc_head)
        page.goto(reverse("admin:accounts_absence_add"))

        page.locator(".datetimeshortcuts a").first.click()

        assert page.locator("#id_starts_on").input_value()


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

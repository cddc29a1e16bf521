"""What a hostile text of a clerk does to an administrator who looks at a mail: in a real browser, nothing."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from accounts.models import Override, User
from alerts.models import Alert
from alerts.tests import late
from clearance.tests import pages
from clearance.tests.test_browser import browser, needs_chromium, opened  # noqa: F401 - a fixture
from outbox.models import Message
from shipments.models import Shipment

MARKUP = "[formaction], [form='logout-form']:not(#logout-form *), meta[http-equiv='refresh']"


@pytest.fixture
def message(bu_clerk, cast) -> Message:
    """A mail about a shipment whose texts would give away a right at a click, or lead elsewhere without any."""
    right = Permission.objects.get(content_type__app_label="metrics", codename="view_metric")
    given = (
        f"<input form=logout-form name=permission value={right.pk}><input form=logout-form name=is_granted value=True>"
    )
    gift = pages.verb("override", bu_clerk)
    User.objects.filter(pk=cast.cc_clerk.pk).update(
        full_name=f"</pre><button form=logout-form formaction={gift}>A gift</button>"
    )
    late.shipment(
        by=bu_clerk,
        days=5,
        principal=f"</pre>{given}",
        brand="<input form=logout-form name=reason value=x>",
        vessel="<meta http-equiv=refresh content='0;url=/admin/password_change/'>",
    )
    late.sweep()
    return Alert.objects.filter(recipient_user=cast.cc_clerk).latest("pk").outbox_message


@pytest.fixture
def page(browser, live_server, administrator):  # noqa: F811 - a fixture
    return opened(browser, live_server, administrator)


@needs_chromium
@pytest.mark.django_db(transaction=True)
class TestAnAdministratorWhoLooksAtAMail:
    def test_sees_the_text_as_it_was_typed_and_has_nothing_to_click_on(self, page, message):
        page.goto(pages.of(message))
        page.locator("summary", has_text="As plain text").first.click()

        plain = page.locator("pre").first
        assert "<button form=logout-form" in plain.inner_text()
        assert "</pre><input form=logout-form name=permission" in plain.inner_text()
        assert page.get_by_role("button", name="A gift").count() == 0
        assert page.locator(MARKUP).count() == 0
        frames = [frame for frame in page.frames if frame.parent_frame]
        assert len(frames) == 2
        for frame in frames:
            assert frame.get_by_text("A gift").count() == 1
            assert frame.locator(f"button, input, form, {MARKUP}").count() == 0
        assert not Override.objects.exists()

    def test_stays_where_they_are(self, page, message):
        brand = "</pre><meta http-equiv=refresh content='0;url=/admin/password_change/'>"
        Shipment.objects.update(brand=brand)

        for address in (
            pages.of(message),
            reverse("admin:outbox_message_preview", args=[message.pk, "en"]),
            reverse("admin:shipments_shipment_changelist"),
            reverse("admin:index"),
        ):
            page.goto(address)
            page.wait_for_timeout(700)

            assert page.url.endswith(address)
            assert page.locator(MARKUP).count() == 0

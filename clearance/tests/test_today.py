from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from clearance.clock import day_of
from clearance.tests import pages, recipes
from shipments.models import Shipment

pytestmark = pytest.mark.django_db


@pytest.fixture
def today():
    return day_of(timezone.now())


def arriving(by: User, *, days: int, **changed) -> Shipment:
    """A shipment whose ETA lies so many days ahead; registered long ago, where that is in the past."""
    at = timezone.now() - timedelta(days=60)
    return recipes.registered(by=by, at=at, eta=day_of(timezone.now()) + timedelta(days=days), **changed)


class TestTheFirstPage:
    def test_shows_my_steps_by_money_at_risk_and_then_by_date(self, cc_clerk, bu_clerk):
        arriving(bu_clerk, days=-9, container_count=1)
        dear = arriving(bu_clerk, days=-10, container_count=8)

        page = pages.signed_in(cc_clerk).get("/admin/")

        steps = page.context["my_steps"]
        mine = [step for step in steps if step.shipment == dear]
        assert steps[: len(mine)] == mine
        assert [step.target_date for step in mine] == sorted(step.target_date for step in mine)
        assert all("Complete" in {str(button.label) for button in step.buttons} for step in steps)

    def test_counts_what_is_overdue_due_today_and_soon(self, cc_clerk, bu_clerk, today):
        arriving(bu_clerk, days=0)

        counts = pages.signed_in(cc_clerk).get("/admin/").context["counts"]

        # C&C: 3.4, 6.2 and 8.0 before the arrival, 9.0 on its day, 10.0 to 14.0 within seven days, 15.0 on the eighth.
        assert counts == {"overdue": 3, "due_today": 1, "due_this_week": 4, "others": 1}

    def test_shows_shipments_near_demurrage_to_everybody_who_sees_them(self, auditor, bu_clerk, stranger, cast):
        near = arriving(bu_clerk, days=-4, division=cast.tyres)
        arriving(bu_clerk, days=-3)

        assert pages.signed_in(auditor).get("/admin/").context["near_demurrage"] == [near]
        assert pages.signed_in(stranger).get("/admin/").context["near_demurrage"] == []

    def test_says_so_when_nothing_waits(self, cc_clerk):
        page = pages.signed_in(cc_clerk).get("/admin/")

        assert "Nothing waits for you" in page.text
        assert "no demurrage threatens today" in page.text

    def test_has_no_list_of_steps_for_those_who_complete_none(self, auditor):
        assert "My steps" not in pages.signed_in(auditor).get("/admin/").text

    def test_tells_a_person_without_a_role_whom_to_ask(self, db):
        nobody = User.objects.create(email="new@example.com", full_name="Noor Newcomer")

        assert "you have no role yet" in pages.signed_in(nobody).get("/admin/").text

    @pytest.mark.parametrize("who", ["cc_clerk", "cc_head", "bu_clerk", "auditor", "administrator"])
    def test_needs_few_queries(self, cast, who, bu_clerk, django_assert_max_num_queries):
        for _ in range(3):
            arriving(bu_clerk, days=-6)
        client = pages.signed_in(getattr(cast, who))

        with django_assert_max_num_queries(13):
            client.get("/admin/")

    def test_and_every_other_page_has_no_script_or_style_of_its_own(self, cc_head, bu_clerk):
        shipment = arriving(bu_clerk, days=2)
        client = pages.signed_in(cc_head)
        for url in (
            "/admin/",
            pages.list_of(Shipment),
            pages.of(shipment),
            pages.verb("complete", shipment.steps.first()),
        ):
            text = client.get(url).text

            assert " style=" not in text
            assert "<style" not in text
            assert "<script>" not in text
            assert " onclick=" not in text

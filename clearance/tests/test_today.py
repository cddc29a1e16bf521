from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from alerts.tests import late
from clearance.clock import day_of
from clearance.tests import pages, recipes
from metrics import pages as metrics_pages
from shipments.models import Shipment
from workflow.pages import my_day

pytestmark = pytest.mark.django_db


@pytest.fixture
def today():
    return day_of(timezone.now())


def arriving(by: User, *, days: int, **changed) -> Shipment:
    """A shipment whose ETA lies so many days ahead; registered long ago, where that is in the past."""
    at = timezone.now() - timedelta(days=60)
    return recipes.registered(by=by, at=at, eta=day_of(timezone.now()) + timedelta(days=days), **changed)


def statements(client: Client) -> int:
    """How many the page takes; savepoints are those of the test's own transaction."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/admin/").status_code == 200
    return sum(not one["sql"].startswith(("SAVEPOINT", "RELEASE")) for one in captured)


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

    def test_shows_what_can_be_done_now_apart_from_what_waits_for_others(self, cc_clerk, bu_clerk):
        shipment = arriving(bu_clerk, days=-6)
        recipes.record_all_but(shipment, "12.0", "13.0", "14.0", "16.0", at=timezone.now(), on=shipment.eta)

        page = pages.signed_in(cc_clerk).get("/admin/")

        assert [str(step) for step in page.context["my_steps"]] == ["12.0 Original bill of lading surrendered"]
        assert [str(step) for step in page.context["waiting"]] == ["14.0 Goods collected from port"]

    def test_says_who_waits_for_me_and_for_whom_i_wait(self, cc_clerk, bu_clerk):
        shipment = arriving(bu_clerk, days=-8)
        recipes.record_all_but(shipment, "12.0", "13.0", "14.0", "16.0", at=timezone.now(), on=shipment.eta)

        text = pages.words(pages.signed_in(cc_clerk).get("/admin/").text)

        assert "Finance 13.0 Delivery order paid" in text  # waits for 12.0
        assert "13.0 Delivery order paid 2 days late Finance · Faisal Clerk" in text  # 14.0 waits for it

    def test_says_so_when_all_that_is_left_waits_for_others(self, storekeeper, bu_clerk):
        arriving(bu_clerk, days=-6)

        page = pages.signed_in(storekeeper).get("/admin/")

        assert page.context["my_steps"] == []
        assert "your steps of the next seven days wait for others" in page.text

    def test_finds_what_can_be_done_behind_whatever_waits(self, storekeeper, bu_clerk, monkeypatch):
        monkeypatch.setattr(my_day, "MOST_READ", 2)
        collected = arriving(bu_clerk, days=-6)
        recipes.record(collected, {"14.0": collected.eta}, at=timezone.now())
        arriving(bu_clerk, days=-9, container_count=9)  # three steps of Stores, which cost more

        page = pages.signed_in(storekeeper).get("/admin/")

        assert page.context["my_steps"] == [recipes.step(collected, "16.0")]
        assert len(page.context["waiting"]) == 1
        assert "wait for others" not in page.text

    def test_puts_the_steps_of_cleared_shipments_last(self, storekeeper, bu_clerk):
        cleared, other = (arriving(bu_clerk, days=-9, container_count=count) for count in (9, 1))
        recipes.record(cleared, dict.fromkeys(("9.0", "10.0", "11.0", "13.0", "14.0"), cleared.eta), at=timezone.now())
        recipes.record(other, {"14.0": other.eta}, at=timezone.now())

        steps = pages.signed_in(storekeeper).get("/admin/").context["my_steps"]

        assert [step.shipment for step in steps] == [other, cleared]

    def test_says_how_many_near_demurrage_it_leaves_out(self, auditor, bu_clerk, monkeypatch):
        for days in (-4, -5, -6):
            arriving(bu_clerk, days=days)
        client = pages.signed_in(auditor)
        assert "those that cost most." not in client.get("/admin/").text

        monkeypatch.setattr(metrics_pages, "OVERSEEN", 2)

        assert "2 of 3: those that cost most." in client.get("/admin/").text
        assert len(client.get(pages.list_of(Shipment), {"risk": "near"}).context["cl"].result_list) == 3

    def test_says_so_when_nothing_waits(self, cc_clerk):
        page = pages.signed_in(cc_clerk).get("/admin/")

        assert "Nothing waits for you" in page.text
        assert "no demurrage threatens today" in page.text

    def test_has_no_list_of_steps_for_those_who_complete_none(self, auditor):
        assert "My steps" not in pages.signed_in(auditor).get("/admin/").text

    def test_tells_a_person_without_a_role_whom_to_ask(self, db):
        nobody = User.objects.create(email="new@example.com", full_name="Noor Newcomer")

        assert "you have no role yet" in pages.signed_in(nobody).get("/admin/").text

    @pytest.mark.parametrize(
        ("who", "first", "then"),
        [
            ("bu_clerk", 8, 8),
            ("finance_clerk", 12, 12),
            ("cc_clerk", 12, 12),
            ("cc_head", 10, 10),
            ("storekeeper", 11, 11),
            ("manager", 13, 6),  # six figures and their preparation; then they are kept
            ("auditor", 11, 11),
            ("administrator", 7, 7),
        ],
    )
    def test_needs_few_statements(self, cast, who, first, then, bu_clerk):
        for _ in range(7):
            late.shipment(by=bu_clerk, days=6, left_open=("10.0", "11.0", "13.0", "16.0"))
        late.sweep()
        client = pages.signed_in(getattr(cast, who))

        assert [statements(client) for _ in range(2)] == [first, then]

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

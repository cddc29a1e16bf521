from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import User
from alerts.tests import late
from audit import services as audit
from clearance.clock import day_of
from clearance.tests import pages, recipes
from metrics.selectors import boards
from outbox.models import Carrier
from shipments.models import Shipment

pytestmark = pytest.mark.django_db

TITLES = {
    "bu_clerk": "ETAs and risk",
    "finance_clerk": "LC, DAN and funding",
    "cc_clerk": "Bayan, payment and collection",
    "storekeeper": "Receipts and claims",
    "manager": "Indicators of the last twelve months",
    "auditor": "What is late, and whether the watch is kept",
}


@pytest.fixture(autouse=True)
def every_rung_on_its_own_day(settings):
    settings.ALERTS_PULL_FORWARD = False


def arriving(by: User, *, days: int, **changed: Any) -> Shipment:
    """A shipment whose ETA lies so many days ahead; registered long ago, where that is in the past."""
    at = timezone.now() - timedelta(days=60)
    return recipes.registered(by=by, at=at, eta=day_of(timezone.now()) + timedelta(days=days), **changed)


def board(user: User) -> dict[str, Any]:
    return pages.signed_in(user).get("/admin/").context["board"]


def facts(user: User) -> dict[str, Any]:
    return {fact.told: fact.figure for fact in board(user)["facts"]}


def drawn(page: Any) -> list[dict[str, Any]]:
    """What the scripts of the page will draw."""
    found = re.findall(r'<script id="[\w-]+-data" type="application/json">(.*?)</script>', page.text)
    return [json.loads(data) for data in found]


class TestABoard:
    @pytest.mark.parametrize("who", TITLES)
    def test_is_for_its_department_alone(self, cast, bu_clerk, who):
        arriving(bu_clerk, days=-5)

        page = pages.signed_in(getattr(cast, who)).get("/admin/")

        assert [title for title in TITLES.values() if f'<h2 id="board">{title}</h2>' in page.text] == [TITLES[who]]

    def test_is_for_people_of_a_department(self, administrator):
        page = pages.signed_in(administrator).get("/admin/")

        assert "board" not in page.context
        assert "chart" not in page.text

    @pytest.mark.parametrize(
        ("who", "sentences"),
        [
            ("bu_clerk", ["No active shipment is left to clear.", "No shipment arrives in the next fourteen days."]),
            ("finance_clerk", ["No paper is open at the bank", "No open shipment requires funds"]),
            ("cc_clerk", ["Nothing is to be declared, paid or collected"]),
            ("storekeeper", ["Everything that was collected has been received", "No receipt is expected"]),
            ("manager", ["free time has ended in the last twelve months", "No step was delayed"]),
            ("auditor", ["No step of an active shipment is overdue.", "It has never run."]),
        ],
    )
    def test_says_in_words_that_there_is_nothing(self, cast, who, sentences):
        page = pages.signed_in(getattr(cast, who)).get("/admin/")

        for sentence in sentences:
            assert sentence in page.text
        assert "<canvas" not in page.text

    @pytest.mark.parametrize("who", ["bu_clerk", "finance_clerk", "cc_clerk", "storekeeper", "auditor", "manager"])
    def test_leaves_out_the_shipments_of_other_divisions(self, cast, who):
        hidden = arriving(cast.bu_alternate, days=-5, division=cast.vehicles)
        user = getattr(cast, who)
        user.divisions.add(cast.tyres)
        empty = board(user)

        arriving(cast.bu_alternate, days=-9, division=cast.vehicles)
        cache.key_prefix = "asked-afresh"

        assert pages.signed_in(user).get("/admin/").text.count(str(hidden)) == 0
        assert {**board(user), "states": None} == {**empty, "states": None}


class TestTheBusinessUnits:
    def test_tells_the_health_of_the_etas(self, bu_clerk):
        arriving(bu_clerk, days=-1)
        Shipment.objects.filter(pk=arriving(bu_clerk, days=2).pk).update(eta_edit_count=3)

        assert facts(bu_clerk) == {
            "ETA passed, arrival not recorded": 1,
            "with a changed ETA": 1,
            "whose ETA can’t be changed any more": 1,
        }

    def test_leads_from_every_figure_to_as_many_shipments(self, cast, bu_clerk):
        for days in (-9, -9, -5, -4, 2):
            arriving(bu_clerk, days=days, division=cast.tyres)
        arriving(bu_clerk, days=-4)
        Shipment.objects.filter(pk=arriving(bu_clerk, days=3).pk).update(eta_edit_count=3)
        client = pages.signed_in(bu_clerk)

        shown = board(bu_clerk)
        places = [place for division in shown["divisions"] for place in division["places"]]
        figures = [(fact.url, fact.figure) for fact in shown["facts"]]
        figures += [(place["url"], place["shipments"]) for place in places]

        assert len(figures) == 3 + 2 * 6
        for url, figure in figures:
            assert len(client.get(url).context["cl"].result_list) == figure, url

    def test_is_warmer_where_more_shipments_are_late(self, cast, bu_clerk):
        for days in (-9, -9, -9, -9, -5):
            arriving(bu_clerk, days=days)

        heat = [place["heat"] for place in board(bu_clerk)["divisions"][0]["places"]]

        assert heat == [0, 0, 0, 1, 0, 4]

    def test_draws_the_arrivals_and_says_the_same_in_a_table(self, bu_clerk):
        for days in (1, 1, 5):
            arriving(bu_clerk, days=days)

        page = pages.signed_in(bu_clerk).get("/admin/")

        (chart,) = drawn(page)
        assert chart["kind"] == "bar"
        assert chart["series"] == [{"name": "Shipments", "values": [0, 2, 0, 0, 0, 1] + 8 * [0]}]
        assert [values for _, values in board(bu_clerk)["chart"].rows] == [
            [str(int(value))] for value in chart["series"][0]["values"]
        ]
        assert "3 shipments arrive in the next fourteen days." in page.text


class TestFinances:
    def test_leads_from_every_figure_to_as_many_steps(self, finance_clerk, bu_clerk):
        for days in (2, 15, 20, 22, 40):
            arriving(bu_clerk, days=days)
        client = pages.signed_in(finance_clerk)

        places = [place for row in board(finance_clerk)["rows"] for place in row["places"]]

        assert {place["steps"] for place in places} > {0, 1, 2}
        for place in places:
            assert len(client.get(place["url"]).context["cl"].result_list) == place["steps"], place["url"]

    def test_tells_the_money_that_is_late(self, finance_clerk, bu_clerk):
        arriving(bu_clerk, days=-2, invoice_amount_omr=1000)

        assert facts(finance_clerk)["OMR overdue for open shipments"] == "110.000"


class TestCustoms:
    def test_leads_to_the_steps_to_be_done(self, cc_clerk, bu_clerk):
        shipment = arriving(bu_clerk, days=0)

        page = pages.signed_in(cc_clerk).get("/admin/")

        assert pages.of(recipes.step(shipment, "9.0")) in page.text
        assert page.context["board"]["days"][0]["told"] != "Overdue"

    def test_tells_how_late_overdue_ones_are(self, cc_clerk, bu_clerk):
        arriving(bu_clerk, days=-3)

        (overdue, *_) = board(cc_clerk)["days"]

        assert overdue["told"] == "Overdue"
        assert [step["days_late"] for place in overdue["places"] for step in place["steps"]] == [3]

    def test_leads_from_every_place_to_all_of_its_steps(self, cc_clerk, bu_clerk, monkeypatch):
        monkeypatch.setattr(boards, "MOST_NAMED", 2)
        for days in (-9, -9, -4, -3, 0, 0, 2):
            arriving(bu_clerk, days=days)
        begun = arriving(bu_clerk, days=-9)
        recipes.record(begun, {"9.0": begun.eta}, at=timezone.now())
        client = pages.signed_in(cc_clerk)

        places = [place for day in board(cc_clerk)["days"] for place in day["places"]]

        assert {(len(place["steps"]), place["more"]) for place in places} == {(0, 0), (1, 0), (2, 0), (2, 2)}
        for place in places:
            total = len(place["steps"]) + place["more"]
            assert len(client.get(place["url"]).context["cl"].result_list) == total, place["url"]


class TestStores:
    def test_names_what_is_to_be_received(self, storekeeper, bu_clerk):
        shipment = arriving(bu_clerk, days=-6)
        recipes.record(shipment, {"14.0": shipment.eta}, at=timezone.now())

        (group,) = board(storekeeper)["groups"]

        assert (group["title"], group["total"]) == ("Collected, not received yet", 1)
        assert group["steps"][0]["number"] == str(shipment)

    def test_leads_from_every_figure_to_as_many_steps(self, storekeeper, bu_clerk):
        for days in (-6, -9, -9, -7, 2, 5, 6):
            arriving(bu_clerk, days=days)
        for done in (("14.0",), ("14.0",), ("14.0", "16.0")):
            shipment = arriving(bu_clerk, days=-6, container_count=2)
            recipes.record(shipment, dict.fromkeys(done, shipment.eta), at=timezone.now())
        client = pages.signed_in(storekeeper)

        shown = board(storekeeper)

        facts = {fact.told: fact for fact in shown["facts"]}
        expected = sum(int(values[0]) for _, values in shown["chart"].rows)
        figures = [(facts["collected, not received yet"].url, 2), (facts["due here already, still at the port"].url, 2)]
        figures += [(facts["containers expected in the next fourteen days"].url, expected)]
        figures += [(group["url"], group["total"]) for group in shown["groups"]]
        assert [
            facts[told].figure for told in ("collected, not received yet", "due here already, still at the port")
        ] == [2, 2]
        assert [group["total"] for group in shown["groups"]] == [2, 1, 1]
        assert expected == facts["shipments among them with an unknown number, counted as one"].figure == 4
        for url, figure in figures:
            assert len(client.get(url).context["cl"].result_list) == figure, url


class TestManagements:
    def test_tells_the_indicators_of_a_year(self, manager, bu_clerk):
        in_time, late_one = (arriving(bu_clerk, days=-20, container_count=2) for _ in range(2))
        recipes.record_all_but(in_time, on=in_time.eta + timedelta(days=6), at=timezone.now())
        recipes.record_all_but(late_one, on=late_one.eta + timedelta(days=9), at=timezone.now())

        found = facts(manager)

        assert found["on time"] == "50.0 %"
        assert found["days to clear (median)"] == "7.5"
        assert found["OMR demurrage incurred"] == "153.848"  # two containers, two days
        assert found["OMR demurrage avoided"] == "153.848"

    def test_draws_twelve_months_with_what_was_incurred_and_avoided(self, manager, bu_clerk):
        shipment = arriving(bu_clerk, days=-20)
        recipes.record_all_but(shipment, on=shipment.eta + timedelta(days=9), at=timezone.now())

        charts = drawn(pages.signed_in(manager).get("/admin/"))

        assert [chart["kind"] for chart in charts] == ["line", "line", "bar", "stacked"]
        assert {len(chart["labels"]) for chart in charts[:3]} == {12}
        assert [series["name"] for series in charts[2]["series"]] == ["incurred", "avoided"]

    def test_leads_to_the_reports_and_the_workbooks(self, manager, shipment):
        client = pages.signed_in(manager)

        shown = board(manager)

        assert len(shown["reports"]) == 2
        assert len(shown["exports"]) == 4
        for _, url in (*shown["reports"], *shown["exports"]):
            assert client.get(url).status_code == 200, url

    def test_shows_more_of_the_demurrage_clock_than_others_see(self, manager, bu_clerk):
        for _ in range(12):
            arriving(bu_clerk, days=-8)

        assert len(pages.signed_in(bu_clerk).get("/admin/").context["near_demurrage"]) == 10
        assert len(pages.signed_in(manager).get("/admin/").context["near_demurrage"]) == 12

    def test_leads_to_as_many_shipments_as_the_figures_are_about(self, manager, bu_clerk):
        for days in (-20, -20, -9, -7):
            recipes.record_all_but(arriving(bu_clerk, days=days), at=timezone.now())
        Shipment.objects.filter(pk=arriving(bu_clerk, days=-20).pk).update(status="cancelled", cancel_reason="lost")
        client = pages.signed_in(manager)

        shown = board(manager)["facts"]

        counts = {fact.told: len(client.get(fact.url).context["cl"].result_list) for fact in shown}
        assert counts == {
            "on time": 3,
            "days to clear (median)": 4,
            "OMR demurrage incurred": 3,
            "OMR demurrage avoided": 3,
        }


class TestInternalAudits:
    def test_counts_the_open_alerts(self, auditor, bu_clerk):
        late.shipment(by=bu_clerk, days=7)
        late.shipment(by=bu_clerk, days=4)
        late.sweep()

        assert facts(auditor) == {
            "steps alerted and still open": 2,
            "of them urgent": 1,
            "without any answer": 2,
            "with a broken promise": 0,
        }

    def test_tells_that_the_machinery_is_in_order(self, auditor, bu_clerk):
        late.shipment(by=bu_clerk, days=4)
        late.sweep()
        audit.seal(at=late.now())

        states = {state.name: state for state in board(auditor)["states"]}

        assert all(state.is_well for state in states.values())
        assert "Shipments looked at: 1, alerts raised: 1, of them late: 0." in states["Sweep"].told
        assert states["Mail"].told == "Mails waiting: 1, refused for good: 0."
        assert "entries waiting for a seal: 2. Newest seal: 1, of" in states["Trail"].told

    def test_tells_that_nothing_was_ever_sealed(self, auditor):
        (trail,) = (state for state in board(auditor)["states"] if state.name == "Trail")

        assert not trail.is_well
        assert trail.told.endswith("Nothing was ever sealed.")

    def test_tells_that_the_mail_server_is_down(self, auditor):
        Carrier.objects.create(channel="mail", down_since=late.now(), next_probe_at=late.now(), last_failure="refused")

        (mail,) = (state for state in board(auditor)["states"] if state.name == "Mail")

        assert not mail.is_well
        assert "has not answered since" in mail.told

    def test_leads_to_the_overdue_steps(self, auditor, bu_clerk):
        late.shipment(by=bu_clerk, days=6, left_open=("11.0", "13.0"))
        client = pages.signed_in(auditor)

        rows = board(auditor)["departments"]

        assert rows
        for row in rows:
            assert len(client.get(row["url"]).context["cl"].result_list) == row["steps"]

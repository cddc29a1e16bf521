from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clearance.clock import day_of
from clearance.tests.callers import error_of, fields_of, signed_in
from clearance.tests.test_api_document import require_kept
from metrics.tests import histories
from metrics.tests.histories import Past, done_by

METRICS = "/api/v1/metrics"
NAMES = ("clearance-time", "on-time-rate", "demurrage-savings", "delayed-steps")

pytestmark = pytest.mark.django_db


@pytest.fixture
def today():
    return day_of(timezone.now())


@pytest.fixture(autouse=True)
def _a_past(today):
    """One on time, one late with 3 containers, one late and open without a container count."""
    eta = today - timedelta(days=20)
    pasts = [
        Past(eta=eta, done=done_by(6), containers=2),
        Past(eta=eta, done=done_by(9), containers=3),
        Past(eta=eta, done=done_by(5, but="6.0"), containers=None),
    ]
    histories.write(pasts, facts=histories.procedure(), on=today)


@pytest.fixture
def client(manager):
    return signed_in(manager)


def told(answer) -> dict:
    assert answer.status_code == 200, answer.content
    return answer.json()


class TestTheMetrics:
    @pytest.mark.parametrize("name", NAMES)
    def test_are_as_the_document_promises(self, client, name):
        require_kept(client.get(f"{METRICS}/{name}"), "get", f"/metrics/{name}")
        require_kept(client.get(f"{METRICS}/{name}", {"department": "Stores"}), "get", f"/metrics/{name}")

    def test_time_the_clearing(self, client):
        answer = told(client.get(f"{METRICS}/clearance-time"))

        assert answer["end_to_end"] == {"shipments": 2, "average_days": 7.5, "median_days": 7.5, "p90_days": 8.7}
        assert [one["department"] for one in answer["departments"]] == ["BusinessUnit", "Finance", "C&C", "Stores"]

    def test_tell_who_was_on_time(self, client, today):
        answer = told(client.get(f"{METRICS}/on-time-rate"))

        assert answer["inputs"] == {
            "from": (today - timedelta(days=89)).isoformat(),
            "to": today.isoformat(),
            "department": None,
            "as_of": today.isoformat(),
        }
        assert {name: answer[name] for name in ("judged", "on_time", "late", "still_open", "not_judged")} == {
            "judged": 3,
            "on_time": 1,
            "late": 2,
            "still_open": 1,
            "not_judged": 0,
        }
        assert answer["on_time_percent"] == 33.3
        assert "ETA plus 7" in answer["definition"]

    def test_reckon_demurrage_in_rials(self, client):
        answer = told(client.get(f"{METRICS}/demurrage-savings"))

        # 3 containers × 2 days; 2 containers × the mean of 2 and 13 days.
        assert answer["incurred_omr"] == "230.772"
        assert answer["inputs"]["counterfactual_days"] == 7.5
        assert answer["inputs"]["counterfactual_is"] == "computed"
        assert answer["savings_omr"] == "576.930"
        assert answer["late"]["containers_unknown"] == 1

    def test_reckon_with_the_delay_that_is_set(self, client, settings):
        settings.DEMURRAGE_COUNTERFACTUAL_DAYS = Decimal(2)

        answer = told(client.get(f"{METRICS}/demurrage-savings"))

        assert (answer["inputs"]["counterfactual_days"], answer["inputs"]["counterfactual_is"]) == (2.0, "set")
        assert answer["savings_omr"] == "153.848"

    def test_list_delayed_steps_page_by_page(self, client):
        first = told(client.get(f"{METRICS}/delayed-steps", {"page_size": 4}))
        pages, answer = [first["results"]], first
        while answer["next"]:
            answer = told(client.get(answer["next"]))
            pages.append(answer["results"])

        steps = [step for page in pages for step in page]
        assert [len(page) for page in pages] == [4, 4, 4, 1]
        assert len({step["id"] for step in steps}) == len(steps) == first["count"]
        assert steps[0]["delay_days"] == max(step["delay_days"] for step in steps)
        assert parse_qs(urlsplit(answer["previous"]).query)["page"] == ["3"]
        assert first["previous"] is None

    def test_tell_their_links(self, client, today):
        links = told(client.get(f"{METRICS}/on-time-rate", {"department": "C&C"}))["links"]

        assert len(told(client.get(links["shipments"]))["results"]) == 3
        assert urlsplit(links["export"]).path == "/admin/metrics/export/on-time-rate.xlsx"
        assert parse_qs(urlsplit(links["export"]).query)["department"] == ["C&C"]
        cleared = told(client.get(f"{METRICS}/clearance-time"))["links"]["shipments"]
        assert len(told(client.get(cleared))["results"]) == 2

    @pytest.mark.parametrize("name", NAMES)
    def test_lead_to_as_many_shipments_as_they_are_about(self, client, today, name):
        eta = today - timedelta(days=20)
        gone = [Past(eta=eta, done=done_by(9), is_cancelled=True), Past(eta=eta, done=done_by(9), is_deleted=True)]
        histories.write(gone, facts=histories.procedure(version=2), on=today)

        answer = told(client.get(f"{METRICS}/{name}"))

        figure = {
            "clearance-time": lambda: answer["end_to_end"]["shipments"],
            "on-time-rate": lambda: answer["judged"] + answer["not_judged"],
            "demurrage-savings": lambda: answer["late"]["shipments"] + answer["on_time"]["shipments"],
            "delayed-steps": lambda: len({step["shipment"] for step in answer["results"]}),
        }[name]()
        assert told(client.get(answer["links"]["shipments"]))["count"] == figure

    @pytest.mark.parametrize("name", NAMES)
    def test_cost_one_statement_beside_the_sign_in_and_then_none(self, client, name):
        counts = []
        for _ in range(2):
            with CaptureQueriesContext(connection) as captured:
                told(client.get(f"{METRICS}/{name}"))
            own = [one["sql"] for one in captured if "shipments_shipment" in one["sql"]]
            counts.append((len(own), sum("accounts_signin" in one["sql"] for one in captured)))

        listed = 1 if name == "delayed-steps" else 0
        assert counts == [(1 + listed, 1), (0, 1)]
        assert len(captured) == 1

    def test_reckon_with_the_day_in_muscat(self, manager, monkeypatch):
        at = datetime(2026, 3, 14, 20, 30, tzinfo=UTC)  # half past midnight of the 15th there
        monkeypatch.setattr(timezone, "now", lambda: at)

        answer = told(signed_in(manager).get(f"{METRICS}/on-time-rate"))

        assert answer["inputs"]["as_of"] == answer["inputs"]["to"] == "2026-03-15"


class TestARequest:
    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"from": "2026-02-30"}, "from"),
            ({"from": "01/02/2026"}, "from"),
            ({"from": "0001-01-03", "to": "2000-01-01"}, "from"),
            ({"to": "0001-01-03"}, "to"),
            ({"to": "9999-12-31"}, "to"),
            ({"to": "tomorrow"}, "to"),
            ({"from": "2026-02-02", "to": "2026-02-01"}, "to"),
            ({"from": "2025-01-01", "to": "2026-01-02"}, "to"),
            ({"department": "IA"}, "department"),
            ({"department": "Kitchen"}, "department"),
            ({"since": "2026-01-01"}, "since"),
        ],
    )
    @pytest.mark.parametrize("name", NAMES)
    def test_that_makes_no_sense_is_refused_by_its_field(self, client, name, given, field):
        assert fields_of(client.get(f"{METRICS}/{name}", given)) == {field}

    @pytest.mark.parametrize("given", [{"page": 0}, {"page": "x"}, {"page_size": 201}, {"page_size": 0}])
    def test_for_no_page_is_refused(self, client, given):
        assert fields_of(client.get(f"{METRICS}/delayed-steps", given)) == set(given)

    @pytest.mark.parametrize("name", NAMES)
    def test_for_another_departments_figures_is_forbidden(self, cc_clerk, name):
        answer = signed_in(cc_clerk).get(f"{METRICS}/{name}", {"department": "Finance"})

        error = error_of(answer, 403)
        assert error["code"] == "FIGURES_OF_ANOTHER_DEPARTMENT"
        assert "Customs & Clearance" in error["message"]

    @pytest.mark.parametrize("name", NAMES)
    def test_of_somebody_without_a_role_is_forbidden(self, cc_clerk, name):
        cc_clerk.groups.set(Group.objects.none())

        assert error_of(signed_in(cc_clerk).get(f"{METRICS}/{name}"), 403)["code"] == "PERMISSION_DENIED"

    def test_carries_the_permission_of_every_role(self, cc_clerk):
        assert "metrics:view" in told(signed_in(cc_clerk).get("/api/v1/users/me"))["permissions"]

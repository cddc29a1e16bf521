from __future__ import annotations

import re
import statistics
import time
from datetime import date, timedelta

import pytest
from django.utils.html import strip_tags

from alerts.models import Alert, EscalationRule, Holiday, SweepRun
from alerts.tests import late
from audit import services as audit
from clearance.tests import recipes
from clearance.tests.processes import eventually

RULES = "/admin/alerts/escalationrule/"
HOLIDAYS = "/admin/alerts/holiday/"
RUNS = "/admin/alerts/sweeprun/"

pytestmark = pytest.mark.django_db


def told(answer) -> str:
    html = re.sub(r"<(script|style|nav)\b.*?</\1>", "", answer.content.decode(), flags=re.DOTALL)
    return " ".join(strip_tags(html).split())


@pytest.fixture
def desk(client, administrator):
    client.force_login(administrator)
    return client


class TestTheLadder:
    def test_can_be_read_by_everybody_and_changed_by_administrators(self, client, cc_clerk, cast):
        client.force_login(cc_clerk)
        rule = EscalationRule.objects.first()

        shown = client.get(RULES)

        assert "From day 8: demurrage is running" in told(shown)
        assert "8 – 30" in told(shown)
        assert client.get(f"{RULES}add/").status_code == 403
        assert client.get(f"{RULES}verbs/end/?on={rule.pk}").status_code == 403
        assert client.get(f"{RULES}{rule.pk}/change/").status_code == 200
        assert client.post(f"{RULES}{rule.pk}/change/", {"name": "Other"}).status_code == 403

    def test_gets_another_rule(self, desk):
        given = {
            "name": "Day 10: Management too",
            "from_day": 10,
            "until_day": 12,
            "severity": "urgent",
            "audiences": ["management", "head"],
            "starts_on": f"{late.today():%d/%m/%Y}",
        }

        answer = desk.post(f"{RULES}add/", given)

        assert answer.status_code == 302
        rule = EscalationRule.objects.get(from_day=10)
        assert (rule.until_day, rule.audiences, rule.starts_on) == (12, ["management", "head"], late.today())

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"until_day": 9}, "The last day is the first day or later."),
            ({"until_day": 400}, "365"),
            ({"audiences": []}, "required"),
            ({"severity": "mild"}, "not one of the available choices"),
        ],
    )
    def test_says_what_is_wrong_with_a_rule(self, desk, changed, reason):
        given = {
            "name": "Day 10",
            "from_day": 10,
            "until_day": 12,
            "severity": "urgent",
            "audiences": ["head"],
            "starts_on": "01/01/2026",
        }

        answer = desk.post(f"{RULES}add/", given | changed)

        assert reason in told(answer)
        assert not EscalationRule.objects.filter(name="Day 10").exists()

    def test_loses_a_rule_by_ending_it(self, desk):
        rule = EscalationRule.objects.get(from_day=4)

        answer = desk.post(f"{RULES}verbs/end/?on={rule.pk}", {"on": f"{late.today():%d/%m/%Y}"}, follow=True)

        rule.refresh_from_db()
        assert rule.ended_on == late.today()
        assert rule.name not in [row.name for row in desk.get(RULES).context["cl"].result_list]
        assert rule.name in [row.name for row in desk.get(RULES, {"in_force": "ended"}).context["cl"].result_list]
        assert "ends on" in told(answer)


class TestTheCalendar:
    def test_gets_a_holiday_and_its_confirmation(self, desk):
        desk.post(f"{HOLIDAYS}add/", {"on": "04/07/2027", "name": "A day of joy"})
        holiday = Holiday.objects.get(on=date(2027, 7, 4))
        assert not holiday.is_confirmed

        desk.post(f"{HOLIDAYS}{holiday.pk}/change/", {"on": "05/07/2027", "name": "A day of joy", "is_confirmed": "on"})

        holiday.refresh_from_db()
        assert (holiday.on, holiday.is_confirmed) == (date(2027, 7, 5), True)

    def test_has_one_holiday_a_day(self, desk):
        taken = Holiday.objects.first()

        answer = desk.post(f"{HOLIDAYS}add/", {"on": f"{taken.on:%d/%m/%Y}", "name": "Again"})

        assert answer.status_code == 200
        assert Holiday.objects.filter(on=taken.on).count() == 1

    def test_loses_a_holiday(self, desk):
        holiday = Holiday.objects.first()

        desk.post(f"{HOLIDAYS}{holiday.pk}/delete/", {"post": "yes"})

        assert not Holiday.objects.filter(pk=holiday.pk).exists()

    def test_is_read_only_for_others(self, client, cc_head):
        client.force_login(cc_head)

        assert client.get(HOLIDAYS, {"when": "all"}).status_code == 200
        assert client.post(f"{HOLIDAYS}add/", {"on": "04/07/2027", "name": "Mine"}).status_code == 403


class TestTheSweepRuns:
    def test_are_run_by_hand_by_administrators(self, desk, bu_clerk):
        late.shipment(by=bu_clerk, days=6)
        before = Alert.objects.count()

        answer = desk.post(f"{RUNS}verbs/run/", {}, follow=True)

        assert "mails written" in told(answer)
        assert SweepRun.objects.filter(finished_at__isnull=False).count() == 1
        assert Alert.objects.count() >= before

    def test_are_read_by_those_who_oversee_and_hidden_from_clerks(self, client, auditor, cc_clerk):
        client.force_login(auditor)
        assert client.get(RUNS).status_code == 200
        assert client.post(f"{RUNS}verbs/run/", {}).status_code == 403
        client.force_login(cc_clerk)
        assert client.get(RUNS).status_code == 403

    @pytest.mark.parametrize(("hours", "is_warned"), [(25, False), (27, True)])
    def test_warn_when_the_last_complete_one_is_too_old(self, desk, hours, is_warned):
        at = late.now() - timedelta(hours=hours)
        SweepRun.objects.create(on=at.date(), started_at=at, finished_at=at)
        SweepRun.objects.create(on=late.today(), started_at=late.now(), finished_at=None)

        answer = desk.get(RUNS)

        assert ("The sweep last ran on" in told(answer)) is is_warned
        assert "did not finish" in told(answer)


@pytest.mark.django_db(transaction=True)
class TestTheHealth:
    @pytest.fixture(autouse=True)
    def all_is_sealed(self):
        audit.seal(at=late.now())

    def ask(self, client) -> dict:
        return client.get("/api/v1/health").json()

    @pytest.mark.parametrize(("hours", "status"), [(25, "ok"), (27, "degraded")])
    def test_is_degraded_when_the_last_complete_sweep_is_too_old(self, client, hours, status):
        at = late.now() - timedelta(hours=hours)
        SweepRun.objects.create(on=at.date(), started_at=at, finished_at=at)
        SweepRun.objects.create(on=late.today(), started_at=late.now(), finished_at=None)

        # The first question of a process may come too early: its connections are only being made.
        assert eventually(lambda: self.ask(client)["database"])
        assert eventually(lambda: self.ask(client)["status"] == status)
        assert self.ask(client)["sweep"] is (status == "ok")

    def test_is_well_while_there_is_nothing_to_sweep_and_not_a_day_later(self, client, cast):
        assert eventually(lambda: self.ask(client)["status"] == "ok")

        recipes.shipment.make(created_at=late.now() - timedelta(hours=27))

        assert eventually(lambda: not self.ask(client)["sweep"])
        assert self.ask(client)["status"] == "degraded"

    def test_answers_within_a_tenth_of_a_second(self, client):
        assert eventually(lambda: self.ask(client)["sweep"])

        def seconds() -> float:
            started = time.perf_counter()
            self.ask(client)
            return time.perf_counter() - started

        assert statistics.median(seconds() for _ in range(9)) < 0.1

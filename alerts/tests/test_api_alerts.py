from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.models import Absence
from alerts.models import Alert
from alerts.tests import late
from clearance.tests import recipes
from clearance.tests.callers import error_of, fields_of, signed_in
from outbox.choices import Delivery
from outbox.models import Message
from shipments import services as shipments
from workflow import services as workflow

ALERTS = "/api/v1/alerts"
FIELDS = {
    "id", "shipment", "shipment_number", "workflow_step", "step_number", "step_name", "severity", "message",
    "recipient_user", "days_post_eta", "is_acknowledged", "acknowledged_at", "promised_on", "created_at", "email_sent",
    "email_sent_at", "email_retry_count", "state", "due_on", "is_late", "omr_at_risk",
}  # fmt: skip

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _every_rung_on_its_own_day(settings):
    settings.ALERTS_PULL_FORWARD = False


@pytest.fixture
def shipment(bu_clerk):
    """On day 5, with its Bayan not approved; the C&C clerk was told on day 4 and 5."""
    new = late.shipment(by=bu_clerk, days=5, container_count=3)
    late.sweep()
    return new


@pytest.fixture
def clerk(cc_clerk):
    return signed_in(cc_clerk)


def rows(answer) -> list[dict]:
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def only(of, day: int = 5) -> Alert:
    return Alert.objects.get(shipment=of, days_post_eta=day)


class TestTheListOfAlerts:
    def test_says_of_each_what_it_is_about(self, shipment, clerk, cc_clerk):
        (newest,) = rows(clerk.get(ALERTS, {"days": 5}))

        alert = only(shipment)
        assert newest.keys() == FIELDS
        assert newest == newest | {
            "id": alert.pk,
            "shipment": shipment.pk,
            "shipment_number": shipment.shipment_number,
            "workflow_step": recipes.step(shipment, late.BAYAN_APPROVED).pk,
            "step_number": "11.0",
            "step_name": "Bayan approved",
            "severity": "critical",
            "message": (
                f"Day 5 after the ETA of {shipment.shipment_number}: step 11.0 “Bayan approved” is still open."
            ),
            "recipient_user": cc_clerk.pk,
            "days_post_eta": 5,
            "is_acknowledged": False,
            "acknowledged_at": None,
            "promised_on": None,
            "email_sent": False,
            "email_sent_at": None,
            "email_retry_count": 0,
            "state": "open",
            "due_on": late.today().isoformat(),
            "is_late": False,
            "omr_at_risk": "115.386",
        }

    def test_says_whether_its_mail_has_arrived(self, shipment, clerk):
        message = Message.objects.get(alerts=only(shipment))
        at = late.now()
        Message.objects.filter(pk=message.pk).update(delivery=Delivery.SENT, sent_at=at, refusals=2)

        (newest,) = rows(clerk.get(ALERTS, {"days": 5}))

        assert (newest["email_sent"], newest["email_retry_count"]) == (True, 2)
        assert newest["email_sent_at"] == at.isoformat()

    def test_shows_a_person_their_own(self, shipment, clerk, cc_alternate, finance_clerk, stranger):
        assert {row["days_post_eta"] for row in rows(clerk.get(ALERTS))} == {4, 5}
        for other in (cc_alternate, finance_clerk, stranger):
            assert rows(signed_in(other).get(ALERTS)) == []

    def test_shows_a_substitute_those_of_the_absent_person(self, shipment, cc_clerk, cc_alternate):
        Absence.objects.create(user=cc_clerk, starts_on=late.today(), ends_on=late.today(), substitute=cc_alternate)

        assert {row["recipient_user"] for row in rows(signed_in(cc_alternate).get(ALERTS))} == {cc_clerk.pk}

    @pytest.mark.parametrize("who", ["auditor", "manager", "administrator"])
    def test_shows_everything_to_those_who_oversee(self, shipment, cast, who):
        assert len(rows(signed_in(getattr(cast, who)).get(ALERTS))) == 2

    def test_hides_other_divisions(self, cast, bu_clerk, cc_clerk):
        late.shipment(by=bu_clerk, days=5, division=cast.tyres)
        late.sweep()

        cc_clerk.divisions.set([cast.vehicles])

        assert rows(signed_in(cc_clerk).get(ALERTS)) == []

    def test_comes_newest_first_by_cursor(self, bu_clerk, clerk):
        for _ in range(5):
            late.shipment(by=bu_clerk, days=5)
        late.sweep()

        address, found = f"{ALERTS}?page_size=3", []
        while address:
            answer = clerk.get(address).json()
            found += [row["id"] for row in answer["results"]]
            assert (answer["count"], answer["count_is_exact"]) == (10, True)
            address = answer["next"]

        assert found == list(Alert.objects.order_by("-id").values_list("id", flat=True))

    def test_is_not_moved_by_what_comes_meanwhile(self, bu_clerk, clerk):
        late.shipment(by=bu_clerk, days=5)
        late.sweep()
        first = clerk.get(f"{ALERTS}?page_size=1").json()

        late.shipment(by=bu_clerk, days=4)
        late.sweep()

        assert [row["id"] for row in rows(clerk.get(first["next"]))] == [first["results"][0]["id"] - 1]

    @pytest.mark.parametrize("ordering", ["id", "-due_on", "days_post_eta", "-created_at"])
    def test_can_be_ordered(self, bu_clerk, clerk, ordering):
        late.shipment(by=bu_clerk, days=5)
        late.shipment(by=bu_clerk, days=4)
        late.sweep()
        sign = "-" if ordering.startswith("-") else ""

        found = [row["id"] for row in rows(clerk.get(ALERTS, {"ordering": ordering}))]

        assert found == list(Alert.objects.order_by(ordering, f"{sign}id").values_list("id", flat=True))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("page", "1"),
            ("ordering", "omr_at_risk"),
            ("state", "closed"),
            ("severity", "mild"),
            ("acknowledged", "1"),
            ("days", "five"),
            ("days", "-1"),
            ("days", "99999"),
            ("shipment", "x"),
            ("recipient", ""),
            ("colour", "red"),
        ],
    )
    def test_refuses_what_it_does_not_know(self, clerk, name, value):
        if value:
            assert fields_of(clerk.get(ALERTS, {name: value})) == {name}
        else:
            assert clerk.get(ALERTS, {name: value}).status_code == 200

    def test_takes_as_many_statements_for_many_rows_as_for_few(self, bu_clerk, clerk, django_assert_num_queries):
        late.shipment(by=bu_clerk, days=5)
        late.sweep()
        with django_assert_num_queries(3):
            clerk.get(ALERTS)
        for _ in range(4):
            late.shipment(by=bu_clerk, days=5)
        late.sweep()

        with django_assert_num_queries(3):
            assert len(rows(clerk.get(ALERTS))) == 10

    def test_is_for_people_who_are_signed_in(self, client):
        error_of(client.get(ALERTS), 401)


class TestAFilter:
    @pytest.fixture(autouse=True)
    def _two_shipments(self, bu_clerk, cc_clerk):
        self.warned = late.shipment(by=bu_clerk, days=4, principal="Al Noor Tyres")
        self.last_day = late.shipment(
            by=bu_clerk, days=7, principal="Example Motors", brand="Example", left_open=(late.ORDER_PAID,)
        )
        late.sweep()
        Alert.objects.filter(shipment=self.warned).update(acknowledged_at=late.now(), acknowledged_by=cc_clerk)

    @pytest.mark.parametrize(
        ("given", "days"),
        [
            ({"severity": "warning"}, [4, 4]),
            ({"severity": "critical"}, [5, 6, 6]),
            ({"severity": "urgent"}, [7, 7]),
            ({"acknowledged": "true"}, [4]),
            ({"acknowledged": "false"}, [4, 5, 6, 6, 7, 7]),
            ({"days": "6"}, [6, 6]),
            ({"days_from": "6"}, [6, 6, 7, 7]),
            ({"days_to": "4"}, [4, 4]),
            ({"state": "open"}, [4, 4, 5, 6, 6, 7, 7]),
            ({"state": "resolved"}, []),
            ({"search": "noor"}, [4]),
            ({"search": "exam motors", "days": "5"}, [5]),
        ],
    )
    def test_narrows_the_list(self, auditor, given, days):
        assert sorted(row["days_post_eta"] for row in rows(signed_in(auditor).get(ALERTS, given))) == days

    def test_by_shipment_or_recipient(self, auditor, finance_head):
        everybody = signed_in(auditor)

        assert {row["shipment"] for row in rows(everybody.get(ALERTS, {"shipment": self.warned.pk}))} == {
            self.warned.pk
        }
        assert [row["days_post_eta"] for row in rows(everybody.get(ALERTS, {"recipient": finance_head.pk}))] == [6]


class TestTheStateOfAnAlert:
    def states(self, clerk) -> set[str]:
        return {row["state"] for row in rows(clerk.get(ALERTS))}

    def having(self, clerk, state: str) -> int:
        return len(rows(clerk.get(ALERTS, {"state": state})))

    def test_is_resolved_with_its_step_and_open_again_with_it(self, shipment, clerk, cc_clerk, cc_head):
        step = recipes.step(shipment, late.BAYAN_APPROVED)

        workflow.complete_step(step_id=step.pk, by=cc_clerk, at=late.now())
        resolved = rows(clerk.get(ALERTS))
        workflow.reopen_step(step_id=step.pk, by=cc_head, at=late.now(), reason="The wrong Bayan")

        assert {(row["state"], row["omr_at_risk"]) for row in resolved} == {("resolved", None)}
        assert self.states(clerk) == {"open"}

    def test_is_superseded_by_another_eta(self, shipment, clerk, bu_clerk):
        eta = late.today() + timedelta(days=2)

        shipments.change_eta(shipment_id=shipment.pk, eta=eta, by=bu_clerk, at=late.now(), reason="Rolled")

        assert self.states(clerk) == {"superseded"}
        assert (self.having(clerk, "superseded"), self.having(clerk, "open")) == (2, 0)

    def test_is_withdrawn_with_its_shipment(self, shipment, clerk, bu_head):
        shipments.cancel(shipment_id=shipment.pk, reason="Withdrawn", by=bu_head, at=late.now())

        assert self.states(clerk) == {"withdrawn"}
        assert (self.having(clerk, "withdrawn"), self.having(clerk, "open")) == (2, 0)


class TestOneAlert:
    def test_reads_as_in_the_list(self, shipment, clerk):
        alert = only(shipment)

        assert clerk.get(f"{ALERTS}/{alert.pk}").json() == rows(clerk.get(ALERTS, {"days": 5}))[0]

    def test_is_not_there_for_others(self, shipment, cc_alternate):
        error_of(signed_in(cc_alternate).get(f"{ALERTS}/{only(shipment).pk}"), 404)

    @pytest.mark.parametrize("key", ["0", "999999999999999999", "x"])
    def test_that_does_not_exist_is_not_found(self, clerk, key):
        error_of(clerk.get(f"{ALERTS}/{key}"), 404)


class TestAcknowledging:
    def url(self, shipment) -> str:
        return f"{ALERTS}/{only(shipment).pk}/acknowledge"

    def test_notes_who_saw_it_and_the_promise(self, shipment, clerk, cc_clerk):
        promised_on = (late.today() + timedelta(days=1)).isoformat()

        answer = clerk.patch(self.url(shipment), {"promised_on": promised_on})

        alert = only(shipment)
        assert answer.status_code == 200
        assert answer.json() == answer.json() | {"is_acknowledged": True, "promised_on": promised_on, "state": "open"}
        assert answer.json()["acknowledged_at"] == alert.acknowledged_at.isoformat()
        assert alert.acknowledged_by == cc_clerk

    def test_needs_no_promise_and_no_body(self, shipment, clerk):
        assert clerk.patch(self.url(shipment)).json()["is_acknowledged"] is True

    def test_is_for_the_substitute_too(self, shipment, cc_clerk, cc_alternate):
        Absence.objects.create(user=cc_clerk, starts_on=late.today(), ends_on=late.today(), substitute=cc_alternate)

        answer = signed_in(cc_alternate).patch(self.url(shipment), {})

        assert answer.json()["is_acknowledged"] is True
        assert only(shipment).acknowledged_by == cc_alternate

    def test_is_refused_to_everybody_else(self, shipment, auditor, administrator, cc_alternate, cc_head):
        for other in (auditor, administrator, cc_alternate, cc_head):
            assert error_of(signed_in(other).patch(self.url(shipment), {}), 403)["code"] == "ALERT_NOT_YOURS"
        assert not only(shipment).is_acknowledged

    def test_is_not_there_for_other_divisions(self, cast, bu_clerk, stranger):
        tyres = late.shipment(by=bu_clerk, days=5, division=cast.tyres)
        late.sweep()

        error_of(signed_in(stranger).patch(self.url(tyres), {}), 404)

    def test_promises_no_earlier_day(self, shipment, clerk):
        yesterday = late.today() - timedelta(days=1)

        assert fields_of(clerk.patch(self.url(shipment), {"promised_on": yesterday.isoformat()})) == {"promised_on"}

    @pytest.mark.parametrize("given", [{"promised_on": "soon"}, {"promised_on": "31.12.2026"}, {"note": "x"}, []])
    def test_refuses_what_it_does_not_understand(self, shipment, clerk, given):
        error_of(clerk.patch(self.url(shipment), given), 400)

    def test_ignores_a_precondition_since_it_has_no_version(self, shipment, clerk):
        assert clerk.patch(self.url(shipment), {}, HTTP_IF_MATCH='"3"').status_code == 200

    def test_is_refused_once_the_step_is_done(self, shipment, clerk, cc_clerk):
        workflow.complete_step(step_id=recipes.step(shipment, "11.0").pk, by=cc_clerk, at=late.now())

        assert error_of(clerk.patch(self.url(shipment), {}), 409)["code"] == "ALERT_NOT_OPEN"

    def test_is_not_done_by_looking(self, shipment, clerk):
        error_of(clerk.get(self.url(shipment)), 405)


class TestTheMoneyAtRisk:
    def test_grows_with_the_days(self, bu_clerk, auditor):
        shipment = late.shipment(by=bu_clerk, days=10, container_count=2)
        late.sweep()

        found = {row["omr_at_risk"] for row in rows(signed_in(auditor).get(ALERTS, {"shipment": shipment.pk}))}

        assert found == {str(Decimal("38.462") * 2 * 3)}

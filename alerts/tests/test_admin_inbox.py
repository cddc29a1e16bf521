from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.models import Absence, User
from alerts.models import Alert
from alerts.tests import late
from clearance.tests import recipes
from clearance.tests.pages import words
from outbox.models import Carrier, MutedMail
from workflow import services as workflow

INBOX = "/admin/alerts/alert/"
ACKNOWLEDGE = f"{INBOX}verbs/acknowledge/"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _every_rung_on_its_own_day(settings):
    settings.ALERTS_PULL_FORWARD = False


@pytest.fixture
def shipment(bu_clerk):
    new = late.shipment(by=bu_clerk, days=5, container_count=3)
    late.sweep()
    return new


def page(client, person: User, address: str, **given) -> str:
    client.force_login(person)
    answer = client.get(address, given)
    assert answer.status_code == 200
    return answer.content.decode()


def listed(client, person: User, **given) -> list[Alert]:
    client.force_login(person)
    return list(client.get(INBOX, given).context["cl"].result_list)


class TestTheInbox:
    def test_shows_first_what_costs_most_then_what_was_due_first(self, client, bu_clerk, cc_clerk):
        cheap = late.shipment(by=bu_clerk, days=7, container_count=1)
        dear = late.shipment(by=bu_clerk, days=9, container_count=4, left_open=(late.BAYAN_APPROVED, late.DUTY_PAID))
        unknown = late.shipment(by=bu_clerk, days=11, container_count=None)
        late.sweep()

        found = [(alert.shipment, str(alert.workflow_step.step_number)) for alert in listed(client, cc_clerk)]

        assert found == [(dear, "10.0"), (dear, "11.0"), (unknown, "11.0"), (cheap, "11.0")]

    def test_shows_one_row_per_step_and_all_rungs_when_asked(self, client, shipment, cc_clerk):
        assert [alert.days_post_eta for alert in listed(client, cc_clerk)] == [5]
        assert [alert.days_post_eta for alert in listed(client, cc_clerk, rungs="all")] == [5, 4]

    def test_shows_a_person_what_is_theirs_and_a_substitute_what_is_the_absent_persons(
        self, client, shipment, cc_clerk, cc_alternate, stranger
    ):
        assert listed(client, cc_alternate) == []
        Absence.objects.create(user=cc_clerk, starts_on=late.today(), ends_on=late.today(), substitute=cc_alternate)

        assert [alert.recipient_user for alert in listed(client, cc_alternate)] == [cc_clerk]
        assert listed(client, stranger) == []

    def test_shows_an_administrator_everything_and_internal_audit_its_own_first(
        self, client, bu_clerk, administrator, auditor
    ):
        late.shipment(by=bu_clerk, days=7)
        late.sweep()

        assert len(listed(client, administrator, rungs="all")) == 6  # clerk twice, alternate, head, audit, Management
        assert [alert.days_post_eta for alert in listed(client, auditor)] == [7]
        assert len(listed(client, auditor, whose="all", rungs="all")) == 6

    def test_shows_open_ones_and_the_others_when_asked(self, client, shipment, cc_clerk):
        workflow.complete_step(step_id=recipes.step(shipment, "11.0").pk, by=cc_clerk, at=late.now())

        assert listed(client, cc_clerk) == []
        assert [alert.days_post_eta for alert in listed(client, cc_clerk, state="resolved")] == [5]
        assert "Resolved" in page(client, cc_clerk, INBOX, state="all")

    @pytest.mark.parametrize(
        ("given", "is_shown"),
        [
            ({"severity__exact": "critical"}, True),
            ({"severity__exact": "urgent"}, False),
            ({"acknowledged": "no"}, True),
            ({"acknowledged": "yes"}, False),
            ({"is_late__exact": "0"}, True),
            ({"q": "noor"}, True),
            ({"q": "nothing like it"}, False),
        ],
    )
    def test_can_be_narrowed(self, client, shipment, cc_clerk, given, is_shown):
        assert bool(listed(client, cc_clerk, **given)) is is_shown

    def test_finds_promises_that_were_not_kept(self, client, shipment, cc_clerk):
        Alert.objects.update(
            acknowledged_at=late.now(), acknowledged_by=cc_clerk, promised_on=late.today() - timedelta(days=1)
        )

        assert len(listed(client, cc_clerk, acknowledged="broken")) == 1
        assert "1 day ago" in page(client, cc_clerk, INBOX)

    def test_says_in_words_what_colours_say(self, client, shipment, cc_clerk):
        told = words(page(client, cc_clerk, INBOX))

        for word in ("Critical", "for day 5", shipment.shipment_number, "11.0 Bayan approved", "115.386", "1 day late"):
            assert word in told

    def test_takes_as_many_statements_for_many_rows_as_for_few(
        self, client, bu_clerk, cc_clerk, django_assert_max_num_queries
    ):
        for _ in range(8):
            late.shipment(by=bu_clerk, days=5)
        late.sweep()
        client.force_login(cc_clerk)

        with django_assert_max_num_queries(8):
            assert len(client.get(INBOX).context["cl"].result_list) == 8

    def test_has_a_page_for_each_alert(self, client, shipment, cc_clerk, cc_alternate):
        alert = Alert.objects.get(days_post_eta=5)

        told = words(page(client, cc_clerk, f"{INBOX}{alert.pk}/change/"))

        assert f"Day 5 after the ETA of {shipment.shipment_number}: step 11.0 “Bayan approved” is still open." in told
        client.force_login(cc_alternate)
        assert client.get(f"{INBOX}{alert.pk}/change/").status_code == 302


class TestAcknowledging:
    @pytest.fixture
    def alert(self, shipment):
        return Alert.objects.get(days_post_eta=5)

    def test_asks_for_a_promise_and_shows_what_is_at_stake(self, client, alert, cc_clerk):
        told = words(page(client, cc_clerk, ACKNOWLEDGE, on=alert.pk))

        assert "115.386" in told
        assert "Will be done by" in told
        alert.refresh_from_db()
        assert not alert.is_acknowledged

    def test_notes_the_promise(self, client, alert, cc_clerk):
        client.force_login(cc_clerk)
        tomorrow = late.today() + timedelta(days=1)

        answer = client.post(f"{ACKNOWLEDGE}?on={alert.pk}", {"promised_on": f"{tomorrow:%d/%m/%Y}"}, follow=True)

        alert.refresh_from_db()
        assert (alert.acknowledged_by, alert.promised_on) == (cc_clerk, tomorrow)
        assert "is acknowledged." in words(answer.content.decode())

    def test_of_several_from_the_list(self, client, bu_clerk, cc_clerk):
        for _ in range(2):
            late.shipment(by=bu_clerk, days=4)
        late.sweep()
        client.force_login(cc_clerk)
        chosen = list(Alert.objects.values_list("pk", flat=True))

        asked = client.post(INBOX, {"action": "acknowledge", "_selected_action": chosen})
        client.post(asked.url, {"promised_on": ""})

        assert set(Alert.objects.values_list("acknowledged_by", flat=True)) == {cc_clerk.pk}

    def test_says_why_it_is_refused(self, client, alert, cc_clerk):
        client.force_login(cc_clerk)
        yesterday = late.today() - timedelta(days=1)

        answer = client.post(f"{ACKNOWLEDGE}?on={alert.pk}", {"promised_on": f"{yesterday:%d/%m/%Y}"})

        assert "or later" in words(answer.content.decode())
        alert.refresh_from_db()
        assert not alert.is_acknowledged

    def test_is_offered_to_the_recipient_alone(self, client, alert, cc_clerk, auditor):
        assert ACKNOWLEDGE in page(client, cc_clerk, INBOX)
        assert ACKNOWLEDGE not in page(client, auditor, INBOX, whose="all")

        client.force_login(auditor)
        answer = client.post(f"{ACKNOWLEDGE}?on={alert.pk}", {"promised_on": ""})

        assert "only they or their substitute" in words(answer.content.decode())


class TestTheShipmentsPage:
    def test_shows_the_alerts_that_the_person_sees(self, client, shipment, cc_clerk, finance_clerk):
        address = f"/admin/shipments/shipment/{shipment.pk}/change/"

        assert 'id="alerts"' in page(client, cc_clerk, address)
        assert 'id="alerts"' not in page(client, finance_clerk, address)


class TestTheFirstPage:
    def test_counts_my_open_alerts_and_shows_the_five_that_cost_most(self, client, bu_clerk, cc_clerk):
        for containers in range(1, 8):
            late.shipment(by=bu_clerk, days=5, container_count=containers)
        late.sweep()
        client.force_login(cc_clerk)

        context = client.get("/admin/").context

        assert context["my_alerts_count"] == 7
        assert [alert.shipment.container_count for alert in context["my_alerts"]] == [7, 6, 5, 4, 3]

    def test_shows_none_where_there_is_none(self, client, shipment, finance_clerk):
        assert 'id="my-alerts"' not in page(client, finance_clerk, "/admin/")

    def test_warns_everybody_when_the_sweep_has_not_run(self, client, bu_clerk, cc_clerk, administrator):
        late.shipment(by=bu_clerk, days=2)

        assert "The sweep has never run" in words(page(client, cc_clerk, "/admin/"))
        assert "/admin/alerts/sweeprun/verbs/run/" in page(client, administrator, "/admin/")
        late.sweep()
        assert "The sweep" not in words(page(client, cc_clerk, "/admin/"))

    def test_tells_administrators_that_the_mail_server_is_down(self, client, shipment, administrator, cc_clerk):
        Carrier.objects.create(
            channel="mail", down_since=late.now(), next_probe_at=late.now(), last_failure="Connection refused"
        )

        assert "Connection refused" in words(page(client, administrator, "/admin/"))
        assert "Connection refused" not in words(page(client, cc_clerk, "/admin/"))

    def test_takes_a_fixed_number_of_statements(self, client, bu_clerk, cc_clerk, django_assert_max_num_queries):
        for _ in range(9):
            late.shipment(by=bu_clerk, days=5)
        late.sweep()
        client.force_login(cc_clerk)

        with django_assert_max_num_queries(15):
            client.get("/admin/")


class TestChoosingMail:
    def test_is_everybodys_own(self, client, shipment, cc_clerk):
        client.force_login(cc_clerk)

        client.post(f"{INBOX}verbs/mail/", {"mail": ["critical", "urgent"]})

        assert list(MutedMail.objects.values_list("user", "severity")) == [(cc_clerk.pk, "warning")]
        assert client.get(f"{INBOX}verbs/mail/").context["form"]["mail"].initial == ["critical", "urgent"]

        client.post(f"{INBOX}verbs/mail/", {"mail": ["warning", "critical", "urgent"]})

        assert not MutedMail.objects.exists()

    def test_for_somebody_is_an_administrators(self, client, cc_clerk, cc_head, administrator):
        address = f"/admin/accounts/user/verbs/mail/?on={cc_clerk.pk}"
        client.force_login(cc_head)
        assert client.post(address, {"mail": []}).status_code == 403
        client.force_login(administrator)

        client.post(address, {"mail": ["urgent"]})

        assert set(MutedMail.objects.values_list("user", "severity")) == {
            (cc_clerk.pk, "warning"),
            (cc_clerk.pk, "critical"),
        }

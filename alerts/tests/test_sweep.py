from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from accounts import services as accounts
from alerts import selectors
from alerts import services as alerts
from alerts.models import Alert, EscalationRule, SweepRun
from alerts.tests.test_ladder import BAYAN_SUBMITTED, sweep_day
from clearance.tests import races, recipes
from clearance.tests.recipes import ETA, MUSCAT, TODAY
from outbox.models import Message, MutedMail
from shipments import services as shipments
from shipments.models import Shipment
from workflow import services as workflow

pytestmark = pytest.mark.django_db


def ladder_rows() -> list[tuple]:
    """What an alert is, without when and how it came to be known."""
    fields = ("shipment", "workflow_step", "eta_revision", "rule", "days_post_eta", "recipient_user", "severity")
    return sorted(Alert.objects.values_list(*fields, "due_on"))


def everything() -> list[dict]:
    return list(Alert.objects.order_by("pk").values()) + list(Message.objects.order_by("pk").values())


def morning(day: int) -> datetime:
    on = ETA + timedelta(days=day)
    return datetime(on.year, on.month, on.day, 8, tzinfo=MUSCAT)


def mixed_house(cast) -> None:
    """Shipments of two divisions and none on every day of the ladder, and people who are away now and then."""
    for place, days in enumerate(range(-12, 4)):
        division = (None, cast.tyres, cast.vehicles)[place % 3]
        new = recipes.registered(by=cast.bu_clerk, eta=ETA + timedelta(days=days), division=division)
        if place % 4 == 0:
            recipes.record(new, {BAYAN_SUBMITTED: TODAY, "10.0": TODAY})
    for user, substitute, first, last in (
        (cast.cc_clerk, cast.cc_head, 3, 5),
        (cast.finance_head, cast.finance_alternate, 0, 9),
    ):
        starts_on, ends_on = ETA + timedelta(days=first), ETA + timedelta(days=last)
        accounts.record_absence(
            user=user, starts_on=starts_on, ends_on=ends_on, substitute=substitute, by=cast.administrator
        )


class TestSweepingAgain:
    def test_the_same_day_changes_no_row(self, cast):
        mixed_house(cast)
        assert sweep_day(5).raised > 0
        before = everything()

        for _ in range(9):
            report = sweep_day(5)
            assert (report.raised, report.late, report.messages) == (0, 0, 0)

        assert everything() == before

    def test_an_earlier_day_changes_no_row(self, cast):
        mixed_house(cast)
        sweep_day(5)
        before = everything()

        assert sweep_day(3).raised == 0

        assert everything() == before

    def test_an_earlier_day_for_the_first_time_raises_nothing_of_the_days_after_it(self, shipment):
        report = alerts.sweep(on=ETA + timedelta(days=4), at=morning(6))

        assert set(Alert.objects.values_list("days_post_eta", "is_late", "mail")) == {(4, True, "digest")}
        assert (report.raised, report.late) == (5, 5)

    def test_after_the_data_changed_adds_what_is_missing_and_touches_nothing_else(self, cast):
        mixed_house(cast)
        sweep_day(5)
        before = list(Alert.objects.order_by("pk").values())
        late_comer = recipes.registered(by=cast.bu_clerk, eta=ETA)

        assert sweep_day(5).raised == 18  # five steps on two days, four of them also to the C&C clerk's substitute

        assert list(Alert.objects.exclude(shipment=late_comer).order_by("pk").values()) == before


@pytest.mark.django_db(transaction=True)
class TestSweepingAtOnce:
    def test_in_four_connections_ends_in_the_same_rows(self, cast):
        mixed_house(cast)
        with transaction.atomic():
            sweep_day(6)
            expected, mails = ladder_rows(), Message.objects.count()
            transaction.set_rollback(True)
        assert Alert.objects.count() == 0

        reports = races.free_for_all(*[lambda: sweep_day(6)] * 4)

        assert ladder_rows() == expected
        assert sorted(report.raised for report in reports) == [0, 0, 0, len(expected)]
        assert Message.objects.count() == mails
        assert SweepRun.objects.exclude(finished_at=None).count() == 4

    def test_and_again_while_one_is_under_way_waits_and_finds_nothing_left(self, cast, shipment):
        late = races.blocked_by(lambda: sweep_day(5), lambda: sweep_day(5))

        assert late.raised == 0
        assert Alert.objects.count() == 10

    def test_leaves_shipments_and_steps_free_for_everybody_else(self, cast, shipment):
        def change():
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '2s'")
                step = recipes.step(shipment, BAYAN_SUBMITTED)
                workflow.complete_step(step_id=step.pk, by=cast.cc_clerk, at=morning(4))
                shipments.change_eta(
                    shipment_id=shipment.pk, eta=ETA + timedelta(days=9), by=cast.bu_clerk, at=recipes.NOON
                )

        with transaction.atomic():
            sweep_day(4)  # not committed yet
            (result,) = races.free_for_all(change)

        assert result is None


class TestAGap:
    @pytest.mark.parametrize("days", range(1, 11))
    def test_of_days_leaves_the_same_rows_and_at_most_one_digest_each(self, cast, days):
        mixed_house(cast)
        with transaction.atomic():
            for day in range(-8, 2 + days + 1):
                sweep_day(day)
            expected = ladder_rows()
            on_time = set(Alert.objects.filter(is_late=False).values_list("due_on", flat=True))
            assert max(on_time) == ETA + timedelta(days=2 + days)
            assert not Alert.objects.filter(is_late=True).exists()
            transaction.set_rollback(True)
        for day in range(-8, 2):
            sweep_day(day)
        sent = Message.objects.latest("pk").pk

        report = sweep_day(2 + days)  # without the days from 2 on

        assert ladder_rows() == expected
        today = ETA + timedelta(days=2 + days)
        for alert in Alert.objects.filter(created_at=morning(2 + days)):
            assert alert.is_late == (alert.due_on < today)
        assert report.late == Alert.objects.filter(is_late=True).count() > 0
        digests = Message.objects.filter(kind="digest", pk__gt=sent).values_list("recipient", flat=True)
        assert len(digests) == len(set(digests)) > 0

    def test_mails_each_person_the_highest_missing_rung_of_a_step_and_records_the_lower_ones(self, cast, shipment):
        sweep_day(6)

        found = Alert.objects.filter(workflow_step__step_number=BAYAN_SUBMITTED).order_by("days_post_eta", "pk")
        told = {(one.days_post_eta, one.recipient_user_id): (one.mail, one.is_late) for one in found}
        assert told == {
            (4, cast.cc_clerk.pk): ("none", True),
            (5, cast.cc_clerk.pk): ("digest", True),
            (6, cast.cc_alternate.pk): ("digest", False),
            (6, cast.cc_head.pk): ("digest", False),
        }

    def test_sends_a_late_day_7_in_the_digest_because_it_is_no_longer_the_last_free_day(self, cast, shipment):
        sweep_day(9)

        assert set(Message.objects.values_list("kind", flat=True)) == {"digest"}
        told = Alert.objects.filter(recipient_user=cast.auditor).values_list("days_post_eta", "mail", "is_late")
        assert set(told) == {(7, "digest", True)}

    def test_before_a_shipment_was_registered_is_caught_up_like_any_other(self, cast):
        shipment = recipes.registered(by=cast.bu_clerk)
        Shipment.objects.filter(pk=shipment.pk).update(eta=TODAY - timedelta(days=12))  # as an import brings it

        alerts.sweep(on=TODAY, at=recipes.NOON)

        assert set(Alert.objects.filter(is_late=True).values_list("days_post_eta", flat=True)) == set(range(4, 12))


class TestMail:
    def test_is_one_digest_per_person_and_sweep(self, cast):
        for _ in range(3):
            recipes.registered(by=cast.bu_clerk)

        sweep_day(4)

        assert dict(Message.objects.values_list("recipient__full_name", "kind")) == {
            "Khalid Clerk": "digest",
            "Faisal Clerk": "digest",
        }
        assert Message.objects.get(recipient=cast.cc_clerk).alerts.count() == 12

    @pytest.mark.parametrize(("day", "people"), [(7, ["auditor", "manager"]), (8, ["cc_head", "finance_head"])])
    def test_is_one_per_shipment_on_day_7_and_day_8(self, cast, day, people):
        both = [recipes.registered(by=cast.bu_clerk) for _ in range(2)]
        for before in range(4, day):
            sweep_day(before)
        sent = Message.objects.latest("pk").pk

        sweep_day(day)

        mails = Message.objects.filter(pk__gt=sent)
        assert {mail.kind for mail in mails} == {"shipment_alert"}
        told = sorted((mail.recipient_id, *{alert.shipment_id for alert in mail.alerts.all()}) for mail in mails)
        assert told == sorted((getattr(cast, who).pk, one.pk) for who in people for one in both)

    def test_is_in_the_digest_again_from_day_9_on(self, cast, shipment):
        for day in (4, 5, 6, 7, 8):
            sweep_day(day)
        sent = Message.objects.latest("pk").pk

        sweep_day(9)

        mails = Message.objects.filter(pk__gt=sent).values_list("recipient", "kind")
        assert sorted(mails) == sorted((head.pk, "digest") for head in (cast.cc_head, cast.finance_head))

    def test_of_a_muted_severity_is_not_written_and_the_next_lower_rung_takes_its_place(self, cast, shipment):
        MutedMail.objects.create(user=cast.cc_clerk, severity="critical")

        sweep_day(5)

        found = Alert.objects.filter(recipient_user=cast.cc_clerk).values_list("severity", "mail")
        assert set(found) == {("critical", "none"), ("warning", "digest")}

    def test_waits_for_the_next_digest_where_an_evaluation_found_it(self, cast, shipment):
        assert alerts.evaluate(shipment_ids=[shipment.pk], at=morning(4)) == 5
        assert set(Alert.objects.values_list("mail", "outbox_message")) == {("digest", None)}

        report = sweep_day(4)

        assert (report.raised, report.messages) == (0, 2)
        assert not Alert.objects.filter(outbox_message=None).exists()
        assert sweep_day(4).messages == 0

    def test_of_a_waiting_alert_and_of_new_ones_is_the_same_digest(self, cast, shipment):
        alerts.evaluate(shipment_ids=[shipment.pk], at=morning(4))

        assert sweep_day(5).messages == 2

        mail = Message.objects.get(recipient=cast.cc_clerk)
        assert sorted(mail.alerts.values_list("days_post_eta", flat=True)) == [4] * 4 + [5] * 4

    def test_goes_out_also_when_no_shipment_is_left_to_look_at(self, cast, shipment):
        alerts.evaluate(shipment_ids=[shipment.pk], at=morning(4))
        shipments.cancel(shipment_id=shipment.pk, reason="Sold at sea", by=cast.bu_head, at=morning(4))

        assert (sweep_day(4).messages, sweep_day(4).messages) == (2, 0)


class TestRulesOverTime:
    def test_one_that_was_added_raises_from_its_first_day_on(self, cast, shipment):
        sweep_day(4)
        alerts.add_rule(
            name="Ask Management early", from_day=4, until_day=6, severity="urgent", audiences=["management"],
            starts_on=ETA + timedelta(days=5), by=cast.administrator,
        )  # fmt: skip

        sweep_day(6)

        told = Alert.objects.filter(recipient_user=cast.manager).values_list("days_post_eta", flat=True)
        assert set(told) == {5, 6}

    def test_one_that_ended_raises_nothing_more_but_catches_up_on_its_own_days(self, cast, shipment):
        daily = EscalationRule.objects.get(from_day=8)
        sweep_day(8)
        alerts.end_rule(rule_id=daily.pk, on=ETA + timedelta(days=11), by=cast.administrator)

        sweep_day(14)

        assert set(Alert.objects.filter(rule=daily).values_list("days_post_eta", flat=True)) == {8, 9, 10}

    def test_one_that_was_replaced_tells_nobody_twice(self, cast, shipment):
        daily = EscalationRule.objects.get(from_day=8)
        alerts.end_rule(rule_id=daily.pk, on=ETA + timedelta(days=11), by=cast.administrator)
        alerts.add_rule(
            name="To Management instead", from_day=8, until_day=30, severity="urgent", audiences=["management"],
            starts_on=ETA + timedelta(days=11), by=cast.administrator,
        )  # fmt: skip

        sweep_day(13)

        told = Alert.objects.filter(workflow_step__step_number=BAYAN_SUBMITTED, days_post_eta__gte=8)
        assert sorted(told.values_list("days_post_eta", "recipient_user__full_name")) == [
            (8, "Kamila Head"), (9, "Kamila Head"), (10, "Kamila Head"),
            (11, "Maryam Manager"), (12, "Maryam Manager"), (13, "Maryam Manager"),
        ]  # fmt: skip


class TestASweepRun:
    def test_says_what_was_done_and_when(self, cast, shipment):
        report = sweep_day(4)

        run = SweepRun.objects.get()
        assert (run.on, run.started_at) == (ETA + timedelta(days=4), morning(4))
        assert (run.shipments, run.raised, run.late, run.messages) == (1, 5, 0, 2)
        assert (run.shipments, run.raised, run.late, run.messages) == (
            report.shipments, report.raised, report.late, report.messages,
        )  # fmt: skip
        assert run.finished_at > run.started_at

    @pytest.mark.django_db(transaction=True, databases=["default", "owner"])
    def test_remains_unfinished_where_the_sweep_failed_and_nothing_else_of_it_does(self, shipment):
        with connections["owner"].cursor() as cursor:
            cursor.execute("ALTER TABLE alerts_alert ADD CONSTRAINT no_finance CHECK (severity <> 'critical')")

        with pytest.raises(IntegrityError):
            sweep_day(5)

        assert SweepRun.objects.get().finished_at is None
        assert Alert.objects.count() == Message.objects.count() == 0

    def test_counts_for_health_only_when_it_came_to_its_end(self, shipment):
        at = morning(4)
        SweepRun.objects.create(on=at.date(), started_at=at)
        assert not selectors.sweep_is_healthy(at=at)

        sweep_day(4)
        assert selectors.sweep_is_healthy(at=at + timedelta(hours=26))
        assert not selectors.sweep_is_healthy(at=at + timedelta(hours=26, minutes=1))

    def test_for_a_past_day_does_not_hide_that_today_was_missed(self, shipment):
        alerts.sweep(on=ETA, at=morning(4))

        assert not selectors.sweep_is_healthy(at=morning(4))


class TestTheNumberOfStatements:
    def test_is_five_whatever_the_number_of_shipments(self, cast):
        assert self.statements(cast, 10) == self.statements(cast, 190) == 5

    def statements(self, cast, number: int) -> int:
        for _ in range(number):
            recipes.registered(by=cast.bu_clerk)
        with CaptureQueriesContext(connection) as captured:
            assert sweep_day(6).raised == number * 20
        return len([one for one in captured if not one["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))])


def test_a_holiday_that_is_confirmed_moves_the_rungs_that_are_not_raised_yet(cast, shipment):
    sweep_day(3)
    alerts.load_holidays(holidays=[(ETA + timedelta(days=5), "Confirmed late", True)])

    sweep_day(4)

    found = Alert.objects.filter(workflow_step__step_number=BAYAN_SUBMITTED).values_list("days_post_eta", "due_on")
    assert sorted(found) == [(4, date(2026, 4, 5)), (5, date(2026, 4, 5))]

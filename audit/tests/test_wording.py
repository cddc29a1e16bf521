from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils.translation import override

from accounts import services as accounts
from accounts.models import Absence, Division
from alerts.models import Alert, EscalationRule
from alerts.tests import late
from audit import selectors, wording
from audit import services as audit
from audit.choices import Action
from audit.models import AuditEntry
from audit.wording import Told
from clearance import context
from clearance.errors import Forbidden
from clearance.tests import recipes
from shipments import services as shipments
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import Responsibility

pytestmark = pytest.mark.django_db


def newest(record: Any) -> Told:
    """The newest entry of a record, in words."""
    (told,) = wording.tell([selectors.about(record).first()])
    return told


def moved(shipment: Shipment, by: Any, at: Any, *, days: int, reason: str = "vessel rolled") -> Shipment:
    return shipments.change_eta(
        shipment_id=shipment.pk, eta=shipment.eta + timedelta(days=days), by=by, at=at, reason=reason
    )


class TestTheWordsOfAShipment:
    def test_say_which_edit_of_the_eta_it_was_and_why(self, shipment, bu_clerk, noon):
        moved(shipment, bu_clerk, noon, days=3)
        shipment.refresh_from_db()
        moved(shipment, bu_clerk, noon, days=5)

        told = newest(shipment)

        assert told.what == ["ETA 4 Apr 2026 → 9 Apr 2026 (second of three edits)"]
        assert told.summary == "ETA 4 Apr 2026 → 9 Apr 2026 (second of three edits), reason: vessel rolled"
        assert (told.kind, told.name) == ("shipment", shipment.shipment_number)

    def test_name_the_fields_as_the_pages_do_and_leave_out_the_bookkeeping(self, cast, shipment, bu_clerk, noon):
        changes = {"vessel": "MV Example", "division": cast.tyres, "quantity_unit": "tyres", "ata": recipes.ETA}
        changes |= {"invoice_amount_omr": Decimal("99999.500")}
        shipments.amend(shipment_id=shipment.pk, changes=changes, by=bu_clerk, at=noon)

        assert newest(shipment).what == [
            "division: – → Tyres, batteries and lubricants",
            "invoice amount (OMR): 12,345.678 → 99,999.500",
            "vessel: – → MV Example",
            "unit: – → Tyres",
            "actual arrival: – → 1 Apr 2026",
        ]

    def test_tell_the_bookkeeping_where_it_is_all_there_is(self, shipment):
        Shipment.objects.filter(pk=shipment.pk).update(version=9)

        assert newest(shipment).what == ["version: 1 → 9"]

    def test_say_that_it_was_deleted_and_restored(self, shipment, bu_head, noon):
        shipments.delete(shipment_id=shipment.pk, by=bu_head, at=noon)
        assert newest(shipment).what == ["deleted"]

        shipments.restore(shipment_id=shipment.pk, by=bu_head, at=noon)
        assert newest(shipment).what == ["restored"]

    def test_say_why_it_was_cancelled_once(self, shipment, bu_head, noon):
        shipments.cancel(shipment_id=shipment.pk, by=bu_head, at=noon, reason="order withdrawn")

        assert newest(shipment).summary == "status: Active → Cancelled, reason: order withdrawn"

    def test_list_what_it_was_registered_with(self, shipment):
        told = newest(shipment)

        assert told.what == ["created"]
        values = {value.label: value.new for value in told.values}
        assert (values["principal"], values["ETA"]) == ("Al Noor Tyres", "1 Apr 2026")
        assert (values["registered by"], values["status"]) == ("Badriya Clerk", "Active")


class TestTheWordsOfAStep:
    def test_say_when_it_was_done(self, shipment, cc_clerk, noon):
        step = recipes.step(shipment, recipes.BAYAN_SUBMITTED)
        workflow.complete_step(step_id=step.pk, by=cc_clerk, at=noon, actual_date=date(2026, 3, 12))

        told = newest(step)

        assert told.what == ["completed, 12 Mar 2026"]
        assert told.name == "9.0 Bayan submitted"

    def test_say_on_whose_behalf_it_was_done(self, shipment, cc_clerk, finance_clerk, noon):
        Absence.objects.create(user=cc_clerk, starts_on=recipes.TODAY, ends_on=recipes.TODAY, substitute=finance_clerk)
        step = recipes.step(shipment, recipes.BAYAN_SUBMITTED)
        workflow.complete_step(step_id=step.pk, by=finance_clerk, at=noon, actual_date=date(2026, 3, 12))

        assert newest(step).summary == "completed, 12 Mar 2026, on behalf of Khalid Clerk"

    def test_say_that_an_import_brought_the_date(self, shipment):
        recipes.record(shipment, {recipes.BAYAN_SUBMITTED: date(2026, 3, 12)})

        assert newest(recipes.step(shipment, recipes.BAYAN_SUBMITTED)).what == ["completed, 12 Mar 2026 (Import)"]

    def test_say_that_it_follows_a_field(self, shipment, bu_clerk, noon):
        shipments.amend(shipment_id=shipment.pk, changes={"sail_date": date(2026, 3, 1)}, by=bu_clerk, at=noon)

        assert newest(recipes.step(shipment, recipes.SAILED)).what == ["completed, 15 Mar 2026 (Entry of the field)"]

    def test_say_that_it_is_open_again_and_why(self, shipment, cc_head, noon):
        step = recipes.step(shipment, recipes.BAYAN_SUBMITTED)
        workflow.complete_step(step_id=step.pk, by=cc_head, at=noon)
        workflow.reopen_step(step_id=step.pk, by=cc_head, at=noon, reason="wrong file")

        assert newest(step).summary == "reopened, reason: wrong file"

    def test_say_that_it_is_not_required_and_when_it_is_again(self, shipment, cc_head, noon):
        step = recipes.step(shipment, recipes.POLICE_CHECK)
        workflow.mark_not_required(step_id=step.pk, by=cc_head, at=noon)
        assert newest(step).what == ["marked as not required"]

        workflow.reopen_step(step_id=step.pk, by=cc_head, at=noon, reason="customs called")
        assert newest(step).what == ["reopened"]

    def test_say_that_a_date_was_corrected(self, shipment, cc_head, noon):
        recipes.record(shipment, {recipes.COLLECTED: date(2026, 3, 10)})
        recipes.record(shipment, {recipes.COLLECTED: date(2026, 3, 11)})

        assert "actual date: 10 Mar 2026 → 11 Mar 2026" in newest(recipes.step(shipment, recipes.COLLECTED)).what


class TestTheWordsOfAnythingElse:
    def test_name_what_was_linked_and_unlinked(self, cast, cc_clerk):
        cc_clerk.divisions.add(cast.tyres)
        assert newest(cc_clerk).what == ["division Tyres, batteries and lubricants added"]

        cc_clerk.divisions.remove(cast.tyres)
        assert newest(cc_clerk).what == ["division Tyres, batteries and lubricants removed"]

    def test_keep_what_is_secret(self, cc_clerk):
        cc_clerk.set_password("another-Secret-9")
        cc_clerk.save(update_fields=["password"])

        assert newest(cc_clerk).what == ["password changed; the trail does not keep it"]

    def test_say_who_signed_in(self, cc_clerk, noon):
        type(cc_clerk).objects.filter(pk=cc_clerk.pk).update(last_login=noon)

        assert newest(cc_clerk).what == ["signed in"]

    def test_say_to_whom_an_alert_went_and_that_it_was_seen(self, settings, bu_clerk, cc_clerk):
        settings.ALERTS_PULL_FORWARD = False
        late.shipment(by=bu_clerk, days=5)
        late.sweep()
        alert = Alert.objects.get(days_post_eta=5)

        assert newest(alert).what == ["raised to Khalid Clerk on day 5 after the ETA (Critical)"]

        Alert.objects.filter(pk=alert.pk).update(
            acknowledged_at=late.now(), acknowledged_by=cc_clerk, promised_on=date(2026, 4, 2)
        )
        assert newest(alert).what == ["acknowledged", "promised for: – → 2 Apr 2026"]

    def test_join_lists_and_read_choices_within_them(self):
        rule = EscalationRule.objects.first()
        EscalationRule.objects.filter(pk=rule.pk).update(audiences=["ppr", "apr"])

        assert newest(rule).what == ["audiences: PPR of the step → PPR of the step, APR of the step"]

    def test_say_what_was_refused(self, shipment, cc_clerk):
        with context.acting(channel="api"):
            accounts.note_actor(cc_clerk)
            audit.record_denial(
                Forbidden(), entity_type="shipments.shipment", entity_id=shipment.pk, attempted="PATCH /somewhere"
            )

        told = newest(shipment)

        assert told.what == ["refused: You may not do this. (PATCH /somewhere)"]
        assert (told.who, told.role, told.where) == (
            "Khalid Clerk", "Customs & Clearance, PPR (primary person responsible)", "API",
        )  # fmt: skip

    def test_keep_the_id_of_what_is_no_longer_there(self):
        division = Division.objects.create(code="TRK", name="Trucks")
        key = division.pk
        division.delete()

        (told,) = wording.tell([AuditEntry.objects.get(entity_id=str(key), action=Action.DELETED)])

        assert (told.name, told.is_there) == (f"#{key}", False)
        assert told.what == ["removed from the database"]
        assert {value.label: value.old for value in told.values} == {"ID": str(key), "code": "TRK", "name": "Trucks"}

    @pytest.mark.parametrize("entity_id", ["", "9" * 40, "no number", "1 OR 1=1"])
    @pytest.mark.parametrize("kind", ["page", "shipments.shipment", "accounts.signin", "nothing.at_all"])
    def test_stand_whatever_a_refusal_names(self, kind, entity_id):
        entry = AuditEntry(entity_type=kind, entity_id=entity_id, action=Action.DENIED, changes={"code": "X"})

        (told,) = wording.tell([entry])

        assert told.what == ["refused: X"]
        assert not told.is_there

    def test_cost_one_statement_for_each_kind_of_record(self, cast, django_assert_num_queries):
        def entries(count: int) -> list[AuditEntry]:
            for number in range(count):
                Responsibility.objects.create(
                    step_number=Decimal(number + 1), division=cast.tyres, ppr=cast.cc_clerk, apr=cast.cc_alternate
                )
            cast.cc_clerk.groups.first().permissions.add(Permission.objects.first())
            return list(AuditEntry.objects.all())

        few = entries(2)
        Responsibility.objects.all().delete()
        many = entries(30)

        for some in (few, many):
            with django_assert_num_queries(len(kinds(some))):
                wording.tell(some)


def kinds(entries: list[AuditEntry]) -> set[Any]:
    """The models that entries are about or point to."""
    found = {wording.model_of(entry.entity_type) for entry in entries}
    return found | {model for entry in entries for model, _held in wording._pointed_to(entry)}


class TestWhatOneStatementDid:
    def test_is_one_row_with_each_of_its_records(self, shipment, bu_clerk, noon):
        moved(shipment, bu_clerk, noon, days=3)

        rows = wording.fold(wording.tell(list(selectors.under_shipment(shipment.pk))))

        assert [row.summary for row in rows] == [
            "Steps (34): target date, reason: vessel rolled",
            "ETA 1 Apr 2026 → 4 Apr 2026 (first of three edits), reason: vessel rolled",
            "Steps (34): created",
            "created",
        ]
        assert [one.name for one in rows[0].several[:2]] == ["1.1 Principal recorded", "1.2 Brand recorded"]


class TestTheWordsInArabic:
    def test_are_arabic_and_keep_values_together(self, shipment, bu_clerk, noon):
        moved(shipment, bu_clerk, noon, days=3)

        with override("ar"):
            (sentence,) = newest(shipment).what

        assert sentence.startswith("الوصول المتوقع")
        assert "\u2068" in sentence
        assert "←" in sentence

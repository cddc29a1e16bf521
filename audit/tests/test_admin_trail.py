from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.urls import resolve, reverse
from django.utils import timezone
from django.utils.html import strip_tags
from django_celery_beat.models import PeriodicTask

from accounts import services as accounts
from accounts.models import Division, User
from alerts.tests import late
from audit import selectors
from audit import services as audit
from audit.models import AuditEntry, Seal
from audit.rules import TRACKED
from clearance import context
from clearance.clock import day_of
from clearance.errors import Forbidden
from clearance.tests import pages, recipes
from shipments import services as shipments
from shipments.models import Shipment
from workflow import services as workflow

TRAIL = "/admin/audit/auditentry/"
SEALS = "/admin/audit/seal/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(auditor):
    return pages.signed_in(auditor)


@pytest.fixture
def moved(shipment, bu_clerk, noon):
    """A shipment whose ETA was moved once, by the clerk, in the back office."""
    with context.acting(channel="admin", request_id="request-of-the-clerk", ip_address="192.0.2.7"):
        accounts.note_actor(bu_clerk)
        eta = recipes.ETA + timedelta(days=8)
        shipments.change_eta(shipment_id=shipment.pk, eta=eta, by=bu_clerk, at=noon, reason="vessel rolled")
    return shipment


def told(answer: Any) -> str:
    assert answer.status_code == 200
    html = re.sub(r"<(script|style|nav)\b.*?</\1>", "", answer.content.decode(), flags=re.DOTALL)
    return " ".join(strip_tags(re.sub(r"</(dd|dt|li|p|span|td|th)>", " ", html)).split())


def found(answer: Any) -> list[AuditEntry]:
    assert answer.status_code == 200, answer
    return answer.context["cl"].result_list


def history_of(record: Any) -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_history", args=[record.pk])


class TestTheTrail:
    @pytest.mark.parametrize("address", [TRAIL, SEALS, f"{TRAIL}export/csv/", f"{TRAIL}evidence/1/"])
    def test_is_for_those_who_oversee(self, cast, shipment, address):
        those = {cast.auditor, cast.manager, cast.administrator}

        for person in User.objects.all():
            expected = {200, 404} if person in those else {403}
            assert pages.signed_in(person).get(address).status_code in expected, person

    def test_says_who_when_what_from_where_and_why(self, moved, desk):
        page = told(desk.get(TRAIL, {"q": "request-of-the-clerk", "kind": "shipments.shipment"}))

        assert f"Shipment {moved.shipment_number} ETA 1 Apr 2026 → 9 Apr 2026 (first of three edits)" in page
        assert "Badriya Clerk Business Unit, PPR (primary person responsible)" in page
        assert "back office 192.0.2.7 vessel rolled" in page

    def test_finds_by_a_shipments_number_all_that_lies_under_it(self, moved, bu_clerk, desk):
        recipes.registered(by=bu_clerk)

        entries = found(desk.get(TRAIL, {"q": f" {moved.shipment_number.lower()} "}))

        expected = selectors.under_shipment(moved.pk).values_list("pk", flat=True)
        assert [entry.pk for entry in entries] == list(expected[:50])
        assert {entry.entity_type for entry in entries} == {"shipments.shipment", "workflow.workflowstep"}

    def test_finds_by_record_person_channel_action_and_day(self, moved, bu_clerk, desk):
        today = timezone.localdate()
        for given in (
            {"kind": "shipments.shipment", "action__exact": "changed"},
            {"person": str(bu_clerk.pk), "kind": "shipments.shipment"},
            {"channel__exact": "admin", "kind": "shipments.shipment"},
            {"since": today.isoformat(), "kind": "shipments.shipment", "action__exact": "changed"},
            {"since": f"{today:%d/%m/%Y}", "until": f"{today:%d/%m/%Y}", "q": "request-of-the-clerk",
             "kind": "shipments.shipment"},
        ):  # fmt: skip
            assert [entry.request_id for entry in found(desk.get(TRAIL, given))] == ["request-of-the-clerk"], given

    def test_finds_nothing_where_there_is_nothing(self, moved, desk):
        yesterday = (day_of(timezone.now()) - timedelta(days=1)).isoformat()

        assert found(desk.get(TRAIL, {"until": yesterday, "kind": "shipments.shipment"})) == []
        assert "Nothing matches" in told(desk.get(TRAIL, {"q": "no-such-request"}))

    def test_finds_what_the_system_did(self, shipment, desk):
        entries = found(desk.get(TRAIL, {"person": "none", "kind": "shipments.shipment"}))

        assert [entry.user_id for entry in entries] == [None]

    @pytest.mark.parametrize("given", [{"since": "soon"}, {"until": "31/02/2026"}])
    def test_starts_again_where_a_day_is_none(self, desk, given):
        assert desk.get(TRAIL, given).status_code == 302

    @pytest.mark.parametrize("person", ["me", "²", "-1"])
    def test_takes_no_notice_of_a_person_that_is_none(self, shipment, desk, person):
        assert found(desk.get(TRAIL, {"person": person}))

    def test_cannot_be_written(self, desk, moved):
        entry = AuditEntry.objects.first()

        assert desk.post(f"{TRAIL}{entry.pk}/change/", {"reason": "mine"}).status_code == 403
        assert desk.post(f"{TRAIL}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
        assert desk.get(f"{TRAIL}add/").status_code == 403

    def test_costs_the_same_for_more_entries(self, cast, desk, django_assert_num_queries):
        given = {"kind": "accounts.division"}
        desk.get(TRAIL, given)
        for number in range(30):
            Division.objects.create(code=f"D{number}", name=f"Division {number}")

        with django_assert_num_queries(6):  # who, the people to choose from, the count, a page, and the names on it
            assert len(found(desk.get(TRAIL, given))) == 32

    def test_speaks_arabic(self, moved, auditor, desk):
        User.objects.filter(pk=auditor.pk).update(language="ar")

        page = told(desk.get(TRAIL, {"q": "request-of-the-clerk"}))

        assert "الوصول المتوقع" in page
        assert "ETA " not in page


class TestAnEntry:
    def test_shows_every_field_before_and_after_and_waits_for_its_seal(self, moved, desk):
        entry = AuditEntry.objects.get(entity_type="shipments.shipment", request_id="request-of-the-clerk")

        page = told(desk.get(f"{TRAIL}{entry.pk}/change/"))

        assert f"Entry {entry.pk} of the trail" in page
        assert "ETA eta 1 Apr 2026 9 Apr 2026" in page
        assert "Version version 1 2" in page
        assert "request-of-the-clerk" in page
        assert "not sealed yet" in page

    def test_leads_to_what_else_its_request_did(self, moved, desk):
        entry = AuditEntry.objects.get(entity_type="shipments.shipment", request_id="request-of-the-clerk")
        page = desk.get(f"{TRAIL}{entry.pk}/change/")

        answer = desk.get(page.context["same_request"])

        assert answer.context["cl"].result_count == 35

    def test_names_its_seal(self, moved, desk):
        audit.seal(at=timezone.now())
        entry = AuditEntry.objects.get(entity_type="shipments.shipment", request_id="request-of-the-clerk")

        answer = desk.get(f"{TRAIL}{entry.pk}/change/")

        seal = Seal.objects.get()
        assert f'<a href="{SEALS}{seal.pk}/change/">{seal.pk}</a>' in answer.content.decode()

    @pytest.mark.parametrize("action", ["created", "deleted", "denied"])
    def test_of_any_kind_has_a_page(self, desk, cc_clerk, action):
        division = Division.objects.create(code="TRK", name="Trucks")
        division.delete()
        with context.acting(channel="api"):
            accounts.note_actor(cc_clerk)
            audit.record_denial(Forbidden(), entity_type="page", entity_id="/api/v1/x", attempted="GET /api/v1/x")
        entry = AuditEntry.objects.filter(action=action).first()

        page = told(desk.get(f"{TRAIL}{entry.pk}/change/"))

        assert "GET /api/v1/x" in page if action == "denied" else "Trucks" in page


class TestTheFiles:
    def test_hold_what_the_list_shows_on_all_its_pages(self, moved, desk):
        given = {"q": moved.shipment_number, "kind": "workflow.workflowstep"}
        listed = desk.get(TRAIL, given)
        links = {str(button.label): button.url for button in listed.context["exports"]}

        written = b"".join(desk.get(links["CSV"]).streaming_content).decode()

        assert links.keys() == {"CSV", "XLSX", "With proofs (zip)"}
        assert listed.context["cl"].result_count == 68
        assert len({line.split(",")[0] for line in written.splitlines()[1:]}) == 68

    def test_say_in_the_list_where_they_would_be_too_long(self, moved, desk, monkeypatch):
        monkeypatch.setattr("audit.exports.MOST_LINES", 2)

        answer = desk.get(f"{TRAIL}export/xlsx/", {"kind": "shipments.shipment"}, follow=True)

        ((level, sentence),) = pages.told(answer)
        assert (level, "export as CSV" in sentence) == ("error", True)
        assert len(found(answer)) == 2

    def test_are_of_three_kinds(self, desk):
        assert desk.get(f"{TRAIL}export/pdf/").status_code == 404

    def test_of_a_shipment_are_a_click_away_for_those_who_oversee(self, moved, desk, bu_clerk):
        url = f"{TRAIL}evidence/{moved.pk}/"
        page = desk.get(pages.of(moved)).content.decode()

        assert url in page
        assert b"".join(desk.get(url).streaming_content).startswith(b"PK")
        assert url not in pages.signed_in(bu_clerk).get(pages.of(moved)).content.decode()


class TestTheSeals:
    def test_show_the_head_of_the_chain_to_compare(self, shipment, desk):
        audit.seal(at=timezone.now())
        Division.objects.create(code="TRK", name="Trucks")

        page = told(desk.get(SEALS))

        seal = Seal.objects.get()
        assert seal.seal_hash in page
        assert "Entries that wait for a seal 1 since" in page
        assert "wait for their seal" not in page
        assert seal.root in told(desk.get(f"{SEALS}{seal.pk}/change/"))

    def test_say_when_sealing_is_late(self, shipment, desk, monkeypatch):
        monkeypatch.setattr(selectors, "SEALED_WITHIN", timedelta(days=1))  # what the database began with is older

        assert "waited" not in told(desk.get(SEALS))

        monkeypatch.setattr(selectors, "SEALED_WITHIN", timedelta(0))

        assert "have waited for their seal since" in told(desk.get(SEALS))

    def test_say_what_to_do_where_there_is_none(self, desk):
        assert "Nothing is sealed yet" in told(desk.get(SEALS))


class TestTheState:
    def test_counts_what_was_denied_in_a_week(self, shipment, cc_clerk):
        at = timezone.now()
        with context.acting(channel="api"):
            accounts.note_actor(cc_clerk)
            audit.record_denial(Forbidden(), entity_type="page", entity_id="/x", attempted="GET /x")

        denied = [selectors.state(at=at + timedelta(days=days)).denied_in_seven_days for days in (0, 6, 7)]

        assert denied == [1, 1, 0]

    def test_knows_what_waits_for_a_seal(self, shipment):
        at = timezone.now()
        waiting = selectors.state(at=at)
        audit.seal(at=at)

        sealed = selectors.state(at=at)

        assert waiting.newest_seal is None
        assert waiting.waiting == AuditEntry.objects.count()
        assert (sealed.waiting, sealed.waiting_since, sealed.is_behind) == (0, None, False)
        assert sealed.newest_seal == Seal.objects.get()

    def test_is_behind_after_five_minutes(self, shipment):
        since = selectors.state(at=timezone.now()).waiting_since
        five = timedelta(minutes=5)

        assert not selectors.state(at=since + five).is_behind
        assert selectors.state(at=since + five + timedelta(seconds=1)).is_behind


class TestTheHistoryPage:
    def test_tells_of_a_shipment_and_its_steps(self, moved, cc_clerk, bu_clerk, noon):
        step = recipes.step(moved, recipes.BAYAN_SUBMITTED)
        with context.acting(channel="api"):
            accounts.note_actor(cc_clerk)
            workflow.complete_step(step_id=step.pk, by=cc_clerk, at=noon)

        page = told(pages.signed_in(bu_clerk).get(history_of(moved)))

        assert f"History of {moved.shipment_number}" in page
        assert "Step 9.0 Bayan submitted: completed, 15 Mar 2026" in page
        assert "Steps (34): target date, reason: vessel rolled" in page
        assert "ETA 1 Apr 2026 → 9 Apr 2026 (first of three edits), reason: vessel rolled" in page

    def test_leaves_the_steps_out_when_asked(self, moved, desk):
        page = told(desk.get(f"{history_of(moved)}?alone"))

        assert "Steps (34)" not in page
        assert "2 entries" in page

    def test_shows_addresses_and_denials_to_those_who_oversee_only(self, moved, desk, bu_clerk, cc_clerk):
        with context.acting(channel="api"):
            accounts.note_actor(cc_clerk)
            audit.record_denial(
                Forbidden(), entity_type="shipments.shipment", entity_id=moved.pk, attempted="PATCH /somewhere"
            )

        overseen, seen = (told(one.get(history_of(moved))) for one in (desk, pages.signed_in(bu_clerk)))

        assert "192.0.2.7" in overseen
        assert "refused: You may not do this." in overseen
        assert "192.0.2.7" not in seen
        assert "refused" not in seen

    def test_shows_alerts_to_those_who_may_see_them(self, settings, bu_clerk, cc_clerk, desk):
        settings.ALERTS_PULL_FORWARD = False
        shipment = late.shipment(by=bu_clerk, days=5)
        late.sweep()

        assert "raised to Khalid Clerk" in told(desk.get(history_of(shipment)))
        assert "raised to Khalid Clerk" in told(pages.signed_in(cc_clerk).get(history_of(shipment)))
        assert "raised to" not in told(pages.signed_in(bu_clerk).get(history_of(shipment)))

    def test_is_hidden_with_the_record(self, cast, bu_clerk, stranger):
        shipment = recipes.registered(by=bu_clerk, division=cast.tyres)
        client = pages.signed_in(stranger)

        assert client.get(history_of(shipment)).status_code == 404
        assert client.get(history_of(cast.tyres)).status_code == 200
        assert client.get(history_of(bu_clerk)).status_code == 403

    def test_is_a_link_away_from_the_record(self, moved, desk):
        assert history_of(moved) in desk.get(pages.of(moved)).content.decode()

    def test_tells_of_a_person_without_secrets(self, cast, desk, cc_clerk):
        cc_clerk.set_password("another-Secret-9")
        cc_clerk.save()
        cc_clerk.divisions.set([cast.tyres])

        page = told(desk.get(history_of(cc_clerk)))

        assert "division Tyres, batteries and lubricants added" in page
        assert "password changed; the trail does not keep it" in page
        assert "argon2" not in page

    def test_is_the_trails_for_every_kind_of_record(self):
        kinds = [model for model in admin.site._registry if model._meta.label_lower in TRACKED]

        assert len(kinds) > 12
        for kind in kinds:
            url = reverse(f"admin:{kind._meta.app_label}_{kind._meta.model_name}_history", args=[1])
            assert resolve(url).url_name == "history", kind

    def test_is_there_for_the_schedules_too(self, administrator):
        task = PeriodicTask.objects.order_by("pk").first()
        PeriodicTask.objects.filter(pk=task.pk).update(description="every morning")

        page = told(pages.signed_in(administrator).get(history_of(task)))

        assert "every morning" in page

    def test_comes_in_pages(self, shipment, desk):
        for number in range(60):
            Shipment.objects.filter(pk=shipment.pk).update(vessel=f"MV {number}")

        page, more = (told(desk.get(f"{history_of(shipment)}?alone&p={number}")) for number in (1, 2))

        assert "vessel: MV 58 → MV 59" in page
        assert "61 entries" in page
        assert "vessel: – → MV 0" in more

    def test_costs_the_same_for_more_entries(self, shipment, desk, django_assert_num_queries):
        desk.get(history_of(shipment))
        for number in range(40):
            Shipment.objects.filter(pk=shipment.pk).update(vessel=f"MV {number}")
        shipment.steps.update(note="seen")

        with django_assert_num_queries(12):  # who, the record, what lies beneath, a page, and the names on it
            desk.get(f"{history_of(shipment)}?p=2")

    def test_speaks_arabic(self, moved, bu_clerk):
        User.objects.filter(pk=bu_clerk.pk).update(language="ar")

        page = told(pages.signed_in(bu_clerk).get(history_of(moved)))

        assert "نيابةً" not in page
        assert "السبب" in page
        assert "reason" not in page


class TestASnapshot:
    def test_shows_the_record_as_it_was_with_what_had_changed(self, moved, bu_clerk):
        Shipment.objects.filter(pk=moved.pk).update(vessel="MV Later", eta=recipes.ETA)
        entry = selectors.about(moved).get(request_id="request-of-the-clerk")

        answer = pages.signed_in(bu_clerk).get(f"{history_of(moved)}{entry.pk}/")

        page = told(answer)
        assert "MV Later" not in page
        assert "ETA 9 Apr 2026" in page
        marked = re.findall(r"<mark><bdi>(.*?)</bdi></mark>", answer.content.decode())
        assert marked == ["9 Apr 2026", "1", "vessel rolled", "2"]

    def test_is_linked_from_each_entry_of_shipments_and_steps(self, moved, desk):
        page = desk.get(history_of(moved)).content.decode()

        step = moved.steps.order_by("step_number").first()
        entry = selectors.about(step).first()
        assert f"{history_of(step)}{entry.pk}/" in page
        assert desk.get(f"{history_of(step)}{entry.pk}/").status_code == 200

    def test_is_of_that_record_and_no_other(self, moved, bu_clerk, desk):
        other = recipes.registered(by=bu_clerk)
        entry = selectors.about(other).first()

        assert desk.get(f"{history_of(moved)}{entry.pk}/").status_code == 404
        assert desk.get(f"{history_of(moved)}999999999/").status_code == 404

    def test_is_kept_of_shipments_and_steps_only(self, cast, desk):
        entry = selectors.about(cast.tyres).first()

        assert "as it was then" not in told(desk.get(history_of(cast.tyres)))
        assert desk.get(f"{history_of(cast.tyres)}{entry.pk}/").status_code == 404

    def test_is_hidden_with_the_record(self, cast, bu_clerk, stranger):
        shipment = recipes.registered(by=bu_clerk, division=cast.tyres)
        entry = selectors.about(shipment).first()

        assert pages.signed_in(stranger).get(f"{history_of(shipment)}{entry.pk}/").status_code == 404

from __future__ import annotations

from datetime import date, datetime, timedelta
from io import BytesIO

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from clearance.clock import day_of
from clearance.tests import pages, recipes
from clearance.tests.traces import everything
from shipments import services as shipments
from shipments.choices import Status
from shipments.models import Shipment
from workflow.models import WorkflowStep

pytestmark = pytest.mark.django_db

LIST = reverse("admin:shipments_shipment_changelist")
IMPORT = reverse("admin:shipments_shipment_verb", args=["import"])


@pytest.fixture
def now() -> datetime:
    """The pages read the clock, so what they show is built around it."""
    return timezone.now()


@pytest.fixture
def today(now: datetime) -> date:
    return day_of(now)


@pytest.fixture
def shipment(bu_clerk, now, today) -> Shipment:
    return recipes.registered(by=bu_clerk, at=now, eta=today + timedelta(days=20))


def day(value: date) -> str:
    return value.strftime("%d/%m/%Y")


def new(today: date, **changed: str) -> dict[str, str]:
    return {
        "shipment_number": "NEW-1",
        "principal": "Al Noor Tyres",
        "brand": "Noor",
        "invoice_amount_omr": "1000.500",
        "eta": day(today + timedelta(days=10)),
        "transport_mode": "sea",
    } | changed


def workbook(*rows: list[object]) -> SimpleUploadedFile:
    book = openpyxl.Workbook()
    for row in (["Shipment number", "Principal", "Brand", "Invoice amount (OMR)", "ETA"], *rows):
        book.active.append(row)
    content = BytesIO()
    book.save(content)
    return SimpleUploadedFile("tracker.xlsx", content.getvalue())


class TestTheList:
    def test_shows_active_shipments_first_by_eta_with_their_risk_in_words(self, bu_clerk, today, now):
        late = recipes.shipment.make(eta=today - timedelta(days=9), container_count=2)
        coming = recipes.shipment.make(eta=today + timedelta(days=3))
        done = recipes.shipment.make(eta=today - timedelta(days=30), status=Status.COMPLETED)

        page = pages.signed_in(bu_clerk).get(LIST)

        assert [row.pk for row in page.context["cl"].result_list] == [late.pk, coming.pk, done.pk]
        assert "Demurrage" in page.text
        assert "153.848" in page.text  # 2 containers x 2 days x 38.462
        assert "9 days ago" in page.text
        assert "in 3 days" in page.text
        assert "0 of 3" in page.text

    def test_counts_the_steps_that_are_closed(self, bu_clerk, shipment, today):
        recipes.record(shipment, {"1.6": today}, at=timezone.now())

        page = pages.signed_in(bu_clerk).get(LIST)

        row = page.context["cl"].result_list[0]
        closed = WorkflowStep.objects.filter(shipment=shipment).completed().count()
        assert (row.steps_closed, row.steps_planned) == (closed, 34)

    def test_needs_the_same_few_queries_for_sixty_rows(self, bu_clerk, today, django_assert_max_num_queries):
        recipes.shipment.make(_quantity=60, eta=today)
        client = pages.signed_in(bu_clerk)

        with django_assert_max_num_queries(9):
            page = client.get(LIST)

        assert len(page.context["cl"].result_list) == 50

    def test_stops_counting_at_ten_thousand(self, bu_clerk, today, monkeypatch):
        monkeypatch.setattr("clearance.admin.lists.MOST_COUNTED", 55)
        recipes.shipment.make(_quantity=60, eta=today)

        page = pages.signed_in(bu_clerk).get(LIST)

        assert page.context["cl"].result_count == 55
        assert "More than 10,000" in page.text

    @pytest.mark.parametrize(
        ("risk", "days"),
        [
            ("expected", -1),
            ("on_time", 0),
            ("on_time", 3),
            ("warning", 4),
            ("critical", 5),
            ("critical", 6),
            ("urgent", 7),
            ("demurrage", 8),
            ("demurrage", 40),
            ("near", 4),
            ("near", 20),
        ],
    )
    def test_filters_by_risk_exactly_as_the_rule_says(self, bu_clerk, today, risk, days):
        wanted = recipes.shipment.make(eta=today - timedelta(days=days))

        page = pages.signed_in(bu_clerk).get(LIST, {"risk": risk})

        assert [row.pk for row in page.context["cl"].result_list] == [wanted.pk]

    @pytest.mark.parametrize(
        ("risk", "days"), [("on_time", -1), ("on_time", 4), ("warning", 5), ("urgent", 8), ("near", 3)]
    )
    def test_leaves_out_the_neighbouring_risks(self, bu_clerk, today, risk, days):
        recipes.shipment.make(eta=today - timedelta(days=days))

        page = pages.signed_in(bu_clerk).get(LIST, {"risk": risk})

        assert "Nothing matches" in page.text

    @pytest.mark.parametrize("risk", ["near", "demurrage"])
    def test_has_no_cleared_shipment_at_risk(self, bu_clerk, today, risk):
        cleared = recipes.shipment.make(eta=today - timedelta(days=9), cleared_on=today)
        client = pages.signed_in(bu_clerk)

        assert "Nothing matches" in client.get(LIST, {"risk": risk}).text
        (row,) = client.get(LIST).context["cl"].result_list
        assert (row, row.risk_now, row.omr_told) == (cleared, None, "–")

    def test_finds_by_the_beginnings_of_words(self, bu_clerk, today):
        wanted = recipes.shipment.make(eta=today, principal="Zephyrine Rubber", bl_number="MAEU 123")
        recipes.shipment.make(eta=today)

        page = pages.signed_in(bu_clerk).get(LIST, {"q": "zeph maeu"})

        assert [row.pk for row in page.context["cl"].result_list] == [wanted.pk]

    def test_says_what_to_do_when_it_is_empty(self, bu_clerk):
        page = pages.signed_in(bu_clerk).get(LIST)

        assert "The Business Unit registers them here" in page.text

    def test_leaves_out_other_divisions(self, stranger, cast, today):
        recipes.shipment.make(eta=today, division=cast.tyres)

        page = pages.signed_in(stranger).get(LIST)

        assert not page.context["cl"].result_list

    def test_shows_deleted_ones_only_to_who_may_restore_them_and_asks_for_them(self, bu_clerk, bu_head, now, shipment):
        shipments.delete(shipment_id=shipment.pk, by=bu_clerk, at=now)

        clerks = pages.signed_in(bu_clerk).get(LIST, {"deleted": "yes"}, follow=True)
        heads = pages.signed_in(bu_head).get(LIST)
        heads_deleted = pages.signed_in(bu_head).get(LIST, {"deleted": "yes"})

        assert clerks.context["cl"].result_list == []
        assert heads.context["cl"].result_list == []
        assert heads_deleted.context["cl"].result_list == [shipment]


class TestRegistering:
    def test_reaches_the_desk(self, bu_clerk, today):
        answer = pages.signed_in(bu_clerk).post(pages.adding(Shipment), new(today), follow=True)

        shipment = Shipment.objects.get(shipment_number="NEW-1")
        assert shipment.eta == today + timedelta(days=10)
        assert shipment.created_by == bu_clerk
        assert shipment.steps.count() == 34
        assert pages.told(answer)[0][0] == "success"

    def test_shows_a_refusal_at_its_field_on_the_filled_in_form(self, bu_clerk, today):
        client = pages.signed_in(bu_clerk)
        before = everything()

        answer = client.post(pages.adding(Shipment), new(today, eta=day(today - timedelta(days=1))))

        assert "cannot be in the past" in pages.errors_of(answer)["eta"][0]
        assert 'value="1000.500"' in answer.text
        assert everything() == before

    def test_names_a_number_that_a_deleted_shipment_keeps(self, bu_clerk, today, now, shipment):
        shipments.delete(shipment_id=shipment.pk, by=bu_clerk, at=now)
        given = new(today, shipment_number=shipment.shipment_number)

        answer = pages.signed_in(bu_clerk).post(pages.adding(Shipment), given)

        assert "stay reserved" in pages.errors_of(answer)["shipment_number"][0]

    def test_reads_a_date_day_first(self, bu_clerk, today):
        year = today.year + 1

        pages.signed_in(bu_clerk).post(pages.adding(Shipment), new(today, eta=f"05/04/{year}"))

        assert Shipment.objects.get().eta == date(year, 4, 5)

    @pytest.mark.parametrize("who", ["cc_clerk", "finance_head", "auditor", "manager", "administrator"])
    def test_is_for_the_business_unit_only(self, cast, who, today):
        client = pages.signed_in(getattr(cast, who))

        assert client.get(pages.adding(Shipment)).status_code == 403
        assert client.post(pages.adding(Shipment), new(today)).status_code == 403
        assert not Shipment.objects.exists()


class TestAmending:
    def test_writes_what_changed_and_nothing_else(self, bu_clerk, shipment):
        client = pages.signed_in(bu_clerk)
        given = pages.filled_in(client.get(pages.of(shipment))) | {"vessel": "MV Sohar"}

        client.post(pages.of(shipment), given)

        amended = Shipment.objects.get(pk=shipment.pk)
        assert (amended.vessel, amended.version) == ("MV Sohar", shipment.version + 1)

    def test_of_a_stale_form_overwrites_nothing(self, bu_clerk, bu_alternate, shipment, now):
        client = pages.signed_in(bu_clerk)
        given = pages.filled_in(client.get(pages.of(shipment))) | {"vessel": "MV Sohar"}
        shipments.amend(shipment_id=shipment.pk, changes={"vessel": "MV Salalah"}, by=bu_alternate, at=now)
        before = everything()

        answer = client.post(pages.of(shipment), given)

        assert "Somebody else changed this record" in pages.errors_of(answer)["__all__"][0]
        assert "Nothing was saved." in answer.text  # above the steps, where the page begins
        assert "Show the record as it is now" in answer.text
        assert everything() == before

    def test_has_no_field_for_the_eta(self, bu_clerk, shipment, today):
        client = pages.signed_in(bu_clerk)
        given = pages.filled_in(client.get(pages.of(shipment))) | {"eta": day(today + timedelta(days=30))}

        client.post(pages.of(shipment), given)

        assert Shipment.objects.get(pk=shipment.pk).eta == shipment.eta

    @pytest.mark.parametrize("who", ["cc_clerk", "auditor", "administrator"])
    def test_is_refused_to_others_who_may_read(self, cast, who, shipment):
        client = pages.signed_in(getattr(cast, who))

        page = client.get(pages.of(shipment))

        assert page.status_code == 200
        assert 'name="vessel"' not in page.text
        assert client.post(pages.of(shipment), {"vessel": "MV Sohar"}).status_code == 403

    def test_of_a_cancelled_shipment_is_not_offered(self, bu_head, shipment, now):
        shipments.cancel(shipment_id=shipment.pk, reason="Order withdrawn", by=bu_head, at=now)

        page = pages.signed_in(bu_head).get(pages.of(shipment))

        assert 'name="vessel"' not in page.text
        assert "Order withdrawn" in page.text


class TestThePage:
    def test_shows_every_step_in_sop_order_with_money_and_eta_changes(self, bu_clerk, shipment):
        page = pages.signed_in(bu_clerk).get(pages.of(shipment))

        numbers = [step.step_number for step in page.context["steps"]]
        assert len(numbers) == 34
        assert numbers == sorted(numbers)
        assert "1,358.025" in page.text  # 11 % of 12,345.678, each part rounded
        assert "0 of 3" in page.text

    def test_needs_few_queries(self, cc_head, shipment, django_assert_max_num_queries):
        client = pages.signed_in(cc_head)

        with django_assert_max_num_queries(14):
            client.get(pages.of(shipment))

    def test_offers_a_step_to_those_who_may_complete_it(self, cc_clerk, finance_clerk, shipment):
        def offered(user):
            steps = pages.signed_in(user).get(pages.of(shipment)).context["steps"]
            return {str(step.step_number) for step in steps if step.buttons}

        assert recipes.BAYAN_SUBMITTED in offered(cc_clerk)
        assert recipes.BAYAN_SUBMITTED not in offered(finance_clerk)
        assert recipes.DAN_SENT in offered(finance_clerk)

    @pytest.mark.parametrize(
        ("who", "labels"),
        [
            ("bu_clerk", {"Change ETA", "Delete"}),
            ("bu_head", {"Change ETA", "Cancel", "Delete"}),
            ("administrator", {"Cancel"}),
            ("cc_head", set()),
            ("auditor", set()),
            ("manager", set()),
        ],
    )
    def test_offers_what_the_person_may_do(self, cast, who, labels, shipment):
        page = pages.signed_in(getattr(cast, who)).get(pages.of(shipment))

        assert pages.buttons(page) == labels

    def test_of_another_division_is_not_there(self, stranger, cast, today):
        other = recipes.shipment.make(eta=today, division=cast.tyres)

        answer = pages.signed_in(stranger).get(pages.of(other), follow=True)

        assert "doesn’t exist" in pages.told(answer)[0][1]


class TestChangingTheEta:
    def test_tells_what_it_will_cost_and_reaches_the_desk(self, bu_clerk, shipment, today):
        client = pages.signed_in(bu_clerk)
        later = today + timedelta(days=40)

        page = client.get(pages.verb("eta", shipment))
        answer = client.post(
            pages.verb("eta", shipment),
            {"eta": day(later), "reason": "Rolled", "version": shipment.version},
            follow=True,
        )

        assert "3 of 3" in page.text
        moved = Shipment.objects.get(pk=shipment.pk)
        assert (moved.eta, moved.eta_edit_count, moved.eta_change_reason) == (later, 1, "Rolled")
        assert pages.told(answer) == [("success", f"{shipment} is expected on {day(later)}.")]
        assert answer.redirect_chain[-1][0] == pages.of(shipment)

    def test_shows_a_refusal_on_the_filled_in_form(self, bu_clerk, shipment, today):
        client = pages.signed_in(bu_clerk)
        before = everything()

        answer = client.post(pages.verb("eta", shipment), {"eta": day(today - timedelta(days=1)), "reason": "Rolled"})

        assert "cannot be in the past" in pages.errors_of(answer)["eta"][0]
        assert "Rolled" in answer.text
        assert everything() == before

    def test_based_on_an_older_version_is_refused(self, bu_clerk, shipment, today):
        client = pages.signed_in(bu_clerk)
        before = everything()
        given = {"eta": day(today + timedelta(days=30)), "version": shipment.version + 1}

        answer = client.post(pages.verb("eta", shipment), given)

        assert "Somebody else changed this record" in pages.errors_of(answer)["__all__"][0]
        assert everything() == before

    def test_is_not_offered_once_all_changes_are_used(self, bu_clerk, today):
        shipment = recipes.shipment.make(eta=today, eta_edit_count=3)

        page = pages.signed_in(bu_clerk).get(pages.of(shipment))

        assert "Change ETA" not in pages.buttons(page)

    @pytest.mark.parametrize("who", ["cc_head", "administrator", "auditor", "manager"])
    def test_is_forbidden_to_everybody_else(self, cast, who, shipment, today):
        client = pages.signed_in(getattr(cast, who))

        assert client.get(pages.verb("eta", shipment)).status_code == 403
        given = {"eta": day(today + timedelta(days=30))}
        assert client.post(pages.verb("eta", shipment), given).status_code == 403
        assert Shipment.objects.get(pk=shipment.pk).eta == shipment.eta


class TestWithdrawing:
    def test_cancelling_keeps_the_reason(self, bu_head, shipment):
        pages.signed_in(bu_head).post(pages.verb("cancel", shipment), {"reason": "Order withdrawn"})

        cancelled = Shipment.objects.get(pk=shipment.pk)
        assert (cancelled.status, cancelled.cancel_reason) == (Status.CANCELLED, "Order withdrawn")

    def test_cancelling_without_a_reason_is_refused(self, bu_head, shipment):
        answer = pages.signed_in(bu_head).post(pages.verb("cancel", shipment), {"reason": ""})

        assert "reason" in pages.errors_of(answer)
        assert Shipment.objects.get(pk=shipment.pk).status == Status.ACTIVE

    def test_several_stand_or_fall_alone(self, bu_head, shipment, today):
        done = recipes.shipment.make(eta=today, status=Status.COMPLETED)

        answer = pages.signed_in(bu_head).post(
            pages.verb("cancel", shipment, done), {"reason": "Order withdrawn"}, follow=True
        )

        assert Shipment.objects.get(pk=shipment.pk).status == Status.CANCELLED
        assert Shipment.objects.get(pk=done.pk).status == Status.COMPLETED
        levels = dict(pages.told(answer))
        assert str(done) in levels["error"]
        assert "done for 1" in levels["success"]

    def test_the_action_of_the_list_opens_the_page_for_the_chosen_ones(self, bu_head, shipment):
        answer = pages.signed_in(bu_head).post(
            LIST, {"action": "cancel", "_selected_action": [shipment.pk]}, follow=True
        )

        assert answer.context["targets"] == [shipment]
        assert Shipment.objects.get(pk=shipment.pk).status == Status.ACTIVE

    def test_deleting_hides_and_goes_back_to_the_list(self, bu_clerk, shipment):
        answer = pages.signed_in(bu_clerk).post(pages.verb("delete", shipment), follow=True)

        assert Shipment.objects.get(pk=shipment.pk).deleted_at is not None
        assert answer.redirect_chain[-1][0] == LIST

    @pytest.mark.parametrize("who", ["bu_head", "administrator"])
    def test_a_deleted_one_comes_back(self, cast, who, bu_clerk, shipment, now):
        shipments.delete(shipment_id=shipment.pk, by=bu_clerk, at=now)
        client = pages.signed_in(getattr(cast, who))

        page = client.get(pages.of(shipment))
        client.post(pages.verb("restore", shipment))

        assert pages.buttons(page) == {"Restore"}
        assert Shipment.objects.get(pk=shipment.pk).deleted_at is None

    def test_djangos_own_deletion_is_not_there(self, bu_head, shipment):
        url = reverse("admin:shipments_shipment_delete", args=[shipment.pk])

        assert pages.signed_in(bu_head).post(url, {"post": "yes"}).status_code == 403
        assert Shipment.objects.filter(pk=shipment.pk).exists()

    def test_never_follows_a_link_to_another_site(self, bu_clerk, shipment):
        url = pages.verb("delete", shipment, back="https://elsewhere.example/")

        answer = pages.signed_in(bu_clerk).post(url)

        assert answer.url == LIST


class TestImporting:
    def test_a_trial_shows_what_would_happen_and_writes_nothing(self, bu_clerk, today):
        client = pages.signed_in(bu_clerk)
        before = everything()
        upload = workbook(["N-1", "Al Noor", "Noor", 100, today + timedelta(days=5)])

        answer = client.post(IMPORT, {"file": upload, "dry_run": "on"})

        assert answer.context["result"]["report"].created == 1
        assert "nothing was written" in answer.text
        assert everything() == before

    def test_writes_the_good_rows_and_gives_the_failed_ones_back(self, bu_clerk, today):
        upload = workbook(
            ["N-1", "Al Noor", "Noor", 100, today + timedelta(days=5)], ["N-2", "Al Noor", "Noor", "many", today]
        )

        answer = pages.signed_in(bu_clerk).post(IMPORT, {"file": upload})

        assert list(Shipment.objects.values_list("shipment_number", flat=True)) == ["N-1"]
        assert "“many” is not an amount" in answer.text
        assert 'href="data:application/vnd.openxmlformats' in answer.text

    def test_says_what_is_wrong_with_a_file_that_is_none(self, bu_clerk):
        upload = SimpleUploadedFile("tracker.xlsx", b"not a workbook")

        answer = pages.signed_in(bu_clerk).post(IMPORT, {"file": upload})

        assert "damaged" in pages.errors_of(answer)["__all__"][0]

    def test_names_a_sheet_that_is_missing_at_its_field(self, bu_clerk):
        answer = pages.signed_in(bu_clerk).post(IMPORT, {"file": workbook(), "sheet": "Nowhere"})

        assert "Nowhere" in pages.errors_of(answer)["sheet"][0]

    @pytest.mark.parametrize("who", ["cc_clerk", "administrator", "auditor"])
    def test_is_for_the_business_unit_only(self, cast, who):
        assert pages.signed_in(getattr(cast, who)).get(IMPORT).status_code == 403

    def test_hands_out_the_workbook_to_fill_in(self, bu_clerk):
        answer = pages.signed_in(bu_clerk).get(reverse("admin:shipments_shipment_blank"))

        assert openpyxl.load_workbook(BytesIO(answer.content)).worksheets[0]["A1"].value == "Shipment number"

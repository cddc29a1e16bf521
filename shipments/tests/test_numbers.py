"""One form of a shipment's number at every door."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from io import BytesIO

import openpyxl
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from audit.models import AuditEntry
from clearance.clock import day_of
from clearance.tests import pages, races, recipes
from clearance.tests.callers import error_of, signed_in
from clearance.tests.traces import refused
from shipments import services as shipments
from shipments.errors import ShipmentNumberTaken
from shipments.imports import workbook
from shipments.models import Shipment
from shipments.tests.test_import_rows import bring, counts, new_row
from workflow.models import WorkflowStep

pytestmark = pytest.mark.django_db

SHIPMENTS = "/api/v1/shipments"
# What people see as TBL-01, and write in as many ways.
SPELLINGS = {
    "small": "tbl-01",
    "Arabic digits": "TBL-٠١",
    "Persian digits": "TBL-۰۱",
    "a hyphen that does not break": "TBL‑01",
    "a dash": "TBL–01",
    "a minus": "TBL−01",
    "full width": "ＴＢＬ－０１",
    "blanks around": "  TBL-01\u00a0",
}
# The same to look at, with something in it that nobody sees.
UNSEEN = {
    "a zero-width blank": "TBL-01\u200b",
    "a word joiner": "TBL\u2060-01",
    "a soft hyphen": "TBL\u00ad-01",
    "a joiner": "TBL-\u200d01",
    "an override": "TBL-\u202e01",
    "a direction mark": "\u200fTBL-01",
}


def body(number: str, **changed):
    return {
        "shipment_number": number,
        "principal": "Al Noor Tyres",
        "brand": "Noor",
        "invoice_amount_omr": "500.500",
        "eta": str(day_of(timezone.now()) + timedelta(days=30)),
        **changed,
    }


def sheet(*numbers: str) -> bytes:
    book, content = openpyxl.Workbook(), BytesIO()
    book.active.append(["Shipment number", "Principal", "Brand", "Invoice amount (OMR)", "ETA"])
    for number in numbers:
        book.active.append([number, "Al Noor Tyres", "Noor", 500.5, recipes.ETA])
    book.save(content)
    return content.getvalue()


@pytest.fixture
def client(cast):
    return signed_in(cast.bu_clerk)


class TestTheApi:
    @pytest.mark.parametrize("written", SPELLINGS.values(), ids=SPELLINGS)
    def test_takes_every_spelling_for_the_same_shipment(self, cast, client, written):
        taken = recipes.registered(by=cast.bu_clerk, shipment_number="TBL-01")
        other = recipes.registered(by=cast.bu_clerk, shipment_number="TBL-02")
        of_other = f"{SHIPMENTS}/{other.pk}"

        answers = [client.post(SHIPMENTS, body(written)), client.patch(of_other, {"shipment_number": written})]

        assert [error_of(answer, 409)["code"] for answer in answers] == ["SHIPMENT_NUMBER_TAKEN"] * 2
        assert list(Shipment.objects.order_by("pk").values_list("pk", "shipment_number")) == [
            (taken.pk, "TBL-01"),
            (other.pk, "TBL-02"),
        ]

    @pytest.mark.parametrize("written", [*UNSEEN.values(), "TBL\n-01", "TBL-\t01"])
    def test_refuses_what_nobody_sees_in_it_and_registers_nothing(self, client, written):
        error = error_of(client.post(SHIPMENTS, body(written)), 400)

        assert [entry["field"] for entry in error["details"]] == ["shipment_number"]
        assert not Shipment.objects.exists()

    @pytest.mark.parametrize("written", [one for name, one in SPELLINGS.items() if name != "small"])
    def test_stores_the_one_form_with_its_capitals(self, client, written):
        assert client.post(SHIPMENTS, body(written)).json()["shipment_number"] == "TBL-01"

    def test_lets_the_capitals_of_a_number_be_changed(self, cast, client):
        old = recipes.registered(by=cast.bu_clerk, shipment_number="tbl-01")

        answer = client.patch(f"{SHIPMENTS}/{old.pk}", {"shipment_number": "TBL-01"})

        assert answer.json()["shipment_number"] == "TBL-01"

    @pytest.mark.parametrize("written", [*SPELLINGS.values(), *UNSEEN.values()])
    def test_finds_it_by_every_spelling(self, cast, client, written):
        recipes.registered(by=cast.bu_clerk, shipment_number="TBL-01")

        found = client.get(SHIPMENTS, {"search": written}).json()["results"]

        assert [one["shipment_number"] for one in found] == ["TBL-01"]

    @pytest.mark.parametrize("words", ["＇", "TBL＇01", "＼", "':*&!|()", "ＴＢＬ＇) | (＇"])
    def test_takes_no_word_of_a_search_for_anything_else(self, client, words):
        assert client.get(SHIPMENTS, {"search": words}).status_code == 200

    def test_takes_rows_in_every_spelling_for_the_same_shipment(self, cast, client):
        recipes.registered(by=cast.bu_clerk, shipment_number="TBL-01")

        for times, written in enumerate((*SPELLINGS.values(), *UNSEEN.values())):
            answer = client.post(f"{SHIPMENTS}/import", {"rows": [body(written, vessel=f"MV {times}")]})
            assert (answer.json()["created"], answer.json()["faults"]) == (0, [])

        assert Shipment.objects.get().shipment_number == "TBL-01"


class TestTheDesk:
    @pytest.mark.parametrize("written", SPELLINGS.values(), ids=SPELLINGS)
    def test_refuses_the_second_one(self, cast, noon, written):
        recipes.registered(by=cast.bu_clerk, shipment_number="TBL-01")

        with refused(ShipmentNumberTaken, "SHIPMENT_NUMBER_TAKEN"):
            shipments.register(values=recipes.values(shipment_number=written), by=cast.bu_clerk, at=noon)

    def test_writes_the_other_numbers_in_one_form_too(self, cast):
        made = recipes.registered(by=cast.bu_clerk, bl_number="ＢＬ–٧٧", lc_number="LC‑١,LC‑٢")

        assert (made.bl_number, made.lc_number) == ("BL-77", "LC-1, LC-2")


class TestTheDatabase:
    @pytest.mark.parametrize("written", ["TBL‑01", "TBL-٠١", "TBL\u00a001", "TBL  01", " TBL-01", "ＴBL", "TBL\u200b"])
    def test_holds_no_number_in_another_form(self, cast, written):
        with pytest.raises(IntegrityError, match=r"one_form|one_line"), transaction.atomic():
            recipes.shipment.make(shipment_number=written)

    def test_holds_a_number_once_whatever_its_capitals(self, cast):
        recipes.shipment.make(shipment_number="Tbl-01é")

        with pytest.raises(IntegrityError, match="shipment_number_is_unique"), transaction.atomic():
            recipes.shipment.make(shipment_number="tBL-01É")


class TestTheBackOffice:
    def test_refuses_the_second_one_at_its_field(self, cast):
        recipes.registered(by=cast.bu_clerk, shipment_number="TBL-01")
        given = {
            "transport_mode": "sea",
            "principal": "P",
            "brand": "B",
            "invoice_amount_omr": "1",
            "eta": "01/01/2099",
        }

        answer = pages.signed_in(cast.bu_clerk).post(pages.adding(Shipment), {**given, "shipment_number": "tbl‑٠١"})

        assert pages.errors_of(answer).keys() == {"shipment_number"}, pages.errors_of(answer)
        assert Shipment.objects.count() == 1


class TestAWorkbook:
    def test_means_the_shipment_whose_number_is_shown(self, cast, noon):
        known = recipes.registered(
            by=cast.bu_clerk, shipment_number="Tbl-01", invoice_amount_omr="500.500", eta=recipes.ETA
        )

        for written in (*SPELLINGS.values(), *UNSEEN.values()):
            report = workbook.import_workbook(sheet(written), name="a.xlsx", by=cast.bu_clerk, at=noon).report
            assert counts(report) == (0, 0, 1, 0), written

        assert Shipment.objects.values_list("pk", "shipment_number", "version").get() == (known.pk, "Tbl-01", 1)

    def test_with_one_number_in_two_spellings_fails_both_rows(self, cast, noon):
        report = workbook.import_workbook(sheet("TBL-01", "tbl–٠١"), name="a.xlsx", by=cast.bu_clerk, at=noon).report

        assert counts(report) == (0, 0, 0, 2)
        assert not Shipment.objects.exists()

    def test_costs_the_same_statements_for_numbers_in_any_spelling(self, cast, noon, django_assert_max_num_queries):
        for at_row in range(30):
            recipes.shipment.make(shipment_number=f"TBL-{at_row:02}")

        with django_assert_max_num_queries(40):
            report = bring(
                *[new_row(f"tbl-{at_row:02}", at_row=at_row) for at_row in range(30)], by=cast.bu_clerk, at=noon
            )

        assert counts(report) == (0, 0, 30, 0) or counts(report) == (0, 30, 0, 0)


@pytest.mark.django_db(transaction=True)
class TestOneNumberInTwoSpellingsAtTheSameMoment:
    def test_registered_twice_makes_one_shipment(self, cast, noon):
        results = races.at_once(
            *[
                lambda number=number: shipments.register(
                    values=recipes.values(shipment_number=number), by=cast.bu_clerk, at=noon
                )
                for number in ("TBL-01", "tbl‑٠١")
            ],
            held=lambda: recipes.shipment.make(shipment_number="Tbl-01"),
        )

        assert sorted(type(result).__name__ for result in results) == ["Shipment", "ShipmentNumberTaken"]
        assert (Shipment.objects.count(), WorkflowStep.objects.count()) == (1, 34)

    def test_imported_twice_makes_one_shipment(self, cast, noon):
        reports = races.at_once(
            *[
                lambda number=number: (
                    workbook.import_workbook(sheet(number), name="a.xlsx", by=cast.bu_clerk, at=noon).report
                )
                for number in ("TBL-01", "tbl–۰۱\u200b")
            ],
            held=lambda: recipes.shipment.make(shipment_number="Tbl-01"),
        )

        assert sorted(counts(report) for report in reports) == [(0, 0, 0, 1), (1, 0, 0, 0)]
        assert (Shipment.objects.count(), WorkflowStep.objects.count()) == (1, 34)

    @pytest.mark.parametrize("is_import_first", [True, False])
    def test_imported_and_registered_makes_one_shipment(self, cast, noon, is_import_first):
        def imports():
            return bring(new_row("tbl-01", vessel="Sea Star"), by=cast.bu_clerk, at=noon)

        def registers():
            return shipments.register(values=recipes.values(shipment_number="TBL-٠١"), by=cast.bu_alternate, at=noon)

        first, second = (imports, registers) if is_import_first else (registers, imports)
        result = races.blocked_by(first, second)

        assert (Shipment.objects.count(), WorkflowStep.objects.count()) == (1, 34)
        if is_import_first:
            assert type(result) is ShipmentNumberTaken
        else:
            assert counts(result) == (0, 0, 0, 1)

    def test_renamed_and_registered_makes_one_of_the_name(self, cast, noon):
        known = recipes.registered(by=cast.bu_clerk, shipment_number="TBL-02")

        result = races.blocked_by(
            lambda: shipments.amend(
                shipment_id=known.pk, changes={"shipment_number": "TBL-01"}, by=cast.bu_clerk, at=noon
            ),
            lambda: shipments.register(values=recipes.values(shipment_number="tbl-01"), by=cast.bu_clerk, at=noon),
        )

        assert type(result) is ShipmentNumberTaken
        assert Shipment.objects.get().shipment_number == "TBL-01"


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestADatabaseFromBefore:
    @pytest.fixture
    def owner(self, cast):
        call_command("migrate", "shipments", "0002", database="owner", verbosity=0)
        with connections["owner"].cursor() as cursor:
            yield cursor
        connections["owner"].close()

    @staticmethod
    def add(cursor, *numbers: str) -> None:
        for number in numbers:
            cursor.execute(
                "INSERT INTO shipments_shipment (shipment_number, transport_mode, principal, brand, status, eta, "
                "  supplier_invoice_number, lc_number, lc_issuing_bank, invoice_amount_omr, bl_number, vessel, "
                "  port_of_loading, port_of_discharge, quantity_unit, eta_edit_count, eta_change_reason, "
                "  cancel_reason, "
                "  created_at, updated_at, version)"
                " VALUES (%s, 'sea', %s, 'B', 'active', '2026-04-01', '', '', '', 1, '', '', '', '', '', 0, '', '', "
                "  now(), now(), 1)",
                [number, "Two\nlines \ufee3\ufea4\ufee4\ufeaa"],
            )

    def test_is_written_in_one_form_and_the_trail_tells_of_it(self, owner):
        self.add(owner, "TBL–٠١", "TBL-02", "tbl-03\u200b")

        call_command("migrate", database="owner", verbosity=0)

        assert list(Shipment.objects.order_by("pk").values_list("shipment_number", "principal")) == [
            ("TBL-01", "Two lines محمد"),
            ("TBL-02", "Two lines محمد"),
            ("tbl-03", "Two lines محمد"),
        ]
        told = AuditEntry.objects.filter(entity_type="shipments.shipment", action="changed").order_by("pk")
        assert ["TBL–٠١", "TBL-01"] in [entry.changes.get("shipment_number") for entry in told]

    def test_whose_numbers_collide_is_left_as_it_is_and_says_which_and_what_to_do(self, owner):
        self.add(owner, "TBL-01", "tbl-01", "TBL-٠٢", "TBL-02", "TBL-03")
        collide = import_module("shipments.migrations.0003_texts_of_one_line").NumbersCollide

        with pytest.raises(collide) as stopped:
            call_command("migrate", database="owner", verbosity=0)

        told = str(stopped.value)
        assert "'TBL-01' (id" in told
        assert "'tbl-01' (id" in told
        assert "'TBL-٠٢' (id" in told
        assert "TBL-03" not in told
        assert "then migrate again" in told
        owner.execute("SELECT array_agg(shipment_number ORDER BY id) FROM shipments_shipment")
        assert owner.fetchone() == (["TBL-01", "tbl-01", "TBL-٠٢", "TBL-02", "TBL-03"],)
        owner.execute(
            "UPDATE shipments_shipment SET shipment_number = 'SH-1 (second)' WHERE shipment_number = 'tbl-01'"
        )
        owner.execute(
            "UPDATE shipments_shipment SET shipment_number = 'SH-2 (second)' WHERE shipment_number = 'TBL-02'"
        )
        call_command("migrate", database="owner", verbosity=0)
        assert Shipment.objects.count() == 5

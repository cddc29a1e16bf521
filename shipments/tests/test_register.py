from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clearance.clock import day_of
from clearance.constraints import ConstraintViolated
from clearance.errors import Forbidden, InvalidFields
from clearance.tests import races, recipes
from clearance.tests.recipes import MUSCAT
from clearance.tests.traces import refused
from shipments import services as shipments
from shipments.errors import EtaInThePast, NotYourDivision, ShipmentNumberTaken
from shipments.models import Shipment
from workflow import imports
from workflow.errors import NoTemplate
from workflow.models import DepartmentFallback, Responsibility, WorkflowStep, WorkflowTemplate

pytestmark = pytest.mark.django_db


def register(by, at, **changed):
    return shipments.register(values=recipes.values(**changed), by=by, at=at)


def sop() -> list[dict[str, str]]:
    """The procedure as its file says, read without our own reader."""
    with imports.SOP.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestRegistering:
    def test_keeps_what_was_given(self, cast, noon):
        values = recipes.values(
            division=cast.tyres,
            transport_mode="air",
            supplier_invoice_number="INV-7",
            supplier_invoice_date=date(2026, 2, 1),
            container_count=4,
            quantity=Decimal("120.5"),
            quantity_unit="tyres",
        )

        new = shipments.register(values=values, by=cast.bu_clerk, at=noon)

        kept = Shipment.objects.get(pk=new.pk)
        assert {name: getattr(kept, name) for name in values} == values
        assert (kept.status, kept.version, kept.eta_edit_count, kept.cleared_on) == ("active", 1, 0, None)
        assert (kept.created_by, kept.created_at, kept.updated_at, kept.deleted_at) == (cast.bu_clerk, noon, noon, None)

    def test_plans_the_procedure_as_its_file_says(self, shipment):
        planned = [
            {
                "step_number": str(step.step_number),
                "name": step.step_name,
                "description": step.description,
                "department": step.department,
                "offset_days": str((step.target_date - shipment.eta).days),
                "is_critical": str(step.is_critical).lower(),
                "is_optional": str(step.is_optional).lower(),
                "filled_by_field": step.filled_by_field,
                "depends_on": ";".join(map(str, step.template_step.depends_on)),
            }
            for step in shipment.steps.select_related("template_step")
        ]

        assert len(planned) == 34
        assert planned == [{name: value for name, value in line.items() if name != "sequence"} for line in sop()]

    def test_completes_the_steps_whose_fields_are_given_dated_today_via_entry(self, shipment, noon):
        done = shipment.steps.completed()

        assert [str(step.step_number) for step in done] == ["1.1", "1.2", "1.4", "1.5"]
        assert {(step.actual_date, step.completed_via, step.completed_at, step.completed_by) for step in done} == {
            (noon.date(), "entry", noon, None)
        }

    def test_leaves_the_other_steps_open_and_unsigned(self, shipment):
        still_open = shipment.steps.open()

        assert still_open.count() == 30
        assert set(still_open.values_list("completed_at", "completed_via", "note", "version", "on_behalf_of")) == {
            (None, "", "", 1, None)
        }

    def test_trims_texts_and_writes_lc_numbers_in_one_way(self, cast, noon):
        new = register(cast.bu_clerk, noon, principal="  Al Noor ", lc_number="LC1 ,LC2,, LC3 ")

        assert (new.principal, new.lc_number) == ("Al Noor", "LC1, LC2, LC3")

    def test_takes_few_statements(self, cast, noon):
        cast.bu_clerk.has_perm("shipments.add_shipment")

        with CaptureQueriesContext(
            connection,
        ) as captured:
            register(cast.bu_clerk, noon)

        assert len(captured) == 7  # savepoint, who it is by (a foreign key), templates, shipment, steps, ladder, end


class TestWhoIsResponsible:
    def duty(self, shipment, number="9.0"):
        step = recipes.step(shipment, number)
        return step.ppr_user, step.apr_user

    def test_is_the_departments_fallback_without_a_row_of_the_matrix(self, shipment, cast):
        assert self.duty(shipment) == (cast.cc_clerk, cast.cc_alternate)
        assert self.duty(shipment, "17.0") == (cast.storekeeper, None)

    def test_is_the_row_for_every_division_before_the_fallback(self, cast):
        Responsibility.objects.create(step_number=Decimal("9.0"), ppr=cast.cc_head, apr=cast.cc_clerk)

        shipment = recipes.registered(by=cast.bu_clerk, division=cast.tyres)

        assert self.duty(shipment) == (cast.cc_head, cast.cc_clerk)
        assert self.duty(shipment, "10.0") == (cast.cc_clerk, cast.cc_alternate)

    def test_is_the_divisions_own_row_before_all(self, cast):
        Responsibility.objects.create(step_number=Decimal("9.0"), ppr=cast.cc_head, apr=cast.cc_clerk)
        Responsibility.objects.create(step_number=Decimal("9.0"), division=cast.tyres, ppr=cast.cc_alternate)

        tyres = recipes.registered(by=cast.bu_clerk, division=cast.tyres)
        vehicles = recipes.registered(by=cast.bu_clerk, division=cast.vehicles)
        neither = recipes.registered(by=cast.bu_clerk)

        # The division's row names no alternate, so the next rule does.
        assert self.duty(tyres) == (cast.cc_alternate, cast.cc_clerk)
        assert self.duty(vehicles) == self.duty(neither) == (cast.cc_head, cast.cc_clerk)

    def test_is_nobody_where_no_rule_names_anybody(self, cast):
        DepartmentFallback.objects.all().delete()

        shipment = recipes.registered(by=cast.bu_clerk)

        assert set(shipment.steps.values_list("ppr_user", "apr_user")) == {(None, None)}

    def test_is_not_taken_from_the_matrix_of_another_procedure(self, cast):
        Responsibility.objects.create(template_code="air", step_number=Decimal("9.0"), ppr=cast.cc_head)

        assert self.duty(recipes.registered(by=cast.bu_clerk)) == (cast.cc_clerk, cast.cc_alternate)


class TestRegisteringIsRefused:
    @pytest.mark.parametrize("who", ["cc_clerk", "finance_head", "storekeeper", "auditor", "manager", "administrator"])
    def test_to_everybody_outside_the_business_unit(self, cast, noon, who):
        with refused(Forbidden, "PERMISSION_DENIED"):
            register(getattr(cast, who), noon)

    @pytest.mark.parametrize("who", ["bu_clerk", "bu_alternate", "bu_head"])
    def test_to_nobody_in_it(self, cast, noon, who):
        assert register(getattr(cast, who), noon).pk

    @pytest.mark.parametrize(
        ("at", "today"),
        [
            (datetime(2026, 3, 15, 23, 59, 59, tzinfo=MUSCAT), date(2026, 3, 15)),
            (datetime(2026, 3, 16, 0, 0, tzinfo=MUSCAT), date(2026, 3, 16)),  # still the 15th in UTC
            (datetime(2026, 3, 16, 3, 59, 59, tzinfo=MUSCAT), date(2026, 3, 16)),
            (datetime(2026, 3, 16, 4, 0, tzinfo=MUSCAT), date(2026, 3, 16)),  # midnight in UTC
        ],
    )
    def test_for_an_eta_before_today_in_muscat(self, cast, at, today):
        assert day_of(at) == today
        with refused(EtaInThePast, "ETA_IN_THE_PAST") as refusal:
            register(cast.bu_clerk, at, eta=today - timedelta(days=1))
        assert "ETA cannot be in the past" in str(refusal.value)

        assert register(cast.bu_clerk, at, eta=today).eta == today
        assert register(cast.bu_clerk, at, eta=today + timedelta(days=1)).steps.count() == 34

    def test_for_a_number_that_is_used(self, cast, shipment, noon):
        with refused(ShipmentNumberTaken, "SHIPMENT_NUMBER_TAKEN"):
            register(cast.bu_clerk, noon, shipment_number=f" {shipment.shipment_number} ")

    def test_for_the_number_of_a_deleted_shipment(self, cast, shipment, noon):
        shipments.delete(shipment_id=shipment.pk, by=cast.bu_clerk, at=noon)

        with refused(ShipmentNumberTaken, "SHIPMENT_NUMBER_TAKEN"):
            register(cast.bu_clerk, noon, shipment_number=shipment.shipment_number)

    def test_for_a_division_that_is_not_ones_own(self, cast, noon):
        with refused(NotYourDivision, "NOT_YOUR_DIVISION") as refusal:
            register(cast.divisional_clerk, noon, division=cast.vehicles)

        assert str(refusal.value).endswith("only: Tyres, batteries and lubricants.")

    def test_not_for_ones_own_division_or_none(self, cast, noon):
        assert register(cast.divisional_clerk, noon, division=cast.tyres).division == cast.tyres
        assert register(cast.divisional_clerk, noon).division is None

    @pytest.mark.parametrize(
        ("values", "field"),
        [
            ({"principal": "  "}, "principal"),
            ({"brand": ""}, "brand"),
            ({"shipment_number": ""}, "shipment_number"),
            ({"shipment_number": "x" * 51}, "shipment_number"),
            ({"invoice_amount_omr": None}, "invoice_amount_omr"),
            ({"invoice_amount_omr": Decimal(0)}, "invoice_amount_omr"),
            ({"invoice_amount_omr": Decimal(-1)}, "invoice_amount_omr"),
            ({"invoice_amount_omr": Decimal("0.0001")}, "invoice_amount_omr"),
            ({"invoice_amount_omr": Decimal("NaN")}, "invoice_amount_omr"),
            ({"invoice_amount_omr": Decimal("1e13")}, "invoice_amount_omr"),
            ({"eta": None}, "eta"),
            ({"transport_mode": "rail"}, "transport_mode"),
            ({"quantity_unit": "boxes"}, "quantity_unit"),
            ({"container_count": -1}, "container_count"),
            ({"container_count": 40_000}, "container_count"),
            ({"vessel": "x" * 121}, "vessel"),
        ],
    )
    def test_for_values_that_cannot_be_right(self, cast, noon, values, field):
        with refused(InvalidFields, "VALIDATION_ERROR") as refusal:
            register(cast.bu_clerk, noon, **values)

        assert {detail["field"] for detail in refusal.value.details()} == {field}

    @pytest.mark.parametrize("name", ["sail_date", "supplier_invoice_date", "ata"])
    def test_for_dates_that_only_a_slip_in_the_year_explains(self, cast, noon, name):
        for slip in (date(1999, 12, 31), date(2101, 1, 1)):
            with refused(InvalidFields, "VALIDATION_ERROR") as refusal:
                register(cast.bu_clerk, noon, **{name: slip})
            assert [detail["field"] for detail in refusal.value.details()] == [name]

        for meant in (date(2000, 1, 1), date(2100, 12, 31)):
            assert getattr(register(cast.bu_clerk, noon, **{name: meant}), name) == meant

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"quantity": Decimal(0)}, "The quantity is greater than zero; leave it empty while it is not known."),
            ({"container_count": 0}, "There is at least one container; leave it empty while it is not known."),
        ],
    )
    def test_by_the_database_with_its_own_sentence(self, cast, noon, values, sentence):
        with refused(ConstraintViolated, "VALIDATION_ERROR") as refusal:
            register(cast.bu_clerk, noon, **values)

        assert str(refusal.value) == sentence

    def test_while_no_procedure_is_in_use(self, cast, noon):
        WorkflowTemplate.objects.update(is_current=False)

        with refused(NoTemplate, "NO_TEMPLATE"):
            register(cast.bu_clerk, noon)


@pytest.mark.django_db(transaction=True)
class TestRegisteringTheSameNumberAtTheSameMoment:
    def test_lets_one_through(self, cast, noon):
        values = recipes.values()

        results = races.free_for_all(
            *[lambda: shipments.register(values=values, by=cast.bu_clerk, at=noon)] * 4,
        )

        assert sorted(type(result).__name__ for result in results) == ["Shipment", *["ShipmentNumberTaken"] * 3]
        assert Shipment.objects.count() == 1
        assert WorkflowStep.objects.count() == 34

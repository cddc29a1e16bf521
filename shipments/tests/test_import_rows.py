from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clearance.errors import Forbidden
from clearance.tests import races, recipes
from clearance.tests.recipes import BAYAN_SUBMITTED, COLLECTED, INVOICE_RECEIVED, POLICE_CHECK, SAILED, TODAY
from clearance.tests.traces import everything, refused
from shipments import services as shipments
from shipments.models import Shipment
from shipments.rows import Fault, TrackerRow
from workflow.models import WorkflowStep

pytestmark = pytest.mark.django_db

NEXT = recipes.ETA + timedelta(days=9)
YESTERDAY = TODAY - timedelta(days=1)


def row(shipment_number, *, at_row=2, steps=(), headings=None, **fields):
    """A row of a known shipment: its number and what the other cells say."""
    dates = {Decimal(number): on for number, on in dict(steps).items()}
    return TrackerRow(at_row, {"shipment_number": shipment_number, **fields}, dates, headings or {})


def new_row(shipment_number="NEW-1", *, at_row=2, steps=(), **fields):
    """A row that registers a shipment."""
    required = {
        "principal": "Al Noor Tyres",
        "brand": "Noor",
        "invoice_amount_omr": Decimal("500.500"),
        "eta": recipes.ETA,
    }
    return row(shipment_number, at_row=at_row, steps=steps, **(required | fields))


def bring(*rows, by, at, **more):
    return shipments.import_rows(rows=rows, by=by, at=at, **more)


def counts(report):
    return report.created, report.updated, report.unchanged, report.failed


def every_step(*, but=(), on=TODAY):
    numbers = WorkflowStep.objects.order_by().values_list("step_number", flat=True).distinct()
    return {str(number): on for number in numbers if str(number) not in but}


class TestARowWithANewNumber:
    def test_registers_the_shipment_with_its_steps(self, cast, noon):
        report = bring(new_row(division="tbl", container_count=2), by=cast.bu_clerk, at=noon)

        assert counts(report) == (1, 0, 0, 0)
        new = Shipment.objects.get(shipment_number="NEW-1")
        assert (new.division, new.transport_mode, new.container_count) == (cast.tyres, "sea", 2)
        assert (new.status, new.version, new.eta_edit_count, new.created_by) == ("active", 1, 0, cast.bu_clerk)
        assert (new.created_at, new.updated_at, new.vessel, new.sail_date) == (noon, noon, "", None)
        assert new.funds_required_omr == Decimal("55.055")

    def test_plans_the_same_steps_as_registering_does(self, cast, noon):
        fields = {"division": cast.tyres, "sail_date": date(2026, 3, 1), "lc_number": "LC1,LC2"}
        registered = recipes.registered(by=cast.bu_clerk, **fields)

        bring(new_row(**fields | {"division": cast.tyres.name}), by=cast.bu_clerk, at=noon)

        imported = Shipment.objects.get(shipment_number="NEW-1")
        both = [
            [
                {name: value for name, value in step.items() if name not in {"id", "shipment_id"}}
                for step in shipment.steps.order_by("step_number").values()
            ]
            for shipment in (registered, imported)
        ]
        assert both[0] == both[1]
        assert imported.lc_number == registered.lc_number == "LC1, LC2"

    def test_may_have_an_eta_in_the_past(self, cast, noon):
        bring(new_row(eta=date(2025, 6, 1)), by=cast.bu_clerk, at=noon)

        assert recipes.step(Shipment.objects.get(), BAYAN_SUBMITTED).target_date == date(2025, 6, 1)

    def test_completes_the_steps_that_it_dates_via_import(self, cast, noon):
        bring(new_row(steps={INVOICE_RECEIVED: YESTERDAY, BAYAN_SUBMITTED: TODAY}), by=cast.bu_clerk, at=noon)

        step = recipes.step(Shipment.objects.get(), INVOICE_RECEIVED)
        assert (step.actual_date, step.completed_via, step.completed_by) == (YESTERDAY, "import", None)
        assert step.completed_at == noon

    def test_dates_an_entry_step_before_the_day_of_entry(self, cast, noon):
        bring(
            new_row(sail_date=date(2026, 3, 1), steps={SAILED: date(2026, 3, 2), "1.1": YESTERDAY}),
            by=cast.bu_clerk,
            at=noon,
        )

        sailed, principal, brand = (recipes.step(Shipment.objects.get(), number) for number in (SAILED, "1.1", "1.2"))
        assert (sailed.actual_date, sailed.completed_via) == (date(2026, 3, 2), "import")
        assert (principal.actual_date, principal.completed_via) == (YESTERDAY, "import")
        assert (brand.actual_date, brand.completed_via) == (TODAY, "entry")

    @pytest.mark.parametrize("but", [(), (POLICE_CHECK,)])
    def test_with_a_whole_history_registers_a_completed_shipment(self, cast, shipment, noon, but):
        steps = every_step(but=but, on=YESTERDAY) | {COLLECTED: TODAY}

        bring(new_row(eta=date(2026, 3, 1), steps=steps), by=cast.bu_clerk, at=noon)

        new = Shipment.objects.get(shipment_number="NEW-1")
        assert (new.status, new.cleared_on) == ("completed", TODAY)
        police = recipes.step(new, POLICE_CHECK)
        assert (police.not_required, police.completed_via) == ((True, "system") if but else (False, "import"))

    def test_with_every_critical_step_says_when_it_was_cleared(self, cast, noon):
        steps = dict.fromkeys(("9.0", "10.0", "11.0", "13.0"), YESTERDAY) | {COLLECTED: TODAY}

        bring(new_row(eta=date(2026, 3, 1), steps=steps), by=cast.bu_clerk, at=noon)

        assert Shipment.objects.values_list("status", "cleared_on").get() == ("active", TODAY)


class TestARowWithAKnownNumber:
    def test_amends_what_differs_and_follows_the_fields(self, cast, shipment, noon):
        later = noon + timedelta(days=1)

        report = bring(
            row(shipment.shipment_number, vessel="Sea Star", sail_date=date(2026, 3, 1), division="Light Vehicles"),
            by=cast.bu_alternate,
            at=later,
        )

        assert counts(report) == (0, 1, 0, 0)
        kept = Shipment.objects.get()
        assert (kept.vessel, kept.sail_date, kept.division) == ("Sea Star", date(2026, 3, 1), cast.vehicles)
        assert (kept.version, kept.updated_at, kept.principal) == (2, later, shipment.principal)
        assert (kept.eta_edit_count, kept.created_by) == (0, cast.bu_clerk)
        assert recipes.step(shipment, SAILED).actual_date == later.date()

    def test_records_steps_of_every_department(self, cast, shipment, noon):
        steps = {INVOICE_RECEIVED: TODAY, "4.0": TODAY, BAYAN_SUBMITTED: YESTERDAY, "16.0": TODAY}

        report = bring(row(shipment.shipment_number, steps=steps), by=cast.bu_clerk, at=noon)

        assert counts(report) == (0, 1, 0, 0)
        assert report.corrections == []
        assert {str(step.step_number): step.actual_date for step in shipment.steps.filter(completed_via="import")} == (
            steps
        )

    def test_completes_the_shipment_with_the_last_mandatory_step(self, cast, shipment, noon):
        bring(row(shipment.shipment_number, steps=every_step(but=[POLICE_CHECK])), by=cast.bu_clerk, at=noon)

        kept = Shipment.objects.get()
        assert (kept.status, kept.cleared_on) == ("completed", TODAY)
        assert recipes.step(shipment, POLICE_CHECK).completed_via == "system"

    def test_corrects_a_differing_date_and_says_so(self, cast, shipment, noon):
        recipes.record(shipment, {BAYAN_SUBMITTED: TODAY})

        report = bring(
            row(
                shipment.shipment_number,
                at_row=7,
                steps={BAYAN_SUBMITTED: YESTERDAY},
                headings={BAYAN_SUBMITTED: "9.0 Bayan submitted"},
            ),
            by=cast.bu_clerk,
            at=noon,
        )

        sentence = "Step 9.0 was dated 2026-03-15; the sheet corrected it to 2026-03-14."
        assert report.corrections == [Fault(7, "9.0 Bayan submitted", "2026-03-14", sentence)]
        assert recipes.step(shipment, BAYAN_SUBMITTED).actual_date == YESTERDAY

    def test_never_erases_and_never_reopens_with_a_blank_cell(self, cast, noon):
        shipment = recipes.registered(by=cast.bu_clerk, vessel="Sea Star", sail_date=date(2026, 3, 1))
        before = everything()

        report = bring(row(shipment.shipment_number, principal=shipment.principal), by=cast.bu_clerk, at=noon)

        assert counts(report) == (0, 0, 1, 0)
        assert everything() == before

    def test_again_changes_nothing(self, cast, shipment, noon):
        rows = [
            new_row(at_row=2, division="TBL", lc_number="LC2,LC1", steps={SAILED: YESTERDAY, BAYAN_SUBMITTED: TODAY}),
            row(shipment.shipment_number, at_row=3, eta=NEXT, vessel="Sea Star", steps={INVOICE_RECEIVED: TODAY}),
        ]
        assert counts(bring(*rows, by=cast.bu_clerk, at=noon)) == (1, 1, 0, 0)
        before = everything()

        report = bring(*rows, by=cast.bu_clerk, at=noon + timedelta(days=2))

        assert counts(report) == (0, 0, 2, 0)
        assert report.corrections == []
        assert everything() == before

    def test_with_another_eta_re_dates_the_steps_and_uses_an_edit(self, cast, shipment, noon):
        report = bring(row(shipment.shipment_number, eta=NEXT), by=cast.bu_clerk, at=noon)

        assert counts(report) == (0, 1, 0, 0)
        kept = Shipment.objects.get()
        assert (kept.eta, kept.eta_edit_count) == (NEXT, 1)
        assert {(step.target_date - NEXT).days == step.offset_days for step in kept.steps.all()} == {True}

    def test_with_the_same_eta_in_the_past_uses_none(self, cast, noon):
        bring(new_row(eta=date(2025, 6, 1)), by=cast.bu_clerk, at=noon)

        report = bring(row("NEW-1", eta=date(2025, 6, 1), vessel="Sea Star"), by=None, at=noon)

        assert counts(report) == (0, 1, 0, 0)
        assert Shipment.objects.get().eta_edit_count == 0

    def test_may_correct_a_completed_shipment(self, cast, shipment, noon):
        recipes.record_all_but(shipment)

        bring(row(shipment.shipment_number, steps={COLLECTED: YESTERDAY}, vessel="Sea Star"), by=cast.bu_clerk, at=noon)

        kept = Shipment.objects.get()
        assert (kept.status, kept.vessel, kept.cleared_on) == ("completed", "Sea Star", TODAY)
        assert recipes.step(shipment, COLLECTED).actual_date == YESTERDAY


class TestARowFails:
    """Alone: the good row beside it is imported, and the report names row, column, value and reason."""

    def fails(self, bad, column, reason, *, by, at):
        before = everything()

        report = bring(bad, by=by, at=at)

        assert counts(report) == (0, 0, 0, 1)
        assert [(fault.row, fault.column) for fault in report.faults] == [(bad.row, column)]
        assert reason in report.faults[0].reason
        assert everything() == before
        beside = bring(bad, new_row("GOOD-1", at_row=9), by=by, at=at)
        assert counts(beside) == (1, 0, 0, 1)
        assert Shipment.objects.filter(shipment_number="GOOD-1").exists()

    def test_for_an_unknown_division(self, cast, noon):
        self.fails(new_row(division="Boats"), "division", "no division “Boats”", by=cast.bu_clerk, at=noon)

    def test_for_a_division_that_is_not_ones_own(self, cast, noon):
        bad = new_row(division="LV")

        self.fails(bad, "division", "not one of your divisions", by=cast.divisional_clerk, at=noon)

    def test_for_a_known_shipment_of_another_division(self, cast, noon):
        other = recipes.registered(by=cast.bu_clerk, division=cast.vehicles)
        bad = row(other.shipment_number, vessel="Sea Star")

        self.fails(bad, "shipment_number", "belongs to another division", by=cast.divisional_clerk, at=noon)

    def test_for_the_number_of_a_deleted_shipment(self, cast, shipment, noon):
        shipments.delete(shipment_id=shipment.pk, by=cast.bu_clerk, at=noon)

        self.fails(new_row(shipment.shipment_number), "shipment_number", "was deleted", by=cast.bu_clerk, at=noon)

    def test_for_a_cancelled_shipment(self, cast, shipment, noon):
        shipments.cancel(shipment_id=shipment.pk, reason="Order withdrawn", by=cast.bu_head, at=noon)
        bad = row(shipment.shipment_number, vessel="Sea Star")

        self.fails(bad, "shipment_number", "is cancelled", by=cast.bu_clerk, at=noon)

    def test_for_another_eta_without_a_person_of_the_business_unit(self, cast, shipment, noon):
        self.fails(row(shipment.shipment_number, eta=NEXT), "eta", "Only the Business Unit", by=None, at=noon)

    def test_for_another_eta_in_the_past(self, cast, shipment, noon):
        bad = row(shipment.shipment_number, eta=YESTERDAY, vessel="Sea Star")

        self.fails(bad, "eta", "ETA cannot be in the past", by=cast.bu_clerk, at=noon)

    def test_for_a_fourth_eta(self, cast, shipment, noon):
        for days in (1, 2, 3):
            bring(row(shipment.shipment_number, eta=NEXT + timedelta(days=days)), by=cast.bu_clerk, at=noon)

        self.fails(row(shipment.shipment_number, eta=NEXT), "eta", "three times", by=cast.bu_clerk, at=noon)

    def test_for_another_eta_of_a_completed_shipment(self, cast, shipment, noon):
        recipes.record_all_but(shipment)
        bad = row(shipment.shipment_number, eta=NEXT)

        self.fails(bad, "shipment_number", "is completed", by=cast.bu_clerk, at=noon)

    @pytest.mark.parametrize("is_new", [True, False])
    @pytest.mark.parametrize(
        ("number", "on", "reason"),
        [
            (BAYAN_SUBMITTED, TODAY + timedelta(days=1), "is in the future"),
            (BAYAN_SUBMITTED, date(2024, 12, 31), "is before 2025-01-01"),
            ("99.9", TODAY, "has no step 99.9"),
        ],
    )
    def test_for_a_step_date_that_cannot_be_right(self, cast, shipment, noon, is_new, number, on, reason):
        make = new_row if is_new else row
        bad = make("NEW-1" if is_new else shipment.shipment_number, steps={number: on})

        self.fails(bad, number, reason, by=cast.bu_clerk, at=noon)

    @pytest.mark.parametrize("missing", ["principal", "brand", "invoice_amount_omr", "eta"])
    def test_for_a_new_shipment_without(self, cast, noon, missing):
        fields = {name: value for name, value in new_row().fields.items() if name != missing}

        self.fails(TrackerRow(4, fields, {}), missing, "needs a value", by=cast.bu_clerk, at=noon)

    def test_with_a_fault_for_each_cell_that_is_wrong(self, cast, noon):
        steps = {BAYAN_SUBMITTED: TODAY + timedelta(days=1), COLLECTED: date(1999, 1, 1)}

        report = bring(new_row(steps=steps), row("NEW-2", at_row=3, brand="Noor"), by=cast.bu_clerk, at=noon)

        assert counts(report) == (0, 0, 0, 2)
        assert [(fault.row, fault.column) for fault in report.faults] == [
            (2, BAYAN_SUBMITTED),
            (2, COLLECTED),
            (3, "principal"),
            (3, "invoice_amount_omr"),
            (3, "eta"),
        ]

    def test_under_the_heading_of_its_sheet(self, cast, noon):
        report = bring(new_row(division="Boats", headings={"division": "Div."}), by=cast.bu_clerk, at=noon)

        assert (report.faults[0].column, report.faults[0].value) == ("Div.", "Boats")

    def test_beside_those_that_the_reading_found(self, cast, noon):
        unread = [Fault(5, "ETA", "soon", "Not a date."), Fault(5, "Qty", "many", "Not a number.")]

        report = bring(new_row(at_row=2), row("X", at_row=3), by=cast.bu_clerk, at=noon, faults=unread)

        assert counts(report) == (1, 0, 0, 2)
        assert [fault.row for fault in report.faults] == [3, 3, 3, 3, 5, 5]


class TestImporting:
    @pytest.mark.parametrize("who", ["cc_clerk", "finance_head", "auditor", "manager", "administrator"])
    def test_is_refused_to_everybody_outside_the_business_unit(self, cast, noon, who):
        with refused(Forbidden, "PERMISSION_DENIED"):
            bring(new_row(), by=getattr(cast, who), at=noon)

    def test_without_a_person_registers_and_amends(self, cast, shipment, noon):
        report = bring(new_row(), row(shipment.shipment_number, vessel="Sea Star"), by=None, at=noon)

        assert counts(report) == (1, 1, 0, 0)
        assert Shipment.objects.get(shipment_number="NEW-1").created_by is None

    def test_as_a_dry_run_reports_the_same_and_writes_nothing(self, cast, shipment, noon):
        rows = [
            new_row(at_row=2, steps={BAYAN_SUBMITTED: TODAY}),
            row(shipment.shipment_number, at_row=3, eta=NEXT, steps={"1.1": YESTERDAY}),
            new_row("BAD-1", at_row=4, division="Boats"),
        ]
        before = everything()

        dry = bring(*rows, by=cast.bu_clerk, at=noon, dry_run=True)

        assert everything() == before
        assert dry == bring(*rows, by=cast.bu_clerk, at=noon)
        assert counts(dry) == (1, 1, 0, 1)

    def test_of_nothing_does_nothing(self, cast, noon):
        before = everything()

        assert counts(bring(by=cast.bu_clerk, at=noon)) == (0, 0, 0, 0)
        assert everything() == before

    def test_takes_as_many_statements_for_fifty_rows_as_for_five(self, cast, noon):
        cast.bu_clerk.has_perm("shipments.import_shipment")
        taken = []
        for size in (5, 50):
            known = [f"OLD-{size}-{i}" for i in range(size)]
            bring(*[new_row(number, at_row=i) for i, number in enumerate(known)], by=cast.bu_clerk, at=noon)
            rows = [
                *[new_row(f"NEW-{size}-{i}", at_row=i, steps={BAYAN_SUBMITTED: TODAY}) for i in range(size)],
                *[row(number, at_row=100 + i, eta=NEXT, steps={"1.1": YESTERDAY}) for i, number in enumerate(known)],
                *[new_row(f"BAD-{size}-{i}", at_row=200 + i, division="Boats") for i in range(size)],
            ]

            with CaptureQueriesContext(connection) as captured:
                report = bring(*rows, by=cast.bu_clerk, at=noon)

            assert counts(report) == (size, size, 0, size)
            taken.append(len(captured))

        assert taken[0] == taken[1] <= 20


@pytest.mark.django_db(transaction=True)
class TestImportingAtTheSameMoment:
    def test_the_same_new_rows_registers_each_once(self, cast, noon):
        rows = [new_row(f"NEW-{i}", at_row=i) for i in range(20)]

        reports = races.free_for_all(*[lambda: bring(*rows, by=cast.bu_clerk, at=noon)] * 3)

        assert sum(report.created for report in reports) == 20
        assert all(report.created + report.failed + report.unchanged == 20 for report in reports)
        assert Shipment.objects.count() == 20
        assert WorkflowStep.objects.count() == 20 * 34

    def test_the_same_new_rows_in_opposite_order_registers_each_once(self, cast, noon):
        rows = [new_row(f"NEW-{i}", at_row=i) for i in range(9)]

        # Both stop before the one in the middle; each would then hold what the other wants next.
        reports = races.at_once(
            lambda: bring(*rows, by=cast.bu_clerk, at=noon),
            lambda: bring(*reversed(rows), by=cast.bu_clerk, at=noon),
            held=lambda: recipes.shipment.make(shipment_number="NEW-4"),
        )

        assert [report.created + report.failed for report in reports] == [9, 9]
        assert sum(report.created for report in reports) == 9
        assert Shipment.objects.count() == 9

    def test_known_rows_in_opposite_order_amends_each(self, cast, noon):
        known = [recipes.registered(by=cast.bu_clerk).shipment_number for _ in range(5)]

        reports = races.at_once(
            lambda: bring(*[row(number, vessel="Sea Star") for number in known], by=cast.bu_clerk, at=noon),
            lambda: bring(*[row(number, bl_number="BL") for number in reversed(known)], by=cast.bu_clerk, at=noon),
            held=Shipment.objects.order_by("pk"),
        )

        assert [report.updated for report in reports] == [5, 5]
        assert set(Shipment.objects.values_list("vessel", "bl_number", "version")) == {("Sea Star", "BL", 3)}

    def test_as_the_same_number_is_registered_leaves_one(self, cast, noon):
        values = recipes.values(shipment_number="NEW-1")

        report, registered = races.free_for_all(
            lambda: bring(new_row(), by=cast.bu_clerk, at=noon),
            lambda: shipments.register(values=values, by=cast.bu_alternate, at=noon),
        )

        assert Shipment.objects.count() == 1
        assert WorkflowStep.objects.count() == 34
        # The later one amends what the earlier one registered, or is refused.
        assert report.created + report.updated + report.failed == 1
        assert isinstance(registered, Shipment) is (report.created == 0)

    def test_a_row_whose_number_is_registered_meanwhile_fails_and_the_others_are_imported(self, cast, noon):
        def register_and_commit_late():
            recipes.registered(by=cast.bu_clerk, shipment_number="NEW-1")

        with_lock = races.blocked_by(
            register_and_commit_late, lambda: bring(new_row(), new_row("NEW-2", at_row=3), by=cast.bu_clerk, at=noon)
        )

        assert counts(with_lock) == (1, 0, 0, 1)
        assert "already used" in with_lock.faults[0].reason
        assert Shipment.objects.count() == 2
        assert WorkflowStep.objects.count() == 68

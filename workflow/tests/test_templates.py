from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from clearance.constraints import ConstraintViolated
from clearance.errors import Forbidden
from clearance.tests import recipes
from clearance.tests.traces import everything, refused
from workflow import imports, rules
from workflow import services as workflow
from workflow.errors import NoTemplate, TemplateNotValid
from workflow.models import TemplateStep, WorkflowStep, WorkflowTemplate

pytestmark = pytest.mark.django_db


@pytest.fixture
def sop():
    return imports.procedure(imports.SOP, code="clearance", name="Clearance of a shipment")


def with_step(facts, number, **changed):
    """The same procedure, but for one step."""
    steps = [replace(step, **changed) if step.step_number == Decimal(number) else step for step in facts.steps]
    return replace(facts, steps=steps)


def in_use():
    return WorkflowTemplate.objects.in_use().values_list("code", "version")


class TestTheProcedureInItsFile:
    def test_has_34_steps_in_four_departments(self, sop):
        departments = [step.department for step in sop.steps]

        assert len(sop.steps) == 34
        assert {name: departments.count(name) for name in departments} == {
            "BusinessUnit": 14,
            "Finance": 8,
            "C&C": 9,
            "Stores": 3,
        }
        assert [str(step.step_number) for step in sop.steps if step.is_critical] == [
            "9.0",
            "10.0",
            "11.0",
            "13.0",
            "14.0",
        ]
        assert [str(step.step_number) for step in sop.steps if step.is_optional] == ["15.0"]


class TestLoadingAProcedure:
    def test_unchanged_makes_no_new_version(self, sop, noon):
        before = everything()

        template = workflow.load_template(facts=sop, at=noon)

        assert template.version == 1
        assert everything() == before

    def test_under_another_name_renames_the_version_there_is(self, sop, noon):
        workflow.load_template(facts=replace(sop, name="Sea clearance"), at=noon)

        assert list(WorkflowTemplate.objects.values_list("version", "name")) == [(1, "Sea clearance")]

    def test_in_another_order_of_its_lines_makes_no_new_version(self, sop, noon):
        shuffled = replace(sop, steps=list(reversed(sop.steps)))

        assert workflow.load_template(facts=shuffled, at=noon).version == 1

    @pytest.mark.parametrize(
        "changed",
        [
            {"offset_days": 2},
            {"name": "Declaration lodged"},
            {"description": "Other words"},
            {"department": "Finance"},
            {"is_critical": False},
            {"depends_on": ()},
            {"filled_by_field": "ata"},
        ],
    )
    def test_changed_makes_a_new_version_for_new_shipments(self, cast, shipment, sop, noon, changed):
        before = list(shipment.steps.values())

        template = workflow.load_template(facts=with_step(sop, "9.0", **changed), at=noon)

        assert (template.version, template.created_at, list(in_use())) == (2, noon, [("clearance", 2)])
        assert list(shipment.steps.values()) == before
        new = recipes.registered(by=cast.bu_clerk)
        assert set(new.steps.values_list("template_step__template__version")) == {(2,)}
        assert set(shipment.steps.values_list("template_step__template__version")) == {(1,)}

    def test_with_another_number_of_steps_plans_as_many(self, cast, sop, noon):
        workflow.load_template(facts=replace(sop, steps=sop.steps[:6]), at=noon)

        assert recipes.registered(by=cast.bu_clerk).steps.count() == 6

    @pytest.mark.parametrize(
        ("steps", "reason"),
        [
            (lambda steps: [], "it has no steps."),
            (lambda steps: [*steps, steps[0]], "step 1.1 occurs twice."),
            (
                lambda steps: [replace(steps[0], depends_on=(Decimal("99.0"),)), *steps[1:]],
                "step 1.1 waits for 99.0, which is no earlier step.",
            ),
            (
                lambda steps: [replace(steps[0], depends_on=(Decimal("1.1"),)), *steps[1:]],
                "step 1.1 waits for 1.1, which is no earlier step.",
            ),
            (
                lambda steps: [replace(steps[0], depends_on=(Decimal("1.2"),)), *steps[1:]],
                "step 1.1 waits for 1.2, which is no earlier step.",
            ),
        ],
    )
    def test_that_is_not_sound_is_refused(self, sop, noon, steps, reason):
        with refused(TemplateNotValid, "TEMPLATE_NOT_VALID") as refusal:
            workflow.load_template(facts=replace(sop, steps=steps(sop.steps)), at=noon)

        assert reason in str(refusal.value)

    def test_for_a_kind_of_shipment_that_has_another_procedure_is_refused(self, sop, noon):
        with refused(ConstraintViolated, "VALIDATION_ERROR") as refusal:
            workflow.load_template(facts=replace(sop, code="air"), at=noon)

        assert str(refusal.value) == "Another procedure is in use for this transport mode and division."

    def test_by_its_command_twice_changes_nothing(self, capsys):
        before = everything()

        call_command("load_reference_data")

        assert "34 steps" in capsys.readouterr().out
        assert everything() == before


class TestTheDatabaseItself:
    @pytest.mark.parametrize(
        ("values", "constraint"),
        [
            ({"is_critical": True, "is_optional": True}, "template_step_is_critical_or_optional"),
            ({"filled_by_field": "colour"}, "template_step_is_filled_by_a_known_field"),
            ({"step_number": Decimal("9.0")}, "template_step_number_is_unique"),
        ],
    )
    def test_refuses_impossible_template_steps(self, values, constraint):
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            TemplateStep.objects.filter(step_number=Decimal("10.0")).update(**values)

    @pytest.mark.parametrize(
        ("values", "constraint"),
        [
            ({"completed_via": "entry"}, "step_says_how_it_was_closed"),
            ({"actual_date": recipes.TODAY}, "step_says_how_it_was_closed"),
            ({"completed_at": recipes.NOON}, "step_says_how_it_was_closed"),
            (
                {"actual_date": recipes.TODAY, "completed_at": recipes.NOON, "completed_via": "person"},
                "step_names_a_person_where_a_person_closed_it",
            ),
            (
                {"not_required": True, "completed_at": recipes.NOON, "completed_via": "system"},
                "step_not_required_is_optional",
            ),
            ({"step_number": Decimal("10.0")}, "step_number_is_unique"),
        ],
    )
    def test_refuses_impossible_steps(self, shipment, values, constraint):
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            WorkflowStep.objects.filter(shipment=shipment, step_number=Decimal("9.0")).update(**values)

    def test_refuses_that_nobody_acts_on_anybodys_behalf(self, cast, shipment):
        with pytest.raises(IntegrityError, match="step_acts_on_behalf_of_another"), transaction.atomic():
            WorkflowStep.objects.filter(shipment=shipment, step_number=Decimal("9.0")).update(
                on_behalf_of=cast.cc_clerk
            )


class TestUsingAVersion:
    def test_puts_it_in_the_place_of_the_one_in_use(self, cast, sop, noon):
        first = WorkflowTemplate.objects.get()
        workflow.load_template(facts=with_step(sop, "9.0", offset_days=2), at=noon)

        workflow.use_template(template_id=first.pk, by=cast.administrator)

        assert list(in_use()) == [("clearance", 1)]
        step = recipes.step(recipes.registered(by=cast.bu_clerk), "9.0")
        assert step.offset_days == 0

    def test_that_is_in_use_changes_nothing(self, cast):
        before = everything()

        workflow.use_template(template_id=WorkflowTemplate.objects.get().pk, by=cast.administrator)

        assert everything() == before

    @pytest.mark.parametrize("who", ["bu_head", "cc_head", "manager", "auditor"])
    def test_is_for_administrators(self, cast, who):
        with refused(Forbidden, "PERMISSION_DENIED"):
            workflow.use_template(template_id=WorkflowTemplate.objects.get().pk, by=getattr(cast, who))

    def test_for_a_kind_of_shipment_that_has_another_procedure_is_refused(self, cast, sop, noon):
        WorkflowTemplate.objects.update(is_current=False)
        workflow.load_template(facts=replace(sop, code="other"), at=noon)
        first = WorkflowTemplate.objects.get(code="clearance")

        with refused(ConstraintViolated, "VALIDATION_ERROR"):
            workflow.use_template(template_id=first.pk, by=cast.administrator)


class TestChoosingAProcedure:
    """The closest that fits: the division's own before the transport mode's, before the general one."""

    @pytest.fixture
    def templates(self, cast):
        kinds = {
            "general": ("", None),
            "air": ("air", None),
            "tyres": ("", cast.tyres),
            "tyres by air": ("air", cast.tyres),
        }
        return [
            WorkflowTemplate(code=code, version=1, transport_mode=mode, division=division)
            for code, (mode, division) in kinds.items()
        ]

    @pytest.mark.parametrize(
        ("mode", "division", "chosen"),
        [
            ("sea", None, "general"),
            ("sea", "vehicles", "general"),
            ("air", "vehicles", "air"),
            ("air", None, "air"),
            ("sea", "tyres", "tyres"),
            ("air", "tyres", "tyres by air"),
        ],
    )
    def test_takes_the_closest(self, cast, templates, mode, division, chosen):
        division_id = getattr(cast, division).pk if division else None

        for order in (templates, templates[::-1]):
            assert rules.choose_template(order, transport_mode=mode, division_id=division_id).code == chosen

    def test_prefers_the_divisions_to_the_transport_modes(self, cast, templates):
        without_both = [template for template in templates if template.code != "tyres by air"]

        chosen = rules.choose_template(without_both, transport_mode="air", division_id=cast.tyres.pk)

        assert chosen.code == "tyres"

    def test_is_refused_where_none_fits(self, templates):
        with pytest.raises(NoTemplate) as refusal:
            rules.choose_template(templates[1:], transport_mode="sea", division_id=None)

        assert refusal.value.code == "NO_TEMPLATE"

    def test_happens_when_a_shipment_is_registered(self, cast, sop, noon):
        workflow.load_template(facts=replace(sop, code="air", transport_mode="air", steps=sop.steps[:3]), at=noon)

        assert recipes.registered(by=cast.bu_clerk, transport_mode="air").steps.count() == 3
        assert recipes.registered(by=cast.bu_clerk).steps.count() == 34

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.choices import Department
from accounts.models import Absence
from clearance.clock import day_of
from clearance.tests import pages, recipes
from clearance.tests.recipes import BAYAN_SUBMITTED, COLLECTED, DAN_SENT, POLICE_CHECK, SAILED
from clearance.tests.traces import everything
from shipments import services as shipments
from shipments.models import Shipment
from workflow import services as workflow
from workflow.choices import StepStatus
from workflow.models import DepartmentFallback, Responsibility, WorkflowStep, WorkflowTemplate

pytestmark = pytest.mark.django_db

LIST = reverse("admin:workflow_workflowstep_changelist")
APPLY = reverse("admin:workflow_responsibility_verb", args=["apply"])


@pytest.fixture
def now() -> datetime:
    """The pages read the clock, so what they show is built around it."""
    return timezone.now()


@pytest.fixture
def today(now: datetime) -> date:
    return day_of(now)


@pytest.fixture
def shipment(bu_clerk, now, today) -> Shipment:
    """Due today: the steps before the arrival are late, those after it are not."""
    return recipes.registered(by=bu_clerk, at=now, eta=today)


def listed(user, **query) -> list[WorkflowStep]:
    return pages.signed_in(user).get(LIST, query).context["cl"].result_list


class TestTheListOfSteps:
    def test_begins_with_my_open_steps_by_target_date(self, cc_clerk, shipment):
        found = listed(cc_clerk)

        assert found
        assert {step.ppr_user for step in found} == {cc_clerk}
        assert {step.department for step in found} == {Department.CUSTOMS}
        assert [step.target_date for step in found] == sorted(step.target_date for step in found)

    def test_tells_how_late_a_step_is(self, cc_clerk, shipment):
        late = next(step for step in listed(cc_clerk) if step.status == StepStatus.OVERDUE)

        assert late.days_overdue == (day_of(timezone.now()) - late.target_date).days

    @pytest.mark.parametrize("who", ["cc_clerk", "finance_head", "storekeeper"])
    def test_is_of_ones_own_department(self, cast, who, shipment):
        person = getattr(cast, who)

        found = listed(person, whose="department", status="all")

        assert {step.department for step in found} == {person.department}

    @pytest.mark.parametrize("who", ["bu_clerk", "auditor", "manager", "administrator"])
    def test_is_of_every_department_for_the_others(self, cast, who, shipment):
        assert len(listed(getattr(cast, who), whose="all", status="all")) == 34

    def test_does_not_reach_other_departments_by_its_address(self, cc_clerk, shipment):
        found = listed(cc_clerk, whose="all", status="all")

        assert {step.department for step in found} == {Department.CUSTOMS}

    @pytest.mark.parametrize("status", ["pending", "overdue", "completed", "not_required"])
    def test_filters_by_status(self, auditor, shipment, status, cc_clerk, now):
        step = recipes.step(shipment, POLICE_CHECK)
        workflow.mark_not_required(step_id=step.pk, by=cc_clerk, at=now)

        found = listed(auditor, status=status)

        assert found
        assert {step.status for step in found} == {status}

    @pytest.mark.parametrize(("due", "days"), [("past", -1), ("today", 0), ("week", 7)])
    def test_filters_by_when_a_step_is_due(self, auditor, bu_clerk, now, today, due, days):
        shipment = recipes.registered(by=bu_clerk, at=now, eta=today + timedelta(days=30))
        WorkflowStep.objects.filter(shipment=shipment).update(target_date=today + timedelta(days=60))
        step = recipes.step(shipment, BAYAN_SUBMITTED)
        WorkflowStep.objects.filter(pk=step.pk).update(target_date=today + timedelta(days=days))

        assert listed(auditor, due=due) == [step]

    def test_finds_the_steps_of_a_shipment_by_its_words(self, auditor, shipment, bu_clerk, now, today):
        other = recipes.registered(by=bu_clerk, at=now, eta=today, principal="Zephyrine")

        found = listed(auditor, q="zeph", status="all")

        assert {step.shipment for step in found} == {other}

    def test_finds_a_step_by_its_number(self, auditor, shipment):
        found = listed(auditor, q=BAYAN_SUBMITTED, status="all")

        assert [str(step.step_number) for step in found] == [BAYAN_SUBMITTED]

    def test_leaves_out_the_open_steps_of_cancelled_shipments(self, cc_clerk, bu_head, shipment, now):
        shipments.cancel(shipment_id=shipment.pk, reason="Order withdrawn", by=bu_head, at=now)

        assert listed(cc_clerk) == []

    def test_needs_the_same_few_queries_for_sixty_rows(
        self, cc_clerk, bu_clerk, now, today, django_assert_max_num_queries
    ):
        for _ in range(8):
            recipes.registered(by=bu_clerk, at=now, eta=today)
        client = pages.signed_in(cc_clerk)

        with django_assert_max_num_queries(8):
            page = client.get(LIST, {"status": "all"})

        assert len(page.context["cl"].result_list) == 50
        assert page.context["cl"].result_count > 60

    def test_lets_nobody_add_change_or_delete(self, cast, shipment):
        step = recipes.step(shipment, BAYAN_SUBMITTED)
        for user in (cast.cc_head, cast.administrator, cast.manager):
            client = pages.signed_in(user)

            assert client.get(pages.adding(WorkflowStep)).status_code == 403
            assert client.post(pages.of(step), {"actual_date": "01/01/2026"}).status_code == 403

    def test_completes_the_chosen_steps_today_and_tells_each_refusal(self, cc_head, cc_clerk, shipment, today, now):
        client = pages.signed_in(cc_clerk)
        done = recipes.step(shipment, COLLECTED)
        workflow.complete_step(step_id=done.pk, by=cc_head, at=now)
        chosen = [recipes.step(shipment, BAYAN_SUBMITTED).pk, done.pk]

        answer = client.post(f"{LIST}?status=all", {"action": "complete", "_selected_action": chosen}, follow=True)

        step = recipes.step(shipment, BAYAN_SUBMITTED)
        assert (step.actual_date, step.completed_by) == (today, cc_clerk)
        levels = dict(pages.told(answer))
        assert f"{shipment} · {done}" in levels["error"]
        assert "already completed" in levels["error"]
        assert "done for 1" in levels["success"]


class TestCompleting:
    def test_takes_two_clicks(self, cc_clerk, shipment, today):
        client = pages.signed_in(cc_clerk)
        step = recipes.step(shipment, COLLECTED)

        page = client.get(pages.verb("complete", step, back="/admin/"))
        answer = client.post(pages.verb("complete", step, back="/admin/"), pages.filled_in(page), follow=True)

        done = recipes.step(shipment, COLLECTED)
        assert (done.actual_date, done.completed_by) == (today, cc_clerk)
        assert pages.told(answer)[0] == ("success", f"Step {step} is completed.")
        assert answer.redirect_chain[-1][0] == "/admin/"

    def test_warns_of_open_predecessors(self, cc_clerk, shipment, today):
        step = recipes.step(shipment, COLLECTED)
        given = {"actual_date": today.strftime("%d/%m/%Y")}

        answer = pages.signed_in(cc_clerk).post(pages.verb("complete", step), given, follow=True)

        assert ("warning", "Step 13.0 “Delivery order paid” (Finance) comes before and is still open.") in pages.told(
            answer
        )

    def test_shows_a_refusal_at_the_date(self, cc_clerk, shipment, today):
        client = pages.signed_in(cc_clerk)
        before = everything()
        given = {"actual_date": (today + timedelta(days=1)).strftime("%d/%m/%Y"), "note": "Port closed"}

        answer = client.post(pages.verb("complete", recipes.step(shipment, COLLECTED)), given)

        assert "in the future" in pages.errors_of(answer)["actual_date"][0]
        assert "Port closed" in answer.text
        assert everything() == before

    def test_of_a_colleagues_department_is_refused_in_words(self, finance_clerk, shipment, today):
        client = pages.signed_in(finance_clerk)
        before = everything()
        given = {"actual_date": today.strftime("%d/%m/%Y")}

        answer = client.post(pages.verb("complete", recipes.step(shipment, COLLECTED)), given)

        assert "belongs to Customs &" in pages.errors_of(answer)["__all__"][0]
        assert everything() == before

    @pytest.mark.parametrize("who", ["auditor", "manager", "administrator"])
    def test_is_forbidden_to_whoever_completes_nothing(self, cast, who, shipment):
        client = pages.signed_in(getattr(cast, who))
        step = recipes.step(shipment, COLLECTED)

        assert client.get(pages.verb("complete", step)).status_code == 403
        assert client.post(pages.verb("complete", step), {}).status_code == 403

    def test_of_another_divisions_shipment_is_not_there(self, stranger, cast, bu_clerk, now, today):
        other = recipes.registered(by=bu_clerk, at=now, eta=today, division=cast.tyres)

        answer = pages.signed_in(stranger).get(pages.verb("complete", recipes.step(other, "1.6")))

        assert answer.status_code == 404

    @pytest.mark.parametrize("on", ["", "0", "999999999999999999999", "²", "one"])
    def test_of_a_step_that_is_none_is_not_there(self, cc_clerk, on):
        url = reverse("admin:workflow_workflowstep_verb", args=["complete"])

        assert pages.signed_in(cc_clerk).get(url, {"on": on}).status_code == 404

    def test_from_another_site_is_refused(self, cc_clerk, shipment, today):
        client = Client(enforce_csrf_checks=True)
        client.force_login(cc_clerk)
        step = recipes.step(shipment, COLLECTED)

        answer = client.post(pages.verb("complete", step), {"actual_date": today.strftime("%d/%m/%Y")})

        assert answer.status_code == 403
        assert recipes.step(shipment, COLLECTED).actual_date is None

    def test_by_a_substitute_says_on_whose_behalf(self, cast, shipment, today, now):
        away = {"starts_on": today, "ends_on": today}
        Absence.objects.create(user=cast.finance_clerk, substitute=cast.finance_alternate, **away)
        WorkflowStep.objects.filter(shipment=shipment).update(apr_user=None)
        client = pages.signed_in(cast.finance_alternate)
        step = recipes.step(shipment, DAN_SENT)

        client.post(pages.verb("complete", step), {"actual_date": today.strftime("%d/%m/%Y")})

        done = recipes.step(shipment, DAN_SENT)
        assert (done.completed_by, done.on_behalf_of) == (cast.finance_alternate, cast.finance_clerk)


class TestTheButtonsOfAStep:
    @pytest.mark.parametrize(
        ("who", "number", "labels"),
        [
            ("cc_clerk", COLLECTED, {"Complete"}),
            ("cc_clerk", POLICE_CHECK, {"Complete", "Not required"}),
            ("cc_head", COLLECTED, {"Complete"}),
            ("finance_clerk", COLLECTED, set()),
            ("bu_clerk", SAILED, set()),  # follows its field
            ("auditor", COLLECTED, set()),
            ("administrator", COLLECTED, set()),
        ],
    )
    def test_are_what_the_person_may_do_with_an_open_one(self, cast, who, number, labels, shipment):
        page = pages.signed_in(getattr(cast, who)).get(pages.of(recipes.step(shipment, number)))

        assert pages.buttons(page) == labels

    @pytest.mark.parametrize(
        ("who", "labels"), [("cc_clerk", set()), ("cc_head", {"Reopen"}), ("administrator", {"Reopen"})]
    )
    def test_are_for_reopening_a_completed_one(self, cast, who, labels, shipment, today, now):
        recipes.record(shipment, {COLLECTED: today}, at=now)

        page = pages.signed_in(getattr(cast, who)).get(pages.of(recipes.step(shipment, COLLECTED)))

        assert pages.buttons(page) == labels


class TestNotRequired:
    def test_reaches_the_desk(self, cc_clerk, shipment):
        step = recipes.step(shipment, POLICE_CHECK)

        pages.signed_in(cc_clerk).post(pages.verb("not-required", step), {"note": "No inspection"})

        assert recipes.step(shipment, POLICE_CHECK).not_required

    def test_of_a_mandatory_step_is_refused(self, cc_clerk, shipment):
        answer = pages.signed_in(cc_clerk).post(pages.verb("not-required", recipes.step(shipment, COLLECTED)), {})

        assert "mandatory" in pages.errors_of(answer)["__all__"][0]


class TestReopening:
    def test_reaches_the_desk_with_its_reason(self, cc_head, shipment, today, now):
        recipes.record(shipment, {COLLECTED: today}, at=now)
        step = recipes.step(shipment, COLLECTED)

        pages.signed_in(cc_head).post(pages.verb("reopen", step), {"reason": "Wrong container"})

        reopened = recipes.step(shipment, COLLECTED)
        assert (reopened.actual_date, reopened.note) == (None, "Wrong container")

    def test_is_forbidden_to_clerks(self, cc_clerk, shipment):
        step = recipes.step(shipment, COLLECTED)

        assert pages.signed_in(cc_clerk).get(pages.verb("reopen", step)).status_code == 403


class TestProcedures:
    def test_are_read_with_their_steps_and_never_edited(self, administrator):
        template = WorkflowTemplate.objects.get()
        client = pages.signed_in(administrator)

        page = client.get(pages.of(template))

        assert "Goods collected from port" in page.text
        assert "Save" not in page.text
        assert client.post(pages.of(template), {"name": "Other"}).status_code == 403

    def test_an_administrator_chooses_the_version_for_new_shipments(self, administrator):
        old = WorkflowTemplate.objects.get()
        new = WorkflowTemplate.objects.create(code=old.code, version=2, name="Clearance", created_at=old.created_at)

        pages.signed_in(administrator).post(pages.verb("use", new))

        assert list(WorkflowTemplate.objects.in_use()) == [new]

    def test_nobody_else_does(self, cc_head):
        template = WorkflowTemplate.objects.get()

        assert pages.signed_in(cc_head).post(pages.verb("use", template)).status_code == 403


class TestResponsibilities:
    def given(self, person, step: str = f"clearance:{COLLECTED}", **changed) -> dict:
        return {"step": step, "division": "", "ppr": person.pk, "apr": ""} | changed

    def test_a_head_names_people_for_the_departments_steps(self, cc_head, cc_alternate):
        pages.signed_in(cc_head).post(pages.adding(Responsibility), self.given(cc_alternate))

        row = Responsibility.objects.get()
        assert (row.template_code, row.step_number, row.ppr) == ("clearance", Decimal(COLLECTED), cc_alternate)

    def test_are_shown_to_who_may_only_read_them(self, storekeeper, cc_clerk):
        row = Responsibility.objects.create(step_number=Decimal(COLLECTED), ppr=cc_clerk)

        shown = pages.words(pages.signed_in(storekeeper).get(pages.of(row)).content.decode())

        assert COLLECTED in shown
        assert cc_clerk.full_name in shown

    def test_another_departments_step_is_refused_on_the_form(self, finance_head, finance_clerk):
        answer = pages.signed_in(finance_head).post(pages.adding(Responsibility), self.given(finance_clerk))

        assert "your own department only" in pages.errors_of(answer)["__all__"][0]
        assert not Responsibility.objects.exists()

    def test_another_departments_row_is_not_taken_over(self, finance_head, finance_clerk, cc_clerk):
        row = Responsibility.objects.create(step_number=Decimal(COLLECTED), ppr=cc_clerk)
        given = self.given(finance_clerk, step=f"clearance:{DAN_SENT}")

        answer = pages.signed_in(finance_head).post(pages.of(row), given)

        assert "your own department only" in pages.errors_of(answer)["__all__"][0]
        assert Responsibility.objects.get().ppr == cc_clerk

    def test_a_second_row_for_the_same_step_is_refused(self, cc_head, cc_clerk):
        Responsibility.objects.create(step_number=Decimal(COLLECTED), ppr=cc_clerk)

        answer = pages.signed_in(cc_head).post(pages.adding(Responsibility), self.given(cc_clerk))

        assert "have a row already" in pages.errors_of(answer)["__all__"][0]

    def test_a_head_removes_an_own_row(self, cc_head, cc_clerk):
        row = Responsibility.objects.create(step_number=Decimal(COLLECTED), ppr=cc_clerk)
        url = reverse("admin:workflow_responsibility_delete", args=[row.pk])

        pages.signed_in(cc_head).post(url, {"post": "yes"})

        assert not Responsibility.objects.exists()

    def test_a_head_does_not_remove_another_departments(self, finance_head, cc_clerk):
        row = Responsibility.objects.create(step_number=Decimal(COLLECTED), ppr=cc_clerk)
        url = reverse("admin:workflow_responsibility_delete", args=[row.pk])

        answer = pages.signed_in(finance_head).post(url, {"post": "yes"}, follow=True)

        assert "your own department only" in pages.told(answer)[0][1]
        assert Responsibility.objects.exists()

    def test_a_fallback_is_changed_by_its_head(self, cc_head, cc_alternate):
        fallback = DepartmentFallback.objects.get(department=Department.CUSTOMS)
        given = {"department": Department.CUSTOMS, "ppr": cc_alternate.pk, "apr": ""}

        pages.signed_in(cc_head).post(pages.of(fallback), given)

        assert DepartmentFallback.objects.get(department=Department.CUSTOMS).ppr == cc_alternate

    def test_are_applied_to_open_steps_when_asked(self, cc_head, cc_alternate, shipment):
        Responsibility.objects.create(step_number=Decimal(COLLECTED), ppr=cc_alternate)

        answer = pages.signed_in(cc_head).post(APPLY, {"departments": [Department.CUSTOMS]}, follow=True)

        assert recipes.step(shipment, COLLECTED).ppr_user == cc_alternate
        assert pages.told(answer)[0][0] == "success"

    def test_of_other_departments_cannot_even_be_chosen(self, cc_head, shipment):
        answer = pages.signed_in(cc_head).post(APPLY, {"departments": [Department.FINANCE]})

        assert "departments" in pages.errors_of(answer)

    def test_are_not_for_clerks(self, cc_clerk):
        client = pages.signed_in(cc_clerk)

        assert client.get(APPLY).status_code == 403
        assert client.get(pages.adding(Responsibility)).status_code == 403
        assert client.get(pages.list_of(Responsibility)).status_code == 200

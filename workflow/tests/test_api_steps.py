from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Absence
from clearance.clock import day_of
from clearance.tests import recipes
from clearance.tests.callers import error_of, fields_of, signed_in
from shipments.models import Shipment
from workflow.models import WorkflowStep

STEPS = "/api/v1/workflow-steps"


@pytest.fixture
def today() -> date:
    return day_of(timezone.now())


@pytest.fixture
def shipment(bu_clerk, today) -> Shipment:
    return recipes.registered(by=bu_clerk, at=timezone.now(), eta=today)


@pytest.fixture
def clerk(cc_clerk):
    return signed_in(cc_clerk)


def place(shipment: Shipment, number: str, verb: str = "") -> str:
    return f"{STEPS}/{recipes.step(shipment, number).pk}{verb}"


def numbers(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["step_number"] for row in answer.json()["results"]]


def cost(client, method: str, address: str, body=None) -> int:
    with CaptureQueriesContext(connection) as statements:
        answer = getattr(client, method)(address, body)
    assert answer.status_code < 300, answer.content
    return len(statements)


class TestATimeline:
    def test_is_a_plain_list_in_the_order_of_the_procedure(self, clerk, shipment):
        answer = clerk.get(f"/api/v1/shipments/{shipment.pk}/workflow")

        assert answer.status_code == 200
        assert [row["step_number"] for row in answer.json()] == [
            "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "3.1", "3.2", "3.3",
            "3.4", "3.5", "4.0", "5.0", "6.0", "6.1", "6.2", "7.0", "8.0", "9.0", "10.0", "11.0", "12.0", "13.0",
            "14.0", "15.0", "16.0", "17.0", "18.0",
        ]  # fmt: skip

    def test_shows_every_department_to_every_other(self, clerk, shipment):
        steps = clerk.get(f"/api/v1/shipments/{shipment.pk}/workflow").json()

        assert {step["department"] for step in steps} == {"BusinessUnit", "Finance", "C&C", "Stores"}

    def test_tells_all_of_a_step(self, clerk, shipment, cc_clerk, cc_alternate, today):
        steps = clerk.get(f"/api/v1/shipments/{shipment.pk}/workflow").json()

        bayan = next(step for step in steps if step["step_number"] == "9.0")
        assert bayan["step_name"] == "Bayan submitted"
        assert bayan["description"].startswith("Customs declaration lodged")
        assert (bayan["status"], bayan["target_date"], bayan["actual_date"]) == ("pending", str(today), None)
        assert (bayan["ppr_user"], bayan["ppr_name"]) == (cc_clerk.pk, cc_clerk.full_name)
        assert (bayan["apr_user"], bayan["apr_name"]) == (cc_alternate.pk, cc_alternate.full_name)
        assert (bayan["shipment"], bayan["shipment_number"]) == (shipment.pk, shipment.shipment_number)

    def test_agrees_with_the_step_alone(self, clerk, shipment):
        steps = clerk.get(f"/api/v1/shipments/{shipment.pk}/workflow").json()

        alone = clerk.get(f"{STEPS}/{steps[0]['id']}")

        assert alone.json() == steps[0]
        assert alone["ETag"] == '"1"'


class TestTheListOfSteps:
    @pytest.mark.parametrize(
        ("who", "department"), [("finance_clerk", "Finance"), ("cc_head", "C&C"), ("storekeeper", "Stores")]
    )
    def test_has_only_the_own_department_for_three_of_them(self, cast, shipment, who, department):
        rows = signed_in(getattr(cast, who)).get(STEPS, {"page_size": 200}).json()["results"]

        assert rows
        assert {row["department"] for row in rows} == {department}

    @pytest.mark.parametrize("who", ["bu_clerk", "auditor", "manager", "administrator"])
    def test_has_every_department_for_the_others(self, cast, shipment, who):
        assert signed_in(getattr(cast, who)).get(STEPS).json()["count"] == 34

    def test_asked_for_another_department_is_empty(self, clerk, shipment):
        assert numbers(clerk.get(STEPS, {"department": "Finance"})) == []

    def test_still_opens_a_step_of_another_department(self, clerk, shipment):
        assert clerk.get(place(shipment, recipes.DAN_SENT)).status_code == 200


class TestMyTasks:
    def test_are_the_open_steps_of_ppr_and_apr(self, cc_clerk, cc_alternate, shipment):
        ours = WorkflowStep.objects.filter(shipment=shipment, department="C&C").order_by("target_date", "id")
        expected = [str(number) for number in ours.open().values_list("step_number", flat=True)]

        assert numbers(signed_in(cc_clerk).get(f"{STEPS}/my-tasks")) == expected
        assert numbers(signed_in(cc_alternate).get(f"{STEPS}/my-tasks")) == expected

    def test_do_not_hold_what_is_done(self, clerk, shipment):
        clerk.patch(place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {})

        assert recipes.BAYAN_SUBMITTED not in numbers(clerk.get(f"{STEPS}/my-tasks"))

    def test_can_be_filtered(self, clerk, shipment):
        assert numbers(clerk.get(f"{STEPS}/my-tasks", {"search": "bayan", "status": "pending"})) == ["9.0", "11.0"]

    def test_pass_to_the_substitute(self, finance_head, finance_clerk, shipment, cast, today):
        WorkflowStep.objects.filter(shipment=shipment).update(apr_user=None)
        Absence.objects.create(
            user=cast.finance_clerk, starts_on=today, ends_on=today, substitute=cast.finance_alternate
        )

        assert recipes.DAN_SENT in numbers(signed_in(cast.finance_alternate).get(f"{STEPS}/my-tasks"))

    def test_pass_to_the_head_where_nobody_is_named(self, cc_head, shipment):
        head = signed_in(cc_head)
        assert numbers(head.get(f"{STEPS}/my-tasks")) == []

        WorkflowStep.objects.filter(shipment=shipment, step_number="9.0").update(ppr_user=None)

        assert numbers(head.get(f"{STEPS}/my-tasks")) == ["9.0"]

    @pytest.mark.parametrize("who", ["auditor", "manager", "administrator"])
    def test_are_none_for_those_who_look_on(self, cast, shipment, who):
        assert numbers(signed_in(getattr(cast, who)).get(f"{STEPS}/my-tasks")) == []

    def test_leave_out_what_was_withdrawn(self, clerk, shipment):
        Shipment.objects.filter(pk=shipment.pk).update(status="cancelled")

        assert numbers(clerk.get(f"{STEPS}/my-tasks")) == []


class TestCompletingAStep:
    def test_is_done_by_its_ppr_and_answers_the_step(self, clerk, shipment, cc_clerk, today):
        answer = clerk.patch(place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {"note": "Lodged"})

        assert answer.status_code == 200
        assert answer["ETag"] == '"2"'
        done = answer.json()
        assert (done["status"], done["actual_date"], done["completed_via"]) == ("completed", str(today), "person")
        assert (done["completed_by"], done["on_behalf_of"], done["note"]) == (cc_clerk.pk, None, "Lodged")

    def test_warns_of_open_predecessors(self, clerk, shipment):
        done = clerk.patch(place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {}).json()

        assert [(one["code"], one["step_number"]) for one in done["warnings"]] == [
            ("PREDECESSOR_OPEN", "2.5"),
            ("PREDECESSOR_OPEN", "6.2"),
        ]
        assert all("still open" in one["message"] for one in done["warnings"])

    def test_twice_is_a_409(self, clerk, shipment):
        address = place(shipment, recipes.BAYAN_SUBMITTED, "/complete")
        clerk.patch(address, {})

        assert error_of(clerk.patch(address, {}), 409)["code"] == "STEP_ALREADY_COMPLETED"

    @pytest.mark.parametrize("who", ["finance_clerk", "bu_head", "storekeeper", "auditor", "manager", "administrator"])
    def test_that_is_somebody_elses_is_a_403(self, cast, shipment, who):
        answer = signed_in(getattr(cast, who)).patch(place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {})

        assert error_of(answer, 403)["code"] == "STEP_NOT_YOURS"

    @pytest.mark.parametrize("who", ["cc_alternate", "cc_head"])
    def test_is_done_by_its_apr_and_its_head(self, cast, shipment, who):
        answer = signed_in(getattr(cast, who)).patch(place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {})

        assert answer.status_code == 200

    def test_is_done_by_a_substitute_and_says_for_whom(self, cast, shipment, today):
        recipes_step = recipes.step(shipment, recipes.DAN_SENT)
        WorkflowStep.objects.filter(pk=recipes_step.pk).update(apr_user=None)
        Absence.objects.create(
            user=cast.finance_clerk, starts_on=today, ends_on=today, substitute=cast.finance_alternate
        )

        done = signed_in(cast.finance_alternate).patch(place(shipment, recipes.DAN_SENT, "/complete"), {}).json()

        assert (done["completed_by"], done["on_behalf_of"]) == (cast.finance_alternate.pk, cast.finance_clerk.pk)

    def test_tomorrow_is_a_400(self, clerk, shipment, today):
        answer = clerk.patch(
            place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {"actual_date": str(today + timedelta(days=1))}
        )

        assert error_of(answer, 400)["code"] == "ACTUAL_DATE_IN_THE_FUTURE"
        assert fields_of(answer) == {"actual_date"}

    def test_long_ago_is_a_400(self, clerk, shipment):
        answer = clerk.patch(place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {"actual_date": "2020-01-01"})

        assert error_of(answer, 400)["code"] == "ACTUAL_DATE_TOO_EARLY"

    def test_that_follows_a_field_is_a_409_that_names_the_field(self, bu_clerk, shipment):
        answer = signed_in(bu_clerk).patch(place(shipment, recipes.SAILED, "/complete"), {})

        error = error_of(answer, 409)
        assert error["code"] == "STEP_COMPLETES_ON_ENTRY"
        assert "sail date" in error["message"]

    def test_marks_an_optional_one_as_not_required(self, clerk, shipment):
        answer = clerk.patch(place(shipment, recipes.POLICE_CHECK, "/complete"), {"not_required": True, "note": "none"})

        assert answer.status_code == 200
        done = answer.json()
        assert (done["status"], done["actual_date"], done["warnings"]) == ("not_required", None, [])

    def test_marks_no_mandatory_one_as_not_required(self, clerk, shipment):
        answer = clerk.patch(place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {"not_required": True})

        assert error_of(answer, 409)["code"] == "STEP_NOT_OPTIONAL"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"actual_date": "20/03/2026"}, "actual_date"),
            ({"actual_date": None}, "actual_date"),
            ({"not_required": "perhaps"}, "not_required"),
            ({"not_required": True, "actual_date": "2026-03-20"}, "actual_date"),
            ({"note": "x" * 501}, "note"),
            ({"note": "a\0b"}, "note"),
            ({"done": True}, "done"),
            ({"version": "2nd"}, "version"),
        ],
    )
    def test_refuses_a_body_that_cannot_be(self, clerk, shipment, body, field):
        assert fields_of(clerk.patch(place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), body)) == {field}

    def test_of_a_cancelled_shipment_is_a_409(self, clerk, shipment):
        Shipment.objects.filter(pk=shipment.pk).update(status="cancelled")

        answer = clerk.patch(place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {})

        assert error_of(answer, 409)["code"] == "SHIPMENT_CANCELLED"

    def test_with_a_stale_version_is_a_409_and_with_a_stale_tag_a_412(self, clerk, shipment):
        address = place(shipment, recipes.BAYAN_SUBMITTED, "/complete")

        assert error_of(clerk.patch(address, {"version": 4}), 409)["code"] == "VERSION_CONFLICT"
        assert error_of(clerk.patch(address, {}, HTTP_IF_MATCH='W/"4"'), 412)["code"] == "VERSION_CONFLICT"
        assert clerk.patch(address, {}, HTTP_IF_MATCH='W/"1"').status_code == 200

    def test_the_last_mandatory_one_completes_the_shipment(self, clerk, shipment, storekeeper, bu_clerk, today):
        earlier = today - timedelta(days=3)
        recipes.record_all_but(shipment, recipes.COLLECTED, recipes.CLAIM_NOTIFIED, on=earlier, at=timezone.now())
        watcher = signed_in(bu_clerk)
        address = f"/api/v1/shipments/{shipment.pk}"

        clerk.patch(place(shipment, recipes.COLLECTED, "/complete"), {"actual_date": str(today)})
        cleared = watcher.get(address).json()
        signed_in(storekeeper).patch(place(shipment, recipes.CLAIM_NOTIFIED, "/complete"), {})
        completed = watcher.get(address).json()

        assert (cleared["status"], cleared["cleared_on"], cleared["risk"]) == ("active", str(today), None)
        assert (completed["status"], completed["cleared_on"], completed["risk"]) == ("completed", str(today), None)
        assert completed["version"] > cleared["version"]
        assert clerk.get(place(shipment, recipes.POLICE_CHECK)).json()["status"] == "not_required"


class TestReopeningAStep:
    @pytest.fixture
    def done(self, clerk, shipment):
        clerk.patch(place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {})
        return place(shipment, recipes.BAYAN_SUBMITTED, "/reopen")

    @pytest.mark.parametrize("who", ["cc_head", "administrator"])
    def test_is_done_by_the_head_or_an_administrator(self, cast, done, who):
        answer = signed_in(getattr(cast, who)).patch(done, {"reason": "the wrong shipment"})

        assert answer.status_code == 200
        assert answer["ETag"] == '"3"'
        step = answer.json()
        assert (step["status"], step["actual_date"], step["completed_by"]) == ("pending", None, None)
        assert "warnings" not in step

    @pytest.mark.parametrize("who", ["cc_clerk", "finance_head", "auditor", "manager"])
    def test_by_anyone_else_is_refused(self, cast, done, who):
        answer = signed_in(getattr(cast, who)).patch(done, {"reason": "the wrong shipment"})

        assert error_of(answer, 403)

    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": " "}, {"reason": None}])
    def test_needs_a_reason(self, cc_head, done, body):
        assert fields_of(signed_in(cc_head).patch(done, body)) == {"reason"}

    def test_of_an_open_one_is_a_409(self, cc_head, shipment):
        answer = signed_in(cc_head).patch(place(shipment, "10.0", "/reopen"), {"reason": "the wrong shipment"})

        assert error_of(answer, 409)["code"] == "STEP_NOT_COMPLETED"


class TestTheCost:
    def test_of_lists_is_the_same_for_any_number_of_rows(self, clerk, shipment, bu_clerk, today):
        few = [cost(clerk, "get", address) for address in (STEPS, f"{STEPS}/my-tasks")]
        for _ in range(5):
            recipes.registered(by=bu_clerk, at=timezone.now(), eta=today)
        many = [cost(clerk, "get", f"{address}?page_size=45") for address in (STEPS, f"{STEPS}/my-tasks")]

        assert few == [2, 2]  # who asks, and the rows
        assert many == [3, 3]  # and the count

    def test_of_one_step(self, clerk, shipment):
        assert cost(clerk, "get", place(shipment, recipes.BAYAN_SUBMITTED)) == 2

    def test_of_completing(self, clerk, shipment):
        assert cost(clerk, "patch", place(shipment, recipes.BAYAN_SUBMITTED, "/complete"), {}) == 12

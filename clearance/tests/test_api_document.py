from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator
from openapi_spec_validator import validate
from rest_framework.test import APIClient

from clearance.embedded import ROOT
from clearance.tests import recipes
from clearance.tests.callers import signed_in
from clearance.tests.cast import PASSWORD

DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text())


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def faults(value: Any, schema: dict[str, Any], validator: type = OAS30ReadValidator) -> list[str]:
    """What is wrong with a value, as the document describes it."""
    whole = schema | {"components": DOCUMENT["components"]}
    return [f"{error.json_path}: {error.message}" for error in validator(whole).iter_errors(value)]


def promised(method: str, path: str, status: int) -> dict[str, Any]:
    """The schema of an answer."""
    answers = DOCUMENT["paths"][f"/api/v1{path}"][method]["responses"]
    schema: dict[str, Any] = answers[str(status) if str(status) in answers else "default"]["content"][
        "application/json"
    ]["schema"]
    return schema


def require_kept(answer: Any, method: str, path: str) -> None:
    assert faults(answer.json(), promised(method, path, answer.status_code)) == [], (method, path)


class TestTheDocument:
    def test_is_valid(self):
        validate(DOCUMENT)

    def test_names_every_operation_once(self):
        names = [operation["operationId"] for _, _, operation in operations()]

        assert len(names) == len(set(names))
        assert {"auth_login", "shipments_list", "shipments_eta", "workflow_steps_complete"} <= set(names)

    def test_describes_every_operation(self):
        assert [path for _, path, operation in operations() if not operation.get("description")] == []

    def test_asks_everywhere_for_a_sign_in_but_where_it_is_open(self):
        is_open = {path.removeprefix("/api/v1") for _, path, operation in operations() if "security" not in operation}

        assert is_open == {
            "/auth/login", "/auth/refresh", "/auth/logout", "/auth/password/reset-request", "/auth/password/reset",
            "/health", "/health/live", "/health/ready", "/health/db", "/health/redis",
        }  # fmt: skip

    def test_gives_examples_that_are_true_to_it(self):
        checked, wrong = 0, []
        for method, path, operation in operations():
            bodies = [(operation.get("requestBody", {}), OAS30WriteValidator)]
            bodies += [(answer, OAS30ReadValidator) for answer in operation["responses"].values()]
            for body, validator in bodies:
                for content in body.get("content", {}).values():
                    for example in content.get("examples", {}).values():
                        checked += 1
                        wrong += [
                            (method, path, fault) for fault in faults(example["value"], content["schema"], validator)
                        ]

        assert checked > 20
        assert wrong == []

    @pytest.mark.parametrize("path", ["/shipments/{id}/eta", "/shipments/{id}/cancel", "/workflow-steps/{id}/reopen"])
    def test_says_what_a_verb_needs(self, path):
        (operation,) = DOCUMENT["paths"][f"/api/v1{path}"].values()
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]

        assert DOCUMENT["components"]["schemas"][name]["required"] in (["eta"], ["reason"])
        assert "If-Match" in {parameter["name"] for parameter in operation["parameters"]}


class TestTheAnswers:
    """What the document promises, the API keeps."""

    def test_of_reads_are_as_promised(self, bu_clerk, cc_clerk, shipment):
        client = signed_in(bu_clerk)
        step = recipes.step(shipment, recipes.BAYAN_SUBMITTED).pk

        for path, address in (
            ("/shipments", "shipments"),
            ("/shipments", "shipments?cursor=&page_size=1"),
            ("/shipments", "shipments?colour=red"),
            ("/shipments/{id}", f"shipments/{shipment.pk}"),
            ("/shipments/{id}", "shipments/0"),
            ("/shipments/{id}/workflow", f"shipments/{shipment.pk}/workflow"),
            ("/workflow-steps", "workflow-steps"),
            ("/workflow-steps/{id}", f"workflow-steps/{step}"),
            ("/workflow-steps/my-tasks", "workflow-steps/my-tasks"),
            ("/users/me", "users/me"),
            ("/health", "health"),
            ("/health/live", "health/live"),
        ):
            require_kept(client.get(f"/api/v1/{address}"), "get", path)

    def test_of_writes_are_as_promised(self, bu_clerk, cc_clerk, cc_head, bu_head):
        clerk, head, customs = signed_in(bu_clerk), signed_in(bu_head), signed_in(cc_clerk)

        registered = clerk.post("/api/v1/shipments", recipes.values(eta="2099-01-01", division="TBL"))
        require_kept(registered, "post", "/shipments")
        address = f"/api/v1/shipments/{registered.json()['id']}"
        steps = clerk.get(f"{address}/workflow").json()
        step = next(one["id"] for one in steps if one["step_number"] == recipes.BAYAN_SUBMITTED)

        require_kept(clerk.put(address, registered.json()), "put", "/shipments/{id}")
        require_kept(clerk.patch(address, {"quantity": "2.5"}), "patch", "/shipments/{id}")
        require_kept(clerk.patch(f"{address}/eta", {"eta": "2099-01-02"}), "patch", "/shipments/{id}/eta")
        done = customs.patch(f"/api/v1/workflow-steps/{step}/complete", {"actual_date": "2098-01-01"})
        require_kept(done, "patch", "/workflow-steps/{id}/complete")
        done = customs.patch(f"/api/v1/workflow-steps/{step}/complete", {})
        require_kept(done, "patch", "/workflow-steps/{id}/complete")
        reopened = signed_in(cc_head).patch(f"/api/v1/workflow-steps/{step}/reopen", {"reason": "a slip"})
        require_kept(reopened, "patch", "/workflow-steps/{id}/reopen")
        require_kept(head.post(f"{address}/cancel", {"reason": "twice"}), "post", "/shipments/{id}/cancel")
        require_kept(head.post(f"{address}/restore", {}), "post", "/shipments/{id}/restore")
        imported = clerk.post("/api/v1/shipments/import", {"rows": [{"shipment_number": "A-1", "eta": "never"}]})
        require_kept(imported, "post", "/shipments/import")

    def test_of_who_i_am_are_as_promised_to_who_has_no_department_yet(self, bu_clerk, administrator):
        bu_clerk.department, bu_clerk.role = "", "ReadOnly"
        bu_clerk.save()

        for person in (bu_clerk, administrator):
            require_kept(signed_in(person).get("/api/v1/users/me"), "get", "/users/me")

    def test_of_signing_in_are_as_promised(self, cc_clerk):
        client = APIClient()

        given = client.post("/api/v1/auth/login", {"email": cc_clerk.email, "password": PASSWORD})
        require_kept(given, "post", "/auth/login")
        again = client.post("/api/v1/auth/refresh", {"refresh_token": given.json()["refresh_token"]})
        require_kept(again, "post", "/auth/refresh")
        require_kept(client.post("/api/v1/auth/login", {}), "post", "/auth/login")

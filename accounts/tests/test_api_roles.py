from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts import rules
from accounts.models import RoleGroup
from accounts.tests.people import holding, role
from audit.models import AuditEntry
from clearance.tests.callers import error_of, fields_of, signed_in
from clearance.tests.test_api_document import require_kept
from clearance.tests.traces import everything

pytestmark = pytest.mark.django_db

ROLES = "/api/v1/roles"
REPORTING = {"name": "Reporting", "permissions": ["metrics:view", "shipments:view"]}


class TestRoles:
    def test_are_listed_with_those_of_the_system(self, cast):
        made = role("metrics.view_metric")
        holding(cast.cc_clerk, made)

        answer = signed_in(cast.auditor).get(f"{ROLES}?page_size=100")

        require_kept(answer, "get", "/roles")
        found = {one["name"]: one for one in answer.json()["results"]}
        assert found["Reporting"] == {
            "id": made.pk, "name": "Reporting", "is_system": False, "people": 1, "permissions": ["metrics:view"],
        }  # fmt: skip
        assert found["Administrator"]["is_system"]
        assert found["Administrator"]["people"] == 1
        assert {name for name, one in found.items() if one["is_system"]} == rules.system_role_names()

    def test_cost_the_same_few_queries(self, administrator, django_assert_num_queries):
        client = signed_in(administrator)

        with django_assert_num_queries(4):  # the caller, the page, its permissions, their kinds
            client.get(ROLES)

    def test_are_made_changed_and_deleted(self, administrator):
        client = signed_in(administrator)

        made = client.post(ROLES, REPORTING)
        place = f"{ROLES}/{made.json()['id']}"
        given = client.post(f"{place}/permissions", {"permissions": ["seals:view"]})
        taken = client.delete(f"{place}/permissions", {"permissions": ["metrics:view"]})
        put = client.put(place, {"name": "Seals", "permissions": ["seals:view"]})
        seen = client.get(place)
        gone = client.delete(place)

        assert [one.status_code for one in (made, given, taken, put, seen, gone)] == [201, 200, 200, 200, 200, 204]
        for answer, method, path in (
            (made, "post", "/roles"),
            (put, "put", "/roles/{id}"),
            (seen, "get", "/roles/{id}"),
        ):
            require_kept(answer, method, path)
        assert given.json()["permissions"] == ["metrics:view", "seals:view", "shipments:view"]
        assert taken.json()["permissions"] == ["seals:view", "shipments:view"]
        assert (put.json()["name"], put.json()["permissions"]) == ("Seals", ["seals:view"])
        assert error_of(client.get(place), 404)

    def test_of_the_system_stay_as_they_are(self, cast):
        client, place = signed_in(cast.administrator), f"{ROLES}/{cast.cc_clerk.groups.get().pk}"
        attempts = [("put", place, REPORTING), ("delete", place, None)]
        attempts += [(verb, f"{place}/permissions", {"permissions": []}) for verb in ("post", "delete")]
        before = everything()

        for method, address, body in attempts:
            assert error_of(getattr(client, method)(address, body), 409)["code"] == "SYSTEM_ROLE_IS_FIXED"

        assert everything() == before
        assert not AuditEntry.objects.filter(action="denied").exists()

    def test_that_are_held_are_not_deleted(self, cast):
        made = role()
        holding(cast.cc_clerk, made)

        answer = signed_in(cast.administrator).delete(f"{ROLES}/{made.pk}")

        assert error_of(answer, 409)["code"] == "ROLE_IS_HELD"

    @pytest.mark.parametrize(
        ("changed", "fields"),
        [
            ({"permissions": ["users:fly"]}, {"permissions"}),
            ({"permissions": "metrics:view"}, {"permissions"}),
            ({"name": ""}, {"name"}),
            ({"name": "x" * 151}, {"name"}),
            ({"people": [1]}, {"people"}),
        ],
    )
    def test_are_refused_with_the_field_that_is_wrong(self, administrator, changed, fields):
        assert fields_of(signed_in(administrator).post(ROLES, REPORTING | changed)) == fields

    def test_with_the_name_of_a_system_role_are_refused(self, administrator):
        answer = signed_in(administrator).post(ROLES, REPORTING | {"name": "administrator"})

        assert error_of(answer, 409)["code"] == "ROLE_NAME_TAKEN"
        assert fields_of(answer, 409) == {"name"}


class TestPermissions:
    def test_are_told_in_words_with_the_roles_that_bring_them(self, auditor, django_assert_num_queries):
        client = signed_in(auditor)

        with django_assert_num_queries(1):
            answer = client.get("/api/v1/permissions")

        require_kept(answer, "get", "/permissions")
        found = {one["name"]: one for one in answer.json()}
        assert len(found) == len(rules.grantable())
        assert found["shipments:change_eta"]["roles"] == [
            "BusinessUnit PPR",
            "BusinessUnit APR",
            "BusinessUnit Manager",
        ]
        assert found["shipments:change_eta"]["allows"] == "Change an ETA (works for the Business Unit only)"


ATTEMPTS = [
    ("post", ROLES, REPORTING),
    ("put", f"{ROLES}/{{pk}}", REPORTING),
    ("delete", f"{ROLES}/{{pk}}", None),
    ("post", f"{ROLES}/{{pk}}/permissions", {"permissions": ["seals:view"]}),
    ("delete", f"{ROLES}/{{pk}}/permissions", {"permissions": ["seals:view"]}),
]


class TestWhoMayNot:
    @pytest.mark.parametrize(("method", "place", "body"), ATTEMPTS)
    @pytest.mark.parametrize("part", ["bu_clerk", "cc_head", "auditor"])
    def test_leaves_no_trace_but_the_denial(self, cast, part, method, place, body):
        made, client = role(name="Existing"), signed_in(getattr(cast, part))
        before = everything()

        answer = getattr(client, method)(place.format(pk=made.pk), body)

        assert error_of(answer, 403)["code"] == "PERMISSION_DENIED"
        assert everything() == before
        assert AuditEntry.objects.get(action="denied").entity_type == "auth.group"

    @pytest.mark.parametrize(("method", "place", "body"), [("get", ROLES, None), *ATTEMPTS])
    def test_is_a_stranger(self, db, method, place, body):
        error_of(getattr(APIClient(), method)(place.format(pk=1), body), 401)

    def test_a_clerk_reads_neither_roles_nor_permissions(self, bu_clerk):
        client = signed_in(bu_clerk)

        assert error_of(client.get(ROLES), 403)
        assert error_of(client.get("/api/v1/permissions"), 403)
        assert RoleGroup.objects.count() == len(rules.system_role_names())

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts import rules
from accounts.models import Override, User
from accounts.tests.people import caretaker, fresh, granted, holding, role
from audit.models import AuditEntry
from clearance.tests.callers import error_of, fields_of, signed_in
from clearance.tests.cast import PASSWORD
from clearance.tests.test_api_document import require_kept
from clearance.tests.traces import everything
from outbox.models import Message

pytestmark = pytest.mark.django_db

USERS = "/api/v1/users"
ME = f"{USERS}/me"
NEWCOMER = {"email": "Noor@example.com", "full_name": "Noor Newcomer", "department": "C&C", "role": "PPR"}


def at(user: User, *more: object) -> str:
    return "/".join(map(str, (USERS, user.pk, *more)))


class TestTheListOfPeople:
    def test_is_for_who_sees_people(self, cast):
        for part in ("administrator", "auditor", "manager", "cc_head"):
            answer = signed_in(getattr(cast, part)).get(USERS)
            assert answer.json()["count"] == 16
            require_kept(answer, "get", "/users")

    def test_tells_no_secrets(self, administrator):
        person = signed_in(administrator).get(USERS).json()["results"][0]

        assert not {"password", "is_superuser", "identity_subject", "user_permissions"} & person.keys()

    @pytest.mark.parametrize(
        ("query", "parts"),
        [
            ("department=C%26C&role=PPR", {"cc_clerk"}),
            ("role=Admin", {"administrator"}),
            ("search=kamila+example.com", {"cc_head"}),
            ("division=LV", {"stranger"}),
            ("is_active=false", {"finance_clerk"}),
            ("waiting=true", {"storekeeper"}),
            ("waiting=false&department=Stores", {"stores_head"}),
        ],
    )
    def test_is_narrowed_by_filters(self, cast, query, parts):
        User.objects.filter(pk=cast.finance_clerk.pk).update(is_active=False)
        cast.storekeeper.groups.clear()

        found = signed_in(cast.administrator).get(f"{USERS}?{query}").json()["results"]

        assert {one["email"] for one in found} == {f"{part}@example.com" for part in parts}

    @pytest.mark.parametrize("query", ["search=%00", "search=%25_", "further_role=99999999999", "page=99"])
    def test_finds_nothing_of_nonsense_and_never_fails(self, administrator, query):
        assert signed_in(administrator).get(f"{USERS}?{query}").status_code in (200, 400)

    def test_is_narrowed_by_a_further_role(self, cast):
        made = role()
        holding(cast.cc_clerk, made)

        (found,) = signed_in(cast.administrator).get(f"{USERS}?further_role={made.pk}").json()["results"]

        assert found["further_roles"] == [{"id": made.pk, "name": "Reporting"}]

    def test_refuses_filters_that_nobody_knows(self, administrator):
        assert fields_of(signed_in(administrator).get(f"{USERS}?password=x&role=King")) == {"password"}
        assert fields_of(signed_in(administrator).get(f"{USERS}?role=King")) == {"role"}

    def test_costs_the_same_for_fifty(self, administrator, django_assert_num_queries):
        client = signed_in(administrator)
        User.objects.bulk_create(
            User(email=f"p{n}@example.com", full_name=f"Person {n}", department="C&C", role="PPR") for n in range(60)
        )

        with django_assert_num_queries(5):  # the caller, the page, its divisions and roles, the count
            assert len(client.get(USERS).json()["results"]) == 50


class TestOnePerson:
    def test_is_told_with_what_they_may_do(self, cast):
        granted(cast.cc_clerk, "workflow.reopen_workflowstep")

        answer = signed_in(cast.auditor).get(at(cast.cc_clerk))

        require_kept(answer, "get", "/users/{id}")
        assert "workflow_steps:reopen" in answer.json()["permissions"]

    def test_is_not_found_where_there_is_none(self, administrator):
        for place in ("", "/overrides"):
            assert error_of(signed_in(administrator).get(f"{USERS}/999999{place}"), 404)["code"] == "NOT_FOUND"
        assert error_of(signed_in(administrator).patch(f"{USERS}/999999", {}), 404)


class TestTakingOn:
    def test_writes_no_mail(self, administrator, cast):
        body = NEWCOMER | {"divisions": ["TBL"], "password": "Tall-ship-sails-9"}

        answer = signed_in(administrator).post(USERS, body)

        assert answer.status_code == 201
        require_kept(answer, "post", "/users")
        person = User.objects.get(email="noor@example.com")
        assert list(person.divisions.all()) == [cast.tyres]
        assert person.check_password("Tall-ship-sails-9")
        assert not Message.objects.exists()

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"role": "King"}, "role"),
            ({"email": "no address"}, "email"),
            ({"phone": "12"}, "phone"),
            ({"time_zone": "Mars/Base"}, "time_zone"),
            ({"divisions": ["XXX"]}, "divisions"),
            ({"further_roles": [999]}, "further_roles"),
            ({"password": "weak"}, "password"),
            ({"is_superuser": True}, "is_superuser"),
            ({"is_active": False}, "is_active"),
        ],
    )
    def test_is_refused_with_the_field_that_is_wrong(self, administrator, changed, field):
        client, before = signed_in(administrator), everything()

        assert field in fields_of(client.post(USERS, NEWCOMER | changed))
        assert everything() == before

    def test_is_refused_without_department_and_for_a_known_address(self, administrator, cc_clerk):
        client = signed_in(administrator)

        assert "department" in error_of(client.post(USERS, NEWCOMER | {"department": ""}), 400)["message"]
        assert error_of(client.post(USERS, NEWCOMER | {"email": cc_clerk.email}), 409)["code"] == "USER_EXISTS"

    def test_again_with_the_same_key_adds_one(self, administrator):
        client = signed_in(administrator, headers={"Idempotency-Key": "noor"})

        first, second = client.post(USERS, NEWCOMER), client.post(USERS, NEWCOMER)

        assert (first.status_code, first.json()) == (second.status_code, second.json()) == (201, second.json())


class TestInviting:
    def test_writes_a_mail_and_again_another(self, administrator):
        client = signed_in(administrator)

        answers = [client.post(f"{USERS}/invite", NEWCOMER) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [201, 201]
        require_kept(answers[0], "post", "/users/invite")
        assert answers[0].json()["id"] == answers[1].json()["id"]
        assert not answers[0].json()["has_come"]
        assert Message.objects.filter(kind="invitation").count() == 2

    def test_is_refused_for_who_has_come_and_for_who_was_deactivated(self, administrator, cc_clerk):
        client, body = signed_in(administrator), NEWCOMER | {"email": cc_clerk.email}

        assert error_of(client.post(f"{USERS}/invite", body), 409)["code"] == "USER_EXISTS"
        client.delete(at(cc_clerk))
        assert error_of(client.post(f"{USERS}/invite", body), 409)["code"] == "PERSON_DEACTIVATED"

    def test_takes_no_password(self, administrator):
        body = NEWCOMER | {"password": "Tall-ship-sails-9"}

        assert fields_of(signed_in(administrator).post(f"{USERS}/invite", body)) == {"password"}


class TestChangingAPerson:
    def test_changes_what_is_sent_and_no_more(self, administrator, cc_clerk, cast):
        made = role("audit.view_seal")
        body = {"role": "APR", "divisions": ["TBL", "LV"], "further_roles": [made.pk]}

        answer = signed_in(administrator).patch(at(cc_clerk), body)

        require_kept(answer, "patch", "/users/{id}")
        person = fresh(cc_clerk)
        assert (person.role, person.full_name) == ("APR", cc_clerk.full_name)
        assert person.divisions.count() == 2
        assert person.get_all_permissions() == rules.permissions_of("C&C", "APR") | {"audit.view_seal"}

    def test_of_ones_own_rights_is_refused_to_a_caretaker(self, cast):
        keeper = caretaker(cast)

        answer = signed_in(keeper).patch(at(keeper), {"role": "Admin", "department": ""})

        assert error_of(answer, 403)["code"] == "ADMINISTRATORS_ONLY"

    def test_to_a_system_role_beside_the_own_is_refused(self, administrator, cc_clerk, cast):
        head = cast.bu_head.groups.get().pk

        answer = signed_in(administrator).patch(at(cc_clerk), {"further_roles": [head]})

        assert error_of(answer, 409)["code"] == "SYSTEM_ROLE_IS_FIXED"

    def test_refuses_fields_that_nobody_knows(self, administrator, cc_clerk):
        body = {"is_superuser": True, "password": "x", "permissions": []}

        assert fields_of(signed_in(administrator).patch(at(cc_clerk), body)) == set(body)


class TestDeactivating:
    def test_signs_the_person_out_and_may_be_repeated(self, administrator, cc_clerk):
        theirs, client = signed_in(cc_clerk), signed_in(administrator)

        assert [client.delete(at(cc_clerk)).status_code for _ in range(2)] == [204, 204]
        assert error_of(theirs.get(ME), 401)["code"] == "TOKEN_NOT_VALID"
        told = AuditEntry.objects.filter(entity_type="accounts.user", entity_id=str(cc_clerk.pk), action="changed")
        assert sum("is_active" in entry.changes for entry in told) == 1

    def test_of_the_last_administrator_is_refused(self, administrator):
        assert error_of(signed_in(administrator).delete(at(administrator)), 409)["code"] == "LAST_ADMINISTRATOR"


class TestOneself:
    def test_is_changed_in_what_is_ones_own(self, cc_clerk):
        body = {"phone": "+96891234567", "language": "ar", "time_zone": "Asia/Kolkata"}

        answer = signed_in(cc_clerk).patch(ME, body)

        assert {name: answer.json()[name] for name in body} == body
        assert (fresh(cc_clerk).language, fresh(cc_clerk).phone) == ("ar", "+96891234567")

    @pytest.mark.parametrize("field", ["role", "department", "email", "full_name", "is_active", "divisions"])
    def test_is_changed_in_nothing_else(self, cc_clerk, field):
        assert fields_of(signed_in(cc_clerk).patch(ME, {field: "Admin"})) == {field}

    @pytest.mark.parametrize("body", [{"time_zone": "Mars/Base"}, {"phone": "12"}, {"language": "xx"}])
    def test_is_changed_to_nothing_impossible(self, cc_clerk, body):
        assert fields_of(signed_in(cc_clerk).patch(ME, body)) == set(body)

    def test_is_no_list(self, cc_clerk):
        assert error_of(signed_in(cc_clerk).patch(ME, [1]), 400)


class TestOverrides:
    def test_are_made_listed_and_taken_back(self, administrator, cc_clerk):
        client = signed_in(administrator)
        body = {"permission": "workflow_steps:reopen", "is_granted": True, "reason": "Stands in for the head"}

        made = client.post(at(cc_clerk, "overrides"), body)
        listed = client.get(at(cc_clerk, "overrides"))
        gone = client.delete(at(cc_clerk, "overrides", made.json()["id"]))

        assert (made.status_code, gone.status_code) == (201, 204)
        require_kept(made, "post", "/users/{id}/overrides")
        require_kept(listed, "get", "/users/{id}/overrides")
        assert listed.json() == [made.json()]
        assert made.json()["allows"] == "Reopen steps of one's own department"
        assert not Override.objects.exists()
        assert error_of(client.delete(at(cc_clerk, "overrides", made.json()["id"])), 404)

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"permission": "users:fly"}, "permissions"),
            ({"permission": "auth.add_group"}, "permissions"),
            ({"reason": ""}, "reason"),
            ({"is_granted": "maybe"}, "is_granted"),
            ({"user": 1}, "user"),
        ],
    )
    def test_are_refused_with_the_field_that_is_wrong(self, administrator, cc_clerk, changed, field):
        body = {"permission": "metrics:view", "is_granted": False, "reason": "A test"} | changed

        assert fields_of(signed_in(administrator).post(at(cc_clerk, "overrides"), body)) == {field}

    def test_cost_the_same_for_many(self, administrator, cc_clerk, django_assert_num_queries):
        granted(cc_clerk, *sorted(rules.grantable())[:20])
        client = signed_in(administrator)

        with django_assert_num_queries(3):
            assert len(client.get(at(cc_clerk, "overrides")).json()) == 20


WRITES = [
    ("post", USERS, NEWCOMER),
    ("post", f"{USERS}/invite", NEWCOMER),
    ("patch", f"{USERS}/{{pk}}", {"role": "Manager"}),
    ("delete", f"{USERS}/{{pk}}", None),
    ("post", f"{USERS}/{{pk}}/unlock", None),
    ("post", f"{USERS}/{{pk}}/overrides", {"permission": "metrics:view", "is_granted": True, "reason": "x"}),
    ("delete", f"{USERS}/{{pk}}/overrides/1", None),
]


class TestWhoMayNot:
    @pytest.mark.parametrize(("method", "place", "body"), WRITES)
    @pytest.mark.parametrize("part", ["cc_clerk", "cc_head", "auditor"])
    def test_leaves_no_trace_but_the_denial(self, cast, part, method, place, body):
        client = signed_in(getattr(cast, part))
        before = everything()

        answer = getattr(client, method)(place.format(pk=cast.bu_clerk.pk), body)

        assert error_of(answer, 403)["code"] == "PERMISSION_DENIED"
        assert everything() == before
        denial = AuditEntry.objects.get(action="denied")
        assert (denial.entity_type, denial.user) == ("accounts.user", getattr(cast, part))

    @pytest.mark.parametrize(("method", "place", "body"), [("get", USERS, None), *WRITES])
    def test_is_a_stranger_or_somebody_deactivated(self, cast, method, place, body):
        gone = signed_in(cast.administrator)
        User.objects.filter(pk=cast.administrator.pk).update(is_active=False)

        for client in (APIClient(), gone):
            error_of(getattr(client, method)(place.format(pk=cast.bu_clerk.pk), body), 401)

    def test_a_clerk_does_not_even_read_them(self, cc_clerk):
        for place in (USERS, f"{USERS}/{cc_clerk.pk}", f"{USERS}/{cc_clerk.pk}/overrides"):
            assert error_of(signed_in(cc_clerk).get(place), 403)


class TestSigningInAfterAnInvitation:
    def test_is_possible_at_the_api_only_with_a_password(self, administrator):
        signed_in(administrator).post(f"{USERS}/invite", NEWCOMER)

        answer = APIClient().post("/api/v1/auth/login", {"email": NEWCOMER["email"], "password": PASSWORD})

        assert error_of(answer, 401)["code"] == "INVALID_CREDENTIALS"

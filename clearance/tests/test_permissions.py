from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from rest_framework.test import APIClient

from accounts import rules
from accounts.choices import Role
from accounts.models import RequiredSecondFactor, User
from accounts.tests import machines, people
from audit.models import AuditEntry
from clearance.embedded import ROOT
from clearance.tests import matrix, matrix_of_the_admin, matrix_of_the_api, pages
from clearance.tests.matrix import ELSEWHERE, GONE, KINDS, MAY, NOBODY_YET, NOT, OWN, STRANGER, Kind, Row
from clearance.tests.stage import Stage, undone
from clearance.tests.test_api_document import operations

PAGE = ROOT / "docs" / "permissions.md"
PARTS = {"The API": matrix_of_the_api.ROWS, "The back office": matrix_of_the_admin.SHOWN}
# Whom permissions are granted by name: some who see everything, who lead, who see little, and who have none.
GRANTED = [kind for kind in KINDS if kind.name in ("C&C PPR", "Finance Manager", "IA ReadOnly")] + [
    ELSEWHERE,
    NOBODY_YET,
]
NAMES_OF_PAGES = {"changelist": "list", "change": "view"}


def place_of(row: Row) -> str:
    """`shipments` of `GET /shipments/{id}`."""
    return row.name.split("/")[1]


def app_of(row: Row) -> str:
    """`shipments` of `shipments.shipment add`; empty for a page that is no model's."""
    return row.name.partition(".")[0] if "." in row.name else ""


@pytest.fixture(autouse=True)
def _without_thousands_of_lines():
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def stage(cast) -> Stage:
    return Stage(cast)


class TestThePage:
    def test_says_what_the_code_declares(self):
        told = matrix.page(PARTS)
        if os.environ.get("WRITE_PERMISSIONS"):
            PAGE.write_text(told, encoding="utf-8")

        assert PAGE.read_text(encoding="utf-8") == told, "docs/permissions.md is out of date: make permissions"


class TestTheApi:
    def test_has_a_row_for_every_endpoint_and_no_other(self):
        there = {f"{method.upper()} {path.removeprefix('/api/v1')}" for method, path, _ in operations()}
        undescribed = {"GET /openapi.json", "GET /docs", "GET /redoc"}

        assert matrix_of_the_api.KNOCKS.keys() == there | undescribed

    @pytest.mark.parametrize("place", sorted({place_of(row) for row in matrix_of_the_api.ROWS}))
    def test_lets_everybody_do_what_the_page_says_and_nothing_else(self, stage, place):
        callers = {kind: caller(stage, kind) for kind in KINDS}

        wrong = [
            f"{row.name} by {kind.name}: {found} instead of {row.says(kind)}"
            for row in matrix_of_the_api.ROWS
            if place_of(row) == place
            for kind in (KINDS if not row.is_open else (KINDS[0], GONE, STRANGER))
            if (found := knocked(stage, callers[kind], row, stage.people[kind])) != row.says(kind)
        ]

        assert wrong == []

    def test_refuses_what_asks_for_a_permission_that_no_role_brings_any_more(self, stage):
        """A role without the permission, as an administrator may make it."""
        wrong, tried = [], 0
        for row, permission in asked(matrix_of_the_api.ROWS):
            kind = first_of_all(row)
            tried += 1
            with undone():
                take_away(permission)
                found = knocked(stage, caller(stage, kind), row, stage.people[kind])
            if found != NOT:
                wrong.append(f"{row.name} by {kind.name} without {permission}: {found}")

        assert tried > 70
        assert wrong == []

    @pytest.mark.parametrize("half", ["A-M", "N-Z"])
    def test_refuses_exactly_what_asks_for_a_permission_to_whom_it_is_denied_by_name(self, stage, half):
        rows = [row for row in matrix_of_the_api.ROWS if row.asks]
        callers = {kind: caller(stage, kind) for kind in {first_of_all(row) for row in rows}}
        wrong, tried = [], 0
        for permission in [one for one in permissions_asked(rows) if half_of(one) == half]:
            with undone():
                for kind in callers:
                    people.denied(stage.people[kind], permission)
                for row in rows:
                    kind = first_of_all(row)
                    tried += 1
                    found = knocked(stage, callers[kind], row, stage.people[kind])
                    if found != (expected := row.says(kind, kind.permissions - {permission})):
                        wrong.append(f"{row.name} by {kind.name} denied {permission}: {found} instead of {expected}")

        assert tried > 200
        assert wrong == []

    @pytest.mark.parametrize("kind", GRANTED, ids=lambda kind: kind.name)
    def test_lets_somebody_do_with_what_is_granted_by_name_as_much_as_the_record_allows(self, stage, kind):
        rows, person = [row for row in matrix_of_the_api.ROWS if row.asks], stage.people[kind]
        client = caller(stage, kind)
        wrong = []
        for given in sorted({tuple(sorted(each)) for row in rows for each in steps_towards(row, kind)}):
            with undone():
                people.granted(person, *given)
                for row in [row for row in rows if set(row.asks) & set(given)]:
                    found = knocked(stage, client, row, person)
                    if found != (expected := row.says(kind, kind.permissions | set(given))):
                        wrong.append(f"{row.name} granted {given}: {found} instead of {expected}")

        assert wrong == []


class TestAMachine:
    """A service account of C&C that acts as a PPR."""

    KIND = next(kind for kind in KINDS if kind.name == "C&C PPR")
    SCOPES = ("shipments.view_shipment", "workflow.view_workflowstep", "workflow.complete_workflowstep")

    @pytest.mark.parametrize("permissions", [KIND.permissions, frozenset(SCOPES), frozenset(SCOPES[:1])], ids=len)
    def test_may_do_what_its_role_and_the_scopes_of_its_key_both_allow(self, stage, permissions):
        issued = machines.key(stage.machine, stage.cast, *map(rules.api_name, permissions))

        wrong = [
            f"{row.name}: {found} instead of {expected}"
            for row in matrix_of_the_api.ROWS
            if not row.is_open
            for expected in [NOT if row.of_people else row.says(self.KIND, permissions)]
            if (found := knocked(stage, machines.caller(issued), row, stage.machine)) != expected
        ]

        assert wrong == []

    def test_has_no_page_of_the_back_office(self, stage):
        issued = machines.key(stage.machine, stage.cast)

        answers = [
            machines.caller(issued).get(row.given(stage, stage.machine)["address"])
            for row in matrix_of_the_admin.ROWS
            if not row.is_open and row.name in ("index", "own_sign_in", "own_messages", "shipments.shipment list")
        ]

        assert [answer.status_code for answer in answers] == [302] * 4
        assert all(answer["Location"].startswith(reverse("admin:login")) for answer in answers)


class TestSomebodyWhoOwesASecondFactor:
    """Signed in with a password alone, where the role requires more."""

    FREE = ("POST /auth/2fa/setup", "POST /auth/2fa/enable", "POST /auth/logout-all")

    @pytest.fixture
    def owing(self, stage) -> list[tuple[Kind, APIClient]]:
        callers = [(kind, caller(stage, kind)) for kind in GRANTED]
        RequiredSecondFactor.objects.bulk_create(RequiredSecondFactor(role=role) for role in Role.values)
        return callers

    def test_is_answered_where_it_is_set_up_and_nowhere_else(self, stage, owing):
        wrong, tried = [], 0
        for kind, client in owing:
            for row in matrix_of_the_api.ROWS:
                if row.is_open:
                    continue
                with undone():
                    answer = knock(stage, client, row, stage.people[kind], row.given)
                tried += 1
                is_refused = answer.status_code == 403 and answer.json()["error"]["code"] == "SECOND_FACTOR_OWED"
                if is_refused == (row.name in self.FREE):
                    wrong.append(f"{row.name} by {kind.name}: {answer.status_code}")

        assert tried > 300
        assert wrong == []

    def test_is_told_so_on_the_browsable_pages_too(self, owing):
        _, client = owing[0]

        answer = client.get("/api/v1/shipments", headers={"Accept": "text/html"})

        assert answer.status_code == 403
        assert b"SECOND_FACTOR_OWED" in answer.content

    def test_leaves_an_entry_in_their_name(self, stage, owing):
        kind, client = owing[0]

        client.get("/api/v1/shipments")

        entry = AuditEntry.objects.filter(action="denied").latest("pk")
        assert (entry.user_id, entry.changes["code"]) == (stage.people[kind].pk, "SECOND_FACTOR_OWED")

    def test_is_no_machine(self, stage, owing):
        issued = machines.key(stage.machine, stage.cast)

        assert machines.caller(issued).get("/api/v1/shipments").status_code == 200


class TestTheBackOffice:
    def test_has_a_row_for_every_page_and_no_other(self):
        rows = {row.name for row in matrix_of_the_admin.ROWS}

        assert set(names_of_pages()) - rows - matrix_of_the_admin.UNTRIED.keys() == set()
        assert matrix_of_the_admin.RULES.keys() <= {tuple_of(row) for row in matrix_of_the_admin.ROWS}

    @pytest.mark.parametrize("app", sorted({app_of(row) for row in matrix_of_the_admin.ROWS}))
    def test_lets_everybody_do_what_the_page_says_and_nothing_else(self, stage, app):
        some = [kinds[0] for kinds in matrix.alike(matrix_of_the_admin.ROWS)]
        sessions = {kind: session(stage, kind) for kind in some}

        wrong = [
            f"{row.name} by {kind.name}: {found} instead of {row.says(kind)}"
            for row in matrix_of_the_admin.ROWS
            if app_of(row) == app
            for kind in some
            if (found := opened(stage, sessions[kind], row, stage.people[kind])) != row.says(kind)
        ]

        assert len(some) > 8
        assert wrong == []

    def test_refuses_what_asks_for_a_permission_to_whom_it_is_denied_by_name(self, stage):
        wrong, tried = [], 0
        for row, permission in asked(matrix_of_the_admin.SHOWN):
            kind = next((kind for kind in KINDS if row.says(kind) != NOT), None)
            if kind is None:
                continue
            tried += 1
            with undone():
                person = people.denied(stage.people[kind], permission)
                found = opened(stage, session(stage, kind), row, person)
            if found != (expected := row.says(kind, kind.permissions - {permission})):
                wrong.append(f"{row.name} by {kind.name} denied {permission}: {found} instead of {expected}")

        assert tried > 70
        assert wrong == []

    @pytest.mark.parametrize("kind", GRANTED[::4], ids=lambda kind: kind.name)
    def test_lets_somebody_do_with_what_is_granted_by_name_as_much_as_the_record_allows(self, stage, kind):
        cookie = session(stage, kind)
        wrong = []
        for row in matrix_of_the_admin.SHOWN:
            for given in steps_towards(row, kind):
                with undone():
                    person = people.granted(stage.people[kind], *given)
                    found = opened(stage, cookie, row, person)
                if found != (expected := row.says(kind, kind.permissions | given)):
                    wrong.append(f"{row.name} granted {sorted(given)}: {found} instead of {expected}")

        assert wrong == []


# Rights that are bent -------------------------------------------------------------------------------------------------
def asked(rows: Iterable[Row]) -> Iterator[tuple[Row, str]]:
    """Every row with every permission that it asks for."""
    return ((row, permission) for row in rows for permission in dict.fromkeys(row.asks))


def permissions_asked(rows: Iterable[Row]) -> list[str]:
    return sorted({permission for _row, permission in asked(rows)})


def half_of(permission: str) -> str:
    """Which half of the alphabet a permission's app is in: two tests share the work."""
    return "A-M" if permission < "n" else "N-Z"


def first_of_all(row: Row) -> Kind:
    return next(kind for kind in KINDS if row.says(kind) != NOT)


def steps_towards(row: Row, kind: Kind) -> list[frozenset[str]]:
    """What somebody lacks of what a row asks: one permission after the other, and all of them."""
    lacking = [one for one in dict.fromkeys(row.asks) if one not in kind.permissions]
    wanted = {
        frozenset(lacking),
        *(frozenset([one]) for one in lacking),
        *([frozenset([row.instead])] if row.instead else []),
    }
    return sorted(wanted - {frozenset()}, key=sorted)


def take_away(permission: str) -> None:
    """Have no role carry the permission any more."""
    app, codename = permission.split(".")
    Permission.objects.get(content_type__app_label=app, codename=codename).group_set.clear()


def caller(stage: Stage, kind: Kind) -> APIClient:
    client = APIClient()
    if token := stage.token_of(kind):
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def session(stage: Stage, kind: Kind) -> str:
    """The session of a browser that is signed in; empty for who isn't."""
    if not kind.is_signed_in:
        return ""
    return pages.signed_in(stage.people[kind]).cookies[settings.SESSION_COOKIE_NAME].value


def names_of_pages() -> Iterator[str]:
    """`shipments.shipment list`, or the name of a page that is no model's."""
    labels = {
        f"{label.replace('.', '_')}": label for label in (model._meta.label_lower for model in admin.site._registry)
    }
    for address, name in addresses(get_resolver().url_patterns):
        if not address.startswith(settings.ADMIN_PATH) or name is None:
            continue
        model, _, page = name.rpartition("_")
        if name in matrix_of_the_admin.PAGES or model not in labels:
            yield name
        elif page not in ("snapshot", "verb"):  # the one asks what the history asks, the other has rows by verb
            yield f"{labels[model]} {NAMES_OF_PAGES.get(page, page)}"


def addresses(patterns: Any, before: str = "") -> Iterator[tuple[str, str | None]]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield before + str(pattern.pattern), pattern.name
        else:
            yield from addresses(pattern.url_patterns, before + str(pattern.pattern))


def tuple_of(row: Row) -> tuple[Any, str]:
    label, _, page = row.name.partition(" ")
    return (apps.get_model(label), page) if "." in label else (None, label)


def knocked(stage: Stage, client: APIClient, row: Row, person: User) -> str:
    """What a kind of person may do at the API, as found by doing it."""
    return summed_up(row, [calls(stage, client, row, person, given) for given in (row.given, row.others) if given])


def opened(stage: Stage, session: str, row: Row, person: User) -> str:
    """What a kind of person may do in the back office, as found by doing it."""
    return summed_up(row, [opens(stage, session, row, person, given) for given in (row.given, row.others) if given])


def summed_up(row: Row, found: list[bool | str]) -> str:
    if not row.rule:
        return {True: MAY, False: NOT}.get(found[0], str(found[0]))
    return {(True, True): MAY, (True, False): OWN, (False, False): NOT}.get(tuple(found), str(found))


def calls(stage: Stage, client: APIClient, row: Row, person: User, given: Any) -> bool | str:
    is_whole = matrix_of_the_api.KNOCKS[row.name][2]
    with undone():
        answer = knock(stage, client, row, person, given)
        if answer.streaming:
            list(answer.streaming_content)  # what a file's statements do, they do here
    if answer.status_code in (401, 403, 404):
        return False
    is_let_in = answer.status_code < 300 or (answer.status_code == 400 and not is_whole)
    return is_let_in or f"{answer.status_code} {answer.content[:300]!r}"


def knock(stage: Stage, client: APIClient, row: Row, person: User, given: Any) -> Any:
    """Call an endpoint with what fits; within `undone`."""
    method, path = row.name.split(" ", 1)
    body, query, _ = matrix_of_the_api.KNOCKS[row.name]
    address = f"/api/v1{path.format(**given(stage, person))}?{query}".removesuffix("?")
    return getattr(client, method.lower())(address, body(stage, person) if callable(body) else body)


def opens(stage: Stage, session: str, row: Row, person: User, given: Any) -> bool | str:
    """Whether a page opens; where something is posted, whether it was done."""
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = session
    with undone():
        knock = given(stage, person)
        answer = client.post(knock["address"], knock["data"]) if "data" in knock else client.get(knock["address"])
        if answer.streaming:
            list(answer.streaming_content)
    leads_to = answer.get("Location", "")
    if row.is_open:
        return answer.status_code in (200, 302)
    if answer.status_code in (403, 404) or leads_to.startswith(reverse("admin:login")):
        return False
    if leads_to == reverse("admin:index") and not knock["address"].endswith("/delete/"):
        return False  # there is no such record in sight
    if knock["address"].endswith("/delete/") and leads_to.endswith("/change/"):
        return False  # the desk refuses to delete it
    if answer.status_code == 200 and "data" in knock and not knock.get("is_empty"):
        return False  # the desk's refusal on the form
    return answer.status_code in (200, 302) or f"{answer.status_code} at {knock['address']}"

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.test import RequestFactory
from rest_framework import serializers
from rest_framework.test import APIClient

from clearance import urls as _urls  # noqa: F401 - which reads every door
from clearance.admin.desk import DeskAdmin, ReadOnlyDesk
from clearance.admin.verbs import LineForm
from clearance.api.desk import StrictSerializer
from clearance.tests import matrix_of_the_api, pages
from clearance.tests.callers import error_of, signed_in
from clearance.tests.stage import Stage, undone
from clearance.tests.test_permissions import KINDS, caller
from clearance.tests.traces import everything
from shipments.models import Shipment

pytestmark = pytest.mark.django_db

UNSEEN = ("A\nB", "A\u200bB", "A\u202eB", "A\u00adB", "A\x07B", "A\u2060B")
SECRETS = {"password", "current_password"}  # taken as they are


def inputs(of: type[StrictSerializer] = StrictSerializer) -> Iterator[type[StrictSerializer]]:
    for one in of.__subclasses__():
        if not one.__module__.partition(".")[2].startswith("tests"):
            yield one
        yield from inputs(one)


def texts_of(serializer: type[StrictSerializer]) -> list[str]:
    """The fields that take a text, or a list of them."""
    fields = serializer().fields.items()
    return [
        name
        for name, field in fields
        if not field.read_only
        and name not in SECRETS
        and isinstance(getattr(field, "child", field), serializers.CharField)
        and getattr(field, "child", field).style.get("base_template") != "textarea.html"
    ]


class TestTheApi:
    def test_refuses_what_nobody_sees_in_every_text_of_every_input(self):
        tried = {(one, name) for one in inputs() for name in texts_of(one)}
        wrong = []
        for one, name in tried:
            for value in UNSEEN:
                is_list = isinstance(one().fields[name], serializers.ListField)
                made = one(data={name: [value] if is_list else value}, partial=True)
                told = [] if made.is_valid() else [str(each) for each in made.errors.get(name, [])]
                if not any("nobody sees" in each or "of one line" in each for each in told):
                    wrong.append(f"{one.__name__}.{name} takes {value!a}: {told}")

        assert len(tried) > 30
        assert wrong == []

    def test_refuses_it_in_every_text_that_an_endpoint_is_known_to_take_and_leaves_no_trace(self, cast):
        stage, wrong, tried = Stage(cast), [], 0
        kind = next(one for one in KINDS if one.name == "Administrator")
        client, person = caller(stage, kind), stage.people[kind]
        for row in matrix_of_the_api.ROWS:
            method, path = row.name.split(" ", 1)
            body = matrix_of_the_api.KNOCKS[row.name][0]
            with undone():
                address = f"/api/v1{path.format(**row.given(stage, person))}"
                given = body(stage, person) if callable(body) else body
                for name in [name for name, value in (given or {}).items() if isinstance(value, str)]:
                    before, tried = everything(), tried + 1
                    answer = getattr(client, method.lower())(address, {**given, name: f"{given[name]}\u200b1"})
                    if answer.status_code not in (400, 403) or everything() != before:
                        wrong.append(f"{row.name} {name}: {answer.status_code}")

        assert tried > 15
        assert wrong == []

    def test_stores_letters_for_their_shapes_and_finds_them_by_either(self, cast):
        client = signed_in(cast.bu_clerk)
        given = {"shipment_number": "L-1", "principal": "شركة \ufee3\ufea4\ufee4\ufeaa\u00a0عمان", "brand": "B"}
        made = client.post("/api/v1/shipments", {**given, "invoice_amount_omr": "1.000", "eta": "2099-01-01"})

        assert made.json()["principal"] == "شركة محمد عمان"
        for words in ("محمد", "\ufee3\ufea4\ufee4\ufeaa", "\u200fمحمد\u200b", "l\u20111", "L-۱", "Ｌ-1"):
            found = client.get("/api/v1/shipments", {"search": words}).json()["results"]
            assert [one["shipment_number"] for one in found] == ["L-1"], words
        named = client.get("/api/v1/shipments", {"principal": "\u202bشركة  \ufee3\ufea4\ufee4\ufeaa عمان"}).json()[
            "results"
        ]
        assert len(named) == 1


class TestTheBackOffice:
    def test_has_one_rule_for_the_texts_of_every_form(self, cast):
        request = RequestFactory().get("/admin/")
        request.user = cast.administrator
        desks = [one for one in admin.site._registry.values() if isinstance(one, DeskAdmin)]
        written = [one for one in desks if not isinstance(one, ReadOnlyDesk) and one.has_view_permission(request)]
        found: list[type[forms.BaseForm]] = [desk.get_form(request) for desk in written if desk.fields is None]
        found += [verb.form for desk in desks for verb in desk.verbs]

        assert len(found) > 25
        assert [form for form in found if not issubclass(form, LineForm)] == []

    def test_refuses_what_nobody_sees_at_the_field_and_keeps_what_was_written(self, cast):
        client = pages.signed_in(cast.bu_clerk)
        given = {"transport_mode": "sea", "brand": "B", "invoice_amount_omr": "1", "eta": "01/01/2099"}

        for value in UNSEEN:
            answer = client.post(pages.adding(Shipment), {**given, "shipment_number": value, "principal": value})
            assert pages.errors_of(answer).keys() == {"shipment_number", "principal"}, value
        assert not Shipment.objects.exists()

    def test_keeps_a_text_in_its_form(self, cast):
        client = pages.signed_in(cast.bu_clerk)
        given = {"transport_mode": "sea", "brand": "B", "invoice_amount_omr": "1", "eta": "01/01/2099"}
        client.post(
            pages.adding(Shipment),
            {**given, "shipment_number": "Ｓh\u2011٠۱", "principal": "\ufee3\ufea4\ufee4\ufeaa\u00a0 Co"},
        )

        assert Shipment.objects.values_list("shipment_number", "principal").get() == ("Sh-01", "محمد Co")

    @pytest.mark.parametrize("words", ["l\u20111", "\u200fL-1", "L-۱"])
    def test_finds_by_what_is_shown(self, cast, words):
        signed_in(cast.bu_clerk).post(
            "/api/v1/shipments",
            {"shipment_number": "L-1", "principal": "P", "brand": "B", "invoice_amount_omr": "1", "eta": "2099-01-01"},
        )

        answer = pages.signed_in(cast.bu_clerk).get("/admin/shipments/shipment/", {"q": words})

        assert [str(one) for one in answer.context["cl"].result_list] == ["L-1"]


def test_a_password_is_taken_as_it_is(cast):
    answer = APIClient().post("/api/v1/auth/login", {"email": cast.bu_clerk.email, "password": "A\u200b \nB"})

    assert error_of(answer, 401)["code"] == "INVALID_CREDENTIALS"


def test_texts_of_several_lines_may_have_them(cast):
    """Those of the model's text fields."""
    form: Any = type("Form", (LineForm, forms.Form), {"note": forms.CharField(), "several_lines": ("note",)})

    assert form({"note": "One\nTwo"}).is_valid()
    assert not type("Form", (LineForm, forms.Form), {"note": forms.CharField()})({"note": "One\nTwo"}).is_valid()

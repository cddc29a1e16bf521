"""Whatever is written into the address of a list of the back office, the list answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.test import RequestFactory

from accounts.tests import people
from clearance.admin.lists import COMPARISONS
from clearance.tests import pages
from clearance.tests.matrix import KINDS
from clearance.tests.stage import Stage, undone

ADMINISTRATOR = KINDS[0]
# What no column of the kind can hold, or can't be compared with.
HOSTILE: dict[type[models.Field[Any, Any]], tuple[str, ...]] = {
    models.DateTimeField: ("9999-12-31T23:59:59", "0001-01-01", "10000-01-01", "9999-12-31", "x", "\0"),
    models.DateField: ("9999-12-31", "0001-01-01", "10000-01-01", "99999", "x", "\0"),
    models.DecimalField: ("NaN", "Infinity", "1e999999", "9" * 400, "1_0", "\0"),
    models.IntegerField: ("9" * 30, "-" + "9" * 30, "1_0", "٣", "x", "\0"),
    models.BooleanField: ("maybe", "\0"),
    models.UUIDField: ("x", "\0"),
    models.GenericIPAddressField: ("999.1.1.1", "x", "\0"),
    models.CharField: ("\0", "x" * 5_000),
    models.TextField: ("\0",),
    models.JSONField: ("{", "\0"),
    ArrayField: ("{", "x", "\0"),
    models.ForeignKey: ("9" * 30, "x", "\0"),
}
# Besides plain comparisons: parts of dates, patterns, sets, what isn't there at all.
UNCOMMON = {
    models.DateTimeField: {"year": "99999", "date__gte": "9999-12-31", "hour": "x", "week_day": "9" * 30},
    models.DateField: {"year": "99999", "year__gte": "99999", "month": "9" * 30, "iso_year__lt": "-1", "range": "1"},
    models.CharField: {"regex": "(", "iregex": "[", "in": "\0", "contains": "\0", "search": "x", "length": "x"},
    models.JSONField: {"a__gt": "x", "contains": "{", "has_key": "\0"},
    models.ForeignKey: {"in": "x,", "id__regex": "(", "id__gt": "x"},
}
EVERYWHERE = (
    {"p": "-1"},
    {"p": "9" * 30},
    {"p": "x"},
    {"o": "99.-99.x"},
    {"q": "\0"},
    {"q": "x" * 5_000},
    {"q": "'\"\\%_"},
    {"all": ""},
    {"e": "1"},
    {"_to_field": "password"},
    {"_popup": "1"},
    {"pk__in": "x"},
    {"nothing__at__all": "x"},
    {"id__exact__exact": "1"},
)


@pytest.fixture
def stage(cast) -> Stage:
    return Stage(cast)


def asked(model: type[models.Model]) -> Iterator[dict[str, str]]:
    """Hostile addresses of a list: of one column of each kind, and of everything that the list's filters read."""
    yield from EVERYWHERE
    kinds: set[type] = set()
    for field in model._meta.concrete_fields:
        kind = next((one for one in HOSTILE if isinstance(field, one)), None)
        if kind is None or kind in kinds:
            continue
        kinds.add(kind)
        yield from ({field.name: value} for value in HOSTILE[kind])
        yield from ({f"{field.name}__gte": value} for value in HOSTILE[kind])
        yield from ({f"{field.name}__{lookup}": value} for lookup, value in UNCOMMON.get(kind, {}).items())
        yield {f"{field.name}__isnull": "maybe"}


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label_lower)
class TestTheListOf:
    def test_answers_whatever_its_address_asks(self, stage, model):
        person = stage.people[ADMINISTRATOR]
        desk, right = admin.site.get_model_admin(model), f"{model._meta.app_label}.view_{model._meta.model_name}"
        request = RequestFactory().get("/")
        request.user = person
        sees = desk.has_view_permission(request)
        client = pages.signed_in(person if sees else people.granted(person, right))
        client.raise_request_exception = False
        address, broken, answered = pages.list_of(model), [], 0

        filters = client.get(address).context["cl"].filter_specs
        read = sorted({name for one in filters for name in one.expected_parameters()})
        for given in (*asked(model), *({name: value} for name in read for value in ("x", "\0", "9" * 30, "٣"))):
            with undone():  # PostgreSQL's own refusal ends a transaction, which only a test has around a list
                answer = client.get(address, given)
            answered += answer.status_code == 200
            if answer.status_code not in (200, 302, 400):
                broken.append(f"{given}: {answer.status_code}")

        assert broken == []
        assert answered > 5, "the others lead back to the whole list"


class TestAList:
    @pytest.mark.parametrize("lookup", sorted(COMPARISONS - {"isnull"}))
    def test_may_be_narrowed_by_a_plain_comparison(self, shipment, bu_clerk, lookup):
        answer = pages.signed_in(bu_clerk).get(pages.list_of(type(shipment)), {f"eta__{lookup}": str(shipment.eta)})

        assert answer.status_code == 200
        assert len(answer.context["cl"].result_list) == (lookup in {"exact", "in", "gte", "lte"})

    @pytest.mark.parametrize("lookup", ["eta__year", "eta__regex", "principal__contains", "created_by__id__regex"])
    def test_is_shown_whole_where_the_address_asks_more(self, shipment, bu_clerk, lookup):
        answer = pages.signed_in(bu_clerk).get(pages.list_of(type(shipment)), {lookup: "2026"})

        assert (answer.status_code, answer["Location"]) == (302, f"{pages.list_of(type(shipment))}?e=1")

    def test_of_the_trail_that_can_be_no_file_leads_back(self, auditor):
        answer = pages.signed_in(auditor).get("/admin/audit/auditentry/export/csv/", {"at__year": "99999"})

        assert (answer.status_code, answer["Location"]) == (302, "/admin/audit/auditentry/?e=1")

"""Filters of the trail."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from typing import Any

import django_filters as filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field

from audit import selectors
from audit.choices import Action, Channel
from audit.models import AuditEntry
from audit.wording import model_of
from clearance.api.filters import GivenFilters, IdFilter, IsoDateFilter


def _since(entries: QuerySet[AuditEntry], name: str, value: date) -> QuerySet[AuditEntry]:
    return selectors.between(entries, since=value, until=None)


def _until(entries: QuerySet[AuditEntry], name: str, value: date) -> QuerySet[AuditEntry]:
    return selectors.between(entries, since=None, until=value)


# Kinds by the names that other answers use besides, unless two would share one: `workflow_step`.
_SHORT = [
    (re.sub(r"(?<=[a-z])(?=[A-Z])", "_", model.__name__).lower(), kind)
    for kind in selectors.KINDS
    if (model := model_of(kind)) is not None
]
_SHARED = {name for name, times in Counter(name for name, _kind in _SHORT).items() if times > 1}
_KINDS = {kind: kind for kind in selectors.KINDS} | {name: kind for name, kind in _SHORT if name not in _SHARED}


@extend_schema_field({"type": "string", "enum": list(_KINDS)})
class KindFilter(filters.TypedChoiceFilter):
    def __init__(self) -> None:
        choices = [(kind, kind) for kind in _KINDS]
        super().__init__(choices=choices, coerce=_KINDS.__getitem__, label="The kind of record, or its short name")


class EntryFilters(GivenFilters):
    entity_type = KindFilter()
    entity_id = filters.CharFilter(label="The record's id; with `entity_type`")
    user = IdFilter(field_name="user_id")
    field_name = filters.CharFilter(
        method="of_field",
        label="The name of a column: its changes alone, and what created or deleted the record with it",
    )
    action = filters.ChoiceFilter(choices=Action.choices)
    channel = filters.ChoiceFilter(choices=Channel.choices)
    request_id = filters.CharFilter(label="The X-Request-ID of an answer")
    since = IsoDateFilter(method=_since, label="The first day, in Muscat")
    until = IsoDateFilter(method=_until, label="The last day, in Muscat")

    former = {"field": "field_name"}

    class Meta:
        model = AuditEntry
        fields = ()

    def of_field(self, entries: QuerySet[AuditEntry], name: str, value: str) -> QuerySet[AuditEntry]:
        return selectors.of_field(entries, value)

    def get_form_class(self) -> Any:
        form = super().get_form_class()
        if "entity_id" not in self.base_filters or "entity_type" in self.base_filters:
            return form

        def clean(self: Any) -> None:
            sentence = _("An id alone is no record: say of which kind, with `entity_type`.")
            raise ValidationError({"entity_id": sentence})

        return type(form.__name__, (form,), {"clean": clean})


# `from` is a word of Python's own, so it can't be written as the others.
EntryFilters.base_filters["from"] = EntryFilters.base_filters.pop("since")
EntryFilters.base_filters["to"] = EntryFilters.base_filters.pop("until")

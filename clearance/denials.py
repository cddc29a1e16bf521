"""Whoever refuses says so here; who keeps account of it is a setting, as doors know no trail."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Model
from django.utils.module_loading import import_string

from clearance.errors import DomainError


def note(refusal: DomainError, *, about: type[Model] | str, record: object = "", attempted: str) -> None:
    """Have a refusal remembered where it is a denial, once the desk's work is rolled back.

    `about` is a model or, where no record is meant, a word such as “page”; `record` its key, or the page's address.
    `attempted` says what was tried: `PATCH /api/v1/shipments/17/eta`.
    """
    entity_type = about if isinstance(about, str) else label_of(about)
    noted = import_string(settings.DENIALS_NOTED_BY)
    noted(refusal, entity_type=entity_type, entity_id=record, attempted=attempted)


def label_of(model: type[Model]) -> str:
    """How records of a model are called: by their table's model, where this one is another name for it."""
    return str((model._meta.concrete_model or model)._meta.label_lower)

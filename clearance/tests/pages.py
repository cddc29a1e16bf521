"""People at the back office: a signed-in browser without a screen, and what it is told."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from accounts.models import User


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def words(html: str) -> str:
    """What one reads of a page, without its markup, scripts and navigation."""
    return " ".join(strip_tags(re.sub(r"<(script|style|nav)\b.*?</\1>", "", html, flags=re.DOTALL)).split())


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def adding(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")


def of(record: Model) -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_change", args=[record.pk])


def verb(name: str, *records: Model, model: type[Model] | None = None, **query: str) -> str:
    """The page of a verb about these records (or, with `model`, above its list)."""
    meta = (model or records[0])._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_verb", args=[name])
    return f"{url}?{urlencode([('on', record.pk) for record in records] + list(query.items()))}"


def told(answer: Any) -> list[tuple[str, str]]:
    """The messages after a redirect was followed: level and sentence."""
    return [(message.level_tag, str(message)) for message in answer.context["messages"]]


def errors_of(answer: Any) -> dict[str, list[str]]:
    """What the shown form says is wrong; under `__all__` what is about no field."""
    assert answer.status_code == 200, "a refusal shows the form again"
    form = answer.context["adminform"].form if "adminform" in answer.context else answer.context["form"]
    return {field: list(map(str, messages)) for field, messages in form.errors.items()}


def filled_in(answer: Any) -> dict[str, Any]:
    """What a browser would send if the person pressed save without typing anything."""
    form = answer.context["adminform"].form if "adminform" in answer.context else answer.context["form"]
    values = {bound.html_name: bound.value() for bound in form if bound.value() not in (None, "", False)}
    return {
        name: "on" if value is True else form[name].field.widget.format_value(value) for name, value in values.items()
    }


def buttons(answer: Any) -> set[str]:
    """The labels of the buttons above the page."""
    return {str(button.label) for button in answer.context["verb_buttons"]}

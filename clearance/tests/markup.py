"""Text that would be markup, if anything took it for such, and what of it a page turned into markup."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import Error, IntegrityError, models, transaction
from django.db.models import CharField, Value
from django.db.models.functions import Cast, Concat

from clearance import context

# Ends whatever it may stand in, then brings an element and, by each kind of quotes, an attribute of its own. As a cell
# it would be a formula besides.
ELEMENT, ATTRIBUTE = "x-i", "y-i"
PROBE = f"""=1+1'"</pre></textarea></title><{ELEMENT} {ATTRIBUTE}=1>" {ATTRIBUTE}="1" ' {ATTRIBUTE}='1' """.lower()
SHORT = f"<{ELEMENT}>"

# What no page shows and no person words; markup in it would only break the test's own sign-ins.
UNTOUCHED = {
    "accounts.user.password": "a hash",
    "accounts.browsersession": "the sessions of the test itself",
    "accounts.keptanswer": "a request's answer, for the one who sent it",
    "auth.permission": "follows from the code",
    "contenttypes.contenttype": "follows from the code",
    "django_celery_beat.crontabschedule": "numbers in all but name: its own validators let nothing else in",
    "accounts.apikey.scopes": "choices in all but name",
    "alerts.escalationrule.audiences": "choices in all but name",
    "outbox.message.kind": "a code of the app that brings it",
    "outbox.mutedmail.severity": "a choice in all but name",
    "outbox.wantedtext.severity": "a choice in all but name",
    "workflow.workflowtemplate.code": "a slug",
    "workflow.responsibility.template_code": "a slug",
}


def fields() -> Iterator[models.Field[Any, Any]]:
    """Every column of every model that holds free text, of models to come too."""
    for model in apps.get_models():
        meta = model._meta
        if meta.proxy or not meta.managed or meta.label_lower in UNTOUCHED:
            continue
        for field in meta.local_concrete_fields:
            held = field.base_field if isinstance(field, ArrayField) else field
            is_text = isinstance(held, models.CharField | models.TextField) and not held.choices
            if is_text and not field.primary_key and f"{meta.label_lower}.{field.name}" not in UNTOUCHED:
                yield field


def plant() -> tuple[set[str], set[str]]:
    """Write hostile text into every text of every row, as a hostile person and for hostile reasons.

    :return: the columns that hold it now, and those that the database kept it out of.
    """
    planted, refused = set(), set()
    with context.acting(channel="admin", request_id=PROBE[:64]):
        context.signed_in(user_id=1, name=PROBE, role=PROBE[:40])
        with context.remarking(reason=PROBE, on_behalf_of=PROBE, import_batch=PROBE[:64]):
            for field in fields():
                name, rows = f"{field.model._meta.label_lower}.{field.name}", field.model._base_manager.all()
                if not rows.exists():
                    continue
                (planted if _is_written(rows, field) else refused).add(name)
    return planted, refused


def _is_written(rows: models.QuerySet[Any], field: models.Field[Any, Any]) -> bool:
    """Write it into all rows, or one by one where some of a model may not hold what others may."""
    try:
        with transaction.atomic():
            return rows.update(**{field.name: _hostile(field)}) > 0
    except IntegrityError:
        return rows.count() > 1 and any([_is_written(rows.filter(pk=one.pk), field) for one in rows])  # noqa: C419
    except Error:
        return False


def _hostile(field: models.Field[Any, Any]) -> Any:
    held = field.base_field if isinstance(field, ArrayField) else field
    fits = held.max_length is None or held.max_length >= len(PROBE) + 12
    text = PROBE if fits else SHORT
    if isinstance(field, ArrayField):
        return [text]
    return Concat(Value(text), Cast("pk", CharField()))  # some are unique


class _Reader(HTMLParser):
    """A reader of HTML that notes what came of the hostile text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.elements = 0
        self.fields: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements += 1
        given = dict(attrs)
        if tag == ELEMENT or ATTRIBUTE in given:
            self.found.append(f"line {self.getpos()[0]}: {self.get_starttag_text()}"[:200])
        if tag in ("input", "textarea", "select") and given.get("type") not in ("file", "submit") and given.get("name"):
            self.fields.append(str(given["name"]))


def read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader


def injected(html: str) -> list[str]:
    """The elements of a page that a hostile text brought, or gave an attribute."""
    reader = read(html)
    assert reader.elements, "this is no page"
    return reader.found

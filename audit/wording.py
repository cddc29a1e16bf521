"""The trail in words: entries as sentences, in the reader's language, with names for ids and labels for columns.

Whatever a page of entries names is asked for at once: one statement per model, never one per entry.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format, number_format
from django.utils.text import capfirst
from django.utils.translation import get_language_bidi, gettext
from django.utils.translation import gettext_lazy as _

from accounts import rights
from accounts.choices import Department, Role
from accounts.rules import SERVICE_ACCOUNT
from audit.choices import Action, Channel
from audit.models import AuditEntry
from audit.operations import MIGRATION, REDACTED
from shipments.models import MAX_ETA_EDITS
from workflow.choices import CompletedVia

EMPTY = "–"
# Columns that count or date the changes of the others; told only where there is nothing else to tell.
BOOKKEEPING = frozenset({"version", "updated_at"})
_NO_MODELS = {MIGRATION: _("columns of a table")}
_NTH = {1: _("first"), 2: _("second"), 3: _("third")}
_COUNTED = {3: _("three")}
_BIGGEST = 2**63


@dataclass(frozen=True, slots=True)
class Value:
    """One column of an entry: what it is called, and what it held before and after; None: nothing was said."""

    column: str
    label: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """An entry in words.

    `name` is the record's name today; where it isn't there any more (`is_there`), its id.
    `what` are the sentences of a change or a refusal; `values` are all its columns, of a created or deleted record
    those that it had.
    """

    entry: AuditEntry
    kind: str
    name: str
    is_there: bool
    who: str
    role: str
    where: str
    what: list[str] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """What happened, in one line."""
        return gettext("; ").join(self.what)

    @property
    def summary(self) -> str:
        """All of it in one line: what, on whose behalf, and why."""
        line = self.sentence
        if self.entry.on_behalf_of:
            line = gettext("%(what)s, on behalf of %(name)s") % {
                "what": line,
                "name": isolated(self.entry.on_behalf_of),
            }
        if self.entry.reason:
            line = gettext("%(what)s, reason: %(reason)s") % {"what": line, "reason": isolated(self.entry.reason)}
        return line


def tell(entries: Sequence[AuditEntry]) -> list[Told]:
    """Put entries into words, in their order."""
    names = _Names(entries)
    return [_told(entry, names) for entry in entries]


@dataclass(frozen=True, slots=True)
class Row:
    """What one statement did: `first` to a record; or to `several` of a kind, and `summary` says it of all."""

    first: Told
    summary: str
    several: list[Told] = field(default_factory=list)


def fold(told: Iterable[Told]) -> list[Row]:
    """Put together what one statement did to several records, for example when an ETA moves every step."""
    found = []
    for _same, group in groupby(told, key=lambda one: (one.entry.at, one.entry.entity_type, one.entry.action)):
        together = sorted(group, key=lambda one: _reading_order(one.name))
        first = together[0]
        several = len(together) > 1
        found.append(Row(first, _of_all(together), together) if several else Row(first, first.summary))
    return found


def _reading_order(name: str) -> list[tuple[int, str]]:
    """Step 2 before step 13: numbers count as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _of_all(told: list[Told]) -> str:
    """`Steps (34): target date`; a sentence where the same one is true of each."""
    first = told[0]
    if all(one.what == first.what for one in told):
        what = first.sentence
    elif first.entry.action == Action.CREATED:
        what = gettext("created")
    else:
        labels = {value.label: None for one in told for value in one.values if value.column not in BOOKKEEPING}
        what = gettext(", ").join(labels)
    model = model_of(first.entry.entity_type)
    kinds = capfirst(model._meta.verbose_name_plural if model else first.kind)
    line = gettext("%(kinds)s (%(count)d): %(what)s") % {"kinds": kinds, "count": len(told), "what": what}
    return replace(first, what=[line]).summary


def kind_of(entity_type: str) -> str:
    """Name a kind of record, for example `shipment`; what is no model of ours keeps its own name."""
    model = model_of(entity_type)
    return _called(model) if model else str(_NO_MODELS.get(entity_type, entity_type))


def _called(model: Any) -> str:
    """What a kind of record is called; Django's own names of these are not ours."""
    return str(_OUR_NAMES.get(model) or model._meta.verbose_name)


def tell_record(record: models.Model) -> list[Value]:
    """Put every column of a record into words, but those that the database computes; for example of a snapshot."""
    entity_type = record._meta.label_lower
    fields = [one for one in record._meta.concrete_fields if not one.generated]
    values = {one.column: getattr(record, one.attname) for one in fields}
    stand_in = AuditEntry(entity_type=entity_type, entity_id="", action=Action.CREATED, changes=values)
    return _values(stand_in, _Names([stand_in]))


def isolated(text: object) -> str:
    """Keep a name or a value together within a sentence that runs from right to left."""
    return f"\u2068{text}\u2069" if get_language_bidi() else str(text)


# The sentences -------------------------------------------------------------------------------------------------------
def _told(entry: AuditEntry, names: _Names) -> Told:
    values = [] if entry.action == Action.DENIED else _values(entry, names)
    return Told(
        entry=entry,
        kind=kind_of(entry.entity_type),
        name=names.of_entity(entry),
        is_there=names.knows(entry),
        who=entry.user_name or str(Channel.SYSTEM.label),
        role=role_in_words(entry.user_role),
        where=_label(Channel, entry.channel),
        what=_sentences(entry, values),
        values=values,
    )


def _sentences(entry: AuditEntry, values: list[Value]) -> list[str]:
    by_column = {value.column: value for value in values}
    if entry.action == Action.DENIED:
        return [_refusal(entry.changes)]
    if entry.action == Action.CREATED:
        made = _MADE.get(entry.entity_type)
        return [made(by_column) if made else gettext("created")]
    if entry.action == Action.DELETED:
        is_override = entry.entity_type == "accounts.override"
        return [_taken_back(by_column) if is_override else gettext("removed from the database")]
    special = _SPECIAL.get(entry.entity_type)
    sentences, said = special(entry, by_column) if special else ([], set())
    others = [value for value in values if value.column not in said]
    worth = [value for value in others if value.column not in BOOKKEEPING]
    return sentences + [_change(value) for value in (worth if worth or sentences else others)]


def _change(value: Value) -> str:
    """`vessel: Sea Star → Sea Moon`; of a link, what was added or removed."""
    if value.old is None:
        return gettext("%(label)s %(name)s added") % {"label": value.label, "name": isolated(value.new)}
    if value.new is None:
        return gettext("%(label)s %(name)s removed") % {"label": value.label, "name": isolated(value.old)}
    if value.old == value.new == REDACTED:
        return gettext("%(label)s changed; the trail does not keep it") % {"label": value.label}
    given = {"label": value.label, "old": isolated(value.old), "new": isolated(value.new)}
    return gettext("%(label)s: %(old)s → %(new)s") % given


def _about_shipment(entry: AuditEntry, values: dict[str, Value]) -> tuple[list[str], set[str]]:
    changes, sentences, said = entry.changes, [], set()
    if {"eta", "eta_edit_count"} <= values.keys():
        given = {
            "old": isolated(values["eta"].old),
            "new": isolated(values["eta"].new),
            "nth": _NTH.get(changes["eta_edit_count"][1], changes["eta_edit_count"][1]),
            "most": _COUNTED.get(MAX_ETA_EDITS, MAX_ETA_EDITS),
        }
        sentences.append(gettext("ETA %(old)s → %(new)s (%(nth)s of %(most)s edits)") % given)
        said |= {"eta", "eta_edit_count", "eta_change_reason"}
    if "deleted_at" in values:
        sentences.append(gettext("restored") if changes["deleted_at"][1] is None else gettext("deleted"))
        said.add("deleted_at")
    if entry.reason and changes.get("cancel_reason", ["", ""])[1] == entry.reason:
        said.add("cancel_reason")
    return sentences, said


def _about_step(entry: AuditEntry, values: dict[str, Value]) -> tuple[list[str], set[str]]:
    changes = entry.changes
    was, is_now = changes.get("actual_date", [None, None])
    if is_now is not None and was is None:
        sentence = gettext("completed, %(on)s") % {"on": isolated(values["actual_date"].new)}
        via = changes.get("completed_via", ["", ""])[1]
        if via not in ("", CompletedVia.PERSON):
            sentence = gettext("%(what)s (%(via)s)") % {"what": sentence, "via": _label(CompletedVia, via)}
    elif changes.get("not_required", [None, None])[1]:
        sentence = gettext("marked as not required")
    elif (was is not None and is_now is None) or "not_required" in changes:
        sentence = gettext("reopened")
    else:
        return [], set()
    told_as_reason = {"note"} if changes.get("note", ["", ""])[1] in ("", entry.reason) else set()
    return [sentence], _CLOSING | told_as_reason


def _about_alert(entry: AuditEntry, values: dict[str, Value]) -> tuple[list[str], set[str]]:
    if "acknowledged_at" not in values or entry.changes["acknowledged_at"][1] is None:
        return [], set()
    return [gettext("acknowledged")], {"acknowledged_at", "acknowledged_by_id"}


def _about_person(_entry: AuditEntry, values: dict[str, Value]) -> tuple[list[str], set[str]]:
    return ([gettext("signed in")], {"last_login"}) if "last_login" in values else ([], set())


def _overridden(values: dict[str, Value]) -> str:
    is_granted = "is_granted" in values  # of a created record, what is empty or false is not told
    sentence = gettext("granted to %(name)s: %(right)s") if is_granted else gettext("denied to %(name)s: %(right)s")
    return sentence % _whose_right(values)


def _taken_back(values: dict[str, Value]) -> str:
    return gettext("left to the roles of %(name)s again: %(right)s") % _whose_right(values)


def _whose_right(values: dict[str, Value]) -> dict[str, str]:
    held = {column: values[column].new or values[column].old for column in ("user_id", "permission_id")}
    return {"name": isolated(held["user_id"]), "right": isolated(held["permission_id"])}


# How some changes are told: the sentences, and the columns that need no other.
_SPECIAL = {
    "shipments.shipment": _about_shipment,
    "workflow.workflowstep": _about_step,
    "alerts.alert": _about_alert,
    "accounts.user": _about_person,
}
_CLOSING = {"actual_date", "not_required", "completed_by_id", "completed_at", "completed_via", "on_behalf_of_id"}


def _raised(values: dict[str, Value]) -> str:
    given = {
        name: isolated(values[column].new if column in values else EMPTY)
        for name, column in (("name", "recipient_user_id"), ("day", "days_post_eta"), ("severity", "severity"))
    }
    return gettext("raised to %(name)s on day %(day)s after the ETA (%(severity)s)") % given


_MADE = {"alerts.alert": _raised, "accounts.override": _overridden}
_OUR_NAMES = {Group: _("role"), Permission: _("right")}


def _refusal(told: Any) -> str:
    """What was refused, in the words that the person was given."""
    told = told if isinstance(told, dict) else {}
    message, attempted = told.get("message") or told.get("code") or EMPTY, told.get("attempted")
    if not attempted:
        return gettext("refused: %(message)s") % {"message": isolated(message)}
    given = {"message": isolated(message), "attempted": isolated(attempted)}
    return gettext("refused: %(message)s (%(attempted)s)") % given


def role_in_words(name: str) -> str:
    """A system role (`accounts.rules.system_role_name`) in the reader's language; others keep their names."""
    if name == SERVICE_ACCOUNT:
        return gettext("Service account")
    department, _space, role = name.rpartition(" ")
    if name == "Administrator" or department not in Department.values or role not in Role.values:
        return str(Role.ADMIN.label) if name == "Administrator" else name
    return gettext("%(department)s, %(role)s") % {
        "department": _label(Department, department),
        "role": _label(Role, role),
    }


# Columns and values --------------------------------------------------------------------------------------------------
def model_of(entity_type: str) -> type[models.Model] | None:
    """Find the model of a kind of record; None: it is none of ours."""
    try:
        return apps.get_model(entity_type)
    except (LookupError, ValueError):
        return None


def _columns(entity_type: str) -> dict[str, models.Field[Any, Any]]:
    model = model_of(entity_type)
    return {str(one.column): one for one in model._meta.concrete_fields} if model else {}


def _link(entity_type: str, name: str) -> models.ManyToManyField[Any, Any] | None:
    model = model_of(entity_type)
    try:
        found = model._meta.get_field(name) if model else None
    except FieldDoesNotExist:
        return None
    return found if isinstance(found, models.ManyToManyField) else None


def _values(entry: AuditEntry, names: _Names) -> list[Value]:
    columns = _columns(entry.entity_type)
    found = []
    order = {column: place for place, column in enumerate(columns)}
    for column, held in sorted(entry.changes.items(), key=lambda one: order.get(one[0], len(order))):
        link = _link(entry.entity_type, column)
        if link is not None:
            old, new = (None if one is None else names.of(link.related_model, one) for one in held)
            found.append(Value(column, _called(link.related_model), old, new))
            continue
        known = columns.get(column)
        label = str(known.verbose_name) if known else column
        if entry.action == Action.CHANGED:
            old, new = (_value(known, one, names) for one in held)
        else:
            old, new = None, _value(known, held, names)
            if entry.action == Action.DELETED:
                old, new = new, old
        found.append(Value(column, label, old, new))
    return found


def _value(known: models.Field[Any, Any] | None, held: Any, names: _Names) -> str:
    """Say a value as the reader writes it; what can't be read stays as it is."""
    if held is None or held in ("", []):
        return EMPTY
    if isinstance(known, models.ForeignKey):
        return names.of(known.related_model, held)
    if isinstance(known, ArrayField):
        return ", ".join(_value(known.base_field, one, names) for one in held)
    if known is not None and known.choices:
        return str(dict(known.flatchoices).get(held, held))
    return _plain(known, held)


def _plain(known: models.Field[Any, Any] | None, held: Any) -> str:
    if isinstance(held, bool):
        return gettext("yes") if held else gettext("no")
    if isinstance(known, models.DateTimeField):
        at = held if isinstance(held, datetime) else parse_datetime(str(held))
        return date_format(timezone.localtime(at), "DATETIME_FORMAT") if at else str(held)
    if isinstance(known, models.DateField):
        on = held if isinstance(held, date) else parse_date(str(held))
        return date_format(on) if on else str(held)
    if isinstance(known, models.DecimalField):
        return number_format(Decimal(str(held)), known.decimal_places, use_l10n=True, force_grouping=True)
    return str(held)


def _label(choices: type[models.TextChoices], value: str) -> str:
    return str(dict(choices.choices).get(value, value))


class _Names:
    """The names of all records that some entries are about or point to."""

    def __init__(self, entries: Iterable[AuditEntry]) -> None:
        wanted: dict[type[models.Model], set[str]] = defaultdict(set)
        for entry in entries:
            if model := model_of(entry.entity_type):
                wanted[model].add(entry.entity_id)
            if entry.action != Action.DENIED:
                for model, held in _pointed_to(entry):
                    wanted[model].add(str(held))
        self._known = {model: _named(model, keys) for model, keys in wanted.items()}

    def of(self, model: Any, key: object) -> str:
        return self._known.get(model, {}).get(str(key)) or f"#{key}"

    def knows(self, entry: AuditEntry) -> bool:
        model = model_of(entry.entity_type)
        return model is not None and entry.entity_id in self._known[model]

    def of_entity(self, entry: AuditEntry) -> str:
        model = model_of(entry.entity_type)
        return self.of(model, entry.entity_id) if model and entry.entity_id else entry.entity_id


def _pointed_to(entry: AuditEntry) -> Iterable[tuple[Any, Any]]:
    columns = _columns(entry.entity_type)
    for column, held in entry.changes.items():
        related = columns.get(column) or _link(entry.entity_type, column)
        if isinstance(related, (models.ForeignKey, models.ManyToManyField)):
            pair = held if isinstance(held, list) else [held]
            yield from ((related.related_model, one) for one in pair if one is not None)


def _named(model: type[models.Model], keys: set[str]) -> dict[str, str]:
    """The names of the records with these keys; with what their own names are made of, in one statement."""
    found = {key for text in keys if (key := _key(model, text)) is not None}
    if not found:
        return {}
    if model is Permission:
        return {
            str(pk): rights.in_words(name)
            for pk, name in Permission.objects.filter(pk__in=found).values_list("pk", "codename")
        }
    if model is Group:
        return {
            str(pk): role_in_words(name) for pk, name in Group.objects.filter(pk__in=found).values_list("pk", "name")
        }
    needed = [one.name for one in model._meta.concrete_fields if isinstance(one, models.ForeignKey)]
    records = model._base_manager.filter(pk__in=found)
    return {str(one.pk): str(one) for one in (records.select_related(*needed) if needed else records)}


def _key(model: type[models.Model], text: str) -> Any:
    """The key in a text, or None where it can't be one: a refusal may name anything."""
    try:
        key = model._meta.pk.to_python(text)
    except ValidationError:
        return None
    return None if isinstance(key, int) and not -_BIGGEST <= key < _BIGGEST else key

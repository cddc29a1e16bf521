"""What any field of a shipment or step was at any time can be worked out from the entries alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.models import AuditEntry
from clearance import text
from clearance.tests import recipes
from clearance.tests.cast import Cast
from shipments.models import Shipment
from workflow.models import WorkflowStep

pytestmark = pytest.mark.django_db

TICK = timedelta(microseconds=1)
_words = st.text(max_size=12).map(text.tidied)
_days = st.dates(date(2026, 1, 1), date(2026, 12, 31))
_moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
_amounts = st.decimals(Decimal("0.001"), Decimal("99999.999"), places=3)

OF_A_SHIPMENT = {
    "vessel": _words,
    "bl_number": _words,
    "eta": _days,
    "sail_date": st.none() | _days,
    "invoice_amount_omr": _amounts,
    "container_count": st.none() | st.integers(1, 40),
    "quantity": st.none() | _amounts,
    "updated_at": _moments,
}
OF_A_STEP = {
    "note": _words,
    "target_date": _days,
    "ppr_user": st.sampled_from(["cc_clerk", "cc_head", "cc_alternate"]),
    "apr_user": st.none() | st.sampled_from(["cc_clerk", "cc_head"]),
    "updated_at": _moments,
}


# Ways to write: each takes the record, read anew, and what shall be --------------------------------------------------
def save(record: models.Model, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(record, name, value)
    record.save()


def update(record: models.Model, values: dict[str, Any]) -> None:
    type(record)._base_manager.filter(pk=record.pk).update(**values)


def bulk_update(record: models.Model, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(record, name, value)
    type(record)._base_manager.bulk_update([record], list(values))


def upsert(record: models.Model, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(record, name, value)
    type(record)._base_manager.bulk_create(
        [record], update_conflicts=True, unique_fields=["pk"], update_fields=list(values)
    )


def sql(record: models.Model, values: dict[str, Any]) -> None:
    columns = [record._meta.get_field(name).column for name in values]
    changes = ", ".join(f'"{column}" = %s' for column in columns)
    given = [value.pk if isinstance(value, models.Model) else value for value in values.values()]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {record._meta.db_table} SET {changes} WHERE id = %s", [*given, record.pk])


def take_away_and_put_back(record: models.Model, values: dict[str, Any]) -> None:
    """Of a step alone: a shipment's would take its steps along."""
    if isinstance(record, WorkflowStep):
        type(record)._base_manager.filter(pk=record.pk).delete()
        for name, value in values.items():
            setattr(record, name, value)
        type(record)._base_manager.bulk_create([record])


WAYS = (save, update, bulk_update, upsert, sql, take_away_and_put_back)


def writes(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """A way to write and some fields with new values."""
    some = st.sets(st.sampled_from(sorted(fields)), min_size=1, max_size=4)
    values = some.flatmap(lambda names: st.fixed_dictionaries({name: fields[name] for name in sorted(names)}))
    return st.tuples(st.sampled_from(WAYS), values)


# From the entries alone ----------------------------------------------------------------------------------------------
def rebuilt(model: type[models.Model], pk: int, *, at: datetime) -> dict[str, Any] | None:
    """The record's columns as they were at a moment; None before it was created and after it was deleted."""
    fields = {field.column: field for field in model._meta.concrete_fields if not field.generated}
    state: dict[str, Any] | None = None
    told = AuditEntry.objects.filter(entity_type=model._meta.label_lower, entity_id=str(pk), at__lte=at)
    for entry in told.order_by("at", "pk"):
        if entry.action == "created":
            state = {column: empty(field) for column, field in fields.items()} | entry.changes
        elif entry.action == "deleted":
            state = None
        elif entry.action == "changed":
            state = {**(state or {}), **{column: new for column, (_old, new) in entry.changes.items()}}
    return state and {column: fields[column].to_python(value) for column, value in state.items()}


def empty(field: models.Field[Any, Any]) -> Any:
    """What a created record holds where its entry says nothing."""
    if isinstance(field, models.BooleanField):
        return False
    return "" if isinstance(field, (models.CharField, models.TextField)) else None


def snapshot(model: Any, pk: int, *, at: datetime) -> dict[str, Any] | None:
    """The same from the history that the admin shows."""
    found = model.history.as_of(at).filter(pk=pk).first()
    if found is None:
        return None
    return {field.column: getattr(found, field.attname) for field in model._meta.concrete_fields if not field.generated}


def moments(model: type[models.Model], pk: int) -> list[datetime]:
    """Every moment at which something happened, and the ones before."""
    told = AuditEntry.objects.filter(entity_type=model._meta.label_lower, entity_id=str(pk)).values_list(
        "at", flat=True
    )
    return [moment for at in sorted(told) for moment in (at - TICK, at)]


@pytest.mark.parametrize(("model", "fields"), [(Shipment, OF_A_SHIPMENT), (WorkflowStep, OF_A_STEP)])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_at_any_time_is_what_the_history_says(model, fields, cast, data):
    with transaction.atomic():
        shipment = recipes.registered(by=cast.bu_clerk)
        pk = shipment.pk if model is Shipment else recipes.step(shipment, recipes.BAYAN_SUBMITTED).pk
        for way, values in data.draw(st.lists(writes(fields), min_size=1, max_size=8)):
            do(way, model, pk, values, cast)

        for at in moments(model, pk):
            assert rebuilt(model, pk, at=at) == snapshot(model, pk, at=at)
        now = model._base_manager.filter(pk=pk).values().get()
        last = rebuilt(model, pk, at=moments(model, pk)[-1])
        assert last == {column: now[column] for column in last}
        transaction.set_rollback(True)


def do(way: Callable[..., None], model: type[models.Model], pk: int, values: dict[str, Any], cast: Cast) -> None:
    meant = {
        name: getattr(cast, value) if name in ("ppr_user", "apr_user") and value else value
        for name, value in values.items()
    }
    way(model._base_manager.get(pk=pk), meant)

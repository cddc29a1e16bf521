"""Writing the rows of a tracker: any number of shipments by way of a staging table, in an INSERT and an UPDATE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from accounts.models import Division, User
from shipments import rules
from shipments.models import Shipment
from shipments.rows import TrackerRow

# Field → its column, there and in the staging table: what a row gives, and what follows from it.
_GIVEN = {name: Shipment._meta.get_field(name).attname for name in (*rules.AMENDABLE, "eta")}  # type: ignore[union-attr]
_COLUMNS = {**_GIVEN, "status": "status", "cleared_on": "cleared_on"}
REQUIRED = ("principal", "brand", "invoice_amount_omr", "eta")


@dataclass(slots=True)
class Judged:
    """A row that passed: what to write of it."""

    row: TrackerRow
    values: dict[str, Any]
    shipment: Shipment | None = None  # as it was before; a new one has none
    shipment_id: int = 0  # of a new one once it is registered
    template_id: int = 0
    is_eta_change: bool = False


def write(*, new: Sequence[Judged], amended: Sequence[Judged], by: User | None, at: datetime) -> None:
    """Insert the new shipments (each gets its id, unless the number was taken meanwhile), amend the others."""
    if not new and not amended:
        return
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE tracker_row ({_staging_columns()}) ON COMMIT DROP")
        with cursor.copy(f"COPY tracker_row (id, version, {', '.join(_COLUMNS.values())}) FROM STDIN") as copy:
            for one in (*new, *amended):
                version = one.shipment.version if one.shipment else None
                copy.write_row([one.shipment_id or None, version, *(_raw(one.values.get(name)) for name in _COLUMNS)])
        if new:
            cursor.execute(_INSERT_NEW, {"by": by.pk if by else None, "at": at})
            registered = dict(cursor.fetchall())
            for one in new:
                one.shipment_id = registered.get(one.values["shipment_number"], 0)
        if amended:
            cursor.execute(_AMEND_KNOWN, {"at": at})
        cursor.execute("DROP TABLE tracker_row")


def _raw(value: Any) -> Any:
    return value.pk if isinstance(value, Division) else value


def _staging_columns() -> str:
    fields = (Shipment._meta.get_field(name) for name in _COLUMNS)
    types = (f"{field.column} {field.db_type(connection)}" for field in fields)  # type: ignore[union-attr]
    return ", ".join(("id bigint", "version integer", *types))


def _insert_expression(name: str) -> str:
    """A text column is never null: blank instead."""
    column = _COLUMNS[name]
    is_nullable = Shipment._meta.get_field(name).null
    return column if is_nullable or name in REQUIRED else f"COALESCE({column}, '')"


# In the order of the numbers, so that two imports of the same new ones can't wait for each other.
_INSERT_NEW = f"""
    INSERT INTO shipments_shipment (
        {", ".join(_COLUMNS.values())}, eta_edit_count, eta_change_reason, cancel_reason, created_by_id, created_at,
        updated_at, version
    )
    SELECT {", ".join(map(_insert_expression, _COLUMNS))}, 0, '', '', %(by)s, %(at)s, %(at)s, 1
    FROM tracker_row
    WHERE id IS NULL
    ORDER BY lower(shipment_number)
    ON CONFLICT (lower(shipment_number)) DO NOTHING
    RETURNING shipment_number, id
"""

_AMEND_KNOWN = f"""
    UPDATE shipments_shipment shipment
    SET {", ".join(f"{column} = COALESCE(given.{column}, shipment.{column})" for column in _GIVEN.values())},
        eta_edit_count = shipment.eta_edit_count + (given.eta IS NOT NULL)::int,
        eta_change_reason = CASE WHEN given.eta IS NULL THEN shipment.eta_change_reason ELSE '' END,
        version = shipment.version + 1, updated_at = %(at)s
    FROM tracker_row given
    WHERE shipment.id = given.id AND shipment.version = given.version
"""

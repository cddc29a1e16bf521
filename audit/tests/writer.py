"""A process that writes in every style until it is killed; knows psycopg and nothing of Django, to start quickly.

Whoever reads its output sees `ready` once it begins. Every change of a row raises its `version` by one: what a killed
writer really changed can be read from the rows themselves.
"""

from __future__ import annotations

import os
import random
import sys
from contextlib import suppress
from typing import Any

import psycopg

Cursor = psycopg.Cursor[Any]

_COPIED = """
    shipment_number, division_id, transport_mode, principal, brand, supplier_invoice_number, supplier_invoice_date,
    lc_number, lc_issuing_bank, invoice_amount_omr, bl_number, vessel, port_of_loading, port_of_discharge, sail_date,
    container_count, quantity, quantity_unit, eta, ata, eta_edit_count, eta_change_reason, status, cancel_reason,
    cleared_on, created_by_id, created_at, updated_at, deleted_at, version
"""
_REST = _COPIED.partition("shipment_number,")[2]


def insert(cursor: Cursor, dice: random.Random) -> None:
    cursor.execute(
        f"INSERT INTO shipments_shipment ({_COPIED}) SELECT gen_random_uuid()::text, {_rest()}"
        " FROM shipments_shipment, generate_series(1, %s) WHERE id = (SELECT min(id) FROM shipments_shipment)",
        [dice.randint(1, 3)],
    )


def _rest() -> str:
    return _REST.rpartition("version")[0] + "1"


def update(cursor: Cursor, dice: random.Random) -> None:
    cursor.execute(
        "UPDATE shipments_shipment SET vessel = %s, version = version + 1 WHERE id %% 7 = %s",
        [f"MV {dice.random()}", dice.randrange(7)],
    )


def update_many(cursor: Cursor, dice: random.Random) -> None:
    cursor.executemany(
        "UPDATE workflow_workflowstep SET note = %s, version = version + 1 WHERE id %% 50 = %s",
        [(f"Note {dice.random()}", dice.randrange(50)) for _ in range(3)],
    )


def update_twice(cursor: Cursor, dice: random.Random) -> None:
    update(cursor, dice)
    update(cursor, dice)


def update_and_think_again(cursor: Cursor, dice: random.Random) -> None:
    with suppress(psycopg.Rollback), cursor.connection.transaction() as savepoint:
        update(cursor, dice)
        raise psycopg.Rollback(savepoint)
    update_many(cursor, dice)


def update_both(cursor: Cursor, dice: random.Random) -> None:
    cursor.execute(
        """
        WITH moved AS (
            UPDATE shipments_shipment SET eta = eta + 1, version = version + 1 WHERE id %% 11 = %s RETURNING id
        )
        UPDATE workflow_workflowstep SET target_date = target_date + 1, version = version + 1
            WHERE shipment_id IN (SELECT id FROM moved)
        """,
        [dice.randrange(11)],
    )


def insert_or_update(cursor: Cursor, dice: random.Random) -> None:
    cursor.execute(
        f"INSERT INTO shipments_shipment ({_COPIED}) SELECT shipment_number, {_rest()} FROM shipments_shipment"
        " WHERE id %% 13 = %s ON CONFLICT (lower(shipment_number))"
        " DO UPDATE SET brand = %s, version = shipments_shipment.version + 1",
        [dice.randrange(13), f"Brand {dice.random()}"],
    )


def merge(cursor: Cursor, dice: random.Random) -> None:
    cursor.execute(
        "MERGE INTO shipments_shipment s USING generate_series(1, 400, 9) AS given (id) ON s.id = given.id + %s"
        " WHEN MATCHED THEN UPDATE SET principal = %s, version = version + 1",
        [dice.randrange(9), f"Principal {dice.random()}"],
    )


def copy(cursor: Cursor, dice: random.Random) -> None:
    with cursor.copy("COPY accounts_division (code, name) FROM STDIN") as rows:
        for _ in range(3):
            rows.write_row((f"{dice.randrange(10**9)}", f"Division {dice.random()}"))


def delete(cursor: Cursor, dice: random.Random) -> None:
    cursor.execute("DELETE FROM accounts_division WHERE id %% 5 = %s AND name LIKE 'Division%%'", [dice.randrange(5)])


STYLES = (
    insert, update, update_many, update_twice, update_and_think_again, update_both, insert_or_update, merge,
    copy, delete,
)  # fmt: skip


def write(address: str, seed: int) -> None:
    dice = random.Random(seed)
    with psycopg.connect(address, autocommit=True) as connection:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            styles = dice.choices(STYLES, k=dice.randint(1, 3))
            # Two writers may stand in each other's way: the loser's transaction is gone, and it goes on.
            with suppress(psycopg.OperationalError), connection.cursor() as cursor:
                if dice.random() < 0.3:
                    styles[0](cursor, dice)
                    continue
                with connection.transaction():
                    for style in styles:
                        style(cursor, dice)


if __name__ == "__main__":
    write(os.environ["WRITER_DATABASE"], int(sys.argv[1]))

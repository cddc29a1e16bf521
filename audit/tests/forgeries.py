"""What somebody who rules the server could do to the trail with its triggers off, at random."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import connection, connections, transaction

from audit.models import AuditEntry
from audit.services import merkle, sealing
from audit.services.sealing import Header
from audit.tests import chains
from clearance import embedded
from clearance.tests import databases

# For each column of an entry, SQL that yields another value of its type.
OTHER_ENTRY = {
    "at": ["at + '1 microsecond'", "at - '1 year'::interval", "'-infinity'", "at - '4000 years'::interval"],
    "entity_type": ["'accounts.division'", "upper(entity_type)"],
    "entity_id": ["entity_id || '0'", "''"],
    "action": ["'denied'", "''"],
    "changes": ["changes || ' '", "'{}'", "'no JSON'", "replace(changes, '\"', '')", "changes || changes"],
    "user_id": ["coalesce(user_id, 0) + 1", "-1"],
    "user_name": ["user_name || ' '", "'Somebody Else'"],
    "user_role": ["user_role || '.'"],
    "on_behalf_of": ["'Somebody Else'"],
    "channel": ["'forged'", "upper(channel)"],
    "ip_address": ["'192.0.2.99'", "'192.0.2.99/24'", "'2001:db8::1'"],
    "request_id": ["request_id || '0'"],
    "import_batch": ["import_batch || 'x'"],
    "reason": ["reason || '.'"],
}
OTHER_SEAL = {
    "sealed_at": [
        "sealed_at + '1 microsecond'",
        "'infinity'",
        "sealed_at - '2 days'::interval",
        "'0001-01-01 00:00+00'",
    ],
    "ranges": [
        "ranges || '[[1, 1]]'",
        "'[]'",
        "'{}'",
        "'[[1, 1000000000000000000]]'",
        "'[[2, 1]]'",
        "'[[\"1\", 2.5]]'",
    ],
    "highest_id": ["highest_id + 1", "highest_id - 1", "9000000000000000000"],
    "entry_count": ["entry_count + 1", "0"],
    "root": ["reverse(root)", "repeat('0', 64)", "''"],
    "previous_hash": ["reverse(previous_hash)", "''"],
    "seal_hash": ["reverse(seal_hash)", "''"],
}
TABLES = ("audit_auditentry", "audit_seal")


@dataclass(frozen=True, slots=True)
class Forgery:
    """What was done, and who can tell: with anchors or without, and from an export of everything."""

    what: str
    needs_anchor: bool = False
    shows_in_export: bool = True


class Forger:
    """Forges one thing after the other in a trail of at least ten seals; whoever calls it rolls back."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.ids = list(AuditEntry.objects.order_by("pk").values_list("pk", flat=True))
        self.headers = list(sealing.read_headers("ORDER BY number"))
        self.settled = self.headers[-3].highest_id  # an hour before the newest
        self.gaps = [
            one for low, high in sealing.gaps(sealing.ranges_of(self.ids), above=0, until=self.settled)
            for one in range(low, high + 1)
        ]  # fmt: skip

    def forge(self, number: int) -> Forgery:
        """Do the thing whose turn it is, to something random; with the triggers off (`forging`)."""
        ways: list[Callable[[], Forgery]] = [
            self.change_entry,
            self.change_seal,
            self.delete_entries,
            self.insert_entry,
            self.swap_entries,
            self.delete_seal,
            self.insert_seal,
            self.swap_seals,
            self.cut_tail,
            self.make_anew,
        ]
        return ways[number % len(ways)]()

    def change_entry(self) -> Forgery:
        column = self.chance.choice(list(OTHER_ENTRY))
        value, pk = self.chance.choice(OTHER_ENTRY[column]), self.chance.choice(self.ids)
        is_other = f"{column} IS DISTINCT FROM {value}"
        if not ask(f"UPDATE audit_auditentry SET {column} = {value} WHERE id = %s AND {is_other} RETURNING 1", [pk]):
            return self.change_entry()
        return Forgery(f"entry {pk}: {column} = {value}")

    def change_seal(self) -> Forgery:
        column = self.chance.choice(list(OTHER_SEAL))
        value, number = self.chance.choice(OTHER_SEAL[column]), self.chance.choice(self.headers).number
        is_other = f"{column} IS DISTINCT FROM {value}"
        if not ask(f"UPDATE audit_seal SET {column} = {value} WHERE number = %s AND {is_other} RETURNING 1", [number]):
            return self.change_seal()
        return Forgery(f"seal {number}: {column} = {value}")

    def delete_entries(self) -> Forgery:
        gone = self.chance.sample(self.ids, self.chance.choice([1, 1, 2, 30]))
        ask("DELETE FROM audit_auditentry WHERE id = ANY(%s) RETURNING 1", [gone])
        return Forgery(f"entries {gone} deleted")

    def insert_entry(self) -> Forgery:
        at_end = sealing.last_id() + 1
        number = self.chance.choice(
            [*self.chance.sample(self.gaps, 3), at_end, at_end + 10**9, 2**63 - 1, -1, 0, -(2**63)]
        )
        chains.forge(number)
        return Forgery(f"entry {number} inserted", shows_in_export=number < at_end)

    def swap_entries(self) -> Forgery:
        one, other = self.chance.sample(self.ids, 2)
        ask("UPDATE audit_auditentry SET id = -99 WHERE id = %s RETURNING 1", [one])
        ask("UPDATE audit_auditentry SET id = %s WHERE id = %s RETURNING 1", [one, other])
        ask("UPDATE audit_auditentry SET id = %s WHERE id = -99 RETURNING 1", [other])
        return Forgery(f"entries {one} and {other} swapped")

    def delete_seal(self) -> Forgery:
        number = self.chance.choice(self.headers[:-1]).number
        ask("DELETE FROM audit_seal WHERE number = %s RETURNING 1", [number])
        return Forgery(f"seal {number} deleted")

    def insert_seal(self) -> Forgery:
        model = self.chance.choice(self.headers)
        number = self.chance.choice([len(self.headers) + 1, len(self.headers) + 1, 10**6, 0, -1])
        given = self.chance.choice(
            [
                replace(model, number=number),
                self.after(self.headers[-1], number, ranges=[], entry_count=0, root=merkle.root([])),
                self.after(
                    self.headers[-1], number, ranges=model.ranges, entry_count=model.entry_count, root=model.root
                ),
            ]
        )
        write(given)
        return Forgery(f"seal {number} inserted", shows_in_export=number > 0)

    def swap_seals(self) -> Forgery:
        one, other = self.chance.sample(self.headers, 2)
        ask("DELETE FROM audit_seal WHERE number IN (%s, %s) RETURNING 1", [one.number, other.number])
        write(replace(one, number=other.number))
        write(replace(other, number=one.number))
        return Forgery(f"seals {one.number} and {other.number} swapped")

    def cut_tail(self) -> Forgery:
        last = self.chance.choice(self.headers[:-1])
        ask("DELETE FROM audit_seal WHERE number > %s RETURNING 1", [last.number])
        if with_entries := self.chance.random() < 0.5:
            ask("DELETE FROM audit_auditentry WHERE id > %s RETURNING 1", [last.highest_id])
        return Forgery(f"cut off after seal {last.number}, entries too: {with_entries}", needs_anchor=True)

    def make_anew(self) -> Forgery:
        """Change or remove an entry, and seal it all again as if it had always been so."""
        begin = self.chance.choice(self.headers)
        victim = self.chance.choice(begin.covered() or [])[0]
        if self.chance.random() < 0.5 and begin.entry_count > 1:
            ask("DELETE FROM audit_auditentry WHERE id = %s RETURNING 1", [victim])
        else:
            ask("UPDATE audit_auditentry SET user_name = 'Somebody Else' WHERE id = %s RETURNING 1", [victim])
        ask("DELETE FROM audit_seal WHERE number >= %s RETURNING 1", [begin.number])
        newest = self.headers[begin.number - 2] if begin.number > 1 else None
        for old in self.headers[begin.number - 1 :]:
            entries = list(sealing.read_entries(old.covered() or []))
            ranges = sealing.ranges_of(entry["id"] for entry in entries)
            newest = self.after(
                newest,
                old.number,
                sealed_at=old.sealed_at,
                ranges=[list(one) for one in ranges],
                entry_count=len(entries),
                highest_id=max(newest.highest_id if newest else 0, ranges[-1][1]),
                root=merkle.root(map(merkle.leaf, entries)),
            )
            write(newest)
        return Forgery(f"made anew from seal {begin.number} on", needs_anchor=True)

    def after(self, before: Header | None, number: int, **given: Any) -> Header:
        """A seal that follows another, with the right hashes."""
        basis = before or replace(self.headers[0], seal_hash=sealing.NOTHING_BEFORE, highest_id=0)
        new = replace(basis, **{"number": number, "previous_hash": basis.seal_hash, **given})
        return replace(new, seal_hash=merkle.digest(new.content))


def write(header: Header) -> None:
    values = {**asdict(header), "ranges": json.dumps(header.ranges)}
    places = ", ".join(f"%({name})s" for name in values)
    ask(f"INSERT INTO audit_seal ({', '.join(values)}) VALUES ({places}) RETURNING 1", values)


def ask(sql: str, parameters: Any = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


@contextmanager
def ruling() -> Iterator[None]:
    """Be signed in as the server's superuser, on the database of the tests."""
    mine, owner = connection.settings_dict, connections["owner"].settings_dict["USER"]
    application = mine["USER"]
    databases._let_go()
    mine["USER"] = embedded.NAME if owner == embedded.OWNER else owner
    try:
        yield
    finally:
        databases._let_go()
        mine["USER"] = application


@contextmanager
def forging() -> Iterator[None]:
    """Be able to rewrite the trail, as nobody else is; at the end its triggers are as they were."""
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"ALTER TABLE {table} DISABLE TRIGGER append_only" for table in TABLES))
        yield
        cursor.execute("; ".join(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only" for table in TABLES))


@contextmanager
def trying(application: str) -> Iterator[Callable[[], None]]:
    """A transaction that is undone at the end; call what is yielded to go on with the application's rights."""
    with transaction.atomic(), connection.cursor() as cursor:
        yield lambda: cursor.execute(f"SET LOCAL ROLE {application}")
        transaction.set_rollback(True)

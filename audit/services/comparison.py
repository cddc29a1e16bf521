"""Comparison: whether records are what the trail last told of them, and their histories what it told then.

One statement for some thousand records: the database folds the entries of each into the values that they tell, and
sets them beside what the record holds, written by the same SQL as the entries themselves. What a migration did to
columns, its entry says. Redacted and ignored columns are in no entry and can't be compared, nor can what is told only
at times (`Tracked.when`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.apps import apps
from django.db import connection, transaction

from audit.operations import MIGRATION, history_of, model_of, recorded, values_of
from audit.rules import TRACKED, Tracked

_AT_A_TIME = 5_000
_NAMED = 20  # records of a kind that are named; the others are counted
_LONGEST = 80  # characters of a value
_SAMPLE = 2_000  # rows of a history
_NOTHING = "('null', '\"\"', 'false')"  # what an entry of a new record leaves out

# Whoever forged an entry may have written anything.
_CHANGES = (
    "CASE WHEN starts_with(entry.changes, '{') AND pg_input_is_valid(entry.changes, 'jsonb')"
    " THEN entry.changes::jsonb ELSE '{}' END"
)
_SETTINGS = (
    "SELECT set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true), set_config('jit', 'off', true)"
)


def differences(*, in_full: bool) -> Iterator[str]:
    """Say where records and histories are not what the trail tells; of histories a sample is read, or all `in_full`."""
    kinds = [Kind(label, tracked) for label, tracked in TRACKED.items() if not tracked.link and not tracked.when]
    for kind in kinds:
        yield from kind.differing_records()
    yield from _vanished(kinds)
    for label, tracked in TRACKED.items():
        if tracked.link:
            yield from _links(label, tracked.link)
    for kind in kinds:
        if kind.history:
            yield from kind.miscounted_history()
            yield from kind.differing_history(in_full=in_full)


@dataclass(frozen=True)
class Kind:
    """A kind of record whose values the trail tells."""

    label: str
    tracked: Tracked

    @cached_property
    def model(self) -> Any:
        return model_of(self.label, apps)

    @cached_property
    def table(self) -> str:
        return str(self.model._meta.db_table)

    @cached_property
    def key(self) -> str:
        return f'"{self.model._meta.pk.column}"'

    @cached_property
    def history(self) -> str | None:
        past = history_of(self.model)
        return past and str(past._meta.db_table)

    @cached_property
    def columns(self) -> list[str]:
        return [one.column for one in self.fields]

    @cached_property
    def fields(self) -> list[Any]:
        untold = self.tracked.redacted | self.tracked.ignored.keys()
        return [one for one in recorded(self.model) if one.column not in untold]

    @cached_property
    def migrated(self) -> Migrated:
        return Migrated.read(self.label)

    def values(self, row: str) -> str:
        """SQL: what a row holds, as an entry tells it, without what is empty."""
        return f"({values_of(self.fields, self.tracked, row)})::jsonb"

    @cached_property
    def given(self) -> dict[str, Any]:
        untold = [*self.tracked.redacted, *self.tracked.ignored]
        given = {"label": self.label, "columns": self.columns, "untold": untold, "named": _NAMED}
        return {**given, **self.migrated.given}

    # Records ---------------------------------------------------------------------------------------------------------
    def differing_records(self) -> Iterator[str]:
        named = count = 0
        for piece, limits in self._pieces():
            statement = _FOLD.format(table=self.table, key=self.key, values=self.values("n"), piece=piece, **_PARTS)
            found = _ask(statement, {**self.given, **limits})
            count += found[0][4] if found else 0
            for record, is_told, told, holds, _ in found[: _NAMED - named]:
                yield from self._named(record, is_told=is_told, told=_parsed(told), holds=_parsed(holds))
                named += 1
        if count > named:
            yield f"{count - named} more records of {self.label} are not what the trail last told of them."

    def _pieces(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Conditions that take some thousand records after the other."""
        after = None
        while True:
            begin = f"{self.key} > %(after)s" if after is not None else "true"
            end = _ask(
                f"SELECT {self.key} FROM {self.table} WHERE {begin} ORDER BY {self.key} OFFSET %(at)s LIMIT 1",
                {"after": after, "at": _AT_A_TIME - 1},
            )
            if not end:
                yield begin, {"after": after}
                return
            yield f"{begin} AND {self.key} <= %(until)s", {"after": after, "until": end[0][0]}
            after = end[0][0]

    def _named(self, record: str, *, is_told: bool, told: dict[str, Any], holds: dict[str, Any]) -> Iterator[str]:
        if not is_told:
            yield f"{self.label} {record} is there, and the trail does not tell that it is."
            return
        for column in sorted(told.keys() | holds.keys()):
            if told.get(column) != holds.get(column):
                yield (
                    f"{self.label} {record}: {column} is {_shown(holds.get(column))},"
                    f" and the trail last told {_shown(told.get(column))}."
                )

    # Histories -------------------------------------------------------------------------------------------------------
    def miscounted_history(self) -> Iterator[str]:
        for action, told, kept in _ask(_COUNTS.format(history=self.history), self.given):
            yield f"The history of {self.label} has {kept} rows of what was {action}, and the trail {told} entries."

    def differing_history(self, *, in_full: bool) -> Iterator[str]:
        ((count,),) = _ask(f"SELECT count(*) FROM {self.history}")
        given = {**self.given, "every": 1 if in_full else max(1, count // _SAMPLE)}
        statement = _HISTORY.format(
            history=self.history, key=self.key, values=self.values("past"), before=self.values("earlier"), **_PARTS
        )
        found = _ask(statement, given)
        for number, record, _ in found:
            yield f"Row {number} of the history of {self.label} {record} is not what the trail told then."
        if found and found[0][2] > len(found):
            more = found[0][2] - len(found)
            yield f"{more} more rows of the history of {self.label} are not what the trail told then."


@dataclass(frozen=True)
class Migrated:
    """What migrations told of a kind's columns: how keys of older entries are called now, and what they set unseen."""

    renamed: list[tuple[int, int, str, str]] = field(default_factory=list)  # from entry, to entry, was, is; "": gone
    marks: list[tuple[int, str, bool, Any]] = field(default_factory=list)  # entry, column, is its value known, value

    @classmethod
    def read(cls, label: str) -> Migrated:
        statement = f"""
            SELECT entry.id, {_CHANGES} FROM audit_auditentry entry
            WHERE entity_id = %(label)s AND entity_type = %(kind)s AND action = 'created' ORDER BY id
        """
        told = [(number, _parsed(changes)) for number, changes in _ask(statement, {"label": label, "kind": MIGRATION})]
        new = cls()
        for place, (number, changes) in enumerate(told):
            since = told[place - 1][0] if place else 0
            names = {name for _, one in told[place:] for name in (*one.get("renamed", {}), *one.get("dropped", []))}
            for name in sorted(names):
                new.renamed.append((since, number, name, _called_now(name, told[place:])))
            for name, value in changes.get("added", {}).items():
                new.marks.append((number, _called_now(name, told[place + 1 :]), True, value))
            for name in changes.get("filled", []):
                new.marks.append((number, _called_now(name, told[place + 1 :]), False, None))
        return new

    @property
    def given(self) -> dict[str, Any]:
        since, until, was, now = _columns(self.renamed, 4)
        numbers, names, are_known, values = _columns(self.marks, 4)
        return {
            "is_migrated": bool(self.renamed or self.marks),
            "since": since,
            "until_entry": until,
            "was": was,
            "now": now,
            "marks": numbers,
            "marked": names,
            "are_known": are_known,
            "values": [json.dumps(value) for value in values],
        }


def _parsed(found: str) -> dict[str, Any]:
    """JSON of the database, which comes as text."""
    read: dict[str, Any] = json.loads(found)
    return read


def _called_now(name: str, later: Sequence[tuple[int, dict[str, Any]]]) -> str:
    for _, one in later:
        name = "" if name in one.get("dropped", []) else one.get("renamed", {}).get(name, name)
    return name


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[place] for row in rows] for place in range(width)]


# The statements ------------------------------------------------------------------------------------------------------
_PARTS = {
    "changes": _CHANGES,
    "nothing": _NOTHING,
    "renamed": "unnest(%(since)s::bigint[], %(until_entry)s::bigint[], %(was)s::text[], %(now)s::text[])"
    " AS renamed (since, until, was, now)",
    "mark": "unnest(%(marks)s::bigint[], %(marked)s::text[], %(are_known)s::boolean[], %(values)s::jsonb[])"
    " AS mark (id, name, is_known, value)",
}
_FOLD = """
    WITH record AS (
        SELECT {key}::text AS id, {values} AS holds FROM {table} n WHERE {piece}
    ), said AS (
        SELECT record.id AS record_id, entry.id, entry.action, {changes} AS changes,
            max(entry.id) FILTER (WHERE entry.action = 'created') OVER (PARTITION BY record.id) AS created,
            max(entry.id) FILTER (WHERE entry.action = 'deleted') OVER (PARTITION BY record.id) AS deleted
        FROM record JOIN audit_auditentry entry ON entry.entity_id = record.id
        WHERE entry.entity_type = %(label)s AND entry.action IN ('created', 'changed', 'deleted')
    ), begun AS (
        SELECT record_id, deleted, CASE WHEN %(is_migrated)s THEN '{{}}' ELSE changes - %(untold)s::text[] END AS told
        FROM said WHERE id = created AND created > coalesce(deleted, 0)
    ), piece AS (
        SELECT record_id, said.id, coalesce(renamed.now, one.key) AS name, true AS is_known,
            CASE said.action WHEN 'changed' THEN one.value -> 1 ELSE one.value END AS value
        FROM said CROSS JOIN LATERAL jsonb_each(said.changes) one
        LEFT JOIN {renamed} ON renamed.was = one.key AND said.id > renamed.since AND said.id < renamed.until
        WHERE said.id > said.created AND said.action = 'changed' OR said.id = said.created AND %(is_migrated)s
        UNION ALL
        SELECT record_id, mark.id, mark.name, mark.is_known, mark.value
        FROM said CROSS JOIN {mark} WHERE said.id = said.created AND mark.id > said.created
    ), last AS (
        SELECT DISTINCT ON (record_id, name) * FROM piece WHERE name = ANY(%(columns)s)
        ORDER BY record_id, name, id DESC
    ), later AS (
        SELECT record_id, array_agg(name) AS names, array_agg(name) FILTER (WHERE NOT is_known) AS unknown,
            jsonb_object_agg(name, value) FILTER (WHERE is_known AND value NOT IN {nothing}) AS told
        FROM last GROUP BY record_id
    ), compared AS (
        SELECT record.id, begun.record_id IS NOT NULL AS is_told,
            (coalesce(begun.told, '{{}}') - coalesce(later.names, '{{}}')) || coalesce(later.told, '{{}}') AS told,
            record.holds - coalesce(later.unknown, '{{}}') AS holds
        FROM record LEFT JOIN begun ON begun.record_id = record.id LEFT JOIN later ON later.record_id = record.id
    )
    SELECT *, count(*) OVER () FROM compared WHERE NOT is_told OR told <> holds ORDER BY id LIMIT %(named)s
"""
_COUNTS = """
    SELECT coalesce(told.action, kept.action), coalesce(told.count, 0), coalesce(kept.count, 0)
    FROM (
        SELECT action, count(*) FROM audit_auditentry
        WHERE entity_type = %(label)s AND action IN ('created', 'changed', 'deleted') GROUP BY action
    ) AS told
    FULL JOIN (
        SELECT CASE history_type WHEN '+' THEN 'created' WHEN '~' THEN 'changed' WHEN '-' THEN 'deleted' END AS action,
            count(*)
        FROM {history} GROUP BY 1
    ) AS kept ON kept.action = told.action
    WHERE told.count IS DISTINCT FROM kept.count ORDER BY 1
"""
# A row of a history holds what its entry tells, and otherwise what the row before it held.
_HISTORY = """
    WITH past AS (
        SELECT history_id, {key} AS pk, history_date, history_type, {values} AS holds
        FROM {history} past WHERE history_id %% %(every)s = 0
    ), compared AS (
        SELECT past.history_id, past.pk, past.history_type, past.holds, entry.id, earlier.holds AS held, told.*
        FROM past
        LEFT JOIN audit_auditentry entry ON entry.entity_id = past.pk::text AND entry.entity_type = %(label)s
            AND entry.at = past.history_date
            AND entry.action = CASE past.history_type WHEN '+' THEN 'created' WHEN '~' THEN 'changed' ELSE 'deleted' END
        LEFT JOIN LATERAL (
            SELECT coalesce(array_agg(name), '{{}}') AS names,
                coalesce(jsonb_object_agg(name, value) FILTER (WHERE value NOT IN {nothing}), '{{}}') AS told
            FROM (
                SELECT coalesce(renamed.now, one.key) AS name,
                    CASE entry.action WHEN 'changed' THEN one.value -> 1 ELSE one.value END AS value
                FROM jsonb_each({changes}) one
                LEFT JOIN {renamed} ON renamed.was = one.key AND entry.id > renamed.since AND entry.id < renamed.until
            ) AS one WHERE name = ANY(%(columns)s)
        ) AS told ON true
        LEFT JOIN LATERAL (
            SELECT {before} AS holds FROM {history} earlier
            WHERE earlier.{key} = past.pk AND earlier.history_id < past.history_id ORDER BY history_id DESC LIMIT 1
        ) AS earlier ON past.history_type = '~'
    ), marked AS (
        SELECT coalesce(array_agg(mark.name), '{{}}') AS names FROM {mark}
    )
    SELECT history_id, pk, count(*) OVER () FROM compared, marked
    WHERE id IS NULL
        OR told <> (
            SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(holds)
            WHERE key = ANY(compared.names) OR history_type <> '~' AND key <> ALL(marked.names)
        )
        OR history_type = '~' AND (held - compared.names - marked.names) IS DISTINCT FROM
            (holds - compared.names - marked.names)
    ORDER BY history_id LIMIT %(named)s
"""


def _vanished(kinds: Sequence[Kind]) -> Iterator[str]:
    """Records that are gone, though nothing tells that they were deleted."""
    present = " UNION ALL ".join(
        f"SELECT '{one.label}' AS kind, {one.key}::text AS id FROM {one.table}" for one in kinds
    )
    statement = f"""
        SELECT entry.entity_type, entry.entity_id, count(*) OVER ()
        FROM audit_auditentry entry
        LEFT JOIN ({present}) present ON present.kind = entry.entity_type AND present.id = entry.entity_id
        WHERE entry.action = 'created' AND entry.entity_type = ANY(%(kinds)s) AND present.id IS NULL AND NOT EXISTS (
            SELECT FROM audit_auditentry later WHERE later.entity_id = entry.entity_id
                AND later.entity_type = entry.entity_type AND later.action = 'deleted' AND later.id > entry.id
        )
        ORDER BY entry.id LIMIT %(named)s
    """
    found = _ask(statement, {"kinds": [one.label for one in kinds], "named": _NAMED})
    for kind, record, _ in found:
        yield f"{kind} {record} is gone, and the trail does not tell that it was deleted."
    if found and found[0][2] > len(found):
        yield f"{found[0][2] - len(found)} more records are gone, and the trail does not tell that they were deleted."


def _links(label: str, link: tuple[str, str, str, str]) -> Iterator[str]:
    owner, column, name, other = link
    statement = f"""
        WITH said AS (
            SELECT entry.id, entry.entity_id AS owner, {_CHANGES} -> %(name)s AS change FROM audit_auditentry entry
            WHERE entry.entity_type = %(owner)s AND entry.action = 'changed' AND starts_with(entry.changes, %(begin)s)
        ), last AS (
            SELECT DISTINCT ON (1, 2) owner, coalesce(change ->> 1, change ->> 0) AS other, change ->> 1 AS is_there
            FROM said ORDER BY 1, 2, id DESC
        )
        SELECT coalesce(last.owner, found.owner), coalesce(last.other, found.other), found.owner IS NOT NULL
        FROM (SELECT * FROM last WHERE is_there IS NOT NULL) AS last
        FULL JOIN (SELECT {column}::text AS owner, {other}::text AS other FROM {model_of(label, apps)._meta.db_table})
            AS found ON found.owner = last.owner AND found.other = last.other
        WHERE last.owner IS NULL OR found.owner IS NULL
        ORDER BY 1, 2 LIMIT %(named)s
    """
    given = {"name": name, "owner": owner, "begin": f'{{"{name}":', "named": _NAMED}
    for record, end, is_there in _ask(statement, given):
        said = "are there, and the trail does not tell of it" if is_there else "are gone, and the trail tells otherwise"
        yield f"{owner} {record}: {name} {end} {said}."


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if value is not None else "empty"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _ask(sql: str, given: dict[str, Any] | None = None) -> list[Any]:
    """Ask so that values read as entries write them, whatever the session's settings are."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
        cursor.execute(sql, given)
        rows: list[Any] = cursor.fetchall()
        return rows

"""Migration operations: put a table under the trail, and make a table append-only.

`Track` writes SQL for the columns that the model has at that point of the migrations. When a tracked model gets or
loses a column, `manage.py check` asks for a migration with another `Track` (CONTRIBUTING.md, "Add a column").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.apps.registry import Apps
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from audit.rules import TRACKED, Tracked

REDACTED = "•••"
MIGRATION = "audit.migration"  # the kind of the entries that tell what a migration did to columns
_MIGRATION = """
    INSERT INTO audit_auditentry (
        at, entity_type, entity_id, action, changes, user_id, user_name, user_role, on_behalf_of, channel,
        ip_address, request_id, import_batch, reason
    ) SELECT
        told.at, %s, %s, 'created', %s, told.user_id, told.user_name, told.user_role, told.on_behalf_of, told.channel,
        told.ip_address, told.request_id, told.import_batch, told.reason
    FROM audit_circumstances() AS told
"""
_QUOTED_NOTHING = "''"


class Track(Operation):
    """Have statement-level triggers write the trail of a model, and its history rows where it has a history model.

    `columns` are the model's own, written down so that the check needs no database and no replay of migrations. What
    the migration did to them since the last `Track` is told in one entry, so that `verify_audit` can still compare
    records with entries: which columns were `added` (with what they hold now, where that is the same everywhere),
    `filled` by a statement that no trigger saw, `renamed` (from → to) or `dropped`. A trail is not taken back: undoing
    a later `Track` would leave the table without any.
    """

    reversible = False
    atomic = True

    def __init__(
        self,
        label: str,
        columns: list[str],
        *,
        added: Sequence[str] = (),
        filled: Sequence[str] = (),
        renamed: Mapping[str, str] | None = None,
        dropped: Sequence[str] = (),
    ) -> None:
        self.label, self.columns = label.lower(), columns
        self.added, self.filled, self.renamed, self.dropped = added, filled, renamed or {}, dropped

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Triggers are no part of Django's state."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, _from: ProjectState, to_state: ProjectState
    ) -> None:
        if self.label not in TRACKED:
            return  # a later migration removes the table, and its trail with it
        model = model_of(self.label, to_state.apps)
        if sorted(columns_of(model)) != sorted(self.columns):
            raise ValueError(f"Track({self.label!r}) lists other columns than the model has here: {columns_of(model)}")
        schema_editor.execute(trigger_function(model))
        schema_editor.execute(triggers(model))
        if self.added or self.filled or self.renamed or self.dropped:
            self._tell(model, schema_editor.connection)

    def _tell(self, model: Any, connection: BaseDatabaseWrapper) -> None:
        """Leave the migration's entry, if the trail has told anything of these records before."""
        added, filled = {}, list(self.filled)
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM audit_auditentry WHERE entity_type = %s)", [self.label])
            if not cursor.fetchone()[0]:
                return
            for field in recorded(model):
                if field.column in self.added:
                    cursor.execute(f"SELECT DISTINCT {_json(field, 'n')} FROM {model._meta.db_table} n LIMIT 2")
                    held = [value for (value,) in cursor.fetchall()]
                    is_told = field.column not in TRACKED[self.label].redacted
                    if len(held) > 1 or not is_told:
                        filled.append(field.column)
                    else:
                        added[field.column] = json.loads(held[0]) if held and held[0] else None
            told = {"added": added, "filled": filled, "renamed": dict(self.renamed), "dropped": list(self.dropped)}
            changes = json.dumps({name: value for name, value in told.items() if value}, ensure_ascii=False)
            cursor.execute(_MIGRATION, [MIGRATION, self.label, changes])

    def describe(self) -> str:
        return f"Track every change of {self.label}"


class AppendOnly(Operation):
    """Refuse every change of the rows of a model, whoever asks."""

    reversible = True
    atomic = True

    def __init__(self, label: str) -> None:
        self.label = label.lower()

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Triggers are no part of Django's state."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, _from: ProjectState, to_state: ProjectState
    ) -> None:
        table = to_state.apps.get_model(self.label)._meta.db_table
        schema_editor.execute(f"""
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
            ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only;
        """)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, _to: ProjectState
    ) -> None:
        table = from_state.apps.get_model(self.label)._meta.db_table
        schema_editor.execute(f"DROP TRIGGER append_only ON {table}")

    def describe(self) -> str:
        return f"Make {self.label} append-only"


# The SQL -------------------------------------------------------------------------------------------------------------
def model_of(label: str, apps: Apps) -> Any:
    """Find a model by its label, the tables between two models included."""
    return next(model for model in apps.get_models(include_auto_created=True) if model._meta.label_lower == label)


def columns_of(model: Any) -> list[str]:
    """Name the columns that the trail tells of: all but generated ones."""
    return [field.column for field in model._meta.concrete_fields if not field.generated]


def function_name(model: Any) -> str:
    return f"audit_of_{model._meta.db_table}"


def triggers(model: Any) -> str:
    """Write the triggers that call a model's function; each kind of statement needs its own."""
    table, function = model._meta.db_table, function_name(model)
    made = [
        f"DROP TRIGGER IF EXISTS trail_{verb} ON {table};"
        f"CREATE TRIGGER trail_{verb} AFTER {verb} ON {table} REFERENCING {rows} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}();"
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER trail_{verb};"
        for verb, rows in (
            ("insert", "NEW TABLE AS new_rows"),
            ("update", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
            ("delete", "OLD TABLE AS old_rows"),
        )
    ]
    made.append(
        f"DROP TRIGGER IF EXISTS trail_truncate ON {table};"
        f"CREATE TRIGGER trail_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();"
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER trail_truncate;"
    )
    return "\n".join(made)


def trigger_function(model: Any) -> str:
    """Write the function that turns the changed rows of one statement into entries and history rows.

    - SECURITY DEFINER: the application itself may not write there. Nobody may call it: no forgery.
    - Nested loops are off: the plan is kept for the session, and one made for a single row would take hours for many.
    - A key that was changed reads as one record deleted and another created.
    """
    meta, tracked = model._meta, TRACKED[model._meta.label_lower]
    key, name = meta.pk.column, function_name(model)
    fields = recorded(model)
    told_of = [field for field in fields if field.column not in tracked.ignored]
    entity, history = _entity(meta.label_lower, key, tracked), _history(model)
    created, deleted = ("'changed'", "'changed'") if tracked.link else ("'created'", "'deleted'")

    def came(source: str) -> str:
        told = _insert(entity("n"), created, _whole(fields, tracked, "n"), _worth_telling(tracked, "n", source))
        return told + history("n", "+", source)

    def went(source: str) -> str:
        told = _insert(entity("o"), deleted, _whole(fields, tracked, "o"), _worth_telling(tracked, "o", source))
        return told + history("o", "-", source)

    pairs = _pairs(told_of, key)
    if tracked.link:  # another end, or another owner: one link went, another came
        changed = went(pairs) + came(pairs)
    else:
        told = _worth_telling(tracked, "on", pairs)
        changed = _insert(entity("n"), "'changed'", _differences(told_of, tracked), told)
        changed += history("n", "~", pairs)
    return f"""
        CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO'
        SET enable_nestloop = off AS $trail$
        DECLARE
            told audit_circumstances := audit_circumstances();
        BEGIN
            {_bounds(model, tracked)}
            IF TG_OP = 'INSERT' THEN
                {came("new_rows n")}
            ELSIF TG_OP = 'DELETE' THEN
                {went("old_rows o")}
            ELSE
                {changed}
                IF EXISTS (SELECT FROM new_rows n LEFT JOIN old_rows o USING ({key}) WHERE o.{key} IS NULL) THEN
                    {went(_unmatched("o", "n", key))}
                    {came(_unmatched("n", "o", key))}
                END IF;
            END IF;
            RETURN NULL;
        END $trail$;
        REVOKE ALL ON FUNCTION {name}() FROM PUBLIC;
    """


def _bounds(model: Any, tracked: Tracked) -> str:
    """Refuse values of untold columns with which something could be held up unseen."""
    bounds = {column: bound for column, bound in sorted(tracked.ignored.items()) if bound}
    if not bounds:
        return ""
    broken = " OR ".join(f"({bound}) IS FALSE" for bound in bounds.values())
    return f"""IF TG_OP <> 'DELETE' THEN
                IF EXISTS (SELECT FROM new_rows n WHERE {broken}) THEN
                    RAISE EXCEPTION '{", ".join(bounds)} of {model._meta.db_table} lies further ahead than it may.'
                        USING ERRCODE = 'check_violation';
                END IF;
            END IF;"""


def recorded(model: Any) -> list[Any]:
    """The fields that the trail tells of, in an order that is the same for a model and for its state in a migration."""
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    return sorted(fields, key=lambda field: str(field.column))


def _pairs(fields: list[Any], key: str) -> str:
    """Each record before and after, where these fields differ; in their order, so that entries come in it too."""
    old, new = (", ".join(f'{side}."{field.column}"' for field in fields) for side in ("o", "n"))
    return f"old_rows o JOIN new_rows n USING ({key}) WHERE ROW({old}) IS DISTINCT FROM ROW({new}) ORDER BY n.{key}"


def _unmatched(one: str, other: str, key: str) -> str:
    rows = {"o": "old_rows", "n": "new_rows"}
    return f"{rows[one]} {one} LEFT JOIN {rows[other]} {other} USING ({key}) WHERE {other}.{key} IS NULL"


def _entity(label: str, key: str, tracked: Tracked) -> Callable[[str], str]:
    kind, column = tracked.link[:2] if tracked.link else (label, key)
    return lambda side: f"'{kind}', {side}.{column}::text"


def _worth_telling(tracked: Tracked, sides: str, source: str) -> str:
    """Of a source, the rows that are told of as they were or as they are."""
    if not tracked.when:
        return source
    when = " OR ".join(tracked.when.format(row=side) for side in sides)
    rows, by, order = source.partition(" ORDER BY ")
    return f"{rows} {'AND' if ' WHERE ' in rows else 'WHERE'} ({when}){by}{order}"


def _insert(entity: str, action: str, changes: str, source: str) -> str:
    return f"""INSERT INTO audit_auditentry (
                    at, entity_type, entity_id, action, changes, user_id, user_name, user_role, on_behalf_of, channel,
                    ip_address, request_id, import_batch, reason
                ) SELECT
                    told.at, {entity}, {action}, {changes}, told.user_id, told.user_name, told.user_role,
                    told.on_behalf_of, told.channel, told.ip_address, told.request_id, told.import_batch, told.reason
                FROM {source};"""


# The changes are put together as text: that takes a fifth of the time of jsonb_build_object.
def _whole(fields: list[Any], tracked: Tracked, side: str) -> str:
    """All that a record was; of a link, only that its other end came or went."""
    if tracked.link is None:
        return values_of(fields, tracked, side)
    _, _, link, other = tracked.link
    if side == "n":
        return f"""'{{"{link}":[null,' || n.{other} || ']}}'"""
    return f"""'{{"{link}":[' || o.{other} || ',null]}}'"""


def values_of(fields: list[Any], tracked: Tracked, side: str) -> str:
    """The values of a record as JSON, without the empty ones: concat_ws leaves out what is NULL.

    Of nullable text, '' and NULL read alike; of ours none is nullable.
    """
    pairs = [
        f"""'"{field.column}":' || {_json(field, side, is_empty_null=True)}"""
        for field in fields
        if field.column not in tracked.redacted
    ]
    return f"'{{' || concat_ws(',', {', '.join(pairs)}) || '}}'"


def _differences(fields: list[Any], tracked: Tracked) -> str:
    """What differs between two states of a record, as JSON."""
    pairs = []
    for field in fields:
        if field.column in tracked.redacted:
            told = f"""'["{REDACTED}","{REDACTED}"]'"""
        else:
            old, new = (f"coalesce({_json(field, side)}, 'null')" for side in ("o", "n"))
            told = f"'[' || {old} || ',' || {new} || ']'"
        pairs.append(
            f"""CASE WHEN o."{field.column}" IS DISTINCT FROM n."{field.column}" """
            f"""THEN '"{field.column}":' || {told} END"""
        )
    return f"'{{' || concat_ws(',', {', '.join(pairs)}) || '}}'"


def _json(field: Any, side: str, *, is_empty_null: bool = False) -> str:
    """A column's value as JSON text, NULL where it is null (or empty)."""
    column = f'{side}."{field.column}"'
    kind = field.target_field if isinstance(field, models.ForeignKey) else field
    if isinstance(kind, (models.CharField, models.TextField)):
        return f"to_json({f'nullif({column}, {_QUOTED_NOTHING})' if is_empty_null else column})::text"
    if isinstance(kind, models.BooleanField):
        return f"nullif({column}, false)::text" if is_empty_null else f"{column}::text"
    if isinstance(kind, models.IntegerField):
        return f"{column}::text"
    if isinstance(kind, (models.DecimalField, models.DateField, models.UUIDField)) and not isinstance(
        kind, models.DateTimeField
    ):
        return f"""'"' || {column}::text || '"'"""
    if isinstance(kind, ArrayField):
        return f"to_json({column}::text[])::text"
    return f"to_json({column})::text"


def history_of(model: Any) -> Any:
    """The history model of a model; None where it has none."""
    try:
        return model._meta.apps.get_model(model._meta.app_label, f"historical{model._meta.model_name}")
    except LookupError:
        return None


def _history(model: Any) -> Callable[[str, str, str], str]:
    """The statement that copies rows into the history model, where there is one."""
    past = history_of(model)
    if past is None:
        return lambda *_: ""
    copied = [field.column for field in recorded(model)]
    columns = ", ".join(f'"{column}"' for column in copied)

    def insert(side: str, kind: str, source: str) -> str:
        return f"""INSERT INTO {past._meta.db_table} (
                    {columns}, history_date, history_type, history_user_id, history_change_reason
                ) SELECT {", ".join(f'{side}."{column}"' for column in copied)}, told.at, '{kind}', told.user_id,
                    nullif(told.reason, '')
                FROM {source};"""

    return insert

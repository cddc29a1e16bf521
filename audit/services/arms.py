"""Whether the trail is armed: the triggers, their functions and the rights that the migrations made are in force."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from django.apps import apps
from django.db import connection
from simple_history.models import HistoricalChanges

from audit.models import AuditEntry, Seal
from audit.operations import function_name, model_of, trigger_function
from audit.rules import TRACKED

# Of pg_trigger.tgtype, for triggers per statement: before 2, insert 4, delete 8, update 16, truncate 32.
_TRAIL = {"trail_insert": 4, "trail_update": 16, "trail_delete": 8}
_REFUSES_TRUNCATE, _REFUSES_ALL = 2 + 32, 2 + 8 + 16 + 32
_REFUSE = "audit_refuse"

_FUNCTION = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION (\w+)\((.*?)AS (\$\w*\$)(.*?)\3", re.DOTALL)
_PATH = "search_path=pg_catalog, public, pg_temp"

_TRIGGERS = """
    SELECT relname, tgname, proname, tgtype, tgenabled = 'A' AND tgqual IS NULL AND tgattr::text = ''
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE NOT tgisinternal AND relnamespace = 'public'::regnamespace AND pronamespace = relnamespace
"""
_FUNCTIONS = """
    SELECT proname, prosrc, prosecdef, coalesce(proconfig, '{}')
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'audit%'
"""
_WRITABLE = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relname = ANY(%s) AND (
        pg_has_role(relowner, 'MEMBER') OR has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
        OR has_any_column_privilege(oid, 'INSERT, UPDATE')
        OR EXISTS (
            SELECT FROM pg_depend JOIN pg_class numbers ON numbers.oid = objid
            WHERE refobjid = pg_class.oid AND deptype = 'i'
                AND CASE numbers.relkind WHEN 'S' THEN has_sequence_privilege(objid, 'USAGE, UPDATE') END
        )
    )
"""
# With one of these somebody could have a trigger of their own write entries.
_CALLABLE = """
    SELECT proname FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND starts_with(proname, 'audit_of_')
        AND has_function_privilege(oid, 'EXECUTE')
"""
# What could swallow or hide a row.
_DIVERTED = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relname = ANY(%s) AND (relhasrules OR relrowsecurity)
"""


def disarmed() -> Iterator[str]:
    """Say what is missing, changed or open that should keep the trail whole."""
    histories = [model for model in apps.get_models() if issubclass(model, HistoricalChanges)]
    tables = [AuditEntry._meta.db_table, Seal._meta.db_table, *(model._meta.db_table for model in histories)]
    yield from _triggers(tables)
    yield from _functions()
    for (table,) in _ask(_WRITABLE, [tables]):
        yield f"The application may do more with {table} than read it (setup_database_roles takes it away)."
    for (function,) in _ask(_CALLABLE):
        yield f"The application may call {function}, and so write entries of its own."
    for (table,) in _ask(_DIVERTED, [tables]):
        yield f"Rules or row security of {table} can swallow or hide rows."


def _triggers(protected: list[str]) -> Iterator[str]:
    wanted: dict[tuple[str, str], tuple[Any, ...]] = {
        (table, "append_only"): (_REFUSE, _REFUSES_ALL, True) for table in protected
    }
    for model in (model_of(label, apps) for label in TRACKED):
        table = model._meta.db_table
        wanted[table, "trail_truncate"] = (_REFUSE, _REFUSES_TRUNCATE, True)
        wanted |= {(table, trigger): (function_name(model), kind, True) for trigger, kind in _TRAIL.items()}
    there = {(table, trigger): tuple(how) for table, trigger, *how in _ask(_TRIGGERS)}
    for (table, trigger), how in wanted.items():
        if (table, trigger) not in there:
            yield f"The trigger {trigger} of {table} is missing."
        elif there[table, trigger] != how:
            yield f"The trigger {trigger} of {table} was changed, or does not always fire."
    for table, trigger in there.keys() - wanted.keys():
        if table in protected:
            yield f"The trigger {trigger} of {table} is none of ours."


def _functions() -> Iterator[str]:
    there = defaultdict(list)
    for name, *how in _ask(_FUNCTIONS):
        there[name].append(how)
    for name, how in _functions_made().items():
        if there[name] == []:
            yield f"The function {name} is missing."
        elif [(source, definer, _PATH in config) for source, definer, config in there[name]] != [how]:
            yield f"The function {name} was changed."


def _functions_made() -> Mapping[str, tuple[str, bool, bool]]:
    """Every function as the migrations make it: its text, whether it acts as its owner, whether its names are safe."""
    texts = [import_module("audit.migrations.0002_trail").FUNCTIONS]
    texts += [trigger_function(model_of(label, apps)) for label in TRACKED]
    return {
        name: (source, "SECURITY DEFINER" in head, "SET search_path" in head)
        for text in texts
        for name, head, _, source in _FUNCTION.findall(text)
    }


def _ask(sql: str, parameters: list[Any] | None = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[Any] = cursor.fetchall()
        return rows

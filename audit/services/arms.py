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
from audit.rules import NUMBERED_BY_HAND, TRACKED, rights_of

# Of pg_trigger.tgtype, for triggers per statement: before 2, insert 4, delete 8, update 16, truncate 32.
_TRAIL = {"trail_insert": 4, "trail_update": 16, "trail_delete": 8}
_REFUSES_TRUNCATE, _REFUSES_ALL = 2 + 32, 2 + 8 + 16 + 32
_REFUSE = "audit_refuse"

_MIGRATIONS = ("0002_trail", "0003_nothing_is_held_up_unseen")
_FUNCTION = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION (\w+)\((.*?)AS (\$\w*\$)(.*?)\3", re.DOTALL)
_PATH = "search_path=pg_catalog, public, pg_temp"

# Whatever is neither PostgreSQL's own nor of an extension, nor gone with a session.
_NOT_OURS = "NOT {0} IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_' OR nspname = 'information_schema')"
_NAME = (
    "CASE {0}.{1}namespace WHEN 'public'::regnamespace THEN '' ELSE {0}.{1}namespace::regnamespace || '.' END"
    " || {0}.{1}name"
)
_TRIGGERS = f"""
    SELECT {_NAME.format("pg_class", "rel")}, tgname, {_NAME.format("pg_proc", "pro")}, tgtype,
        tgenabled = 'A' AND tgqual IS NULL AND tgattr::text = ''
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE NOT tgisinternal
"""
_FUNCTIONS = f"""
    SELECT {_NAME.format("pg_proc", "pro")}, prosrc, prosecdef, coalesce(proconfig, '{{}}')
    FROM pg_proc WHERE {_NOT_OURS.format("pronamespace")}
        AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'
        )
"""
# What could swallow, change or hide a row, or do something else instead.
_STRANGE = f"""
    SELECT format('The rule %s of %s', rulename, ev_class::regclass)
    FROM pg_rewrite JOIN pg_class ON pg_class.oid = ev_class
    WHERE rulename <> '_RETURN' AND {_NOT_OURS.format("relnamespace")}
    UNION ALL SELECT format('The policy %s of %s', polname, polrelid::regclass) FROM pg_policy
    UNION ALL SELECT format('The row security of %s', oid::regclass) FROM pg_class WHERE relrowsecurity
    UNION ALL SELECT format('The event trigger %s', evtname) FROM pg_event_trigger
    UNION ALL SELECT format('The setting %s of %s', split_part(one, '=', 1), coalesce(rolname, 'every role'))
    FROM pg_db_role_setting CROSS JOIN unnest(setconfig) AS one LEFT JOIN pg_roles ON pg_roles.oid = setrole
    WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND (setrole = 0 OR rolname = current_user)
        AND split_part(one, '=', 1) IN ('clearance.context', 'search_path', 'session_replication_role')
"""
_MORE_OF_A_ROLE = """
    SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls
        OR EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid)
    FROM pg_roles WHERE rolname = current_user
"""
_MAY = """
    SELECT relname, array_agg(may) FROM pg_class CROSS JOIN LATERAL (
        SELECT may FROM unnest('{INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER}'::text[]) AS may
        WHERE CASE WHEN may IN ('INSERT', 'UPDATE') THEN has_any_column_privilege(oid, may)
            ELSE has_table_privilege(oid, may) END
        UNION ALL SELECT 'own' WHERE pg_has_role(relowner, 'MEMBER')
        UNION ALL SELECT 'number' FROM pg_depend JOIN pg_class numbers ON numbers.oid = objid
        WHERE refobjid = pg_class.oid AND deptype = 'i'
            AND CASE numbers.relkind WHEN 'S' THEN has_sequence_privilege(objid, 'USAGE, UPDATE') END
    ) AS rights
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') GROUP BY relname
"""
# With one of these somebody could have a trigger of their own write entries.
_CALLABLE = """
    SELECT proname FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND has_function_privilege(oid, 'EXECUTE')
        AND proname NOT IN ('audit_record_denial', 'audit_append_seal')
"""


def disarmed() -> Iterator[str]:
    """Say what is missing, changed, open or none of ours that should keep the trail whole."""
    histories = [model for model in apps.get_models() if issubclass(model, HistoricalChanges)]
    yield from _triggers([AuditEntry._meta.db_table, Seal._meta.db_table, *(one._meta.db_table for one in histories)])
    yield from _functions()
    yield from _rights()
    for (what,) in _ask(_STRANGE):
        yield f"{what} is none of ours."


def _rights() -> Iterator[str]:
    """What the application may do beyond `audit/rules.py`."""
    known = {}
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.proxy:
            label = model._meta.label_lower
            known[model._meta.db_table] = rights_of(label) + (", number" if label in NUMBERED_BY_HAND else "")
    for table, found in _ask(_MAY):
        if more := set(found) - set(known.get(table, "").split(", ")):
            yield (
                f"The application may do more with {table} than it should: {', '.join(sorted(more))}"
                " (setup_database_roles takes it away)."
            )
    for (function,) in _ask(_CALLABLE):
        yield f"The application may call {function}, and so write entries of its own."
    if _ask(_MORE_OF_A_ROLE) != [(False,)]:
        yield "The application's role is a member of others, or has an attribute that it does not need."


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
    for table, trigger in sorted(there.keys() - wanted.keys()):
        yield f"The trigger {trigger} of {table} is none of ours."


def _functions() -> Iterator[str]:
    there, made = defaultdict(list), _functions_made()
    for name, *how in _ask(_FUNCTIONS):
        there[name].append(how)
    for name, how in made.items():
        if there[name] == []:
            yield f"The function {name} is missing."
        elif [(source, definer, _PATH in config) for source, definer, config in there[name]] != [how]:
            yield f"The function {name} was changed."
    for name in sorted(there.keys() - made.keys()):
        yield f"The function {name} is none of ours."


def _functions_made() -> Mapping[str, tuple[str, bool, bool]]:
    """Every function as the migrations make it: its text, whether it acts as its owner, whether its names are safe."""
    texts = [import_module(f"audit.migrations.{name}").FUNCTIONS for name in _MIGRATIONS]
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

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import DatabaseError, connections, transaction

from accounts.models import Division
from audit.models import AuditEntry, Seal
from audit.operations import function_name, model_of
from audit.rules import TRACKED
from audit.tests import trails
from clearance import context
from shipments.models import Shipment

pytestmark = pytest.mark.django_db(databases=["default", "owner"])

FORBIDDEN = "42501"
GARBLED = "22P02"

# Tables that nobody rewrites, with their key and another column.
PROTECTED = {
    AuditEntry._meta.db_table: ("id", "reason"),
    Seal._meta.db_table: ("number", "root"),
    "shipments_historicalshipment": ("history_id", "vessel"),
    "workflow_historicalworkflowstep": ("history_id", "note"),
}
CHANGES = {
    "UPDATE": "UPDATE {table} SET {column} = {column}",
    "DELETE": "DELETE FROM {table}",
    "TRUNCATE": "TRUNCATE {table}",
    "ON CONFLICT": "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET {column} = ''",
    "MERGE": "MERGE INTO {table} t USING {table} o ON t.{key} = o.{key} WHEN MATCHED THEN DELETE",
}
ATTEMPTS = CHANGES | {
    "INSERT": "INSERT INTO {table} SELECT * FROM {table}",
    "SELECT FOR UPDATE": "SELECT 1 FROM {table} FOR UPDATE",
    "LOCK": "LOCK TABLE {table} IN EXCLUSIVE MODE",
    "disabling the triggers": "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "disabling ours": "ALTER TABLE {table} DISABLE TRIGGER append_only",
    "dropping the trigger": "DROP TRIGGER append_only ON {table}",
    "dropping the table": "DROP TABLE {table} CASCADE",
    "dropping a column": "ALTER TABLE {table} DROP COLUMN {column}",
    "renaming the table": "ALTER TABLE {table} RENAME TO gone",
    "taking the table over": "ALTER TABLE {table} OWNER TO CURRENT_USER",
    "a rule": "CREATE RULE forget AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "a policy": "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    "a trigger that swallows": "CREATE TRIGGER swallow BEFORE INSERT ON {table}"
    " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
}
# Ways around that are about no table in particular.
DETOURS = {
    "the replication role": "SET session_replication_role = replica",
    "the owner's role": "SET ROLE {owner}",
    "the owner's session": "SET SESSION AUTHORIZATION {owner}",
    "a function of the trail": "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NULL; END'",
    "a function instead of the trail's": "DROP FUNCTION audit_refuse() CASCADE",
    "a function that is found first": "CREATE FUNCTION public.left(text, int) RETURNS text LANGUAGE sql AS 'SELECT $1'",
    "other rights of a function": "ALTER FUNCTION audit_record_denial(text, text, jsonb) SECURITY INVOKER",
    "the schema": "DROP SCHEMA public CASCADE",
    "a schema of one's own": "CREATE SCHEMA mine",
    "a table that inherits": "CREATE TABLE forged () INHERITS (audit_auditentry)",
    "the next number": "SELECT nextval(pg_get_serial_sequence('audit_auditentry', 'id'))",
    "another number": "SELECT setval(pg_get_serial_sequence('audit_auditentry', 'id'), 1)",
    "numbers from the start": "ALTER TABLE audit_auditentry ALTER COLUMN id RESTART",
    "the list of migrations": "DELETE FROM django_migrations WHERE app = 'audit'",
    "the catalogue": "UPDATE pg_trigger SET tgenabled = 'D'",
}


def do(statement: str, using: str) -> None:
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(statement)


def state_of(verb: Callable[[], Any]) -> str | None:
    """The SQL state with which the database refuses, if it does."""
    try:
        verb()
    except psycopg.Error as error:  # from a COPY
        return error.sqlstate
    except DatabaseError as error:
        return error.__cause__.sqlstate
    return None


@pytest.fixture
def protected(request) -> dict[str, str]:
    key, column = PROTECTED[request.param]
    return {"table": request.param, "key": key, "column": column}


@pytest.mark.parametrize("protected", PROTECTED, indirect=True)
class TestTheApplication:
    @pytest.mark.parametrize("way", ATTEMPTS)
    def test_changes_nothing_there(self, protected, way):
        assert state_of(lambda: do(ATTEMPTS[way].format(**protected), "default")) == FORBIDDEN

    def test_copies_nothing_in(self, protected):
        def copy() -> None:
            with (
                transaction.atomic(),
                connections["default"].cursor() as cursor,
                cursor.copy("COPY {table} FROM STDIN".format(**protected)),
            ):
                pass

        assert state_of(copy) == FORBIDDEN

    def test_reads_it(self, protected):
        assert state_of(lambda: do("SELECT count(*) FROM {table}".format(**protected), "default")) is None


class TestTheApplicationFindsNoWayAround:
    @pytest.mark.parametrize("way", DETOURS)
    def test_by(self, way):
        owner = connections["owner"].settings_dict["USER"]

        assert state_of(lambda: do(DETOURS[way].format(owner=owner), "default")) == FORBIDDEN

    def test_by_a_forged_entry(self):
        with pytest.raises(DatabaseError), transaction.atomic():
            AuditEntry.objects.create(at="2026-03-15T12:00Z", entity_type="shipments.shipment", changes={})

    @pytest.mark.parametrize("label", TRACKED)
    def test_by_a_tables_trigger_function(self, label):
        """Neither on a table of one's own, which could claim anything, nor by hand."""
        table, function = model_of(label, apps)._meta.db_table, function_name(model_of(label, apps))
        own = (
            f"CREATE TEMP TABLE forged AS SELECT * FROM {table};"
            f"CREATE TRIGGER forge AFTER INSERT ON forged REFERENCING NEW TABLE AS new_rows"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )

        assert state_of(lambda: do(own, "default")) == FORBIDDEN
        assert state_of(lambda: do(f"SELECT {function}()", "default")) == FORBIDDEN

    @pytest.mark.parametrize("label", TRACKED)
    def test_by_emptying_what_is_tracked(self, label):
        table = model_of(label, apps)._meta.db_table

        assert state_of(lambda: do(f"TRUNCATE {table} CASCADE", "default")) == FORBIDDEN
        assert state_of(lambda: do(f"ALTER TABLE {table} DISABLE TRIGGER ALL", "default")) == FORBIDDEN
        assert state_of(lambda: do(f"DROP TRIGGER trail_update ON {table}", "default")) == FORBIDDEN

    def test_by_tables_and_functions_that_are_found_first(self):
        with trails.written() as entries:
            do(
                """
                CREATE TEMP TABLE audit_auditentry (LIKE public.audit_auditentry);
                CREATE FUNCTION pg_temp.audit_circumstances() RETURNS public.audit_circumstances
                    LANGUAGE sql AS 'SELECT NULL::public.audit_circumstances';
                SET search_path = pg_temp, public;
                INSERT INTO public.accounts_division (code, name) VALUES ('NEW', 'New');
                SET search_path = public;
                DROP TABLE pg_temp.audit_auditentry;
                """,
                "default",
            )

        assert [(entry.action, entry.changes["code"]) for entry in entries] == [("created", "NEW")]


class TestTheOwner:
    @pytest.mark.parametrize("protected", PROTECTED, indirect=True)
    @pytest.mark.parametrize("way", CHANGES)
    def test_changes_nothing_there_either(self, protected, way):
        assert state_of(lambda: do(CHANGES[way].format(**protected), "owner")) == FORBIDDEN

    @pytest.mark.parametrize("protected", PROTECTED, indirect=True)
    @pytest.mark.parametrize("way", CHANGES)
    def test_nor_as_a_replica(self, protected, way):
        statement = f"SET LOCAL session_replication_role = replica; {CHANGES[way]}"

        assert state_of(lambda: do(statement.format(**protected), "owner")) == FORBIDDEN

    @pytest.mark.parametrize("label", TRACKED)
    def test_empties_nothing_that_is_tracked(self, label):
        table = model_of(label, apps)._meta.db_table

        assert state_of(lambda: do(f"TRUNCATE {table} CASCADE", "owner")) == FORBIDDEN

    def test_writes_under_the_trail_too(self):
        before = self.count()

        with connections["owner"].cursor() as cursor:
            cursor.execute("INSERT INTO accounts_division (code, name) VALUES ('OWN', 'Own')")

        assert self.count() == before + 1

    def count(self) -> int:
        return AuditEntry.objects.using("owner").filter(channel="system", entity_type="accounts.division").count()


class TestAForgedContext:
    @pytest.mark.parametrize(
        "told", ["{", "nonsense", '{"user_id": "x"}', '{"ip_address": "300.1.1.1"}', '{"reason": "\\u0000"}']
    )
    def test_refuses_the_write_rather_than_record_nonsense(self, told):
        def write() -> None:
            with transaction.atomic(), connections["default"].cursor() as cursor:
                cursor.execute("SELECT set_config('clearance.context', %s, true)", [told])
                cursor.execute("INSERT INTO accounts_division (code, name) VALUES ('NEW', 'New')")

        assert state_of(write) in (GARBLED, "22P05")
        assert not Division.objects.filter(code="NEW").exists()

    def test_that_is_too_long_is_cut(self):
        with context.acting(channel="admin"), context.remarking(reason="why " * 1000), trails.written() as entries:
            Division.objects.create(code="NEW", name="New")

        assert len(entries[0].reason) == 500

    def test_that_was_reset_is_the_system(self, shipment):
        with context.acting(channel="admin"), trails.written() as entries:
            Shipment.objects.update(vessel="Sea Star")
            do("RESET ALL", "default")
            Shipment.objects.update(vessel="Moon Star")

        assert [entry.channel for entry in entries] == ["admin", "system"]

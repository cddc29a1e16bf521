"""Give the application's role what it needs in the database, and nothing of what the trail forbids (C22)."""

from __future__ import annotations

from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections, transaction
from psycopg import sql

# What the application may only read; its functions are the only way to add to it.
_PROTECTED = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only'"
_FUNCTIONS = ("audit_record_denial(text, text, jsonb)", "audit_append_seal(audit_seal)")

_GRANTS = """
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO {role};
    GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};
    REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role};
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, {role};
    REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {role}
"""


class Command(BaseCommand):
    help = (
        "Make the application's role (DATABASE_URL) if it is missing, and give it its rights. Run it after every"
        " migration, as the owner (DATABASE_OWNER_URL); running it again does no harm."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if "owner" not in settings.DATABASES:
            raise CommandError(
                "Set DATABASE_OWNER_URL to the role that owns the tables; this command signs in with it."
            )
        application, owner = settings.DATABASES["default"], settings.DATABASES["owner"]
        if application["USER"] == owner["USER"]:
            raise CommandError("DATABASE_URL and DATABASE_OWNER_URL name the same role. Give the application its own.")
        with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
            self._make_role(cursor, application["USER"], application["PASSWORD"])
            self._grant(cursor, application["USER"], owner["NAME"])
        self.stdout.write(f"{application['USER']} has its rights: it reads the trail and can't change it.")

    def _make_role(self, cursor: Any, name: str, password: str) -> None:
        if self._can_sign_in():
            return
        cursor.execute("SELECT to_regrole(quote_ident(%s)) IS NOT NULL", [name])
        verb = "ALTER" if cursor.fetchone()[0] else "CREATE"
        statement = sql.SQL(f"{verb} ROLE {{}} LOGIN").format(sql.Identifier(name))
        if password:
            statement += sql.SQL(" PASSWORD {}").format(sql.Literal(password))
        cursor.execute(statement)

    def _can_sign_in(self) -> bool:
        given = connections["default"].get_connection_params()
        try:
            psycopg.connect(**given).close()
        except psycopg.OperationalError:
            return False
        return True

    def _grant(self, cursor: Any, name: str, database: str) -> None:
        role = sql.Identifier(name)
        cursor.execute(sql.SQL(_GRANTS).format(role=role, database=sql.Identifier(database)))
        cursor.execute(_PROTECTED)
        for (table,) in cursor.fetchall():
            cursor.execute(
                sql.SQL(f"REVOKE ALL ON {table} FROM {{role}}; GRANT SELECT ON {table} TO {{role}}").format(role=role)
            )
            cursor.execute(
                "SELECT objid::regclass::text FROM pg_depend WHERE refobjid = %s::regclass AND deptype = 'i'"
                " AND objid IN (SELECT oid FROM pg_class WHERE relkind = 'S')",
                [table],
            )
            for (sequence,) in cursor.fetchall():
                # Reading it tells the sealer where real ids end.
                rights = (
                    f"REVOKE ALL ON SEQUENCE {sequence} FROM {{role}}; GRANT SELECT ON SEQUENCE {sequence} TO {{role}}"
                )
                cursor.execute(sql.SQL(rights).format(role=role))
        for function in _FUNCTIONS:
            cursor.execute(sql.SQL(f"GRANT EXECUTE ON FUNCTION {function} TO {{role}}").format(role=role))

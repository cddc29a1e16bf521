"""Give the application's role what it needs in the database, and nothing of what the trail forbids (C22)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections, transaction
from psycopg import sql

from audit import rules
from audit.operations import model_of

_FUNCTIONS = ("audit_record_denial(text, text, jsonb)", "audit_append_seal(audit_seal)")

_GRANTS = """
    REVOKE ALL ON SCHEMA public FROM PUBLIC, {role};
    GRANT USAGE ON SCHEMA public TO {role};
    REVOKE ALL ON DATABASE {database} FROM {role};
    GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {role};
    REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, {role};
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, {role};
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}
"""
# Large objects belong to whoever makes them, and nobody else can dump them.
_LARGE_OBJECTS = """
    SELECT oid::regprocedure::text, pg_has_role(proowner, 'MEMBER')
    FROM pg_proc WHERE proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import')
        AND has_function_privilege(%s, oid, 'EXECUTE')
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
        for right, what in self._rights():
            cursor.execute(sql.SQL(f"GRANT {right} ON {what} TO {{role}}").format(role=role))
        cursor.execute(_LARGE_OBJECTS, [name])
        left = []
        for function, is_ours in cursor.fetchall():
            if is_ours:
                cursor.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
            else:
                left.append(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC;")
        if left:
            self.stderr.write(
                "Whoever signs in can make large objects, with which the owner's pg_dump fails. Only the server's"
                f" superuser can take that away, in {database}: {' '.join(left)}"
            )

    def _rights(self) -> Iterator[tuple[str, str]]:
        """What the application may besides reading, and with what (`audit/rules.py`)."""
        for model in apps.get_models(include_auto_created=True):
            if model._meta.managed and not model._meta.proxy:
                yield rules.rights_of(model._meta.label_lower), model._meta.db_table
        for label in rules.NUMBERED_BY_HAND:
            yield "USAGE", f"SEQUENCE {model_of(label, apps)._meta.db_table}_id_seq"
        # Reading it tells the sealer where real ids end.
        yield "SELECT", "SEQUENCE audit_auditentry_id_seq"
        yield from (("EXECUTE", f"FUNCTION {function}") for function in _FUNCTIONS)

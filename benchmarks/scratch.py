"""A scratch database on the configured server: made by the product's own migrations, dropped at the end."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import psycopg
from environ import Env
from psycopg import sql

from benchmarks.measure import ROOT, SERVER, part, say
from clearance import embedded


@contextmanager
def database() -> Iterator[psycopg.Connection]:
    """Have a migrated database with a cast; every process started meanwhile takes it for its own.

    The server is DATABASE_OWNER_URL's or DATABASE_URL's, else the embedded one; the settings are a production's, and
    the product acts as its own role. Yield a connection of the owner. BENCH_TEMPLATE names a database that is prepared
    already, to be copied.
    """
    if (ROOT / ".env").exists():
        Env.read_env(ROOT / ".env")
    # By default SIGTERM ends Python at once, and the database would be left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    name = f"clearance_bench_{secrets.token_hex(4)}"
    environment = dict(os.environ)
    with embedded.servers():
        given = os.environ.get("DATABASE_URL")
        server = os.environ.get("DATABASE_OWNER_URL") or given or embedded.database_url(embedded.NAME)
        place, _, query = server.partition("?")
        address = f"{place.rpartition('/')[0]}/{name}" + (query and f"?{query}")
        role = urlsplit(given).username if given and given != server else embedded.APPLICATION
        application = re.sub("(?<=://)[^@:/]+", role or "", address)
        with psycopg.connect(server, autocommit=True) as maintenance:
            template = os.environ.get("BENCH_TEMPLATE")
            _create(maintenance, name, template)
            try:
                os.environ |= _PRODUCTION | {"SECRET_KEY": secrets.token_urlsafe(60)}
                os.environ |= {"DATABASE_URL": application, "DATABASE_OWNER_URL": address}
                say("preparing a scratch database")
                if not template:
                    _migrate()
                part("cast", "take_on", PASSWORD)
                with psycopg.connect(address, autocommit=True) as connection:
                    SERVER["postgresql"] = connection.info.parameter_status("server_version") or ""
                    yield connection
            finally:
                os.environ.clear()
                os.environ.update(environment)
                maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _create(maintenance: psycopg.Connection, name: str, template: str | None) -> None:
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template:
        # Its owner's too: the trail's functions act as the owner, who may enter the schema as that of the database.
        owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = %s"
        for (role,) in maintenance.execute(owner, [template]):
            statement += sql.SQL(f" TEMPLATE {{}} OWNER {role}").format(sql.Identifier(template))
    maintenance.execute(statement)


def _migrate() -> None:
    """:raises RuntimeError: with what the migrations had to say."""
    command = [sys.executable, "-m", "clearance.prepare"]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)


PASSWORD = f"Dhow-{secrets.token_urlsafe(16)}-7"  # of the cast's clerk
_PRODUCTION = {
    "DEBUG": "0",
    "DEMO": "0",
    "ALLOWED_HOSTS": "127.0.0.1",
    "TRUSTED_PROXY_COUNT": "1",
    "RATE_LIMIT_PER_MINUTE": "0",  # one person asks more in a second than is allowed in a minute
}


WRITTEN = ("shipments_shipment", "workflow_workflowstep", "alerts_alert", "outbox_message", "outbox_attachment")
TRAIL = ("audit_auditentry", "shipments_historicalshipment", "workflow_historicalworkflowstep")


def empty(connection: psycopg.Connection, *tables: str) -> None:
    """Take out every shipment (or what the tables hold) with its trail, and let the disk rest, for a fair start."""
    emptied = (*(tables or WRITTEN), "accounts_ticket", *TRAIL)  # tickets refer to mails
    with untracked(connection, *emptied):
        connection.execute(f"TRUNCATE {', '.join(emptied)} RESTART IDENTITY CASCADE")
    settle(connection)


@contextmanager
def untracked(connection: psycopg.Connection, *tables: str) -> Iterator[None]:
    """Have the tables without the trail's triggers, which only their owner can do."""
    triggers = connection.execute(
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger"
        " WHERE (tgname = 'append_only' OR tgname LIKE 'trail_%%') AND tgrelid = ANY(%s::regclass[])",
        [list(tables or WRITTEN)],
    ).fetchall()
    for table, trigger in triggers:
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
    try:
        yield
    finally:
        for table, trigger in triggers:
            connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")


def let_read(connection: psycopg.Connection, table: str) -> None:
    """Let the product's role read a table that a benchmark has made: it may read no other than the product's."""
    role = urlsplit(os.environ["DATABASE_URL"]).username or ""
    connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(table), sql.Identifier(role)))


@contextmanager
def as_owner() -> Iterator[None]:
    """Have the parts started meanwhile act as the owner: other ways than ours write the history themselves."""
    application = os.environ["DATABASE_URL"]
    os.environ["DATABASE_URL"] = os.environ["DATABASE_OWNER_URL"]
    try:
        yield
    finally:
        os.environ["DATABASE_URL"] = application


def settle(connection: psycopg.Connection) -> None:
    """Let the planner know the tables and the disk rest, as after a quiet night."""
    connection.execute("VACUUM ANALYZE")
    with suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("CHECKPOINT")


# ETAs over three years up to two months on.
SPREAD = "current_date + 60 - (i::bigint * 7919 %% 1155)::int"


def fill(
    connection: psycopg.Connection,
    number: int,
    *,
    with_steps: bool,
    eta: str = SPREAD,
    done: str = "offset_days < -1",
    days_late: str = "0",
) -> None:
    """Have so many active shipments; `eta` of the i-th, the steps that are `done` and their `days_late` are SQL.

    Without the trail, and without the foreign keys' checks where the account may do without them: that is not what is
    measured.
    """
    say(f"filling in {number:,} shipments" + (" with their steps" if with_steps else ""))
    with suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("SET session_replication_role = replica")
    with untracked(connection):
        connection.execute(_SHIPMENTS.format(eta=eta), {"number": number})
        if with_steps:
            connection.execute(_STEPS.format(done=done, days_late=days_late))
    with suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("RESET session_replication_role")
    settle(connection)


_SHIPMENTS = """
    INSERT INTO shipments_shipment (
        shipment_number, division_id, transport_mode, principal, brand, supplier_invoice_number, supplier_invoice_date,
        lc_number, lc_issuing_bank, invoice_amount_omr, bl_number, vessel, port_of_loading, port_of_discharge,
        sail_date, container_count, quantity, quantity_unit, eta, eta_edit_count, eta_change_reason, status,
        cancel_reason, created_by_id, created_at, updated_at, version
    )
    SELECT 'SHP-' || lpad(i::text, 7, '0'), division.ids[1 + i %% cardinality(division.ids)], 'sea',
           'Principal ' || i %% 40, 'Brand ' || i %% 90, 'INV/' || i, day.eta - 30, 'LC' || i, 'Bank ' || i %% 12,
           10000 + i * 1.375, 'BOL' || i, 'Vessel ' || i %% 60, 'Port ' || i %% 30, 'Sohar', day.eta - 14, 1 + i %% 12,
           10 + i %% 4000, 'units', day.eta, 0, '', 'active', '', clerk.id, now(), now(), 1
    FROM generate_series(1, %(number)s) AS i
    CROSS JOIN LATERAL (SELECT {eta} AS eta) AS day
    CROSS JOIN (SELECT array_agg(id ORDER BY id) AS ids FROM accounts_division) AS division
    CROSS JOIN (SELECT min(id) AS id FROM accounts_user) AS clerk
"""

_STEPS = """
    INSERT INTO workflow_workflowstep (
        shipment_id, template_step_id, step_number, step_name, department, offset_days, is_critical, is_optional,
        target_date, actual_date, not_required, ppr_user_id, apr_user_id, completed_at, completed_via, note,
        created_at, updated_at, version
    )
    SELECT shipment.id, fact.id, fact.step_number, fact.name, fact.department, fact.offset_days, fact.is_critical,
           fact.is_optional, shipment.eta + fact.offset_days, done.actual_date, false, duty.ppr_id, duty.apr_id,
           CASE WHEN done.actual_date IS NOT NULL THEN now() END,
           CASE WHEN done.actual_date IS NOT NULL THEN 'import' ELSE '' END, '', now(), now(), 1
    FROM shipments_shipment shipment
    CROSS JOIN workflow_templatestep fact
    LEFT JOIN workflow_departmentfallback duty ON duty.department = fact.department
    CROSS JOIN LATERAL (
        SELECT CASE WHEN {done} THEN shipment.eta + fact.offset_days + {days_late} END AS actual_date
    ) AS done
    ORDER BY shipment.id, fact.step_number
"""

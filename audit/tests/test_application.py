"""What the application's role may do in the database: nothing that matters without an entry (decision 0013)."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.db import OperationalError, connection, connections
from django.utils import timezone

from accounts.backends import SessionStore
from accounts.models import ApiKey, BrowserSession, FailedSignIns, SecondFactor, SignIn
from alerts.models import SweepRun
from audit import rules
from audit import services as audit
from audit.models import AuditEntry, Seal
from audit.operations import model_of
from audit.tests import chains, trails
from audit.tests.test_append_only import FORBIDDEN, do, state_of
from clearance.tests import pages
from clearance.tests.recipes import NOON
from outbox.choices import Channel
from outbox.models import Carrier, Message

pytestmark = pytest.mark.django_db

OUT_OF_BOUNDS = "23514"


def ask(sql: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


class TestItsRights:
    """Read from the catalogue, so that whatever is new must be decided on in `audit/rules.py`."""

    def test_in_tables_are_those_of_the_rules(self):
        models = [
            one for one in apps.get_models(include_auto_created=True) if one._meta.managed and not one._meta.proxy
        ]
        decided = {one._meta.db_table: rules.rights_of(one._meta.label_lower) for one in models}

        found = ask(
            """
            SELECT relname, string_agg(may, ', ' ORDER BY place) FILTER (WHERE has_table_privilege(pg_class.oid, may)),
                has_any_column_privilege(pg_class.oid, 'INSERT'), has_any_column_privilege(pg_class.oid, 'UPDATE')
            FROM pg_class, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[])
                WITH ORDINALITY AS rights (may, place)
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
            GROUP BY pg_class.oid, relname
            """
        )

        assert {table: may for table, may, *_ in found} == {"django_migrations": "SELECT"} | decided
        for table, may, inserts, updates in found:
            assert (inserts, updates) == ("INSERT" in may, "UPDATE" in may), table

    def test_to_write_without_an_entry_are_few(self):
        written = {label for label, untracked in rules.UNTRACKED.items() if untracked.may != "SELECT"}

        assert written == {"accounts.keptanswer", "django_celery_beat.periodictasks"}

    def test_in_sequences_are_to_number_what_it_numbers_itself(self):
        found = ask(
            """
            SELECT relname, string_agg(may, ', ' ORDER BY may)
            FROM pg_class, unnest('{SELECT,USAGE,UPDATE}'::text[]) AS rights (may)
            WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' AND has_sequence_privilege(oid, may)
            GROUP BY relname
            """
        )

        assert dict(found) == {"outbox_message_id_seq": "USAGE", "audit_auditentry_id_seq": "SELECT"}

    def test_in_functions_are_to_note_a_denial_and_to_append_a_seal(self):
        found = ask(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " AND has_function_privilege(oid, 'EXECUTE') ORDER BY 1"
        )

        assert found == [("audit_append_seal",), ("audit_record_denial",)]

    def test_in_large_objects_are_none(self):
        for make in ("lo_create(0)", "lo_creat(-1)", "lo_from_bytea(0, 'x')", "lo_import('/etc/hostname')"):
            assert state_of(lambda make=make: do(f"SELECT {make}", "default")) == FORBIDDEN

    def test_to_make_anything_but_temporary_tables_are_none(self):
        made = ask(
            "SELECT nspname FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE') AND NOT nspname ~ '^pg_'"
        )
        database = ask("SELECT has_database_privilege(current_database(), 'CREATE')")

        assert (made, database) == ([], [(False,)])

    def test_come_from_no_other_role_and_no_attribute(self):
        (attributes,) = ask(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,"
            " EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid)"
            " FROM pg_roles WHERE rolname = current_user"
        )

        assert attributes == (False,) * 6


REFUSED = {
    "a right that the code does not know": "INSERT INTO auth_permission (name, content_type_id, codename)"
    " SELECT 'x', content_type_id, 'everything' FROM auth_permission LIMIT 1",
    "a right by another's name": "UPDATE auth_permission SET codename = 'view_seal' WHERE codename = 'view_shipment'",
    "a right that is gone": "DELETE FROM auth_permission",
    "rights to another model": "UPDATE django_content_type SET model = 'seal' WHERE model = 'shipment'",
    "a model that is gone": "DELETE FROM django_content_type",
    "a session where nobody looks": "INSERT INTO django_session VALUES ('x', 'x', now())",
    "a line in the log that nobody writes": "DELETE FROM django_admin_log",
    "an answer that is changed later": "UPDATE accounts_keptanswer SET status = 201",
    "all numbers of a table": "SELECT nextval('auth_group_id_seq')",
    "a trigger": "CREATE TRIGGER mine BEFORE INSERT ON shipments_shipment EXECUTE FUNCTION"
    " suppress_redundant_updates_trigger()",
    "a function for others": "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "rights to what others make": "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT ALL ON TABLES TO PUBLIC",
    "more of a role": "ALTER ROLE CURRENT_USER SUPERUSER",
    "sessions without triggers": "ALTER ROLE CURRENT_USER SET session_replication_role = replica",
    "a log that says less": "SET log_statement = 'none'",
    "a file of the server's": "COPY auth_group FROM '/etc/hostname'",
    "a program on the server": "COPY auth_group TO PROGRAM 'true'",
    "a lock that stops the sealer": "LOCK TABLE audit_seal IN ROW SHARE MODE",
    "a lock that stops who writes entries": "LOCK TABLE audit_auditentry IN ROW SHARE MODE",
    "an event trigger": "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION audit_refuse()",
    "a publication": "CREATE PUBLICATION mine FOR ALL TABLES",
    "an end to somebody else": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user"
    " OR usename IS NULL",
}


class TestItIsRefused:
    @pytest.mark.parametrize("what", REFUSED)
    def test(self, what):
        statement = REFUSED[what].format(owner=connections["owner"].settings_dict["USER"])

        with trails.written() as entries:
            assert state_of(lambda: do(statement, "default")) == FORBIDDEN

        assert entries == []


@pytest.fixture
def rows(cast):
    """A row wherever the application could hold something up."""
    at, clerk = timezone.now(), cast.cc_clerk
    Message.objects.create(kind="digest", recipient=clerk, not_before=at, created_at=at)
    Carrier.objects.create(channel=Channel.MAIL, down_since=at, next_probe_at=at)
    SweepRun.objects.create(on=at.date(), started_at=at)
    SecondFactor.objects.create(user=clerk, secret="x", created_at=at)
    key = {
        "name": "x",
        "prefix": "x",
        "key_hash": "x",
        "scopes": ["shipments.view_shipment"],
        "created_at": at,
        "created_by": cast.administrator,
    }
    ApiKey.objects.create(account=clerk, expires_at=at + timedelta(days=9), **key)
    SignIn.objects.create(user=clerk, refresh_hash="x", created_at=at, last_used_at=at, expires_at=at)
    FailedSignIns.objects.create(account="x", last_failed_at=at, locked_until=at + timedelta(minutes=5))
    BrowserSession.objects.create(pk="x", session_data="x", expire_date=at + timedelta(hours=1), user=clerk)


# Columns of which nothing tells, and how far ahead they may not lie.
HELD_UP = {
    "outbox_message": ("leased_until", "now() + interval '16 minutes'"),
    "outbox_carrier": ("next_probe_at", "'infinity'"),
    "django_celery_beat_periodictask": ("last_run_at", "now() + interval '6 minutes'"),
    "accounts_apikey": ("last_refused_at", "now() + interval '6 minutes'"),
    "accounts_secondfactor": ("last_step", "9223372036854775807"),
    "accounts_browsersession": ("expire_date", "now() + interval '2 days'"),
}
TOLD = {
    "a task that is stopped": "UPDATE django_celery_beat_periodictask SET enabled = false",
    "a task that waits": "UPDATE django_celery_beat_periodictask SET start_time = 'infinity'",
    "a schedule that is slow": "UPDATE django_celery_beat_intervalschedule SET every = 1000000",
    "a mail that waits": "UPDATE outbox_message SET not_before = 'infinity'",
    "a mail that is sent by nobody": "UPDATE outbox_message SET delivery = 'sent', sent_at = now()",
    "a mail that is gone": "DELETE FROM outbox_message",
    "a carrier that is down": "UPDATE outbox_carrier SET down_since = 'infinity'",
    "a carrier that is gone": "DELETE FROM outbox_carrier",
    "a sweep that never was": "INSERT INTO alerts_sweeprun"
    ' ("on", started_at, finished_at, shipments, raised, late, messages, duration_ms)'
    " VALUES (now(), now(), now(), 0, 0, 0, 0, 0)",
    "a sweep that ended": "UPDATE alerts_sweeprun SET finished_at = now()",
    "a sweep that is gone": "DELETE FROM alerts_sweeprun",
    "a lock that is lifted": "DELETE FROM accounts_failedsignins",
    "a lock that is shorter": "UPDATE accounts_failedsignins SET locked_until = now() - interval '1 second'",
    "a lock that is longer": "UPDATE accounts_failedsignins SET locked_until = 'infinity'",
    "somebody who is locked out": "INSERT INTO accounts_failedsignins"
    " (account, source, failures, locks, last_failed_at, locked_until) VALUES ('y', '', 0, 1, now(), 'infinity')",
    "a session that is another's": "UPDATE accounts_browsersession SET user_id = user_id - 1",
    "a session by another key": "UPDATE accounts_browsersession SET session_key = 'y'",
    "a session of somebody": "INSERT INTO accounts_browsersession (session_key, session_data, expire_date, user_id,"
    " user_agent) SELECT 'y', session_data, expire_date, user_id, '' FROM accounts_browsersession",
    "a session that is ended": "DELETE FROM accounts_browsersession",
    "a sign-in that lasts": "UPDATE accounts_signin SET expires_at = 'infinity'",
    "a second factor of one's own": "UPDATE accounts_secondfactor SET secret = 'y'",
    "by way of a merge": "MERGE INTO accounts_division d USING accounts_division o ON d.id = o.id"
    " WHEN MATCHED THEN UPDATE SET name = d.name || 'x' WHEN NOT MATCHED THEN DO NOTHING",
    "by way of a query": "WITH gone AS (DELETE FROM accounts_browsersession RETURNING 1) SELECT * FROM gone",
}


class TestNothingIsHeldUpUnseen:
    @pytest.mark.parametrize("table", HELD_UP)
    def test_by_a_moment_too_far_ahead(self, rows, table):
        column, value = HELD_UP[table]
        assert ask(f"SELECT count(*) FROM {table}") > [(0,)]

        with trails.written() as entries:
            assert state_of(lambda: do(f"UPDATE {table} SET {column} = {value}", "default")) == OUT_OF_BOUNDS

        assert entries == []

    def test_every_such_moment_is_tried(self):
        bounded = {
            (model_of(label, apps)._meta.db_table, column)
            for label, tracked in rules.TRACKED.items()
            for column, bound in tracked.ignored.items()
            if bound
        }

        assert bounded - {(table, column) for table, (column, _) in HELD_UP.items()} == {
            ("django_celery_beat_periodictask", "date_changed")
        }

    def test_nor_in_a_new_row(self, rows):
        copied = "kind, recipient_id, message_id, cc, bcc, reply_to, delivery, not_before, refusals, last_refusal,"
        copied += " created_at, channel, provider_id"
        statement = f"""
            INSERT INTO outbox_message (leased_until, {copied})
            SELECT 'infinity', {copied.replace("message_id", "gen_random_uuid()")} FROM outbox_message
        """

        assert state_of(lambda: do(statement, "default")) == OUT_OF_BOUNDS

    @pytest.mark.parametrize("what", TOLD)
    def test_but_leaves_an_entry(self, rows, what):
        with trails.written() as entries:
            do(TOLD[what], "default")

        assert entries

    def test_nor_copied_in(self, cast):
        copy = "COPY accounts_division (code, name) FROM STDIN"
        with trails.written() as entries, connection.cursor() as cursor, cursor.copy(copy) as copying:
            copying.write("NEW\tNew\n")

        assert [(entry.action, entry.changes["code"]) for entry in entries] == [("created", "NEW")]

    def test_what_is_told_of_a_session_holds_no_key(self, cast):
        with trails.written() as entries:
            browser = pages.signed_in(cast.cc_clerk)

        (entry,) = [one for one in entries if one.entity_type == "accounts.browsersession"]
        assert entry.changes["user_id"] in (cast.cc_clerk.pk, [None, cast.cc_clerk.pk])
        assert browser.session.session_key not in f"{entry.entity_id} {entry.changes}"

    def test_sessions_of_nobody_leave_none(self, client):
        with trails.written() as entries:
            session = SessionStore()
            session["goal"] = "somewhere"
            session.save()

        assert SessionStore(session.session_key)["goal"] == "somewhere"
        assert entries == []


class TestASignInIsNotForged:
    def test_by_reading_the_key_of_somebody(self, client, cast):
        pages.signed_in(cast.administrator)
        client.cookies[settings.SESSION_COOKIE_NAME] = BrowserSession.objects.latest("opened_at").pk

        assert client.get("/admin/").status_code == 302

    def test_by_copying_what_somebodys_session_stores(self, client, cast):
        pages.signed_in(cast.administrator)
        mine = pages.signed_in(cast.cc_clerk)
        theirs = BrowserSession.objects.get(user=cast.administrator).session_data
        assert mine.get("/admin/").status_code == 200

        with trails.written() as entries:
            BrowserSession.objects.update(session_data=theirs)

        assert entries == []  # and so it must be good for nothing
        assert mine.get("/admin/").status_code == 302

    def test_by_a_session_that_is_said_to_be_nobodys(self, client, cast):
        mine = pages.signed_in(cast.administrator)

        BrowserSession.objects.update(user=None)

        assert mine.get("/admin/").status_code == 302


def first_seal(
    ranges: str = "[[id, id]]", at: str = "now()", highest: str = "max(id)", count: str = "1", number: str = "1"
) -> str:
    """SQL that appends a first seal, true or not; `id` in ranges is the newest entry's."""
    return (
        f"SELECT audit_append_seal(ROW({number}, {at}, replace('{ranges}', 'id', max(id)::text)::jsonb, {highest},"
        f" {count}, '', repeat('0', 64), '')::audit_seal) FROM audit_auditentry"
    )


HOSTILE_SEALS = [
    "SELECT audit_append_seal(NULL)",
    first_seal(number="NULL"),
    first_seal(ranges="[]", highest="0", count="0"),
    first_seal(ranges="{}", highest="0"),
    first_seal(ranges="null", highest="0"),
    first_seal(ranges="[[1, 1000000000]]", highest="1000000000"),
    first_seal(ranges="[[1, id]]"),
    first_seal(ranges="[[id, id], [id, id]]"),
    first_seal(at="'infinity'"),
    first_seal(at="NULL"),
    first_seal(count="NULL"),
]
HOSTILE_DENIALS = [
    "'[]'",
    "'null'",
    "NULL",
    "'7'",
    "to_jsonb(repeat('x', 30000))",
    "jsonb_build_object('x', repeat('x', 20000))",
]


class TestTheFunctionsThatItMayCall:
    @pytest.mark.parametrize("told", HOSTILE_DENIALS)
    def test_note_no_denial_that_cannot_be_read(self, told):
        statement = f"SELECT audit_record_denial('shipments.shipment', '1', {told})"

        assert state_of(lambda: do(statement, "default")) == OUT_OF_BOUNDS

    def test_note_a_denial_of_what_nobody_knows_and_the_pages_show_it(self, auditor):
        do(
            "SELECT audit_record_denial(repeat('<b>', 99), repeat('\"', 99), '{\"code\": [], \"message\": 7}')",
            "default",
        )

        assert pages.signed_in(auditor).get(pages.list_of(AuditEntry)).status_code == 200

    @pytest.mark.parametrize("given", HOSTILE_SEALS)
    def test_append_no_seal_over_what_is_not_there(self, shipment, given):
        assert state_of(lambda: do(given, "default")) is not None

        assert not Seal.objects.exists()
        audit.seal(at=NOON)
        assert audit.verify().is_sound


@pytest.mark.django_db(transaction=True)
class TestTheSealer:
    def test_is_not_stopped_by_a_lock_that_anybody_may_take(self, shipment):
        chains.change(shipment)

        with psycopg.connect(**_parameters()) as other:
            other.execute("SELECT pg_advisory_lock(number) FROM generate_series(7300000, 7301000) number")
            other.execute("SELECT * FROM audit_seal")
            other.execute("LOCK TABLE shipments_shipment IN ACCESS EXCLUSIVE MODE")
            assert audit.seal(at=NOON).seals == 1

    def test_fails_loudly_where_a_seal_that_is_not_committed_holds_it(self, shipment):
        chains.change(shipment)
        begun = time.monotonic()

        with psycopg.connect(**_parameters()) as other:
            other.execute(first_seal())
            with pytest.raises(OperationalError, match="lock timeout"):
                audit.seal(at=NOON)
            other.rollback()

        assert time.monotonic() - begun < 30
        assert audit.seal(at=NOON).seals == 1


def _parameters() -> dict[str, Any]:
    given = connection.get_connection_params()
    return {name: given[name] for name in ("dbname", "user", "password", "host", "port") if given.get(name)}

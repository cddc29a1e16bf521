from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections, migrations, models
from django.db.migrations.state import ProjectState
from django.test.utils import CaptureQueriesContext

from accounts.models import Division, User
from audit import checks
from audit import services as audit
from audit.models import AuditEntry
from audit.operations import MIGRATION, Track, columns_of, model_of
from audit.services import comparison
from audit.tests import chains, forgeries
from clearance.tests import pages, recipes
from shipments.models import Shipment
from workflow.models import WorkflowStep


def said(*, in_full: bool = True) -> list[str]:
    return list(comparison.differences(in_full=in_full))


@contextmanager
def nobody_looking(*tables: str) -> Iterator[None]:
    """As somebody who rules the server, with the triggers of some tables off."""
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no table is altered while one waits to be checked
        for table in tables:
            cursor.execute(f"SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = '{table}'::regclass")
            for (trigger,) in cursor.fetchall():
                cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")


# What is done behind the trail's back, with the tables that it is done to, and what is said of it.
UNTOLD = [
    (
        "UPDATE shipments_shipment SET vessel = 'Moon' WHERE id = {shipment}",
        ['shipments.shipment {shipment}: vessel is "Moon", and the trail last told "Vessel 4".'],
    ),
    (
        "UPDATE shipments_shipment SET vessel = '' WHERE id = {shipment}",
        ['shipments.shipment {shipment}: vessel is empty, and the trail last told "Vessel 4".'],
    ),
    (
        "UPDATE shipments_shipment SET lc_number = 'LC-1', eta = eta + 1 WHERE id = {shipment}",
        [
            "shipments.shipment {shipment}: eta is",
            'shipments.shipment {shipment}: lc_number is "LC-1", and the trail last',
        ],
    ),
    (
        "UPDATE workflow_workflowstep SET note = 'x'",
        ['note is "x", and the trail last told empty.', "14 more records of workflow.workflowstep are not what the"],
    ),
    (
        "UPDATE workflow_workflowstep SET is_critical = NOT is_critical WHERE id = {step}",
        ["workflow.workflowstep {step}: is_critical is"],
    ),
    (
        "DELETE FROM workflow_workflowstep WHERE id = {step}",
        ["workflow.workflowstep {step} is gone, and the trail does"],
    ),
    (
        "UPDATE workflow_workflowstep SET id = id + 1000000 WHERE id = {step}",
        [
            "workflow.workflowstep 1{step:06} is there, and the trail does not tell",
            "workflow.workflowstep {step} is gone",
        ],
    ),
    (
        "INSERT INTO accounts_division (code, name) VALUES ('NEW', 'New')",
        ["accounts.division ", " is there, and the trail does not tell that it is."],
    ),
    ("UPDATE accounts_user SET full_name = 'x' WHERE id = {user}", ['accounts.user {user}: full_name is "x", and the']),
    (
        "INSERT INTO accounts_user_groups (user_id, group_id) SELECT {user}, max(id) FROM auth_group",
        ["accounts.user {user}: groups ", " are there, and the trail does not tell of it."],
    ),
    (
        "DELETE FROM auth_group_permissions WHERE id IN (SELECT max(id) FROM auth_group_permissions)",
        ["auth.group ", ": permissions ", " are gone, and the trail tells otherwise."],
    ),
    (
        "UPDATE shipments_historicalshipment SET vessel = 'Moon' WHERE history_id = {history}",
        ["Row {history} of the history of shipments.shipment {shipment} is not what the trail told then."],
    ),
    (
        "UPDATE shipments_historicalshipment SET lc_number = 'LC-1' WHERE history_id = {history}",  # unchanged there
        ["Row {history} of the history of shipments.shipment {shipment} is not what the trail told then."],
    ),
    (
        "UPDATE shipments_historicalshipment SET history_date = history_date + '1 second' WHERE history_id = {history}",
        ["Row {history} of the history of shipments.shipment {shipment} is not what the trail told then."],
    ),
    (
        "DELETE FROM shipments_historicalshipment WHERE history_id = {history}",
        ["The history of shipments.shipment has 2 rows of what was changed, and the trail 3 entries."],
    ),
    (
        "DELETE FROM audit_auditentry WHERE entity_type = 'workflow.workflowstep' AND entity_id = '{step}'",
        ["workflow.workflowstep {step} is there, and the trail does not tell that it is.", "The history of workflow."],
    ),
]
TABLES = (
    *("shipments_shipment", "workflow_workflowstep", "accounts_division", "accounts_user", "accounts_user_groups"),
    *("auth_group_permissions", "shipments_historicalshipment", "audit_auditentry"),
)


class TestRecordsAndTheirTrail:
    def test_agree_after_whatever_was_done(self, shipment, cast, noon):
        chains.change(shipment, 3)
        recipes.record(shipment, {"1.0": date(2026, 3, 1)})
        User.objects.filter(pk=cast.cc_clerk.pk).update(phone="", is_active=False)
        cast.cc_clerk.groups.clear()
        cast.cc_clerk.divisions.set([cast.tyres])
        cast.cc_clerk.divisions.remove(cast.tyres)
        removed = recipes.registered(by=cast.bu_clerk)
        WorkflowStep.objects.filter(shipment=removed).delete()
        Shipment.objects.filter(pk=removed.pk).delete()
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE shipments_shipment SET vessel = '', supplier_invoice_date = NULL WHERE id = %s", [shipment.pk]
            )
            cursor.execute(
                "UPDATE accounts_division SET id = id + 1000 WHERE id = %s", [Division.objects.create(code="X").pk]
            )

        assert said() == []

    def test_are_read_in_pieces(self, shipment, monkeypatch):
        monkeypatch.setattr(comparison, "_AT_A_TIME", 7)

        assert said() == []

    def test_of_a_history_read_a_sample(self, shipment, monkeypatch):
        monkeypatch.setattr(comparison, "_SAMPLE", 2)

        assert said(in_full=False) == []

    @pytest.mark.django_db(transaction=True)
    def test_differ_where_something_was_done_behind_its_back(self, shipment, cast, monkeypatch):
        monkeypatch.setattr(comparison, "_AT_A_TIME", 10)
        chains.change(shipment, 3)
        given = {
            "shipment": shipment.pk,
            "step": WorkflowStep.objects.latest("pk").pk,
            "user": cast.stranger.pk,
            "history": Shipment.history.filter(history_type="~").order_by("history_id")[1].history_id,
        }
        application, unsaid = connection.settings_dict["USER"], []

        with forgeries.ruling():
            for statement, sentences in UNTOLD:
                with forgeries.trying(application) as done:
                    with nobody_looking(*TABLES), connection.cursor() as cursor:
                        cursor.execute(statement.format(**given))
                        assert cursor.rowcount, statement
                    done()
                    told = "\n".join(said())
                    assert said() == [one.sentence for one in audit.verify(in_full=True).findings][-len(said()) :]
                unsaid += [(statement, one, told) for one in sentences if one.format(**given) not in told]

        assert unsaid == []
        assert said() == []

    def test_cost_the_same_however_many_they_are(self, cast):
        asked = []
        for many in (1, 20):
            for _ in range(many):
                recipes.registered(by=cast.bu_clerk)
            with CaptureQueriesContext(connection) as queries:
                assert said() == []
            asked.append(len(queries))

        assert asked[0] == asked[1]


# Migrations ----------------------------------------------------------------------------------------------------------
class Migrating:
    """Migrations of shipments as a later version would bring them, applied by the owner."""

    def __init__(self) -> None:
        self.state = ProjectState.from_apps(apps)

    def __call__(self, *operations: Any, **told: Any) -> None:
        """Apply to shipments and to their history; then `Track`, which says what is `told`."""
        for operation in operations:
            self._apply(operation)
        columns = columns_of(model_of("shipments.shipment", self.state.apps))
        self._apply(Track("shipments.shipment", columns, **told))

    def _apply(self, operation: Any) -> None:
        after = self.state.clone()
        operation.state_forwards("shipments", after)
        with connections["owner"].schema_editor() as editor:
            operation.database_forwards("shipments", editor, self.state, after)
        self.state = after

    def added(self, name: str, field: models.Field) -> list[Any]:
        return [migrations.AddField(model, name, field) for model in ("shipment", "historicalshipment")]

    def renamed(self, old: str, new: str) -> list[Any]:
        return [migrations.RenameField(model, old, new) for model in ("shipment", "historicalshipment")]

    def dropped(self, name: str) -> list[Any]:
        return [migrations.RemoveField(model, name) for model in ("shipment", "historicalshipment")]


@pytest.fixture
def migrate(monkeypatch) -> Migrating:
    """Apply migrations; what is compared later is what the models are by then."""
    migrating = Migrating()

    def now(label: str, _: Any) -> Any:
        return model_of(label, migrating.state.apps)

    monkeypatch.setattr(comparison, "model_of", now)
    return migrating


def update(assignment: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE shipments_shipment SET {assignment}, version = version + 1")


def unseen(statement: str) -> Any:
    return migrations.RunSQL(
        f"ALTER TABLE shipments_shipment DISABLE TRIGGER trail_update; {statement};"
        "ALTER TABLE shipments_shipment ENABLE ALWAYS TRIGGER trail_update"
    )


def migrated() -> list[dict[str, Any]]:
    entries = AuditEntry.objects.filter(entity_type=MIGRATION, entity_id="shipments.shipment").order_by("pk")
    return [entry.changes for entry in entries]


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestAMigration:
    def test_that_adds_a_column_with_a_default_says_what_all_hold(self, cast, migrate):
        old, _ = (recipes.registered(by=cast.bu_clerk) for _ in range(2))

        migrate(*migrate.added("terms", models.CharField(max_length=9, default="CIF")), added=["terms"])

        assert migrated() == [{"added": {"terms": "CIF"}}]
        assert said() == []
        update("terms = 'FOB'")
        assert said() == []
        with connections["owner"].cursor() as cursor:
            cursor.execute("ALTER TABLE shipments_shipment DISABLE TRIGGER trail_update")
            cursor.execute("UPDATE shipments_shipment SET terms = 'EXW' WHERE id = %s", [old.pk])
        assert said() == [f'shipments.shipment {old.pk}: terms is "EXW", and the trail last told "FOB".']

    def test_that_adds_a_column_is_found_if_it_does_not_say_so(self, shipment, migrate):
        migrate(*migrate.added("terms", models.CharField(max_length=9, default="CIF")))

        assert f'shipments.shipment {shipment.pk}: terms is "CIF", and the trail last told empty.' in said()

    def test_that_fills_a_column_leaves_it_open_until_it_changes_again(self, shipment, migrate):
        recipes.shipment.make(vessel="Sun")
        chains.change(shipment)

        migrate(unseen("UPDATE shipments_shipment SET vessel = upper(vessel)"), filled=["vessel"])

        assert migrated() == [{"filled": ["vessel"]}]
        assert said() == []
        chains.change(shipment)
        assert said() == []
        with connections["owner"].cursor() as cursor:
            cursor.execute("ALTER TABLE shipments_shipment DISABLE TRIGGER trail_update")
            cursor.execute("UPDATE shipments_shipment SET vessel = 'x' WHERE id = %s", [shipment.pk])
        assert len(said()) == 1

    def test_that_fills_a_column_is_found_if_it_does_not_say_so(self, shipment, migrate):
        chains.change(shipment)

        migrate(unseen("UPDATE shipments_shipment SET vessel = upper(vessel)"))

        assert said() == [
            f'shipments.shipment {shipment.pk}: vessel is "VESSEL 2", and the trail last told "Vessel 2".'
        ]

    def test_that_adds_and_fills_tells_no_value_that_not_all_hold(self, cast, migrate):
        for _ in range(3):
            recipes.registered(by=cast.bu_clerk)

        fill = migrations.RunSQL("UPDATE shipments_shipment SET terms = id::text")
        migrate(*migrate.added("terms", models.CharField(max_length=9, null=True)), fill, added=["terms"])

        assert migrated() == [{"filled": ["terms"]}]
        assert said() == []

    def test_that_fills_what_is_tracked_already_leaves_the_entries_of_it(self, cast, migrate):
        shipment = recipes.registered(by=cast.bu_clerk)

        migrate(*migrate.added("terms", models.CharField(max_length=9, default="")), added=["terms"])
        migrate._apply(migrations.RunSQL("UPDATE shipments_shipment SET terms = 'x'"))

        assert AuditEntry.objects.latest("pk").changes == {"terms": ["", "x"]}
        assert AuditEntry.objects.latest("pk").entity_id == str(shipment.pk)
        assert said() == []

    def test_that_renames_a_column_is_followed_to_its_new_name(self, shipment, migrate):
        chains.change(shipment, 2)

        migrate(*migrate.renamed("vessel", "ship"), renamed={"vessel": "ship"})

        assert migrated() == [{"renamed": {"vessel": "ship"}}]
        assert said() == []
        update("ship = 'Sun'")
        assert said() == []

    def test_that_drops_a_column_forgets_it(self, shipment, migrate):
        chains.change(shipment, 2)

        migrate(*migrate.dropped("vessel"), dropped=["vessel"])

        assert migrated() == [{"dropped": ["vessel"]}]
        assert said() == []

    def test_after_the_other_is_followed_through_all_of_them(self, cast, migrate):
        first = recipes.registered(by=cast.bu_clerk)
        chains.change(first, 2)
        migrate(*migrate.renamed("vessel", "ship"), renamed={"vessel": "ship"})
        update("ship = 'Sun'")
        migrate(*migrate.added("vessel", models.CharField(max_length=9, default="new")), added=["vessel"])
        update("vessel = 'Moon', ship = 'Sea'")
        migrate(*migrate.renamed("ship", "hull"), renamed={"ship": "hull"})
        migrate(*migrate.dropped("vessel"), dropped=["vessel"])
        update("hull = 'Star'")
        migrate(*migrate.added("vessel", models.IntegerField(default=7)), added=["vessel"])

        assert said() == []
        assert len(migrated()) == 5
        with connections["owner"].cursor() as cursor:
            cursor.execute("ALTER TABLE shipments_shipment DISABLE TRIGGER trail_update")
            cursor.execute("UPDATE shipments_shipment SET vessel = 8, hull = 'x' WHERE id = %s", [first.pk])
        assert said() == [
            f'shipments.shipment {first.pk}: hull is "x", and the trail last told "Star".',
            f"shipments.shipment {first.pk}: vessel is 8, and the trail last told 7.",
        ]

    def test_of_what_the_trail_never_told_anything_says_nothing(self, migrate):
        migrate(*migrate.added("terms", models.CharField(max_length=9, default="CIF")), added=["terms"])

        assert migrated() == []

    def test_is_shown_on_the_pages_of_the_trail(self, shipment, auditor, migrate):
        migrate(*migrate.added("terms", models.CharField(max_length=9, default="CIF")), added=["terms"])

        entry = AuditEntry.objects.get(entity_type=MIGRATION)
        assert pages.signed_in(auditor).get(pages.of(entry)).status_code == 200


class TestTheCheck:
    BEFORE = Track("shipments.shipment", ["id", "vessel", "brand"])

    @pytest.mark.parametrize(
        "after",
        [
            Track("shipments.shipment", ["id", "vessel"]),
            Track("shipments.shipment", ["id", "vessel", "brand", "terms"]),
            Track("shipments.shipment", ["id", "vessel", "brand", "terms"], added=["remark"]),
            Track("shipments.shipment", ["id", "ship", "brand"], renamed={"brand": "ship"}),
            Track("shipments.shipment", ["id", "vessel", "brand"], dropped=["brand"]),
        ],
    )
    def test_asks_what_became_of_columns(self, after):
        (error,) = checks._untold(self.BEFORE, after)

        assert error.id == "audit.E003"

    @pytest.mark.parametrize(
        "after",
        [
            Track("shipments.shipment", ["id", "vessel"], dropped=["brand"]),
            Track("shipments.shipment", ["id", "vessel", "brand", "terms"], added=["terms"]),
            Track("shipments.shipment", ["id", "ship", "brand"], renamed={"vessel": "ship"}),
            Track("shipments.shipment", ["id", "vessel", "brand"], filled=["brand"]),
        ],
    )
    def test_is_content_with_what_was_done(self, after):
        assert checks._untold(self.BEFORE, after) == []
        assert checks._untold(None, after) == []

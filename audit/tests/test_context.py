"""How the database learns who acts: clearance.postgresql."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from accounts.models import Division
from audit.models import AuditEntry
from audit.tests import trails
from clearance import context

INSERT = "INSERT INTO accounts_division (code, name) VALUES (%s, %s)"


@pytest.fixture
def tellings(monkeypatch) -> list[context.Context]:
    """What the database was told, one for each statement that it took."""
    told: list[context.Context] = []
    as_json = context.Context.as_json

    def noted(self: context.Context) -> str:
        told.append(self)
        return as_json(self)

    monkeypatch.setattr(context.Context, "as_json", noted)
    return told


def named(name: str) -> None:
    context.signed_in(user_id=7, name=name, role="C&C PPR")


def rename(name: str) -> None:
    Division.objects.filter(code="TBL").update(name=name)


def copied(cursor: Any) -> None:
    with cursor.copy("COPY accounts_division (code, name) FROM STDIN") as copy:
        copy.write_row(("N1", "New"))


def names(entries: list[AuditEntry]) -> list[str]:
    return [entry.user_name for entry in entries]


@pytest.mark.django_db
@pytest.mark.usefixtures("cast")
class TestATransaction:
    def test_is_told_once_however_much_it_writes(self, tellings):
        with context.acting(channel="admin"), transaction.atomic():
            for number in range(5):
                rename(f"Tyres {number}")
                list(Division.objects.all())

        assert len(tellings) == 1

    def test_is_told_nothing_where_no_door_is(self, tellings):
        with trails.written() as entries:
            rename("Tyres")

        assert tellings == []
        assert [entry.channel for entry in entries] == ["system"]

    def test_is_told_of_every_change(self, tellings):
        with context.acting(channel="admin"), trails.written() as entries:
            rename("Tyres 1")
            named("Amal")
            rename("Tyres 2")
            with context.remarking(reason="wrong"):
                rename("Tyres 3")
            rename("Tyres 4")

        told = [(entry.user_name, entry.reason) for entry in entries]
        assert told == [("", ""), ("Amal", ""), ("Amal", "wrong"), ("Amal", "")]
        assert len(tellings) == 4

    def test_forgets_when_the_door_closes(self):
        with trails.written() as entries:
            with context.acting(channel="admin"):
                named("Amal")
                rename("Tyres 1")
            rename("Tyres 2")

        assert [(entry.channel, entry.user_name) for entry in entries] == [("admin", "Amal"), ("system", "")]

    def test_is_told_again_what_a_savepoint_took_with_it(self):
        with context.acting(channel="admin"), trails.written() as entries:
            with transaction.atomic():
                named("Amal")
                rename("Tyres 1")
                transaction.set_rollback(True)
            rename("Tyres 2")

        assert names(entries) == ["Amal"]

    def test_knows_nothing_of_what_was_said_inside_a_savepoint_that_went(self):
        with trails.written() as entries:
            with transaction.atomic(), context.acting(channel="admin"):
                rename("Tyres 1")
                transaction.set_rollback(True)
            rename("Tyres 2")

        assert [entry.channel for entry in entries] == ["system"]

    def test_goes_on_after_an_error(self):
        with context.acting(channel="admin"), trails.written() as entries:
            named("Amal")
            with pytest.raises(IntegrityError), transaction.atomic():
                Division.objects.create(code="TBL", name="Again")
            rename("Tyres 2")

        assert names(entries) == ["Amal"]

    def test_that_failed_still_takes_its_rollback_when_somebody_else_acts(self):
        with context.acting(channel="admin"), trails.written() as entries:
            with transaction.atomic():
                rename("Tyres 1")
                with pytest.raises(IntegrityError), connection.cursor() as cursor:
                    cursor.execute(INSERT, ["TBL", "Again"])
                named("Amal")
                with pytest.raises(DatabaseError):
                    rename("Tyres 2")
                transaction.set_rollback(True)
            rename("Tyres 3")

        assert names(entries) == ["Amal"]

    def test_of_many_statements_at_once_is_told(self):
        with context.acting(channel="admin"), trails.written() as entries, connection.cursor() as cursor:
            named("Amal")
            cursor.executemany(INSERT, [("N1", "New 1"), ("N2", "New 2")])

        assert names(entries) == ["Amal", "Amal"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("cast")
class TestWithoutATransaction:
    @pytest.mark.parametrize(
        "write",
        [
            lambda cursor: cursor.execute(INSERT, ["N1", "New"]),
            lambda cursor: cursor.execute("  insert into accounts_division (code, name) values ('N1', 'New')"),
            lambda cursor: cursor.executemany(INSERT, [("N1", "New 1"), ("N2", "New 2")]),
            lambda cursor: cursor.execute(
                "WITH made AS (INSERT INTO accounts_division (code, name) VALUES ('N1', 'New') RETURNING id)"
                " SELECT * FROM made"
            ),
            lambda cursor: cursor.execute(f"/* of a\n report */ -- and more\n {INSERT}", ["N1", "New"]),
            copied,
        ],
        ids=["insert", "in lower case", "many at once", "with", "after remarks", "copy"],
    )
    def test_a_write_is_told_by_itself(self, write):
        with context.acting(channel="admin"), trails.written() as entries:
            named("Amal")
            with connection.cursor() as cursor:
                write(cursor)

        assert set(names(entries)) == {"Amal"}
        assert Division.objects.filter(code="N1").exists()

    def test_a_reader_costs_nothing(self, tellings, django_assert_num_queries):
        with context.acting(channel="api"), django_assert_num_queries(2):
            list(Division.objects.all())
            list(Division.objects.values_list("pk"))

        assert tellings == []

    def test_a_cursor_of_the_server_reads_all(self, tellings):
        with context.acting(channel="api"):
            found = [division.code for division in Division.objects.order_by("code").iterator(chunk_size=1)]

        assert found == ["LV", "TBL"]

    def test_a_failed_write_leaves_the_connection_as_it_was(self):
        with context.acting(channel="admin"):
            with pytest.raises(IntegrityError):
                Division.objects.create(code="TBL", name="Again")

            assert connection.get_autocommit()
            assert Division.objects.count() == 2

    def test_what_came_of_a_write_can_be_read(self):
        with context.acting(channel="admin"), connection.cursor() as cursor:
            cursor.execute("INSERT INTO accounts_division (code, name) VALUES ('N1', 'New') RETURNING code")

            assert cursor.fetchall() == [("N1",)]


@pytest.fixture
def one_connection(db):
    """A pool that has a single connection for everybody."""
    pool = connection.settings_dict["OPTIONS"]["pool"]
    connection.close()
    connection.close_pool()
    connection.settings_dict["OPTIONS"]["pool"] = {**pool, "max_size": 1}
    yield
    connection.close()
    connection.close_pool()
    connection.settings_dict["OPTIONS"]["pool"] = pool


def in_a_thread(verb: Callable[[], None]) -> int:
    """Do it with a connection of the pool, and say which one that was."""
    used: list[int] = []

    def run() -> None:
        try:
            connection.ensure_connection()
            used.append(connection.connection.info.backend_pid)
            verb()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return used[0]


@pytest.mark.django_db(transaction=True)
class TestAReusedConnection:
    def test_knows_nothing_of_whom_it_served_before(self, cast, one_connection):
        def somebody() -> None:
            with context.acting(channel="admin"):
                named("Amal")
                rename("Tyres 1")
                with transaction.atomic():
                    rename("Tyres 2")

        before = trails.last_id()
        connection.close()

        first = in_a_thread(somebody)
        second = in_a_thread(lambda: rename("Tyres 3"))

        entries = trails.since(before)
        assert first == second
        assert [(entry.channel, entry.user_name) for entry in entries] == [
            ("admin", "Amal"), ("admin", "Amal"), ("system", ""),
        ]  # fmt: skip

    def test_serves_each_of_several_at_once_as_who_they_are(self, cast):
        before = trails.last_id()
        start = threading.Barrier(4)

        def write(number: int) -> None:
            try:
                with context.acting(channel="admin"):
                    named(f"Person {number}")
                    start.wait(10)
                    for turn in range(10):
                        Division.objects.create(code=f"{number}-{turn}", name=f"Of person {number}, {turn}")
            finally:
                connection.close()

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        entries = trails.since(before)
        assert len(entries) == 40
        assert all(entry.user_name == f"Person {entry.changes['code'][0]}" for entry in entries)

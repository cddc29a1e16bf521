"""The tests' databases: made and migrated by their owner, used as the application; copied for tests that really commit.

- The trail can't be emptied, so what a test commits can't be cleaned away: such a test gets a copy, which is dropped.
- Migrating takes long: it is done once for a state of the code, and kept, without a row of the reference data, for the
  runs that follow.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

from django.core.management import call_command
from django.db import OperationalError, connections
from django.test import TransactionTestCase

from clearance import embedded

ALIASES = ("default", "owner")


@contextmanager
def prepared(name: str) -> Iterator[None]:
    """Have a migrated database with roles and reference data, and both connections on it."""
    template = _migrated()
    _drop(name)
    _do(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    _use(name)
    try:
        # The role belongs to the whole server, and so to every process of the run.
        with embedded._locked("roles.lock", fcntl.LOCK_EX):
            call_command("setup_database_roles", stdout=StringIO())
        call_command("load_reference_data", stdout=StringIO())
        yield
    finally:
        _drop(name)


def _migrated() -> str:
    """The name of a database that has the migrations of this code: the first process that needs it makes it."""
    of_this_clone = f"clearance_template_{hashlib.sha256(str(embedded.ROOT).encode()).hexdigest()[:8]}"
    name = f"{of_this_clone}_{_fingerprint()}"
    with embedded._locked("template.lock", fcntl.LOCK_EX):
        kept = _named(of_this_clone)
        if name not in kept:
            for old in kept:
                _drop(old)
            unfinished = f"{of_this_clone}_new"
            _do(f'CREATE DATABASE "{unfinished}"')
            _use(unfinished)
            call_command("migrate", database="owner", verbosity=0, interactive=False)
            _let_go()
            _do(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
    return name


# What no migration knows: every other module can have a say in what one does.
_ABOVE_THE_MIGRATIONS = {"admin", "filters", "serializers", "tests", "urls", "views"}


def _fingerprint() -> str:
    """Tell this state of the code, and of what it requires, from every other."""
    found = hashlib.sha256((embedded.ROOT / "requirements-dev.txt").read_bytes())
    texts = {}
    for package in embedded.ROOT.glob("*/__init__.py"):
        for path in package.parent.rglob("*.py"):
            place = path.relative_to(embedded.ROOT)
            if _ABOVE_THE_MIGRATIONS.isdisjoint({*place.parts, place.stem}):
                texts[str(place)] = path.read_bytes()
    for place, text in sorted(texts.items()):
        found.update(f"{place}\0".encode() + text)
    return found.hexdigest()[:16]


@contextmanager
def spare() -> Iterator[str]:
    """Have a copy of the connections' database that nobody is connected to."""
    original = connections["default"].settings_dict["NAME"]
    copy = f"{original}_copy"
    _drop(copy)  # which a killed run may have left
    _do(f'CREATE DATABASE "{copy}" TEMPLATE "{original}"')
    try:
        yield copy
    finally:
        _drop(copy)


@contextmanager
def copied() -> Iterator[str]:
    """Have both connections on a copy of their database."""
    original = connections["default"].settings_dict["NAME"]
    with spare() as copy:
        _use(copy)
        try:
            yield copy
        finally:
            _use(original)


def copy_instead_of_emptying() -> None:
    """Have Django's tests with real commits run on copies, where Django would empty the tables after each."""

    def set_up(cls: type[TransactionTestCase]) -> None:
        cls.copy = copied()
        cls.copy.__enter__()

    def tear_down(self: TransactionTestCase) -> None:
        self.copy.__exit__(None, None, None)

    TransactionTestCase._fixture_setup = classmethod(set_up)
    TransactionTestCase._fixture_teardown = tear_down


def _use(name: str) -> None:
    _let_go()
    for alias in ALIASES:
        connections[alias].settings_dict["NAME"] = name


def _let_go() -> None:
    """Close what this process holds: nothing is copied or dropped while somebody uses it."""
    for alias in ALIASES:
        connections[alias].close()
        if alias in connections[alias]._connection_pools:
            connections[alias].close_pool()


def _drop(name: str) -> None:
    """Drop a database; whoever still holds it (a browser's last request may be under way) is sent away."""
    _let_go()
    try:
        # Waits a little, and ends an automatic vacuum, which force may not: that one is the superuser's.
        _do(f'DROP DATABASE IF EXISTS "{name}"')
    except OperationalError:
        _do(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _named(beginning: str) -> set[str]:
    with connections["owner"]._nodb_cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [beginning])
        return {name for (name,) in cursor.fetchall()}


def _do(statement: str) -> None:
    with connections["owner"]._nodb_cursor() as cursor:
        cursor.execute(statement)

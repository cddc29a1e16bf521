"""What every test stands on: an environment that a developer's own settings can't reach, and the embedded servers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

# Before anything loads the settings (hence no DJANGO_SETTINGS_MODULE in pytest's own configuration): the tests have
# servers of their own, beside the demonstration's, and never see DATABASE_URL or REDIS_URL from outside.
os.environ["DJANGO_SETTINGS_MODULE"] = "clearance.settings"
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "")
os.environ["REDIS_URL"] = os.environ.get("TEST_REDIS_URL", "")
os.environ["VAR_DIR"] = str(Path(__file__).parent / "var" / "test")
for name in ("DATABASE_REPLICA_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
    os.environ[name] = ""
os.environ["DEBUG"] = "1"
os.environ["PGOPTIONS"] = "-c synchronous_commit=off"  # a test's data needn't survive a crash

import django

django.setup()

# pytest-randomly tries model_bakery before there are settings, runs into a circle of Django's imports and swallows the
# error. The modules that came through are then missing from their packages, where migrations look for them.
for name, module in list(sys.modules.items()):
    package, _, child = name.rpartition(".")
    if name.startswith("django.db.") and not hasattr(sys.modules[package], child):
        setattr(sys.modules[package], child, module)

from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import post_migrate

from accounts.models import User
from clearance import embedded
from clearance.tests import cast as casting
from clearance.tests import recipes
from shipments.models import Shipment


@pytest.fixture(scope="session", autouse=True)
def servers() -> Iterator[None]:
    """Every process of the run counts as a user of the servers: the first starts them, the last one out stops them."""
    with embedded.servers():
        yield


# The database --------------------------------------------------------------------------------------------------------
def _load_reference_data(**_: Any) -> None:
    call_command("load_reference_data", stdout=StringIO())


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """Every test finds the system roles and the SOP.

    They are loaded where Django itself makes its permissions: after the last app of a migrate, and again whenever a
    test with real commits (`transaction=True`) has emptied the tables.
    """
    last = [app for app in apps.get_app_configs() if app.models_module is not None][-1]
    post_migrate.connect(_load_reference_data, sender=last, dispatch_uid="reference data of the tests")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """End what still holds the test database when it is to be dropped: a browser's last request may be under way."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


# The cast ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def noon() -> datetime:
    """The moment at which tests act unless they say otherwise."""
    return recipes.NOON


@pytest.fixture
def cast(db: None) -> casting.Cast:
    """One of each kind of people, with system roles, two divisions and the departments' fallbacks."""
    return casting.assemble()


@pytest.fixture
def shipment(cast: casting.Cast) -> Shipment:
    """A shipment of no division with its 34 steps, registered at noon by the Business Unit's clerk."""
    return recipes.registered(by=cast.bu_clerk)


@pytest.fixture
def bu_clerk(cast: casting.Cast) -> User:
    return cast.bu_clerk


@pytest.fixture
def bu_alternate(cast: casting.Cast) -> User:
    return cast.bu_alternate


@pytest.fixture
def bu_head(cast: casting.Cast) -> User:
    return cast.bu_head


@pytest.fixture
def finance_clerk(cast: casting.Cast) -> User:
    return cast.finance_clerk


@pytest.fixture
def finance_head(cast: casting.Cast) -> User:
    return cast.finance_head


@pytest.fixture
def cc_clerk(cast: casting.Cast) -> User:
    return cast.cc_clerk


@pytest.fixture
def cc_alternate(cast: casting.Cast) -> User:
    return cast.cc_alternate


@pytest.fixture
def cc_head(cast: casting.Cast) -> User:
    return cast.cc_head


@pytest.fixture
def storekeeper(cast: casting.Cast) -> User:
    return cast.storekeeper


@pytest.fixture
def auditor(cast: casting.Cast) -> User:
    return cast.auditor


@pytest.fixture
def manager(cast: casting.Cast) -> User:
    return cast.manager


@pytest.fixture
def administrator(cast: casting.Cast) -> User:
    return cast.administrator


@pytest.fixture
def stranger(cast: casting.Cast) -> User:
    return cast.stranger


@pytest.fixture
def divisional_clerk(cast: casting.Cast) -> User:
    return cast.divisional_clerk

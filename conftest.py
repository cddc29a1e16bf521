"""What every test stands on: an environment that a developer's own settings can't reach, and the embedded servers."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

# Before anything loads the settings (hence no DJANGO_SETTINGS_MODULE in pytest's own configuration): the tests have
# servers of their own, beside the demonstration's, and never see DATABASE_URL or REDIS_URL from outside.
os.environ["DJANGO_SETTINGS_MODULE"] = "clearance.settings"
os.environ["DATABASE_OWNER_URL"] = os.environ.get("TEST_DATABASE_URL", "")
os.environ["DATABASE_URL"] = re.sub("(?<=://)[^@:/]+", "clearance_test_app", os.environ["DATABASE_OWNER_URL"])
os.environ["REDIS_URL"] = os.environ.get("TEST_REDIS_URL", "")
os.environ["VAR_DIR"] = str(Path(__file__).parent / "var" / "test")
for name in ("DATABASE_REPLICA_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
    os.environ[name] = ""
os.environ["DEBUG"] = "1"
os.environ["RATE_LIMIT_PER_MINUTE"] = "0"  # the tests of the limit set their own
os.environ["PGOPTIONS"] = "-c synchronous_commit=off"  # a test's data needn't survive a crash

import django

django.setup()

# pytest-randomly tries model_bakery before there are settings, runs into a circle of Django's imports and swallows the
# error. The modules that came through are then missing from their packages, where migrations look for them.
for name, module in list(sys.modules.items()):
    package, _, child = name.rpartition(".")
    if name.startswith("django.db.") and not hasattr(sys.modules[package], child):
        setattr(sys.modules[package], child, module)

from django.conf import settings as configured
from django.db import connection

from accounts.models import User
from clearance import context, embedded
from clearance.tests import cast as casting
from clearance.tests import databases, listening, recipes
from shipments.models import Shipment

configured.PASSWORD_HASHERS = [f"{casting.__name__}.{casting.QuickArgon2.__name__}"]


@pytest.fixture(scope="session", autouse=True)
def servers() -> Iterator[None]:
    """Every process of the run counts as a user of the servers: the first starts them, the last one out stops them."""
    with embedded.servers():
        yield


@pytest.fixture(autouse=True)
def nobody_acts() -> Iterator[None]:
    """Nobody who acted in one test is on record in the next."""
    with context.remarking():  # what is noted inside a block ends with it
        yield


@pytest.fixture(autouse=True)
def log() -> Iterator[StringIO]:
    """What a test has logged, as production would write it; whatever the test is about, it holds no secret (I13)."""
    with listening.listening() as written:
        yield written
    assert listening.secrets_in(written.getvalue()) == set()


# The database --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def django_db_setup(
    servers: None, django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: Any
) -> Iterator[None]:
    """Every test finds the system roles and the SOP, and acts with no more rights than the application has."""
    databases.copy_instead_of_emptying()
    test_name = connection.settings_dict["TEST"]["NAME"] or f"test_{connection.settings_dict['NAME']}"
    with django_db_blocker.unblock(), databases.prepared(test_name):
        yield


# The cache -----------------------------------------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def _a_cache_of_its_own(settings: Any) -> None:
    """No test finds what another has kept, also none that runs beside it; `clear()` would empty the broker too."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": uuid4().hex}}


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

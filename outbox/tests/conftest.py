"""A post office for tests, where mail goes by real SMTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from outbox.tests import post_office as offices
from outbox.tests.post_office import PostOffice


@pytest.fixture
def post_office(smtp: Any) -> Iterator[PostOffice]:
    """A mail server that takes everything, until a test tells it otherwise."""
    with offices.opened() as office:
        smtp(office.port)
        yield office


@pytest.fixture
def smtp(settings: Any) -> Any:
    """Have mail go by SMTP to a port of this machine."""

    def use(port: int) -> None:
        settings.EMAIL_BACKEND = "outbox.backends.Smtp"
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = port
        settings.EMAIL_TIMEOUT = 10
        settings.DEFAULT_FROM_EMAIL = "Clearance <clearance@example.com>"

    return use

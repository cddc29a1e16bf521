"""A post office for tests, where mail goes by real SMTP; Amazon, where it goes by real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from outbox.tests import amazon as amazons
from outbox.tests import post_office as offices
from outbox.tests.amazon import Amazon
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


@pytest.fixture(scope="session")
def amazon_for_all() -> Iterator[Amazon]:
    """One moto for a worker of pytest's: it takes a second or two to start."""
    with amazons.opened() as amazon:
        amazon.verify("clearance@example.com")
        yield amazon


@pytest.fixture
def amazon(amazon_for_all: Amazon, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Amazon:
    """Amazon SES and SNS, that know our address and take everything, until a test tells them otherwise."""
    for name, value in amazons.KEYS.items():
        monkeypatch.setenv(name, value)
    amazon_for_all.taken.clear()
    amazon_for_all.asked.clear()
    amazon_for_all.answer = None
    amazon_for_all.is_open.set()
    client = {**settings.SNS_CLIENT, "region_name": amazons.REGION, "endpoint_url": amazon_for_all.url}
    settings.EMAIL_BACKEND = "outbox.backends.Ses"
    settings.ANYMAIL = {"AMAZON_SES_CLIENT_PARAMS": client}
    settings.DEFAULT_FROM_EMAIL = "Clearance <clearance@example.com>"
    settings.SMS_PROVIDER, settings.SMS_BACKEND, settings.SNS_CLIENT = "sns", "outbox.backends.Sns", client
    return amazon_for_all

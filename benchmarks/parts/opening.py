"""Opening the first page, without a network in between."""

from __future__ import annotations

import secrets
import statistics
import time

from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.choices import WORKING_DEPARTMENTS, Department
from accounts.models import User

# What the page links to needn't be built for this.
_PLAIN = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}


@override_settings(STORAGES=_PLAIN)
def first_page(department: str, times: str) -> dict[str, float]:
    """Open it so many times as the busiest person of the department; the first time with an empty cache."""
    cache.key_prefix = secrets.token_hex(8)
    client, url = Client(headers={"Host": "127.0.0.1", "X-Forwarded-Proto": "https"}), reverse("admin:index")
    busiest = "PPR." if Department[department] in WORKING_DEPARTMENTS else "head."
    client.force_login(User.objects.get(department=Department[department], email__istartswith=busiest))
    with CaptureQueriesContext(connection) as cold:
        first = _open(client, url)
    first_statements = len(cold)  # before the next request empties the log
    waits = [_open(client, url) for _ in range(int(times))]
    with CaptureQueriesContext(connection) as statements:
        _open(client, url)
    return {
        "p50_ms": statistics.median(waits),
        "first_ms": first,
        "first_statements": first_statements,
        "statements": len(statements),
    }


def _open(client: Client, url: str) -> float:
    started = time.perf_counter()
    answer = client.get(url)
    assert answer.status_code == 200, answer
    return (time.perf_counter() - started) * 1000

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from alerts.models import SweepRun
from clearance import limits
from clearance.celery import app
from clearance.clock import day_of
from clearance.embedded import ROOT
from clearance.tests import workers
from clearance.tests.callers import signed_in
from clearance.tests.processes import eventually
from outbox.choices import Delivery
from outbox.models import Carrier, Message

ME = "/api/v1/users/me"


def parsed(text: str) -> dict[tuple[str, ...], float]:
    """Every sample: its name and the values of its labels, which are in alphabetical order."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read() -> dict[tuple[str, ...], float]:
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    return parsed(answer.content.decode())


class TestTheMetrics:
    @pytest.mark.parametrize(
        ("allowed", "address", "status"),
        [
            (["127.0.0.1", "::1"], "127.0.0.1", 200),
            (["127.0.0.1", "::1"], "::1", 200),
            (["127.0.0.1", "::1"], "192.0.2.1", 404),
            (["192.0.2.0/24"], "192.0.2.77", 200),
            (["192.0.2.0/24"], "127.0.0.1", 404),
            (["192.0.2.0/24"], "", 404),
            ([], "127.0.0.1", 404),
        ],
    )
    def test_are_for_configured_addresses_only(self, db, settings, allowed, address, status):
        settings.METRICS_ALLOWED_ADDRESSES = allowed

        assert Client(REMOTE_ADDR=address).get("/metrics").status_code == status

    def test_believe_no_invented_address(self, db, settings):
        answer = Client(REMOTE_ADDR="192.0.2.1").get("/metrics", HTTP_X_FORWARDED_FOR="127.0.0.1")

        assert answer.status_code == 404

    @pytest.mark.parametrize(
        "left", ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"]
    )
    def test_are_for_nobody_behind_a_proxy_that_was_not_counted(self, db, settings, left):
        """Whoever comes through it seems to be on this machine."""
        settings.TRUSTED_PROXY_COUNT = 0

        assert Client().get("/metrics", headers={left: "203.0.113.9"}).status_code == 404

    def test_are_for_who_comes_through_a_counted_one_from_a_configured_address(self, db, settings):
        settings.TRUSTED_PROXY_COUNT, settings.METRICS_ALLOWED_ADDRESSES = 1, ["192.0.2.7"]

        answers = [Client().get("/metrics", headers={"X-Forwarded-For": one}) for one in ("192.0.2.7", "192.0.2.8")]

        assert [answer.status_code for answer in answers] == [200, 404]

    def test_are_not_even_for_administrators_elsewhere(self, client, administrator):
        client.force_login(administrator)

        assert client.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 404

    def test_cost_four_statements(self, db, django_assert_num_queries):
        SweepRun.objects.create(on=day_of(timezone.now()), started_at=timezone.now(), finished_at=timezone.now())

        with django_assert_num_queries(4):
            read()


class TestARequest:
    def test_is_counted_by_endpoint_method_and_status(self, bu_clerk, shipment):
        clerk, endpoint = signed_in(bu_clerk), "/api/v1/shipments/{pk}"
        before = read()

        clerk.get(f"/api/v1/shipments/{shipment.pk}")
        clerk.get("/api/v1/shipments/999999")
        clerk.post(f"/api/v1/shipments/{shipment.pk}", {})
        clerk.generic("PROPFIND", f"/api/v1/shipments/{shipment.pk}")

        after = read()
        for method, status in (("GET", "200"), ("GET", "404"), ("POST", "405"), ("other", "405")):
            name = ("clearance_requests_total", endpoint, method, status)
            assert after[name] - before.get(name, 0) == 1, name

    def test_is_timed(self, bu_clerk, shipment):
        clerk = signed_in(bu_clerk)
        names = [(f"clearance_request_seconds_{part}", "/api/v1/users/me", "GET") for part in ("count", "sum")]
        before = read()

        clerk.get(ME)

        count, seconds = (read()[name] - before.get(name, 0) for name in names)
        assert count == 1
        assert 0 < seconds < 10

    def test_that_asks_for_nothing_there_is_makes_no_endpoint_of_its_own(self, client, db):
        for number in range(3):
            client.get(f"/nowhere/{number}")
            client.get(f"/api/nowhere/{number}")

        assert not any("nowhere" in part for name in read() for part in name)

    def test_shows_how_the_pool_is(self, client, db):
        client.get("/api/v1/health/live")

        found = read()
        assert found["clearance_database_connections", "open"] >= found["clearance_database_connections", "free"]
        assert found["clearance_database_connections", "awaited"] == 0


@pytest.fixture
def task():
    @app.task(name="of-a-test")
    def run(result: object) -> object:
        if isinstance(result, str):
            raise ValueError(result)
        return result

    yield run
    app.tasks.pop("of-a-test")


class TestATask:
    def test_is_counted_and_timed_with_what_it_did(self, db, task):
        for result in ({"raised": 3, "is_down": True, "failure": "x"}, {"raised": 2}, 4, "it fails"):
            task.apply((result,))

        found = read()
        assert found["clearance_task_runs_total", "done", "of-a-test"] == 3
        assert found["clearance_task_runs_total", "failed", "of-a-test"] == 1
        assert 0 < found["clearance_task_seconds_total", "of-a-test"] < 10
        results = {name[1]: value for name, value in found.items() if name[0] == "clearance_task_results_total"}
        assert results == {"raised": 5, "count": 4}

    def test_runs_without_redis_too(self, db, task, settings):
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        limits._client.cache_clear()

        assert task.apply(({"raised": 1},)).get() == {"raised": 1}
        assert read()["clearance_server_up", "redis"] == 0
        limits._client.cache_clear()


class TestTheState:
    def test_of_sweep_and_mail_is_told(self, db, bu_clerk):
        at = timezone.now()
        SweepRun.objects.create(
            on=at.date(), started_at=at - timedelta(hours=2), finished_at=at, raised=7, messages=3, duration_ms=1500
        )
        SweepRun.objects.create(on=at.date(), started_at=at)  # did not come to its end
        for delivery in (Delivery.WAITING, Delivery.WAITING, Delivery.DEAD):
            Message.objects.create(
                kind="digest",
                recipient=bu_clerk,
                delivery=delivery,
                not_before=at - timedelta(minutes=5),
                created_at=at,
            )
        Carrier.objects.create(channel="mail", down_since=at)

        found = {name[0].removeprefix("clearance_"): value for name, value in read().items()}

        assert found["sweep_age_seconds"] == pytest.approx(7200, abs=60)
        assert found["mail_waiting_seconds"] == pytest.approx(300, abs=60)
        told = ("sweep_duration_seconds", "sweep_alerts", "sweep_messages", "sweep_healthy")
        assert [found[name] for name in told] == [1.5, 7, 3, 1]
        assert [found[name] for name in ("mail_waiting", "mail_dead", "mail_server_up")] == [2, 1, 0]

    def test_of_an_idle_house_is_told_too(self, db):
        found = read()

        assert found["clearance_mail_waiting",] == found["clearance_mail_waiting_seconds",] == 0
        assert found["clearance_mail_server_up",] == 1
        assert ("clearance_sweep_age_seconds",) not in found
        assert found["clearance_server_up", "database"] == found["clearance_server_up", "redis"] == 1


@contextmanager
def web(folder: Path) -> Iterator[int]:
    """Two workers on the tests' database; the port that they serve."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        options = ("--workers=2", "--threads=2", "--graceful-timeout=1")
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "clearance.wsgi", f"--bind=fd://{listener.fileno()}", *options],
            cwd=ROOT,
            env={"PATH": os.defpath, "DATABASE_URL": workers.database_url(), "REDIS_URL": "redis://127.0.0.1:1/0"}
            | {"DEBUG": "1", "LOG_LEVEL": "ERROR", "TMPDIR": str(folder)},
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        port = listener.getsockname()[1]
        try:
            assert eventually(lambda: ask(port, "/api/v1/health/live")[0] == 200)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def ask(port: int, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.django_db(transaction=True)
class TestAWebOfSeveralWorkers:
    def test_tells_what_all_of_them_counted_and_cleans_up(self):
        name = ("clearance_requests_total", "/api/v1/health/live", "GET", "200")
        with tempfile.TemporaryDirectory(prefix="clearance-test-") as folder:
            with web(Path(folder)) as port:
                before = parsed(ask(port, "/metrics")[1])[name]
                for _ in range(40):
                    ask(port, "/api/v1/health/live")

                found = [parsed(ask(port, "/metrics")[1]) for _ in range(4)]
                folders = list(Path(folder).glob("clearance-metrics-*"))
                counters = list(folders[0].glob("counter_*.db"))

            assert {one[name] for one in found} == {before + 40}
            assert found[0]["clearance_server_up", "database"] == 1
            assert (len(folders), len(counters)) == (1, 2)
            assert not folders[0].exists()

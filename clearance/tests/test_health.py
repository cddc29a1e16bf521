from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.utils import timezone

from alerts.models import SweepRun
from audit import services as audit
from clearance import embedded, health
from clearance.embedded import ROOT
from clearance.tests import callers, recipes
from clearance.tests.processes import eventually
from outbox.choices import Channel
from outbox.tests import mails

ENDPOINTS = ("/health", "/health/live", "/health/ready", "/health/db", "/health/redis")
OPTIONS = ("--threads=4", "--graceful-timeout=1", "--log-level=error")
WORDS = ("writing", "sealing", "sweep", "mail", "sms")
SAYS_SO = {"/health": 200, "/health/live": 200, "/health/ready": 503, "/health/db": 503, "/health/redis": 503}


@pytest.fixture
def closed_port() -> int:
    """A port that refuses every connection."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield int(listener.getsockname()[1])


@contextmanager
def serving(**environment: str) -> Iterator[int]:
    """Clearance as production runs it, in a process of its own; the port it serves."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        production = {
            "PATH": os.defpath,
            "DEBUG": "0",
            "SECRET_KEY": "k3J9-vQ2x_Zr7Lw5Tn8Ys4Bd6Fg1Hm0Pc-Xe9Ua2Io7Rk5Vj3Wq",
            "ALLOWED_HOSTS": "127.0.0.1",
            "LOG_LEVEL": "CRITICAL",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "clearance.wsgi", f"--bind=fd://{listener.fileno()}", *OPTIONS],
            cwd=ROOT,
            env=production | environment,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        try:
            yield int(listener.getsockname()[1])
        finally:
            process.terminate()
            process.wait(20)


def ask(port: int, endpoint: str) -> tuple[int, dict[str, Any], float]:
    """Status, answer and seconds of one request."""
    started = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", f"/api/v1{endpoint}")
        answer = connection.getresponse()
        body = json.loads(answer.read())
    return answer.status, body, time.perf_counter() - started


class TestWithBothServersDown:
    @pytest.mark.parametrize("kind", ["closed_port", "black_hole"])
    def test_every_answer_comes_within_a_tenth_of_a_second(self, request, kind):
        port = request.getfixturevalue(kind)
        with serving(
            DATABASE_URL=f"postgresql://clearance:secret@127.0.0.1:{port}/clearance",
            REDIS_URL=f"redis://127.0.0.1:{port}/0",
        ) as served:
            ask(served, "/health/live")  # waits for the process

            seconds: dict[str, list[float]] = {endpoint: [] for endpoint in ENDPOINTS}
            for _ in range(5):
                for endpoint in ENDPOINTS:
                    status, body, taken = ask(served, endpoint)
                    seconds[endpoint].append(taken)
                    assert status == SAYS_SO[endpoint], body

            _, whole, _ = ask(served, "/health")

        # The median: a busy machine may hold up one of them, whatever the servers do.
        typical = {endpoint: statistics.median(taken) for endpoint, taken in seconds.items()}
        assert max(typical.values()) < 0.1, typical
        assert (whole["status"], whole["database"], whole["redis"]) == ("degraded", False, False)


@pytest.mark.django_db(transaction=True)
class TestWithBothServersUp:
    def test_everything_is_well(self, client):
        audit.seal(at=timezone.now())  # what the making of the database has left
        # The first question of a process may come too early: its connections are only being made.
        assert eventually(lambda: client.get("/api/v1/health/ready").status_code == 200)

        assert eventually(lambda: client.get("/api/v1/health").json()["status"] == "ok")
        whole = client.get("/api/v1/health").json()

        assert whole.keys() == {"status", "version", "uptime_seconds", "database", "redis", *WORDS}
        assert all(whole[word] for word in ("database", "redis", *WORDS))
        assert whole["uptime_seconds"] >= 0

    @pytest.mark.parametrize("server", ["db", "redis"])
    def test_each_of_them_says_so(self, client, server):
        assert eventually(lambda: client.get(f"/api/v1/health/{server}").json()["status"] == "ok")

    def test_nobody_needs_to_sign_in_and_no_credentials_are_looked_at(self, client):
        answer = client.get("/api/v1/health/live", headers={"authorization": "Bearer nonsense"})

        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_nothing_is_to_be_posted(self, client):
        assert client.post("/api/v1/health").status_code == 405


@pytest.fixture
def nothing_known() -> Iterator[None]:
    """No test hears what another has asked."""
    for question in health.QUESTIONS.values():
        question.forget()
    yield
    for question in health.QUESTIONS.values():
        question.forget()


@contextmanager
def ruling(*, server: bool = False) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the owner of the tests' database; or of the one who rules the embedded server."""
    given = connections["owner"].get_connection_params()
    with psycopg.connect(**given | ({"user": embedded.NAME} if server else {}), autocommit=True) as made:
        yield made


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("nothing_known")
class TestAWord:
    def missing(self, client) -> set[str]:
        """The words that are false, once the answer has come; nothing but the summary minds."""
        answers = [client.get(f"/api/v1/health{one}").status_code for one in ("", "/live", "/ready")]
        assert answers[:2] == [200, 200]
        found = client.get("/api/v1/health").json()
        assert (found["status"] == "ok") is all(found[word] for word in ("database", "redis", *WORDS))
        return {word for word in WORDS if not found[word]}

    def becomes(self, client, *words: str) -> bool:
        return eventually(lambda: self.missing(client) == set(words), seconds=8)

    @pytest.fixture(autouse=True)
    def well(self, client, nothing_known) -> None:
        audit.seal(at=timezone.now())
        assert self.becomes(client)
        assert eventually(lambda: client.get("/api/v1/health/ready").status_code == 200)

    def test_tells_of_a_database_that_may_not_write(self, client, bu_clerk):
        caller = callers.signed_in(bu_clerk)
        with ruling() as owner:
            name = connection.settings_dict["NAME"]
            owner.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        connection.close()
        connection.close_pool()

        assert self.becomes(client, "writing")
        refused = caller.post("/api/v1/shipments", {**recipes.values(), "eta": "2031-01-01"})
        assert callers.error_of(refused, 503)["code"] == "UNAVAILABLE"
        assert int(refused["Retry-After"]) > 0

    def test_tells_of_a_full_disk(self, client):
        with disk_of_64_kilobytes():
            connection.close()
            connection.close_pool()

            assert self.becomes(client, "writing")
            assert client.get("/api/v1/health/ready").status_code == 200

    def test_tells_of_sealing_that_stands_still(self, client):
        with ruling() as owner:
            owner.execute(
                "INSERT INTO audit_auditentry (at, entity_type, entity_id, action, changes, user_name, user_role,"
                " on_behalf_of, channel, request_id, import_batch, reason)"
                " VALUES (now() - interval '6 minutes', 'page', '', 'denied', '{}', '', '', '', 'system', '', '', '')"
            )

        assert self.becomes(client, "sealing")
        audit.seal(at=timezone.now())
        assert self.becomes(client)

    @pytest.mark.parametrize(("minutes", "words"), [(14, ()), (16, ("mail",))])
    def test_tells_of_stuck_mail(self, client, bu_clerk, minutes, words):
        mails.waiting(bu_clerk, at=timezone.now() - timedelta(minutes=minutes))
        time.sleep(health.KEPT_SECONDS)

        assert self.becomes(client, *words)

    def test_tells_of_stuck_text_messages(self, client, bu_clerk):
        mails.waiting(bu_clerk, at=timezone.now() - timedelta(minutes=16), channel=Channel.SMS)

        assert self.becomes(client, "sms")

    def test_tells_of_a_late_sweep(self, client):
        at = timezone.now() - timedelta(hours=27)
        SweepRun.objects.create(on=at.date(), started_at=at, finished_at=at)

        assert self.becomes(client, "sweep")


@contextmanager
def disk_of_64_kilobytes() -> Iterator[None]:
    """Have the application reckon on a disk of that size, what doesn't fit into memory."""
    if os.geteuid() or os.environ["DATABASE_OWNER_URL"]:
        pytest.skip("Only root mounts a disk, and only the embedded server takes it.")
    disk = Path(tempfile.mkdtemp(prefix="clearance-disk-"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False).returncode:
        disk.rmdir()
        pytest.skip("This machine lets nobody mount a disk.")
    disk.chmod(0o711)
    place = disk / "tablespace"
    place.mkdir()
    shutil.chown(place, "nobody")
    person, database = connection.settings_dict["USER"], connection.settings_dict["NAME"]
    try:
        with ruling(server=True) as server:
            server.execute(f"CREATE TABLESPACE tiny LOCATION '{place}'")
            server.execute(f"GRANT CREATE ON TABLESPACE tiny TO {person}")
            server.execute(f'ALTER ROLE {person} IN DATABASE "{database}" SET temp_tablespaces = tiny')
            try:
                yield
            finally:
                server.execute(f'ALTER ROLE {person} IN DATABASE "{database}" RESET temp_tablespaces')
                server.execute(f"REVOKE CREATE ON TABLESPACE tiny FROM {person}")
                server.execute("DROP TABLESPACE tiny")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
        disk.rmdir()


@pytest.mark.usefixtures("nothing_known")
class TestAskingOften:
    def test_asks_the_servers_once_a_second(self, monkeypatch):
        asked = []
        question = health.Question(lambda: asked.append(1) or {"database": True})
        monkeypatch.setitem(health.QUESTIONS, "database", question)

        for _ in range(50):
            assert health.answering("database") == {"database": True}

        assert len(asked) <= 2  # a slow machine may take more than a second for fifty

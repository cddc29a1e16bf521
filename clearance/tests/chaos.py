"""The chaos: people work over HTTP while servers and processes are killed, and what they were told is what is written.

Everything in it is real and its own: PostgreSQL, Redis, a web of two processes, a worker, beat, the demonstration.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.client import HTTPConnection, HTTPException
from itertools import count, cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
from django.utils import timezone

from clearance import embedded, supervisor
from clearance.clock import day_of
from clearance.tests import processes

PEOPLE = 8
PREFIX = "CHAOS-"
BACK_WITHIN = 5.0  # seconds after a server's return
PATIENCE = 60  # seconds until somebody gives up on a request

WRITERS = ("bu.ppr", "bu.apr", "bu.head")
READERS = (*WRITERS, "finance.ppr", "finance.apr", "finance.head", "cc.ppr", "cc.apr", "cc.head", "management")


# The house -----------------------------------------------------------------------------------------------------------
class House:
    """The product on servers of its own below `var`, each part of which may be killed and started again."""

    def __init__(self, var: Path, stack: ExitStack) -> None:
        self.var = var
        self.port = processes.free_port()
        self.password = f"Dhow-{secrets.token_urlsafe(12)}-7"
        self.environment = {
            "PATH": os.defpath,
            "VAR_DIR": str(var),
            "DEBUG": "1",
            "DEMO": "1",
            "DEMO_PASSWORD": self.password,
            "RATE_LIMIT_PER_MINUTE": "0",
            "LOG_LEVEL": "WARNING",
        }
        folder = var / "postgres"
        assert len(str(folder)) < 80, "the socket stands beside the data"
        place = f"@/{embedded.NAME}?host={quote(str(folder), safe='/')}"
        self.owner = f"postgresql://{embedded.OWNER}{place}"
        self.as_application = {"DATABASE_URL": f"postgresql://{embedded.APPLICATION}{place}", "DATABASE_OWNER_URL": ""}
        self.stack = stack
        self._run("keeper", "-m", "clearance.embedded")
        assert processes.eventually(lambda: (folder / "embedded.pid").exists() and self._is_up(), seconds=90)
        prepared = self._command("-m", "clearance.prepare")
        assert prepared.returncode == 0, prepared.stderr[-3000:]
        self._run("web", "-m", *supervisor.WEB, f"--bind=127.0.0.1:{self.port}", **self.as_application)
        self.worker = self._run("worker", "-m", *supervisor.WORKER, **self.as_application)
        self._run("beat", "-m", *supervisor.BEAT, **self.as_application)
        assert processes.eventually(self.is_well, seconds=60)

    def is_well(self) -> bool:
        return ask(self.port, "GET", "/api/v1/health/ready").status == 200

    def _is_up(self) -> bool:
        try:
            psycopg.connect(self.owner).close()
        except psycopg.Error:
            return False
        return True

    def _run(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        log = self.stack.enter_context((self.var.parent / f"{name}.log").open("ab"))
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=embedded.ROOT,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.stack.callback(_end, process)
        return process

    def _command(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            cwd=embedded.ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    # Killing ---------------------------------------------------------------------------------------------------------
    def kill_postgres(self) -> None:
        os.kill(_pid(self.var / "postgres" / "postmaster.pid"), signal.SIGKILL)
        time.sleep(1)

    def kill_redis(self) -> None:
        os.kill(_pid(self.var / "redis" / "embedded.pid"), signal.SIGKILL)
        time.sleep(1)

    def start(self, server: str) -> None:
        """Start a killed server again, as an administrator would; what is left of it needs a moment to end."""
        command = f"from clearance import embedded; embedded.{server}.answers() or embedded.{server}.start()"
        for _ in range(5):
            done = self._command("-c", command)
            if not done.returncode:
                return
            time.sleep(0.5)
        raise AssertionError(done.stderr[-3000:])

    def kill_backend(self) -> None:
        (master,) = [
            one
            for one in processes.of(self.var)
            if "gunicorn" in one.cmdline() and one.parent() and one.parent().pid == os.getpid()
        ]
        min(master.children(), key=lambda child: child.create_time()).kill()

    def kill_worker(self) -> None:
        os.killpg(self.worker.pid, signal.SIGKILL)
        self.worker.wait()

    def start_worker(self) -> None:
        self.worker = self._run("worker", "-m", *supervisor.WORKER, **self.as_application)

    def verified(self) -> str:
        """What verification says of the trail, once all of it is sealed; empty if all is well."""
        sealed = self._command("manage.py", "seal_audit")
        assert sealed.returncode == 0, sealed.stderr[-3000:]
        done = self._command("manage.py", "verify_audit")
        return done.stdout + done.stderr if done.returncode else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _pid(file: Path) -> int:
    return int(file.read_text().split()[0])


@contextmanager
def house() -> Iterator[House]:
    """Have a house for as long as the block lasts."""
    with processes.var_folder() as var, ExitStack() as stack:
        yield House(var, stack)


def today() -> date:
    return day_of(timezone.now())


# Asking --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Answer:
    """Status 0: there was none."""

    status: int
    body: Any = None
    headers: Any = None

    def is_a_proper_503(self) -> bool:
        error = self.body.get("error", {}) if isinstance(self.body, dict) else {}
        return (
            error.keys() == {"code", "message", "details", "request_id"}
            and error["code"] == "UNAVAILABLE"
            and error["request_id"] == self.headers["X-Request-ID"]
            and "Retry-After" in self.headers
        )


def ask(port: int, method: str, path: str, body: Any = None, *, token: str = "", key: str = "") -> Answer:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if key:
        headers["Idempotency-Key"] = key
    client = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        client.request(method, path, None if body is None else json.dumps(body), headers)
        found = client.getresponse()
        content = found.read()
        is_json = found.headers["Content-Type"] == "application/json"
        return Answer(found.status, json.loads(content) if is_json else content, found.headers)
    except (OSError, HTTPException):
        return Answer(0)
    finally:
        client.close()


# Working -------------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Told:
    """What one person was told, by what it was about."""

    registered: dict[int, str] = field(default_factory=dict)  # id: number
    etas: dict[int, list[str]] = field(default_factory=dict)
    completed: dict[int, int] = field(default_factory=dict)  # id of the step: attempts
    acknowledged: dict[int, int] = field(default_factory=dict)
    refused_numbers: set[str] = field(default_factory=set)
    refused_etas: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    improper: list[Any] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Person(threading.Thread):
    """Registers, moves ETAs, completes and acknowledges until told to stop; asks again until there is an answer."""

    def __init__(self, house: House, number: int, tokens: dict[str, str], alerts: list[tuple[int, str]]) -> None:
        super().__init__(daemon=True)
        self.house = house
        self.number = number
        self.tokens = tokens
        self.alerts = alerts
        self.told = Told()
        self.is_over = threading.Event()

    def run(self) -> None:
        try:
            for turn in count():
                if self.is_over.is_set():
                    return
                self._work(turn)
        except Exception as error:  # noqa: BLE001 - what stops a person is a result that the test looks at
            self.told.broken.append(repr(error))

    def _work(self, turn: int) -> None:
        writer = self.tokens[WRITERS[(self.number + turn) % len(WRITERS)]]
        number = f"{PREFIX}{self.number}-{turn:05}"
        soon = today() + timedelta(days=20)
        values = {
            "shipment_number": number,
            "principal": "Al Noor Tyres",
            "brand": "Noor",
            "invoice_amount_omr": "12345.678",
            "eta": str(soon),
        }
        new, _ = self._insist("POST", "/api/v1/shipments", values, writer, repeatable=True)
        assert new.status == 201, new
        shipment_id = new.body["id"]
        self.told.registered[shipment_id] = number
        again, _ = self._insist("POST", "/api/v1/shipments", {**values, "brand": "Other"}, writer, repeatable=True)
        assert again.status in (400, 409), again
        self._move(shipment_id, soon, writer)
        self._complete(shipment_id)
        self._acknowledge()

    def _move(self, shipment_id: int, soon: date, writer: str) -> None:
        """Four times, of which the fourth is refused."""
        for move in range(1, 5):
            eta = str(soon + timedelta(days=move))
            given = {"eta": eta, "reason": "Rolled"}
            moved, _ = self._insist("PATCH", f"/api/v1/shipments/{shipment_id}/eta", given, writer, repeatable=True)
            if moved.status == 200:
                self.told.etas.setdefault(shipment_id, []).append(eta)
            else:
                assert moved.body["error"]["code"] == "ETA_EDIT_LIMIT", moved
                self.told.refused_etas += 1

    def _complete(self, shipment_id: int) -> None:
        head = self.tokens["bu.head"]
        steps, _ = self._insist("GET", f"/api/v1/shipments/{shipment_id}/workflow", None, head)
        own = [row for row in steps.body if row["department"] == "BusinessUnit" and not row["filled_by_field"]]
        for row in own[:2]:
            given = {"actual_date": str(today())}
            done, attempts = self._insist("PATCH", f"/api/v1/workflow-steps/{row['id']}/complete", given, head)
            # Asked again, after an answer that was lost on its way, the desk says that it is done already.
            is_done = attempts > 1 and done.status == 409 and done.body["error"]["code"] == "STEP_ALREADY_COMPLETED"
            assert done.status == 200 or is_done, done
            self.told.completed[row["id"]] = attempts

    def _acknowledge(self) -> None:
        if self.alerts:
            alert_id, token = self.alerts.pop()
            given = {"promised_on": str(today() + timedelta(days=3))}
            seen, attempts = self._insist("PATCH", f"/api/v1/alerts/{alert_id}/acknowledge", given, token)
            assert seen.status == 200, seen
            self.told.acknowledged[alert_id] = attempts

    def _insist(self, method: str, path: str, body: Any, token: str, *, repeatable: bool = False) -> tuple[Answer, int]:
        """Ask until there is an answer that stands; with one key where there may be one."""
        key = str(uuid4()) if repeatable else ""
        deadline = time.monotonic() + PATIENCE
        for attempts in count(1):
            answer = ask(self.house.port, method, path, body, token=token, key=key)
            self.told.statuses[answer.status] += 1
            if answer.status == 503 and not answer.is_a_proper_503():
                self.told.improper.append(answer.body)
            is_under_way = answer.status == 409 and answer.body["error"]["code"] == "IDEMPOTENCY_IN_FLIGHT"
            if answer.status not in (0, 503) and not is_under_way:
                return answer, attempts
            assert time.monotonic() < deadline, answer
            time.sleep(0.1)
        raise AssertionError


# The whole -----------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Figures:
    """What came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    slowest_return: float = 0.0
    told: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    amiss: list[str] = field(default_factory=list)
    seconds: int = 0

    def report(self) -> str:
        kills = ", ".join(f"{number} {what}" for what, number in sorted(self.kills.items()))
        told = ", ".join(f"{number} {what}" for what, number in sorted(self.told.items()))
        statuses = ", ".join(f"{number} × {status or 'no answer'}" for status, number in sorted(self.statuses.items()))
        return f"""
Chaos: {self.kills.total()} kills ({kills}) in {self.seconds} seconds, back within {self.slowest_return:.1f} seconds
  told: {told}
  answers: {statuses}
  amiss: {self.amiss or "nothing"}
"""


def wreak(house: House, kills: int) -> Figures:
    """Have people work, kill one thing after another, then compare what was told with what is written."""
    figures, started = Figures(), time.monotonic()
    tokens = {name: _sign_in(house, name) for name in READERS}
    alerts = _alerts(house, tokens)
    people = [Person(house, number, tokens, alerts[number::PEOPLE]) for number in range(PEOPLE)]
    for person in people:
        person.start()
    victims = cycle(
        (
            ("postgres", house.kill_postgres, lambda: house.start("POSTGRES")),
            ("backend", house.kill_backend, lambda: None),
            ("redis", house.kill_redis, lambda: house.start("REDIS")),
            ("worker", house.kill_worker, house.start_worker),
        )
    )
    for _, (name, kill, start) in zip(range(kills), victims, strict=False):
        time.sleep(1)
        kill()
        figures.kills[name] += 1
        start()
        figures.slowest_return = max(figures.slowest_return, _seconds_until_normal(house, tokens["bu.head"]))
    time.sleep(1)
    for person in people:
        person.is_over.set()
    for person in people:
        person.join(2 * PATIENCE)
        figures.statuses += person.told.statuses
        figures.amiss += person.told.broken + [f"not our envelope: {body}" for body in person.told.improper]
    with psycopg.connect(house.owner) as connection:
        figures.amiss += _compared(connection, [person.told for person in people], figures.told)
    if wrong := house.verified():
        figures.amiss.append(wrong)
    figures.seconds = int(time.monotonic() - started)
    return figures


def _sign_in(house: House, name: str) -> str:
    given = {"email": f"{name}@clearance.example", "password": house.password}
    answer = ask(house.port, "POST", "/api/v1/auth/login", given)
    assert answer.status == 200, answer
    return str(answer.body["access_token"])


def _alerts(house: House, tokens: dict[str, str]) -> list[tuple[int, str]]:
    """Open alerts that nobody has acknowledged, each with the token of its recipient."""
    found = []
    for token in tokens.values():
        me = ask(house.port, "GET", "/api/v1/users/me", token=token).body["id"]
        listed = ask(house.port, "GET", "/api/v1/alerts?page_size=100", token=token).body["results"]
        mine = [row for row in listed if row["recipient_user"] == me and row["state"] == "open"]
        found += [(row["id"], token) for row in mine if not row["is_acknowledged"]]
    return found


def _seconds_until_normal(house: House, token: str) -> float:
    """Until the first of twenty requests in a row that all have the answer that they should."""
    started = since = time.monotonic()
    in_a_row = 0
    while in_a_row < 20:
        before = time.monotonic()
        if ask(house.port, "GET", "/api/v1/shipments?page_size=1", token=token).status == 200:
            in_a_row += 1
        else:
            in_a_row, since = 0, time.monotonic()
        assert before - started < PATIENCE, "it does not come back"
    return since - started


def _compared(connection: psycopg.Connection[Any], told: list[Told], totals: Counter[str]) -> Iterator[str]:
    """What was told and isn't written, or is written and wasn't told, or more often than told."""
    rows = connection.execute(
        "SELECT id, shipment_number, eta::text, eta_edit_count,"
        " (SELECT count(*) FROM workflow_workflowstep WHERE shipment_id = shipment.id)"
        " FROM shipments_shipment AS shipment WHERE shipment_number LIKE %s",
        [f"{PREFIX}%"],
    ).fetchall()
    written = {row[0]: row[1:] for row in rows}
    registered = {pk: number for one in told for pk, number in one.registered.items()}
    etas = {pk: moved for one in told for pk, moved in one.etas.items()}
    totals["registered"], totals["moved"] = len(registered), sum(map(len, etas.values()))
    yield from _difference("registered", registered, {pk: row[0] for pk, row in written.items()})
    yield from _difference(
        "the ETA", {pk: moved[-1] for pk, moved in etas.items()}, {pk: written[pk][1] for pk in etas}
    )
    moves = {pk: len(etas.get(pk, ())) for pk in registered}
    yield from _difference("moves", moves, {pk: row[2] for pk, row in written.items()})
    yield from _difference("steps", dict.fromkeys(registered, 34), {pk: row[3] for pk, row in written.items()})
    ids = list(map(str, registered))
    yield from _difference(
        "entries of the registration",
        dict.fromkeys(registered, 1),
        _entries(connection, "shipments.shipment", ids, "action = 'created'"),
    )
    yield from _difference(
        "entries of moves",
        {pk: number for pk, number in moves.items() if number},
        _entries(connection, "shipments.shipment", ids, "action = 'changed' AND changes::jsonb ? 'eta'"),
    )
    completed = {pk for one in told for pk in one.completed}
    totals["completed"] = len(completed)
    done = connection.execute(
        "SELECT id FROM workflow_workflowstep WHERE id = ANY(%s) AND actual_date IS NOT NULL", [list(completed)]
    ).fetchall()
    yield from _difference("completed", dict.fromkeys(completed), dict.fromkeys(row[0] for row in done))
    yield from _difference(
        "entries of completions",
        dict.fromkeys(completed, 1),
        _entries(
            connection,
            "workflow.workflowstep",
            list(map(str, completed)),
            "changes::jsonb ? 'actual_date' AND action = 'changed'",
        ),
    )
    acknowledged = {pk: attempts for one in told for pk, attempts in one.acknowledged.items()}
    totals["acknowledged"] = len(acknowledged)
    found = _entries(
        connection,
        "alerts.alert",
        list(map(str, acknowledged)),
        "action = 'changed' AND changes::jsonb ? 'promised_on'",
    )
    yield from _difference("entries of acknowledgements", dict.fromkeys(acknowledged, 1), found)


def _entries(connection: psycopg.Connection[Any], kind: str, ids: list[str], which: str) -> dict[int, int]:
    """How many entries of that kind each record has."""
    found = connection.execute(
        f"SELECT entity_id::bigint, count(*) FROM audit_auditentry"
        f" WHERE entity_type = %s AND entity_id = ANY(%s) AND {which} GROUP BY 1",
        [kind, ids],
    ).fetchall()
    return dict(found)


def _difference(what: str, told: dict[int, Any], written: dict[int, Any]) -> Iterator[str]:
    for pk in told.keys() | written.keys():
        if told.get(pk, "nothing") != written.get(pk, "nothing"):
            yield f"{what} of {pk}: told {told.get(pk, 'nothing')}, written {written.get(pk, 'nothing')}"

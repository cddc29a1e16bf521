"""The soak: workers are killed at random points of sweep and delivery, and nothing may be lost or doubled (C20).

Everything in it is real: two Celery workers, PostgreSQL, Redis, an SMTP server. What should exist in the end is worked
out here once more, from the requirements, by nothing but loops.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import psutil
from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone

from accounts.models import User
from alerts.choices import Mail
from alerts.models import Alert, EscalationRule, SweepRun
from alerts.selectors import MOST_LINES
from clearance.clock import day_of
from clearance.tests import workers
from clearance.tests.cast import Cast
from outbox.choices import Delivery
from outbox.models import Message
from outbox.tests import post_office as offices
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import WorkflowStep, WorkflowTemplate

LEASE_SECONDS = 5  # so that a killed worker's mail need not be waited for; in production it is two minutes
LEFT_OPEN = (Decimal("11.0"), Decimal("13.0"))  # a critical step of C&C and one of Finance
PATIENCE = 120  # seconds for everything to settle after the last kill

Key = tuple[int, int, int, str, int]
"""Step, day after the ETA, ETA revision, name of the rule, recipient."""


@dataclass(slots=True)
class Figures:
    """What came of it."""

    shipments: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    whole_workers: int = 0  # of these; the others hit the process that a task runs in
    sweeps: int = 0
    alerts_expected: int = 0
    alerts_found: int = 0
    lost: int = 0
    doubled: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    mails_received: int = 0
    mails_missing: int = 0
    repeated: int = 0
    repeated_under_another_id: int = 0
    content_lost: int = 0
    seconds: int = 0

    @property
    def killed(self) -> int:
        return sum(self.kills.values())

    def told(self) -> str:
        moments = ", ".join(f"{number} {moment}" for moment, number in sorted(self.kills.items()))
        deliveries = ", ".join(f"{number} {delivery}" for delivery, number in sorted(self.messages.items()))
        return f"""
Soak: {self.killed} kills ({moments}; {self.whole_workers} of whole workers) in {self.seconds} seconds
  {self.shipments} shipments, {self.sweeps} complete sweeps
  alerts: {self.alerts_expected} expected, {self.alerts_found} found, {self.lost} lost, {self.doubled} doubled
  messages: {deliveries}
  mails: {self.mails_received} received, {self.mails_missing} missing, {self.content_lost} shipments missing in them
  repeated mails: {self.repeated}, {self.repeated_under_another_id} under another Message-ID
"""


class Soak:
    """One run: `shipments` wake in as many waves as there are kills, so that each kill finds something under way."""

    def __init__(self, *, cast: Cast, folder: Path, kills: int, shipments: int = 1000, seed: int = 20) -> None:
        self.folder = folder
        self.kills = kills
        self.random = random.Random(seed)
        self.figures = Figures(shipments=shipments)
        self.stages: SimpleQueue[tuple[str, int]] = SimpleQueue()
        self.wanted_stages = cycle(("rcpt", "content", "mail", "content", "data"))
        self.waves = _asleep(shipments, waves=kills, cast=cast)
        self.moments = (("in a sweep", self._sweeping), ("in a mail", self._mailing), ("at any time", self._any))

    def run(self) -> Figures:
        started = time.monotonic()
        with workers.redis() as redis, offices.opened(pause=0.01) as self.office:
            self.office.on_stage = lambda stage, session: self.stages.put((stage, session.peer[1]))
            self.beat = workers.sender(redis.url)
            self.workers = [self._worker(f"soak-{number}", redis.url) for number in (1, 2)]
            try:
                for number, wave in enumerate(self.waves):
                    Shipment.objects.filter(pk__in=wave).update(status="active")
                    self._kill_somebody(number)
                self._settle()
            finally:
                for worker in self.workers:
                    worker.kill()
                self.beat.close()
        self._count()
        self.figures.seconds = int(time.monotonic() - started)
        return self.figures

    def _worker(self, name: str, redis_url: str) -> workers.Worker:
        return workers.Worker(
            name,
            self.folder,
            redis_url=redis_url,
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=str(self.office.port),
            SMTP_FROM="clearance@example.com",
            MAIL_LEASE_SECONDS=str(LEASE_SECONDS),
            DB_POOL_SIZE="2",
            DB_MAX_OVERFLOW="0",
        )

    # Killing ---------------------------------------------------------------------------------------------------------
    def _kill_somebody(self, number: int) -> None:
        """Set something going, choose a moment of it, and kill the worker that is at it."""
        assert _within(60, lambda: any(worker.is_ready() for worker in self.workers)), "no worker came up"
        self._drain_stages()
        self._look_now()
        moment, choose = self.moments[number % len(self.moments)]
        victim = choose()
        if victim is None:
            moment, victim = "at any time", self._any()
        if self.random.random() < 1 / 4:
            victim.kill()
            victim.start()
            self.figures.whole_workers += 1
        else:
            for child in victim.children():
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        self.office.gate.set()
        self.figures.kills[moment] += 1

    def _look_now(self) -> None:
        """What beat says; twice, as two beats would."""
        for _ in range(2):
            self.beat.send_task("alerts.tasks.sweep")
            self.beat.send_task("outbox.tasks.deliver")

    def _any(self) -> workers.Worker:
        time.sleep(self.random.uniform(0, 0.5))
        return self.random.choice([worker for worker in self.workers if worker.is_ready()] or self.workers)

    def _sweeping(self) -> workers.Worker | None:
        """Whoever is in a sweep's transaction: it holds the lock that lets one sweep run at a time."""
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)"
                    " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
                    " AND application_name LIKE 'soak-%'"
                )
                found = cursor.fetchone()
            if found:
                time.sleep(self.random.uniform(0, 0.1))
                return next(worker for worker in self.workers if worker.name == found[0])
        return None

    def _mailing(self) -> workers.Worker | None:
        """Whoever has just come to one stage of handing a mail over; `data` is the server's yes."""
        wanted = next(self.wanted_stages)
        if wanted != "data":
            # The worker will never hear what the server says to that; at `content` the server has the mail.
            self.office.gate_at = wanted
            self.office.gate.clear()
        deadline = time.monotonic() + 8
        while (left := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                stage, port = self.stages.get(timeout=min(left, 0.5))
                if stage == wanted and (found := self._behind(port)):
                    time.sleep(self.random.choice((0, 0, 0.001, 0.003)))
                    return found
                continue
            if not Message.objects.filter(delivery=Delivery.WAITING, leased_until=None).exists():
                self._look_now()  # the sweep that should have written some was killed with its worker
            else:
                self.beat.send_task("outbox.tasks.deliver")
        self.office.gate.set()
        return None

    def _behind(self, port: int) -> workers.Worker | None:
        """Whose connection comes from this port."""
        for worker in self.workers:
            for child in worker.children():
                with suppress(psutil.Error):
                    if any(own.laddr and own.laddr.port == port for own in child.net_connections("tcp4")):
                        return worker
        return None

    def _drain_stages(self) -> None:
        with suppress(Empty):
            while True:
                self.stages.get_nowait()

    # Settling --------------------------------------------------------------------------------------------------------
    def _settle(self) -> None:
        """Let beat go on until nothing waits any more.

        A sweep now and then will do: they go before the mail, which would never come to its turn on a slow machine.
        """
        deadline = time.monotonic() + PATIENCE
        last_wave = Q(shipment__in=self.waves[-1])
        next_look = 0.0
        while time.monotonic() < deadline:
            if time.monotonic() > next_look:
                self._look_now()
                next_look = time.monotonic() + 10
            self.beat.send_task("outbox.tasks.deliver")
            time.sleep(0.5)
            if Alert.objects.filter(last_wave).exists() and not Message.objects.filter(delivery="waiting").exists():
                self._look_now()
                time.sleep(1)
                if not Message.objects.filter(delivery="waiting").exists():
                    return

    # Counting --------------------------------------------------------------------------------------------------------
    def _count(self) -> None:
        figures = self.figures
        figures.sweeps = SweepRun.objects.exclude(finished_at=None).count()
        last_on = SweepRun.objects.exclude(finished_at=None).latest("on").on
        expected = set(_expected(on=last_on))
        found = Counter(_found())
        figures.alerts_expected, figures.alerts_found = len(expected), found.total()
        figures.lost = len(expected - found.keys())
        figures.doubled = found.total() - len(found) + len(found.keys() - expected)

        messages = {message.message_id: message for message in Message.objects.all()}
        figures.messages = Counter(message.delivery for message in messages.values())
        received = Counter(self.office.ids())
        sent = {f"<{key}@example.com>" for key, message in messages.items() if message.delivery == Delivery.SENT}
        figures.mails_received = received.total()
        figures.mails_missing = len(sent - received.keys())
        figures.repeated = received.total() - len(received)
        told: dict[tuple[str, int], set[str]] = {}
        for mail in self.office.received:
            for shipment_id in _shipments_in(mail):
                told.setdefault((mail.recipients[0], shipment_id), set()).add(mail.message_id)
        # A sweep raises all alerts of a shipment at once: whoever is told of it is told by one message.
        figures.repeated_under_another_id = sum(len(ids) - 1 for ids in told.values())
        figures.content_lost = sum(_left_out(mail) for mail in self.office.received)
        figures.content_lost += Alert.objects.exclude(mail=Mail.NONE).filter(outbox_message=None).count()


def _within(seconds: float, condition: Any) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _shipments_in(mail: offices.Received) -> set[int]:
    return {int(number) for number in re.findall(r"/shipments/shipment/(\d+)/change/", mail.text)}


def _left_out(mail: offices.Received) -> int:
    """How many shipments a mail should tell of and doesn't; of those beyond its cap it tells the number."""
    (alerts,) = Message.objects.filter(message_id=mail.message_id[1:37]).annotate(number=Count("alerts"))
    shown = _shipments_in(mail)
    if alerts.number > MOST_LINES:
        return int(str(alerts.number - MOST_LINES) not in mail.text)
    return len({alert.shipment_id for alert in alerts.alerts.all()} ^ shown)  # type: ignore[attr-defined]


# The shipments -------------------------------------------------------------------------------------------------------
def _asleep(number: int, *, waves: int, cast: Cast) -> list[list[int]]:
    """Write shipments from before day 4 to beyond day 30 that are still cancelled; return their ids in waves."""
    at = timezone.now()
    today = day_of(at)
    written = Shipment.objects.bulk_create(
        Shipment(
            shipment_number=f"SOAK-{one:04}",
            principal="Al Noor Tyres",
            brand="Noor",
            invoice_amount_omr=Decimal("12345.678"),
            eta=today - timedelta(days=one % 34),
            status="cancelled",
            cancel_reason="Asleep",
            eta_change_reason="",
            created_by=cast.bu_clerk,
            created_at=at,
            updated_at=at,
        )
        for one in range(number)
    )
    ids = [shipment.pk for shipment in written]
    template = WorkflowTemplate.objects.get(is_current=True)
    workflow.plan_steps(plans=[workflow.Plan(shipment_id, template.pk) for shipment_id in ids], at=at)
    done = WorkflowStep.objects.filter(shipment__in=ids, is_critical=True).exclude(step_number__in=LEFT_OPEN)
    done.update(actual_date=today, completed_at=at, completed_via="import")
    return [ids[wave::waves] for wave in range(waves)]


# What should exist, from the requirements ----------------------------------------------------------------------------
def _expected(*, on: date) -> Iterator[Key]:
    rules = {rule.name: rule for rule in EscalationRule.objects.all()}
    day_4, day_5, day_6, day_7, from_8 = (rule.name for rule in sorted(rules.values(), key=lambda rule: rule.from_day))
    heads = {user.department: user.pk for user in User.objects.filter(role="Manager")}
    overseers = [user.pk for user in User.objects.filter(department__in=("IA", "Management"))]
    off = set(_days_off())
    steps = WorkflowStep.objects.filter(is_critical=True, actual_date=None).select_related("shipment")
    for step in steps:
        eta = step.shipment.eta
        ladder = [(4, day_4, [step.ppr_user_id]), (5, day_5, [step.ppr_user_id])]
        ladder.append((6, day_6, [step.apr_user_id, heads[step.department]]))
        ladder.append((7, day_7, overseers))
        ladder.extend((day, from_8, [heads[step.department]]) for day in range(8, 31))
        for day, rule, people in ladder:
            due = eta + timedelta(days=day)
            while day <= 8 and due > eta and (due.strftime("%a") in ("Fri", "Sat") or due in off):
                due -= timedelta(days=1)
            if due <= on:
                for person in people:
                    yield step.pk, day, 0, rule, person


def _days_off() -> Iterator[date]:
    with connection.cursor() as cursor:
        cursor.execute('SELECT "on" FROM alerts_holiday')
        yield from (row[0] for row in cursor.fetchall())


def _found() -> Iterator[Key]:
    return Alert.objects.values_list(  # type: ignore[return-value]
        "workflow_step_id", "days_post_eta", "eta_revision", "rule__name", "recipient_user_id"
    ).iterator()

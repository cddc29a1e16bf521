from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis as redis_client
from django.utils import timezone

from alerts.models import Alert, SweepRun
from clearance import embedded
from clearance.celery import app
from clearance.clock import day_of
from clearance.tests import processes, recipes, workers
from clearance.tests.workers import Redis, Worker
from outbox.models import Message
from outbox.tests import post_office as offices
from outbox.tests.post_office import PostOffice
from shipments.models import Shipment

pytestmark = pytest.mark.django_db(transaction=True)

SWEEP, DELIVER, FORGET = "alerts.tasks.sweep", "outbox.tasks.deliver", "accounts.tasks.forget_expired_sign_ins"
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def redis() -> Iterator[Redis]:
    with workers.redis() as server:
        yield server


@pytest.fixture
def beat(redis):
    with workers.sender(redis.url) as sender:
        yield sender


@pytest.fixture
def post_office() -> Iterator[PostOffice]:
    with offices.opened() as office:
        yield office


@pytest.fixture
def worker_of(redis, post_office, tmp_path):
    """Start a worker; it takes one task at a time."""
    started = []

    def start() -> Worker:
        address = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(post_office.port)}
        started.append(Worker("background", tmp_path, redis_url=redis.url, **address))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def overdue(by) -> Shipment:
    """A shipment of four days ago, today, whose last critical step is open."""
    today = day_of(timezone.now())
    shipment = recipes.registered(by=by, at=timezone.now(), eta=today)
    Shipment.objects.filter(pk=shipment.pk).update(eta=today - timedelta(days=4))
    return recipes.record_all_but(shipment, recipes.COLLECTED, on=today, at=timezone.now())


class TestTheQueues:
    def test_come_in_their_order_however_full_that_of_the_mail_is(self, beat, worker_of):
        for _ in range(3):
            beat.send_task(FORGET)
        for _ in range(40):
            beat.send_task(DELIVER)
        beat.send_task(SWEEP)

        worker = worker_of()

        assert processes.eventually(lambda: len(worker.has_done()) == 44, seconds=60), worker.words()[-2000:]
        assert worker.has_done() == [SWEEP, *[DELIVER] * 40, *[FORGET] * 3]

    def test_let_an_alert_pass_the_mail_that_waits(self, beat, worker_of):
        worker = worker_of()
        assert processes.eventually(worker.is_ready, seconds=60)
        for _ in range(200):
            beat.send_task(DELIVER)

        beat.send_task(SWEEP)

        assert processes.eventually(lambda: SWEEP in worker.has_done(), seconds=30)
        assert worker.has_done().count(DELIVER) < 200
        assert processes.eventually(lambda: len(worker.has_done()) == 201, seconds=60)

    def test_get_each_task_once(self, beat, redis):
        for task in (SWEEP, DELIVER, FORGET):
            beat.send_task(task)

        held = redis_client.Redis.from_url(redis.url)
        assert [held.llen(queue) for queue in ("alerts", "mail", "default")] == [1, 1, 1]


class TestATask:
    def test_that_its_worker_died_with_is_done_by_the_next(self, beat, worker_of, post_office, bu_clerk):
        overdue(bu_clerk)
        beat.send_task(SWEEP)
        worker = worker_of()
        assert processes.eventually(lambda: worker.has_done() == [SWEEP], seconds=60)
        post_office.gate.clear()
        task = beat.send_task(DELIVER)
        assert processes.eventually(lambda: "content" in post_office.stages)

        (child,) = worker.children()
        child.kill()
        post_office.gate.set()

        assert processes.eventually(lambda: f"{DELIVER}[{task.id}] succeeded" in worker.words(), seconds=30)

    def test_leaves_a_result_that_is_forgotten_after_a_day(self, beat, redis, worker_of):
        task = beat.send_task(SWEEP)
        worker = worker_of()
        assert processes.eventually(lambda: worker.has_done() == [SWEEP], seconds=60)

        held = redis_client.Redis.from_url(redis.url)
        assert processes.eventually(lambda: held.exists(f"celery-task-meta-{task.id}"))
        assert 86_000 < held.ttl(f"celery-task-meta-{task.id}") <= 86_400

    def test_may_not_take_for_ever_and_is_not_given_to_another_while_it_may(self):
        assert 0 < app.conf.task_soft_time_limit < app.conf.task_time_limit
        assert app.conf.broker_transport_options["visibility_timeout"] > app.conf.task_time_limit
        assert app.conf.task_acks_late
        assert app.conf.task_reject_on_worker_lost


class TestRedis:
    def test_may_fail_and_come_back(self, beat, redis, worker_of):
        worker = worker_of()
        assert processes.eventually(worker.is_ready, seconds=60)
        redis.kill()
        assert processes.eventually(lambda: "onnection to broker lost" in worker.words())

        redis.start()

        def swept() -> bool:
            beat.send_task(SWEEP)
            time.sleep(0.5)
            return SWEEP in worker.has_done()

        assert processes.eventually(swept, seconds=30), worker.words()[-2000:]

    def test_is_not_needed_for_the_sweep_by_command(self, bu_clerk, cc_clerk):
        overdue(bu_clerk)

        words = without_redis("manage.py", "sweep")

        assert " alerts raised " in words
        assert Alert.objects.filter(recipient_user=cc_clerk).exists()
        assert Message.objects.filter(recipient=cc_clerk).count() == 1
        assert SweepRun.objects.exclude(finished_at=None).count() == 1

    def test_is_not_needed_for_an_eta_change_or_a_completion(self, bu_clerk, cc_clerk):
        shipment = overdue(bu_clerk)
        step = recipes.step(shipment, recipes.COLLECTED)
        eta = day_of(timezone.now()) + timedelta(days=3)
        script = f"""
import time
from accounts.models import User
from clearance.tests.callers import signed_in
begun = time.monotonic()
moved = signed_in(User.objects.get(pk={bu_clerk.pk})).patch(
    "/api/v1/shipments/{shipment.pk}/eta", {{"eta": "{eta}"}}, headers={{"host": "localhost"}})
done = signed_in(User.objects.get(pk={cc_clerk.pk})).patch(
    "/api/v1/workflow-steps/{step.pk}/complete", {{}}, headers={{"host": "localhost"}})
print(moved.status_code, done.status_code, time.monotonic() - begun < 2)
"""

        words = without_redis("manage.py", "shell", "--no-imports", "--command", script)

        assert words.splitlines()[-1] == "200 200 True"
        assert Shipment.objects.get(pk=shipment.pk).eta == eta
        assert recipes.step(shipment, recipes.COLLECTED).actual_date is not None


def without_redis(*command: str) -> str:
    """Run a command where nobody answers for Redis; return what it said."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=embedded.ROOT,
        env={**os.environ, "DATABASE_URL": workers.database_url(), "REDIS_URL": NOWHERE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout

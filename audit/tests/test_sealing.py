from __future__ import annotations

import logging
import random
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from django.core.management import call_command
from django.db import OperationalError, transaction
from django_celery_beat.models import PeriodicTask

from accounts.models import Division
from audit import services as audit
from audit import tasks
from audit.models import AuditEntry, Seal
from audit.services import sealing
from audit.tests import chains, forgeries
from clearance.tests import races, recipes
from shipments.models import Shipment

SECONDS = 8


def covered() -> list[int]:
    """Every id that a seal covers, as often as it is covered."""
    return [
        one for seal in Seal.objects.order_by("number") for low, high in seal.ranges for one in range(low, high + 1)
    ]


class TestSealing:
    def test_covers_every_entry_once(self, shipment, noon):
        audit.seal(at=noon)
        chains.change(shipment, 5)

        report = audit.seal(at=noon + timedelta(minutes=1))

        assert (report.seals, report.entries, report.newest_number) == (1, 5, 2)
        assert sorted(covered()) == list(AuditEntry.objects.order_by("pk").values_list("pk", flat=True))

    def test_writes_no_seal_over_nothing(self, shipment, noon):
        audit.seal(at=noon)

        report = audit.seal(at=noon)

        assert report.seals == 0
        assert Seal.objects.count() == 1

    def test_chains_each_seal_to_the_one_before(self, shipment, noon):
        chains.grown(shipment, seals=3)

        first, second, third = Seal.objects.order_by("number")
        assert first.previous_hash == "0" * 64
        assert (second.previous_hash, third.previous_hash) == (first.seal_hash, second.seal_hash)
        assert first.highest_id < second.highest_id < third.highest_id

    def test_takes_so_many_entries_at_a_time_and_all_of_them(self, shipment, noon, monkeypatch):
        audit.seal(at=noon)
        chains.change(shipment, 25)
        monkeypatch.setattr(sealing, "MOST_ENTRIES", 10)

        report = audit.seal(at=noon)

        assert (report.seals, report.entries) == (3, 25)
        assert [seal.entry_count for seal in Seal.objects.order_by("number")[1:]] == [10, 10, 5]
        assert audit.verify().is_sound

    def test_leaves_out_ids_that_nobody_used(self, shipment, noon):
        audit.seal(at=noon)
        chains.change(shipment, 2)
        chains.roll_back(shipment, 3)
        chains.change(shipment)

        audit.seal(at=noon)

        (before, after) = Seal.objects.latest("number").ranges
        assert before[1] - before[0] == 1
        assert after[0] == after[1] == before[1] + 4

    @pytest.mark.django_db(transaction=True)
    def test_leaves_a_forged_entry_beyond_the_sequence_alone(self, noon):
        with forgeries.ruling():
            chains.forge(10**12)

        audit.seal(at=noon)

        assert 10**12 not in covered()
        assert Seal.objects.latest("number").highest_id < 10**12

    def test_tells_number_and_hash_to_the_log(self, shipment, noon, caplog, django_capture_on_commit_callbacks):
        with caplog.at_level(logging.INFO, "clearance.audit"), django_capture_on_commit_callbacks(execute=True):
            audit.seal(at=noon)

        (record,) = caplog.records
        assert audit.anchors_in(record.getMessage()) == [chains.anchor()]

    def test_asks_no_more_of_the_database_the_longer_the_chain_is(self, shipment, noon, django_assert_num_queries):
        chains.grown(shipment, seals=12)
        chains.change(shipment)

        with django_assert_num_queries(7):
            audit.seal(at=chains.later(9))


class TestAnEntryThatCommitsLate:
    pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

    def test_is_taken_by_the_next_seal(self, shipment, noon):
        with transaction.atomic(using="owner"):
            change_elsewhere()
            chains.change(shipment)
            audit.seal(at=noon)

        report = audit.seal(at=noon + timedelta(minutes=1))

        assert report.entries == 1
        assert audit.verify().is_sound

    def test_is_taken_within_an_hour_between_seals(self, shipment, noon):
        with transaction.atomic(using="owner"):
            change_elsewhere()
            for minutes in (0, 30, 59):
                chains.change(shipment)
                audit.seal(at=noon + timedelta(minutes=minutes))

        # A night, or a backup that is restored, between the seals takes nothing away.
        report = audit.seal(at=noon + timedelta(days=30))

        assert report.entries == 1
        assert audit.verify().is_sound

    def test_is_not_taken_later_and_reported(self, shipment, noon):
        with transaction.atomic(using="owner"):
            change_elsewhere()
            for minutes in (0, 30, 60):
                chains.change(shipment)
                audit.seal(at=noon + timedelta(minutes=minutes))

        report = audit.seal(at=noon + timedelta(minutes=61))

        assert report.entries == 0
        (finding,) = audit.verify().findings
        assert "behind the sealer's back" in finding.sentence

    def test_is_no_finding_before_it_is_taken(self, shipment, noon):
        with transaction.atomic(using="owner"):
            change_elsewhere()
            chains.change(shipment)
            audit.seal(at=noon)
            before = audit.verify()

        after = audit.verify()

        assert (before.is_sound, before.waiting) == (True, 0)
        assert (after.is_sound, after.waiting) == (True, 1)
        assert after.waiting_since


def change_elsewhere():
    """In a transaction that stays open; without the row's lock, which the test's own changes need."""
    Division.objects.using("owner").create(code="NEW", name="New")


class TestTwoSealers:
    @pytest.mark.django_db(transaction=True)
    def test_do_the_work_once(self, shipment, noon):
        chains.change(shipment, 50)

        races.free_for_all(*[lambda: audit.seal(at=noon)] * 4)

        assert Seal.objects.count() == 1
        assert audit.verify().is_sound


class TestEightWriters:
    @pytest.mark.django_db(transaction=True)
    def test_leave_no_entry_unsealed_and_no_false_report(self, noon):
        begun_at, findings, seals = time.monotonic(), [], []
        shipments = [recipes.shipment.make() for _ in range(8)]

        def write(shipment: Shipment) -> None:
            chance = random.Random(shipment.pk)
            while time.monotonic() - begun_at < SECONDS:
                with transaction.atomic():
                    chains.change(shipment)
                    time.sleep(chance.uniform(0.002, 0.02))
                    if chance.random() < 0.1:
                        transaction.set_rollback(True)

        def seal() -> None:
            while time.monotonic() - begun_at < SECONDS:
                # Each look is a minute: an hour is soon over, and with it the patience for late entries.
                seals.append(audit.seal(at=noon + timedelta(minutes=len(seals))).seals)
                findings.extend(audit.verify().findings)
                time.sleep(0.02)

        outcomes = races.free_for_all(seal, *(partial(write, shipment) for shipment in shipments))
        audit.seal(at=noon + timedelta(minutes=len(seals)))

        report = audit.verify()
        assert outcomes == [None] * 9
        assert findings == report.findings == []
        assert report.waiting == 0
        assert report.entries == AuditEntry.objects.count() > 500
        assert sum(seals) > 5


class TestASealOutOfTurn:
    @pytest.mark.parametrize(
        "changed",
        [
            {"number": 3},
            {"number": 1},
            {"previous_hash": "f" * 64},
            {"highest_id": 0},
            {"highest_id": 9 * 10**18},
            {"sealed_at": "2126-03-15T08:00:00.000000Z"},
        ],
        ids=["a gap", "a number twice", "another chain", "backwards", "beyond every entry", "in the future"],
    )
    def test_is_refused_by_the_database(self, shipment, noon, changed):
        audit.seal(at=noon)
        (first,) = sealing.read_headers("")
        second = replace(first, number=2, previous_hash=first.seal_hash)

        with pytest.raises(OperationalError, match="does not follow"), transaction.atomic():
            sealing._append(replace(second, **changed))

        sealing._append(second)
        assert Seal.objects.count() == 2


class TestTheTask:
    def test_seals_what_waits(self, shipment):
        assert tasks.seal()["seals"] == 1

    def test_is_scheduled_every_minute(self, db):
        schedule = PeriodicTask.objects.get(task="audit.tasks.seal")

        assert (schedule.interval.every, schedule.interval.period, schedule.queue) == (1, "minutes", None)


class TestTheCommand:
    def test_says_what_it_sealed_and_gives_the_anchor(self, shipment, capsys):
        call_command("seal_audit")

        out = capsys.readouterr().out
        assert f"{AuditEntry.objects.count()} entries sealed in 1 seals" in out
        assert audit.anchors_in(out) == [chains.anchor()]

    def test_says_when_nothing_waits(self, shipment, noon, capsys):
        audit.seal(at=noon)

        call_command("seal_audit")

        assert "Nothing to seal" in capsys.readouterr().out

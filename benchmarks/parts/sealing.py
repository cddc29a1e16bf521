"""Writers who leave entries, the sealer beside them, and what sealing and verifying take."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from audit import services as audit
from audit.services.verification import verify_chain
from shipments.models import Shipment

WRITERS = 8


def write(seconds: str, longest_ms: str) -> dict[str, float]:
    """Change shipments one by one from eight connections, each in a transaction of 2 ms to `longest_ms`."""
    ids = list(Shipment.objects.order_by("pk").values_list("pk", flat=True)[:WRITERS])
    with ThreadPoolExecutor(WRITERS) as writers:
        done = list(writers.map(lambda pk: _write(pk, float(seconds), float(longest_ms)), ids))
    return {"per_second": sum(done) / float(seconds)}


def _write(pk: int, seconds: float, longest_ms: float) -> int:
    """With `longest_ms` of 0, as fast as it goes."""
    chance, done, begun_at = random.Random(pk), 0, time.monotonic()
    try:
        while time.monotonic() - begun_at < seconds:
            with transaction.atomic():
                Shipment.objects.filter(pk=pk).update(version=F("version") + 1)
                if longest_ms:
                    time.sleep(chance.uniform(0.002, longest_ms / 1000))
            done += 1
    finally:
        connection.close()
    return done


def seal_every_second(seconds: str) -> dict[str, float]:
    begun_at, entries, looks = time.monotonic(), 0, 0
    while time.monotonic() - begun_at < float(seconds):
        entries += audit.seal(at=timezone.now()).entries
        looks += 1
        time.sleep(1)
    return {"entries": entries, "looks": looks}


def seal() -> dict[str, float]:
    """Seal all there is."""
    started = time.perf_counter()
    report = audit.seal(at=timezone.now())
    return {"seconds": time.perf_counter() - started, "entries": report.entries}


def verify() -> dict[str, float]:
    started = time.perf_counter()
    report = verify_chain()  # what the records hold was filled in without the trail
    return {"seconds": time.perf_counter() - started, "entries": report.entries, "findings": len(report.findings)}

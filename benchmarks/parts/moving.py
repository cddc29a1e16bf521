"""The ways to move a shipment's ETA, with its 34 steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta

from django.db import connection, transaction
from django.utils import timezone

from benchmarks.parts import cast
from shipments import services as shipments
from shipments.models import Shipment
from workflow.models import WorkflowStep

LOOPS_EVERY = 5  # the loop is slow: one for so many of the others


def compare(times: str) -> dict[str, float]:
    """Move so many shipments in each way, in turns, each of them once; return the medians in milliseconds."""
    by = cast.clerk()
    eta = timezone.localdate() + timedelta(days=90)
    number = int(times)
    chosen = Shipment.objects.order_by("supplier_invoice_number").values_list("pk", flat=True)[
        : 3 * number
    ]  # scattered
    ids = iter(list(chosen))

    def ours(pk: int) -> None:
        shipments.change_eta(shipment_id=pk, eta=eta, by=by, at=timezone.now())

    taken: dict[str, list[float]] = {"ours": [], "floor": [], "loop": []}
    for turn in range(number):
        taken["ours"].append(_timed(ours, next(ids)))
        taken["floor"].append(_timed(_bare_update, next(ids)))
        if turn % LOOPS_EVERY == 0:
            taken["loop"].append(_timed(lambda pk: _loop(pk, eta), next(ids)))
    medians = {f"{name}_p50_ms": statistics.median(times) for name, times in taken.items()}
    return medians | {"ours_p95_ms": statistics.quantiles(taken["ours"], n=20)[-1]}


def _timed(move: Callable[[int], None], pk: int) -> float:
    started = time.perf_counter()
    move(pk)
    return (time.perf_counter() - started) * 1000


def _bare_update(pk: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflow_workflowstep SET target_date = target_date + 7 WHERE shipment_id = %s", [pk])


@transaction.atomic
def _loop(pk: int, eta: date) -> None:
    shipment = Shipment.objects.select_for_update().get(pk=pk)
    shipment.eta = eta
    shipment.save()
    for step in WorkflowStep.objects.filter(shipment=shipment):
        step.target_date = eta + timedelta(days=step.offset_days)
        step.save()

"""Reading the trail, adding to it, and what it costs those who write."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.models import User
from audit import exports
from audit.models import AuditEntry
from workflow import services as workflow
from workflow.models import WorkflowStep

PAGE = 50
DAYS = 30
ONE_RECORD = "entity_type = 'workflow.workflowstep' AND entity_id = %s"
ONE_PERSON = "user_id = %s AND at >= %s AND at < %s"


def read(entities: str, users: str, times: str) -> dict[str, float]:
    """Read so many pages of one record, and of one person in 30 days somewhere in three years; also as bare SQL."""
    random = Random(7)  # the same pages in every run
    now = timezone.now()
    found: dict[str, list[float]] = {"entity": [], "entity_sql": [], "user": [], "user_sql": []}
    for _ in range(int(times)):
        entity = str(random.randint(1, int(entities)))
        user, since = random.randint(1, int(users)), now - timedelta(days=random.randint(DAYS, 1000))
        until = since + timedelta(days=DAYS)
        of_entity = AuditEntry.objects.filter(entity_type="workflow.workflowstep", entity_id=entity)
        of_user = AuditEntry.objects.filter(user_id=user, at__gte=since, at__lt=until)
        found["entity"].append(_timed(list, of_entity[:PAGE]))
        found["user"].append(_timed(list, of_user[:PAGE]))
        found["entity_sql"].append(_timed(_sql, ONE_RECORD, entity))
        found["user_sql"].append(_timed(_sql, ONE_PERSON, user, since, until))
    return {
        f"{name}_{label}_ms": value
        for name, all_times in found.items()
        for label, value in (("p50", statistics.median(all_times)), ("p95", statistics.quantiles(all_times, n=20)[-1]))
    }


def scan(entities: str) -> dict[str, float]:
    """Read one record's page without the indexes."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_indexscan = off; SET enable_bitmapscan = off")
        cursor.execute("SET max_parallel_workers_per_gather = 0")
    taken = [_timed(_sql, ONE_RECORD, str(number)) for number in (1, int(entities) // 2, int(entities))]
    return {"scan_ms": statistics.median(taken)}


def _sql(condition: str, *given: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT * FROM audit_auditentry WHERE {condition} ORDER BY at DESC, id DESC LIMIT {PAGE}", given
        )
        cursor.fetchall()


def complete(times: str) -> dict[str, float]:
    """Complete so many steps, each in a transaction of its own."""
    by = User.objects.get(email__istartswith="ppr.customs")
    steps = WorkflowStep.objects.filter(
        ppr_user=by, actual_date=None, template_step__filled_by_field="", is_optional=False
    ).order_by("shipment__supplier_invoice_number")[: int(times)]
    at = timezone.now()
    taken = [_timed(workflow.complete_step, step_id=step.pk, by=by, at=at) for step in list(steps)]
    return {"p50_ms": statistics.median(taken), "steps": len(taken)}


def export(number: str) -> dict[str, float]:
    """Write so many entries as CSV, to nowhere; the memory that it takes is what is asked for."""
    started = time.perf_counter()
    size = sum(len(chunk) for chunk in exports.as_csv(AuditEntry.objects.all()[: int(number)]))
    return {"seconds": time.perf_counter() - started, "bytes": size}


def _timed(run: Callable[..., object], *given: Any, **named: Any) -> float:
    started = time.perf_counter()
    run(*given, **named)
    return (time.perf_counter() - started) * 1000

"""What is counted for Prometheus: requests and connections in each web process, tasks in Redis for all workers.

Redis, because workers serve no page of their own, and may run on another machine than web.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, Metric

from clearance import limits

registry = CollectorRegistry()
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_ENDPOINT = ("endpoint", "method")
_requests = Counter(
    "clearance_requests", "Requests, by the status of their answer.", (*_ENDPOINT, "status"), registry=registry
)
_seconds = Histogram(
    "clearance_request_seconds",
    "How long requests took.",
    _ENDPOINT,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=registry,
)
_connections = Gauge(
    "clearance_database_connections",
    "Connections of the pools: open, and of these free; requests that wait for one.",
    ("state",),
    multiprocess_mode="livesum",
    registry=registry,
)
_PARAMETER = re.compile(r"\(\?P<(\w+)>[^)]*\)|<(?:\w+:)?(\w+)>")


def note_request(request: HttpRequest, *, status: int, seconds: float) -> None:
    """Count a request that was answered, and look at this process's pool."""
    endpoint, method = _endpoint(request), request.method if request.method in _METHODS else "other"
    _requests.labels(endpoint, method, str(status)).inc()
    _seconds.labels(endpoint, method).observe(seconds)
    pool = connection.pool.get_stats()
    _connections.labels("open").set(pool["pool_size"])
    _connections.labels("free").set(pool["pool_available"])
    _connections.labels("awaited").set(pool["requests_waiting"])


def note_task(name: str, *, is_done: bool, seconds: float, result: object) -> None:
    """Count a run of a task, and add up the numbers that it returned: what a sweep raised, how many mails went out."""
    numbers = result if isinstance(result, Mapping) else {"count": result}
    found = {key: number for key, number in numbers.items() if type(number) is int and number}
    try:
        with limits.server().pipeline(transaction=False) as commands:
            commands.hincrby(_key(), f"runs {name} {'done' if is_done else 'failed'}", 1)
            commands.hincrbyfloat(_key(), f"seconds {name}", round(seconds, 6))
            for key, number in found.items():
                commands.hincrby(_key(), f"results {name} {key}", number)
            commands.execute()
    except redis.RedisError:
        return  # a figure is not worth a task


def tasks() -> Iterator[Metric]:
    """What the workers counted since Redis was last emptied.

    :raises redis.RedisError: Redis does not answer.
    """
    families = {
        "runs": CounterMetricFamily("clearance_task_runs", "Runs of a task that ended.", labels=("task", "state")),
        "seconds": CounterMetricFamily("clearance_task_seconds", "How long a task ran in all.", labels=("task",)),
        "results": CounterMetricFamily(
            "clearance_task_results", "What the runs of a task returned, added up.", labels=("task", "result")
        ),
    }
    for field, value in sorted(limits.server().hgetall(_key()).items()):
        kind, *labels = field.decode().split(" ")
        families[kind].add_metric(labels, float(value))
    yield from families.values()


def _key() -> str:
    return f"{settings.CACHES['default']['KEY_PREFIX']}:tasks"


def _endpoint(request: HttpRequest) -> str:
    """The pattern of its address, so that there are as many as there are endpoints; none where no view was asked."""
    found = getattr(request, "resolver_match", None)
    if found is None:
        return "none"
    return "/" + _PARAMETER.sub(lambda name: f"{{{name[1] or name[2]}}}", found.route).replace("^", "").rstrip("$")

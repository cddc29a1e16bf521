"""The page that Prometheus reads: what the processes counted, and how sweep, mail and servers are at this moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address, ip_network

import redis
from django.conf import settings
from django.db import Error
from django.db.models import Count, Min, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from alerts import selectors as alerts
from alerts.models import SweepRun
from clearance import context, telemetry
from outbox.choices import Channel, Delivery
from outbox.models import Carrier, Message

_LEFT_BY_PROXIES = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything, in Prometheus' text format; to all but the addresses of the setting there is no such page."""
    if not _may_read(context.current().ip_address) or _comes_by_an_unknown_proxy(request):
        raise Http404
    shown = CollectorRegistry()
    shown.register(_State())
    counted = telemetry.registry
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # gunicorn.conf.py: all workers of this web together
        counted = CollectorRegistry()
        MultiProcessCollector(counted)
    return HttpResponse(generate_latest(counted) + generate_latest(shown), content_type=CONTENT_TYPE_LATEST)


def _may_read(address: str | None) -> bool:
    if address is None:
        return False
    return any(ip_address(address) in ip_network(known) for known in settings.METRICS_ALLOWED_ADDRESSES)


def _comes_by_an_unknown_proxy(request: HttpRequest) -> bool:
    """Whether somebody else asks through a proxy that nobody told us of, whose own address would open the page."""
    return not settings.TRUSTED_PROXY_COUNT and any(name in request.headers for name in _LEFT_BY_PROXIES)


class _State(Collector):
    """What the servers say when they are asked, in a handful of statements that read an index each."""

    def collect(self) -> Iterator[Metric]:
        is_up = GaugeMetricFamily("clearance_server_up", "Whether a server answers.", labels=["server"])
        for server, ask, failure in (("database", _state, Error), ("redis", telemetry.tasks, redis.RedisError)):
            try:
                yield from list(ask())
            except failure:
                is_up.add_metric([server], 0)
            else:
                is_up.add_metric([server], 1)
        yield is_up


def _state() -> Iterator[Metric]:
    at = timezone.now()
    last = SweepRun.objects.exclude(finished_at=None).order_by("-started_at").first()
    if last is not None:
        yield _gauge("sweep_age_seconds", "Since the last complete sweep.", (at - last.started_at).total_seconds())
        yield _gauge("sweep_duration_seconds", "How long it took.", last.duration_ms / 1000)
        yield _gauge("sweep_alerts", "How many alerts it raised.", last.raised)
        yield _gauge("sweep_messages", "How many mails it wrote.", last.messages)
    yield _gauge("sweep_healthy", "1 unless the sweep has not run for too long.", alerts.sweep_is_healthy(at=at))
    yield from _outbox(at=at)


def _outbox(*, at: datetime) -> Iterator[Metric]:
    """How each channel stands: `clearance_mail_…`, `clearance_sms_…`."""
    waiting, dead = Q(delivery=Delivery.WAITING), Q(delivery=Delivery.DEAD)
    counted = (
        Message.objects.filter(waiting | dead)
        .order_by()
        .values("channel")
        .annotate(
            waiting=Count("pk", filter=waiting), since=Min("not_before", filter=waiting), dead=Count("pk", filter=dead)
        )
    )
    found = {row["channel"]: row for row in counted}
    down = set(Carrier.objects.down().values_list("channel", flat=True))
    for channel, what in ((Channel.MAIL, "Mails"), (Channel.SMS, "Text messages")):
        row = found.get(channel, {"waiting": 0, "since": None, "dead": 0})
        late = (at - row["since"]).total_seconds() if row["since"] else 0
        yield _gauge(f"{channel}_waiting", f"{what} that wait to be sent.", row["waiting"])
        yield _gauge(f"{channel}_waiting_seconds", "How long the first of them has been due.", max(late, 0))
        yield _gauge(f"{channel}_dead", f"Dead letters: {what.lower()} that were refused for good.", row["dead"])
        is_up = channel not in down
        yield _gauge(f"{channel}_server_up", f"0 while what carries {what.lower()} is known not to work.", is_up)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"clearance_{name}", meaning, value=value)

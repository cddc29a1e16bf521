"""How many requests each caller may make in a minute, counted in Redis for all processes together (decision 0017)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import cache
from threading import Lock

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger("clearance.limits")

MINUTE_MS = 60_000
PATIENCE_SECONDS = 0.25  # a request waits no longer for a silent Redis, which a busy one may be for a moment
PAUSE_SECONDS = 10  # in which a Redis that gave no answer isn't asked again
_asks_again_at = 0.0
_making = Lock()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller has left of a minute, and after how many seconds the next one begins."""

    limit: int
    used: int
    reset_seconds: int

    @property
    def remaining(self) -> int:
        return max(self.limit - self.used, 0)

    @property
    def is_exceeded(self) -> bool:
        return self.used > self.limit


def server() -> redis.Redis:
    """Redis for counting across processes: it answers at once or not at all."""
    with _making:  # two threads would each make one, and the one that nobody keeps hangs up on its user
        return _client()


@cache
def _client() -> redis.Redis:
    # A second try at once, for a connection that Redis had closed meanwhile; not after silence, or one may count twice.
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=PATIENCE_SECONDS,
        socket_connect_timeout=PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


def count(caller: str) -> Allowance | None:
    """Count a request of the caller; None where there is no limit, or no Redis to count in.

    A caller's minute begins with the first request and ends for all processes at once, by Redis' clock.
    """
    global _asks_again_at  # noqa: PLW0603 - what this process last found out about Redis
    if not settings.RATE_LIMIT_PER_MINUTE or time.monotonic() < _asks_again_at:
        return None
    key = f"{settings.CACHES['default']['KEY_PREFIX']}:requests:{caller}"
    try:
        with server().pipeline(transaction=True) as commands:
            commands.set(key, 0, px=MINUTE_MS, nx=True)
            commands.incr(key)
            commands.pttl(key)
            _, used, left_ms = commands.execute()
    except redis.RedisError as error:
        _asks_again_at = time.monotonic() + PAUSE_SECONDS
        log.error("requests aren't limited: Redis doesn't count them (%s)", type(error).__name__)
        return None
    return Allowance(settings.RATE_LIMIT_PER_MINUTE, used, -(-left_ms // 1000))

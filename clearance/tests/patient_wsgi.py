"""The application as production serves it, but for its patience with Redis: a test on a busy machine counts exactly."""

from clearance import limits

limits.PATIENCE_SECONDS = 30

from clearance.wsgi import application  # noqa: E402 - what counts must know it first

__all__ = ["application"]

"""How the figures are rounded and reckoned. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

BAISA = Decimal("0.001")
TENTH = Decimal("0.1")


def mean(total: int, count: int) -> float | None:
    """A mean with one decimal, rounded half up; None where there is nothing to reckon it from."""
    return float((Decimal(total) / count).quantize(TENTH, ROUND_HALF_UP)) if count else None


def percent(part: int, whole: int) -> float | None:
    """A share in percent with one decimal."""
    return mean(100 * part, whole)


def demurrage_omr(container_days: Decimal | int, *, daily_rate_omr: Decimal) -> Decimal:
    """What so many containers times days cost, rounded half up to the baisa."""
    return (container_days * daily_rate_omr).quantize(BAISA, ROUND_HALF_UP)

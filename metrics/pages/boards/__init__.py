"""The boards of the departments: what the selectors found, in words, charts and links to the lists behind them.

A board is what its template in `templates/admin/today/` shows. Whoever works in no department has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accounts.choices import Department
from metrics.pages.boards.business_unit import business_unit
from metrics.pages.boards.customs import customs
from metrics.pages.boards.finance import finance
from metrics.pages.boards.internal_audit import internal_audit
from metrics.pages.boards.management import management
from metrics.pages.boards.stores import stores

BOARDS: dict[str, Callable[..., dict[str, Any]]] = {
    Department.BUSINESS_UNIT: business_unit,
    Department.FINANCE: finance,
    Department.CUSTOMS: customs,
    Department.STORES: stores,
    Department.MANAGEMENT: management,
    Department.INTERNAL_AUDIT: internal_audit,
}

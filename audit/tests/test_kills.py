from __future__ import annotations

import os
import sys

import pytest

from audit.tests import kills
from clearance.tests import recipes

KILLS = int(os.environ.get("SOAK_KILLS") or 20)  # `make soak`: 200


@pytest.mark.django_db(transaction=True)
class TestKillingWriters:
    def test_leaves_as_many_entries_as_changes(self, cast):
        for _ in range(20):
            recipes.registered(by=cast.bu_clerk)

        figures = kills.kill_writers(KILLS)

        sys.stdout.write(figures.told())
        assert figures.killed == KILLS
        assert figures.entries > 1000
        assert figures.changes == figures.entries
        assert figures.amiss == 0

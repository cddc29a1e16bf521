from __future__ import annotations

import os
import sys

from clearance.tests import chaos

KILLS = max(int(os.environ.get("SOAK_KILLS") or 20) // 5, 4)  # `make soak`: 40


class TestKillingServersUnderWork:
    def test_leaves_written_what_was_told_and_nothing_else(self):
        with chaos.house() as house:
            figures = chaos.wreak(house, KILLS)

        sys.stdout.write(figures.report())
        assert figures.amiss == []
        assert figures.kills.total() == KILLS
        assert figures.slowest_return < chaos.BACK_WITHIN
        assert min(figures.told[what] for what in ("registered", "moved", "completed", "acknowledged")) >= chaos.PEOPLE
        assert figures.statuses[503] > 0

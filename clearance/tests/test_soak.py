from __future__ import annotations

import os
import sys

import pytest

from clearance.tests.soak import Soak

KILLS = int(os.environ.get("SOAK_KILLS") or 20)  # `make soak`: 200


@pytest.mark.django_db(transaction=True)
class TestKillingWorkers:
    def test_loses_no_alert_doubles_none_and_repeats_no_mail_more_often_than_they_were_killed(self, cast, tmp_path):
        figures = Soak(cast=cast, folder=tmp_path, kills=KILLS).run()

        sys.stdout.write(figures.told())
        assert figures.killed == KILLS
        assert figures.alerts_expected > 1000
        assert (figures.lost, figures.doubled) == (0, 0)
        assert figures.messages.keys() <= {"sent", "nothing_left"}
        assert (figures.mails_missing, figures.content_lost) == (0, 0)
        assert figures.repeated <= figures.killed
        assert figures.repeated_under_another_id == 0

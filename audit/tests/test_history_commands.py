from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands

from shipments.models import Shipment

pytestmark = pytest.mark.django_db


class TestTheCommandsThatWouldRewriteHistory:
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("clean_duplicate_history", {"auto": True}),
            ("clean_old_history", {"auto": True, "days": 30}),
            ("populate_history", {"auto": True}),
        ],
    )
    def test_refuse_whatever_they_are_asked(self, shipment, name: str, options: dict[str, Any]):
        before = list(Shipment.history.values())

        with pytest.raises(CommandError, match="kept for 10 years"):
            call_command(name, **options)

        assert list(Shipment.history.values()) == before
        assert get_commands()[name] == "audit"

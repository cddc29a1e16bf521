"""Seal the trail now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from audit import services as audit
from clearance import context


class Command(BaseCommand):
    help = "Seal what was entered since the last seal, as beat has it done every minute. Harmless to run at any time."

    def handle(self, *args: Any, **options: Any) -> None:
        with context.acting(channel="command"):
            report = audit.seal(at=timezone.now())
        if not report.seals:
            self.stdout.write("Nothing to seal: no entry waits, or another sealer is at it.")
            return
        self.stdout.write(f"{report.entries} entries sealed in {report.seals} seals. The newest is an anchor:")
        self.stdout.write(f"{report.newest_number} {report.newest_hash}")

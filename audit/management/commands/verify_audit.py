"""Verify the trail: its seals, its entries, the records that they tell of, and that it is armed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit import services as audit
from audit.services import VerificationReport
from clearance.errors import DomainError


class Command(BaseCommand):
    help = (
        "Check every seal and every entry of the trail, and whether records are what it last told of them. Exit code 1"
        " when something is not as it was left, or an entry has waited for its seal for longer than ten minutes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--anchor",
            type=Path,
            metavar="FILE",
            help="lines with the number and the hash of seals, from the daily mail or the log",
        )
        parser.add_argument(
            "--at",
            type=datetime.fromisoformat,
            metavar="MOMENT",
            help="since when waiting for a seal is counted back, as 2026-03-15T12:00+04:00: of a restored copy, the"
            " moment of its backup; otherwise now",
        )
        parser.add_argument("--full", action="store_true", help="read whole histories rather than a sample of each")

    def handle(self, *args: Any, **options: Any) -> None:
        at = options["at"] or timezone.now()
        try:
            anchors = audit.anchors_in(options["anchor"].read_text(encoding="utf-8")) if options["anchor"] else []
        except (DomainError, OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['anchor']}: {error}") from error
        report = audit.verify(anchors=anchors, at=at if at.tzinfo else timezone.make_aware(at), in_full=options["full"])
        self._tell(report)
        if not report.is_sound:
            raise CommandError(f"The trail is not as it was left: {len(report.findings)} findings.")

    def _tell(self, report: VerificationReport) -> None:
        for sentence in [*report.remarks, *(finding.sentence for finding in report.findings)]:
            self.stdout.write(sentence)
        if report.first_broken_seal is not None:
            self.stdout.write(f"The first broken seal is {report.first_broken_seal}.")
        self.stdout.write(f"{report.entries} entries in {report.seals} seals verified.")
        if report.newest:
            self.stdout.write(f"The newest seal: {report.newest.number} {report.newest.seal_hash}")
        if report.waiting:
            self.stdout.write(
                f"{report.waiting} entries wait for a seal, the first since {report.waiting_since}: not proven yet."
            )
        if report.anchored is None:
            self.stdout.write("No anchor: whoever rules the server could have made the chain anew from its beginning.")
        else:
            self.stdout.write(
                f"Anchored up to seal {report.anchored} of {report.anchored_at}. What was sealed since, whoever rules"
                " the server could have made anew."
            )

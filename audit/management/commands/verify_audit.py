"""Verify the trail: its seals, its entries, and that it is armed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import services as audit
from audit.services import VerificationReport
from clearance.errors import DomainError


class Command(BaseCommand):
    help = "Check every seal and every entry of the trail. Exit code 1 when something is not as it was left."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--anchor",
            type=Path,
            metavar="FILE",
            help="lines with the number and the hash of seals, from the daily mail or the log",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            anchors = audit.anchors_in(options["anchor"].read_text(encoding="utf-8")) if options["anchor"] else []
        except (DomainError, OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['anchor']}: {error}") from error
        report = audit.verify(anchors=anchors)
        self._tell(report)
        if not report.is_sound:
            raise CommandError(f"The trail is not as it was left: {len(report.findings)} findings.")

    def _tell(self, report: VerificationReport) -> None:
        for finding in report.findings:
            self.stdout.write(finding.sentence)
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

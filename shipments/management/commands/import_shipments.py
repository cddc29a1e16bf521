"""Import a tracker workbook."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import services as accounts
from accounts.models import User
from audit import services as audit
from clearance import context
from clearance.errors import DomainError
from shipments.imports import workbook


class Command(BaseCommand):
    help = (
        "Import a tracker (.xlsx, .xls, .xlsb, .ods, .csv). Each row stands or falls alone; the exit code is 1 when "
        "rows failed. Without --as it acts as the system, which may not change the ETA of an existing shipment."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--sheet", help="the sheet's name (default: the first that is a tracker)")
        parser.add_argument("--dry-run", action="store_true", help="report what would happen, write nothing")
        parser.add_argument("--errors", type=Path, metavar="OUT.xlsx", help="write the failed rows with their reasons")
        parser.add_argument("--set-back", action="store_true", help="also where it brings back what was replaced since")
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="the person in whose name to import")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        if not file.is_file():
            raise CommandError(f"There is no file {file}.")
        with context.acting(channel="command"):
            person = self._person(options["email"])
            if person is not None:
                accounts.note_actor(person)
            try:
                imported = workbook.import_workbook(
                    file,
                    name=file.name,
                    sheet=options["sheet"],
                    dry_run=options["dry_run"],
                    set_back=options["set_back"],
                    by=person,
                    at=timezone.now(),
                )
            except DomainError as error:
                audit.record_denial(error, entity_type="shipments.shipment", attempted="manage.py import_shipments")
                raise CommandError(str(error)) from error
        self._tell(imported, options)

    def _tell(self, imported: workbook.ImportedWorkbook, options: dict[str, Any]) -> None:
        report = imported.report
        for fault in report.faults:
            self.stderr.write(f"row {fault.row}, {fault.column}: {fault.reason}")
        for correction in report.corrections:
            self.stdout.write(f"row {correction.row}: {correction.reason}")
        for note in report.notes:
            self.stdout.write(note)
        self.stdout.write(
            f"{'would be ' if options['dry_run'] else ''}created {report.created}, updated {report.updated}, "
            f"unchanged {report.unchanged}, failed {report.failed}"
        )
        if report.failed and options["errors"]:
            options["errors"].write_bytes(imported.error_workbook())
            self.stdout.write(f"the failed rows are in {options['errors']}")
        if report.failed:
            raise CommandError(f"{report.failed} rows failed.", returncode=1)

    def _person(self, email: str | None) -> User | None:
        if email is None:
            return None
        user = User.objects.active().filter(email=User.objects.normalize_email(email)).first()
        if user is None:
            raise CommandError(f"Nobody active has the e-mail address {email}.")
        return user

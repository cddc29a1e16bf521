"""Write the workbook to fill in."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from shipments.imports import workbook


class Command(BaseCommand):
    help = "Write the tracker workbook to fill in, with drop-down lists and a sheet of notes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("out", type=Path, metavar="OUT.xlsx")

    def handle(self, *args: Any, **options: Any) -> None:
        options["out"].write_bytes(workbook.blank_workbook())
        self.stdout.write(f"{options['out']}: fill it in, then import it with import_shipments.")

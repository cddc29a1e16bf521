"""Take on the first administrator, who then takes on everybody else in the back office."""

from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import services as accounts
from accounts.choices import Role
from clearance import context
from clearance.errors import DomainError


class Command(BaseCommand):
    help = "Take on an administrator; asks for the password. Nobody is a superuser here: Administrator is a role."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("full_name")

    def handle(self, *args: Any, **options: Any) -> None:
        password = getpass("Password: ")
        try:
            with context.acting(channel="command"):
                user = accounts.take_on(
                    email=options["email"],
                    full_name=options["full_name"],
                    department="",
                    role=Role.ADMIN,
                    password=password,
                    by=None,
                )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{user.email} is an administrator.")

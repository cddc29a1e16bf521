"""Bring the database up to date, in one process: migrations, reference data and, with DEMO=1, the demonstration.

What the demonstration says (the sign-ins) goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import os
import sys

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from environ import Env


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clearance.settings")
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    if "owner" in settings.DATABASES:
        call_command("migrate", database="owner", interactive=False)
        call_command("setup_database_roles")
    else:
        call_command("migrate", interactive=False)
    call_command("load_reference_data")
    if Env().bool("DEMO", default=False):
        call_command("load_demo", stdout=stdout)


if __name__ == "__main__":
    main()

#!/usr/bin/env python
"""Django's commands. One that needs a server while none runs has the embedded ones for as long as it lasts."""

import os
import signal
import sys
from contextlib import nullcontext

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from clearance import embedded

NEED_NO_SERVER = {
    "-h", "--help", "--version", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help",
    "makemessages", "spectacular", "startapp", "version",
}  # fmt: skip


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clearance.settings")
    # By default SIGTERM ends Python at once, and the servers would be left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    alone = not sys.argv[1:] or not NEED_NO_SERVER.isdisjoint(sys.argv[1:])
    try:
        with nullcontext() if alone else embedded.servers():
            execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, embedded.CannotStart) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

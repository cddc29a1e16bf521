"""Refused, whatever it is asked."""

from simple_history.management.commands import populate_history

from audit.management.history import LeftAlone


class Command(LeftAlone, populate_history.Command):
    """Takes the arguments of the one that it replaces."""

"""Refused, whatever it is asked."""

from simple_history.management.commands import clean_old_history

from audit.management.history import LeftAlone


class Command(LeftAlone, clean_old_history.Command):
    """Takes the arguments of the one that it replaces."""

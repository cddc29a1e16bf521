"""Verbs of the escalation: sweep, evaluate one shipment, acknowledge, end a rule."""

from alerts.services.acknowledgement import acknowledge
from alerts.services.rules import add_rule, end_rule, load_holidays, load_ladder, remove_holiday, save_holiday
from alerts.services.sweep import SweepReport, evaluate, sweep

__all__ = [
    "SweepReport",
    "acknowledge",
    "add_rule",
    "end_rule",
    "evaluate",
    "load_holidays",
    "load_ladder",
    "remove_holiday",
    "save_holiday",
    "sweep",
]

"""What a shipment can be."""

from datetime import date

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

# Dates of a shipment lie between these; any other is a slip in the year.
EARLIEST_DATE, LATEST_DATE = date(2000, 1, 1), date(2100, 12, 31)


class Status(TextChoices):
    ACTIVE = "active", _("Active")
    COMPLETED = "completed", _("Completed")
    CANCELLED = "cancelled", _("Cancelled")


class TransportMode(TextChoices):
    SEA = "sea", _("Sea")
    AIR = "air", _("Air")
    LAND = "land", _("Land")


class QuantityUnit(TextChoices):
    VEHICLES = "vehicles", _("Vehicles")
    TYRES = "tyres", _("Tyres")
    PARTS = "parts", _("Parts")
    UNITS = "units", _("Units")


class Risk(TextChoices):
    """How near an active shipment is to demurrage, by days since its ETA; told in words, not by colour alone."""

    EXPECTED = "expected", _("Expected")
    ON_TIME = "on_time", _("On time")
    WARNING = "warning", _("Warning")
    CRITICAL = "critical", _("Critical")
    URGENT = "urgent", _("Last free day")
    DEMURRAGE = "demurrage", _("Demurrage")

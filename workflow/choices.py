"""What a step can be."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class StepStatus(TextChoices):
    """Derived from dates, never stored."""

    PENDING = "pending", _("Pending")
    OVERDUE = "overdue", _("Overdue")
    COMPLETED = "completed", _("Completed")
    NOT_REQUIRED = "not_required", _("Not required")


class Due(TextChoices):
    """When an open step is due, seen from today."""

    PAST = "past", _("Before today")
    TODAY = "today", _("Today")
    WEEK = "week", _("In the next seven days")
    LATER = "later", _("Later")


class CompletedVia(TextChoices):
    """What completed a step, or marked it not required."""

    PERSON = "person", _("A person")
    ENTRY = "entry", _("Entry of the field")
    IMPORT = "import", _("Import")
    SYSTEM = "system", _("The system")


# Shipment fields whose entry can complete a step.
ENTRY_FIELDS = frozenset(
    {
        "principal",
        "brand",
        "supplier_invoice_number",
        "supplier_invoice_date",
        "invoice_amount_omr",
        "bl_number",
        "vessel",
        "port_of_loading",
        "port_of_discharge",
        "sail_date",
        "container_count",
        "quantity",
        "lc_issuing_bank",
        "lc_number",
        "ata",
    }
)

"""Audiences, states, and the messages about them."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class MessageKind(TextChoices):
    """The messages that alerts write."""

    DIGEST = "digest", _("Digest of alerts")
    SHIPMENT_ALERT = "shipment_alert", _("Alert about one shipment")
    URGENT_ALERT = "urgent_alert", _("Urgent alerts")


class Audience(TextChoices):
    """Whom a rule alerts, by part; who that is, is decided when the rung is raised."""

    PPR = "ppr", _("PPR of the step")
    APR = "apr", _("APR of the step")
    HEAD = "head", _("Head of the step's department")
    INTERNAL_AUDIT = "internal_audit", _("Internal Audit")
    MANAGEMENT = "management", _("Management")


class AlertState(TextChoices):
    """Derived, never stored (C18)."""

    OPEN = "open", _("Open")
    RESOLVED = "resolved", _("Resolved")
    SUPERSEDED = "superseded", _("Superseded")
    WITHDRAWN = "withdrawn", _("Withdrawn")


class Mail(TextChoices):
    """How an alert reaches its recipient's mailbox."""

    OWN = "own", _("A mail of its own")
    DIGEST = "digest", _("In the next digest")
    NONE = "none", _("Not by mail")

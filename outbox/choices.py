"""How a message goes, how loud it is, and where it stands."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Channel(TextChoices):
    """How a message goes; each channel has a carrier of its own, which may fail alone."""

    MAIL = "mail", _("Mail")
    SMS = "sms", _("Text message")


class Severity(TextChoices):
    """How loud a message is; people choose by it what reaches them, and how."""

    WARNING = "warning", _("Warning")
    CRITICAL = "critical", _("Critical")
    URGENT = "urgent", _("Urgent")


class SmsName(TextChoices):
    """The texts that an administrator may word anew."""

    URGENT_ALERT = "urgent_alert", _("Urgent alerts")
    SECOND_FACTOR_CODE = "2fa_code", _("Code for signing in")


class Delivery(TextChoices):
    """Where a message stands."""

    WAITING = "waiting", _("Waiting")
    SENT = "sent", _("Sent")
    NOTHING_LEFT = "nothing_left", _("Not sent: nothing in it was open any more")
    DEAD = "dead", _("Dead letter")

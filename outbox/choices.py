"""What a message is and where it stands."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class MessageKind(TextChoices):
    """Each kind has its templates in `templates/mail/<kind>.{txt,html}`."""

    DIGEST = "digest", _("Digest of alerts")
    SHIPMENT_ALERT = "shipment_alert", _("Alert about one shipment")
    SEAL_ANCHOR = "seal_anchor", _("Newest seal of the trail")
    LOCKOUT = "lockout", _("Signing in was locked")
    PASSWORD_RESET = "password_reset", _("Set a new password")
    EMAIL_VERIFICATION = "email_verification", _("Verify the e-mail address")


class Delivery(TextChoices):
    """Where a message stands."""

    WAITING = "waiting", _("Waiting")
    SENT = "sent", _("Sent")
    NOTHING_LEFT = "nothing_left", _("Not sent: nothing in it was open any more")
    DEAD = "dead", _("Dead letter")

"""What a message is, how it goes, and where it stands."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Channel(TextChoices):
    """How a message goes; each channel has a carrier of its own, which may fail alone."""

    MAIL = "mail", _("Mail")
    SMS = "sms", _("Text message")


class MessageKind(TextChoices):
    """Each kind of mail has its templates in `templates/mail/<kind>.{txt,html}`; a text's is an `SmsTemplate`."""

    DIGEST = "digest", _("Digest of alerts")
    SHIPMENT_ALERT = "shipment_alert", _("Alert about one shipment")
    SEAL_ANCHOR = "seal_anchor", _("Newest seal of the trail")
    LOCKOUT = "lockout", _("Signing in was locked")
    PASSWORD_RESET = "password_reset", _("Set a new password")
    EMAIL_VERIFICATION = "email_verification", _("Verify the e-mail address")
    INVITATION = "invitation", _("Invitation to Clearance")
    WELCOME = "welcome", _("Welcome to Clearance")
    PASSWORD_CHANGED = "password_changed", _("The password was changed")
    SECOND_FACTOR_OFF = "second_factor_off", _("The second factor was turned off")
    URGENT_ALERT = "urgent_alert", _("Urgent alerts")


TEXTS = frozenset({MessageKind.URGENT_ALERT})
MAILS = tuple(kind for kind in MessageKind if kind not in TEXTS)


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

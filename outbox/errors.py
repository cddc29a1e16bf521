"""What can be refused about messages, and what becomes of one that a carrier does not take."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Conflict, Invalid


class NotADeadLetter(Conflict):
    code = "NOT_A_DEAD_LETTER"
    message = _("This message is not a dead letter: only those are sent again by hand.")


class PhoneMissing(Conflict):
    code = "PHONE_MISSING"
    field = "sms"
    message = _("There is no phone number to send text messages to. An administrator enters it on the person’s page.")


class NoTextMessages(Conflict):
    code = "NO_TEXT_MESSAGES"
    field = "sms"
    message = _("No provider of text messages is set here. An administrator sets one up first.")


class UnknownVariables(Invalid):
    code = "UNKNOWN_VARIABLES"
    message = _("This text knows no {unknown}. Use {known}, each in two pairs of braces.")


class BracesUnmatched(Invalid):
    code = "BRACES_UNMATCHED"
    message = _("Two braces begin or end something here that is no variable. Write variables as in the preview.")


class TextTooLong(Invalid):
    code = "TEXT_TOO_LONG"
    message = _("With its longest values this is {segments} text messages in one; at most {most} may be. Shorten it.")


# Between the desk and a carrier: no refusals of ours ------------------------------------------------------------------
class CarrierFailed(Exception):
    """The carrier, not the message, is the problem."""


class MessageRefused(Exception):
    """The carrier works, and will not take this message."""


class Undeliverable(Exception):
    """The message has nobody to go to: another try won't help."""

"""What can be refused about messages."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Conflict


class NotADeadLetter(Conflict):
    code = "NOT_A_DEAD_LETTER"
    message = _("This message is not a dead letter: only those are sent again by hand.")

"""What can be refused about alerts, rules and holidays."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Conflict, Forbidden, Invalid


class AlertNotYours(Forbidden):
    code = "ALERT_NOT_YOURS"
    message = _("This alert was sent to {recipient}: only they or their substitute acknowledge it.")


class AlertNotOpen(Conflict):
    code = "ALERT_NOT_OPEN"
    message = _("This alert is no longer open: there is nothing to acknowledge.")


class PromiseInThePast(Invalid):
    code = "PROMISE_IN_THE_PAST"
    field = "promised_on"
    message = _("A promise is for today ({today}) or later.")


class RuleHasEnded(Conflict):
    code = "RULE_HAS_ENDED"
    message = _("This rule ended on {on}. Add another instead.")

"""What can be refused about steps, templates and responsibilities."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Conflict, Forbidden, Invalid


class StepAlreadyCompleted(Conflict):
    code = "STEP_ALREADY_COMPLETED"
    message = _("Step {step} was already completed on {on}. The head of {department} can reopen it.")


class StepNotCompleted(Conflict):
    code = "STEP_NOT_COMPLETED"
    message = _("Step {step} is open: there is nothing to reopen.")


class StepAlreadyNotRequired(Conflict):
    code = "STEP_ALREADY_NOT_REQUIRED"
    message = _("Step {step} is already marked as not required.")


class StepNotOptional(Conflict):
    code = "STEP_NOT_OPTIONAL"
    message = _("Step {step} is mandatory: it can be completed, but not marked as not required.")


class StepCompletesOnEntry(Conflict):
    code = "STEP_COMPLETES_ON_ENTRY"
    message = _("Step {step} follows the field “{field}” of the shipment: record or clear that field instead.")


class StepNotYours(Forbidden):
    code = "STEP_NOT_YOURS"
    message = _(
        "Step {step} belongs to {department}: only its PPR, its APR, their substitute or the head of {department} "
        "completes it."
    )


class ReopeningForbidden(Forbidden):
    code = "REOPENING_FORBIDDEN"
    message = _("Only the head of {department} or an administrator reopens step {step}.")


class ActualDateInTheFuture(Invalid):
    code = "ACTUAL_DATE_IN_THE_FUTURE"
    field = "actual_date"
    message = _("The date {on} is in the future. A step is completed today ({today}) or was completed before.")


class ActualDateTooEarly(Invalid):
    code = "ACTUAL_DATE_TOO_EARLY"
    field = "actual_date"
    message = _("The date {on} is before {earliest}, the earliest that fits this shipment. Check the year.")


class TemplateNotValid(Invalid):
    code = "TEMPLATE_NOT_VALID"
    message = _("The template is not valid: {reasons}")


class NoTemplate(Conflict):
    code = "NO_TEMPLATE"
    message = _("No workflow template is in use for this kind of shipment. An administrator loads or enables one.")


class NotYourDepartment(Forbidden):
    code = "NOT_YOUR_DEPARTMENT"
    message = _("You may assign the steps of your own department only; step {step} belongs to {department}.")

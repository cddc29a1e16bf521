"""What can be refused about metrics."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Forbidden, Invalid


class RangeReversed(Invalid):
    code = "RANGE_REVERSED"
    field = "to"
    message = _("The range ends on {until}, before it begins on {from_}. Swap the two dates.")


class RangeTooLong(Invalid):
    code = "RANGE_TOO_LONG"
    field = "to"
    message = _("The range has {days} days. Metrics are told for a year at most ({most} days): choose a shorter range.")


class FiguresOfAnotherDepartment(Forbidden):
    code = "FIGURES_OF_ANOTHER_DEPARTMENT"
    field = "department"
    message = _("You see the figures of {own} only. Management and the Business Unit see those of every department.")


class TooManyRows(Invalid):
    code = "TOO_MANY_ROWS"
    field = "to"
    message = _("There are more than {most} rows behind this figure. Choose a shorter range or one department.")

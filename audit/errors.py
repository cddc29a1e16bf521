"""What the trail refuses."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Invalid


class NoAnchor(Invalid):
    """An anchor says which seal it is, and its hash."""

    code = "NO_ANCHOR"
    message = _(
        "There is no anchor in it: a line with the number of a seal and its hash, as the log and the mail tell it."
    )


class ExportTooLong(Invalid):
    """A sheet has no room for so many lines."""

    code = "EXPORT_TOO_LONG"
    message = _("A sheet holds {most} lines, and these are more. Choose fewer days or a record, or export as CSV.")

"""What can happen to a record."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Action(models.TextChoices):
    CREATED = "created", _("created")
    CHANGED = "changed", _("changed")
    DELETED = "deleted", _("deleted")
    DENIED = "denied", _("denied")


class Channel(models.TextChoices):
    API = "api", _("API")
    ADMIN = "admin", _("back office")
    COMMAND = "command", _("command")
    TASK = "task", _("background task")
    SYSTEM = "system", _("system")


class MessageKind(models.TextChoices):
    """The messages about the trail."""

    SEAL_ANCHOR = "seal_anchor", _("Newest seal of the trail")

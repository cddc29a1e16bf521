"""Nothing is stored: the figures are read from shipments and steps."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Metric(models.Model):  # noqa: DJ008 - there are no records to name
    """Has no table; it only carries the permission to see the figures, `metrics.view_metric`."""

    class Meta:
        managed = False
        default_permissions = ("view",)
        verbose_name = _("metric")
        verbose_name_plural = _("metrics")

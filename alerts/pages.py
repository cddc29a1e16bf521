"""What alerts bring to the first page: one's own, and word of a sweep that doesn't run."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from alerts.models import Alert, SweepRun
from clearance.admin.pages import Section

MOST = 5


def notices(request: HttpRequest) -> list[dict[str, Any]]:
    if not request.user.has_perm("alerts.view_alert"):
        return []
    notice = admin.site.get_model_admin(SweepRun).notice(request)
    return [notice] if notice else []


def my_alerts(request: HttpRequest, *, on: date) -> Section | None:
    """My open alerts, the most money at risk first; nothing to count where the first of them are all."""
    if not request.user.has_perm("alerts.view_alert"):
        return None
    alerts = admin.site.get_model_admin(Alert).waiting_for(request, most=MOST + 1)
    if not alerts:
        return None
    count = len(alerts)
    if count > MOST:
        count = Alert.objects.visible_to(request.user, on=on).addressed_to(request.user, on=on).open().steps()
    return Section(
        "admin/today/my_alerts.html",
        {"my_alerts": alerts[:MOST], "my_alerts_count": count},
        [("my-alerts", _("My alerts"))],
    )


NOTICES = (notices,)
SECTIONS = (my_alerts,)

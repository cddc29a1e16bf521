"""What metrics bring to the back office: the departments' boards, shipments near demurrage, figures on paper."""

from __future__ import annotations

from datetime import date

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from clearance.admin.pages import Page, Section
from metrics.pages import figures
from metrics.pages.boards import BOARDS
from metrics.selectors import boards
from shipments.admin.display import tell_risk

NEAR_DEMURRAGE, OVERSEEN = 10, 20


def board(request: HttpRequest, *, on: date) -> Section | None:
    """The board of the person's department."""
    tell = BOARDS.get(request.user.department)
    if tell is None or not request.user.has_perm("workflow.view_workflowstep"):
        return None
    shown = tell(request, on=on)
    return Section("admin/today/board.html", {"board": shown}, [("board", shown["title"])], has_charts=True)


def near_demurrage(request: HttpRequest, *, on: date) -> Section | None:
    """Which shipments near demurrage, those that cost most first."""
    if not request.user.has_perm("workflow.view_workflowstep"):
        return None
    most = OVERSEEN if request.user.has_oversight else NEAR_DEMURRAGE
    shipments, total = boards.demurrage_clock(request.user, on=on, most=most)
    for shipment in shipments:
        shipment.day = shipment.days_since_eta(on=on)
        tell_risk(shipment, on=on)
    shown = {"near_demurrage": shipments, "near_demurrage_count": total}
    return Section("admin/today/near_demurrage.html", shown, [("near-demurrage", _("Shipments near demurrage"))])


SECTIONS = (board, near_demurrage)
PAGES = (
    Page("metrics/export/<slug:figure>.xlsx", "metrics_export", figures.export),
    Page("metrics/report/<int:year>-<int:month>/", "metrics_report", figures.report),
)

"""Importing a tracker in the back office: the upload, the workbook to fill in, and the guide."""

from __future__ import annotations

import base64
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _

from clearance import sheets
from shipments.imports import guide, workbook
from shipments.imports.fields import CHECKS, FIELDS


def import_tracker(*, file: Any, sheet: str, **given: Any) -> dict[str, Any]:
    """Import what was uploaded; what the page of the result shows."""
    imported = workbook.import_workbook(file.read(), name=file.name, sheet=sheet or None, **given)
    content = imported.error_workbook() if imported.report.failed else b""
    # The failed rows travel in the page itself, so that no host has to keep a file for another request.
    return {
        "name": file.name,
        "dry_run": given["dry_run"],
        "report": imported.report,
        "error_workbook": f"data:{sheets.CONTENT_TYPE};base64,{base64.b64encode(content).decode()}" if content else "",
    }


class ImportPages(admin.ModelAdmin):
    """The pages beside the upload."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("tracker.xlsx", view(self.blank_workbook), name="shipments_shipment_blank"),
            path("guide/", view(self.guide), name="shipments_shipment_guide"),
            *super().get_urls(),
        ]

    def blank_workbook(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(
            workbook.blank_workbook(),
            content_type=sheets.CONTENT_TYPE,
            headers={"Content-Disposition": 'attachment; filename="tracker.xlsx"'},
        )

    def guide(self, request: HttpRequest) -> HttpResponse:
        """What the import reads and refuses, for everybody who is signed in."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("What the import reads, and what it refuses"),
            "opts": self.opts,
            "rule": guide.RULE,
            "kinds": guide.KINDS,
            "fields": (*FIELDS, *CHECKS),
        }
        return TemplateResponse(request, "admin/shipments/shipment/guide.html", context)

"""The API of the trail: reading and exporting, by Internal Audit, Management and administrators."""

from __future__ import annotations

from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from audit import selectors
from audit.exports import FORMATS, download, evidence_pack
from audit.filters import EntryFilters
from audit.models import AuditEntry
from audit.serializers import LineSerializer
from clearance.api.desk import Desk
from clearance.api.paging import ByCursor
from clearance.errors import NotFound
from shipments.models import Shipment


class AlwaysJson(DefaultContentNegotiation):
    """For files: `format=` says which to make, and a refusal is JSON, whatever the caller accepts."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


@extend_schema_view(list=extend_schema(responses=LineSerializer(many=True)))
class AuditLogViewSet(Desk):
    """What happened to every record: who, when, from where, and why. A page holds `page_size` entries.

    An entry is one line per changed field, and never torn apart: a page may have more lines than entries. `count`
    counts entries. What was created, deleted or denied is one line.
    """

    queryset = AuditEntry.objects.none()
    serializer_class = LineSerializer
    pagination_class = ByCursor
    reads = "audit.view_auditentry"
    filterset_class = EntryFilters
    lookup_value_regex = "[0-9]{1,18}"
    ordering = "-at"
    ordering_fields = ("at",)

    def get_queryset(self) -> Any:
        return AuditEntry.objects.all()

    def list(self, request: Request) -> Response:
        """The trail, the newest first."""
        return self._answer(self.get_queryset())

    @extend_schema(responses=LineSerializer(many=True))
    @action(detail=False, url_path=r"shipment/(?P<pk>[0-9]{1,18})")
    def shipment(self, request: Request, pk: str) -> Response:
        """The trail of a shipment, deleted ones too: of itself, its steps and its alerts."""
        return self._answer(selectors.under_shipment(_existing(pk).pk))

    @extend_schema(responses={(200, FORMATS["zip"].content_type): OpenApiTypes.BINARY})
    @action(
        detail=False,
        url_path=r"shipment/(?P<pk>[0-9]{1,18})/evidence",
        pagination_class=None,
        content_negotiation_class=AlwaysJson,
    )
    def evidence(self, request: Request, pk: str) -> StreamingHttpResponse:
        """The evidence pack of a shipment: its trail as a page to read, and with the proof of every entry (zip)."""
        return evidence_pack(_existing(pk), at=timezone.now())

    @extend_schema(
        filters=True,
        parameters=[OpenApiParameter("format", str, enum=FORMATS.keys(), required=True)],
        responses={(200, one.content_type): OpenApiTypes.BINARY for one in FORMATS.values()},
    )
    @action(detail=False, pagination_class=None, content_negotiation_class=AlwaysJson)
    def export(self, request: Request) -> StreamingHttpResponse:
        """The trail as a file, with the list's filters: CSV, XLSX, or a zip with the proof of every entry."""
        wanted = request.query_params.get("format", "")
        if wanted not in FORMATS:
            known = ", ".join(FORMATS)
            raise ValidationError({"format": [_("Choose one of: {choices}.").format(choices=known)]})
        entries = self.filter_queryset(self.get_queryset())
        return download(entries, format=wanted, column=self._column())

    def _answer(self, entries: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(entries)) or ()
        return self.get_paginated_response(list(selectors.lines(page, column=self._column())))

    def _column(self) -> str:
        """The column whose changes alone are asked for; empty: every one."""
        given = self.request.query_params
        return given.get("field_name") or given.get("field", "")


def _existing(pk: str) -> Shipment:
    """:raises NotFound: there never was such a shipment; a deleted one has its trail still."""
    found = Shipment.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound
    return found

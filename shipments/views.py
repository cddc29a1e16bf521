"""The API of shipments."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors.idempotency import repeatable
from clearance.api import parsing
from clearance.api.desk import Desk, done
from clearance.api.refusals import etag
from clearance.clock import day_of
from clearance.errors import NotFound
from shipments import selectors
from shipments import services as shipments
from shipments.filters import ShipmentFilters
from shipments.imports import workbook
from shipments.models import Shipment
from shipments.serializers import (
    CancelInput,
    EtaInput,
    ImportFile,
    ImportInput,
    ImportReportSerializer,
    ShipmentSerializer,
    VersionInput,
)


@extend_schema_view(
    list=extend_schema(responses=ShipmentSerializer(many=True)),
    destroy=extend_schema(request=None, responses={204: None}),
)
class ShipmentViewSet(Desk):
    """Shipments of the divisions that you see."""

    queryset = Shipment.objects.none()
    serializer_class = ShipmentSerializer
    reads = "shipments.view_shipment"
    filterset_class = ShipmentFilters
    lookup_value_regex = "[0-9]{1,18}"
    ordering = "eta"
    ordering_fields = ("eta", "shipment_number", "created_at", "updated_at", "invoice_amount_omr")

    def get_queryset(self) -> Any:
        return Shipment.objects.visible_to(self.request.user)

    def rows(self, found: Any) -> Any:
        return selectors.rows(found)

    def answer(self, pk: int | str, code: int = status.HTTP_200_OK) -> Response:
        """The shipment as it is now, with its ETag."""
        found = selectors.shown(self.rows(self.get_queryset().filter(pk=pk)), on=day_of(timezone.now()))
        if not found:
            raise NotFound
        return Response(found[0], code, headers={"ETag": etag(found[0]["version"])})

    def list(self, request: Request) -> Response:
        """The shipments that you see."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(selectors.shown(page or (), on=day_of(timezone.now())))

    def retrieve(self, request: Request, pk: str) -> Response:
        """One shipment; its ETag is the version for `If-Match`."""
        return self.answer(pk)

    @repeatable
    def create(self, request: Request) -> Response:
        """Register a shipment; its steps are planned from the ETA."""
        values = self.validated(request)
        values.pop("version", None)
        shipment = shipments.register(values=values, by=request.user, at=timezone.now())
        return self.answer(shipment.pk, status.HTTP_201_CREATED)

    def update(self, request: Request, pk: str) -> Response:
        """Replace what the papers say; what is left out becomes blank. The ETA has an endpoint of its own."""
        values = self.get_serializer().blanks() | self.validated(request)
        return self.amend(pk, values)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change some of what the papers say. The ETA has an endpoint of its own."""
        return self.amend(pk, self.validated(request, partial=True))

    def amend(self, pk: str, values: dict[str, Any]) -> Response:
        version = values.pop("version", None)
        shipments.amend(shipment_id=int(pk), changes=values, version=version, by=self.request.user, at=timezone.now())
        return self.answer(pk)

    def get_serializer_class(self) -> Any:
        if self.action == "import_tracker":
            is_file = self.request is not None and (self.request.content_type or "").startswith("multipart/")
            return ImportFile if is_file else ImportInput
        return VersionInput if self.action == "destroy" else super().get_serializer_class()

    def destroy(self, request: Request, pk: str) -> Response:
        """Hide a shipment; the head of the Business Unit can restore it."""
        given = self.validated(request)
        shipments.delete(shipment_id=int(pk), by=request.user, at=timezone.now(), **given)
        return done()

    @extend_schema(responses=ShipmentSerializer)
    @action(detail=True, methods=["patch"], serializer_class=EtaInput)
    @repeatable
    def eta(self, request: Request, pk: str) -> Response:
        """Change the ETA and re-date every step (Business Unit only, at most three times)."""
        given = self.validated(request)
        shipments.change_eta(shipment_id=int(pk), by=request.user, at=timezone.now(), **given)
        return self.answer(pk)

    @extend_schema(responses=ShipmentSerializer)
    @action(detail=True, methods=["post"], serializer_class=CancelInput)
    @repeatable
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel a shipment, with the reason (head of the Business Unit or administrator)."""
        given = self.validated(request)
        shipments.cancel(shipment_id=int(pk), by=request.user, at=timezone.now(), **given)
        return self.answer(pk)

    @extend_schema(responses=ShipmentSerializer)
    @action(detail=True, methods=["post"], serializer_class=VersionInput)
    @repeatable
    def restore(self, request: Request, pk: str) -> Response:
        """Bring back a cancelled or deleted shipment (head of the Business Unit or administrator)."""
        given = self.validated(request)
        shipments.restore(shipment_id=int(pk), by=request.user, at=timezone.now(), **given)
        return self.answer(pk)

    @extend_schema(
        operation_id="shipments_import",
        request={"application/json": ImportInput, "multipart/form-data": ImportFile},
        responses=ImportReportSerializer,
    )
    @action(detail=False, methods=["post"], url_path="import", parser_classes=[parsing.JSON, MultiPartParser])
    @repeatable
    def import_tracker(self, request: Request) -> Response:
        """Import rows, or a workbook: each row stands or falls alone, and the same rows again change nothing."""
        by, at = request.user, timezone.now()
        if request.content_type.startswith("multipart/"):
            given = self.validated(request)
            upload = given.pop("file")
            report = workbook.import_workbook(upload.read(), name=upload.name, by=by, at=at, **given).report
        else:
            given = self.validated(request)
            report = workbook.import_records(given.pop("rows"), by=by, at=at, **given)
        return Response(ImportReportSerializer(report).data)

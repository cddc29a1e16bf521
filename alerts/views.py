"""The API of alerts."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import selectors
from alerts import services as alerts
from alerts.filters import AlertFilters
from alerts.models import Alert
from alerts.serializers import AcknowledgeInput, AlertSerializer
from clearance.api.desk import Desk
from clearance.api.paging import ByCursor
from clearance.clock import day_of
from clearance.errors import NotFound


def _today() -> date:
    return day_of(timezone.now())


@extend_schema_view(list=extend_schema(responses=AlertSerializer(many=True)))
class AlertViewSet(Desk):
    """Your alerts, and those of the people whom you stand in for; IA, Management and administrators see all."""

    queryset = Alert.objects.none()
    serializer_class = AlertSerializer
    pagination_class = ByCursor
    reads = "alerts.view_alert"
    filterset_class = AlertFilters
    lookup_value_regex = "[0-9]{1,18}"
    ordering = "-id"
    ordering_fields = ("id", "due_on", "days_post_eta", "created_at")

    def get_queryset(self) -> Any:
        return selectors.rows(Alert.objects.visible_to(self.request.user, on=_today()))

    def list(self, request: Request) -> Response:
        """Alerts, the newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(selectors.shown(page or (), on=_today()))

    def retrieve(self, request: Request, pk: str) -> Response:
        """One alert."""
        found = selectors.shown(self.get_queryset().filter(pk=pk), on=_today())
        if not found:
            raise NotFound
        return Response(found[0])

    @extend_schema(responses=AlertSerializer)
    @action(detail=True, methods=["patch"], serializer_class=AcknowledgeInput)
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Say that you have seen an alert (its recipient or their substitute), and by when the step will be done.

        It never stops the ladder. Acknowledging again replaces the promise.
        """
        promised_on = self.validated(request).get("promised_on")
        alerts.acknowledge(alert_id=int(pk), promised_on=promised_on, by=request.user, at=timezone.now())
        return self.retrieve(request, pk)

"""Filters of the alert list."""

from __future__ import annotations

import django_filters as filters
from django.db.models import QuerySet

from alerts.choices import AlertState, Severity
from alerts.models import Alert
from clearance.api.filters import IdFilter, TextFilter, TrueOrFalseFilter, WholeNumberFilter
from shipments.models import Shipment


class AlertFilters(filters.FilterSet):
    shipment = IdFilter(field_name="shipment_id")
    recipient = IdFilter(field_name="recipient_user_id")
    severity = filters.ChoiceFilter(choices=Severity.choices)
    state = filters.ChoiceFilter(choices=AlertState.choices, method="having_state")
    acknowledged = TrueOrFalseFilter(method="being_acknowledged")
    days = WholeNumberFilter(field_name="days_post_eta", label="The day after the ETA")
    days_from = WholeNumberFilter(field_name="days_post_eta", lookup_expr="gte")
    days_to = WholeNumberFilter(field_name="days_post_eta", lookup_expr="lte")
    search = TextFilter(
        method="matching", label="Words of the shipment's number, principal, brand, invoice, LC, B/L, vessel"
    )

    class Meta:
        model = Alert
        fields = ()

    def having_state(self, alerts: QuerySet[Alert], name: str, value: str) -> QuerySet[Alert]:
        return alerts.open() if value == AlertState.OPEN else alerts.filter(state=value)  # type: ignore[attr-defined,no-any-return]

    def being_acknowledged(self, alerts: QuerySet[Alert], name: str, value: bool) -> QuerySet[Alert]:
        return alerts.filter(acknowledged_at__isnull=not value)

    def matching(self, alerts: QuerySet[Alert], name: str, value: str) -> QuerySet[Alert]:
        return alerts.filter(shipment__in=Shipment.objects.matching(value).order_by())

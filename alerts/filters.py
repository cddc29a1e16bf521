"""Filters of the alert list."""

from __future__ import annotations

import django_filters as filters
from django.db.models import QuerySet

from alerts.choices import AlertState
from alerts.models import Alert
from clearance.api.filters import GivenFilters, IdFilter, TextFilter, TrueOrFalseFilter, WholeNumberFilter
from outbox.choices import Severity
from shipments.models import Shipment


class AlertFilters(GivenFilters):
    shipment = IdFilter(field_name="shipment_id")
    workflow_step = IdFilter(field_name="workflow_step_id")
    recipient_user = IdFilter(field_name="recipient_user_id")
    severity = filters.ChoiceFilter(choices=Severity.choices)
    state = filters.ChoiceFilter(choices=AlertState.choices, method="having_state")
    is_acknowledged = TrueOrFalseFilter(method="being_acknowledged")
    days_post_eta = WholeNumberFilter(label="The day after the ETA")
    days_post_eta_from = WholeNumberFilter(field_name="days_post_eta", lookup_expr="gte")
    days_post_eta_to = WholeNumberFilter(field_name="days_post_eta", lookup_expr="lte")
    search = TextFilter(
        method="matching", label="Words of the shipment's number, principal, brand, invoice, LC, B/L, vessel"
    )

    former = {
        "recipient": "recipient_user",
        "acknowledged": "is_acknowledged",
        "days": "days_post_eta",
        "days_from": "days_post_eta_from",
        "days_to": "days_post_eta_to",
    }

    class Meta:
        model = Alert
        fields = ()

    def having_state(self, alerts: QuerySet[Alert], name: str, value: str) -> QuerySet[Alert]:
        return alerts.open() if value == AlertState.OPEN else alerts.filter(state=value)  # type: ignore[attr-defined,no-any-return]

    def being_acknowledged(self, alerts: QuerySet[Alert], name: str, value: bool) -> QuerySet[Alert]:
        return alerts.filter(acknowledged_at__isnull=not value)

    def matching(self, alerts: QuerySet[Alert], name: str, value: str) -> QuerySet[Alert]:
        return alerts.filter(shipment__in=Shipment.objects.matching(value).order_by())

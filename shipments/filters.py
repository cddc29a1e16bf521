"""Filters of the shipment list."""

from __future__ import annotations

import django_filters as filters
from django.db.models import QuerySet

from accounts.models import Division
from clearance.api.filters import AnyOfFilter, GivenFilters, IsoDateFilter, TextFilter
from shipments.choices import Status, TransportMode
from shipments.models import Shipment


class ShipmentFilters(GivenFilters):
    status = AnyOfFilter(choices=Status.choices)
    transport_mode = filters.ChoiceFilter(choices=TransportMode.choices)
    division = filters.ModelChoiceFilter(queryset=Division.objects.all(), to_field_name="code")
    principal = TextFilter(lookup_expr="iexact")
    eta_from = IsoDateFilter(field_name="eta", lookup_expr="gte")
    eta_to = IsoDateFilter(field_name="eta", lookup_expr="lte")
    cleared_on_from = IsoDateFilter(field_name="cleared_on", lookup_expr="gte")
    cleared_on_to = IsoDateFilter(field_name="cleared_on", lookup_expr="lte")
    search = TextFilter(method="matching", label="Words of number, principal, brand, invoice, LC, B/L, vessel")

    former = {"cleared_from": "cleared_on_from", "cleared_to": "cleared_on_to"}

    class Meta:
        model = Shipment
        fields = ()

    def matching(self, shipments: QuerySet[Shipment], name: str, value: str) -> QuerySet[Shipment]:
        return shipments.matching(value)  # type: ignore[attr-defined,no-any-return]

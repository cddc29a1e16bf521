"""The product's addresses, and two more: the floor and the peer of its list of shipments."""

from __future__ import annotations

import orjson
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import generics, serializers
from rest_framework.pagination import PageNumberPagination

from clearance import urls
from clearance.api.rendering import encode
from shipments.filters import ShipmentFilters
from shipments.models import Shipment
from shipments.selectors import COLUMNS

PAGE = 50


def floor(request: HttpRequest) -> HttpResponse:
    """The same rows, without asking who wants them, which filters there are, or how many there would be."""
    rows = Shipment.objects.active().order_by("eta", "id").values(*COLUMNS)[:PAGE]
    return HttpResponse(orjson.dumps(list(rows), default=encode), content_type="application/json")


class PeerSerializer(serializers.ModelSerializer[Shipment]):
    class Meta:
        model = Shipment
        fields = (*COLUMNS, "division")


class PeerPages(PageNumberPagination):
    page_size = PAGE


class Peer(generics.ListAPIView[Shipment]):
    """What DRF's tutorial would have built: same sign-in, same filters, its own serializer and its own pages."""

    queryset = Shipment.objects.existing().order_by("eta", "id")
    serializer_class = PeerSerializer
    pagination_class = PeerPages
    filter_backends = (DjangoFilterBackend,)
    filterset_class = ShipmentFilters


urlpatterns = [path("api/bench/floor", floor), path("api/bench/peer", Peer.as_view()), *urls.urlpatterns]

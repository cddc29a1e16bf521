"""The API of metrics."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clearance.clock import day_of
from metrics import selectors as metrics
from metrics.serializers import (
    ClearanceTimeSerializer,
    DelayedStepsSerializer,
    DemurrageSavingsSerializer,
    OnTimeRateSerializer,
    RangeInput,
    StepRangeInput,
)
from shipments.choices import Status


class Figure(APIView):
    """A figure about a range, within what the person sees; kept for five minutes."""

    reads = "metrics.view_metric"
    name: ClassVar[str]

    def validated(self, request: Request, kind: type[RangeInput] = RangeInput) -> dict[str, Any]:
        given = kind(data={name: value for name, value in request.query_params.items() if name != "format"})
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def asked(self, request: Request, given: dict[str, Any]) -> metrics.Question:
        return metrics.ask(user=request.user, on=day_of(timezone.now()), **given)

    def answer(self, request: Request) -> Response:
        """The figure, with where to find what lies behind it."""
        asked = self.asked(request, self.validated(request))
        return Response({**metrics.FIGURES[self.name](asked), "links": self.links(asked)})

    def links(self, asked: metrics.Question) -> dict[str, str]:
        behind: dict[str, Any] = {"eta_from": asked.eta_from, "eta_to": asked.eta_until}
        if self.name == "clearance-time":
            behind = {"cleared_on_from": asked.from_, "cleared_on_to": asked.until}
        behind["status"] = [Status.ACTIVE.value, Status.COMPLETED.value]
        of_range = {"from": asked.from_, "to": asked.until}
        if asked.department:
            of_range["department"] = asked.department
        address = self.request.build_absolute_uri
        return {
            "shipments": address(f"/api/v1/shipments?{urlencode(behind, doseq=True)}"),
            "export": address(f"{reverse('admin:metrics_export', args=[self.name])}?{urlencode(of_range)}"),
        }


class ClearanceTime(Figure):
    name = "clearance-time"

    @extend_schema(parameters=[RangeInput], responses=ClearanceTimeSerializer)
    def get(self, request: Request) -> Response:
        """How long shipments cleared in the range took, end to end and by department."""
        return self.answer(request)


class OnTimeRate(Figure):
    name = "on-time-rate"

    @extend_schema(parameters=[RangeInput], responses=OnTimeRateSerializer)
    def get(self, request: Request) -> Response:
        """How many of the shipments whose free time ended in the range were cleared by then."""
        return self.answer(request)


class DemurrageSavings(Figure):
    name = "demurrage-savings"

    @extend_schema(parameters=[RangeInput], responses=DemurrageSavingsSerializer)
    def get(self, request: Request) -> Response:
        """What demurrage the same shipments cost, and what those on time would have cost."""
        return self.answer(request)


class DelayedSteps(Figure):
    name = "delayed-steps"

    @extend_schema(parameters=[StepRangeInput], responses=DelayedStepsSerializer)
    def get(self, request: Request) -> Response:
        """Which steps of the same shipments were late, how much of it was waiting, and the list of them, by page."""
        given = self.validated(request, StepRangeInput)
        page, page_size = given.pop("page"), given.pop("page_size")
        asked = self.asked(request, given)
        figure = metrics.delayed_steps(asked)
        count = sum(one["delayed"] for one in figure["departments"])
        listed = {
            "results": metrics.list_delayed_steps(asked, page=page, page_size=page_size),
            "next": self.page(page + 1) if page * page_size < count else None,
            "previous": self.page(page - 1) if page > 1 else None,
            "count": count,
        }
        return Response({**figure, "links": self.links(asked), **listed})

    def page(self, number: int) -> str:
        given = self.request.query_params.dict() | {"page": number}
        return self.request.build_absolute_uri(f"{self.request.path}?{urlencode(given)}")

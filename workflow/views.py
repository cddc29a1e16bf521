"""The API of steps."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clearance.api.desk import Desk
from clearance.api.refusals import etag
from clearance.clock import day_of
from clearance.errors import NotFound
from shipments.models import Shipment
from workflow import selectors
from workflow import services as workflow
from workflow.filters import StepFilters
from workflow.models import WorkflowStep
from workflow.serializers import CompletedStepSerializer, CompleteInput, ReopenInput, StepSerializer


def _today() -> date:
    return day_of(timezone.now())


@extend_schema_view(list=extend_schema(responses=StepSerializer(many=True)))
class StepViewSet(Desk):
    """Steps of the shipments that you see; Finance, C&C and Stores list those of their own department."""

    queryset = WorkflowStep.objects.none()
    serializer_class = StepSerializer
    reads = "workflow.view_workflowstep"
    filterset_class = StepFilters
    lookup_value_regex = "[0-9]{1,18}"
    ordering = "target_date"
    ordering_fields = ("target_date", "step_number", "updated_at")

    def get_queryset(self) -> Any:
        return WorkflowStep.objects.listed_for(self.request.user)

    def rows(self, found: Any) -> Any:
        return selectors.rows(found, on=_today())

    def answer(self, pk: int | str, **more: Any) -> Response:
        """The step as it is now, with its ETag."""
        step = self.rows(WorkflowStep.objects.visible_to(self.request.user).filter(pk=pk)).first()
        if step is None:
            raise NotFound
        return Response({**step, **more}, headers={"ETag": etag(step["version"])})

    def list(self, request: Request) -> Response:
        """Steps by target date."""
        return self.get_paginated_response(self.paginate_queryset(self.filter_queryset(self.get_queryset())))

    @extend_schema(responses=StepSerializer(many=True))
    @action(detail=False, methods=["get"], url_path="my-tasks")
    def my_tasks(self, request: Request) -> Response:
        """The open steps that you answer for, as PPR, APR, substitute, or head where nobody is named."""
        mine = WorkflowStep.objects.listed_for(request.user).in_care_of(request.user, on=_today())
        steps = mine.open().of_active_shipments()
        return self.get_paginated_response(self.paginate_queryset(self.filter_queryset(steps)))

    def retrieve(self, request: Request, pk: str) -> Response:
        """One step; its ETag is the version for `If-Match`."""
        return self.answer(pk)

    @extend_schema(responses=CompletedStepSerializer)
    @action(detail=True, methods=["patch"], serializer_class=CompleteInput)
    def complete(self, request: Request, pk: str) -> Response:
        """Complete a step (its PPR, APR, their substitute or the head), or mark an optional one as not required."""
        given = self.validated(request)
        if given.pop("not_required"):
            workflow.mark_not_required(step_id=int(pk), by=request.user, at=timezone.now(), **given)
            return self.answer(pk, warnings=[])
        done = workflow.complete_step(step_id=int(pk), by=request.user, at=timezone.now(), **given)
        return self.answer(pk, warnings=[_warning(step) for step in done.open_predecessors])

    @extend_schema(responses=StepSerializer)
    @action(detail=True, methods=["patch"], serializer_class=ReopenInput)
    def reopen(self, request: Request, pk: str) -> Response:
        """Take a completion back, with the reason (head of the department or administrator)."""
        workflow.reopen_step(step_id=int(pk), by=request.user, at=timezone.now(), **self.validated(request))
        return self.answer(pk)


class ShipmentWorkflow(APIView):
    """A shipment's steps in SOP order."""

    reads = "workflow.view_workflowstep"

    @extend_schema(responses=StepSerializer(many=True), operation_id="shipments_workflow")
    def get(self, request: Request, pk: int) -> Response:
        """Every step of a shipment, of all departments, in SOP order."""
        if not Shipment.objects.visible_to(request.user).filter(pk=pk).exists():
            raise NotFound
        steps = WorkflowStep.objects.filter(shipment=pk).order_by("step_number")
        return Response(list(selectors.rows(steps, on=_today())))


def _warning(step: WorkflowStep) -> dict[str, Any]:
    sentence = _("Step {step} “{name}” ({department}) comes before and is still open.")
    return {
        "code": "PREDECESSOR_OPEN",
        "step_number": step.step_number,
        "message": sentence.format(
            step=step.step_number, name=step.step_name, department=step.get_department_display()
        ),
    }

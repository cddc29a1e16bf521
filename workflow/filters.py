"""Filters of the step list."""

from __future__ import annotations

import django_filters as filters
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.choices import DEPARTMENTS
from clearance import text
from clearance.api.filters import GivenFilters, IdFilter, IsoDateFilter, TextFilter, TrueOrFalseFilter
from clearance.clock import day_of
from workflow.choices import StepStatus
from workflow.models import WorkflowStep


class StepFilters(GivenFilters):
    status = filters.ChoiceFilter(choices=StepStatus.choices, method="having_status")
    department = filters.ChoiceFilter(choices=DEPARTMENTS)
    shipment = IdFilter(field_name="shipment_id")
    is_critical = TrueOrFalseFilter()
    target_date_from = IsoDateFilter(field_name="target_date", lookup_expr="gte")
    target_date_to = IsoDateFilter(field_name="target_date", lookup_expr="lte")
    search = TextFilter(method="matching", label="Part of the step's name or of the shipment's number")

    former = {"target_from": "target_date_from", "target_to": "target_date_to"}

    class Meta:
        model = WorkflowStep
        fields = ()

    def having_status(self, steps: QuerySet[WorkflowStep], name: str, value: str) -> QuerySet[WorkflowStep]:
        return steps.having_status(value, on=day_of(timezone.now()))  # type: ignore[attr-defined,no-any-return]

    def matching(self, steps: QuerySet[WorkflowStep], name: str, value: str) -> QuerySet[WorkflowStep]:
        number = text.number(value)
        return steps.filter(Q(step_name__icontains=value) | Q(shipment__shipment_number__istartswith=number))

"""Shapes of steps at the API."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from clearance.api.desk import StrictSerializer
from workflow.choices import CompletedVia, StepStatus
from workflow.models import WorkflowStep
from workflow.selectors import COLUMNS

SHOWN = {
    "id": 481,
    "shipment": 14,
    "shipment_number": "SH-2026-014",
    "step_number": "9.0",
    "step_name": "Bayan submitted",
    "description": "Customs declaration lodged in Bayan; not before the goods have arrived",
    "department": "C&C",
    "offset_days": 0,
    "target_date": "2026-03-20",
    "actual_date": None,
    "status": "pending",
    "is_critical": True,
    "is_optional": False,
    "not_required": False,
    "filled_by_field": "",
    "ppr_user": 7,
    "ppr_name": "Khalid Example",
    "apr_user": 8,
    "apr_name": "Kawthar Example",
    "completed_by": None,
    "on_behalf_of": None,
    "completed_at": None,
    "completed_via": "",
    "note": "",
    "created_at": "2026-02-21T06:10:00+00:00",
    "updated_at": "2026-02-21T06:10:00+00:00",
    "version": 1,
}
COMPLETED = {
    "actual_date": "2026-03-20",
    "status": "completed",
    "completed_by": 7,
    "completed_at": "2026-03-20T08:15:00+00:00",
    "completed_via": "person",
    "version": 2,
    "warnings": [
        {
            "code": "PREDECESSOR_OPEN",
            "step_number": "6.2",
            "message": "Step 6.2 “Documents received by C&C” (Customs & Clearance) comes before and is still open.",
        }
    ],
}


@extend_schema_serializer(examples=[OpenApiExample("An open step", SHOWN)])
class StepSerializer(serializers.ModelSerializer):
    """A step of a shipment; `status` is as of today in Muscat."""

    shipment = serializers.IntegerField(read_only=True)
    shipment_number = serializers.CharField(read_only=True)
    description = serializers.CharField(read_only=True)
    filled_by_field = serializers.CharField(read_only=True, help_text="The shipment's field whose entry completes it.")
    status = serializers.ChoiceField(StepStatus.choices, read_only=True)
    ppr_user = serializers.IntegerField(read_only=True, allow_null=True)
    apr_user = serializers.IntegerField(read_only=True, allow_null=True)
    ppr_name = serializers.CharField(read_only=True, allow_null=True)
    apr_name = serializers.CharField(read_only=True, allow_null=True)
    completed_by = serializers.IntegerField(read_only=True, allow_null=True)
    on_behalf_of = serializers.IntegerField(read_only=True, allow_null=True)
    completed_via = serializers.ChoiceField(CompletedVia.choices, read_only=True, allow_blank=True)

    class Meta:
        model = WorkflowStep
        fields = (*COLUMNS, "description", "filled_by_field", "shipment_number", "ppr_name", "apr_name")
        read_only_fields = fields


class WarningSerializer(serializers.Serializer):
    code = serializers.CharField(default="PREDECESSOR_OPEN")
    step_number = serializers.DecimalField(max_digits=4, decimal_places=1)
    message = serializers.CharField()


@extend_schema_serializer(examples=[OpenApiExample("Completed out of order", SHOWN | COMPLETED)])
class CompletedStepSerializer(StepSerializer):
    warnings = WarningSerializer(many=True, help_text="Predecessors that are still open: allowed, but unusual.")

    class Meta(StepSerializer.Meta):
        fields = (*StepSerializer.Meta.fields, "warnings")


@extend_schema_serializer(
    examples=[
        OpenApiExample("Done today", {}),
        OpenApiExample(
            "Done on another day", {"actual_date": "2026-03-20", "note": "Lodged in the evening", "version": 1}
        ),
        OpenApiExample("Not required", {"not_required": True, "note": "No inspection this time"}),
    ]
)
class CompleteInput(StrictSerializer):
    actual_date = serializers.DateField(required=False, help_text="Default: today. Never in the future.")
    not_required = serializers.BooleanField(required=False, default=False, help_text="Optional steps only.")
    note = serializers.CharField(required=False, allow_blank=True, max_length=500)
    version = serializers.IntegerField(required=False, min_value=1)

    def validate(self, given: dict[str, object]) -> dict[str, object]:
        if given.get("not_required") and "actual_date" in given:
            raise serializers.ValidationError({"actual_date": "A step that is not required has no date."})
        return given


@extend_schema_serializer(examples=[OpenApiExample("A mistake", {"reason": "The wrong shipment", "version": 2})])
class ReopenInput(StrictSerializer):
    reason = serializers.CharField(max_length=500)
    version = serializers.IntegerField(required=False, min_value=1)

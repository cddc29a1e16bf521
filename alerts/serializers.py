"""Shapes of alerts at the API."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from alerts.choices import AlertState
from alerts.models import Alert
from clearance.api.desk import StrictSerializer
from outbox.choices import Severity

SHOWN = {
    "id": 7031,
    "shipment": 14,
    "shipment_number": "SH-2026-014",
    "workflow_step": 483,
    "step_number": "11.0",
    "step_name": "Bayan approved",
    "severity": "critical",
    "message": "Day 5 after the ETA of SH-2026-014: step 11.0 “Bayan approved” is still open.",
    "recipient_user": 7,
    "days_post_eta": 5,
    "is_acknowledged": True,
    "acknowledged_at": "2026-03-25T05:12:00+00:00",
    "promised_on": "2026-03-26",
    "created_at": "2026-03-25T04:00:00+00:00",
    "email_sent": True,
    "email_sent_at": "2026-03-25T04:00:09+00:00",
    "email_retry_count": 0,
    "state": "open",
    "due_on": "2026-03-25",
    "is_late": False,
    "omr_at_risk": "115.386",
}


@extend_schema_serializer(examples=[OpenApiExample("An acknowledged alert", SHOWN)])
class AlertSerializer(serializers.ModelSerializer):
    """An alert: one rung of the ladder, of one step, to one person. `state` follows from the step and its shipment."""

    shipment = serializers.IntegerField(read_only=True)
    shipment_number = serializers.CharField(read_only=True)
    workflow_step = serializers.IntegerField(read_only=True)
    step_number = serializers.DecimalField(max_digits=4, decimal_places=1, read_only=True)
    step_name = serializers.CharField(read_only=True)
    severity = serializers.ChoiceField(Severity.choices, read_only=True)
    message = serializers.CharField(read_only=True, help_text="A sentence, in the language of the request.")
    recipient_user = serializers.IntegerField(read_only=True)
    is_acknowledged = serializers.BooleanField(read_only=True)
    email_sent = serializers.BooleanField(read_only=True)
    email_sent_at = serializers.DateTimeField(read_only=True, allow_null=True)
    email_retry_count = serializers.IntegerField(read_only=True, help_text="Refusals by the mail server.")
    state = serializers.ChoiceField(AlertState.choices, read_only=True)
    omr_at_risk = serializers.DecimalField(
        max_digits=12,
        decimal_places=3,
        read_only=True,
        allow_null=True,
        help_text="Of its shipment, as of today in Muscat; null once the alert isn't open.",
    )

    class Meta:
        model = Alert
        fields = tuple(SHOWN)
        read_only_fields = fields


@extend_schema_serializer(
    examples=[OpenApiExample("Seen", {}), OpenApiExample("Seen, with a promise", {"promised_on": "2026-03-26"})]
)
class AcknowledgeInput(StrictSerializer):
    promised_on = serializers.DateField(
        required=False, allow_null=True, help_text="When the step will be done: today or later."
    )

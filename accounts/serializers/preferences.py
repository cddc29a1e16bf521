"""Shapes of one's own choices at the API."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from accounts.models import User
from clearance.api.desk import StrictSerializer
from clearance.languages import Language
from outbox.choices import Severity
from outbox.rules import TEXT_SEVERITIES

CHOSEN = {"language": "en", "mail": ["critical", "urgent"], "sms": ["urgent"], "is_sms_available": True}


@extend_schema_serializer(examples=[OpenApiExample("No mail of warnings, and a text of what is urgent", CHOSEN)])
class PreferencesSerializer(serializers.Serializer):
    """What one gets, and how."""

    language = serializers.ChoiceField(Language.choices, help_text="Of pages, mails and text messages.")
    mail = serializers.ListField(
        child=serializers.ChoiceField(Severity.choices), help_text="Severities of alerts that come by mail."
    )
    sms = serializers.ListField(
        child=serializers.CharField(), help_text="Severities of alerts that come by text message as well."
    )
    is_sms_available = serializers.BooleanField(
        help_text="There is a provider of text messages, and one’s phone number."
    )

    def to_representation(self, user: User) -> dict[str, Any]:
        muted = set(user.muted_mail.values_list("severity", flat=True))
        return {
            "language": user.language,
            "mail": [severity for severity in Severity.values if severity not in muted],
            "sms": list(user.wanted_texts.values_list("severity", flat=True)),
            "is_sms_available": bool(settings.SMS_BACKEND and user.phone),
        }


@extend_schema_serializer(examples=[OpenApiExample("What is urgent by text message too", {"sms": ["urgent"]})])
class PreferencesInput(StrictSerializer):
    """What is left out stays as it is; a list replaces the one before."""

    language = serializers.ChoiceField(Language.choices, required=False)
    mail = serializers.MultipleChoiceField(choices=Severity.choices, required=False)
    sms = serializers.MultipleChoiceField(
        choices=[(one.value, one.label) for one in TEXT_SEVERITIES],
        required=False,
        help_text="Urgent alerts only; needs a phone number.",
    )

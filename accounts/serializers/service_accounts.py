"""Shapes of service accounts and their API keys."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts import rules
from accounts.choices import SERVICE_ROLE_CHOICES, KeyState
from accounts.models import ApiKey, Division, User
from clearance.api.desk import StrictSerializer

SERVICE_ACCOUNT = {
    "id": 41,
    "full_name": "Clearing agent’s system",
    "department": "C&C",
    "role": "PPR",
    "divisions": ["TBL"],
    "is_active": True,
    "created_at": "2026-01-04T09:00:00+04:00",
    "updated_at": "2026-01-04T09:00:00+04:00",
}
API_KEY = {
    "id": 5,
    "name": "Production",
    "prefix": "k3v9x0qa",
    "scopes": ["shipments:view", "workflow_steps:complete", "workflow_steps:view"],
    "allowed_networks": ["203.0.113.0/24"],
    "state": "good",
    "created_by": "Adil Administrator",
    "created_at": "2026-01-04T09:00:00+04:00",
    "expires_at": "2026-07-04T09:00:00+04:00",
    "rotated_at": None,
    "revoked_at": None,
    "last_used_at": "2026-03-15T11:58:00+04:00",
    "last_used_from": "203.0.113.9",
}


@extend_schema_field(serializers.ListField(child=serializers.CharField()))
class DivisionCodes(serializers.ListField):
    """Divisions by their codes; none means every division."""

    child = serializers.CharField(max_length=10)

    def to_internal_value(self, data: Any) -> list[Division]:
        codes = set(super().to_internal_value(data))
        found = list(Division.objects.filter(code__in=codes))
        if missing := codes - {division.code for division in found}:
            told = ", ".join(sorted(missing))
            raise serializers.ValidationError(_("There is no such division: {codes}.").format(codes=told))
        return found

    def to_representation(self, data: Any) -> list[str]:
        return sorted(division.code for division in data.all())


@extend_schema_serializer(
    examples=[
        OpenApiExample("The clearing agent", SERVICE_ACCOUNT, response_only=True),
        OpenApiExample(
            "A new one",
            {name: SERVICE_ACCOUNT[name] for name in ("full_name", "department", "role", "divisions")},
            request_only=True,
        ),
    ]
)
class ServiceAccountSerializer(StrictSerializer, serializers.ModelSerializer):
    """An account that a machine acts with."""

    role = serializers.ChoiceField(SERVICE_ROLE_CHOICES)
    divisions = DivisionCodes(required=False, max_length=100, help_text="Codes; none means every division.")

    class Meta:
        model = User
        fields = ("id", "full_name", "department", "role", "divisions", "is_active", "created_at", "updated_at")
        read_only_fields = ("id", "created_at", "updated_at")
        extra_kwargs = {"department": {"help_text": "Needed by a PPR.", "required": False}}


class NewServiceAccountSerializer(ServiceAccountSerializer):
    class Meta(ServiceAccountSerializer.Meta):
        read_only_fields = ("id", "is_active", "created_at", "updated_at")


@extend_schema_serializer(examples=[OpenApiExample("A key", API_KEY)])
class ApiKeySerializer(serializers.ModelSerializer):
    """An API key, without its text."""

    state = serializers.ChoiceField(KeyState.choices, help_text="Of its last fourteen days it says `expires_soon`.")
    created_by = serializers.CharField(source="created_by.full_name")

    class Meta:
        model = ApiKey
        fields = tuple(API_KEY)
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample("Issued", API_KEY | {"last_used_at": None, "last_used_from": None, "key": "clr_k3v9x0qa_…"})
    ]
)
class IssuedKeySerializer(ApiKeySerializer):
    key = serializers.CharField(
        allow_null=True, help_text="For `Authorization: Api-Key …`; told this once: null where the answer is repeated."
    )

    class Meta(ApiKeySerializer.Meta):
        fields = (*ApiKeySerializer.Meta.fields, "key")
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "For half a year, from one network",
            {name: API_KEY[name] for name in ("name", "scopes", "allowed_networks", "expires_at")},
        )
    ]
)
class IssueInput(StrictSerializer):
    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=100),
        allow_empty=False,
        max_length=200,
        help_text="Permissions, as `GET /users/me` names them; each must be one of the account’s.",
    )
    expires_at = serializers.DateTimeField(help_text="Within a year.")
    allowed_networks = serializers.ListField(
        child=serializers.CharField(max_length=43),
        default=list,
        max_length=rules.MOST_NETWORKS,
        help_text="In CIDR notation, or single addresses; none: good from anywhere.",
    )


@extend_schema_serializer(examples=[OpenApiExample("A day to change over", {"grace_hours": 24})])
class RotateInput(StrictSerializer):
    grace_hours = serializers.IntegerField(
        min_value=0, max_value=10_000, help_text="How long the old key is good beside the new one: 168 at most."
    )

"""Shapes of the trail at the API."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from audit.choices import Action, Channel

CHANGED = {
    "id": 90817,
    "created_at": "2026-03-15T08:00:00.123456+00:00",
    "entity_type": "shipments.shipment",
    "entity_id": "14",
    "action": "changed",
    "field_name": "eta",
    "old_value": "2026-12-03",
    "new_value": "2026-12-09",
    "user": {"id": 3, "name": "Badriya Clerk", "role": "BusinessUnit PPR"},
    "on_behalf_of": "",
    "channel": "api",
    "ip_address": "192.0.2.7",
    "request_id": "5f0c1d2e9b7a4c3d8e6f",
    "import_batch": "",
    "reason": "vessel rolled",
}
CREATED = CHANGED | {
    "id": 90321,
    "entity_type": "accounts.division",
    "entity_id": "4",
    "action": "created",
    "field_name": None,
    "old_value": None,
    "new_value": {"id": 4, "code": "TBL", "name": "Tyres, batteries and lubricants"},
    "channel": "admin",
    "reason": "",
}


@extend_schema_field(OpenApiTypes.ANY)
class AnyValue(serializers.JSONField):
    """Whatever a column held, as JSON."""


class ActorSerializer(serializers.Serializer):
    """A person as they were then; no later change of the account touches it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    role = serializers.CharField()


@extend_schema_serializer(
    examples=[OpenApiExample("A changed field", CHANGED), OpenApiExample("A created record", CREATED)]
)
class LineSerializer(serializers.Serializer):
    """One field of one entry. The lines of an entry share its `id` and stand together."""

    id = serializers.IntegerField(help_text="Of the entry.")
    created_at = serializers.DateTimeField()
    entity_type = serializers.CharField()
    entity_id = serializers.CharField()
    action = serializers.ChoiceField(Action.choices)
    field_name = serializers.CharField(
        allow_null=True, help_text="Null where a record was created, deleted or denied: one line lists its values."
    )
    old_value = AnyValue(allow_null=True)
    new_value = AnyValue(allow_null=True)
    user = ActorSerializer(allow_null=True, help_text="Null: nobody signed in, the system itself.")
    on_behalf_of = serializers.CharField()
    channel = serializers.ChoiceField(Channel.choices)
    ip_address = serializers.CharField(allow_null=True)
    request_id = serializers.CharField()
    import_batch = serializers.CharField()
    reason = serializers.CharField()

"""Shapes of roles and permissions at the API."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from accounts import rules
from accounts.models import RoleGroup
from clearance.api.desk import StrictSerializer

ROLE = {
    "id": 40,
    "name": "Reporting",
    "is_system": False,
    "people": 2,
    "permissions": ["metrics:view", "shipments:view"],
}


@extend_schema_serializer(examples=[OpenApiExample("A role beside those of the system", ROLE)])
class RoleSerializer(serializers.ModelSerializer):
    """A role; those of the system follow from department and role, and nobody changes them."""

    is_system = serializers.SerializerMethodField()
    people = serializers.IntegerField(read_only=True, help_text="How many hold it.")
    permissions = serializers.SerializerMethodField()

    class Meta:
        model = RoleGroup
        fields = ("id", "name", "is_system", "people", "permissions")
        read_only_fields = fields

    def get_is_system(self, role: RoleGroup) -> bool:
        return role.name in rules.system_role_names()

    def get_permissions(self, role: RoleGroup) -> list[str]:
        return _names_of(role.permissions)


def _names_of(permissions: Any) -> list[str]:
    return sorted(rules.api_name(f"{one.content_type.app_label}.{one.codename}") for one in permissions.all())


class PermissionNames(serializers.ListField):
    child = serializers.CharField(max_length=100)

    def to_representation(self, data: Any) -> list[str]:
        return _names_of(data)


@extend_schema_serializer(examples=[OpenApiExample("Two of them", {"permissions": ROLE["permissions"]})])
class PermissionsInput(StrictSerializer):
    permissions = PermissionNames(max_length=200, help_text="As /permissions names them.")

    def validate_permissions(self, names: list[str]) -> Collection[str]:
        return rules.permissions_named(names)


@extend_schema_serializer(
    examples=[OpenApiExample("For reports", {name: ROLE[name] for name in ("name", "permissions")})]
)
class RoleInput(PermissionsInput):
    name = serializers.CharField(max_length=150)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Reopening steps",
            {
                "name": "workflow_steps:reopen",
                "kind": "Steps",
                "allows": "Reopen steps of one's own department",
                "roles": ["Administrator", "Finance Manager"],
            },
        )
    ]
)
class PermissionSerializer(serializers.Serializer):
    name = serializers.CharField()
    kind = serializers.CharField(help_text="The kind of work that it belongs to.")
    allows = serializers.CharField(help_text="In words.")
    roles = serializers.ListField(child=serializers.CharField(), help_text="The system roles that bring it.")

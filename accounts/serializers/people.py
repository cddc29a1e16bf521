"""Shapes of people and their overrides at the API."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from accounts import rights, rules
from accounts.choices import Department, Role
from accounts.models import Division, Override, RoleGroup, User
from clearance.api.desk import StrictSerializer
from clearance.languages import Language

ME = {
    "id": 7,
    "email": "khalid@example.com",
    "full_name": "Khalid Example",
    "phone": "+96891234567",
    "department": "C&C",
    "role": "PPR",
    "divisions": [{"id": 1, "code": "TBL", "name": "Tyres, batteries and lubricants"}],
    "language": "en",
    "time_zone": "Asia/Muscat",
    "permissions": ["shipments:view", "workflow_steps:complete", "workflow_steps:view"],
    "created_at": "2026-01-04T09:00:00+04:00",
    "updated_at": "2026-01-04T09:00:00+04:00",
}
PERSON = {name: value for name, value in ME.items() if name != "permissions"} | {
    "further_roles": [{"id": 40, "name": "Reporting"}],
    "is_active": True,
    "is_staff": True,
    "has_come": True,
    "email_verified_at": "2026-01-04T10:12:00+04:00",
    "last_login": "2026-03-15T08:01:00+04:00",
}
NEWCOMER = {
    "email": "noor@example.com",
    "full_name": "Noor Example",
    "department": "C&C",
    "role": "PPR",
    "divisions": ["TBL"],
    "language": "ar",
}
OVERRIDE = {
    "id": 5,
    "permission": "workflow_steps:reopen",
    "allows": "Reopen steps of one's own department",
    "is_granted": True,
    "reason": "Stands in for the head in July",
    "created_by": 1,
    "created_at": "2026-07-01T08:00:00+04:00",
}


class DivisionSerializer(serializers.ModelSerializer):
    class Meta:
        model = Division
        fields = ("id", "code", "name")


@extend_schema_serializer(examples=[OpenApiExample("A clerk of C&C", ME)])
class MeSerializer(serializers.ModelSerializer):
    """The signed-in person; no divisions means every division."""

    department = serializers.ChoiceField(Department.choices, read_only=True, allow_blank=True)
    divisions = DivisionSerializer(many=True, read_only=True)
    permissions = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = (
            "id",
            "email",
            "full_name",
            "phone",
            "department",
            "role",
            "divisions",
            "language",
            "time_zone",
            "permissions",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def get_permissions(self, user: User) -> list[str]:
        return sorted(map(rules.api_name, user.get_all_permissions()))


class HeldRoleSerializer(serializers.ModelSerializer):
    class Meta:
        model = RoleGroup
        fields = ("id", "name")


@extend_schema_serializer(examples=[OpenApiExample("A clerk of C&C", PERSON)])
class UserSerializer(serializers.ModelSerializer):
    """A person; no divisions means every division."""

    department = serializers.ChoiceField(Department.choices, read_only=True, allow_blank=True)
    divisions = DivisionSerializer(many=True, read_only=True)
    further_roles = serializers.SerializerMethodField(help_text="Roles beside that of department and role.")
    has_come = serializers.BooleanField(read_only=True, help_text="False: invited, or waiting to be.")

    class Meta:
        model = User
        fields = (
            *(name for name in MeSerializer.Meta.fields if name != "permissions"),
            "further_roles",
            "is_active",
            "is_staff",
            "has_come",
            "email_verified_at",
            "last_login",
        )
        read_only_fields = fields

    def get_further_roles(self, user: User) -> HeldRoleSerializer(many=True):
        held = [role for role in user.groups.all() if role.name not in rules.system_role_names()]
        return HeldRoleSerializer(held, many=True).data


@extend_schema_serializer(
    examples=[OpenApiExample("A clerk of C&C", PERSON | {"permissions": ME["permissions"]})], many=False
)
class PersonSerializer(UserSerializer):
    """A person with what they may do: what roles and overrides bring; nothing once they are deactivated."""

    permissions = serializers.SerializerMethodField()

    class Meta(UserSerializer.Meta):
        fields = (*UserSerializer.Meta.fields, "permissions")
        read_only_fields = fields

    def get_permissions(self, user: User) -> list[str]:
        return sorted(map(rules.api_name, user.get_all_permissions()))


class _Known(serializers.ListField):
    """Records by what the API calls them, asked for at once."""

    allow_empty = True

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=100, required=False, **options)

    def found(self, given: list[Any]) -> dict[Any, Any]:
        raise NotImplementedError

    def to_internal_value(self, data: Any) -> list[Any]:
        given = super().to_internal_value(data)
        found = self.found(given)
        if missing := [str(one) for one in given if one not in found]:
            raise serializers.ValidationError(_("There is no such one: {names}.").format(names=", ".join(missing)))
        return list(dict.fromkeys(found[one] for one in given))

    def called(self, record: Any) -> Any:
        """What the API calls a record."""
        return record.pk

    def to_representation(self, data: Any) -> list[Any]:
        return sorted(map(self.called, data.all()))


class DivisionCodes(_Known):
    child = serializers.CharField(max_length=10)

    def found(self, given: list[str]) -> dict[str, Division]:
        return {one.code: one for one in Division.objects.filter(code__in=given)}

    def called(self, record: Division) -> str:
        return record.code


class RoleIds(_Known):
    child = serializers.IntegerField(min_value=1, max_value=2**31 - 1)

    def found(self, given: list[int]) -> dict[int, RoleGroup]:
        return RoleGroup.objects.in_bulk(given)


class AmendmentInput(StrictSerializer):
    """What an administrator changes of a person; what is left out stays."""

    email = serializers.EmailField(required=False)
    full_name = serializers.CharField(required=False, max_length=120)
    phone = serializers.CharField(required=False, allow_blank=True, max_length=16, help_text="Like +96891234567.")
    department = serializers.ChoiceField(
        Department.choices, required=False, allow_blank=True, help_text="Blank for administrators, and who waits."
    )
    role = serializers.ChoiceField(Role.choices, required=False)
    divisions = DivisionCodes(help_text="By code; none: sees every division.")
    further_roles = RoleIds(help_text="By id, beside the role of the department.")
    language = serializers.ChoiceField(Language.choices, required=False)
    time_zone = serializers.CharField(required=False, max_length=40)
    is_active = serializers.BooleanField(required=False)
    is_staff = serializers.BooleanField(required=False, help_text="Whether they may use the back office.")


@extend_schema_serializer(examples=[OpenApiExample("A clerk of C&C", NEWCOMER)])
class InvitationInput(AmendmentInput):
    email = serializers.EmailField()
    full_name = serializers.CharField(max_length=120)
    role = serializers.ChoiceField(Role.choices)
    is_active = None

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"department": "", **given}


@extend_schema_serializer(examples=[OpenApiExample("A clerk of C&C", NEWCOMER)])
class UserInput(InvitationInput):
    password = serializers.CharField(
        required=False,
        trim_whitespace=False,
        max_length=200,
        style={"input_type": "password"},
        help_text="Without one they can't sign in until it is set.",
    )


@extend_schema_serializer(examples=[OpenApiExample("Another language", {"language": "ar"})])
class MeInput(StrictSerializer):
    """What one changes of oneself; administrators change the rest."""

    phone = serializers.CharField(required=False, allow_blank=True, max_length=16, help_text="Like +96891234567.")
    language = serializers.ChoiceField(Language.choices, required=False)
    time_zone = serializers.CharField(required=False, max_length=40, help_text="Like Asia/Muscat.")


# Overrides -----------------------------------------------------------------------------------------------------------
@extend_schema_serializer(examples=[OpenApiExample("A right granted for a while", OVERRIDE)])
class OverrideSerializer(serializers.ModelSerializer):
    """One right that a person is granted or denied, whatever their roles say."""

    permission = serializers.SerializerMethodField()
    allows = serializers.SerializerMethodField(help_text="The permission in words.")

    class Meta:
        model = Override
        fields = ("id", "permission", "allows", "is_granted", "reason", "created_by", "created_at")
        read_only_fields = fields

    def get_permission(self, override: Override) -> str:
        right = override.permission
        return rules.api_name(f"{right.content_type.app_label}.{right.codename}")

    def get_allows(self, override: Override) -> str:
        return rights.in_words(override.permission.codename)


@extend_schema_serializer(
    examples=[
        OpenApiExample("Grant", {name: OVERRIDE[name] for name in ("permission", "is_granted", "reason")}),
        OpenApiExample("Deny", {"permission": "shipments:cancel", "is_granted": False, "reason": "On probation"}),
    ]
)
class OverrideInput(StrictSerializer):
    permission = serializers.CharField(max_length=100, help_text="As /permissions names it.")
    is_granted = serializers.BooleanField(help_text="False: denied.")
    reason = serializers.CharField(max_length=255)

    def validate_permission(self, name: str) -> str:
        (permission,) = rules.permissions_named([name])
        return permission

"""Shapes of people and sign-ins at the API."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from accounts import rules
from accounts.models import Division, User
from clearance.api.desk import StrictSerializer

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


class DivisionSerializer(serializers.ModelSerializer):
    class Meta:
        model = Division
        fields = ("id", "code", "name")


@extend_schema_serializer(examples=[OpenApiExample("A clerk of C&C", ME)])
class MeSerializer(serializers.ModelSerializer):
    """The signed-in person; no divisions means every division."""

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


@extend_schema_serializer(
    examples=[OpenApiExample("A clerk signs in", {"email": "khalid@example.com", "password": "…"})]
)
class LoginInput(StrictSerializer):
    email = serializers.EmailField()
    password = serializers.CharField(trim_whitespace=False, max_length=200, style={"input_type": "password"})


class RefreshInput(StrictSerializer):
    refresh_token = serializers.CharField(max_length=2000)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Signed in",
            {"access_token": "eyJhbGciOi…", "refresh_token": "eyJhbGciOi…", "token_type": "Bearer", "user": ME},
        )
    ]
)
class TokensSerializer(serializers.Serializer):
    access_token = serializers.CharField(help_text="JWT, good for 30 minutes: `Authorization: Bearer …`.")
    refresh_token = serializers.CharField(help_text="Good once, within 7 days.")
    token_type = serializers.CharField(default="Bearer", help_text="Always `Bearer`.")
    user = MeSerializer()

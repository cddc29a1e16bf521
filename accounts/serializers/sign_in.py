"""Shapes of signing in at the API, and of what guards it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from accounts.models import SignIn
from accounts.serializers.people import ME, MeSerializer
from clearance.api.desk import StrictSerializer


class Password(serializers.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=200, style={"input_type": "password"}, **options)


@extend_schema_serializer(
    examples=[OpenApiExample("A clerk signs in", {"email": "khalid@example.com", "password": "…"})]
)
class LoginInput(StrictSerializer):
    email = serializers.EmailField()
    password = Password()
    totp_code = serializers.CharField(
        max_length=30,
        allow_blank=True,
        default="",
        help_text="Of the authenticator app, or a backup code; where there is one.",
    )


class RefreshInput(StrictSerializer):
    refresh_token = serializers.CharField(max_length=2000)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Signed in",
            {
                "access_token": "eyJhbGciOi…",
                "refresh_token": "eyJhbGciOi…",
                "token_type": "Bearer",
                "owes_second_factor": False,
                "user": ME,
            },
        )
    ]
)
class TokensSerializer(serializers.Serializer):
    access_token = serializers.CharField(help_text="JWT, good for 30 minutes: `Authorization: Bearer …`.")
    refresh_token = serializers.CharField(help_text="Good once, within 7 days.")
    token_type = serializers.CharField(default="Bearer", help_text="Always `Bearer`.")
    owes_second_factor = serializers.BooleanField(help_text="Whether one is to be set up before anything else.")
    user = MeSerializer()


# Passwords and e-mail ------------------------------------------------------------------------------------------------
class PasswordChangeInput(StrictSerializer):
    current_password = Password()
    password = Password(help_text="At least 8 characters: capital and small letters, digits, special characters.")


class ResetRequestInput(StrictSerializer):
    email = serializers.EmailField()


class TicketInput(StrictSerializer):
    token = serializers.CharField(max_length=200, help_text="From the link in the mail.")


class ResetInput(TicketInput):
    password = Password()


# Second factor -------------------------------------------------------------------------------------------------------
class EnrolmentSerializer(serializers.Serializer):
    secret = serializers.CharField(help_text="To type into an authenticator app.")
    otpauth_uri = serializers.CharField(help_text="The same as an address.")
    qr_code = serializers.CharField(help_text="The same as a picture: a PNG as a data URI.")


class CodeInput(StrictSerializer):
    totp_code = serializers.CharField(max_length=30, help_text="Of the authenticator app.")


class CurrentPasswordInput(StrictSerializer):
    password = Password(help_text="One's own, as it is now.")


class BackupCodesSerializer(serializers.Serializer):
    backup_codes = serializers.ListField(
        child=serializers.CharField(), help_text="Ten codes, each good once; shown here and never again."
    )


# Sign-ins ------------------------------------------------------------------------------------------------------------
class SignInSerializer(serializers.ModelSerializer):
    is_current = serializers.SerializerMethodField(help_text="The one that this call is made with.")

    class Meta:
        model = SignIn
        fields = ("id", "ip_address", "user_agent", "created_at", "last_used_at", "expires_at", "is_current")
        read_only_fields = fields

    def get_is_current(self, opened: SignIn) -> bool:
        return bool(opened.pk == self.context["request"].auth.sign_in_id)

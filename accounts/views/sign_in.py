"""Signing in and out at the API, and what guards it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services as accounts
from accounts.doors.authentication import BearerAuthentication, KeyAuthentication
from accounts.doors.permissions import IsPerson
from accounts.models import SignIn
from accounts.serializers.people import MeSerializer
from accounts.serializers.sign_in import (
    BackupCodesSerializer,
    CodeInput,
    CurrentPasswordInput,
    EnrolmentSerializer,
    LoginInput,
    PasswordChangeInput,
    RefreshInput,
    ResetInput,
    ResetRequestInput,
    SignInSerializer,
    TicketInput,
    TokensSerializer,
)
from clearance import context
from clearance.api.desk import Desk, done


def _answer(tokens: accounts.Tokens) -> Response:
    return Response(
        {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "token_type": "Bearer",
            "owes_second_factor": tokens.user.owes_second_factor,
            "user": MeSerializer(tokens.user).data,
        }
    )


def _here() -> str | None:
    return context.current().ip_address


@extend_schema_view(
    login=extend_schema(responses=TokensSerializer, auth=[]),
    refresh=extend_schema(responses=TokensSerializer, auth=[]),
    logout=extend_schema(responses={204: None}, auth=[]),
    request_reset=extend_schema(responses={204: None}, auth=[]),
    reset_password=extend_schema(responses={204: None}, auth=[]),
)
class SignInViewSet(Desk):
    """Tokens for programs; people sign in at the admin. Open to strangers (C35)."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @action(detail=False, methods=["post"], serializer_class=LoginInput)
    def login(self, request: Request) -> Response:
        """Sign in with e-mail and password; with `totp_code` as well where there is a second factor.

        Where the role requires one that is not set up (`owes_second_factor`), the tokens are good for that alone.
        """
        given = self.validated(request)
        where = {"ip_address": _here(), "user_agent": request.headers.get("User-Agent", "")}
        return _answer(accounts.sign_in(**given, **where, at=timezone.now()))

    @action(detail=False, methods=["post"], serializer_class=RefreshInput)
    def refresh(self, request: Request) -> Response:
        """Trade a refresh token for a new pair. Using one twice ends the whole sign-in."""
        return _answer(accounts.refresh(**self.validated(request), at=timezone.now()))

    @action(detail=False, methods=["post"], serializer_class=RefreshInput)
    def logout(self, request: Request) -> Response:
        """End the sign-in, access tokens included."""
        accounts.sign_out(**self.validated(request), at=timezone.now())
        return done()

    @action(detail=False, methods=["post"], url_path="password/reset-request", serializer_class=ResetRequestInput)
    def request_reset(self, request: Request) -> Response:
        """Have a link mailed that sets a new password; the answer is the same where nobody has the address."""
        accounts.request_reset(**self.validated(request), at=timezone.now())
        return done()

    @action(detail=False, methods=["post"], url_path="password/reset", serializer_class=ResetInput)
    def reset_password(self, request: Request) -> Response:
        """Set a new password with the token of the mailed link; it is good once, for 15 minutes."""
        accounts.reset_password(**self.validated(request), at=timezone.now())
        return done()


@extend_schema_view(
    logout_all=extend_schema(request=None, responses={204: None}),
    sessions=extend_schema(responses=SignInSerializer(many=True)),
    change_password=extend_schema(responses={204: None}),
    send_verification=extend_schema(request=None, responses={204: None}),
    verify_email=extend_schema(responses={204: None}),
    setup=extend_schema(responses=EnrolmentSerializer),
    enable=extend_schema(responses=BackupCodesSerializer),
    disable=extend_schema(responses={204: None}),
    regenerate_backup_codes=extend_schema(responses=BackupCodesSerializer),
)
class OwnSignInViewSet(Desk):
    """One's own sign-ins, password and second factor; the back office has pages for these."""

    authentication_classes = (BearerAuthentication, KeyAuthentication)  # of which the second is told to stay out
    permission_classes = (IsAuthenticated, IsPerson)
    before_second_factor = ("setup", "enable", "logout_all")

    def get_queryset(self) -> QuerySet[SignIn]:
        return SignIn.objects.live(at=timezone.now()).filter(user=self.request.user)

    @action(detail=False, methods=["post"], url_path="logout-all")
    def logout_all(self, request: Request) -> Response:
        """End every sign-in of one's own, this one too, and every session of the back office."""
        accounts.sign_out_everywhere(user=request.user, at=timezone.now())
        return done()

    @action(detail=False, methods=["get"], serializer_class=SignInSerializer, pagination_class=None, filter_backends=())
    def sessions(self, request: Request) -> Response:
        """Where one is signed in at the API."""
        return Response(self.get_serializer(self.get_queryset(), many=True).data)

    @action(detail=False, methods=["post"], url_path="password/change", serializer_class=PasswordChangeInput)
    def change_password(self, request: Request) -> Response:
        """Change one's own password; every other sign-in and session ends."""
        given = self.own(request, but=request.auth.sign_in_id)
        accounts.change_password(**given)
        return done()

    @action(detail=False, methods=["post"], url_path="email/send-verification")
    def send_verification(self, request: Request) -> Response:
        """Have a link mailed that proves that one's address is one's own."""
        accounts.send_verification(user=request.user, at=timezone.now())
        return done()

    @action(detail=False, methods=["post"], url_path="email/verify", serializer_class=TicketInput)
    def verify_email(self, request: Request) -> Response:
        """Prove one's address with the token of the mailed link."""
        accounts.verify_email(**self.validated(request), by=request.user, at=timezone.now())
        return done()

    @action(detail=False, methods=["post"], url_path="2fa/setup", serializer_class=CurrentPasswordInput)
    def setup(self, request: Request) -> Response:
        """Get a secret for an authenticator app; it counts once `/auth/2fa/enable` proved that the app has it."""
        return Response(EnrolmentSerializer(accounts.set_up_second_factor(**self.own(request))).data)

    @action(detail=False, methods=["post"], url_path="2fa/enable", serializer_class=CodeInput)
    def enable(self, request: Request) -> Response:
        """Turn the second factor on with a code of the app; every other sign-in and session ends."""
        code, here = self.validated(request)["totp_code"], getattr(request.auth, "sign_in_id", None)
        codes = accounts.enable_second_factor(user=request.user, code=code, at=timezone.now(), but=here)
        return Response({"backup_codes": codes})

    @action(detail=False, methods=["post"], url_path="2fa/disable", serializer_class=CurrentPasswordInput)
    def disable(self, request: Request) -> Response:
        """Do without a second factor again, where the role does not require one."""
        accounts.disable_second_factor(**self.own(request))
        return done()

    @action(
        detail=False, methods=["post"], url_path="2fa/regenerate-backup-codes", serializer_class=CurrentPasswordInput
    )
    def regenerate_backup_codes(self, request: Request) -> Response:
        """Trade all backup codes for ten new ones."""
        return Response({"backup_codes": accounts.regenerate_backup_codes(**self.own(request))})

    def own(self, request: Request, **more: Any) -> dict[str, Any]:
        """The body's values, and whose, when and from where."""
        return {**self.validated(request), **more, "user": request.user, "at": timezone.now(), "ip_address": _here()}

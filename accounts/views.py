"""Signing in and out at the API, and who I am."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services as accounts
from accounts.serializers import LoginInput, MeSerializer, RefreshInput, TokensSerializer
from clearance import context
from clearance.api.desk import Desk


def _answer(tokens: accounts.Tokens) -> Response:
    return Response(
        {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "token_type": "Bearer",
            "user": MeSerializer(tokens.user).data,
        }
    )


@extend_schema_view(
    login=extend_schema(responses=TokensSerializer, auth=[]),
    refresh=extend_schema(responses=TokensSerializer, auth=[]),
    logout=extend_schema(responses={204: None}, auth=[]),
)
class AuthViewSet(Desk):
    """Tokens for programs; people sign in at the admin."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @action(detail=False, methods=["post"], serializer_class=LoginInput)
    def login(self, request: Request) -> Response:
        """Sign in with e-mail and password."""
        given = self.validated(request)
        where = {"ip_address": context.current().ip_address, "user_agent": request.headers.get("User-Agent", "")}
        return _answer(accounts.sign_in(**given, **where, at=timezone.now()))

    @action(detail=False, methods=["post"], serializer_class=RefreshInput)
    def refresh(self, request: Request) -> Response:
        """Trade a refresh token for a new pair. Using one twice ends the whole sign-in."""
        return _answer(accounts.refresh(**self.validated(request), at=timezone.now()))

    @action(detail=False, methods=["post"], serializer_class=RefreshInput)
    def logout(self, request: Request) -> Response:
        """End the sign-in, access tokens included."""
        accounts.sign_out(**self.validated(request), at=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class UserViewSet(Desk):
    """People."""

    serializer_class = MeSerializer

    @action(detail=False, methods=["get"])
    def me(self, request: Request) -> Response:
        """The signed-in person, with permissions."""
        return Response(self.get_serializer(request.user).data)

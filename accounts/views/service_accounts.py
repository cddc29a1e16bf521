"""The accounts that machines act with, and their API keys."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services as accounts
from accounts.doors.idempotency import repeatable
from accounts.filters import ServiceAccountFilters
from accounts.models import ApiKey, User
from accounts.serializers.service_accounts import (
    ApiKeySerializer,
    IssuedKeySerializer,
    IssueInput,
    NewServiceAccountSerializer,
    RotateInput,
    ServiceAccountSerializer,
)
from clearance.api.desk import Desk, done
from clearance.errors import NotFound


@extend_schema_view(
    list=extend_schema(responses=ServiceAccountSerializer(many=True)),
    destroy=extend_schema(responses={204: None}),
)
class ServiceAccountViewSet(Desk):
    """The accounts that machines act with, and their API keys (administrators only)."""

    queryset = User.objects.none()
    serializer_class = ServiceAccountSerializer
    reads = "accounts.manage_serviceaccount"
    filterset_class = ServiceAccountFilters
    lookup_value_regex = "[0-9]{1,18}"
    ordering = "full_name"
    ordering_fields = ("full_name", "created_at")
    shapes: ClassVar[dict[str, Any]] = {
        "create": NewServiceAccountSerializer,
        "keys": ApiKeySerializer,
        "issue_key": IssueInput,
        "rotate_key": RotateInput,
    }

    def get_queryset(self) -> Any:
        return User.objects.services().prefetch_related("divisions")

    def get_serializer_class(self) -> Any:
        return self.shapes.get(self.action, self.serializer_class)

    def account(self, pk: str) -> User:
        account: User | None = self.get_queryset().filter(pk=pk).first()
        if account is None:
            raise NotFound
        return account

    def answer(self, pk: str | int, code: int = status.HTTP_200_OK) -> Response:
        return Response(ServiceAccountSerializer(self.account(str(pk))).data, code)

    def list(self, request: Request) -> Response:
        """Service accounts by name."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, pk: str) -> Response:
        """One service account."""
        return self.answer(pk)

    @extend_schema(responses={201: ServiceAccountSerializer})
    @repeatable
    def create(self, request: Request) -> Response:
        """Add a service account; it can do nothing until it has an API key."""
        account = accounts.create_service_account(**self.validated(request), by=request.user)
        return self.answer(account.pk, status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a service account; what its keys may do follows at once. Deactivating revokes them."""
        changes = self.validated(request, partial=True)
        accounts.amend_service_account(account_id=int(pk), changes=changes, by=request.user, at=timezone.now())
        return self.answer(pk)

    def destroy(self, request: Request, pk: str) -> Response:
        """Deactivate a service account and revoke its keys; what it did stays."""
        accounts.deactivate_service_account(account_id=int(pk), by=request.user, at=timezone.now())
        return done()

    @extend_schema(responses=ApiKeySerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=())
    def keys(self, request: Request, pk: str) -> Response:
        """The API keys of a service account, those that are no good any more as well; the newest first."""
        return Response(self.get_serializer(_keys(self.account(pk)), many=True).data)

    @extend_schema(request=IssueInput, responses={201: IssuedKeySerializer})
    @keys.mapping.post
    @partial(repeatable, untold="key")
    def issue_key(self, request: Request, pk: str) -> Response:
        """Issue an API key. Its text is told this once, and by no repeated answer."""
        given = self.validated(request)
        return _issued(accounts.issue_key(account_id=int(pk), **given, by=request.user, at=timezone.now()))

    @extend_schema(request=RotateInput, responses={201: IssuedKeySerializer})
    @action(detail=True, methods=["post"], url_path="keys/(?P<key_id>[0-9]{1,18})/rotate")
    @partial(repeatable, untold="key")
    def rotate_key(self, request: Request, pk: str, key_id: str) -> Response:
        """Issue the successor of a key; the old one is good for `grace_hours` more."""
        grace = timedelta(hours=self.validated(request)["grace_hours"])
        which = {"account_id": int(pk), "key_id": int(key_id)}
        return _issued(accounts.rotate_key(**which, grace=grace, by=request.user, at=timezone.now()))

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["delete"], url_path="keys/(?P<key_id>[0-9]{1,18})")
    def revoke_key(self, request: Request, pk: str, key_id: str) -> Response:
        """End an API key at once."""
        accounts.revoke_key(account_id=int(pk), key_id=int(key_id), by=request.user, at=timezone.now())
        return done()


def _keys(account: User) -> QuerySet[ApiKey]:
    keys = ApiKey.objects.with_state(at=timezone.now()).filter(account=account)
    return keys.select_related("created_by").order_by("-pk")


def _issued(issued: accounts.IssuedKey) -> Response:
    record = _keys(issued.record.account).get(pk=issued.record.pk)
    record.key = issued.key
    return Response(IssuedKeySerializer(record).data, status.HTTP_201_CREATED)

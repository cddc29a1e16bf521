"""The API of people: oneself, and everybody for whoever looks after them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services as accounts
from accounts.doors.idempotency import repeatable
from accounts.filters import UserFilters
from accounts.models import Override, User
from accounts.serializers.people import (
    AmendmentInput,
    InvitationInput,
    MeInput,
    MeSerializer,
    OverrideInput,
    OverrideSerializer,
    PersonSerializer,
    UserInput,
    UserSerializer,
)
from clearance.api.desk import Desk, done
from clearance.errors import NotFound

OVERRIDE_ID = OpenApiParameter("override_id", OpenApiTypes.INT, OpenApiParameter.PATH)


@extend_schema_view(
    list=extend_schema(responses=UserSerializer(many=True)),
    create=extend_schema(request=UserInput, responses={201: PersonSerializer}),
    partial_update=extend_schema(request=AmendmentInput, responses=PersonSerializer),
    destroy=extend_schema(request=None, responses={204: None}),
    unlock=extend_schema(request=None, responses={204: None}),
)
class UserViewSet(Desk):
    """People. Who may see them, sees them all; nobody is ever deleted."""

    queryset = User.objects.none()
    serializer_class = PersonSerializer
    filterset_class = UserFilters
    lookup_value_regex = "[0-9]{1,18}"
    ordering = "full_name"
    ordering_fields = ("full_name", "email", "created_at", "updated_at")

    @property
    def reads(self) -> str:
        return "" if "me" in (self.action_map or {}).values() else "accounts.view_user"

    def get_queryset(self) -> QuerySet[User]:
        return User.objects.people()

    def rows(self, found: QuerySet[User]) -> QuerySet[User]:
        return found.prefetch_related("divisions", "groups")

    def answer(self, pk: int | str, code: int = status.HTTP_200_OK) -> Response:
        """The person as they are now."""
        person = self.rows(User.objects.people().with_rights()).filter(pk=pk).first()
        if person is None:
            raise NotFound
        return Response(PersonSerializer(person).data, code)

    def get_serializer_class(self) -> Any:
        inputs = {"create": UserInput, "partial_update": AmendmentInput, "list": UserSerializer}
        return inputs.get(self.action) or super().get_serializer_class()

    def list(self, request: Request) -> Response:
        """People; `waiting=true`: those who have come and wait for an administrator to say what they may do."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(UserSerializer(page or (), many=True).data)

    def retrieve(self, request: Request, pk: str) -> Response:
        """One person, with what they may do."""
        return self.answer(pk)

    @repeatable
    def create(self, request: Request) -> Response:
        """Take a person on without a mail, for programs; people are invited instead."""
        person = accounts.take_on(by=request.user, **self.validated(request))
        return self.answer(person.pk, status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a person; another role counts with their next request."""
        accounts.amend_person(user_id=int(pk), changes=self.validated(request), by=request.user, at=timezone.now())
        return self.answer(pk)

    def destroy(self, request: Request, pk: str) -> Response:
        """Deactivate a person: they are signed out everywhere at once. What they did stays."""
        changes = {"is_active": False}
        accounts.amend_person(user_id=int(pk), changes=changes, by=request.user, at=timezone.now())
        return done()

    @extend_schema(responses=MeSerializer)
    @action(detail=False, methods=["get"], serializer_class=MeSerializer)
    def me(self, request: Request) -> Response:
        """The signed-in person, with permissions."""
        return Response(self.get_serializer(request.user).data)

    @extend_schema(request=MeInput, responses=MeSerializer)
    @me.mapping.patch
    def amend_me(self, request: Request) -> Response:
        """Change one's own phone, language or time zone."""
        given = MeInput(data=request.data)
        given.is_valid(raise_exception=True)
        accounts.amend_oneself(user=request.user, changes=given.validated_data, at=timezone.now())
        return Response(MeSerializer(User.objects.with_rights().get(pk=request.user.pk)).data)

    @extend_schema(responses={201: PersonSerializer})
    @action(detail=False, methods=["post"], serializer_class=InvitationInput)
    @repeatable
    def invite(self, request: Request) -> Response:
        """Take a person on and mail them a link on which they set a password, within 72 hours.

        Again for somebody who has not come yet: another mail, and the link of the earlier one is good no more.
        """
        person = accounts.invite(by=request.user, at=timezone.now(), **self.validated(request))
        return self.answer(person.pk, status.HTTP_201_CREATED)

    @action(detail=True, methods=["post"])
    @repeatable
    def unlock(self, request: Request, pk: str) -> Response:
        """Let somebody try again at once who was locked out."""
        accounts.unlock(user_id=int(pk), by=request.user, at=timezone.now())
        return done()

    # Overrides -------------------------------------------------------------------------------------------------------
    @extend_schema(responses=OverrideSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], serializer_class=OverrideInput, pagination_class=None, filter_backends=())
    def overrides(self, request: Request, pk: str) -> Response:
        """What a person is granted or denied by name."""
        if not self.get_queryset().filter(pk=pk).exists():
            raise NotFound
        kept = Override.objects.filter(user=pk).select_related("permission__content_type").order_by("pk")
        return Response(OverrideSerializer(kept, many=True).data)

    @extend_schema(request=OverrideInput, responses={201: OverrideSerializer})
    @overrides.mapping.post
    @repeatable
    def override(self, request: Request, pk: str) -> Response:
        """Grant or deny a person one permission, whatever their roles say; it takes the place of an earlier one."""
        made = accounts.override(user_id=int(pk), by=request.user, at=timezone.now(), **self.validated(request))
        return Response(OverrideSerializer(made).data, status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={204: None}, parameters=[OVERRIDE_ID])
    @action(detail=True, methods=["delete"], url_path="overrides/(?P<override_id>[0-9]{1,18})")
    def take_override_back(self, request: Request, pk: str, override_id: str) -> Response:
        """Have a person's roles decide again about a permission."""
        accounts.take_override_back(user_id=int(pk), override_id=int(override_id), by=request.user)
        return done()

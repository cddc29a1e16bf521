"""The API of roles and permissions."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import rights, rules
from accounts import services as accounts
from accounts.doors.idempotency import repeatable
from accounts.models import RoleGroup
from accounts.serializers.roles import PermissionSerializer, PermissionsInput, RoleInput, RoleSerializer
from clearance.api.desk import Desk, done
from clearance.errors import NotFound


@extend_schema_view(
    list=extend_schema(responses=RoleSerializer(many=True), filters=False),
    create=extend_schema(request=RoleInput, responses={201: RoleSerializer}),
    update=extend_schema(request=RoleInput, responses=RoleSerializer),
    destroy=extend_schema(request=None, responses={204: None}),
)
class RoleViewSet(Desk):
    """Roles: those of the system, which nobody changes, and further ones beside them."""

    queryset = RoleGroup.objects.none()
    serializer_class = RoleSerializer
    reads = "accounts.view_user"
    filter_backends = ()
    lookup_value_regex = "[0-9]{1,9}"
    ordering = "name"
    ordering_fields = ("name",)

    def get_queryset(self) -> QuerySet[RoleGroup]:
        return RoleGroup.objects.all()

    def rows(self, found: QuerySet[RoleGroup]) -> QuerySet[RoleGroup]:
        return found.annotate(people=Count("user")).prefetch_related("permissions__content_type")

    def answer(self, pk: int | str, code: int = status.HTTP_200_OK) -> Response:
        """The role as it is now."""
        role = self.rows(self.get_queryset()).filter(pk=pk).first()
        if role is None:
            raise NotFound
        return Response(RoleSerializer(role).data, code)

    def get_serializer_class(self) -> Any:
        inputs = {"create": RoleInput, "update": RoleInput}
        return inputs.get(self.action) or super().get_serializer_class()

    def list(self, request: Request) -> Response:
        """All roles with their permissions."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(RoleSerializer(page or (), many=True).data)

    def retrieve(self, request: Request, pk: str) -> Response:
        """One role with its permissions."""
        return self.answer(pk)

    @repeatable
    def create(self, request: Request) -> Response:
        """Add a role, which people may then hold beside that of their department."""
        role = accounts.add_role(by=request.user, **self.validated(request))
        return self.answer(role.pk, status.HTTP_201_CREATED)

    def update(self, request: Request, pk: str) -> Response:
        """Rename a role and set its permissions; it counts with the next request of whoever holds it."""
        accounts.amend_role(role_id=int(pk), by=request.user, **self.validated(request))
        return self.answer(pk)

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a role that nobody holds."""
        accounts.delete_role(role_id=int(pk), by=request.user)
        return done()

    @extend_schema(request=PermissionsInput, responses=RoleSerializer)
    @action(detail=True, methods=["post"], serializer_class=PermissionsInput)
    @repeatable
    def permissions(self, request: Request, pk: str) -> Response:
        """Have a role bring these permissions as well."""
        accounts.give_to_role(role_id=int(pk), by=request.user, **self.validated(request))
        return self.answer(pk)

    @extend_schema(responses=RoleSerializer)
    @permissions.mapping.delete
    def take_permissions(self, request: Request, pk: str) -> Response:
        """Have a role bring these permissions no more: the body names them, as that of POST does."""
        accounts.take_from_role(role_id=int(pk), by=request.user, **self.validated(request))
        return self.answer(pk)


class PermissionList(APIView):
    """What can be granted, denied and put into roles."""

    reads = "accounts.view_user"

    @extend_schema(responses=PermissionSerializer(many=True), operation_id="permissions_list")
    def get(self, request: Request) -> Response:
        """Every permission: what it allows, and which system roles bring it."""
        told = [
            {"name": rules.api_name(name), "kind": kind, "allows": words, "roles": rules.roles_with(name)}
            for kind, group in rights.WORDS.items()
            for name, words in group.items()
        ]
        return Response(PermissionSerializer(told, many=True).data)

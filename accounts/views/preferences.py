"""One's own choices at the API: what comes by mail and by text message, and in which language."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services as accounts
from accounts.models import User
from accounts.serializers.preferences import PreferencesInput, PreferencesSerializer
from clearance.api.desk import Desk


class PreferencesViewSet(Desk):
    """What you are sent, and how; the back office has the page “Your messages” for it."""

    queryset = User.objects.none()
    serializer_class = PreferencesInput

    @extend_schema(responses=PreferencesSerializer)
    def retrieve(self, request: Request) -> Response:
        """Your language, and which alerts come by mail and by text message."""
        return Response(PreferencesSerializer(request.user).data)

    @extend_schema(responses=PreferencesSerializer)
    def partial_update(self, request: Request) -> Response:
        """Choose anew, from the next sweep on; the inbox shows every alert all the same."""
        me = request.user
        accounts.choose_messages(user=me, by=me, **self.validated(request), at=timezone.now())
        request.user.refresh_from_db(fields=["language"])
        return self.retrieve(request)

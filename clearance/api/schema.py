"""What the OpenAPI document says of every operation alike: names, sign-in, preconditions, errors."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object, force_instance
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

CONVENTIONS = """
Shipments, their clearance procedure and who does what next. Money is OMR with three decimals, as strings; dates are
ISO 8601, days are days in Muscat. A trailing slash is optional everywhere.

**Signing in.** `POST /auth/login` answers an access token (30 minutes) for `Authorization: Bearer …`, and a refresh
token that `POST /auth/refresh` trades, once, for a new pair. A trade of the same token again ends the sign-in.

**Lists** answer `results`, `next`, `previous`, `count` and `count_is_exact`: the count stops at 10,000. Page by `page`
and `page_size` (at most 200), or by `cursor=`, which stays as fast at any depth and neither repeats nor loses a row
while others are added. An unknown filter, or an unknown value of one, is refused.

**Versions.** Every record has a `version`, which is its ETag too. Send it back with a change, as the field `version`
(stale: 409 `VERSION_CONFLICT`) or as `If-Match` (stale: 412), and nobody's change is overwritten unseen.

**Errors** share one envelope: a stable `code` for programs, a `message` for people in the language of
`Accept-Language`, `details` by field, and the `request_id` of the header `X-Request-ID`. 400 the request is wrong,
401 sign in, 403 somebody else may, 404 there is none or it is another division's, 409 the record's state forbids it,
412 stale, 503 come again after `Retry-After`.
"""

IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The ETag of the last answer. Stale: 412, and nothing changes.",
)


class Operation(AutoSchema):
    """An operation, named for its place and its verb (`shipments_eta`), whatever its HTTP method."""

    def get_operation_id(self) -> str:
        action = getattr(self.view, "action", None)
        if not action:
            return "_".join(self._tokenize_path()).replace("-", "_")
        return f"{self._tokenize_path()[0]}_{action}".replace("-", "_")

    def resolve_serializer(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        """Only an amendment may leave out fields; another verb that is a PATCH needs its required ones."""
        serializer = force_instance(serializer)
        if self.method == "PATCH" and getattr(self.view, "action", "") != "partial_update":
            serializer.partial = False
        return super().resolve_serializer(serializer, direction, bypass_extensions)

    def get_override_parameters(self) -> list[OpenApiParameter]:
        """A change that may carry the `version` in its body may carry it in the header too."""
        if self.method == "GET" or "{id}" not in self.path or not hasattr(self.view, "get_serializer"):
            return []
        return [IF_MATCH] if "version" in self.view.get_serializer().fields else []


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "clearance.api.authentication.BearerAuthentication"
    name = "accessToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return build_bearer_security_scheme_object("Authorization", "Bearer", "JWT")


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "clearance.api.authentication.StaffSession"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


def describe_conventions(result: dict[str, Any], **_given: Any) -> dict[str, Any]:
    """Add the conventions, and the error envelope as the answer to whatever an operation refuses."""
    result["info"]["description"] = CONVENTIONS.strip()
    text = {"type": "string"}
    entry = {"type": "object", "required": ["field", "message"], "properties": {"field": text, "message": text}}
    result["components"]["schemas"]["Error"] = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "details", "request_id"],
                "properties": {
                    "code": text,
                    "message": text,
                    "details": {"type": "array", "items": entry},
                    "request_id": text,
                },
            }
        },
        "example": {
            "error": {
                "code": "ETA_EDIT_LIMIT",
                "message": "The ETA of SH-2026-014 was already changed three times; it cannot be changed again.",
                "details": [{"field": "eta", "message": "The ETA of SH-2026-014 was already changed three times; …"}],
                "request_id": "5f0c1d2e9b7a4c3d8e6f",
            }
        },
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, operations in result["paths"].items():
        if "/health" not in path:
            for operation in operations.values():
                operation["responses"]["default"] = {"description": "A refusal.", "content": content}
    return result

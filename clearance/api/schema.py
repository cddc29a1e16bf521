"""What the OpenAPI document says of every operation alike: names, sign-in, preconditions, errors."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object, force_instance
from drf_spectacular.utils import OpenApiParameter

CONVENTIONS = """
Shipments, their clearance procedure and who does what next. Money is OMR with three decimals, as strings; dates are
ISO 8601, days are days in Muscat. A trailing slash is optional everywhere.

**Signing in.** `POST /auth/login` answers an access token (30 minutes) for `Authorization: Bearer …`, and a refresh
token that `POST /auth/refresh` trades, once, for a new pair. A trade of the same token again ends the sign-in. Who has
a second factor sends its code as `totp_code` (without: 401 `TOTP_REQUIRED`). Where a role requires one that is not set
up yet (`owes_second_factor`), the tokens are good for `/auth/2fa/setup` and `/auth/2fa/enable`, and elsewhere refused:
403 `SECOND_FACTOR_OWED`. Five failures lock an account for a while: 401 `ACCOUNT_LOCKED`, with `Retry-After`. Where
an OpenID provider is configured, its access tokens (RS256) for this API do as well, for people who have signed in to
the back office through it; 503 while their key can't be looked up.

**Texts** are of one line, but for those of text messages: what nobody sees in them (line breaks, controls, zero-width
and direction characters) is refused at its field. Shapes of Arabic letters come back as letters. A number (of a
shipment, an invoice, an LC, a B/L) comes back with ASCII digits and hyphens, and is compared without capitals.

**API keys.** A machine acts as a service account, with `Authorization: Api-Key clr_…`. An administrator issues the key,
which is shown once; it ends on its day, within a year, and may do what its scopes name and the account's role allows,
as from the next request. A refused key answers 401 `TOKEN_NOT_VALID` and never says why. Rotate it before it expires:
the old one goes on for as long as you say. What concerns a person's own sign-in answers 403 `PEOPLE_ONLY`.

**Lists** answer `results`, `next`, `previous`, `count` and `count_is_exact`: the count stops at 10,000. Page by `page`
and `page_size` (at most 200), or by `cursor=`, which stays as fast at any depth and neither repeats nor loses a row
while others are added. An unknown filter, or an unknown value of one, is refused.

**Versions.** Every record has a `version`, which is its ETag too. Send it back with a change, as the field `version`
(stale: 409 `VERSION_CONFLICT`) or as `If-Match` (stale: 412), and nobody's change is overwritten unseen.

**Sending again.** `POST` of shipments, and the ETA change, take an `Idempotency-Key` of your choice. If no answer came,
send the same request with the same key: what was done isn't done again, and the first answer comes back. Another body
with the same key is refused (422), and so is a request whose first one is still under way after some seconds (409).
Keys are yours alone, per address, and good for 24 hours; a refusal uses none up.

**Limits.** 100 requests a minute and person (strangers: and address), all programs together. `RateLimit-Remaining` says
how many are left, `RateLimit-Reset` after how many seconds the next minute begins. More answer 429 with `Retry-After`.

**Metrics** take a range `from` – `to` (both included, 366 days at most, by default the 90 days up to today) and a
`department`. They may be five minutes old, and say how they were reckoned and as of which day.

**Errors** share one envelope: a stable `code` for programs, a `message` for people in the language of
`Accept-Language`, `details` by field (the first fifty), and the `request_id` of the header `X-Request-ID`, by which the
trail and the logs know the request. It is ours; an `X-Request-ID` that you send is logged with it. 400 the request is
wrong, 401 sign in, 403 somebody else may, 404 there is none or it is another division's, 406 there is no such format,
409 the record's state forbids it, 412 stale, 422 not what the key stands for, 429 too many, 503 trouble on our side:
come again after `Retry-After`.
"""

IF_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": r'^(\*|(W/)?"[0-9]{1,18}"( *, *(W/)?"[0-9]{1,18}")*|[0-9]{1,18})$'},
    OpenApiParameter.HEADER,
    description="The ETag of the last answer, or several of which one must hold. Stale: 412, and nothing changes.",
)


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255},
    OpenApiParameter.HEADER,
    description="The same request again with the same key gets the same answer and changes nothing, for 24 hours.",
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
        """Say which action takes a key; a change that may carry the `version` in its body may carry it as a header."""
        action = getattr(self.view, getattr(self.view, "action", None) or "", None)
        taken = [IDEMPOTENCY_KEY] if hasattr(action, "is_repeatable") else []
        if self.method == "GET" or "{id}" not in self.path or not hasattr(self.view, "get_serializer"):
            return taken
        return [*taken, IF_MATCH] if "version" in self.view.get_serializer().fields else taken


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.doors.authentication.BearerAuthentication"
    name = "accessToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return build_bearer_security_scheme_object("Authorization", "Bearer", "JWT")


class KeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.doors.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        told = "The key of a service account: `Api-Key clr_…`."
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": told}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.doors.authentication.StaffSession"
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

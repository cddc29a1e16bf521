"""One envelope for every error; the only module that knows which refusal has which HTTP status."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404, HttpResponse
from django.template import loader
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response

from clearance import context, denials, errors
from clearance.postgresql import is_unavailable

log = logging.getLogger("clearance.api")

STATUS_OF: tuple[tuple[type[errors.DomainError], int], ...] = (
    (errors.IdempotencyKeyReused, status.HTTP_422_UNPROCESSABLE_ENTITY),
    (errors.Invalid, status.HTTP_400_BAD_REQUEST),
    (errors.Unauthenticated, status.HTTP_401_UNAUTHORIZED),
    (errors.Forbidden, status.HTTP_403_FORBIDDEN),
    (errors.NotFound, status.HTTP_404_NOT_FOUND),
    (errors.Conflict, status.HTTP_409_CONFLICT),
    (errors.Unavailable, status.HTTP_503_SERVICE_UNAVAILABLE),
)
CODE_OF = {
    400: "VALIDATION_ERROR",
    401: "NOT_AUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    413: "TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_ERROR",
    503: "UNAVAILABLE",
}


FAILURE = gettext_lazy("Something went wrong on our side; nothing was changed. Tell us the request id.")


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE


class Unavailable(exceptions.APIException):
    """Something is away that this request needs; the database, unless it is said what."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = gettext_lazy("The database can't answer now. Nothing was changed; try again in a moment.")

    def __init__(self, detail: str | None = None, *, wait: int = 4) -> None:
        super().__init__(detail)
        self.wait = wait


# However much is wrong, an answer tells no more of it than somebody reads.
MOST_DETAILS = 50
_LONGEST_FIELD, _LONGEST_MESSAGE = 100, 1_000


def envelope(code: str, message: str, details: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
    """The shape of every error."""
    return {
        "error": {
            "code": code,
            "message": _cut(message, _LONGEST_MESSAGE),
            "details": _bounded(details),
            "request_id": context.current().request_id,
        }
    }


def refuse(error: Exception, given: Mapping[str, Any]) -> Response:
    """Answer an exception of a view (DRF's exception handler)."""
    request: Request = given["request"]
    if isinstance(error, errors.DomainError):
        _record_denial(error, given)
        return _refuse_from_desk(error, request)
    if isinstance(error, (PermissionDenied, exceptions.PermissionDenied)):
        _record_denial(errors.Forbidden(), given)
    if isinstance(error, Http404):
        error = exceptions.NotFound(str(errors.NotFound()))
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, SuspiciousOperation):  # more parts of a form than anybody needs, for example
        error = exceptions.ParseError()
    elif is_unavailable(error):
        log.error("the database refused to work", exc_info=error)
        error = Unavailable()
    elif not isinstance(error, exceptions.APIException):
        return _fail(error, request)
    code = (
        "TOKEN_NOT_VALID"
        if isinstance(error, exceptions.AuthenticationFailed)
        else CODE_OF.get(error.status_code, "REFUSED")
    )
    is_of_values = isinstance(error, exceptions.ValidationError)
    details = list(islice(_details(error.detail), MOST_DETAILS + 1)) if is_of_values else []
    is_of_fields = any(entry["field"] for entry in details)
    message = _("Some of the values are not valid.") if is_of_fields else _sentence(error)
    answer = Response(envelope(code, message, details if is_of_fields else []), error.status_code)
    if header := getattr(error, "auth_header", None):
        answer["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        answer["Retry-After"] = str(int(wait) + 1)
    _log_refusal(answer, code)
    return answer


def _refuse_from_desk(error: errors.DomainError, request: Request) -> Response:
    code = next(code for kind, code in STATUS_OF if isinstance(error, kind))
    if isinstance(error, errors.VersionConflict) and has_precondition(request):
        code = status.HTTP_412_PRECONDITION_FAILED
    answer = Response(envelope(error.code, str(error), error.details()), code)
    if code == status.HTTP_401_UNAUTHORIZED:
        answer["WWW-Authenticate"] = 'Bearer realm="api"'
    if wait := error.context.get("retry_after"):
        answer["Retry-After"] = str(wait)
    _log_refusal(answer, error.code)
    return answer


def _record_denial(refusal: errors.DomainError, given: Mapping[str, Any]) -> None:
    request, queryset = given["request"], getattr(given["view"], "queryset", None)
    denials.note(
        refusal,
        about="page" if queryset is None else queryset.model,
        record=request.path if queryset is None else given["kwargs"].get("pk", ""),
        attempted=f"{request.method} {request.path}",
    )


def _fail(error: Exception, request: Request) -> Response:
    """Answer what nobody foresaw: logged in full, told without its insides, with DEBUG as well."""
    got_request_exception.send(sender=refuse, request=request)
    log.error("failed: %s", type(error).__name__, exc_info=error)
    return Response(envelope(CODE_OF[500], str(FAILURE)), status.HTTP_500_INTERNAL_SERVER_ERROR)


def _log_refusal(answer: Response, code: str) -> None:
    if answer.status_code in (401, 403):
        log.warning("refused: %s", code, extra={"status": answer.status_code})


def _sentence(error: exceptions.APIException) -> str:
    detail = error.detail
    while isinstance(detail, (list, dict)):
        detail = next(iter(detail.values() if isinstance(detail, dict) else detail), "")
    return str(detail)


def _bounded(details: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The first of them, each cut to its length; more are only mentioned."""
    told = [
        {"field": _cut(one["field"], _LONGEST_FIELD), "message": _cut(one["message"], _LONGEST_MESSAGE)}
        for one in details[:MOST_DETAILS]
    ]
    if len(details) > MOST_DETAILS:
        told.append({"field": "", "message": _("There is more that is wrong. Correct these first.")})
    return told


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _details(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Flatten DRF's nested errors to one entry per field: `rows[3].eta`."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _details(inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."))
    elif isinstance(detail, (list, tuple)):
        for position, inner in enumerate(detail):
            yield from _details(inner, f"{path}[{position}]" if isinstance(inner, (dict, list)) and inner else path)
    else:
        yield {"field": path, "message": str(detail)}


def answer_outside_views(code: int, message: str) -> HttpResponse:
    """An envelope where no view runs: unknown addresses, unforeseen errors."""
    content = orjson.dumps(envelope(CODE_OF[code], message), default=str)
    return HttpResponse(content, status=code, content_type="application/json")


def answer_unavailable() -> HttpResponse:
    """The envelope where the database can't do its work, outside of every view."""
    return _come_again(answer_outside_views(Unavailable.status_code, str(Unavailable.default_detail)))


def page_unavailable() -> HttpResponse:
    """The same for people: a page that needs nothing of the database."""
    page = loader.render_to_string("503.html", {"told": Unavailable.default_detail})
    return _come_again(HttpResponse(page, status=Unavailable.status_code))


def _come_again(answer: HttpResponse) -> HttpResponse:
    answer["Retry-After"] = str(Unavailable().wait + 1)
    return answer


def has_precondition(request: Request) -> bool:
    """Whether the caller states the version by `If-Match` and not in the body."""
    return "If-Match" in request.headers and not (isinstance(request.data, Mapping) and "version" in request.data)


def etag(version: int) -> str:
    """The tag of a record at a version."""
    return f'"{version}"'

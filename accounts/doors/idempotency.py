"""Requests that may be sent again: with the same Idempotency-Key they are carried out once (C36, decision 0016)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, QueryDict
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services as accounts
from clearance.api.rendering import JSON

HEADER = "Idempotency-Key"


def repeatable(action: Callable[..., Response], *, untold: str = "") -> Callable[..., Response | HttpResponse]:
    """Have an action of a viewset take an Idempotency-Key; its answers are JSON then, whatever is accepted.

    `untold` names what the first answer tells and no repeated one: it isn't kept.
    """

    @wraps(action)
    def carried_out_once(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response | HttpResponse:
        key = request.headers.get(HEADER)
        if key is None:
            return action(view, request, *args, **kwargs)
        answer = accounts.answer_once(
            by=request.user,
            key=key,
            endpoint=f"{request.method} {request.path_info}",
            fingerprint=_fingerprint(request),
            at=timezone.now(),
            carry_out=lambda: _rendered(action(view, request, *args, **kwargs), untold),
        )
        return HttpResponse(answer.body, "application/json", answer.status, headers=answer.headers)

    carried_out_once.is_repeatable = True
    return carried_out_once


def _rendered(response: Response, untold: str) -> accounts.Answer:
    headers = {name: value for name, value in response.items() if name != "Content-Type"}
    kept = JSON().render({**response.data, untold: None}) if untold else None
    return accounts.Answer(response.status_code, headers, JSON().render(response.data), kept)


def _fingerprint(request: Request) -> str:
    """A hash of the body; of its parts where it has parts, since the line between them is another each time.

    With our key: a body may hold a password, which whoever reads the table could otherwise guess.
    """
    body = request.body if not (request.content_type or "").startswith("multipart/") else _parts(request.data)
    return salted_hmac("clearance.idempotency", body, algorithm="sha256").hexdigest()


def _parts(data: QueryDict) -> bytes:
    return repr([(name, _part(part)) for name in sorted(data) for part in data.getlist(name)]).encode()


def _part(part: str | UploadedFile) -> str | tuple[str | None, str]:
    if isinstance(part, str):
        return part
    content = part.read()
    part.seek(0)
    return part.name, hashlib.sha256(content).hexdigest()

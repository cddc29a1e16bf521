"""Denied attempts: the only entries that the application asks for itself."""

from __future__ import annotations

import logging
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils.translation import override
from psycopg.types.json import Jsonb

from clearance import context
from clearance.errors import DomainError, Unauthenticated

log = logging.getLogger("audit.denials")

_MOST = 200  # characters of what was attempted


def record_denial(refusal: DomainError, *, entity_type: str, entity_id: object = "", attempted: str) -> None:
    """Leave an entry of an attempt that authority or policy forbids; other refusals leave none.

    For the door that refuses, once the desk's work is rolled back. `attempted` says what was tried, for example
    `PATCH /api/v1/shipments/17/eta`. A failed sign-in is about the person whose it would have been. What else nobody
    in particular tries stays in the log: it could flood the trail. Without a database the refusal stands all the same.
    """
    is_sign_in = isinstance(refusal, Unauthenticated)
    if not refusal.is_denial or (context.current().user_id is None and not is_sign_in):
        return
    if is_sign_in:
        entity_type, entity_id = "accounts.user", refusal.context.get("user_id") or ""
    with override("en"):
        told = {"code": refusal.code, "message": _storable(str(refusal)), "attempted": _storable(attempted)[:_MOST]}
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            given: list[Any] = [entity_type, _storable(str(entity_id)), Jsonb(told)]
            cursor.execute("SELECT audit_record_denial(%s, %s, %s)", given)
    except DatabaseError as error:
        log.error("a denial has no entry: %s", refusal.code, exc_info=error)


def _storable(text: str) -> str:
    """An address may hold what no text in the database can."""
    return text.replace("\0", "")

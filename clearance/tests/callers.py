"""Callers of the API, and what every refusal of it looks like."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from accounts import tokens
from accounts.models import SignIn, User


def signed_in(user: User, **options: Any) -> APIClient:
    """A client with an access token of the person, as after signing in; without the work of checking a password."""
    client = APIClient(**options)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_of(user)}")
    return client


def token_of(user: User) -> str:
    """An access token of the person, as signing in would have given it."""
    at = timezone.now()
    expires_at = at + tokens.lifetime(tokens.Kind.REFRESH)
    opened = SignIn.objects.create(user=user, created_at=at, last_used_at=at, expires_at=expires_at)
    claims = tokens.Claims(user.pk, opened.pk, "of-a-test")
    return tokens.write(claims, kind=tokens.Kind.ACCESS, email=user.email, at=at)


def error_of(answer: Any, status: int) -> dict[str, Any]:
    """The error in an answer, once its status and its envelope are what they should be."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error.keys() == {"code", "message", "details", "request_id"}
    assert error["code"] == error["code"].upper()
    assert error["message"]
    assert error["request_id"] == answer["X-Request-ID"]
    assert all(entry.keys() == {"field", "message"} and entry["message"] for entry in error["details"])
    return error


def fields_of(answer: Any, status: int = 400) -> set[str]:
    """The fields that a refusal names."""
    return {entry["field"] for entry in error_of(answer, status)["details"]}

"""Service accounts and callers with their keys, as tests need them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from accounts import rules
from accounts import services as accounts
from accounts.choices import Department, Role
from accounts.models import User
from clearance.tests.cast import Cast


def account(cast: Cast, **changed: Any) -> User:
    """The clearing agent's system: a PPR of C&C unless said otherwise."""
    given = {"full_name": "Agent’s system", "department": Department.CUSTOMS, "role": Role.PPR, **changed}
    return accounts.create_service_account(by=fresh(cast.administrator), **given)


def key(of: User, cast: Cast, *scopes: str, **changed: Any) -> accounts.IssuedKey:
    """A key of the account, good for a month; without scopes, for all that the account's role allows."""
    at = changed.pop("at", None) or timezone.now()
    given = {
        "name": "Production",
        "scopes": scopes or rights(of),
        "expires_at": at + timedelta(days=30),
        **changed,
    }
    return accounts.issue_key(account_id=of.pk, by=fresh(cast.administrator), at=at, **given)


def rights(of: User) -> set[str]:
    return set(map(rules.api_name, fresh(of).get_all_permissions()))


def caller(issued: accounts.IssuedKey | str, **options: Any) -> APIClient:
    """A machine that sends the key with every request."""
    text = issued if isinstance(issued, str) else issued.key
    client = APIClient(**options)
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
    return client


def fresh(user: User) -> User:
    """As the next request sees them: without cached permissions."""
    found: User = User.objects.get(pk=user.pk)
    return found

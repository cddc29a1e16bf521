"""Verbs about service accounts: the rows of people that machines act with, by API keys instead of a password."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import rules
from accounts.models import NOWHERE, ApiKey, Division, User
from accounts.services import roles
from clearance.constraints import explained, require_valid_fields
from clearance.errors import Forbidden, NotFound


@transaction.atomic
def create_service_account(
    *, full_name: str, role: str, by: User, department: str = "", divisions: Iterable[Division] = ()
) -> User:
    """Add a service account, which can do nothing until it has an API key.

    :raises Forbidden: `by` may not manage service accounts. :raises BeyondYourRights: not one that may so much.
    :raises InvalidFields: :raises ConstraintViolated: a value can't be right, or the name is taken.
    """
    require_manager(by)
    rules.require_holds(by, rules.permissions_of(department, role))
    divisions = list(divisions)
    rules.require_within_sight(by, {one.pk for one in divisions})
    address = f"{uuid.uuid4().hex}@{NOWHERE}"  # to satisfy what people need: it tells nothing
    account = User.objects.with_password(
        address, None, full_name=full_name.strip(), department=department, role=role, is_service=True, is_staff=False
    )
    require_valid_fields(account)
    with explained(User):
        account.save(force_insert=True)
    account.divisions.set(divisions)
    roles.settle_role(user=account)
    return account


@transaction.atomic
def amend_service_account(*, account_id: int, changes: Mapping[str, Any], by: User, at: datetime) -> User:
    """Change name, role, department, divisions, `is_active`; what its keys may do follows with the next request.

    Deactivating revokes every key; activated again, the account needs new ones.

    :raises Forbidden: `by` may not manage service accounts. :raises BeyondYourRights: not one that may so much.
    :raises NotFound: there is no such service account.
    :raises InvalidFields: :raises ConstraintViolated: a value can't be right, or the name is taken.
    """
    require_manager(by)
    account = locked_account(account_id)
    had = rules.permissions_of(account.department, account.role)
    fields = {name: value for name, value in changes.items() if name != "divisions"}
    for name, value in fields.items():
        setattr(account, name, value.strip() if name == "full_name" else value)
    if gained := rules.permissions_of(account.department, account.role) - had:
        rules.require_holds(by, gained)
        rules.require_within_sight(by, account.own_divisions)
    account.updated_at = at
    require_valid_fields(account)
    with explained(User):
        account.save(update_fields=[*fields, "updated_at"])
    if "divisions" in changes:
        rules.require_within_sight(by, {one.pk for one in changes["divisions"]})
        account.divisions.set(changes["divisions"])
    roles.settle_role(user=account)
    if not account.is_active:
        ApiKey.objects.live(at=at).filter(account=account).update(revoked_at=at)
    return account


def deactivate_service_account(*, account_id: int, by: User, at: datetime) -> User:
    """Keep a service account from everything at once, its keys revoked. Idempotent.

    :raises Forbidden: :raises NotFound: as `amend_service_account`.
    """
    return amend_service_account(account_id=account_id, changes={"is_active": False}, by=by, at=at)


def require_manager(by: User) -> None:
    """:raises Forbidden: they may not manage service accounts; no service account may, whatever its roles carry."""
    if by.is_service or not by.has_perm("accounts.manage_serviceaccount"):
        raise Forbidden


def locked_account(account_id: int) -> User:
    """Lock a service account, so that of its keys one is issued at a time.

    :raises NotFound: there is no such service account.
    """
    account: User | None = User.objects.services().select_for_update(no_key=True).filter(pk=account_id).first()
    if account is None:
        raise NotFound
    return account

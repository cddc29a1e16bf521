"""What a machine proves with who it is: issuing, replacing and revoking API keys, and taking one.

A key is `clr_<prefix>_<secret>`: the prefix finds it, and tells people which one it is; programs that look for leaked
secrets know it by its form. The secret is 43 letters and digits, 256 bits by chance. So its plain SHA-256 keeps it: a
slow hash makes guesses dear, and here is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from accounts import rules, selectors
from accounts.errors import (
    ApiKeyNotGood,
    ApiKeyRefused,
    ScopesBeyondRole,
    ScopesBeyondYours,
    ServiceAccountInactive,
    TooManyApiKeys,
)
from accounts.models import ApiKey, User
from accounts.services.service_accounts import locked_account, require_manager
from clearance.constraints import explained, require_valid_fields
from clearance.errors import NotFound

_FORM = re.compile(r"clr_([a-z0-9]{8})_([A-Za-z0-9]{43})", re.ASCII)
_IN_PREFIX = string.ascii_lowercase + string.digits
_IN_SECRET = string.ascii_letters + string.digits
_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its text, which nobody can tell again."""

    record: ApiKey
    key: str


# Issuing -------------------------------------------------------------------------------------------------------------
@transaction.atomic
def issue_key(
    *,
    account_id: int,
    name: str,
    scopes: Collection[str],
    expires_at: datetime,
    by: User,
    at: datetime,
    allowed_networks: Collection[str] = (),
) -> IssuedKey:
    """Issue an API key that may do what `scopes` name, as the API names permissions.

    :raises Forbidden: `by` may not manage service accounts. :raises NotFound: there is no such service account.
    :raises ServiceAccountInactive: :raises TooManyApiKeys: the account can't have another one now.
    :raises ScopesBeyondRole: the account's role doesn't allow them; also of scopes that don't exist.
    :raises ScopesBeyondYours: `by`, who is no administrator, may not do that themselves.
    :raises BeyondYourRights: the account sees more than `by`.
    :raises ExpiryNotValid: :raises NetworkNotValid: :raises InvalidFields: a value can't be right.
    """
    require_manager(by)
    account = locked_account(account_id)
    if not account.is_active:
        raise ServiceAccountInactive(account=account)
    rules.require_expiry(expires_at, at=at)
    if beyond := set(scopes) - _rights(account):
        raise ScopesBeyondRole(account=account, scopes=", ".join(sorted(beyond)))
    return _mint(
        ApiKey(
            account=account,
            name=name.strip(),
            scopes=sorted(set(scopes)),
            allowed_networks=rules.networks(allowed_networks),
            expires_at=expires_at,
        ),
        by=by,
        at=at,
    )


@transaction.atomic
def rotate_key(*, account_id: int, key_id: int, grace: timedelta, by: User, at: datetime) -> IssuedKey:
    """Issue the successor of a key: same name, scopes, networks and lifetime. The old key is good for `grace` more.

    :raises GraceTooLong: more than a week.
    :raises ApiKeyNotGood: it was revoked or rotated before, or has expired; of two at once, the second's refusal.
    For the others see `issue_key`; the old key counts too while it is good.
    """
    require_manager(by)
    rules.require_grace(grace)
    account = locked_account(account_id)
    old = _key_of(account, key_id)
    if old.rotated_at is not None or not ApiKey.objects.live(at=at).filter(pk=old.pk).exists():
        raise ApiKeyNotGood
    ends = {"expires_at": min(old.expires_at, at + grace)} if grace else {"revoked_at": at}
    ApiKey.objects.filter(pk=old.pk).update(rotated_at=at, **ends)
    return _mint(
        ApiKey(
            account=account,
            name=old.name,
            scopes=old.scopes,
            allowed_networks=old.allowed_networks,
            expires_at=at + (old.expires_at - old.created_at),
        ),
        by=by,
        at=at,
    )


@transaction.atomic
def revoke_key(*, account_id: int, key_id: int, by: User, at: datetime) -> None:
    """End a key at once. Idempotent.

    :raises Forbidden: `by` may not manage service accounts. :raises NotFound: there is no such account or key.
    """
    require_manager(by)
    key = _key_of(locked_account(account_id), key_id)
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=at)


def _mint(record: ApiKey, *, by: User, at: datetime) -> IssuedKey:
    """Give a key its text and save it; the account is locked."""
    if ApiKey.objects.live(at=at).filter(account=record.account).count() >= rules.MOST_KEYS:
        raise TooManyApiKeys(account=record.account, most=rules.MOST_KEYS)
    if not by.is_admin and (beyond := set(record.scopes) - _rights(by)):
        raise ScopesBeyondYours(scopes=", ".join(sorted(beyond)))
    rules.require_within_sight(by, record.account.own_divisions)
    secret = "".join(secrets.choice(_IN_SECRET) for _ in range(43))
    record.prefix = "".join(secrets.choice(_IN_PREFIX) for _ in range(8))
    record.key_hash, record.created_by, record.created_at = _hash(secret), by, at
    require_valid_fields(record)
    with explained(ApiKey):
        record.save(force_insert=True)
    return IssuedKey(record, f"clr_{record.prefix}_{secret}")


def _key_of(account: User, key_id: int) -> ApiKey:
    """:raises NotFound: the account has no such key."""
    key = ApiKey.objects.filter(account=account, pk=key_id).first()
    if key is None:
        raise NotFound
    return key


def _rights(user: User) -> set[str]:
    return set(map(rules.api_name, user.get_all_permissions()))


# Taking --------------------------------------------------------------------------------------------------------------
def take_key(*, key: str, at: datetime, ip_address: str | None) -> tuple[User, ApiKey]:
    """Return the service account behind a key, with those of its rights that the key's scopes leave.

    One statement, and nothing is written: `note_use` does that.

    :raises ApiKeyRefused: it is no key of ours, or not good at `at` or from this address; why isn't told.
    """
    written = _FORM.fullmatch(key)
    found = selectors.holder_of_key(written[1]) if written else None
    if written is None or found is None:
        raise ApiKeyRefused
    account, record = found
    is_known = hmac.compare_digest(_hash(written[2]), record.key_hash)
    is_live = record.revoked_at is None and at < record.expires_at and account.is_active
    if not (is_known and is_live and rules.is_within(ip_address, record.allowed_networks)):
        raise ApiKeyRefused(user_id=account.pk, key_id=record.pk)
    selectors.narrow(account, record.scopes)
    return account, record


def note_use(record: ApiKey, *, at: datetime, ip_address: str | None) -> None:
    """Note when and from where a key was used, once a minute; outside the trail."""
    if record.last_used_at is None or record.last_used_at <= at - _NOTED_EVERY:
        _once_a_minute("last_used_at", record.pk, at=at, last_used_from=ip_address)


def is_worth_telling(refusal: ApiKeyRefused, *, at: datetime) -> bool:
    """Whether the refusal of a key belongs in the trail: of one that we know, once a minute.

    A machine whose key expired would fill the trail, which nobody ever empties; what isn't told is logged.
    """
    key_id = refusal.context.get("key_id")
    return isinstance(key_id, int) and _once_a_minute("last_refused_at", key_id, at=at)


def _once_a_minute(column: str, key_id: int, *, at: datetime, **more: object) -> bool:
    """Move a time, if it is a minute old; of several at once, one does."""
    due = Q(**{column: None}) | Q(**{f"{column}__lte": at - _NOTED_EVERY})
    return bool(ApiKey.objects.filter(due, pk=key_id).update(**{column: at}, **more))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

"""Lockout (I6): every guess is counted before it is tried, so that a thousand at once are no more than one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.crypto import salted_hmac
from django.utils.translation import ngettext

from accounts import rules
from accounts.choices import MessageKind
from accounts.errors import AccountLocked
from accounts.models import FailedSignIns, User
from clearance.errors import NotFound, Unauthenticated
from outbox.models import Message


@contextmanager
def one_guess(*, email: str, ip_address: str | None, at: datetime) -> Iterator[User | None]:
    """Let one guess at an account through, and count it as failed until `forgive` says otherwise.

    Yields whose account it is; None where nobody has the address, which is counted and locked alike. When the guess
    that locks the account fails, its owner is told. In transactions of its own: a refusal doesn't undo the count.

    :raises AccountLocked: too many have failed, of this account from this source, of this account from anywhere, or
        from this source of any account.
    """
    email = User.objects.normalize_email(email)
    user = User.objects.people().filter(email=email).first()
    has_locked = _count(email, ip_address, at=at, user_id=user and user.pk)
    try:
        yield user
    except Unauthenticated:
        if has_locked and user is not None and user.is_active:
            _tell_owner(user, at=at)
        raise


def forgive(*, email: str, ip_address: str | None) -> None:
    """Forget the failures of an account, as its owner has come in; those of the source stay: it may guess others'."""
    account, source = _account(email), rules.source_of(ip_address)
    FailedSignIns.objects.filter(account=account, source__in=("", source)).delete()


@transaction.atomic
def unlock(*, user_id: int, by: User, at: datetime) -> None:
    """Let somebody who was locked out try again at once, from wherever.

    :raises Forbidden: `by` lacks the permission, which administrators have by their role.
    :raises AdministratorsOnly: :raises NotFound: there is no such person.
    """
    rules.require_permission(by, "accounts.change_user")
    user = User.objects.people().filter(pk=user_id).first()
    if user is None:
        raise NotFound
    rules.require_may_touch(by, user.role)
    forget_failures(user)
    User.objects.filter(pk=user_id).update(unlocked_at=at)


def forget_failures(user: User) -> None:
    """Forget the failures of an account, wherever they came from."""
    FailedSignIns.objects.filter(account=_account(user.email)).delete()


def locked_until(user: User, *, at: datetime) -> datetime | None:
    """Until when signing in to an account is locked, from somewhere at least; None: it isn't."""
    locked = FailedSignIns.objects.filter(account=_account(user.email), locked_until__gt=at)
    return locked.order_by("-locked_until").values_list("locked_until", flat=True).first()


def _count(email: str, ip_address: str | None, *, at: datetime, user_id: int | None) -> bool:
    """Count one more failure in each of the three places; True if that locks one of the account's.

    :raises AccountLocked: one of them is locked already; then nothing is counted.
    """
    account, source = _account(email), rules.source_of(ip_address)
    places = Q(account=account, source__in=("", source)) | Q(account="", source=source)
    known = FailedSignIns.objects.filter(places)
    _require_unlocked(known.filter(locked_until__gt=at), at=at, user_id=user_id)
    # Always in this order, as others lock some of the same rows.
    keys = [("", source), (account, ""), (account, source)]
    with transaction.atomic():
        FailedSignIns.objects.bulk_create(
            [FailedSignIns(account=one, source=other, last_failed_at=at) for one, other in keys], ignore_conflicts=True
        )
        rows = list(known.order_by("account", "source").select_for_update())
        _require_unlocked((row for row in rows if row.locked_until and row.locked_until > at), at=at, user_id=user_id)
        locked = [row for row in rows if _add_failure(row, at=at)]
        FailedSignIns.objects.bulk_update(rows, ["failures", "locks", "last_failed_at", "locked_until"])
    return any(row.account for row in locked)


def _add_failure(row: FailedSignIns, *, at: datetime) -> bool:
    """Count one more failure; True if it locks."""
    if row.last_failed_at <= at - rules.FORGOTTEN_AFTER:
        row.failures = row.locks = 0
    row.failures, row.last_failed_at = row.failures + 1, at
    if row.failures < rules.most_failures(account=row.account, source=row.source):
        return False
    row.locked_until = at + rules.lock_time(row.locks)
    row.failures, row.locks = 0, row.locks + 1
    return True


def _require_unlocked(locked: Iterable[FailedSignIns], *, at: datetime, user_id: int | None) -> None:
    """:raises AccountLocked: there is a locked row; says for how long the last of them is."""
    left = max((row.locked_until - at for row in locked if row.locked_until), default=None)
    if left is not None:
        seconds = math.ceil(left.total_seconds())
        minutes = math.ceil(seconds / 60)
        wait = ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}
        raise AccountLocked(wait=wait, retry_after=seconds, user_id=user_id)


def _tell_owner(user: User, *, at: datetime) -> None:
    """Write the owner a mail; one an hour, however many sources guess."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        told = Message.objects.filter(recipient=user, kind=MessageKind.LOCKOUT, created_at__gt=at - timedelta(hours=1))
        if not told.exists():
            Message.objects.create(recipient=user, kind=MessageKind.LOCKOUT, not_before=at, created_at=at)


def _account(email: str) -> str:
    """A hash that tells nobody whose address was tried."""
    return salted_hmac("accounts.lockout", User.objects.normalize_email(email), algorithm="sha256").hexdigest()

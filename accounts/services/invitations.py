"""Inviting people by mail: a link, good once, on which they set their first password."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import Group
from django.db import transaction

from accounts import rules
from accounts.choices import MessageKind, Purpose
from accounts.errors import PersonDeactivated, UserExists
from accounts.models import Division, User
from accounts.services import lockout, passwords, people, tickets
from outbox.models import Message


@transaction.atomic
def invite(
    *,
    email: str,
    full_name: str,
    department: str,
    role: str,
    by: User,
    at: datetime,
    divisions: Iterable[Division] = (),
    further_roles: Iterable[Group] = (),
    **fields: object,
) -> User:
    """Take on a person and write them a mail with a link that sets their first password, within 72 hours.

    Somebody who was invited and has not come yet is changed to what is said of them now, and gets another link; the
    old ones are good no more.

    :raises UserExists: somebody with the address has come already.
    :raises PersonDeactivated: the address is that of somebody who was deactivated.
    For the others see `take_on` and `amend_person`.
    """
    facts = {"full_name": full_name, "department": department, "role": role, **fields}
    facts |= {"divisions": list(divisions), "further_roles": list(further_roles)}
    try:
        with transaction.atomic():  # so that who was faster is seen afterwards
            user = people.take_on(email=email, by=by, **facts)  # type: ignore[arg-type]
    except UserExists:
        known = User.objects.get(email=User.objects.normalize_email(email))
        user = _still_to_come(known.pk)
        people.amend_person(user_id=user.pk, changes=facts, by=by, at=at)
    tickets.mail_anew(user=user, purpose=Purpose.INVITE, at=at)
    return user


@transaction.atomic
def invite_again(*, user_id: int, by: User, at: datetime) -> User:
    """Write somebody who was taken on and has not come yet a mail with a new link; the old ones are good no more.

    :raises Forbidden: :raises AdministratorsOnly: `by` may not. :raises NotFound: there is no such person.
    :raises UserExists: they have come already. :raises PersonDeactivated:
    """
    rules.require_permission(by, "accounts.add_user")
    user = _still_to_come(user_id)
    rules.require_may_touch(by, user.role)
    tickets.mail_anew(user=user, purpose=Purpose.INVITE, at=at)
    return user


@transaction.atomic
def accept_invitation(*, token: str, password: str, at: datetime) -> User:
    """Set the first password with the link of an invitation; that proves the address. A mail bids them welcome.

    :raises LinkRefused: the link isn't good, or not any more.
    :raises WeakPassword: the password breaks the rules; the link stays good.
    """
    user = tickets.use(token=token, purpose=Purpose.INVITE, at=at)
    passwords.set_first(user, password, at=at)
    lockout.forget_failures(user)
    Message.objects.create(recipient=user, kind=MessageKind.WELCOME, not_before=at, created_at=at)
    return user


def _still_to_come(user_id: int) -> User:
    """:raises PersonDeactivated: :raises UserExists: :raises NotFound:"""
    user = people.locked(user_id)
    if not user.is_active:
        raise PersonDeactivated(name=user.full_name)
    if user.has_come:
        raise UserExists(email=user.email)
    return user

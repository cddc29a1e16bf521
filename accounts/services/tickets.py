"""Links in mails: written with the mail that carries them, used once."""

from __future__ import annotations

from datetime import datetime

from accounts import rules, tokens
from accounts.choices import MessageKind, Purpose
from accounts.errors import LinkRefused
from accounts.models import Ticket, User
from accounts.services import sessions
from outbox.models import Message

_KINDS = {
    Purpose.RESET: MessageKind.PASSWORD_RESET,
    Purpose.VERIFY: MessageKind.EMAIL_VERIFICATION,
    Purpose.INVITE: MessageKind.INVITATION,
}


def mail(*, user: User, purpose: Purpose, at: datetime) -> None:
    """Write a mail with a link; none where several wait to be used already, so that nobody is flooded.

    Within a transaction of the caller.
    """
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # so that two at once see each other's
    waiting = Ticket.objects.good(at=at).filter(user=user, purpose=purpose, email=user.email)
    if waiting.count() >= rules.MOST_TICKETS:
        return
    message = Message.objects.create(recipient=user, kind=_KINDS[purpose], not_before=at, created_at=at)
    Ticket.objects.create(
        user=user,
        purpose=purpose,
        email=user.email,
        message=message,
        created_at=at,
        expires_at=at + rules.TICKET_LIFETIME[purpose],
    )


def mail_anew(*, user: User, purpose: Purpose, at: datetime) -> None:
    """Write a mail with a link that takes the place of all earlier ones. Within a transaction of the caller."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    void(user=user, purpose=purpose, at=at)
    mail(user=user, purpose=purpose, at=at)


def void(*, user: User, purpose: Purpose, at: datetime) -> None:
    """Have no link of a purpose be good any more."""
    Ticket.objects.good(at=at).filter(user=user, purpose=purpose).update(used_at=at)


def use(*, token: str, purpose: Purpose, at: datetime, of: User | None = None) -> User:
    """Use a link up, and all others of its purpose with it; return whose it is. `of`: only theirs will do.

    Within a transaction of the caller.

    :raises LinkRefused: it isn't one of ours, or of another purpose, too old, or used; or the person is deactivated or
        has another e-mail address by now.
    """
    good = Ticket.objects.good(at=at).filter(purpose=purpose, **({"user": of} if of else {}))
    found = good.filter(pk=tokens.read_ticket(token)).first()
    if found is None:
        raise LinkRefused
    user: User = User.objects.select_for_update(no_key=True).get(pk=found.user_id)  # first, as whoever mails another
    if not user.is_active or user.email != found.email:
        raise LinkRefused
    sessions.note_actor(user)
    if not good.filter(pk=found.pk).update(used_at=at):
        raise LinkRefused
    good.filter(user=user).update(used_at=at)
    return user

"""Reads about people that join several models; what mails about signing in say."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext

from accounts import rules, tokens
from accounts.choices import Purpose
from accounts.errors import LinkRefused
from accounts.models import RIGHTS, Absence, ApiKey, RequiredSecondFactor, Ticket, User
from outbox.models import Message
from outbox.rules import Content, mail


def stands_in_for(user: User, *, on: date) -> list[int]:
    """Return the ids of the people for whom `user` is the substitute on that day."""
    return list(Absence.objects.covering(on).filter(substitute=user).values_list("user_id", flat=True))


def is_good_link(token: str, *, purpose: Purpose, at: datetime) -> bool:
    """Whether the link of a mail could be used now; uses nothing up."""
    try:
        ticket_id = tokens.read_ticket(token)
    except LinkRefused:
        return False
    return Ticket.objects.good(at=at).filter(pk=ticket_id, purpose=purpose).exists()


_PERSON = f"""
    SELECT person.*,
           ARRAY(SELECT division_id FROM accounts_user_divisions WHERE user_id = person.id) AS division_ids,
           {RIGHTS.format(person="person")} AS rights,
           EXISTS (SELECT FROM accounts_requiredsecondfactor WHERE role = person.role) AND NOT EXISTS (
               SELECT FROM accounts_secondfactor WHERE user_id = person.id AND confirmed_at IS NOT NULL
           ) AS owes_second_factor
    FROM accounts_user person
"""
_SIGNED_IN = """
    JOIN accounts_signin sign_in ON sign_in.user_id = person.id
    WHERE person.id = %s AND person.is_active AND sign_in.id = %s AND sign_in.revoked_at IS NULL
"""


def signed_in(*, user_id: int, sign_in_id: UUID) -> User | None:
    """Return the person behind an access token; None once the sign-in was ended or the person deactivated."""
    return _person(_SIGNED_IN, [user_id, sign_in_id])


_KEY = (
    "id",
    "account_id",
    "name",
    "prefix",
    "key_hash",
    "scopes",
    "allowed_networks",
    "expires_at",
    "revoked_at",
    "last_used_at",
)
_HOLDER = f"""
    SELECT holder.*, {", ".join(f"key.{column} AS key_{column}" for column in _KEY)}
    FROM ({_PERSON}) AS holder
    JOIN accounts_apikey key ON key.account_id = holder.id
    WHERE key.prefix = %s
"""


def holder_of_key(prefix: str) -> tuple[User, ApiKey] | None:
    """Return the service account that a key is of, with that key; None: there is no such key.

    Whether the key is good, and for what, is for the desk to say.
    """
    account = _person("", [prefix], begins=_HOLDER)
    if account is None:
        return None
    return account, ApiKey(**{column: getattr(account, f"key_{column}") for column in _KEY})


def narrow(account: User, scopes: Collection[str]) -> None:
    """Leave an account, until the request ends, only those of its rights that are in the scopes."""
    account.rights = [one for one in account.rights if rules.api_name(one) in scopes]


_IDENTIFIED = """
    WHERE person.identity_issuer = %s AND person.identity_subject = %s AND person.is_active
      AND (person.signed_out_at IS NULL OR person.signed_out_at < to_timestamp(%s))
"""


def identified(*, issuer: str, subject: str, issued_at: float) -> User | None:
    """Return the person behind a provider's access token; None for whoever never signed in through it.

    Also once the person was deactivated, or signed out everywhere after the token was made.
    """
    return _person(_IDENTIFIED, [issuer, subject, issued_at])


def _person(found_by: str, values: list[Any], *, begins: str = _PERSON) -> User | None:
    """Find a person in one statement, as every request to the API begins with it: divisions and rights come along."""
    for user in User.objects.raw(begins + found_by, values):
        user.own_divisions = frozenset(user.division_ids)
        return user  # type: ignore[no-any-return]
    return None


# Mails ---------------------------------------------------------------------------------------------------------------
_PAGES = {Purpose.RESET: "reset/", Purpose.VERIFY: "verify_email/", Purpose.INVITE: "invitation/"}


def compose_lockout(message: Message, _at: datetime) -> Content:
    """Compose the mail to somebody whose account was locked; it stays true whenever it is sent."""
    with translation.override(message.recipient.language):
        given = _given(message) | {"forgotten": _page("password_reset/")}
        return _content(message, gettext("Signing in to your account was locked"), given)


def compose_ticket(message: Message, at: datetime) -> Content | None:
    """Compose the mail with a link; None when it would be of no use any more, or the address has changed."""
    ticket = Ticket.objects.good(at=at).filter(message=message, email=message.recipient.email).first()
    return ticket_mail(message, ticket) if ticket else None


def ticket_mail(message: Message, ticket: Ticket) -> Content:
    """Write the mail with the link of a ticket, saved or not."""
    purpose = Purpose(ticket.purpose)
    token = tokens.write_ticket(ticket.pk)
    with translation.override(message.recipient.language):
        given = _given(message) | {"ticket": ticket, "link": f"{_page(_PAGES[purpose])}?token={token}"}
        return _content(message, str(purpose.label), given, secret=token)


def compose_password_changed(message: Message, _at: datetime) -> Content:
    """Compose the mail to somebody whose password was changed, by whomever; it stays true whenever it is sent."""
    with translation.override(message.recipient.language):
        given = _given(message) | {"forgotten": _page("password_reset/")}
        return _content(message, gettext("Your password was changed"), given)


def compose_second_factor_off(message: Message, _at: datetime) -> Content:
    """Compose the mail to somebody whose second factor was turned off or reset."""
    with translation.override(message.recipient.language):
        given = _given(message) | {"own_sign_in": _page("sign_in/")}
        return _content(message, gettext("Your second factor was turned off"), given)


def compose_welcome(message: Message, _at: datetime) -> Content:
    """Compose the mail to somebody who came with an invitation: where to sign in, and what comes first."""
    is_required = RequiredSecondFactor.objects.filter(role=message.recipient.role).exists()
    return welcome_mail(message, needs_second_factor=is_required)


def welcome_mail(message: Message, *, needs_second_factor: bool) -> Content:
    """Write the welcome."""
    with translation.override(message.recipient.language):
        given = _given(message) | {"sign_in": _page(""), "needs_second_factor": needs_second_factor}
        return _content(message, gettext("Welcome to Clearance"), given)


def _page(name: str) -> str:
    return f"{settings.BASE_URL}/{settings.ADMIN_PATH}{name}"


def _given(message: Message) -> dict[str, Any]:
    language = message.recipient.language
    return {
        "message": message,
        "recipient": message.recipient,
        "language": language,
        "is_rtl": translation.get_language_bidi(),
    }


def _content(message: Message, subject: str, given: dict[str, Any], *, secret: str = "") -> Content:
    return mail(message.kind, subject=subject, given=given, secret=secret)

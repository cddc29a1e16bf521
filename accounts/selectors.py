"""Reads about people that join several models; what mails about signing in say."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext

from accounts import tokens
from accounts.choices import Purpose
from accounts.models import Absence, Ticket, User
from outbox.models import Message
from outbox.rules import Content


def stands_in_for(user: User, *, on: date) -> list[int]:
    """Return the ids of the people for whom `user` is the substitute on that day."""
    return list(Absence.objects.covering(on).filter(substitute=user).values_list("user_id", flat=True))


_PERSON = """
    SELECT person.*,
           ARRAY(SELECT division_id FROM accounts_user_divisions WHERE user_id = person.id) AS division_ids,
           ARRAY(
               SELECT type.app_label || '.' || permission.codename
               FROM (
                   SELECT granted.permission_id
                   FROM accounts_user_groups role
                   JOIN auth_group_permissions granted USING (group_id)
                   WHERE role.user_id = person.id
                   UNION
                   SELECT permission_id FROM accounts_user_user_permissions WHERE user_id = person.id
               ) AS granted
               JOIN auth_permission permission ON permission.id = granted.permission_id
               JOIN django_content_type type ON type.id = permission.content_type_id
           ) AS permissions
    FROM accounts_user person
"""
_SIGNED_IN = """
    JOIN accounts_signin sign_in ON sign_in.user_id = person.id
    WHERE person.id = %s AND person.is_active AND sign_in.id = %s AND sign_in.revoked_at IS NULL
"""


def signed_in(*, user_id: int, sign_in_id: UUID) -> User | None:
    """Return the person behind an access token; None once the sign-in was ended or the person deactivated."""
    return _person(_SIGNED_IN, [user_id, sign_in_id])


def _person(found_by: str, values: list[Any]) -> User | None:
    """Find a person in one statement, as every request to the API begins with it: divisions and rights come along."""
    for user in User.objects.raw(_PERSON + found_by, values):
        user.own_divisions = frozenset(user.division_ids)
        user._perm_cache = set(user.permissions)  # where Django's ModelBackend looks first
        return user  # type: ignore[no-any-return]
    return None


# Mails ---------------------------------------------------------------------------------------------------------------
_PAGES = {Purpose.RESET: "reset/", Purpose.VERIFY: "verify_email/"}


def compose_lockout(message: Message, _at: datetime) -> Content:
    """Compose the mail to somebody whose account was locked; it stays true whenever it is sent."""
    with translation.override(message.recipient.language):
        given = _given(message) | {"forgotten": _page("password_reset/")}
        return _content(message, gettext("Signing in to your account was locked"), given)


def compose_ticket(message: Message, at: datetime) -> Content | None:
    """Compose the mail with a link; None when it would be of no use any more, or the address has changed."""
    good = Ticket.objects.good(at=at).filter(message=message, email=message.recipient.email)
    if (ticket := good.first()) is None:
        return None
    purpose = Purpose(ticket.purpose)
    token = tokens.write_ticket(ticket.pk)
    with translation.override(message.recipient.language):
        given = _given(message) | {"ticket": ticket, "link": f"{_page(_PAGES[purpose])}?token={token}"}
        return _content(message, str(purpose.label), given, secret=token)


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
    text, html = (render_to_string(f"mail/{message.kind}.{kind}", given) for kind in ("txt", "html"))
    return Content(subject=subject, text=text, html=html, secret=secret)

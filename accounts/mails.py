"""The mails about people's accounts, and a made-up one of each."""

from __future__ import annotations

import uuid
from datetime import datetime

from accounts import rules, selectors
from accounts.choices import MessageKind, Purpose
from accounts.models import Ticket
from outbox.messages import Kind
from outbox.models import Message
from outbox.rules import Compose, Content


def _ticket_of(purpose: Purpose) -> Compose:
    def write(message: Message, at: datetime) -> Content:
        expires_at = at + rules.TICKET_LIFETIME[purpose]
        return selectors.ticket_mail(message, Ticket(pk=uuid.uuid4(), purpose=purpose, expires_at=expires_at))

    return write


def _welcome(message: Message, _at: datetime) -> Content:
    return selectors.welcome_mail(message, needs_second_factor=True)


def _kind(code: MessageKind, compose: Compose, sample: Compose | None = None) -> Kind:
    return Kind(code=code, name=code.label, compose=compose, sample=sample or compose)


KINDS = (
    _kind(MessageKind.LOCKOUT, selectors.compose_lockout),
    _kind(MessageKind.PASSWORD_RESET, selectors.compose_ticket, _ticket_of(Purpose.RESET)),
    _kind(MessageKind.EMAIL_VERIFICATION, selectors.compose_ticket, _ticket_of(Purpose.VERIFY)),
    _kind(MessageKind.INVITATION, selectors.compose_ticket, _ticket_of(Purpose.INVITE)),
    _kind(MessageKind.WELCOME, selectors.compose_welcome, _welcome),
    _kind(MessageKind.PASSWORD_CHANGED, selectors.compose_password_changed),
    _kind(MessageKind.SECOND_FACTOR_OFF, selectors.compose_second_factor_off),
)

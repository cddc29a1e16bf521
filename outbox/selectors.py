"""Reads of the outbox: what a message says."""

from __future__ import annotations

from collections.abc import Mapping

from accounts import selectors as accounts
from alerts import selectors as alerts
from audit import selectors as audit
from outbox.choices import MessageKind
from outbox.rules import Compose

# Who composes which kind of message.
COMPOSE: Mapping[str, Compose] = {
    MessageKind.DIGEST: alerts.compose,
    MessageKind.SHIPMENT_ALERT: alerts.compose,
    MessageKind.SEAL_ANCHOR: audit.compose_anchor,
    MessageKind.LOCKOUT: accounts.compose_lockout,
    MessageKind.PASSWORD_RESET: accounts.compose_ticket,
    MessageKind.EMAIL_VERIFICATION: accounts.compose_ticket,
    MessageKind.PASSWORD_CHANGED: accounts.compose_password_changed,
    MessageKind.SECOND_FACTOR_OFF: accounts.compose_second_factor_off,
    MessageKind.URGENT_ALERT: alerts.compose_text,
    MessageKind.INVITATION: accounts.compose_ticket,
    MessageKind.WELCOME: accounts.compose_welcome,
}

"""Every kind of message with made-up facts, for those who look after their wording; nothing here is ever saved."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.utils.translation import override

from accounts import rules as accounts_rules
from accounts import selectors as accounts
from accounts.choices import Department, Language, Purpose
from accounts.models import Ticket, User
from alerts import selectors as alerts
from alerts.choices import Severity
from alerts.models import Alert
from audit import selectors as audit
from audit.models import Seal
from clearance.clock import day_of
from outbox.choices import MessageKind
from outbox.models import Message, SmsTemplate
from outbox.rules import VARIABLES, Compose, Content, filled
from shipments.models import Shipment
from workflow.models import WorkflowStep

_NAMES = {Language.ENGLISH: "Khalid Example", Language.ARABIC: "خالد مثال"}


def mail(kind: str, *, language: Language, at: datetime) -> Content:
    """Compose a kind of mail as somebody of that language would get it."""
    recipient = User(full_name=_NAMES[language], email="khalid@example.com", language=language)
    with override(language):
        content = SAMPLES[kind](Message(kind=kind, recipient=recipient, created_at=at), at)
    return content.without_secret() if content else Content("", "", "")


def text(template: SmsTemplate, *, language: Language) -> str:
    """Fill in a text as somebody of that language would get it."""
    values = {name: variable.sample for name, variable in VARIABLES[template.name].items()}
    return filled(template.name, template.content(language), values)


def _alerts(*, on: date, days: int, number: int) -> list[Alert]:
    """Shipments that arrived so many days ago, and a day earlier each, with a late step."""
    return [
        Alert(
            pk=pk,
            shipment=(shipment := _shipment(pk, eta=on - timedelta(days=days + pk - 1))),
            workflow_step=WorkflowStep(
                pk=pk,
                shipment=shipment,
                step_number=Decimal("11.0"),
                step_name="Bayan approved",
                department=Department.CUSTOMS,
                target_date=shipment.eta + timedelta(days=3),
            ),
            days_post_eta=days + pk - 1,
            severity=Severity.URGENT,
            due_on=on,
        )
        for pk in range(1, number + 1)
    ]


def _shipment(pk: int, *, eta: date) -> Shipment:
    number = f"SH-2026-{13 + pk:03}"
    return Shipment(
        pk=pk, shipment_number=number, principal="Al Noor Tyres", brand="Noor", eta=eta, container_count=pk + 1
    )


def _of_alerts(*, days: int, number: int) -> Compose:
    def write(message: Message, at: datetime) -> Content | None:
        on = day_of(at)
        return alerts.written(message, _alerts(on=on, days=days, number=number), on=on)

    return write


def _of_ticket(purpose: Purpose) -> Compose:
    def write(message: Message, at: datetime) -> Content:
        expires_at = at + accounts_rules.TICKET_LIFETIME[purpose]
        return accounts.ticket_mail(message, Ticket(pk=uuid.uuid4(), purpose=purpose, expires_at=expires_at))

    return write


def _of_seal(message: Message, at: datetime) -> Content:
    return audit.anchor_mail(message, Seal(number=1042, sealed_at=at, entry_count=2080, seal_hash="3b1f" * 16))


SAMPLES: Mapping[str, Compose] = {
    MessageKind.DIGEST: _of_alerts(days=8, number=2),
    MessageKind.SHIPMENT_ALERT: _of_alerts(days=7, number=1),
    MessageKind.SEAL_ANCHOR: _of_seal,
    MessageKind.LOCKOUT: accounts.compose_lockout,
    MessageKind.PASSWORD_RESET: _of_ticket(Purpose.RESET),
    MessageKind.EMAIL_VERIFICATION: _of_ticket(Purpose.VERIFY),
    MessageKind.INVITATION: _of_ticket(Purpose.INVITE),
    MessageKind.WELCOME: lambda message, _at: accounts.welcome_mail(message, needs_second_factor=True),
    MessageKind.PASSWORD_CHANGED: accounts.compose_password_changed,
    MessageKind.SECOND_FACTOR_OFF: accounts.compose_second_factor_off,
}

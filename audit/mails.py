"""The mail of the newest seal, and a made-up one."""

from __future__ import annotations

from datetime import datetime

from audit import selectors
from audit.choices import MessageKind
from audit.models import Seal
from outbox.messages import Kind
from outbox.models import Message
from outbox.rules import Content


def _sample(message: Message, at: datetime) -> Content:
    return selectors.anchor_mail(message, Seal(number=1042, sealed_at=at, entry_count=2080, seal_hash="3b1f" * 16))


KINDS = (
    Kind(
        code=MessageKind.SEAL_ANCHOR,
        name=MessageKind.SEAL_ANCHOR.label,
        compose=selectors.compose_anchor,
        sample=_sample,
    ),
)

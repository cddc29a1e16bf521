"""Verbs of the outbox: deliver what is due, resend a dead letter, choose what one gets, word the texts."""

from outbox.services.delivery import DeliveryReport, deliver_due, resend
from outbox.services.preferences import choose_channels
from outbox.services.texts import load_texts, word_text

__all__ = ["DeliveryReport", "choose_channels", "deliver_due", "load_texts", "resend", "word_text"]

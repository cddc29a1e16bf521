"""Messages to people and how their delivery stands, the carriers as we last found them, and who wants what."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clearance import text
from clearance.rooms import rooms
from outbox.choices import Channel, Delivery, Severity, SmsName

# After its time a message goes out within seconds; one that still waits after so long is stuck.
LONGEST_WAIT = timedelta(minutes=15)


class MessageQuerySet(models.QuerySet["Message"]):
    def due(self, *, at: datetime) -> Self:
        """Waiting messages whose time has come and that no worker holds."""
        return self.filter(delivery=Delivery.WAITING, not_before__lte=at).filter(
            Q(leased_until=None) | Q(leased_until__lte=at)
        )

    def stuck(self, channel: Channel, *, at: datetime) -> Self:
        return self.filter(channel=channel, delivery=Delivery.WAITING, not_before__lt=at - LONGEST_WAIT)

    def dead(self) -> Self:
        return self.filter(delivery=Delivery.DEAD)


class Message(models.Model):
    """A mail or a text message to one person, written in the transaction that causes it and sent later.

    What it says is composed when it is sent, so that nothing is told that is no longer true. `message_id` is fixed
    here: a repeat after a killed worker carries the same, and mail programs show it once. `provider_id` is what
    Amazon calls it, where it went that way.
    """

    channel = models.CharField(_("channel"), max_length=4, choices=Channel.choices, default=Channel.MAIL)
    kind = models.CharField(_("kind"), max_length=20)
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("recipient")
    )
    message_id = models.UUIDField(_("message id"), default=uuid.uuid4, unique=True, editable=False)
    cc = ArrayField(models.EmailField(), default=list, blank=True, verbose_name=_("cc"))
    bcc = ArrayField(models.EmailField(), default=list, blank=True, verbose_name=_("bcc"))
    reply_to = ArrayField(models.EmailField(), default=list, blank=True, verbose_name=_("reply to"))

    delivery = models.CharField(_("delivery"), max_length=12, choices=Delivery.choices, default=Delivery.WAITING)
    not_before = models.DateTimeField(_("not before"))
    leased_until = models.DateTimeField(_("held by a worker until"), null=True, blank=True)
    refusals = models.PositiveSmallIntegerField(_("refusals"), default=0)
    last_refusal = models.CharField(_("last refusal"), max_length=500, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    provider_id = models.CharField(_("number at the provider"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"))

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        default_permissions = ("view",)
        permissions = [("resend_message", "Can send a dead letter again")]
        indexes = [
            models.Index("channel", "not_before", "id", name="message_waiting", condition=Q(delivery=Delivery.WAITING)),
            models.Index("id", name="message_dead", condition=Q(delivery=Delivery.DEAD)),
        ]
        constraints = [
            models.CheckConstraint(
                name="message_sent_says_when",
                condition=Q(delivery=Delivery.SENT, sent_at__isnull=False)
                | (~Q(delivery=Delivery.SENT) & Q(sent_at=None)),
                violation_error_message=_("A sent message says when it was sent."),
            ),
        ]

    def __str__(self) -> str:
        return str(_("%(kind)s → %(recipient)s")) % {"kind": self.kind_name, "recipient": self.recipient}

    @property
    def kind_name(self) -> str:
        """What its kind is called; the code, where no app brings that kind any more."""
        kinds = (kind for room in rooms("mails") for kind in room.KINDS)
        return str(next((kind.name for kind in kinds if kind.code == self.kind), self.kind))


class Attachment(models.Model):
    """A file that goes with a message."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attachments")
    name = models.CharField(_("file name"), max_length=120)
    content_type = models.CharField(_("type"), max_length=120)
    content = models.BinaryField()

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        default_permissions = ()
        constraints = [text.one_line("attachment_texts_are_of_one_line", "name", "content_type")]

    def __str__(self) -> str:
        return self.name


class CarrierQuerySet(models.QuerySet["Carrier"]):
    def down(self, channel: Channel | None = None) -> Self:
        """Those that are known not to work; with `channel`, that one's."""
        found = self.filter(down_since__isnull=False)
        return found.filter(channel=channel) if channel else found


class Carrier(models.Model):
    """What carries a channel's messages: the mail server, the provider of text messages; and its circuit breaker.

    `down_since` is empty while it works. While it is down, one worker a minute (whoever moves `next_probe_at`) tries
    with one message. A carrier that never failed may have no row.
    """

    channel = models.CharField(_("channel"), max_length=4, choices=Channel.choices, primary_key=True)
    down_since = models.DateTimeField(_("down since"), null=True, blank=True)
    next_probe_at = models.DateTimeField(_("next probe at"), null=True, blank=True)
    last_failure = models.CharField(_("last failure"), max_length=500, blank=True)

    objects = CarrierQuerySet.as_manager()

    class Meta:
        verbose_name = _("carrier")
        verbose_name_plural = _("carriers")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.get_channel_display()


class MutedMail(models.Model):
    """A person's wish not to get alerts of a severity by mail; they stay visible in the inbox."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="muted_mail", verbose_name=_("person")
    )
    severity = models.CharField(_("severity"), max_length=8)

    class Meta:
        verbose_name = _("muted mail")
        verbose_name_plural = _("muted mail")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "severity"],
                name="mail_is_muted_once",
                violation_error_message=_("Mail of this severity is muted already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.severity}"


class WantedText(models.Model):
    """A person's wish to get alerts of a severity as a text message as well; it needs a phone number."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="wanted_texts", verbose_name=_("person")
    )
    severity = models.CharField(_("severity"), max_length=8)

    class Meta:
        verbose_name = _("wanted text message")
        verbose_name_plural = _("wanted text messages")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["user", "severity"],
                name="text_is_wanted_once",
                violation_error_message=_("Text messages of this severity are wanted already."),
            ),
            models.CheckConstraint(
                name="text_is_for_what_is_urgent",
                condition=Q(severity=Severity.URGENT),
                violation_error_message=_("Text messages are for urgent alerts only."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.severity}"


class SmsTemplate(models.Model):
    """What a text message says, in both languages; administrators word it, with `{{variables}}` that the desk knows."""

    name = models.CharField(_("name"), max_length=20, choices=SmsName.choices, unique=True)
    content_en = models.TextField(_("in English"), max_length=600)
    content_ar = models.TextField(_("in Arabic"), max_length=600)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Taken away, no text messages of this kind are written any more.")
    )

    class Meta:
        ordering = ("name",)
        verbose_name = _("text template")
        verbose_name_plural = _("text templates")
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return self.get_name_display()

    def content(self, language: str) -> str:
        return self.content_ar if language == "ar" else self.content_en

"""Messages to people and how their delivery stands; the mail server as we last found it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from outbox.choices import Delivery, MessageKind


class MessageQuerySet(models.QuerySet["Message"]):
    def due(self, *, at: datetime) -> Self:
        """Waiting messages whose time has come and that no worker holds."""
        return self.filter(delivery=Delivery.WAITING, not_before__lte=at).filter(
            Q(leased_until=None) | Q(leased_until__lte=at)
        )

    def dead(self) -> Self:
        return self.filter(delivery=Delivery.DEAD)


class Message(models.Model):
    """A mail to one person, written in the transaction that causes it and sent later.

    What it says is composed when it is sent, so that nothing is told that is no longer true. `message_id` is fixed
    here: a repeat after a killed worker carries the same, and mail programs show it once.
    """

    kind = models.CharField(_("kind"), max_length=20, choices=MessageKind.choices)
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
    created_at = models.DateTimeField(_("created at"))

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        default_permissions = ("view",)
        permissions = [("resend_message", "Can send a dead letter again")]
        indexes = [
            models.Index("not_before", "id", name="message_waiting", condition=Q(delivery=Delivery.WAITING)),
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
        return f"{self.get_kind_display()} → {self.recipient}"


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

    def __str__(self) -> str:
        return self.name


class MailServerQuerySet(models.QuerySet["MailServer"]):
    def down(self) -> Self:
        """The one server, if it is known not to work."""
        return self.filter(pk=1, down_since__isnull=False)


class MailServer(models.Model):
    """The circuit breaker: one row, whose `down_since` is empty while the server works.

    While it is down, one worker a minute (whoever moves `next_probe_at`) tries with one message.
    """

    down_since = models.DateTimeField(_("down since"), null=True, blank=True)
    next_probe_at = models.DateTimeField(_("next probe at"), null=True, blank=True)
    last_failure = models.CharField(_("last failure"), max_length=500, blank=True)

    objects = MailServerQuerySet.as_manager()

    class Meta:
        verbose_name = _("mail server")
        verbose_name_plural = _("mail server")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                name="mail_server_is_one",
                condition=Q(pk=1),
                violation_error_message=_("There is one mail server."),
            ),
        ]

    def __str__(self) -> str:
        return str(_("Mail server"))


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

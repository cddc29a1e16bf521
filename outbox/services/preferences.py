"""What a person gets by mail and by text message (I12)."""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.db import transaction

from clearance.constraints import explained
from outbox.choices import Severity
from outbox.errors import NoTextMessages, PhoneMissing
from outbox.models import MutedMail, WantedText
from outbox.rules import Person


@transaction.atomic
def choose_channels(*, user: Person, mail: Collection[str] | None = None, sms: Collection[str] | None = None) -> None:
    """Have a person get alerts of exactly these severities by mail, and of these by text message, from the next sweep.

    None leaves a channel as it is. The inbox shows every alert all the same.

    :raises PhoneMissing: :raises NoTextMessages: a text message is wanted that could go nowhere. What was chosen before
        stays, and waits for a phone number.
    :raises ConstraintViolated: there are no text messages of that severity.
    """
    if mail is not None:
        muted = [one for one in Severity.values if one not in mail]
        MutedMail.objects.filter(user_id=user.pk).exclude(severity__in=muted).delete()
        MutedMail.objects.bulk_create(
            [MutedMail(user_id=user.pk, severity=one) for one in muted], ignore_conflicts=True
        )
    if sms is not None:
        chosen = WantedText.objects.filter(user_id=user.pk)
        new = set(sms) - set(chosen.values_list("severity", flat=True))
        if new and not settings.SMS_BACKEND:
            raise NoTextMessages
        if new and not user.phone:
            raise PhoneMissing
        chosen.exclude(severity__in=sms).delete()
        with explained(WantedText):
            WantedText.objects.bulk_create(
                [WantedText(user_id=user.pk, severity=one) for one in new], ignore_conflicts=True
            )

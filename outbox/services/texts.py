"""The texts of text messages: loaded once, worded by administrators."""

from __future__ import annotations

from django.db import transaction

from clearance.constraints import require_valid_fields
from clearance.errors import DomainError, Forbidden, InvalidFields
from outbox import rules
from outbox.choices import SmsName
from outbox.models import SmsTemplate
from outbox.rules import Person

# English, Arabic.
_FIRST_WORDS = {
    SmsName.URGENT_ALERT: (
        "Clearance: {{number}}, step {{step}}: {{omr}} OMR at risk. Shipments with urgent alerts: {{count}}.\n{{link}}",
        "التخليص: {{number}}، الخطوة {{step}}، الخطر {{omr}} ر.ع.، العاجل {{count}}\n{{link}}",
    ),
    SmsName.SECOND_FACTOR_CODE: (
        "Clearance: your code is {{code}}. It is good for {{minutes}} minutes. Tell it nobody.",
        "التخليص: رمزك {{code}}، صالح لمدة {{minutes}} دقائق. لا تخبر به أحدًا.",
    ),
}


@transaction.atomic
def word_text(*, template: SmsTemplate, by: Person) -> SmsTemplate:
    """Word a text anew, or take it out of use.

    :raises Forbidden: `by` isn't an administrator.
    :raises InvalidFields: a variable is unknown, a brace is left over, or a text is too long; says in which language.
    """
    if not by.has_perm("outbox.change_smstemplate"):
        raise Forbidden
    require_valid_fields(template)
    faults = {}
    for field in ("content_en", "content_ar"):
        setattr(template, field, getattr(template, field).replace("\r\n", "\n"))  # as browsers end lines
        try:
            rules.require_good_text(template.name, getattr(template, field))
        except DomainError as refusal:
            faults[field] = [str(refusal)]
    if faults:
        raise InvalidFields(faults)
    template.save()
    return template


@transaction.atomic
def load_texts() -> None:
    """Load the texts that come along; one that an administrator has worded stays as it is. Idempotent."""
    texts = [
        SmsTemplate(name=name, content_en=english, content_ar=arabic)
        for name, (english, arabic) in _FIRST_WORDS.items()
    ]
    SmsTemplate.objects.bulk_create(texts, ignore_conflicts=True)

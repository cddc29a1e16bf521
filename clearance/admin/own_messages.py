"""Which alerts come by mail and by text message, and in which language: one's own page, and the fields it shares."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone, translation
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import services as accounts
from accounts.choices import Language
from accounts.models import User
from alerts.choices import Severity
from clearance.admin.verbs import show_refusal
from clearance.errors import DomainError
from outbox.rules import TEXT_SEVERITIES, masked


class ChannelFields(forms.Form):
    """Which alerts come how; `fit` it to the person whom they come to."""

    mail = forms.MultipleChoiceField(
        label=_("Alerts by mail"), choices=Severity.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    sms = forms.MultipleChoiceField(
        label=_("Alerts by text message"),
        choices=[(one.value, one.label) for one in TEXT_SEVERITIES],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def fit(self, person: User) -> None:
        muted = set(person.muted_mail.values_list("severity", flat=True))
        self.fields["mail"].initial = [severity for severity in Severity.values if severity not in muted]
        self.fields["sms"].initial = list(person.wanted_texts.values_list("severity", flat=True))
        if not settings.SMS_BACKEND:
            self._close(gettext("No provider of text messages is set here."))
        elif not person.phone:
            self._close(gettext("There is no phone number. An administrator enters it on the person’s page."))
        else:
            told = gettext("One text for all of a morning, to the number that ends with %(digits)s.")
            self.fields["sms"].help_text = told % {"digits": masked(person.phone)[1:]}

    def _close(self, why: str) -> None:
        """Nothing new can be chosen; what was chosen before can be taken back."""
        self.fields["sms"].help_text = why
        self.fields["sms"].disabled = not self.fields["sms"].initial


class OwnMessagesForm(ChannelFields):
    language = forms.ChoiceField(label=_("Language"), choices=Language.choices, help_text=_("Of pages and messages."))
    field_order = ("language", "mail", "sms")


def own_messages(request: HttpRequest, given: dict[str, Any]) -> HttpResponse:
    """Show what one gets and how, and choose anew."""
    user: Any = request.user
    form = OwnMessagesForm(request.POST or None, initial={"language": user.language})
    form.fit(user)
    if request.method == "POST" and form.is_valid():
        try:
            accounts.choose_messages(user=user, by=user, **form.cleaned_data, at=timezone.now())
        except DomainError as refusal:
            show_refusal(form, refusal)
        else:
            with translation.override(form.cleaned_data["language"]):
                messages.success(request, gettext("Your choice counts from the next sweep on."))
            return HttpResponseRedirect(request.path)
    return TemplateResponse(request, "admin/own_messages.html", {**given, "title": _("Your messages"), "form": form})

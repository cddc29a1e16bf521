"""Which alerts come by mail and by text message, and in which language: one's own page, and the fields it shares."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from accounts import services as accounts
from accounts.models import User
from clearance.admin.pages import page_context
from clearance.admin.verbs import VerbForm, show_refusal
from clearance.errors import DomainError
from clearance.languages import Language
from outbox.choices import Severity
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


class MailForm(ChannelFields, VerbForm):
    """Which alerts come by mail and by text message to the person, or to the one who asks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fit(self.target or self.by)


def choose_mail(user: User, *, mail: list[str], sms: list[str], by: User, at: datetime) -> User:
    """Have a person get these alerts by mail and by text message, and no others."""
    accounts.choose_messages(user=user, mail=mail, sms=sms, by=by, at=at)
    return user


class OwnMessagesForm(ChannelFields):
    language = forms.ChoiceField(label=_("Language"), choices=Language.choices, help_text=_("Of pages and messages."))
    field_order = ("language", "mail", "sms")


def own_messages(request: HttpRequest) -> HttpResponse:
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
    return TemplateResponse(request, "admin/own_messages.html", page_context(request, _("Your messages"), form=form))


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Show all pages in another language from now on; back to where it was chosen."""
    language = request.POST.get("language", "")
    if language in Language.values:
        accounts.choose_language(user=request.user, language=language, at=timezone.now())
        with translation.override(language):
            messages.success(request, gettext("Pages and messages are in English now."))
    back = request.POST.get("back", "")
    return HttpResponseRedirect(back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "../")

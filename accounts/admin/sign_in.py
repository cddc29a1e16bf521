"""The back office for sign-ins at the API, and for what somebody becomes who comes through the identity provider."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts import services as accounts
from accounts.models import (
    IdentityRule,
    SignIn,
)
from clearance.admin.desk import DeskAdmin, ReadOnlyDesk


class IdentityRuleForm(forms.ModelForm):
    class Meta:
        model = IdentityRule
        fields = ("pattern", "department", "role")

    def clean_pattern(self) -> str:
        return self.cleaned_data["pattern"].strip().lower()


@admin.register(IdentityRule)
class IdentityRuleAdmin(DeskAdmin):
    """What newcomers through the company sign-in become."""

    form = IdentityRuleForm
    list_display = ("pattern", "department", "role")
    list_filter = ("department",)
    search_fields = ("pattern",)
    when_empty = _("No rule yet: whoever is new through the company sign-in waits for an administrator.")

    def take_on(self, request: HttpRequest, form: ModelForm) -> IdentityRule:
        return accounts.save_identity_rule(rule=form.instance, by=request.user)

    amend = take_on

    def remove(self, request: HttpRequest, record: IdentityRule) -> None:
        accounts.remove_identity_rule(rule=record, by=request.user)


@admin.register(SignIn)
class SignInAdmin(ReadOnlyDesk):
    """Who is signed in at the API."""

    list_display = ("user", "created_at", "last_used_at", "expires_at", "revoked_at", "ip_address")
    list_select_related = ("user",)
    search_fields = ("user__full_name", "user__email")
    fields = ("user", "ip_address", "user_agent", "created_at", "last_used_at", "expires_at", "revoked_at")
    when_empty = _("Nobody has signed in at the API.")

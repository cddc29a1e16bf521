"""The back office for service accounts and their API keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Min, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts import rights, rules
from accounts import services as accounts
from accounts.admin.people import PersonAdmin
from accounts.choices import SERVICE_ROLE_CHOICES, KeyState
from accounts.models import (
    EXPIRES_SOON,
    ApiKey,
    ServiceAccount,
    User,
)
from audit.pages.history import READS_TRAIL
from clearance.admin.desk import DeskAdmin
from clearance.admin.display import moment, pill
from clearance.admin.verbs import Button, DateInput, Verb, VerbForm
from clearance.clock import midnight


class ServiceAccountForm(forms.ModelForm):
    role = forms.ChoiceField(
        label=_("Role"),
        choices=SERVICE_ROLE_CHOICES,
        help_text=_("With the department, the most that its keys can do; their scopes narrow it."),
    )

    class Meta:
        model = ServiceAccount
        fields = ("full_name", "department", "role", "divisions")
        widgets = {"divisions": forms.CheckboxSelectMultiple}
        help_texts = {"full_name": _("As the trail is to name it, for example “Clearing agent’s system”.")}


class IssueForm(VerbForm):
    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("What it is for, for example “Production” or “Test”.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("What the key may do, no more than the machine needs. Whatever it is to change, it must view too."),
    )
    expires_at = forms.DateField(
        label=_("Good until"), widget=DateInput, help_text=_("The last day, at most a year from now.")
    )
    allowed_networks = forms.CharField(
        label=_("Allowed networks"),
        required=False,
        widget=forms.Textarea({"rows": 3, "dir": "ltr", "spellcheck": "false"}),
        help_text=_("One a line, for example 203.0.113.0/24 or a single address. Empty: good from anywhere."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scopes"].choices = [
            (kind, [(rules.api_name(name), words) for name, words in group])
            for kind, group in rights.choices(frozenset(self.target.rights if self.target else ()))
        ]
        self.fields["expires_at"].initial = self.on + timedelta(days=180)

    def clean_expires_at(self) -> datetime:
        return midnight(self.cleaned_data["expires_at"] + timedelta(days=1))

    def clean_allowed_networks(self) -> list[str]:
        return str(self.cleaned_data["allowed_networks"]).split()


class RotateForm(VerbForm):
    grace_hours = forms.TypedChoiceField(
        label=_("The old key stays good"),
        coerce=int,
        initial=24,
        choices=((0, _("no longer")), (24, _("one more day")), (72, _("three more days")), (168, _("one more week"))),
    )


def _issue(account: ServiceAccount, *, by: User, at: datetime, **given: Any) -> accounts.IssuedKey:
    return accounts.issue_key(account_id=account.pk, by=by, at=at, **given)


def _rotate(key: ApiKey, *, by: User, at: datetime, grace_hours: int) -> accounts.IssuedKey:
    grace = timedelta(hours=grace_hours)
    return accounts.rotate_key(account_id=key.account_id, key_id=key.pk, grace=grace, by=by, at=at)


def _revoke(key: ApiKey, *, by: User, at: datetime) -> None:
    accounts.revoke_key(account_id=key.account_id, key_id=key.pk, by=by, at=at)


def _set_active(account: ServiceAccount, *, is_active: bool, by: User, at: datetime) -> None:
    accounts.amend_service_account(account_id=account.pk, changes={"is_active": is_active}, by=by, at=at)


class ManagedDesk(DeskAdmin):
    """Changed by those who manage service accounts, seen by those who read the trail too."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return any(map(request.user.has_perm, ("accounts.manage_serviceaccount", READS_TRAIL)))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("accounts.manage_serviceaccount"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ServiceAccount)
class ServiceAccountAdmin(ManagedDesk):
    """Accounts that machines act with; deactivated, never deleted."""

    form = ServiceAccountForm
    list_display = ("full_name", "department", "role", "lines", "good_keys", "is_active")
    list_filter = ("is_active", "role", "department")
    search_fields = ("full_name",)
    change_form_template = "admin/accounts/service_account.html"
    when_empty = _(
        "No service account yet. A machine that works with the API gets one here, and acts by it under its own name."
    )
    verbs = (
        Verb(
            name="issue",
            label=_("Issue API key"),
            explanation=_("The key is shown once, right after it is issued. Have at hand where you will put it."),
            permission="accounts.manage_serviceaccount",
            run=_issue,
            form=IssueForm,
            fits=lambda account, _request: account.is_active,
            done="",
            shows_result="admin/accounts/issued_key.html",
            ends_with_result=True,
        ),
        Verb(
            name="deactivate",
            label=_("Deactivate"),
            explanation=_("All of its API keys are revoked at once. What it did stays as it is."),
            permission="accounts.manage_serviceaccount",
            run=partial(_set_active, is_active=False),
            done=_("{object} is deactivated."),
            fits=lambda account, _request: account.is_active,
            is_dangerous=True,
        ),
        Verb(
            name="reactivate",
            label=_("Activate again"),
            explanation=_("Its revoked API keys stay revoked: issue another one."),
            permission="accounts.manage_serviceaccount",
            run=partial(_set_active, is_active=True),
            done=_("{object} is active again."),
            fits=lambda account, _request: not account.is_active,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceAccount]:
        return super().get_queryset(request).services().prefetch_related("divisions")

    def prepare(self, rows: list[ServiceAccount], request: HttpRequest) -> None:
        """Ask once how the keys of the page's accounts are."""
        live = ApiKey.objects.live(at=timezone.now()).filter(account__in=[row.pk for row in rows], rotated_at=None)
        counted = live.order_by().values("account").annotate(keys=Count("pk"), first_end=Min("expires_at"))
        found = {row["account"]: row for row in counted}
        for account in rows:
            account.told = found.get(account.pk)

    lines = PersonAdmin.lines

    @admin.display(description=_("good keys"))
    def good_keys(self, account: ServiceAccount) -> SafeString | str:
        told = account.told
        if told is None:
            return "–"
        soon = told["first_end"] <= timezone.now() + EXPIRES_SOON
        ends = gettext("the first one ends on %(on)s") % {"on": date_format(timezone.localtime(told["first_end"]))}
        mark = format_html(" {}", pill(KeyState.EXPIRES_SOON)) if soon else ""
        return format_html('{}{} <span class="aside below">{}</span>', told["keys"], mark, ends)

    def take_on(self, request: HttpRequest, form: ModelForm) -> User:
        return accounts.create_service_account(**form.cleaned_data, by=request.user)

    def amend(self, request: HttpRequest, form: ModelForm) -> User:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        at = timezone.now()
        return accounts.amend_service_account(account_id=form.instance.pk, changes=changes, by=request.user, at=at)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is not None:
            context["keys"] = _shown_keys(obj, request)
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)


def _shown_keys(account: ServiceAccount, request: HttpRequest) -> list[ApiKey]:
    desk = admin.site.get_model_admin(ApiKey)
    keys = list(desk.get_queryset(request).filter(account=account).order_by(*desk.ordering))
    for key in keys:
        key.told, key.buttons = _state_told(key), desk.buttons(request, key, back=request.get_full_path())
    return keys


def _state_told(key: ApiKey) -> SafeString:
    """The state, and until or since when."""
    is_over = key.state in (KeyState.REVOKED, KeyState.EXPIRED)
    sentence = gettext("since %(on)s") if is_over else gettext("until %(on)s")
    told = sentence % {"on": moment(key.revoked_at or key.expires_at)}
    return format_html('{} <span class="aside below">{}</span>', pill(KeyState(key.state)), told)


class KeyStateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(KeyState.choices)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(state=self.value()) if self.value() in KeyState.values else queryset


@admin.register(ApiKey)
class ApiKeyAdmin(ManagedDesk):
    """Every API key: whose, what for, until when, and when it was used last."""

    list_display = ("named", "state_told", "prefix", "scopes_told", "last_used_told")
    list_display_links = ("named",)
    ordering = ("-revoked_at", "-expires_at")  # the good ones first
    list_filter = (KeyStateFilter, ("account", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("account",)
    search_fields = ("name", "prefix", "account__full_name")
    change_list_template = "admin/noticed_list.html"
    fields = (
        "account_told",
        "name",
        "prefix",
        "state_told",
        "scopes_told",
        "networks_told",
        "created_by",
        "created_at",
        "expires_at",
        "rotated_at",
        "revoked_at",
        "last_used_told",
    )
    when_empty = _("No API key yet. They are issued on the page of a service account.")
    verbs = (
        Verb(
            name="rotate",
            label=_("Rotate"),
            explanation=_(
                "Another key takes its place: the same name, scopes, networks and lifetime. The new one is shown once; "
                "have the machine use it before the old one ends."
            ),
            permission="accounts.manage_serviceaccount",
            run=_rotate,
            form=RotateForm,
            fits=lambda key, _request: key.state in (KeyState.GOOD, KeyState.EXPIRES_SOON),
            done="",
            shows_result="admin/accounts/issued_key.html",
            ends_with_result=True,
        ),
        Verb(
            name="revoke",
            label=_("Revoke"),
            explanation=_("The machine that uses this key is refused from its next request on."),
            permission="accounts.manage_serviceaccount",
            run=_revoke,
            done=_("{object} is revoked."),
            fits=lambda key, _request: key.state not in (KeyState.REVOKED, KeyState.EXPIRED),
            is_dangerous=True,
        ),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return ApiKey.objects.with_state(at=timezone.now()).select_related("account", "created_by")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        ending = ApiKey.objects.with_state(at=timezone.now()).filter(state=KeyState.EXPIRES_SOON).count()
        sentence = ngettext(
            "%(count)d key expires within 14 days.", "%(count)d keys expire within 14 days.", ending
        ) % {"count": ending}
        show = Button(gettext("Show them"), f"?state={KeyState.EXPIRES_SOON}", is_dangerous=False)
        advice = gettext("Rotate it before the machine that uses it is refused.")
        notices = [{"text": sentence, "advice": advice, "buttons": [show]}] if ending else []
        return super().changelist_view(request, {"notices": notices, **(extra_context or {})})

    @admin.display(description=_("API key"), ordering="name")
    def named(self, key: ApiKey) -> SafeString:
        return format_html('{} <span class="aside below">{}</span>', key.name, key.account)

    @admin.display(description=_("service account"))
    def account_told(self, key: ApiKey) -> SafeString:
        url = reverse("admin:accounts_serviceaccount_change", args=[key.account_id])
        return format_html('<a href="{}">{}</a>', url, key.account)

    @admin.display(description=_("state"))
    def state_told(self, key: ApiKey) -> SafeString:
        return _state_told(key)

    @admin.display(description=_("scopes"))
    def scopes_told(self, key: ApiKey) -> SafeString:
        return format_html_join(" ", '<code dir="ltr">{}</code>', ((scope,) for scope in key.scopes))

    @admin.display(description=_("allowed networks"))
    def networks_told(self, key: ApiKey) -> SafeString | str:
        networks = format_html_join(" ", '<code dir="ltr">{}</code>', ((one,) for one in key.allowed_networks))
        return networks or gettext("good from anywhere")

    @admin.display(description=_("last used"))
    def last_used_told(self, key: ApiKey) -> SafeString | str:
        if key.last_used_at is None:
            return gettext("never")
        from_where = key.last_used_from or "–"
        return format_html('{} <span class="aside below"><bdi>{}</bdi></span>', moment(key.last_used_at), from_where)

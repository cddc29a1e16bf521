"""The back office for people and their rights."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import rights, rules
from accounts import services as accounts
from accounts.choices import Role
from accounts.models import (
    BrowserSession,
    Override,
    RequiredSecondFactor,
    RoleGroup,
    SecondFactor,
    User,
)
from accounts.pages.own_messages import MailForm, choose_mail
from audit import selectors as trail
from audit.models import AuditEntry
from clearance.admin.desk import DeskAdmin
from clearance.admin.display import browser, moment
from clearance.admin.verbs import Verb, VerbForm

_PERSON = ("full_name", "email", "phone", "department", "role", "divisions", "language", "time_zone")


class RolesField(forms.ModelMultipleChoiceField):
    """Roles beside that of department and role; none there yet, none to choose."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **options: Any) -> None:
        super().__init__(
            queryset=RoleGroup.objects.exclude(name__in=rules.system_role_names()).order_by("name"),
            required=False,
            label=_("Further roles"),
            help_text=_("Beside what department and role bring. Roles are made on their own page."),
            **options,
        )


class PersonForm(forms.ModelForm):
    further_roles = RolesField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "further_roles" in self.fields:
            field = self.fields["further_roles"]
            field.initial = list(field.queryset.filter(user=self.instance))

    class Meta:
        model = User
        fields = (*_PERSON, "is_active", "is_staff")
        widgets = {"divisions": forms.CheckboxSelectMultiple}
        help_texts = {
            "role": _("With the department, it decides what the person may do."),
            "department": _("An administrator needs none."),
            "is_active": _("Taken away, the person is signed out everywhere at once."),
        }


def _password_field(label: Any, help_text: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=help_text,
    )


class NewPersonForm(PersonForm):
    password = _password_field(
        _("First password"),
        _(
            "Best left empty: the person gets a mail with a link, good for 72 hours, and chooses a password. With one, "
            "no mail is sent: tell them yourself."
        ),
    )

    class Meta(PersonForm.Meta):
        fields = (*_PERSON, "password")

    def clean_password(self) -> str | None:
        return self.cleaned_data["password"] or None

    def clean_email(self) -> str:
        return User.objects.normalize_email(self.cleaned_data["email"])

    def validate_unique(self) -> None:
        """The service says whose address it is."""


class PasswordForm(VerbForm):
    password = _password_field(_("New password"), _("Empty: the person can't sign in until a password is set."))

    def clean_password(self) -> str | None:
        return self.cleaned_data["password"] or None


class RequireForm(VerbForm):
    roles = forms.MultipleChoiceField(
        label=_("Roles"), required=False, choices=Role.choices, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["roles"].initial = list(RequiredSecondFactor.objects.values_list("role", flat=True))


class OverrideForm(VerbForm):
    permission = forms.ChoiceField(label=_("Right"))
    is_granted = forms.TypedChoiceField(
        label=_("From now on"),
        choices=[("yes", _("granted, whatever the roles say")), ("no", _("denied, whatever the roles say"))],
        coerce=lambda text: text == "yes",
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(label=_("Reason"), max_length=255, widget=forms.TextInput({"size": 60}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["permission"].choices = [("", "---------"), *rights.choices(rules.grantable())]

    def facts(self) -> list[tuple[Any, Any]]:
        person = self.target
        if person is None:
            return []
        return [
            (_("Department"), person.get_department_display()),
            (_("Role"), person.get_role_display()),
            (_("Granted or denied so far"), _overridden(person)),
        ]


class TakeBackForm(VerbForm):
    override = forms.ModelChoiceField(
        label=_("Granted or denied so far"), queryset=None, widget=forms.RadioSelect, empty_label=None
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["override"]
        field.queryset = Override.objects.filter(user=self.target).select_related("permission").order_by("pk")
        field.label_from_instance = _in_words


def _in_words(override: Override) -> str:
    """`Denied: Cancel shipments (on probation)`."""
    sentence = (
        gettext("Granted: %(right)s (%(reason)s)") if override.is_granted else gettext("Denied: %(right)s (%(reason)s)")
    )
    return sentence % {"right": rights.in_words(override.permission.codename), "reason": override.reason}


def _overridden(person: User) -> SafeString | str:
    kept = Override.objects.filter(user=person).select_related("permission").order_by("pk")
    lines = format_html_join("", "<li>{}</li>", ((_in_words(one),) for one in kept))
    return format_html('<ul class="plain">{}</ul>', lines) if lines else ""


def _override(person: User, **given: Any) -> Override:
    return accounts.override(user_id=person.pk, **given)


def _take_override_back(person: User, *, override: Override, by: User, at: datetime) -> None:
    accounts.take_override_back(user_id=person.pk, override_id=override.pk, by=by)


def _invite_again(person: User, *, by: User, at: datetime) -> None:
    accounts.invite_again(user_id=person.pk, by=by, at=at)


class WaitingFilter(admin.SimpleListFilter):
    title = _("rights")
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Waiting for an administrator"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.waiting() if self.value() == "yes" else queryset


def _unlock(person: User, *, by: User, at: datetime) -> None:
    accounts.unlock(user_id=person.pk, by=by, at=at)


def _set_password(person: User, *, by: User, at: datetime, password: str | None) -> None:
    accounts.set_password(user=person, password=password, by=by, at=at)


def _reset_second_factor(person: User, *, by: User, at: datetime) -> None:
    accounts.reset_second_factor(user_id=person.pk, by=by, at=at)


def _release_identity(person: User, *, by: User, at: datetime) -> None:
    accounts.release_identity(user_id=person.pk, by=by, at=at)


def _require_second_factor(*, by: User, at: datetime, roles: list[str]) -> None:
    accounts.require_second_factor(roles=roles, by=by)


@admin.register(User)
class PersonAdmin(DeskAdmin, UserAdmin):
    """People are taken on, changed and deactivated; never deleted."""

    form = PersonForm
    add_form = NewPersonForm
    change_form_template = "admin/desk_form.html"
    add_form_template = "admin/desk_form.html"
    list_display = ("full_name", "email", "department", "role", "lines", "language", "is_active")
    list_filter = ("department", "role", "is_active", WaitingFilter, "divisions")
    search_fields = ("full_name", "email")
    ordering = ("full_name",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "email_verified_at", "identity_subject", "browsers", "may", "overridden")
    fieldsets = (
        (None, {"fields": ("full_name", "email", "phone")}),
        (_("Work"), {"fields": ("department", "role", "further_roles", "divisions")}),
        (_("Language and time"), {"fields": ("language", "time_zone")}),
        (
            _("Access"),
            {"fields": ("is_active", "is_staff", "last_login", "email_verified_at", "identity_subject", "browsers")},
        ),
        (_("Rights"), {"fields": ("overridden", "may")}),
    )
    add_fieldsets = (
        (None, {"fields": ("full_name", "email", "phone", "password")}),
        (_("Work"), {"fields": ("department", "role", "further_roles", "divisions")}),
        (_("Language and time"), {"fields": ("language", "time_zone")}),
    )
    when_empty = _("Nobody matches. An administrator adds people here.")
    verbs = (
        Verb(
            name="invite_again",
            label=_("Invite again"),
            explanation=_(
                "The person has not come yet. They get a mail with a new link, good for 72 hours, on which they choose "
                "a password; earlier links are good no more."
            ),
            permission="accounts.add_user",
            run=_invite_again,
            fits=lambda person, _request: person.is_active and not person.has_come,
            done=_("A mail with a link is on its way to {object}."),
        ),
        Verb(
            name="override",
            label=_("Grant or deny a right"),
            explanation=_(
                "It holds for this person whatever their roles say, from their next click on, until it is taken back. "
                "What a record allows is asked besides: own department, own step, own alert, own division."
            ),
            permission="accounts.change_user",
            run=_override,
            form=OverrideForm,
            done=_("It is noted: {result}."),
        ),
        Verb(
            name="take_override_back",
            label=_("Leave a right to the roles again"),
            explanation=_(
                "What you choose is granted or denied by name no longer: the person’s roles decide about it."
            ),
            permission="accounts.change_user",
            run=_take_override_back,
            form=TakeBackForm,
            fits=lambda person, _request: person.overrides.exists(),
            done=_("The roles of {object} decide about it again."),
        ),
        Verb(
            name="deactivate",
            label=_("Deactivate"),
            explanation=_(
                "The person can't sign in any more and is signed out everywhere at once. What they did stays as it "
                "is; open steps stay with them until somebody else is made responsible."
            ),
            permission="accounts.change_user",
            run=lambda person, *, by, at: accounts.amend_person(
                user_id=person.pk, changes={"is_active": False}, by=by, at=at
            ),
            done=_("{object} is deactivated."),
            fits=lambda person, _request: person.is_active,
            is_dangerous=True,
        ),
        Verb(
            name="reactivate",
            label=_("Activate again"),
            explanation=_("The person can sign in again, with the password they had."),
            permission="accounts.change_user",
            run=lambda person, *, by, at: accounts.amend_person(
                user_id=person.pk, changes={"is_active": True}, by=by, at=at
            ),
            done=_("{object} is active again."),
            fits=lambda person, _request: not person.is_active,
        ),
        Verb(
            name="mail",
            label=_("Choose messages"),
            explanation=_(
                "Which alerts come to the person by mail and by text message, from the next sweep on. The inbox shows "
                "all of them."
            ),
            permission="accounts.change_user",
            run=choose_mail,
            form=MailForm,
            done=_("{object}: the choice counts from the next sweep on."),
        ),
        Verb(
            name="password",
            label=_("Set password"),
            explanation=_("The person is signed out everywhere, and signs in with the new password."),
            permission="accounts.change_user",
            run=_set_password,
            form=PasswordForm,
            done=_("The password of {object} is set."),
        ),
        Verb(
            name="unlock",
            label=_("Unlock"),
            explanation=_(
                "Signing in failed too often and is locked for a while. Unlocked, the person can try at once."
            ),
            permission="accounts.change_user",
            run=_unlock,
            fits=lambda person, _request: accounts.locked_until(person, at=timezone.now()) is not None,
            done=_("{object} can sign in again."),
        ),
        Verb(
            name="reset_second_factor",
            label=_("Reset second factor"),
            explanation=_(
                "For somebody who lost their phone and their backup codes. Until they set up another one, the password "
                "alone signs them in: make sure that it is really they who ask."
            ),
            permission="accounts.change_user",
            run=_reset_second_factor,
            fits=lambda person, _request: SecondFactor.objects.filter(user=person).exists(),
            done=_("{object} has no second factor any more."),
            is_dangerous=True,
        ),
        Verb(
            name="release_identity",
            label=_("Release company account"),
            explanation=_(
                "For somebody whose account at the company sign-in was replaced. They are signed out everywhere; the "
                "next company account with their verified e-mail address becomes theirs."
            ),
            permission="accounts.change_user",
            run=_release_identity,
            fits=lambda person, _request: bool(person.identity_subject),
            done=_("{object} signs in with no company account any more."),
            is_dangerous=True,
        ),
        Verb(
            name="require_second_factor",
            label=_("Require a second factor"),
            explanation=_(
                "People with these roles set up a second factor before they can do anything else in the back office, "
                "from their next click on."
            ),
            permission="accounts.change_user",
            run=_require_second_factor,
            form=RequireForm,
            done=_("The choice counts from the next click of everybody on."),
            on_list=True,
        ),
    )

    @admin.display(description=_("divisions"))
    def lines(self, person: User) -> str:
        return ", ".join(division.name for division in person.divisions.all()) or str(_("every division"))

    @admin.display(description=_("browser sessions"))
    def browsers(self, person: User) -> SafeString | str:
        """Where the person is signed in to the back office, the session used last first."""
        found = BrowserSession.objects.of(person, at=timezone.now())
        told = ((browser(one.user_agent), moment(one.seen_at), one.ip_address or "–") for one in found)
        return (
            format_html_join("", '<div><bdi>{}</bdi> <span class="aside below">{} · <bdi>{}</bdi></span></div>', told)
            or "–"
        )

    @admin.display(description=_("Further roles"))
    def further_roles(self, person: User) -> str:
        """For those who only read; the form has a field of this name."""
        return ", ".join(role.name for role in person.groups.exclude(name__in=rules.system_role_names()))

    @admin.display(description=_("Granted or denied by name"))
    def overridden(self, person: User) -> SafeString | str:
        return _overridden(person) or gettext("Nothing: the roles decide.")

    @admin.display(description=_("What the person may do"))
    def may(self, person: User) -> SafeString | str:
        """What roles and overrides come to, in words."""
        if not person.is_active:
            return gettext("Nothing: the person is deactivated.")
        kinds = [
            (kind, format_html_join("", "<li>{}</li>", ((words,) for _name, words in group)))
            for kind, group in rights.choices(frozenset(person.rights))
        ]
        if not kinds:
            return gettext("Nothing yet: the person waits for an administrator to name a department and a role.")
        return format_html(
            '<dl class="rights">{}</dl>',
            format_html_join("", '<div><dt>{}</dt><dd><ul class="plain">{}</ul></dd></div>', kinds),
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Where somebody is signed in is for whoever sees sign-ins."""
        found = super().get_fieldsets(request, obj)
        if request.user.has_perm("accounts.view_signin"):
            return found
        return [
            (name, {**shown, "fields": [one for one in shown["fields"] if one != "browsers"]}) for name, shown in found
        ]

    def trail_beneath(self, request: HttpRequest, record: User) -> QuerySet[AuditEntry]:
        """The history of a person is that of their overrides too."""
        return trail.under_person(record.pk)

    def get_urls(self) -> list[Any]:
        """Without Django's page for passwords, which asks no desk."""
        return [url for url in super().get_urls() if url.name != "auth_user_password_change"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).people().prefetch_related("divisions")

    def history_elsewhere(self, object_id: str) -> str:
        """The trail links here for service accounts as well."""
        if object_id.isdecimal() and User.objects.services().filter(pk=int(object_id[:18])).exists():
            return reverse("admin:accounts_serviceaccount_history", args=[object_id])
        return ""

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[User], search_term: str) -> Any:
        """People to choose from (where a form asks for one) are active."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if request.path.endswith("/autocomplete/"):
            found = found.active()
        return found, may_repeat

    def take_on(self, request: HttpRequest, form: ModelForm) -> User:
        given = dict(form.cleaned_data)
        if given["password"]:
            return accounts.take_on(by=request.user, **given)
        del given["password"]
        person = accounts.invite(by=request.user, at=timezone.now(), **given)
        messages.info(request, gettext("A mail with a link is on its way to %(name)s.") % {"name": person})
        return person

    def amend(self, request: HttpRequest, form: ModelForm) -> User:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        return accounts.amend_person(user_id=form.instance.pk, changes=changes, by=request.user, at=timezone.now())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

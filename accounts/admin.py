"""The back office for people, divisions and absences."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import services as accounts
from accounts.choices import Role
from accounts.models import Absence, Division, RequiredSecondFactor, SecondFactor, SignIn, User
from alerts.admin import MailForm, choose_mail
from clearance.admin.desk import DeskAdmin, ReadOnlyDesk
from clearance.admin.verbs import Verb, VerbForm
from clearance.clock import day_of

admin.site.unregister(Group)  # the system roles follow department and role; nobody edits them

_PERSON = ("full_name", "email", "phone", "department", "role", "divisions", "language", "time_zone")


class PersonForm(forms.ModelForm):
    class Meta:
        model = User
        fields = (*_PERSON, "is_active", "is_staff")
        widgets = {"divisions": forms.CheckboxSelectMultiple}
        help_texts = {
            "role": _("With the department, it decides what the person may do."),
            "department": _("An administrator needs none."),
            "is_active": _("Taken away, the person is signed out everywhere at once."),
        }


def _password_field(label: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Empty: the person can't sign in until a password is set."),
    )


class NewPersonForm(PersonForm):
    password = _password_field(_("First password"))

    class Meta(PersonForm.Meta):
        fields = (*_PERSON, "password")

    def clean_password(self) -> str | None:
        return self.cleaned_data["password"] or None

    def clean_email(self) -> str:
        return User.objects.normalize_email(self.cleaned_data["email"])

    def validate_unique(self) -> None:
        """The service says whose address it is."""


class PasswordForm(VerbForm):
    password = _password_field(_("New password"))

    def clean_password(self) -> str | None:
        return self.cleaned_data["password"] or None


class RequireForm(VerbForm):
    roles = forms.MultipleChoiceField(
        label=_("Roles"), required=False, choices=Role.choices, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["roles"].initial = list(RequiredSecondFactor.objects.values_list("role", flat=True))


def _unlock(person: User, *, by: User, at: datetime) -> None:
    accounts.unlock(user_id=person.pk, by=by, at=at)


def _set_password(person: User, *, by: User, at: datetime, password: str | None) -> None:
    accounts.set_password(user=person, password=password, by=by, at=at)


def _reset_second_factor(person: User, *, by: User, at: datetime) -> None:
    accounts.reset_second_factor(user_id=person.pk, by=by)


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
    list_filter = ("department", "role", "is_active", "divisions")
    search_fields = ("full_name", "email")
    ordering = ("full_name",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "email_verified_at")
    fieldsets = (
        (None, {"fields": ("full_name", "email", "phone")}),
        (_("Work"), {"fields": ("department", "role", "divisions")}),
        (_("Language and time"), {"fields": ("language", "time_zone")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "last_login", "email_verified_at")}),
    )
    add_fieldsets = (
        (None, {"fields": ("full_name", "email", "phone", "password")}),
        (_("Work"), {"fields": ("department", "role", "divisions")}),
        (_("Language and time"), {"fields": ("language", "time_zone")}),
    )
    when_empty = _("Nobody matches. An administrator adds people here.")
    verbs = (
        Verb(
            name="deactivate",
            label=_("Deactivate"),
            explanation=_(
                "The person can't sign in any more and is signed out everywhere at once. What they did stays as it "
                "is; open steps stay with them until somebody else is made responsible."
            ),
            permission="accounts.change_user",
            run=lambda person, *, by, at: accounts.amend_person(user_id=person.pk, changes={"is_active": False}, at=at),
            done=_("{object} is deactivated."),
            fits=lambda person, _request: person.is_active,
            is_dangerous=True,
        ),
        Verb(
            name="reactivate",
            label=_("Activate again"),
            explanation=_("The person can sign in again, with the password they had."),
            permission="accounts.change_user",
            run=lambda person, *, by, at: accounts.amend_person(user_id=person.pk, changes={"is_active": True}, at=at),
            done=_("{object} is active again."),
            fits=lambda person, _request: not person.is_active,
        ),
        Verb(
            name="mail",
            label=_("Choose mail"),
            explanation=_("Which alerts the person gets by mail, from the next sweep on. The inbox shows all of them."),
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

    def get_urls(self) -> list[Any]:
        """Without Django's page for passwords, which asks no desk."""
        return [url for url in super().get_urls() if url.name != "auth_user_password_change"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("divisions")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[User], search_term: str) -> Any:
        """People to choose from (where a form asks for one) are active."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if request.path.endswith("/autocomplete/"):
            found = found.active()
        return found, may_repeat

    def take_on(self, request: HttpRequest, form: ModelForm) -> User:
        return accounts.take_on(**form.cleaned_data)

    def amend(self, request: HttpRequest, form: ModelForm) -> User:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        return accounts.amend_person(user_id=form.instance.pk, changes=changes, at=timezone.now())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Division)
class DivisionAdmin(DeskAdmin):
    list_display = ("name", "code")
    when_empty = _("No division yet: everybody sees every shipment. An administrator adds divisions here.")

    def take_on(self, request: HttpRequest, form: ModelForm) -> Division:
        return accounts.save_division(division=form.instance)

    amend = take_on

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class WhenFilter(admin.SimpleListFilter):
    title = _("when")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("now", _("Absent today")), ("coming", _("Coming"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        today = day_of(timezone.now())
        if self.value() == "now":
            return queryset.covering(today)
        return queryset.filter(starts_on__gt=today) if self.value() == "coming" else queryset


@admin.register(Absence)
class AbsenceAdmin(DeskAdmin):
    list_display = ("user", "starts_on", "ends_on", "substitute")
    list_filter = (WhenFilter, "user__department")
    list_select_related = ("user", "substitute")
    search_fields = ("user__full_name", "substitute__full_name")
    autocomplete_fields = ("user", "substitute")
    when_empty = _("Nobody is recorded as absent. Heads of departments record absences, so that a substitute can act.")

    def take_on(self, request: HttpRequest, form: ModelForm) -> Absence:
        return accounts.record_absence(by=request.user, **form.cleaned_data)

    def amend(self, request: HttpRequest, form: ModelForm) -> Absence:
        return accounts.record_absence(by=request.user, absence_id=form.instance.pk, **form.cleaned_data)

    def remove(self, request: HttpRequest, record: Absence) -> None:
        accounts.remove_absence(absence=record, by=request.user)


@admin.register(SignIn)
class SignInAdmin(ReadOnlyDesk):
    """Who is signed in at the API."""

    list_display = ("user", "created_at", "last_used_at", "expires_at", "revoked_at", "ip_address")
    list_select_related = ("user",)
    search_fields = ("user__full_name", "user__email")
    fields = ("user", "ip_address", "user_agent", "created_at", "last_used_at", "expires_at", "revoked_at")
    when_empty = _("Nobody has signed in at the API.")

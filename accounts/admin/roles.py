"""The back office for roles: those of the system to read, further ones to make."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Case, Count, QuerySet, Value, When
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import rights, rules
from accounts import services as accounts
from accounts.models import RoleGroup, User
from audit.wording import role_in_words
from clearance.admin.desk import DeskAdmin
from clearance.admin.verbs import Verb

MOST_NAMED = 50

admin.site.unregister(Group)  # RoleGroup is what people know it as


def _rights_of(role: RoleGroup) -> frozenset[str]:
    pairs = role.permissions.order_by().values_list("content_type__app_label", "codename")
    return frozenset(f"{app}.{codename}" for app, codename in pairs)


class RoleForm(forms.ModelForm):
    permissions = forms.MultipleChoiceField(label=_("Allows"), required=False, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = RoleGroup
        fields = ("name",)
        labels = {"name": _("Name")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "permissions" in self.fields:
            self.fields["permissions"].choices = rights.choices(rules.grantable())
            self.fields["permissions"].initial = sorted(_rights_of(self.instance)) if self.instance.pk else []

    def validate_unique(self) -> None:
        """The service says which names are taken."""


class KindFilter(admin.SimpleListFilter):
    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("further", _("Further roles")), ("system", _("From department and role"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "system":
            return queryset.filter(name__in=rules.system_role_names())
        return queryset.exclude(name__in=rules.system_role_names()) if self.value() == "further" else queryset


@admin.register(RoleGroup)
class RoleAdmin(DeskAdmin):
    """Whoever sees people sees roles; whoever changes people makes roles, of the rights that they have."""

    form = RoleForm
    list_display = ("told", "kind", "held", "allowed")
    list_filter = (KindFilter,)
    search_fields = ("name",)
    sortable_by = ()
    when_empty = _("No role matches.")
    verbs = (
        Verb(
            name="delete",
            label=_("Delete"),
            explanation=_("The role goes for good. While people hold it, it stays: take it from them first."),
            permission="accounts.change_user",
            run=lambda role, *, by, at: accounts.delete_role(role_id=role.pk, by=by),
            fits=lambda role, _request: role.name not in rules.system_role_names(),
            done=_("{object} is deleted."),
            is_dangerous=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[RoleGroup]:
        is_system = Case(When(name__in=rules.system_role_names(), then=Value(1)), default=Value(0))
        return RoleGroup.objects.annotate(
            is_system=is_system,
            people=Count("user", distinct=True),
            allowed=Count("permissions", distinct=True),
        )

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("is_system", "name")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("name", "permissions")
        return (
            ("name", "permissions", "held_by")
            if self._may_change(request, obj)
            else ("told", "origin", "allows", "held_by")
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("told", "origin", "allows", "held_by")

    # Who may what -----------------------------------------------------------------------------------------------------
    def _may_change(self, request: HttpRequest, obj: Any = None) -> bool:
        is_fixed = obj is not None and obj.name in rules.system_role_names()
        return not is_fixed and bool(request.user.has_perms(["accounts.view_user", "accounts.change_user"]))

    has_add_permission = has_change_permission = _may_change

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is a verb for it: the stock page would list links between tables."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("accounts.view_user"))

    # Through the desk -------------------------------------------------------------------------------------------------
    def take_on(self, request: HttpRequest, form: ModelForm) -> RoleGroup:
        return accounts.add_role(by=request.user, **form.cleaned_data)

    def amend(self, request: HttpRequest, form: ModelForm) -> RoleGroup:
        return accounts.amend_role(role_id=form.instance.pk, by=request.user, **form.cleaned_data)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        answer = super().render_change_form(request, context, *args, obj=obj, **kwargs)
        if obj is not None:
            answer.context_data["title"] = role_in_words(obj.name)
        return answer

    # What is shown ----------------------------------------------------------------------------------------------------
    @admin.display(description=_("name"))
    def told(self, role: RoleGroup) -> str:
        return role_in_words(role.name)

    @admin.display(description=_("kind"))
    def kind(self, role: RoleGroup) -> str:
        return gettext("from department and role") if role.is_system else gettext("further role")

    @admin.display(description=_("kind"))
    def origin(self, role: RoleGroup) -> str:
        """The kind on the role's own page, with what it means."""
        if role.name not in rules.system_role_names():
            return gettext("further role")
        return gettext(
            "Whoever has this department and role holds it. It stays as it is; add a role for anything else."
        )

    @admin.display(description=_("people"))
    def held(self, role: RoleGroup) -> int:
        return int(role.people)

    @admin.display(description=_("rights"))
    def allowed(self, role: RoleGroup) -> int:
        return int(role.allowed)

    @admin.display(description=_("Allows"))
    def allows(self, role: RoleGroup) -> SafeString | str:
        kinds = [
            (kind, format_html_join("", "<li>{}</li>", ((words,) for _name, words in group)))
            for kind, group in rights.choices(_rights_of(role))
        ]
        lines = format_html_join("", '<div><dt>{}</dt><dd><ul class="plain">{}</ul></dd></div>', kinds)
        return format_html('<dl class="rights">{}</dl>', lines) if kinds else gettext("Nothing.")

    @admin.display(description=_("Held by"))
    def held_by(self, role: RoleGroup) -> str:
        names = list(User.objects.filter(groups=role).values_list("full_name", flat=True)[: MOST_NAMED + 1])
        return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")

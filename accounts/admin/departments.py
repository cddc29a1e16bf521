"""The back office for divisions and absences."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import services as accounts
from accounts.models import (
    Absence,
    Division,
)
from clearance.admin.desk import DeskAdmin
from clearance.clock import day_of


@admin.register(Division)
class DivisionAdmin(DeskAdmin):
    list_display = ("name", "code")
    when_empty = _("No division yet: everybody sees every shipment. An administrator adds divisions here.")

    def take_on(self, request: HttpRequest, form: ModelForm) -> Division:
        return accounts.save_division(division=form.instance, by=request.user)

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

"""By what the list of shipments is narrowed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from clearance.admin.lists import DefaultedFilter
from clearance.clock import day_of
from shipments import rules
from shipments.choices import Risk
from shipments.models import MAX_ETA_EDITS


class RiskFilter(admin.SimpleListFilter):
    title = _("risk")
    parameter_name = "risk"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("near", _("Day 4 or later")), *Risk.choices]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        today = day_of(timezone.now())
        if self.value() == "near":
            return queryset.uncleared().filter(eta__lte=_day(Risk.WARNING, today))
        if self.value() not in Risk.values:
            return queryset
        starts = [Risk.DEMURRAGE, Risk.URGENT, Risk.CRITICAL, Risk.WARNING, Risk.ON_TIME]
        if self.value() == Risk.EXPECTED:
            return queryset.uncleared().filter(eta__gt=today)
        place = starts.index(Risk(self.value()))
        found = queryset.uncleared().filter(eta__lte=_day(starts[place], today))
        return found.filter(eta__gt=_day(starts[place - 1], today)) if place else found


class EtaFilter(admin.SimpleListFilter):
    title = _("ETA")
    parameter_name = "arrives"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("past", _("Has passed")),
            ("unrecorded", _("Has passed, arrival not recorded")),
            ("week", _("Within seven days")),
            ("month", _("Within thirty days")),
            ("later", _("Later")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        today = day_of(timezone.now())
        if self.value() == "past":
            return queryset.filter(eta__lt=today)
        if self.value() == "unrecorded":
            return queryset.filter(eta__lt=today, ata=None)
        if self.value() in ("week", "month"):
            days = 7 if self.value() == "week" else 30
            return queryset.filter(eta__gte=today, eta__lte=today + timedelta(days=days))
        return queryset.filter(eta__gt=today + timedelta(days=30)) if self.value() == "later" else queryset


class EtaChangesFilter(admin.SimpleListFilter):
    title = _("ETA changes")
    parameter_name = "eta_changes"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("none", _("Never changed")), ("some", _("Changed")), ("none_left", _("No change left"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "none_left":
            return queryset.filter(eta_edit_count=MAX_ETA_EDITS)
        if self.value() in ("none", "some"):
            changed = Q(eta_edit_count__gt=0)
            return queryset.filter(changed if self.value() == "some" else ~changed)
        return queryset


class DivisionFilter(admin.RelatedFieldListFilter):
    """Names the shipments without a division."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.empty_value_display = gettext("none")


class DeletedFilter(DefaultedFilter):
    """Only for those who may restore."""

    title = _("deletion")
    parameter_name = "deleted"
    default = "no"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("Not deleted")), ("yes", _("Deleted"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.existing() if self.value() == "no" else queryset.exclude(deleted_at=None)


def _day(risk: Risk, today: date) -> date:
    """The latest ETA of a shipment that is at this risk today."""
    return today - timedelta(days=next(day for day, one in rules.RISK_FROM_DAY if one == risk))

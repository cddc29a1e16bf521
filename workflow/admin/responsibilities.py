"""The back office for responsibilities: who is PPR and APR of which step."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from accounts.choices import WORKING_DEPARTMENTS, Department
from accounts.models import User
from clearance.admin.desk import DeskAdmin
from clearance.admin.verbs import Verb, VerbForm
from workflow import services as workflow
from workflow.models import DepartmentFallback, Responsibility, TemplateStep


class ResponsibilityForm(forms.ModelForm):
    """Asks for the step by its name; procedure and number follow from it."""

    step = forms.ChoiceField(label=_("Step"))

    class Meta:
        model = Responsibility
        fields = ("division", "ppr", "apr")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "division" not in self.fields:  # shown to somebody who may only read
            return
        self.fields["division"].empty_label = _("every division")
        steps = TemplateStep.objects.filter(template__is_current=True).select_related("template")
        self.fields["step"].choices = [
            (f"{step.template.code}:{step.step_number}", f"{step} ({step.get_department_display()})") for step in steps
        ]
        if self.instance.pk:
            self.fields["step"].initial = f"{self.instance.template_code}:{self.instance.step_number}"

    def clean(self) -> dict[str, Any]:
        if step := self.cleaned_data.get("step"):
            code, number = step.split(":")
            self.instance.template_code, self.instance.step_number = code, Decimal(number)
        return super().clean()

    def _get_validation_exclusions(self) -> set[str]:
        chosen = {"template_code", "step_number"} if self.cleaned_data.get("step") else set()
        return super()._get_validation_exclusions() - chosen


class ApplyForm(VerbForm):
    departments = forms.MultipleChoiceField(
        label=_("Open steps of"),
        choices=[(department.value, department.label) for department in WORKING_DEPARTMENTS],
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["departments"]
        if not self.by.is_admin:
            field.choices = [choice for choice in field.choices if choice[0] == self.by.department]
        field.initial = [value for value, _label in field.choices]


def _apply(*, departments: Collection[str], by: User, at: datetime) -> Any:
    changed = workflow.apply_responsibilities(departments=departments, by=by, at=at)
    return ngettext_lazy("%d open step", "%d open steps", changed) % changed


class DutyAdmin(DeskAdmin):
    """Rows of the matrix and fallbacks: whoever leads the department, or administers, writes them."""

    autocomplete_fields = ("ppr", "apr")
    verbs = (
        Verb(
            name="apply",
            label=_("Apply to open steps"),
            explanation=_(
                "Assigns every open step of active shipments to whom the responsibilities name today. Without this, "
                "a change counts for new shipments only."
            ),
            permission="workflow.change_departmentfallback",
            run=_apply,
            form=ApplyForm,
            on_list=True,
            done=_("Assigned anew: {object}."),
        ),
    )

    def take_on(self, request: HttpRequest, form: ModelForm) -> Any:
        workflow.save_duty(duty=form.instance, by=request.user)
        return form.instance

    amend = take_on

    def remove(self, request: HttpRequest, record: Any) -> None:
        workflow.remove_duty(duty=record, by=request.user)


@admin.register(Responsibility)
class ResponsibilityAdmin(DutyAdmin):
    form = ResponsibilityForm
    fields = ("step", "division", "ppr", "apr")
    list_display = ("named", "for_division", "ppr", "apr")
    list_select_related = ("division", "ppr", "apr")
    list_filter = ("division",)
    search_fields = ("ppr__full_name", "apr__full_name")
    search_help_text = _("Names of people.")
    when_empty = _("No step has people of its own yet: each goes to its department’s fallback.")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The choice of a step is for who may choose; whoever may only read sees its number."""
        may_write = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return self.fields if may_write else ("step_number", *self.fields[1:])

    def prepare(self, rows: list[Responsibility], request: HttpRequest) -> None:
        facts = TemplateStep.objects.filter(step_number__in=[row.step_number for row in rows])
        names = {
            (step.template.code, step.step_number): f"{step} ({step.get_department_display()})"
            for step in facts.select_related("template").order_by("template__version")
        }
        for row in rows:
            row.name = names.get((row.template_code, row.step_number), str(row.step_number))

    @admin.display(description=_("step"), ordering="step_number")
    def named(self, row: Responsibility) -> str:
        return row.name

    @admin.display(description=_("division"))
    def for_division(self, row: Responsibility) -> Any:
        return row.division or _("every division")


@admin.register(DepartmentFallback)
class FallbackAdmin(DutyAdmin):
    list_display = ("for_department", "ppr", "apr")
    list_select_related = ("ppr", "apr")
    when_empty = _("No department has a fallback yet: its steps go to its head, then to administrators.")

    @admin.display(description=_("department"), ordering="department")
    def for_department(self, row: DepartmentFallback) -> Any:
        return Department(row.department).label

"""The back office for steps: the list, and what one does with a step."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts import selectors as people
from accounts.choices import OWN_STEPS_ONLY, WORKING_DEPARTMENTS
from clearance import text
from clearance.admin.desk import ReadOnlyDesk
from clearance.admin.display import pill
from clearance.admin.lists import DefaultedFilter, DeskList
from clearance.admin.verbs import DateInput, ReasonForm, Verb, VerbForm
from clearance.clock import day_of
from clearance.errors import DomainError
from shipments.choices import Status
from shipments.models import Shipment
from workflow import rules
from workflow import services as workflow
from workflow.choices import Due, StepStatus
from workflow.models import WorkflowStep

_STEP_NUMBER = re.compile(r"[0-9]{1,3}(\.[0-9])?")


# Steps: who may do what now ------------------------------------------------------------------------------------------
def _is_theirs(step: WorkflowStep, request: HttpRequest) -> bool:
    """Whether the person could complete the step, were it open."""
    if not hasattr(request, "stands_in_for"):  # asked once for all the rows of a page
        request.stands_in_for = people.stands_in_for(request.user, on=day_of(timezone.now()))
    try:
        rules.acts_for(step, request.user, stands_in_for=request.stands_in_for)
        rules.require_by_hand(step)
    except DomainError:
        return False
    return step.shipment.status != Status.CANCELLED and step.shipment.deleted_at is None


def _can_be_completed(step: WorkflowStep, request: HttpRequest) -> bool:
    return step.actual_date is None and _is_theirs(step, request)


def _can_be_skipped(step: WorkflowStep, request: HttpRequest) -> bool:
    return step.is_optional and not step.is_closed and _is_theirs(step, request)


def _can_be_reopened(step: WorkflowStep, request: HttpRequest) -> bool:
    return (
        step.is_closed
        and not step.filled_by_field
        and step.shipment.status != Status.CANCELLED
        and step.shipment.deleted_at is None
        and rules.may_reopen_in(step.department, request.user)
    )


class StepFacts(VerbForm):
    """What to know about a step before one closes or reopens it."""

    def facts(self) -> list[tuple[Any, Any]]:
        step = self.target
        if step is None:
            return []
        done = [(_("Completed on"), step.actual_date)] if step.actual_date else []
        return [
            (_("Shipment"), f"{step.shipment} · {step.shipment.principal} · {step.shipment.brand}"),
            (_("What it is"), step.description),
            (_("Department"), step.get_department_display()),
            (_("Target date"), step.target_date),
            *done,
        ]


class CompleteForm(StepFacts):
    actual_date = forms.DateField(
        label=_("Done on"), widget=DateInput, help_text=_("Today, or the earlier day on which it was done.")
    )
    note = forms.CharField(label=_("Note"), max_length=500, required=False, widget=forms.TextInput({"size": 60}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["actual_date"].initial = self.on


class NoteForm(StepFacts):
    note = forms.CharField(label=_("Note"), max_length=500, required=False, widget=forms.TextInput({"size": 60}))


class ReopenForm(StepFacts, ReasonForm):
    pass


def _open_predecessors(done: workflow.Completion) -> Iterable[str]:
    for step in done.open_predecessors:
        sentence = gettext("Step %(number)s “%(name)s” (%(department)s) comes before and is still open.")
        yield sentence % {
            "number": step.step_number,
            "name": step.step_name,
            "department": step.get_department_display(),
        }


def _complete(step: WorkflowStep, **given: Any) -> workflow.Completion:
    return workflow.complete_step(step_id=step.pk, **given)


def _skip(step: WorkflowStep, **given: Any) -> WorkflowStep:
    return workflow.mark_not_required(step_id=step.pk, **given)


def _reopen(step: WorkflowStep, **given: Any) -> WorkflowStep:
    return workflow.reopen_step(step_id=step.pk, **given)


# Steps: the list -----------------------------------------------------------------------------------------------------
class WhoseFilter(DefaultedFilter):
    title = _("whose")
    parameter_name = "whose"

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        self.user = request.user
        self.default = "mine" if request.user.has_perm("workflow.complete_workflowstep") else "all"
        super().__init__(request, *args)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        mine = [("mine", _("My steps"))] if self.default == "mine" else []
        own = [("department", _("My department’s"))] if self.user.department in WORKING_DEPARTMENTS else []
        if self.user.department in OWN_STEPS_ONLY:
            return mine + own
        return [*mine, *own, ("all", _("Everybody’s"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "mine":
            return queryset.in_care_of(self.user, on=day_of(timezone.now()))
        if self.value() == "department":
            return queryset.filter(department=self.user.department)
        return queryset


class StatusFilter(DefaultedFilter):
    title = _("status")
    parameter_name = "status"
    default = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("Open")), *StepStatus.choices, ("all", _("All"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        if self.value() == "open":
            return queryset.open().of_active_shipments()
        found = queryset.having_status(self.value(), on=day_of(timezone.now()))
        is_open = self.value() in (StepStatus.PENDING, StepStatus.OVERDUE)
        return found.of_active_shipments() if is_open else found


class DueFilter(admin.SimpleListFilter):
    title = _("due")
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return Due.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.due(self.value(), on=day_of(timezone.now())) if self.value() in Due.values else queryset


class TurnFilter(admin.SimpleListFilter):
    title = _("turn")
    parameter_name = "turn"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("now", _("Nothing before it is open")),
            ("held", _("Waits for an earlier step")),
            ("first", _("First critical step of its department")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "first":
            return queryset.with_lead().filter(is_critical=True, leads=True)
        if self.value() in ("now", "held"):
            return queryset.with_hold().filter(is_held=self.value() == "held")
        return queryset


class StepList(DeskList):
    """Finance, C&C and Stores list their own department's steps; the page of a step shows any (C14)."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[WorkflowStep]:
        self.root_queryset = self.root_queryset.listed_for(request.user)
        return super().get_queryset(request, *args, **kwargs)


@admin.register(WorkflowStep)
class StepAdmin(ReadOnlyDesk):
    """Steps are read here and written by their verbs."""

    list_display = ("step", "of_shipment", "in_department", "due", "state", "who", "verbs_here")
    list_display_links = ("step",)
    list_filter = (WhoseFilter, StatusFilter, DueFilter, TurnFilter, "department", "is_critical")
    search_fields = ("shipment",)
    search_help_text = _("Words of the shipment’s number, principal, brand, papers or vessel; or a step’s number.")
    sortable_by = ()
    when_empty = _("Nothing is open here. Choose another filter to see other people’s or completed steps.")
    fieldsets = (
        (None, {"fields": ("of_shipment", "step", "what_it_is", "in_department", "kind")}),
        (_("When"), {"fields": ("target_date", "state", "actual_date", "note")}),
        (_("Who"), {"fields": ("ppr_user", "apr_user", "completed_by", "on_behalf_of", "completed_at", "via")}),
    )
    verbs = (
        Verb(
            name="complete",
            label=_("Complete"),
            explanation=_("Records that the step was done. The shipment is completed with its last mandatory step."),
            permission="workflow.complete_workflowstep",
            run=_complete,
            form=CompleteForm,
            fits=_can_be_completed,
            warns=_open_predecessors,
            done=_("Step {object} is completed."),
            many=_("Complete today"),
            at_once=True,
        ),
        Verb(
            name="not-required",
            label=_("Not required"),
            explanation=_("Records that this shipment does not need the optional step. It counts as closed, not late."),
            permission="workflow.complete_workflowstep",
            run=_skip,
            form=NoteForm,
            fits=_can_be_skipped,
            done=_("Step {object} is marked as not required."),
        ),
        Verb(
            name="reopen",
            label=_("Reopen"),
            explanation=_("Takes the completion back; a completed shipment becomes active again. Say why."),
            permission="workflow.reopen_workflowstep",
            run=_reopen,
            form=ReopenForm,
            fits=_can_be_reopened,
            done=_("Step {object} is open again."),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowStep]:
        found = WorkflowStep.objects.visible_to(request.user).with_status(on=day_of(timezone.now()))
        return found.select_related("shipment", "template_step", "ppr_user", "apr_user", "completed_by", "on_behalf_of")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Open steps by target date; where years of closed ones come along, the latest shipments first.

        Both orders have an index: sorting millions of steps takes seconds.
        """
        closed_too = request.GET.get("status") in ("all", StepStatus.COMPLETED, StepStatus.NOT_REQUIRED)
        return ("-id",) if closed_too else ("target_date", "id")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[StepList]:
        return StepList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        words = text.number(search_term)
        if not words:
            return queryset, False
        if _STEP_NUMBER.fullmatch(words):
            return queryset.filter(step_number=Decimal(words)), False
        return queryset.filter(shipment__in=Shipment.objects.matching(words).order_by()), False

    def prepare(self, rows: list[WorkflowStep], request: HttpRequest) -> None:
        back, today = request.get_full_path(), day_of(timezone.now())
        for step in rows:
            step.buttons = self.buttons(request, step, back=back)
            step.days_overdue = (today - step.target_date).days if step.status == StepStatus.OVERDUE else 0

    def name_in_message(self, target: WorkflowStep) -> str:
        return f"{target.shipment} · {target}"

    @admin.display(description=_("step"), ordering="step_number")
    def step(self, step: WorkflowStep) -> str:
        return str(step)

    @admin.display(description=_("shipment"))
    def of_shipment(self, step: WorkflowStep) -> SafeString:
        url = reverse("admin:shipments_shipment_change", args=[step.shipment_id])
        label = f"{step.shipment.principal} · {step.shipment.brand}"
        return format_html('<a href="{}">{}</a> <span class="aside below">{}</span>', url, step.shipment, label)

    @admin.display(description=_("department"))
    def in_department(self, step: WorkflowStep) -> str:
        return step.get_department_display()

    @admin.display(description=_("target date"), ordering="target_date")
    def due(self, step: WorkflowStep) -> SafeString:
        days = getattr(step, "days_overdue", 0)
        late = ngettext("%(days)d day late", "%(days)d days late", days) % {"days": days} if days else ""
        day = date_format(step.target_date)
        return format_html('<span class="number">{}</span> <span class="aside below short">{}</span>', day, late)

    @admin.display(description=_("status"))
    def state(self, step: WorkflowStep) -> SafeString:
        critical = format_html(' <span class="mark">{}</span>', gettext("critical")) if step.is_critical else ""
        return format_html("{}{}", pill(StepStatus(step.status)), critical)

    @admin.display(description=_("PPR / APR"))
    def who(self, step: WorkflowStep) -> SafeString:
        return format_html('{} <span class="aside below">{}</span>', step.ppr_user or "–", step.apr_user or "")

    @admin.display(description="")
    def verbs_here(self, step: WorkflowStep) -> SafeString:
        links = ((one.url, one.label, step) for one in getattr(step, "buttons", ()))
        return format_html_join("", '<a class="button" href="{}">{}<span class="visually-hidden"> {}</span></a>', links)

    @admin.display(description=_("what it is"))
    def what_it_is(self, step: WorkflowStep) -> str:
        return step.description

    @admin.display(description=_("kind"))
    def kind(self, step: WorkflowStep) -> str:
        name = step.filled_by_field
        field = Shipment._meta.get_field(name).verbose_name if name else ""
        kinds = [
            gettext("critical: demurrage threatens while it is open") if step.is_critical else "",
            gettext("optional") if step.is_optional else "",
            gettext("completes itself when “%(field)s” is recorded") % {"field": field} if name else "",
        ]
        return "; ".join(filter(None, kinds)) or gettext("mandatory")

    @admin.display(description=_("completed via"))
    def via(self, step: WorkflowStep) -> str:
        return step.get_completed_via_display() or "–"

"""The list of shipments, the page with its timeline, and what one does with a shipment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from alerts.models import Alert
from audit import selectors as trail
from audit.models import AuditEntry
from audit.pages.history import READS_TRAIL
from clearance.admin.desk import DeskAdmin
from clearance.admin.display import pill
from clearance.admin.verbs import ReasonForm, Verb, VersionedForm
from clearance.clock import day_of
from shipments import services as shipments
from shipments.admin.display import tell_risk
from shipments.admin.filters import DeletedFilter, DivisionFilter, EtaChangesFilter, EtaFilter, RiskFilter
from shipments.admin.forms import EtaForm, ImportForm, ShipmentForm
from shipments.admin.importing import ImportPages, import_tracker
from shipments.choices import Status
from shipments.models import MAX_ETA_EDITS, Shipment
from workflow.choices import StepStatus
from workflow.models import WorkflowStep

_CLOSED = Q(not_required=True) | Q(actual_date__isnull=False)


# Verbs ---------------------------------------------------------------------------------------------------------------
def _change_eta(shipment: Shipment, **given: Any) -> Shipment:
    return shipments.change_eta(shipment_id=shipment.pk, **given)


def _cancel(shipment: Shipment, **given: Any) -> Shipment:
    return shipments.cancel(shipment_id=shipment.pk, **given)


def _delete(shipment: Shipment, **given: Any) -> None:
    shipments.delete(shipment_id=shipment.pk, **given)


def _restore(shipment: Shipment, **given: Any) -> Shipment:
    return shipments.restore(shipment_id=shipment.pk, **given)


def _is_active(shipment: Shipment, _request: HttpRequest) -> bool:
    return shipment.status == Status.ACTIVE and shipment.deleted_at is None


def _eta_may_move(shipment: Shipment, request: HttpRequest) -> bool:
    has_edits_left = shipment.eta_edit_count < MAX_ETA_EDITS
    return _is_active(shipment, request) and has_edits_left and request.user.is_in_business_unit()


# The admin -----------------------------------------------------------------------------------------------------------
@admin.register(Shipment)
class ShipmentAdmin(ImportPages, DeskAdmin):
    form = ShipmentForm
    change_form_template = "admin/shipments/shipment/change_form.html"
    list_display = (
        "shipment_number",
        "goods",
        "division",
        "arrival",
        "risk",
        "omr_at_risk",
        "progress",
        "status",
        "eta_edits",
    )
    list_select_related = ("division",)
    search_fields = ("shipment_number",)
    search_help_text = _("Words of the number, principal, brand, invoice, LC, bill of lading or vessel.")
    ordering = ("status", "eta", "id")  # active, cancelled, completed
    sortable_by = ("shipment_number", "arrival")
    when_empty = _("No shipment yet. The Business Unit registers them here, or imports its tracker.")
    verbs = (
        Verb(
            name="eta",
            label=_("Change ETA"),
            explanation=_("Every step is dated anew from the new ETA; dates on which steps were done stay."),
            permission="shipments.change_eta",
            run=_change_eta,
            form=EtaForm,
            fits=_eta_may_move,
            done=_("{object} is expected on {result.eta:%d/%m/%Y}."),
        ),
        Verb(
            name="cancel",
            label=_("Cancel"),
            explanation=_(
                "The shipment stays visible, nothing more can be done on it, and nobody is alerted. It can be restored."
            ),
            permission="shipments.cancel_shipment",
            run=_cancel,
            form=ReasonForm,
            fits=_is_active,
            done=_("{object} is cancelled."),
            many=_("Cancel"),
            is_dangerous=True,
        ),
        Verb(
            name="delete",
            label=_("Delete"),
            explanation=_(
                "The shipment disappears from every list and its number stays reserved. The head of the Business Unit "
                "or an administrator can restore it."
            ),
            permission="shipments.delete_shipment",
            run=_delete,
            form=VersionedForm,
            fits=lambda shipment, _request: shipment.deleted_at is None,
            done=_("{object} is deleted."),
            many=_("Delete"),
            is_dangerous=True,
        ),
        Verb(
            name="restore",
            label=_("Restore"),
            explanation=_("The shipment comes back with all its steps, active or completed as they say."),
            permission="shipments.restore_shipment",
            run=_restore,
            form=VersionedForm,
            fits=lambda shipment, _request: shipment.deleted_at is not None or shipment.status == Status.CANCELLED,
            done=_("{object} is restored."),
        ),
        Verb(
            name="import",
            label=_("Import tracker"),
            explanation=_(
                "Each row stands or falls alone: new numbers are registered, known ones amended, dates recorded. A "
                "blank cell never erases, and the same file again changes nothing."
            ),
            permission="shipments.import_shipment",
            run=import_tracker,
            form=ImportForm,
            on_list=True,
            done="",
            shows_result="admin/shipments/shipment/imported.html",
        ),
    )

    # Who sees what ---------------------------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Shipment]:
        """What the person sees; whoever may restore finds deleted ones too (the list hides them by default)."""
        if request.user.has_perm("shipments.restore_shipment"):
            return Shipment.objects.in_sight_of(request.user)
        return Shipment.objects.visible_to(request.user)

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = ["status", RiskFilter, EtaFilter, EtaChangesFilter, ("division", DivisionFilter), "transport_mode"]
        return [*filters, DeletedFilter] if request.user.has_perm("shipments.restore_shipment") else filters

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return queryset.matching(search_term), False

    def has_change_permission(self, request: HttpRequest, obj: Shipment | None = None) -> bool:
        is_open = obj is None or (obj.deleted_at is None and obj.status != Status.CANCELLED)
        return is_open and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Deleting is a verb of its own, which hides and never removes."""
        return False

    # The form --------------------------------------------------------------------------------------------------------
    def get_fieldsets(self, request: HttpRequest, obj: Shipment | None = None) -> Any:
        shared = [
            (
                _("Supplier’s papers"),
                {
                    "fields": (
                        "supplier_invoice_number",
                        "supplier_invoice_date",
                        "invoice_amount_omr",
                        "lc_number",
                        "lc_issuing_bank",
                    )
                },
            ),
            (
                _("Transport and cargo"),
                {
                    "fields": (
                        "transport_mode",
                        "bl_number",
                        "vessel",
                        "port_of_loading",
                        "port_of_discharge",
                        "sail_date",
                        "ata",
                        "container_count",
                        "quantity",
                        "quantity_unit",
                    )
                },
            ),
        ]
        goods = ("shipment_number", "principal", "brand", "division")
        if obj is None:
            return [(_("Shipment"), {"fields": (*goods, "eta")}), *shared]
        can_amend = self.has_change_permission(request, obj)
        version = ("version",) if can_amend else ()
        return [(_("Shipment"), {"fields": (*goods, *version)}), *shared]

    def take_on(self, request: HttpRequest, form: ModelForm) -> Shipment:
        return shipments.register(values=form.cleaned_data, by=request.user, at=timezone.now())

    def amend(self, request: HttpRequest, form: ModelForm) -> Shipment:
        given = form.cleaned_data
        return shipments.amend(
            shipment_id=form.instance.pk,
            changes={name: given[name] for name in form.changed_data if name != "version"},
            version=given["version"],
            by=request.user,
            at=timezone.now(),
        )

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is not None:
            stored = Shipment.objects.select_related("division", "created_by").get(pk=obj.pk)
            context |= self._overview(stored, request)
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def _overview(self, shipment: Shipment, request: HttpRequest) -> dict[str, Any]:
        """The shipment as it is stored (the form may hold other values), and its steps in SOP order."""
        today = day_of(timezone.now())
        page = self.admin_site.get_model_admin(WorkflowStep)
        steps = list(
            WorkflowStep.objects.filter(shipment=shipment)
            .with_status(on=today)
            .select_related("template_step", "ppr_user", "apr_user", "completed_by", "on_behalf_of")
            .order_by("step_number")
        )
        for step in steps:
            step.shipment = shipment
            step.pill = pill(StepStatus(step.status))
            step.buttons = page.buttons(request, step, back=f"{request.path}#step-{step.step_number}")
            step.days_overdue = (today - step.target_date).days if step.status == StepStatus.OVERDUE else 0
            step.entry = Shipment._meta.get_field(name).verbose_name if (name := step.filled_by_field) else ""
        self._tell([shipment], steps_of={shipment.pk: _counted(steps)})
        alerts = self.admin_site.get_model_admin(Alert).of_one(shipment, request)
        next_step = next((step for step in steps if not step.is_closed and not step.is_optional), None)
        return {
            "shipment": shipment,
            "steps": steps,
            "next_step": next_step,
            "alerts": alerts,
            "most_eta_edits": MAX_ETA_EDITS,
            "on": today,
        }

    def trail_beneath(self, request: HttpRequest, record: Shipment) -> QuerySet[AuditEntry]:
        """The history of a shipment is that of its steps too, and of the alerts that the person sees."""
        if request.user.has_perm(READS_TRAIL):
            return trail.under_shipment(record.pk)
        seen = Alert.objects.visible_to(request.user, on=day_of(timezone.now()))
        return trail.under_shipment(record.pk, alerts=seen)

    # The list --------------------------------------------------------------------------------------------------------
    def prepare(self, rows: list[Shipment], request: HttpRequest) -> None:
        """Count the steps of the page's shipments, and of no others."""
        counted = (
            WorkflowStep.objects.filter(shipment__in=[row.pk for row in rows])
            .order_by()
            .values("shipment")
            .annotate(
                closed=Count("pk", filter=Q(not_required=True) | Q(actual_date__isnull=False)), planned=Count("pk")
            )
            .values_list("shipment", "closed", "planned")
        )
        self._tell(rows, steps_of={pk: (closed, planned) for pk, closed, planned in counted} if rows else {})

    def _tell(self, rows: Iterable[Shipment], *, steps_of: dict[int, tuple[int, int]]) -> None:
        today = day_of(timezone.now())
        for row in rows:
            row.steps_closed, row.steps_planned = steps_of.get(row.pk, (0, 0))
            tell_risk(row, on=today)

    @admin.display(description=_("principal and brand"))
    def goods(self, shipment: Shipment) -> SafeString:
        return format_html('{} <span class="aside below">{}</span>', shipment.principal, shipment.brand)

    @admin.display(description=_("ETA"), ordering="eta")
    def arrival(self, shipment: Shipment) -> SafeString:
        told = shipment.days_told if shipment.status == Status.ACTIVE else ""
        return format_html(
            '<span class="number">{}</span> <span class="aside below short">{}</span>', date_format(shipment.eta), told
        )

    @admin.display(description=_("risk"))
    def risk(self, shipment: Shipment) -> SafeString | str:
        return shipment.risk_pill

    @admin.display(description=_("OMR at risk"))
    def omr_at_risk(self, shipment: Shipment) -> SafeString | str:
        return format_html('<span class="number">{}</span>', shipment.omr_told)

    @admin.display(description=_("steps"))
    def progress(self, shipment: Shipment) -> SafeString:
        return format_html(
            '<progress value="{}" max="{}"></progress> <span class="number">{}/{}</span>',
            shipment.steps_closed,
            shipment.steps_planned or 1,
            shipment.steps_closed,
            shipment.steps_planned,
        )

    @admin.display(description=_("ETA changes"))
    def eta_edits(self, shipment: Shipment) -> str:
        return gettext("%(used)d of %(most)d") % {"used": shipment.eta_edit_count, "most": MAX_ETA_EDITS}


def _counted(steps: list[WorkflowStep]) -> tuple[int, int]:
    return sum(step.is_closed for step in steps), len(steps)

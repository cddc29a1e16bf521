"""The back office for procedures."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from clearance.admin.desk import ReadOnlyDesk
from clearance.admin.verbs import Verb
from shipments.models import Shipment
from workflow import services as workflow
from workflow.models import TemplateStep, WorkflowTemplate


class TemplateSteps(admin.TabularInline):
    model = TemplateStep
    fields = ("step_number", "name", "department", "offset_days", "kind", "entry", "predecessors")
    readonly_fields = fields
    ordering = ("step_number",)
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("kind"))
    def kind(self, step: TemplateStep) -> str:
        return gettext("critical") if step.is_critical else gettext("optional") if step.is_optional else "–"

    @admin.display(description=_("completed by entry of"))
    def entry(self, step: TemplateStep) -> Any:
        return Shipment._meta.get_field(step.filled_by_field).verbose_name if step.filled_by_field else "–"

    @admin.display(description=_("predecessors"))
    def predecessors(self, step: TemplateStep) -> str:
        return ", ".join(map(str, step.depends_on)) or "–"


@admin.register(WorkflowTemplate)
class TemplateAdmin(ReadOnlyDesk):
    """Procedures are loaded as data; here one reads them and chooses the version for new shipments."""

    list_display = ("name", "version", "transport_mode", "division", "is_current", "created_at")
    list_select_related = ("division",)
    inlines = (TemplateSteps,)
    fields = ("name", "code", "version", "transport_mode", "division", "is_current", "created_at")
    when_empty = _("No procedure is loaded yet: run “manage.py load_reference_data”.")
    verbs = (
        Verb(
            name="use",
            label=_("Use for new shipments"),
            explanation=_(
                "Shipments registered from now on get this version. Earlier ones keep the version they have."
            ),
            permission="workflow.change_workflowtemplate",
            run=lambda template, *, by, at: workflow.use_template(template_id=template.pk, by=by),
            fits=lambda template, _request: not template.is_current,
            done=_("New shipments get {object}."),
        ),
    )

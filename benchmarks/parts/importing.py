"""The ways to bring a tracker into the database, from file to commit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import tablib
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from import_export import fields, resources, widgets
from simple_history.utils import bulk_create_with_history as bulk_with_history

from accounts.models import Division
from benchmarks import tracker
from benchmarks.parts import cast
from clearance import sheets
from clearance.clock import day_of
from shipments import imports
from shipments.imports import workbook
from shipments.models import Shipment
from workflow.models import DepartmentFallback, TemplateStep, WorkflowStep
from workflow.selectors import step_columns


def ours(path: str) -> dict[str, float]:
    by = cast.clerk()
    started = time.perf_counter()
    report = workbook.import_workbook(Path(path), name=path, by=by, at=timezone.now()).report
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "created": report.created, "unchanged": report.unchanged, "failed": report.failed}


@override_settings(SIMPLE_HISTORY_ENABLED=True)
def bulk_create_with_history(path: str) -> dict[str, float]:
    """Our reading, then django-simple-history's way: without staging, without a look at what exists already."""
    plan = _Plan()
    started = time.perf_counter()
    read = sheets.read(Path(path), name=path)
    rows = imports.tracker(read, steps=step_columns(), today=day_of(plan.at)).rows
    with transaction.atomic():
        shipments = [_shipment(row.fields, plan) for row in rows]
        bulk_with_history(shipments, Shipment, batch_size=1_000)
        steps = [
            step for shipment, row in zip(shipments, rows, strict=True) for step in plan.steps(shipment, row.steps)
        ]
        bulk_with_history(steps, WorkflowStep, batch_size=1_000)
    return {"seconds": time.perf_counter() - started, "created": len(shipments)}


def _shipment(values: Mapping[str, Any], plan: _Plan) -> Shipment:
    given = {**values, "division_id": plan.divisions.get(str(values.get("division", "")))}
    given.pop("division", None)
    return Shipment(**given, created_at=plan.at, updated_at=plan.at)


class _Plan:
    """The steps of a shipment as model instances; what they need from the database is read once."""

    def __init__(self) -> None:
        self.at: datetime = timezone.now()
        self.facts = list(TemplateStep.objects.filter(template__is_current=True))
        self.duties = {duty.department: duty for duty in DepartmentFallback.objects.all()}
        self.divisions = dict(Division.objects.values_list("name", "pk"))

    def steps(self, shipment: Shipment, dates: Mapping[Decimal, date]) -> list[WorkflowStep]:
        return [self._step(shipment, fact, dates.get(fact.step_number)) for fact in self.facts]

    def _step(self, shipment: Shipment, fact: TemplateStep, imported_on: date | None) -> WorkflowStep:
        is_entered = bool(fact.filled_by_field and getattr(shipment, fact.filled_by_field))
        on = imported_on or (self.at.date() if is_entered else None)
        duty = self.duties[fact.department]
        return WorkflowStep(
            shipment=shipment,
            template_step=fact,
            step_number=fact.step_number,
            step_name=fact.name,
            department=fact.department,
            offset_days=fact.offset_days,
            is_critical=fact.is_critical,
            is_optional=fact.is_optional,
            target_date=shipment.eta + timedelta(days=fact.offset_days),
            actual_date=on,
            ppr_user_id=duty.ppr_id,
            apr_user_id=duty.apr_id,
            completed_at=on and self.at,
            completed_via="import" if imported_on else "entry" if on else "",
            created_at=self.at,
            updated_at=self.at,
        )


# The peer that a user would take: django-import-export ------------------------------------------------------------
_COLUMNS = {
    "shipment_number": "Shipment #",
    "transport_mode": "Mode",
    "principal": "Supplier",
    "brand": "Brand",
    "supplier_invoice_number": "Inv No.",
    "supplier_invoice_date": "Inv Date",
    "lc_number": "LC No.",
    "lc_issuing_bank": "Issuing Bank",
    "invoice_amount_omr": "Inv Amount (OMR)",
    "bl_number": "B/L No.",
    "vessel": "Vessel",
    "port_of_loading": "POL",
    "port_of_discharge": "POD",
    "sail_date": "Sail Date",
    "container_count": "Containers",
    "quantity": "Qty",
    "quantity_unit": "Unit",
    "eta": "E.T.A",
    "ata": "A.T.A",
}


class _Dates(widgets.DateWidget):
    """Excel's dates arrive as moments."""

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Any:
        return value.date() if isinstance(value, datetime) else super().clean(value, row, **kwargs)


class _Tracker(resources.ModelResource):
    """As its documentation has it, every option at its default; the steps are planned after each row is saved."""

    division = fields.Field("division", "Division", widgets.ForeignKeyWidget(Division, "name"))

    class Meta:
        model = Shipment
        import_id_fields = ("shipment_number",)
        fields = (*_COLUMNS, "division")
        use_transactions = True

    def __init__(self) -> None:
        super().__init__()
        self.plan = _Plan()
        for name, column in _COLUMNS.items():
            field = self.fields[name]
            field.column_name = column
            if isinstance(field.widget, widgets.DateWidget):
                field.widget = _Dates()

    def before_save_instance(self, instance: Shipment, row: Any, **kwargs: Any) -> None:
        instance.created_at = instance.updated_at = self.plan.at

    def after_save_instance(self, instance: Shipment, row: Any, **kwargs: Any) -> None:
        dates = {Decimal(number): row[f"Step {number}"] for number, _ in tracker.STEPS}
        known = {number: on.date() for number, on in dates.items() if on}
        bulk_with_history(self.plan.steps(instance, known), WorkflowStep)


@override_settings(SIMPLE_HISTORY_ENABLED=True)
def import_export(path: str) -> dict[str, float]:
    """With django-simple-history beside it: its signals for the shipments, its bulk way for their steps."""
    resource = _Tracker()
    started = time.perf_counter()
    dataset = tablib.Dataset().load(Path(path).read_bytes(), format="xlsx")
    result = resource.import_data(dataset, raise_errors=True)
    return {"seconds": time.perf_counter() - started, "created": result.totals["new"]}

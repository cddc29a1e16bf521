"""Importing a tracker: each row stands or falls alone, all rows are written together.

Rows are judged one by one in memory, with the same rules as every other door; what is left goes to the database in a
fixed number of statements, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.db import connection, transaction
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from accounts.models import Division, User
from accounts.rules import require_permission
from alerts import services as alerts
from clearance import context, text
from clearance.clock import day_of
from clearance.errors import DomainError, NotFound
from shipments import rules
from shipments.choices import Status
from shipments.errors import ShipmentNumberTaken
from shipments.models import Shipment
from shipments.rows import Fault, ImportReport, TrackerRow
from shipments.services.set_back import set_backs
from shipments.services.staging import REQUIRED, Judged, write
from workflow import rules as workflow_rules
from workflow import services as workflow
from workflow.models import TemplateStep, WorkflowTemplate


@dataclass(frozen=True, slots=True)
class _Objection:
    """What is wrong with a row: the field or step number, its value, and why."""

    name: str
    value: object
    reason: str


class _RowRefused(Exception):
    """A row fails, with everything that is wrong with it."""

    def __init__(self, *objections: _Objection) -> None:
        self.objections = objections


@dataclass(slots=True)
class _Procedure:
    """The steps of a template: all numbers, the critical ones, those completed by hand, and the others' fields."""

    numbers: set[Decimal] = field(default_factory=set)
    critical: set[Decimal] = field(default_factory=set)
    by_hand: set[Decimal] = field(default_factory=set)
    entries: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Known:
    """What the rows are judged against, read once."""

    by: User | None
    today: date
    shipments: Mapping[str, Shipment]
    divisions: Mapping[str, Division]
    own_divisions: frozenset[int]
    templates: Sequence[WorkflowTemplate]
    procedures: Mapping[int, _Procedure]
    template_of: Mapping[int, int]


def import_rows(
    *,
    rows: Sequence[TrackerRow],
    by: User | None,
    at: datetime,
    faults: Iterable[Fault] = (),
    dry_run: bool = False,
    set_back: bool = False,
) -> ImportReport:
    """Register, amend and date shipments from tracker rows; a row that fails leaves no trace and stops no other.

    `by` is None for a command without a person: it may import, but not change an ETA. `faults` are those that the
    reading found already, for the report. A blank cell never erases. The same rows again change nothing. A row that
    would bring back a value that was replaced since fails, unless `set_back` says that this is wanted.

    :raises Forbidden: `by` may not import.
    """
    require_permission(by, "shipments.import_shipment")
    report = ImportReport(faults=list(faults))
    with transaction.atomic(), context.remarking(import_batch=uuid4().hex[:12]):
        _import(rows, report, by=by, at=at, set_back=set_back)
        if dry_run:
            transaction.set_rollback(True)
    report.faults.sort(key=lambda fault: fault.row)
    report.failed = len({fault.row for fault in report.faults})
    return report


def _import(rows: Sequence[TrackerRow], report: ImportReport, *, by: User | None, at: datetime, set_back: bool) -> None:
    known = _known(rows, by=by, today=day_of(at))
    judged: list[Judged] = []
    for row in rows:
        try:
            judged.append(_judge(row, known))
        except _RowRefused as refused:
            report.faults.extend(_fault(row, objection) for objection in refused.objections)
        except DomainError as error:
            report.faults.append(_fault(row, _objection(row, error)))

    new = [one for one in judged if one.shipment is None]
    old = [one for one in judged if one.shipment is not None]
    older = set_backs(old)
    if older and not set_back:
        report.faults.extend(older)
        failed = {fault.row for fault in older}
        old = [one for one in old if one.row.row not in failed]
    amended = [one for one in old if one.values]
    write(new=new, amended=amended, by=by, at=at)
    for one in new:
        if not one.shipment_id:  # registered by somebody else since we looked
            taken = ShipmentNumberTaken(number=one.row.fields["shipment_number"])
            report.faults.append(_fault(one.row, _objection(one.row, taken)))
    registered = [one for one in new if one.shipment_id]
    workflow.plan_steps(
        plans=[workflow.Plan(one.shipment_id, one.template_id, one.row.steps) for one in registered], at=at
    )
    moved = [one.shipment_id for one in amended if one.is_eta_change]
    workflow.reschedule(shipment_ids=moved, at=at)
    changes = workflow.record_dates(dates={one.shipment_id: one.row.steps for one in old}, at=at)
    touched = {one.shipment_id for one in amended} | {change.shipment_id for change in changes}
    workflow.follow_fields(shipment_ids=touched, at=at)
    workflow.settle(shipment_ids=touched | {one.shipment_id for one in registered if one.row.steps}, at=at)
    alerts.evaluate(shipment_ids=[*moved, *(one.shipment_id for one in registered)], at=at)

    report.created = len(registered)
    report.updated = len(touched)
    report.unchanged = len(old) - len(touched)
    report.corrections = _corrections(changes, old)
    if set_back:
        told = {(one.row, one.column) for one in report.corrections}
        report.corrections.extend(one for one in older if (one.row, one.column) not in told)


def _known(rows: Sequence[TrackerRow], *, by: User | None, today: date) -> _Known:
    numbers = RawSQL("SELECT lower(unnest(%s::text[]))", [[row.fields["shipment_number"] for row in rows]])
    # Locked in the order of their ids, so that two imports can't wait for each other.
    shipments = {
        text.key(shipment.shipment_number): shipment
        for shipment in Shipment.objects.alias(key=Lower("shipment_number"))
        .filter(key__in=numbers)
        .select_related("division")
        .locked()
        .order_by("id")
    }
    divisions = {key.casefold(): one for one in Division.objects.all() for key in (one.name, one.code)}
    return _Known(
        by=by,
        today=today,
        shipments=shipments,
        divisions=divisions,
        own_divisions=frozenset(by.divisions.values_list("pk", flat=True)) if by else frozenset(),
        templates=list(WorkflowTemplate.objects.in_use()),
        procedures=_procedures(),
        template_of=_templates_of([shipment.pk for shipment in shipments.values()]),
    )


def _procedures() -> dict[int, _Procedure]:
    procedures: dict[int, _Procedure] = {}
    for step in TemplateStep.objects.order_by():
        procedure = procedures.setdefault(step.template_id, _Procedure())
        procedure.numbers.add(step.step_number)
        if step.is_critical:
            procedure.critical.add(step.step_number)
        if step.filled_by_field:
            procedure.entries.add(step.filled_by_field)
        else:
            procedure.by_hand.add(step.step_number)
    return procedures


def _templates_of(shipment_ids: Sequence[int]) -> dict[int, int]:
    """The template that each shipment was registered with: the one of any of its steps."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT given.id, fact.template_id
            FROM unnest(%s::bigint[]) AS given (id)
            CROSS JOIN LATERAL (
                SELECT template_step_id FROM workflow_workflowstep WHERE shipment_id = given.id LIMIT 1
            ) AS any_step
            JOIN workflow_templatestep fact ON fact.id = any_step.template_step_id
            """,
            [list(shipment_ids)],
        )
        return dict(cursor.fetchall())


def _judge(row: TrackerRow, known: _Known) -> Judged:
    """:raises _RowRefused: :raises DomainError: why the row fails."""
    values = rules.normalised(row.fields)
    if "division" in values:
        division = known.divisions.get(str(values["division"]).casefold())
        if division is None:
            names = ", ".join(sorted({one.name for one in known.divisions.values()}))
            sentence = _("There is no division “{value}”. Choose one of: {names}.")
            raise _refused("division", values, sentence.format(value=values["division"], names=names))
        values["division"] = division
        if known.own_divisions and division.pk not in known.own_divisions:
            raise _refused("division", values, _("“{value}” is not one of your divisions.").format(value=division))
    shipment = known.shipments.get(text.key(values["shipment_number"]))
    judged = _judge_new(row, values, known) if shipment is None else _judge_known(row, values, shipment, known)
    _require_believable_steps(judged, known)
    return judged


def _judge_new(row: TrackerRow, values: dict[str, Any], known: _Known) -> Judged:
    if missing := [name for name in REQUIRED if name not in values]:
        sentence = _("A new shipment needs a value here.")
        raise _RowRefused(*(_Objection(name, "", sentence) for name in missing))
    division = values.get("division")
    template = workflow_rules.choose_template(
        known.templates,
        transport_mode=values.setdefault("transport_mode", "sea"),
        division_id=division.pk if division else None,
    )
    _foresee(values, row.steps, known.procedures[template.pk])
    return Judged(row, values, template_id=template.pk)


def _foresee(values: dict[str, Any], dates: Mapping[Decimal, date], procedure: _Procedure) -> None:
    """Add the `status` and `cleared_on` of a shipment that comes with its whole history.

    Only so that `workflow.settle`, which decides, finds them right already: to write a row twice costs four times as
    much as to write it once.
    """
    if procedure.critical and procedure.critical <= dates.keys():
        values["cleared_on"] = max(dates[number] for number in procedure.critical)
    is_complete = procedure.by_hand <= dates.keys() and procedure.entries <= values.keys()
    values["status"] = Status.COMPLETED if is_complete else Status.ACTIVE


def _judge_known(row: TrackerRow, values: dict[str, Any], shipment: Shipment, known: _Known) -> Judged:
    if known.own_divisions and shipment.division_id not in (None, *known.own_divisions):
        raise _refused("shipment_number", values, str(NotFound()))
    if shipment.deleted_at is not None:
        sentence = _("Shipment {value} was deleted. The head of the Business Unit can restore it.")
        raise _refused("shipment_number", values, sentence.format(value=shipment))
    rules.require_not_cancelled(shipment)
    eta = values.pop("eta", shipment.eta)
    del values["shipment_number"]  # by which it was found: its capitals stay as they are
    changed = rules.differing(shipment, values)
    if is_eta_change := eta != shipment.eta:
        rules.require_eta_editor(known.by)
        rules.require_active(shipment)
        rules.require_not_past(eta, today=known.today)
        rules.require_edit_left(shipment)
        changed["eta"] = eta
    return Judged(row, changed, shipment, shipment.pk, known.template_of.get(shipment.pk, 0), is_eta_change)


def _require_believable_steps(judged: Judged, known: _Known) -> None:
    if not judged.row.steps:
        return
    of_template = known.procedures[judged.template_id].numbers if judged.template_id else ()
    shipment = judged.shipment
    invoice_on = judged.values.get("supplier_invoice_date") or (shipment and shipment.supplier_invoice_date)
    eta = judged.values["eta"] if shipment is None else judged.values.get("eta", shipment.eta)
    earliest = workflow_rules.earliest_actual_date(invoice_on=invoice_on or None, eta=eta)
    objections = []
    for number, on in judged.row.steps.items():
        if number not in of_template:
            reason = _("This shipment's procedure has no step {number}.").format(number=number)
            objections.append(_Objection(str(number), on, reason))
            continue
        try:
            workflow_rules.require_believable_date(on, earliest=earliest, today=known.today)
        except DomainError as error:
            objections.append(_Objection(str(number), on, str(error)))
    if objections:
        raise _RowRefused(*objections)


def _refused(name: str, values: Mapping[str, Any], reason: str) -> _RowRefused:
    return _RowRefused(_Objection(name, values.get(name, ""), reason))


def _objection(row: TrackerRow, error: DomainError) -> _Objection:
    name = error.field or "shipment_number"
    return _Objection(name, row.fields.get(name, ""), str(error))


def _fault(row: TrackerRow, objection: _Objection) -> Fault:
    return Fault(row.row, row.headings.get(objection.name, objection.name), str(objection.value), objection.reason)


def _corrections(changes: Iterable[workflow.DateChange], old: Iterable[Judged]) -> list[Fault]:
    row_of = {one.shipment_id: one.row for one in old}
    return [
        Fault(
            row_of[change.shipment_id].row,
            row_of[change.shipment_id].headings.get(str(change.step_number), str(change.step_number)),
            change.new.isoformat(),
            _("Step {number} was dated {old}; the sheet corrected it to {new}.").format(
                number=change.step_number, old=change.old, new=change.new
            ),
        )
        for change in changes
        if change.old is not None
    ]

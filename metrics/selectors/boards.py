"""What the departments' boards show: each is one statement over what the person sees, folded by the field's rules.

As of `on`, without any range: boards tell what to do, not how it went.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

from django.conf import settings
from django.db import connection
from django.db.models import (
    BooleanField,
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import Coalesce, Greatest, RowNumber

from accounts.choices import Department
from accounts.models import User
from alerts.models import Alert
from outbox.choices import Channel, Severity
from shipments import rules
from shipments.choices import Risk, Status
from shipments.models import MAX_ETA_EDITS, Shipment
from shipments.selectors import container_days
from workflow import rules as workflow_rules
from workflow.choices import Due
from workflow.models import WorkflowStep, WorkflowStepQuerySet

ONE_DAY = timedelta(days=1)
COMING_DAYS = 14  # that the boards look ahead
SCHEDULE_DAYS = 7
WEEKS = 5
MOST_NAMED = 5  # of the steps in one place of a schedule

# Source: SOP.
FUNDS_AVAILABLE = Decimal("8.0")
COLLECTED = Decimal("14.0")
RECEIVED = Decimal("16.0")


# Business Unit: are the ETAs true, and where does demurrage threaten --------------------------------------------------
@dataclass(slots=True)
class DivisionRisk:
    """The uncleared shipments of one division (None: of none) by how near they are to demurrage."""

    division_id: int | None
    name: str
    shipments: dict[Risk, int] = field(default_factory=lambda: dict.fromkeys(Risk, 0))
    omr_at_risk: Decimal = Decimal(0)  # of those from day 4 on


@dataclass(slots=True)
class Arrivals:
    """The active shipments by day of arrival and by ETA changes, the uncleared ones by risk."""

    coming: dict[date, int]  # today and the next days, also those without any
    unrecorded: int = 0  # their ETA has passed, and nobody has recorded the arrival
    moved: int = 0  # their ETA was changed
    fixed: int = 0  # their ETA can't be changed any more
    divisions: list[DivisionRisk] = field(default_factory=list)


def arrivals(user: User, *, on: date) -> Arrivals:
    """Tell the Business Unit how its ETAs stand, and where demurrage threatens."""
    rows = (
        Shipment.objects.visible_to(user)
        .active()
        .order_by("division__name", "eta")
        .values_list("division", "division__name", "eta")
        .annotate(
            shipments=Count("pk"),
            uncleared=Count("pk", filter=Q(cleared_on=None)),
            containers=Sum(Coalesce("container_count", 1), filter=Q(cleared_on=None)),
            unrecorded=Count("pk", filter=Q(eta__lt=on, ata=None)),
            moved=Count("pk", filter=Q(eta_edit_count__gt=0)),
            fixed=Count("pk", filter=Q(eta_edit_count=MAX_ETA_EDITS)),
        )
    )
    found = Arrivals(coming={on + days * ONE_DAY: 0 for days in range(COMING_DAYS)})
    of: dict[int | None, DivisionRisk] = {}
    for division, name, eta, shipments, uncleared, containers, unrecorded, moved, fixed in rows:
        if eta in found.coming:
            found.coming[eta] += shipments
        found.unrecorded += unrecorded
        found.moved += moved
        found.fixed += fixed
        if not uncleared:
            continue
        risk = cast("Risk", rules.risk(status=Status.ACTIVE, cleared_on=None, eta=eta, on=on))
        row = of.setdefault(division, DivisionRisk(division, name or ""))
        row.shipments[risk] += uncleared
        if risk not in (Risk.EXPECTED, Risk.ON_TIME):
            row.omr_at_risk += rules.omr_at_risk(
                container_count=containers, eta=eta, on=on, daily_rate_omr=settings.DEMURRAGE_DAILY_RATE_OMR
            )
    found.divisions = list(of.values())
    return found


# Finance: papers at the bank, and money that is needed ----------------------------------------------------------------
@dataclass(slots=True)
class StepDues:
    """One step of the procedure: on how many active shipments it is open, by when it is due."""

    step_number: Decimal
    step_name: str
    steps: dict[Due, int] = field(default_factory=lambda: dict.fromkeys(Due, 0))


@dataclass(slots=True)
class Funding:
    """Finance's open steps by due date; and the funds that open shipments require, by the week they are due in."""

    steps: list[StepDues]
    overdue_omr: Decimal
    weeks: dict[date, Decimal]  # by their first day, also those without any


def funding(user: User, *, on: date) -> Funding:
    """Tell Finance which papers are due when, and how much money must be cleared by when (SOP 8.0)."""
    rows = (
        WorkflowStep.objects.filter(Q(department=Department.FINANCE) | Q(step_number=FUNDS_AVAILABLE))
        .filter(is_optional=False)
        .visible_to(user)
        .of_active_shipments()
        .open()
        .order_by("step_number", "target_date")
        .values_list("step_number", "step_name", "department", "target_date")
        .annotate(steps=Count("pk"), funds=Sum("shipment__funds_required_omr"))
    )
    first = week_of(on)
    found = Funding([], Decimal(0), {first + week * 7 * ONE_DAY: Decimal(0) for week in range(WEEKS)})
    of: dict[tuple[Decimal, str], StepDues] = {}
    for number, name, department, target_date, steps, funds in rows:
        if department == Department.FINANCE:
            row = of.setdefault((number, name), StepDues(number, name))
            row.steps[workflow_rules.due(target_date, on=on)] += steps
        if number == FUNDS_AVAILABLE:
            if target_date < on:
                found.overdue_omr += funds
            elif (week := week_of(target_date)) in found.weeks:
                found.weeks[week] += funds
    found.steps = list(of.values())
    return found


def week_of(day: date) -> date:
    """The first day of its working week: a Sunday."""
    return day - (day.weekday() + 1) % 7 * ONE_DAY


# C&C: what is to be declared, paid and collected, day by day ----------------------------------------------------------
@dataclass(slots=True)
class Place:
    """A place in a schedule: how many steps belong there, and the first of them (as plain rows)."""

    total: int = 0
    containers: int = 0  # a shipment whose containers are unknown counts as one
    unknown: int = 0  # shipments whose containers are unknown
    steps: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class Schedule:
    """Critical steps (its columns, by number) by day; None stands for what is overdue already."""

    steps: dict[Decimal, str]
    days: dict[date | None, dict[Decimal, Place]]


def schedule(user: User, *, on: date) -> Schedule:
    """Tell C&C which shipments are to be declared, paid, released and collected in the next days.

    Of an overdue shipment only the first critical step counts: the others wait for it.
    """
    found = _first_of_each_place(
        _open_steps(Department.CUSTOMS)
        .filter(is_critical=True, target_date__lt=on + SCHEDULE_DAYS * ONE_DAY)
        .with_lead()
        .filter(Q(target_date__gte=on) | Q(leads=True))
        .visible_to(user)
        .of_active_shipments()
        .annotate(place=Greatest("target_date", Value(on - ONE_DAY))),
        on=on,
    )
    rows = list(found)
    columns = {row.step_number: row.step_name for row in sorted(rows, key=lambda row: row.step_number)}
    days: list[date | None] = [None, *(on + days * ONE_DAY for days in range(SCHEDULE_DAYS))]
    schedule = Schedule(columns, {day: {number: Place() for number in columns} for day in days})
    for row in rows:
        day = row.place if row.place >= on else None
        _put(row, schedule.days[day][row.step_number])
    return schedule


# Stores: what has been collected, what comes, what is to be confirmed -------------------------------------------------
@dataclass(slots=True)
class Receipts:
    """Goods on the way to the warehouse, and what is open about those that are there."""

    to_receive: Place  # collected, not received
    coming: dict[date, Place]  # not collected yet, by the day on which they are due at the warehouse
    delayed: Place  # not collected yet, and due at the warehouse before today
    to_settle: dict[tuple[Decimal, str], Place]  # received: confirmations and claims that are open


def receipts(user: User, *, on: date) -> Receipts:
    """Tell Stores what it should have received, what comes next, and what it still has to confirm or claim."""
    is_here = When(step_number=RECEIVED, then=Q(collection__actual_date__isnull=False))
    place = Case(When(is_here=True, then=None), default=Greatest("target_date", Value(on - ONE_DAY)))
    rows = _first_of_each_place(
        _open_steps(Department.STORES)
        .visible_to(user)
        .of_active_shipments()
        .annotate(
            collection=FilteredRelation("shipment__steps", condition=Q(shipment__steps__step_number=COLLECTED)),
            receipt=FilteredRelation("shipment__steps", condition=Q(shipment__steps__step_number=RECEIVED)),
            is_here=Case(is_here, default=Q(receipt__actual_date__isnull=False), output_field=BooleanField()),
            done_on=Case(When(step_number=RECEIVED, then="collection__actual_date"), default="receipt__actual_date"),
        )
        .filter(Q(is_here=True) | Q(step_number=RECEIVED, target_date__lt=on + COMING_DAYS * ONE_DAY))
        .annotate(place=place),
        "done_on",
        on=on,
    )
    found = Receipts(Place(), {on + days * ONE_DAY: Place() for days in range(COMING_DAYS)}, Place(), {})
    for row in rows:
        if row.place is not None:
            _put(row, found.coming[row.place] if row.place >= on else found.delayed)
        elif row.step_number == RECEIVED:
            _put(row, found.to_receive)
        else:
            _put(row, found.to_settle.setdefault((row.step_number, row.step_name), Place()))
    return found


def _open_steps(department: str) -> WorkflowStepQuerySet:
    return WorkflowStep.objects.filter(department=department, is_optional=False).open()


def _first_of_each_place(steps: QuerySet[WorkflowStep], *more: str, on: date) -> Iterable[Any]:
    """Select the first few steps of each `place` and number, what costs most first, with how many there are."""
    of: dict[str, Any] = {"partition_by": [F("place"), F("step_number")]}
    rank = Window(RowNumber(), order_by=[container_days(on=on).desc(), F("target_date").asc(), F("pk").asc()], **of)
    containers = Window(Sum(Coalesce("shipment__container_count", 1)), **of)
    unknown = Window(Count("pk", filter=Q(shipment__container_count=None)), **of)
    return (
        steps.annotate(rank=rank, total=Window(Count("pk"), **of), containers=containers, unknown=unknown)
        .filter(rank__lte=MOST_NAMED)
        .order_by("step_number", "rank")
        .values_list(
            "pk", "step_number", "step_name", "target_date", "shipment_id", "shipment__shipment_number",
            "shipment__principal", "place", "total", "containers", "unknown", *more, named=True,
        )
    )  # fmt: skip


def _put(row: Any, place: Place) -> None:
    place.total, place.containers, place.unknown = row.total, row.containers, row.unknown
    place.steps.append(row)


# Everybody: the demurrage clock ---------------------------------------------------------------------------------------
def demurrage_clock(user: User, *, on: date, most: int) -> tuple[list[Shipment], int]:
    """List the uncleared shipments from day 4 on, what costs most first, and count all of them.

    Each has the step that holds it (`holding`), its first open critical step: whoever is its PPR has it in hand.
    """
    first_day = next(day for day, risk in rules.RISK_FROM_DAY if risk == Risk.WARNING)
    critical = WorkflowStep.objects.open().filter(is_critical=True)
    earlier = critical.filter(shipment=OuterRef("shipment"), step_number__lt=OuterRef("step_number"))
    steps = (
        critical.filter(~Exists(earlier), shipment__eta__lte=on - first_day * ONE_DAY)
        .visible_to(user)
        .of_active_shipments()
        .annotate(container_days=container_days(on=on), total=Window(Count("pk")))
        .select_related("shipment__division", "ppr_user")
        .order_by("-container_days", "shipment__eta", "shipment_id")[:most]
    )
    for step in steps:
        step.shipment.holding = step  # type: ignore[attr-defined]
    total = steps[0].total if steps else 0  # type: ignore[attr-defined]
    return [step.shipment for step in steps], total


# Internal Audit: what is late, and whether the machinery runs ---------------------------------------------------------
def overdue_by_department(user: User, *, on: date) -> list[dict[str, Any]]:
    """Count the overdue steps of each department, those with the most critical ones first."""
    found: Any = (
        WorkflowStep.objects.visible_to(user)
        .of_active_shipments()
        .overdue(on=on)
        .order_by()
        .values("department")
        .annotate(steps=Count("pk"), critical=Count("pk", filter=Q(is_critical=True)), oldest=Min("target_date"))
        .order_by("-critical", "-steps")
    )
    return list(found)


def open_alerts(user: User, *, on: date) -> dict[str, int]:
    """Count the steps that open alerts are about: all, the urgent ones, those nobody answered, broken promises."""
    step = "workflow_step"
    return (
        Alert.objects.visible_to(user, on=on)
        .open()
        .aggregate(
            steps=Count(step, distinct=True),
            urgent=Count(step, distinct=True, filter=Q(severity=Severity.URGENT)),
            answered=Count(step, distinct=True, filter=Q(acknowledged_at__isnull=False)),
            broken=Count(step, distinct=True, filter=Q(promised_on__lt=on)),
        )
    )


@dataclass(frozen=True, slots=True)
class Post:
    """How a channel's messages stand: what waits, what was refused for good, and since when its carrier is down."""

    waiting: int
    dead: int
    down_since: Any


def post() -> dict[str, Post]:
    """Tell how each channel stands, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT channel, count(*) FILTER (WHERE delivery = 'waiting'), count(*) FILTER (WHERE delivery = 'dead'),
                   (SELECT down_since FROM outbox_carrier carrier WHERE carrier.channel = given.channel)
            FROM unnest(%s::text[]) AS given (channel)
            LEFT JOIN (
                SELECT channel, delivery FROM outbox_message WHERE delivery = 'waiting' OR delivery = 'dead'
            ) AS message USING (channel)
            GROUP BY channel
            """,
            [Channel.values],
        )
        return {channel: Post(*found) for channel, *found in cursor.fetchall()}

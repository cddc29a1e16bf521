"""The procedure as data (templates), who is responsible, and the steps of each shipment."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, Exists, F, Func, OuterRef, Q, Value, When
from django.utils.translation import gettext_lazy as _

from accounts.choices import DEPARTMENTS, OWN_STEPS_ONLY, Department
from accounts.models import Absence, Division, User
from audit.models import History
from clearance import text
from shipments.choices import Status, TransportMode
from shipments.models import Shipment
from workflow.choices import ENTRY_FIELDS, CompletedVia, Due, StepStatus

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class WorkflowTemplateQuerySet(models.QuerySet["WorkflowTemplate"]):
    def in_use(self) -> Self:
        """The version of each procedure that new shipments get."""
        return self.filter(is_current=True)


class WorkflowTemplate(models.Model):
    """One version of a procedure; shipments keep the version that they were registered with."""

    code = models.SlugField(_("procedure"), max_length=30)
    version = models.PositiveSmallIntegerField(_("version"))
    name = models.CharField(_("name"), max_length=120)
    transport_mode = models.CharField(
        _("for transport mode"), max_length=4, choices=TransportMode.choices, blank=True, help_text=_("Empty: any.")
    )
    division = models.ForeignKey(
        Division,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("for division"),
        help_text=_("Empty: any."),
    )
    is_current = models.BooleanField(_("in use for new shipments"), default=False)
    created_at = models.DateTimeField(_("loaded at"))

    objects = WorkflowTemplateQuerySet.as_manager()

    class Meta:
        ordering = ("code", "-version")
        verbose_name = _("workflow template")
        verbose_name_plural = _("workflow templates")
        constraints = [
            text.one_line("template_texts_are_of_one_line", "code", "name"),
            models.UniqueConstraint(
                fields=["code", "version"],
                name="template_version_is_unique",
                violation_error_message=_("This version of the procedure exists already."),
            ),
            models.UniqueConstraint(
                fields=["code"],
                condition=Q(is_current=True),
                name="template_has_one_version_in_use",
                violation_error_message=_("Another version of this procedure is in use. Take it out of use first."),
            ),
            models.UniqueConstraint(
                fields=["transport_mode", "division"],
                condition=Q(is_current=True),
                nulls_distinct=False,
                name="template_in_use_is_unambiguous",
                violation_error_message=_("Another procedure is in use for this transport mode and division."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class TemplateStep(models.Model):
    """One step of a procedure. `depends_on` holds the numbers of its predecessors."""

    template = models.ForeignKey(
        WorkflowTemplate, on_delete=models.PROTECT, related_name="steps", verbose_name=_("template")
    )
    step_number = models.DecimalField(_("number"), max_digits=4, decimal_places=1)
    name = models.CharField(_("name"), max_length=120)
    description = models.CharField(_("description"), max_length=255, blank=True)
    department = models.CharField(_("department"), max_length=20, choices=DEPARTMENTS)
    offset_days = models.SmallIntegerField(_("days from ETA"))
    is_critical = models.BooleanField(_("critical"), default=False)
    is_optional = models.BooleanField(_("optional"), default=False)
    filled_by_field = models.CharField(_("completed by entry of"), max_length=40, blank=True)
    depends_on = ArrayField(
        models.DecimalField(max_digits=4, decimal_places=1), default=list, blank=True, verbose_name=_("predecessors")
    )

    class Meta:
        ordering = ("template", "step_number")
        verbose_name = _("template step")
        verbose_name_plural = _("template steps")
        constraints = [
            text.one_line("template_step_texts_are_of_one_line", "name", "description"),
            models.UniqueConstraint(
                fields=["template", "step_number"],
                name="template_step_number_is_unique",
                violation_error_message=_("The procedure has a step of this number already."),
            ),
            models.CheckConstraint(
                name="template_step_is_critical_or_optional",
                condition=~Q(is_critical=True, is_optional=True),
                violation_error_message=_("A critical step can't be optional."),
            ),
            models.CheckConstraint(
                name="template_step_is_filled_by_a_known_field",
                condition=Q(filled_by_field__in=["", *sorted(ENTRY_FIELDS)]),
                violation_error_message=_("No such field of a shipment can complete a step."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step_number} {self.name}"


class _Duty(models.Model):
    ppr = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("PPR"),
        help_text=_("Primary person responsible. Empty: the next rule, in the end the head of the department."),
    )
    apr = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("APR"),
        help_text=_("Alternate person responsible."),
    )

    class Meta:
        abstract = True


class Responsibility(_Duty):
    """Who is responsible for a step of a procedure, for one division or (without one) for all."""

    template_code = models.SlugField(_("procedure"), max_length=30, default="clearance")
    step_number = models.DecimalField(_("step"), max_digits=4, decimal_places=1)
    division = models.ForeignKey(
        Division,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("division"),
        help_text=_("Empty: every division without a row of its own."),
    )

    class Meta:
        ordering = ("template_code", "step_number", "division")
        verbose_name = _("responsibility")
        verbose_name_plural = _("responsibilities")
        constraints = [
            models.UniqueConstraint(
                fields=["template_code", "step_number", "division"],
                nulls_distinct=False,
                name="responsibility_is_unique",
                violation_error_message=_("This step and division have a row already. Change that one."),
            ),
        ]

    def __str__(self) -> str:
        division = self.division or _("all divisions")
        return f"{self.step_number} · {division}"


class DepartmentFallback(_Duty):
    """Who is responsible for a department's steps that no responsibility names."""

    department = models.CharField(_("department"), max_length=20, choices=DEPARTMENTS, unique=True)

    class Meta:
        ordering = ("department",)
        verbose_name = _("department fallback")
        verbose_name_plural = _("department fallbacks")

    def __str__(self) -> str:
        return str(Department(self.department).label)


class WorkflowStepQuerySet(models.QuerySet["WorkflowStep"]):
    def open(self) -> Self:
        return self.filter(actual_date=None, not_required=False)

    def overdue(self, *, on: date) -> Self:
        """Open steps whose target date lies before `on`; optional ones are never late (C11)."""
        return self.open().filter(target_date__lt=on, is_optional=False)

    def pending(self, *, on: date) -> Self:
        """Open steps that are due on `on` or later, and the optional ones."""
        return self.open().filter(Q(target_date__gte=on) | Q(is_optional=True))

    def completed(self) -> Self:
        return self.exclude(actual_date=None)

    def with_status(self, *, on: date) -> Self:
        """Annotate `status`, as of `on`."""
        return self.annotate(
            status=Case(
                When(actual_date__isnull=False, then=Value(StepStatus.COMPLETED)),
                When(not_required=True, then=Value(StepStatus.NOT_REQUIRED)),
                When(target_date__lt=on, is_optional=False, then=Value(StepStatus.OVERDUE)),
                default=Value(StepStatus.PENDING),
                output_field=models.CharField(),
            )
        )

    def having_status(self, status: str, *, on: date) -> Self:
        """Only the steps with that status as of `on`; the same as filtering `with_status`, but with the indexes."""
        if status == StepStatus.COMPLETED:
            return self.completed()
        if status == StepStatus.NOT_REQUIRED:
            return self.filter(not_required=True)
        return self.overdue(on=on) if status == StepStatus.OVERDUE else self.pending(on=on)

    def due(self, when: str, *, on: date) -> Self:
        """Steps whose target date is that near, seen from `on`; see `rules.due`."""
        week = on + timedelta(days=7)
        return self.filter(
            {
                Due.PAST: Q(target_date__lt=on),
                Due.TODAY: Q(target_date=on),
                Due.WEEK: Q(target_date__gt=on, target_date__lte=week),
                Due.LATER: Q(target_date__gt=week),
            }[Due(when)]
        )

    def of_active_shipments(self) -> Self:
        return self.filter(shipment__status=Status.ACTIVE, shipment__deleted_at=None)

    def visible_to(self, user: User) -> Self:
        """Steps of the shipments that the person sees, whatever their department (C14)."""
        return self.filter(shipment__in=Shipment.objects.visible_to(user))

    def listed_for(self, user: User) -> Self:
        """`visible_to`, and for Finance, C&C and Stores only their own department's (C14)."""
        visible = self.visible_to(user)
        return visible.filter(department=user.department) if user.department in OWN_STEPS_ONLY else visible

    def with_hold(self) -> Self:
        """Annotate `is_held`: a step that comes before it in its shipment is open."""
        comes_before = Func(
            F("step_number"),
            OuterRef("template_step__depends_on"),
            template="%(expressions)s)",
            arg_joiner=" = ANY(",
            output_field=models.BooleanField(),
        )
        before = WorkflowStep.objects.open().filter(comes_before, shipment=OuterRef("shipment"))
        return self.annotate(is_held=Exists(before))

    def with_lead(self) -> Self:
        """Annotate `leads`: no earlier critical step of its department in the shipment is open."""
        earlier = WorkflowStep.objects.open().filter(
            is_critical=True,
            shipment=OuterRef("shipment"),
            department=OuterRef("department"),
            step_number__lt=OuterRef("step_number"),
        )
        return self.annotate(leads=~Exists(earlier))

    def in_care_of(self, user: User, *, on: date) -> Self:
        """Steps that the person answers for on that day.

        As PPR or APR, as the substitute of one who is absent, or as the head of the department while nobody active
        is named as PPR.
        """
        absent = Absence.objects.covering(on).filter(substitute=user).values("user_id")
        mine = Q(ppr_user=user) | Q(apr_user=user) | Q(ppr_user__in=absent) | Q(apr_user__in=absent)
        if user.is_head_of(user.department):
            nobody = ~Exists(User.objects.active().filter(pk=OuterRef("ppr_user_id")))
            mine |= Q(nobody, department=user.department)
        return self.filter(mine)

    def locked(self) -> Self:
        """Lock the steps by id; their shipment must be locked already."""
        return self.select_for_update(of=("self",), no_key=True).order_by("id")


def _person(label: StrOrPromise) -> models.ForeignKey[User | None, User | None]:
    """A person of a step: people are never deleted, so no foreign-key trigger for each of so many rows."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=label,
        db_constraint=False,
        db_index=False,
    )


class WorkflowStep(models.Model):
    """One step of the procedure for one shipment, due `offset_days` after its ETA."""

    shipment = models.ForeignKey(
        Shipment, on_delete=models.PROTECT, related_name="steps", verbose_name=_("shipment"), db_index=False
    )
    template_step = models.ForeignKey(
        TemplateStep, on_delete=models.PROTECT, related_name="+", verbose_name=_("template step"), db_index=False
    )
    step_number = models.DecimalField(_("number"), max_digits=4, decimal_places=1)
    step_name = models.CharField(_("step"), max_length=120)
    department = models.CharField(_("department"), max_length=20, choices=DEPARTMENTS)
    offset_days = models.SmallIntegerField(_("days from ETA"))
    is_critical = models.BooleanField(_("critical"))
    is_optional = models.BooleanField(_("optional"))

    target_date = models.DateField(_("target date"))
    actual_date = models.DateField(_("actual date"), null=True, blank=True)
    not_required = models.BooleanField(_("not required"), default=False)

    ppr_user = _person(_("PPR"))
    apr_user = _person(_("APR"))

    completed_by = _person(_("completed by"))
    on_behalf_of = _person(_("on behalf of"))
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)
    completed_via = models.CharField(_("completed via"), max_length=6, choices=CompletedVia.choices, blank=True)
    note = models.CharField(_("note"), max_length=500, blank=True)

    created_at = models.DateTimeField(_("created at"))
    updated_at = models.DateTimeField(_("updated at"))
    version = models.PositiveIntegerField(_("version"), default=1)

    objects = WorkflowStepQuerySet.as_manager()
    history = History()

    class Meta:
        ordering = ("shipment", "step_number")
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        default_permissions = ("view",)
        permissions = [
            ("complete_workflowstep", "Can complete a step"),
            ("reopen_workflowstep", "Can reopen a step"),
        ]
        indexes = [
            models.Index(
                "target_date",
                "id",
                name="step_target_open",
                include=["department"],
                condition=Q(actual_date=None, not_required=False),
            ),
            models.Index(
                "ppr_user", "target_date", name="step_ppr_open", condition=Q(actual_date=None, not_required=False)
            ),
            models.Index(
                "apr_user", "target_date", name="step_apr_open", condition=Q(actual_date=None, not_required=False)
            ),
            models.Index(
                "shipment",
                name="step_critical_open",
                include=["id", "department", "ppr_user", "apr_user"],
                condition=Q(is_critical=True, actual_date=None),
            ),
        ]
        constraints = [
            text.one_line("step_note_is_of_one_line", "note"),
            models.UniqueConstraint(
                fields=["shipment", "step_number"],
                name="step_number_is_unique",
                violation_error_message=_("The shipment has a step of this number already."),
            ),
            models.CheckConstraint(
                name="step_says_how_it_was_closed",
                condition=Q(actual_date=None, not_required=False, completed_via="", completed_at=None)
                | Q(actual_date__isnull=False, not_required=False, completed_via__gt="", completed_at__isnull=False)
                | Q(actual_date=None, not_required=True, completed_via__gt="", completed_at__isnull=False),
                violation_error_message=_("A closed step says how and when it was closed, an open one says nothing."),
            ),
            models.CheckConstraint(
                name="step_names_a_person_where_a_person_closed_it",
                condition=(Q(completed_by=None) & ~Q(completed_via=CompletedVia.PERSON))
                | Q(completed_by__isnull=False, completed_via=CompletedVia.PERSON),
                violation_error_message=_("A person is named exactly where a person completed the step."),
            ),
            models.CheckConstraint(
                name="step_not_required_is_optional",
                condition=Q(not_required=False) | Q(is_optional=True),
                violation_error_message=_("Only optional steps can be marked as not required."),
            ),
            models.CheckConstraint(
                name="step_acts_on_behalf_of_another",
                condition=Q(on_behalf_of=None) | Q(completed_by__isnull=False),
                violation_error_message=_("Only a person acts on behalf of another."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step_number} {self.step_name}"

    @property
    def is_closed(self) -> bool:
        return self.actual_date is not None or self.not_required

    @property
    def description(self) -> str:
        return self.template_step.description

    @property
    def filled_by_field(self) -> str:
        return self.template_step.filled_by_field

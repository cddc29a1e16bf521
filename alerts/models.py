"""Escalation rules as data, holidays, the alerts that were raised, and the sweeps that raised them."""

from __future__ import annotations

from datetime import date
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, Count, Exists, F, OuterRef, Q, Value, When
from django.utils.translation import gettext_lazy as _

from accounts.models import Absence, User
from alerts.choices import AlertState, Audience, Mail
from clearance import text
from outbox.choices import Severity
from outbox.models import Message
from shipments.choices import Status
from shipments.models import Shipment
from workflow.models import WorkflowStep


class EscalationRuleQuerySet(models.QuerySet["EscalationRule"]):
    def in_force(self, *, on: date) -> Self:
        return self.filter(starts_on__lte=on).filter(Q(ended_on=None) | Q(ended_on__gt=on))


class EscalationRule(models.Model):
    """A rung of the ladder: from which to which day after the ETA, how severe, and whom it alerts.

    A rule that covers several days is raised on each of them. It is never changed, only ended: alerts refer to it.
    """

    name = models.CharField(_("name"), max_length=80)
    from_day = models.PositiveSmallIntegerField(_("from day"))
    until_day = models.PositiveSmallIntegerField(_("until day"))
    severity = models.CharField(_("severity"), max_length=8, choices=Severity.choices)
    audiences = ArrayField(models.CharField(max_length=14, choices=Audience.choices), verbose_name=_("audiences"))
    starts_on = models.DateField(_("in force from"))
    ended_on = models.DateField(_("ended on"), null=True, blank=True, help_text=_("The first day without it."))

    objects = EscalationRuleQuerySet.as_manager()

    class Meta:
        ordering = ("from_day", "id")
        verbose_name = _("escalation rule")
        verbose_name_plural = _("escalation rules")
        default_permissions = ("add", "view")
        permissions = [("end_escalationrule", "Can end an escalation rule")]
        constraints = [
            text.one_line("escalation_rule_texts_are_of_one_line", "name"),
            models.CheckConstraint(
                name="rule_ends_after_it_starts",
                condition=Q(until_day__gte=F("from_day")),
                violation_error_message=_("The last day is the first day or later."),
            ),
            models.CheckConstraint(
                name="rule_covers_a_year_at_most",
                condition=Q(until_day__lte=365),
                violation_error_message=_("A rule ends after 365 days at most."),
            ),
            models.CheckConstraint(
                name="rule_has_an_audience",
                condition=Q(audiences__len__gt=0),
                violation_error_message=_("A rule alerts somebody."),
            ),
            models.CheckConstraint(
                name="rule_is_in_force_for_a_while",
                condition=Q(ended_on=None) | Q(ended_on__gte=F("starts_on")),
                violation_error_message=_("A rule does not end before it starts."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Holiday(models.Model):
    """A public holiday. Those that hang on the moon are estimated first and confirmed later."""

    on = models.DateField(_("date"), unique=True)
    name = models.CharField(_("name"), max_length=80)
    is_confirmed = models.BooleanField(_("confirmed"), default=False)

    class Meta:
        ordering = ("on",)
        verbose_name = _("holiday")
        verbose_name_plural = _("holidays")
        constraints = [text.one_line("holiday_texts_are_of_one_line", "name")]

    def __str__(self) -> str:
        return f"{self.on} {self.name}"


class AlertQuerySet(models.QuerySet["Alert"]):
    def open(self) -> Self:
        """Alerts whose step is still open and whose ETA and shipment still stand."""
        return self.filter(
            workflow_step__actual_date=None,
            workflow_step__not_required=False,
            eta_revision=F("shipment__eta_edit_count"),
            shipment__status=Status.ACTIVE,
            shipment__deleted_at=None,
        )

    def with_state(self) -> Self:
        """Annotate `state`: what became of the step first, then of the ETA, then of the shipment."""
        return self.annotate(
            state=Case(
                When(workflow_step__actual_date__isnull=False, then=Value(AlertState.RESOLVED)),
                When(workflow_step__not_required=True, then=Value(AlertState.RESOLVED)),
                When(~Q(eta_revision=F("shipment__eta_edit_count")), then=Value(AlertState.SUPERSEDED)),
                When(~Q(shipment__status=Status.ACTIVE), then=Value(AlertState.WITHDRAWN)),
                When(shipment__deleted_at__isnull=False, then=Value(AlertState.WITHDRAWN)),
                default=Value(AlertState.OPEN),
                output_field=models.CharField(),
            )
        )

    def having_state(self, state: str) -> Self:
        return self.with_state().filter(state=state)

    def newest_of_each_step(self) -> Self:
        """Of the rungs that one person got for one step since its ETA was last changed, only the highest."""
        same = self.model._default_manager.filter(
            workflow_step=OuterRef("workflow_step"),
            recipient_user=OuterRef("recipient_user"),
            eta_revision=OuterRef("eta_revision"),
        )
        higher = Q(days_post_eta__gt=OuterRef("days_post_eta"))
        higher |= Q(days_post_eta=OuterRef("days_post_eta"), pk__gt=OuterRef("pk"))
        return self.filter(~Exists(same.filter(higher)))

    def steps(self) -> int:
        """How many steps they are about."""
        steps: int = self.aggregate(steps=Count("workflow_step", distinct=True))["steps"]
        return steps

    def visible_to(self, user: User, *, on: date) -> Self:
        """Alerts of visible shipments: one's own, and all for Internal Audit, Management and administrators."""
        visible = self.filter(shipment__in=Shipment.objects.visible_to(user))
        return visible if user.has_oversight or user.is_admin else visible.addressed_to(user, on=on)

    def addressed_to(self, user: User, *, on: date) -> Self:
        """The person's own alerts, and those of the people whom they stand in for on that day."""
        absent = Absence.objects.covering(on).filter(substitute=user).values("user_id")
        return self.filter(Q(recipient_user=user) | Q(recipient_user__in=absent))


class Alert(models.Model):
    """One rung of one step, raised to one person. What became of it is derived, so that no race can leave it wrong."""

    shipment = models.ForeignKey(
        Shipment, on_delete=models.PROTECT, related_name="alerts", verbose_name=_("shipment"), db_index=False
    )
    workflow_step = models.ForeignKey(
        WorkflowStep, on_delete=models.PROTECT, related_name="alerts", verbose_name=_("step"), db_index=False
    )
    rule = models.ForeignKey(
        EscalationRule, on_delete=models.PROTECT, related_name="+", verbose_name=_("rule"), db_index=False
    )
    eta_revision = models.PositiveSmallIntegerField(_("ETA revision"))
    days_post_eta = models.PositiveSmallIntegerField(_("day after the ETA"))
    recipient_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("recipient"),
        db_constraint=False,
        db_index=False,
    )
    severity = models.CharField(_("severity"), max_length=8, choices=Severity.choices)

    due_on = models.DateField(_("due on"), help_text=_("The day of the rung, or the last working day before it."))
    is_late = models.BooleanField(_("raised late"), help_text=_("Raised after its day: the sweep had not run."))
    mail = models.CharField(_("mail"), max_length=6, choices=Mail.choices)
    outbox_message = models.ForeignKey(
        Message, on_delete=models.PROTECT, null=True, related_name="alerts", verbose_name=_("mail"), db_index=False
    )

    acknowledged_at = models.DateTimeField(_("acknowledged at"), null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("acknowledged by"),
        db_constraint=False,
        db_index=False,
    )
    promised_on = models.DateField(_("promised for"), null=True, blank=True)
    created_at = models.DateTimeField(_("raised at"))

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        default_permissions = ("view",)
        permissions = [("acknowledge_alert", "Can acknowledge own alerts")]
        indexes = [
            models.Index("recipient_user", "id", name="alert_recipient"),
            models.Index("shipment", name="alert_shipment"),
            models.Index("outbox_message", name="alert_message", condition=Q(outbox_message__isnull=False)),
            models.Index("recipient_user", name="alert_unmailed", condition=Q(outbox_message=None, mail=Mail.DIGEST)),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow_step", "days_post_eta", "eta_revision", "rule", "recipient_user"],
                name="alert_is_raised_once",
                violation_error_message=_("This rung was raised to this person already."),
            ),
            models.CheckConstraint(
                name="alert_acknowledged_says_by_whom",
                condition=Q(acknowledged_at=None, acknowledged_by=None, promised_on=None)
                | Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False),
                violation_error_message=_("An acknowledgement says who acknowledged, and when."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shipment} · {self.workflow_step}"

    @property
    def is_acknowledged(self) -> bool:
        return self.acknowledged_at is not None


class SweepRun(models.Model):
    """One run of the sweep: what it found, and how long it took."""

    on = models.DateField(_("for the day"))
    started_at = models.DateTimeField(_("started at"), db_index=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    shipments = models.PositiveIntegerField(_("shipments looked at"), default=0)
    raised = models.PositiveIntegerField(_("alerts raised"), default=0)
    late = models.PositiveIntegerField(_("of these late"), default=0)
    messages = models.PositiveIntegerField(_("mails written"), default=0)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), default=0)

    class Meta:
        ordering = ("-started_at",)
        verbose_name = _("sweep run")
        verbose_name_plural = _("sweep runs")
        default_permissions = ("view",)
        permissions = [("run_sweep", "Can run the sweep by hand")]

    def __str__(self) -> str:
        return f"{self.on}: {self.raised}"

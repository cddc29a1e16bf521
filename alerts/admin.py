"""The back office for alerts: the inbox, the ladder, the calendar, and how the sweep is."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts import selectors as people
from accounts.models import User
from accounts.pages.own_messages import MailForm, choose_mail
from alerts import selectors
from alerts import services as alerts
from alerts.choices import AlertState, Audience
from alerts.models import Alert, EscalationRule, Holiday, SweepRun
from clearance.admin.desk import DeskAdmin, ReadOnlyDesk
from clearance.admin.display import BUTTON, days_from, pill
from clearance.admin.lists import DefaultedFilter
from clearance.admin.verbs import DateInput, Verb, VerbForm
from clearance.clock import day_of
from outbox.choices import Severity
from shipments.admin.display import tell_risk
from shipments.models import Shipment
from shipments.selectors import container_days

MOST_OF_A_SHIPMENT = 50
STATE_EXPLAINED = {
    AlertState.OPEN: _("the step is open and the ladder goes on"),
    AlertState.RESOLVED: _("the step is closed"),
    AlertState.SUPERSEDED: _("the ETA was changed since; its alerts begin anew"),
    AlertState.WITHDRAWN: _("the shipment is completed, cancelled or deleted"),
}


# Alerts: verbs -------------------------------------------------------------------------------------------------------
def _own(request: HttpRequest) -> set[int]:
    """The person and those whom they stand in for, asked once for all the rows of a page."""
    if not hasattr(request, "stands_in_for"):
        request.stands_in_for = people.stands_in_for(request.user, on=day_of(timezone.now()))
    return {request.user.pk, *request.stands_in_for}


def _can_be_acknowledged(alert: Alert, request: HttpRequest) -> bool:
    return alert.state == AlertState.OPEN and alert.recipient_user_id in _own(request)


def _acknowledge(alert: Alert, **given: Any) -> Alert:
    return alerts.acknowledge(alert_id=alert.pk, **given)


class AcknowledgeForm(VerbForm):
    promised_on = forms.DateField(
        label=_("Will be done by"),
        required=False,
        widget=DateInput,
        help_text=_("Your promise; may stay empty. Others see it beside the alert."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.target is not None:
            self.fields["promised_on"].initial = self.target.promised_on

    def facts(self) -> list[tuple[Any, Any]]:
        alert = self.target
        if alert is None:
            return []
        tell_risk(alert.shipment, on=self.on)
        return [
            (_("Shipment"), f"{alert.shipment} · {alert.shipment.principal} · {alert.shipment.brand}"),
            (_("Step"), alert.workflow_step),
            (_("Target date"), alert.workflow_step.target_date),
            (_("Days after the ETA"), alert.shipment.days_since_eta(on=self.on)),
            (_("OMR at risk"), alert.shipment.omr_told),
        ]


def _choose_own_mail(*, by: User, **given: Any) -> User:
    return choose_mail(by, by=by, **given)


# Alerts: the inbox ---------------------------------------------------------------------------------------------------
class WhoseFilter(DefaultedFilter):
    title = _("whose")
    parameter_name = "whose"

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        self.user = request.user
        self.default = _default_of(request)
        super().__init__(request, *args)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        sees_all = request.user.has_oversight or request.user.is_admin
        return [("mine", _("My alerts")), *([("all", _("Everybody’s alerts"))] if sees_all else [])]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.addressed_to(self.user, on=day_of(timezone.now())) if self.value() == "mine" else queryset


def _default_of(request: HttpRequest) -> str:
    return "all" if request.user.is_admin else "mine"


class StateFilter(DefaultedFilter):
    title = _("state")
    parameter_name = "state"
    default = AlertState.OPEN

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*AlertState.choices, ("all", _("All"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == AlertState.OPEN:
            return queryset.open()
        return queryset if self.value() == "all" else queryset.filter(state=self.value())


class RungFilter(DefaultedFilter):
    """Who is alerted daily wants one row per step, not one per day."""

    title = _("rungs")
    parameter_name = "rungs"
    default = "newest"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("newest", _("The newest of each step")), ("all", _("All"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.newest_of_each_step() if self.value() == "newest" else queryset


class AcknowledgedFilter(admin.SimpleListFilter):
    title = _("acknowledged")
    parameter_name = "acknowledged"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("Not yet")), ("yes", _("Acknowledged")), ("broken", _("Promise has passed"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "broken":
            return queryset.filter(promised_on__lt=day_of(timezone.now()))
        if self.value() in ("no", "yes"):
            return queryset.filter(acknowledged_at__isnull=self.value() == "no")
        return queryset


@admin.register(Alert)
class AlertAdmin(ReadOnlyDesk):
    """What is late and what it costs; alerts are raised by the sweep, and acknowledged here."""

    list_display = ("level", "of_shipment", "of_step", "omr_at_risk", "target", "to", "answer", "verbs_here")
    list_display_links = None
    list_filter = (WhoseFilter, StateFilter, RungFilter, "severity", AcknowledgedFilter, "is_late")
    search_fields = ("shipment",)
    search_help_text = _("Words of the shipment’s number, principal, brand, papers or vessel.")
    sortable_by = ()
    when_empty = _("No open alert: nothing of yours is late from day 4 after its ETA on.")
    fieldsets = (
        (None, {"fields": ("sentence", "of_shipment", "of_step", "target", "omr_at_risk")}),
        (_("Alert"), {"fields": ("level", "told_state", "due", "created_at", "rule", "to")}),
        (_("Answer"), {"fields": ("answer",)}),
        (_("Mail"), {"fields": ("by_mail",)}),
    )
    verbs = (
        Verb(
            name="acknowledge",
            label=_("Acknowledge"),
            explanation=_(
                "Says that you have seen it, and by when the step will be done. The ladder goes on until it is done."
            ),
            permission="alerts.acknowledge_alert",
            run=_acknowledge,
            form=AcknowledgeForm,
            fits=_can_be_acknowledged,
            done=_("{object} is acknowledged."),
            many=_("Acknowledge"),
        ),
        Verb(
            name="mail",
            label=_("Choose my messages"),
            explanation=_(
                "Which alerts come to you, from the next sweep on. Here you see all of them, whatever you choose."
            ),
            permission="alerts.acknowledge_alert",
            run=_choose_own_mail,
            form=MailForm,
            on_list=True,
            done=_("Your choice counts from the next sweep on."),
        ),
    )

    # Who sees what ---------------------------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        today = day_of(timezone.now())
        found = Alert.objects.visible_to(request.user, on=today).with_state()
        return found.annotate(container_days=container_days(on=today)).select_related(
            "shipment", "workflow_step", "rule", "recipient_user", "acknowledged_by", "outbox_message"
        )

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Open ones by what they cost, then by target date; the others by time."""
        if request.GET.get("state", AlertState.OPEN) == AlertState.OPEN:
            return ("-container_days", "workflow_step__target_date", "-days_post_eta", "id")
        return ("-id",)

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        is_mine = request.GET.get("whose", _default_of(request)) == "mine" and len(_own(request)) == 1
        return tuple(name for name in self.list_display if name != "to" or not is_mine)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        if not search_term.strip():
            return queryset, False
        return queryset.filter(shipment__in=Shipment.objects.matching(search_term).order_by()), False

    def name_in_message(self, target: Alert) -> str:
        return f"{target.shipment} · {target.workflow_step}"

    # Elsewhere -------------------------------------------------------------------------------------------------------
    def waiting_for(self, request: HttpRequest, *, most: int) -> list[Alert]:
        """A person's own open alerts, what costs most first, one per step."""
        mine = self.get_queryset(request).addressed_to(request.user, on=day_of(timezone.now()))
        rows = list(mine.open().newest_of_each_step().order_by(*self.get_ordering(request))[:most])
        self.prepare(rows, request)
        return rows

    def of_one(self, shipment: Shipment, request: HttpRequest) -> list[Alert]:
        """The alerts of a shipment that the person sees, the newest first."""
        rows = list(self.get_queryset(request).filter(shipment=shipment).order_by("-id")[:MOST_OF_A_SHIPMENT])
        self.prepare(rows, request, back=f"{request.path}#alerts")
        return rows

    # The list --------------------------------------------------------------------------------------------------------
    def prepare(self, rows: list[Alert], request: HttpRequest, back: str = "") -> None:
        today = day_of(timezone.now())
        for alert in rows:
            tell_risk(alert.shipment, on=today)
            alert.buttons = self.buttons(request, alert, back=back or request.get_full_path())
            alert.severity_pill = pill(Severity(alert.severity))
            alert.state_pill = pill(AlertState(alert.state))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Alert | None:
        alert = super().get_object(request, object_id, from_field)
        if alert is not None:
            self.prepare([alert], request, back=request.path)
        return alert

    @admin.display(description=_("severity"))
    def level(self, alert: Alert) -> SafeString:
        late = format_html(' <span class="mark below">{}</span>', gettext("raised late")) if alert.is_late else ""
        day = gettext("for day %(day)d") % {"day": alert.days_post_eta}
        return format_html('{} <span class="aside below short">{}</span>{}', pill(Severity(alert.severity)), day, late)

    @admin.display(description=_("shipment"))
    def of_shipment(self, alert: Alert) -> SafeString:
        url = reverse("admin:shipments_shipment_change", args=[alert.shipment_id])
        label = f"{alert.shipment.principal} · {alert.shipment.brand}"
        return format_html(
            '<a href="{}"><bdi>{}</bdi></a> <span class="aside below">{}</span>', url, alert.shipment, label
        )

    @admin.display(description=_("step"))
    def of_step(self, alert: Alert) -> SafeString:
        url = reverse("admin:workflow_workflowstep_change", args=[alert.workflow_step_id])
        department = alert.workflow_step.get_department_display()
        return format_html(
            '<a href="{}">{}</a> <span class="aside below">{}</span>', url, alert.workflow_step, department
        )

    @admin.display(description=_("OMR at risk"))
    def omr_at_risk(self, alert: Alert) -> SafeString | str:
        if alert.state != AlertState.OPEN:
            return "–"
        day = gettext("day %(day)d") % {"day": alert.shipment.days_since_eta(on=day_of(timezone.now()))}
        return format_html(
            '<span class="number">{}</span> <span class="aside below short">{}</span>', alert.shipment.omr_told, day
        )

    @admin.display(description=_("target date"))
    def target(self, alert: Alert) -> SafeString:
        target, days = alert.workflow_step.target_date, 0
        if alert.state == AlertState.OPEN:
            days = max((day_of(timezone.now()) - target).days, 0)
        late = ngettext("%(days)d day late", "%(days)d days late", days) % {"days": days} if days else ""
        day = date_format(target)
        return format_html('<span class="number">{}</span> <span class="aside below short">{}</span>', day, late)

    @admin.display(description=_("sent to"))
    def to(self, alert: Alert) -> str:
        return str(alert.recipient_user)

    @admin.display(description=_("answer"))
    def answer(self, alert: Alert) -> SafeString | str:
        parts: list[SafeString | str] = []
        if alert.state != AlertState.OPEN:
            parts.append(pill(AlertState(alert.state)))
        if alert.is_acknowledged:
            stands_in = alert.acknowledged_by_id != alert.recipient_user_id
            parts.append(
                gettext("acknowledged by %(name)s") % {"name": alert.acknowledged_by}
                if stands_in
                else gettext("acknowledged")
            )
        if alert.promised_on:
            parts.append(self._promise(alert))
        return format_html_join(" ", "{}", ((part,) for part in parts)) or "–"

    @staticmethod
    def _promise(alert: Alert) -> SafeString:
        on = day_of(timezone.now())
        is_broken = alert.promised_on < on and alert.state == AlertState.OPEN
        sentence = gettext("promised for %(date)s") % {"date": date_format(alert.promised_on)}
        told = f"{sentence}, {days_from(alert.promised_on, on=on)}" if is_broken else sentence
        return format_html('<span class="{} below">{}</span>', "mark" if is_broken else "aside", told)

    @admin.display(description="", empty_value="")
    def verbs_here(self, alert: Alert) -> SafeString:
        links = ((one.url, one.label, self.name_in_message(alert)) for one in getattr(alert, "buttons", ()))
        return format_html_join("", BUTTON, links)

    # The page --------------------------------------------------------------------------------------------------------
    @admin.display(description=_("alert"))
    def sentence(self, alert: Alert) -> str:
        return selectors.told(
            number=alert.shipment.shipment_number,
            step_number=alert.workflow_step.step_number,
            step_name=alert.workflow_step.step_name,
            day=alert.days_post_eta,
        )

    @admin.display(description=_("state"))
    def told_state(self, alert: Alert) -> SafeString:
        state = AlertState(alert.state)
        return format_html('{} <span class="aside">{}</span>', pill(state), STATE_EXPLAINED[state])

    @admin.display(description=_("due on"))
    def due(self, alert: Alert) -> SafeString:
        nominal = alert.days_post_eta
        late = format_html(' <span class="mark">{}</span>', gettext("raised late")) if alert.is_late else ""
        day = gettext("day %(day)d") % {"day": nominal}
        return format_html("{} ({}){}", date_format(alert.due_on), day, late)

    @admin.display(description=_("mail"))
    def by_mail(self, alert: Alert) -> SafeString | str:
        message = alert.outbox_message
        if message is None:
            return alert.get_mail_display()
        at = date_format(timezone.localtime(message.sent_at), "DATETIME_FORMAT") if message.sent_at else ""
        return format_html("{} {}", message.get_delivery_display(), at)


# The ladder ----------------------------------------------------------------------------------------------------------
class RuleForm(forms.ModelForm):
    audiences = forms.MultipleChoiceField(
        label=_("Whom it alerts"), choices=Audience.choices, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = EscalationRule
        fields = ("name", "from_day", "until_day", "severity", "audiences", "starts_on")
        help_texts = {
            "from_day": _("Counted from the ETA. A rule that covers several days is raised on each of them."),
            "starts_on": _("What fell due since then is raised, late, by the next sweep."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "starts_on" in self.fields:
            self.fields["starts_on"].initial = day_of(timezone.now())


class EndForm(VerbForm):
    on = forms.DateField(label=_("First day without it"), widget=DateInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["on"].initial = self.on

    def facts(self) -> list[tuple[Any, Any]]:
        rule = self.target
        return [(_("Days"), _days(rule)), (_("Severity"), rule.get_severity_display()), (_("Alerts"), _audiences(rule))]


def _end(rule: EscalationRule, *, on: date, by: User, at: datetime) -> EscalationRule:
    return alerts.end_rule(rule_id=rule.pk, on=on, by=by)


def _days(rule: EscalationRule) -> str:
    return str(rule.from_day) if rule.from_day == rule.until_day else f"{rule.from_day} – {rule.until_day}"


def _audiences(rule: EscalationRule) -> str:
    return ", ".join(str(Audience(one).label) for one in rule.audiences)


class InForceFilter(DefaultedFilter):
    title = _("in force")
    parameter_name = "in_force"
    default = "now"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("now", _("Now or later")), ("ended", _("Ended")), ("all", _("All"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        today = day_of(timezone.now())
        if self.value() == "all":
            return queryset
        ended = queryset.filter(ended_on__lte=today)
        return ended if self.value() == "ended" else queryset.exclude(pk__in=ended.values("pk"))


@admin.register(EscalationRule)
class RuleAdmin(DeskAdmin):
    """The ladder. A rule is changed by ending it and adding another, so that every alert keeps its reason."""

    form = RuleForm
    fields = ("name", "from_day", "until_day", "severity", "audiences", "starts_on")
    list_display = ("name", "days", "level", "whom", "starts_on", "ended_on")
    list_filter = (InForceFilter, "severity")
    sortable_by = ()
    when_empty = _("No rule is in force: nobody is alerted. An administrator adds rules here.")
    verbs = (
        Verb(
            name="end",
            label=_("End"),
            explanation=_(
                "From that day on it raises nothing; what it raised stays. To change a rule, end it and add another."
            ),
            permission="alerts.end_escalationrule",
            run=_end,
            form=EndForm,
            fits=lambda rule, _request: rule.ended_on is None,
            done=_("{object} ends on {result.ended_on:%d/%m/%Y}."),
            is_dangerous=True,
        ),
    )

    def take_on(self, request: HttpRequest, form: ModelForm) -> EscalationRule:
        return alerts.add_rule(**form.cleaned_data, by=request.user)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("name", "days", "level", "whom", "starts_on", "ended_on") if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("days after the ETA"))
    def days(self, rule: EscalationRule) -> SafeString:
        return format_html('<span class="number">{}</span>', _days(rule))

    @admin.display(description=_("severity"))
    def level(self, rule: EscalationRule) -> SafeString | str:
        return pill(Severity(rule.severity))

    @admin.display(description=_("whom it alerts"))
    def whom(self, rule: EscalationRule) -> str:
        return _audiences(rule)


# The calendar --------------------------------------------------------------------------------------------------------
class WhenFilter(DefaultedFilter):
    title = _("when")
    parameter_name = "when"
    default = "coming"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("coming", _("Today or later")), ("past", _("Past")), ("all", _("All"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        today = day_of(timezone.now())
        if self.value() == "all":
            return queryset
        return queryset.filter(on__lt=today) if self.value() == "past" else queryset.filter(on__gte=today)


@admin.register(Holiday)
class HolidayAdmin(DeskAdmin):
    """Days off besides Friday and Saturday: rungs of day 4 to 8 that fall on one are raised before it."""

    fields = ("on", "name", "is_confirmed")
    list_display = ("on", "weekday", "name", "certainty")
    list_filter = (WhenFilter, "is_confirmed")
    search_fields = ("name",)
    sortable_by = ()
    when_empty = _("No holiday ahead is recorded. An administrator adds them as they are announced.")

    def take_on(self, request: HttpRequest, form: ModelForm) -> Holiday:
        return alerts.save_holiday(holiday=form.instance, by=request.user)

    amend = take_on

    def remove(self, request: HttpRequest, record: Holiday) -> None:
        alerts.remove_holiday(holiday=record, by=request.user)

    @admin.display(description=_("weekday"))
    def weekday(self, holiday: Holiday) -> str:
        return date_format(holiday.on, "l")

    @admin.display(description=_("certainty"))
    def certainty(self, holiday: Holiday) -> str:
        return gettext("confirmed") if holiday.is_confirmed else gettext("estimated, until it is announced")


# The sweep -----------------------------------------------------------------------------------------------------------
def _sweep(*, by: User, at: datetime) -> alerts.SweepReport:
    return alerts.sweep(on=day_of(at), at=at)


@admin.register(SweepRun)
class SweepAdmin(ReadOnlyDesk):
    list_display = ("on", "started_at", "ended", "shipments", "raised", "late", "messages", "took")
    change_list_template = "admin/noticed_list.html"
    sortable_by = ()
    when_empty = _("The sweep has never run. Beat starts it every morning at eight.")
    verbs = (
        Verb(
            name="run",
            label=_("Run the sweep now"),
            explanation=_(
                "Raises every alert that is due by now and does not exist yet, and writes the mails. It runs by "
                "itself every morning; once more does no harm."
            ),
            permission="alerts.run_sweep",
            run=_sweep,
            on_list=True,
            done=_("{result.raised} alerts raised ({result.late} late), {result.messages} mails written."),
        ),
    )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        notice = self.notice(request)
        return super().changelist_view(request, {"notices": [notice] if notice else [], **(extra_context or {})})

    def notice(self, request: HttpRequest) -> dict[str, Any] | None:
        """What everybody should know when the sweep has not run for too long."""
        at = timezone.now()
        if selectors.sweep_is_healthy(at=at):
            return None
        last = selectors.last_complete_sweep()
        if last is None:
            sentence = gettext("The sweep has never run: nobody is alerted of late steps.")
        else:
            told = date_format(timezone.localtime(last), "DATETIME_FORMAT")
            sentence = gettext("The sweep last ran on %(at)s: alerts since then are missing.") % {"at": told}
        return {
            "text": sentence,
            "advice": "" if self.buttons(request) else gettext("Tell an administrator."),
            "buttons": self.buttons(request),
        }

    @admin.display(description=_("finished at"))
    def ended(self, run: SweepRun) -> SafeString | str:
        if run.finished_at is None:
            return format_html('<span class="mark">{}</span>', gettext("did not finish"))
        return date_format(timezone.localtime(run.finished_at), "DATETIME_FORMAT")

    @admin.display(description=_("duration"))
    def took(self, run: SweepRun) -> SafeString:
        return format_html('<span class="number">{} ms</span>', run.duration_ms)

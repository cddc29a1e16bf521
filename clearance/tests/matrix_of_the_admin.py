"""What every page and verb of the back office asks for; what the admin has of each model alike follows of its class.

A new model needs a record in `RECORDS`, a page beside a model's own a row in `PAGES`; `make permissions` then rewrites
the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import reverse
from django.utils.translation import override
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from accounts import rules
from accounts.choices import WORKING_DEPARTMENTS, Department, MessageKind
from accounts.models import Absence, ApiKey, Division, IdentityRule, RoleGroup, ServiceAccount, SignIn, User
from alerts.models import Alert, EscalationRule, Holiday, SweepRun
from audit.models import AuditEntry, Seal
from clearance.admin.desk import DeskAdmin, ReadOnlyDesk
from clearance.tests import pages
from clearance.tests.matrix import Row, Rule
from clearance.tests.matrix_of_the_api import (
    ADD_PEOPLE,
    CHANGE_PEOPLE,
    MANAGE_MACHINES,
    NO_MORE_THAN_ONESELF,
    OWN_ALERT,
    OWN_DEPARTMENT,
    OWN_STEP,
    READ_PEOPLE,
    READ_TRAIL,
    SEEN_ALERT,
    done_step,
    leads_or_may_lead,
    others_done_step,
    others_step,
    own_step,
)
from outbox.models import Message, SmsTemplate
from shipments.models import Shipment
from workflow.models import DepartmentFallback, Responsibility, WorkflowStep, WorkflowTemplate

Knock = Mapping[str, Any]  # an address; with `data`, it is posted there

HEAD = Rule("head of the department, or an administrator", lambda person: person.is_admin, leads_or_may_lead)

# A record of every model, to open its pages with.
RECORDS: dict[type[Model], Callable[[Any], Model]] = {
    Shipment: lambda stage: stage.shipment,
    WorkflowStep: lambda stage: stage.steps[Department.CUSTOMS],
    WorkflowTemplate: lambda _stage: WorkflowTemplate.objects.first(),
    Responsibility: lambda stage: stage.duty,
    DepartmentFallback: lambda _stage: DepartmentFallback.objects.get(department=Department.CUSTOMS),
    Alert: lambda stage: stage.alert,
    EscalationRule: lambda _stage: EscalationRule.objects.first(),
    Holiday: lambda stage: stage.holiday,
    SweepRun: lambda stage: stage.run,
    User: lambda stage: stage.somebody,
    Division: lambda stage: stage.cast.tyres,
    Absence: lambda stage: stage.absence,
    SignIn: lambda stage: stage.sign_in,
    RoleGroup: lambda stage: stage.role,
    IdentityRule: lambda stage: stage.identity_rule,
    ServiceAccount: lambda stage: ServiceAccount.objects.get(pk=stage.machine.pk),
    ApiKey: lambda stage: stage.key,
    Message: lambda stage: stage.message,
    SmsTemplate: lambda _stage: SmsTemplate.objects.first(),
    AuditEntry: lambda _stage: AuditEntry.objects.first(),
    Seal: lambda _stage: Seal.objects.first(),
    PeriodicTask: lambda _stage: PeriodicTask.objects.first(),
    CrontabSchedule: lambda _stage: CrontabSchedule.objects.first(),
    IntervalSchedule: lambda _stage: IntervalSchedule.objects.first(),
    SolarSchedule: lambda _stage: SolarSchedule.objects.create(event="sunrise", latitude=23, longitude=58),
    ClockedSchedule: lambda stage: ClockedSchedule.objects.create(clocked_time=stage.at),
}
OF_SHIPMENT = {Shipment, WorkflowStep, Alert}

# What no permission opens, besides all writing of a `ReadOnlyDesk`: such records are written by verbs.
NEVER = {
    ("accounts.user", "delete"),
    ("accounts.division", "delete"),
    ("accounts.rolegroup", "delete"),
    ("accounts.serviceaccount", "delete"),
    ("accounts.apikey", "add"),
    ("accounts.apikey", "change"),
    ("accounts.apikey", "delete"),
    ("outbox.smstemplate", "add"),
    ("outbox.smstemplate", "delete"),
    ("shipments.shipment", "delete"),
    ("alerts.escalationrule", "change"),
    ("alerts.escalationrule", "delete"),
}
# Pages that are not tried, and why.
UNTRIED = {
    "history": "the same page for every kind of record: each has its row",
    "snapshot": "asks what the history asks",
    "app_list": "lists of an app what the person may see",
    "view_on_site": "no record has a page elsewhere",
    "jsi18n": "words of Django's scripts",
    "login_code": "open only to whom the password has been proved",
    "provider": "open to strangers where a company sign-in is set, otherwise there is no such page",
    "provider_callback": "open to strangers where a company sign-in is set, otherwise there is no such page",
}


# What pages are opened with ------------------------------------------------------------------------------------------
def _alert(stage: Any, person: User) -> Alert:
    Alert.objects.filter(pk=stage.alert.pk).update(recipient_user=person)
    return stage.alert


def _own_department(person: User) -> Department:
    return Department(person.department) if person.department in WORKING_DEPARTMENTS else Department.CUSTOMS


def _another_department(person: User) -> Department:
    return Department.FINANCE if _own_department(person) == Department.CUSTOMS else Department.CUSTOMS


Of = Callable[[User], Department]
BOTH: dict[str, Of] = {"given": _own_department, "others": _another_department}


def _in_both(make: Callable[[Any, Department], Knock]) -> dict[str, Any]:
    """The same for the person's own department, and for another one."""
    return {name: lambda stage, person, of=of: make(stage, of(person)) for name, of in BOTH.items()}


def _absence(stage: Any, department: Department) -> dict[str, Any]:
    away, substitute = stage.pair(department)
    return {
        "user": away.pk,
        "substitute": substitute.pk,
        "starts_on": f"{stage.soon:%d/%m/%Y}",
        "ends_on": f"{stage.soon:%d/%m/%Y}",
    }


def _absence_of(stage: Any, department: Department) -> Absence:
    away, substitute = stage.pair(department)
    return Absence.objects.create(user=away, substitute=substitute, starts_on=stage.later, ends_on=stage.later)


def _duty(stage: Any, department: Department) -> dict[str, Any]:
    return {
        "step": f"clearance:{stage.steps[department].step_number}",
        "division": stage.cast.vehicles.pk,
        "ppr": stage.pair(department)[0].pk,
        "apr": "",
    }


def _duty_of(stage: Any, department: Department) -> Responsibility:
    number = stage.steps[department].step_number
    return Responsibility.objects.create(
        step_number=number, division=stage.cast.vehicles, ppr=stage.pair(department)[1]
    )


def _fallback(stage: Any, department: Department) -> Knock:
    row = DepartmentFallback.objects.get(department=department)
    return {
        "address": pages.of(row),
        "data": {"department": department, "ppr": stage.pair(department)[1].pk, "apr": ""},
    }


def _deleting(record: Model) -> str:
    return reverse(f"admin:{_page(type(record))}_delete", args=[record.pk])


def _apply(model: type[Model]) -> dict[str, Any]:
    address = pages.verb("apply", model=model)
    return _in_both(lambda _stage, department: {"address": address, "data": {"departments": [department]}})


def _doing(verb: str, model: type[Model], values: Any, data: Callable[[Any], Mapping[str, Any]]) -> Any:
    def knock(stage: Any, person: User) -> Knock:
        record = model(pk=values(stage, person)["id"])
        return {"address": pages.verb(verb, record), "data": data(stage)}

    return knock


def _completing(values: Any) -> Any:
    return _doing("complete", WorkflowStep, values, lambda stage: {"actual_date": f"{stage.today:%d/%m/%Y}"})


def _reopening(values: Any) -> Any:
    return _doing("reopen", WorkflowStep, values, lambda _stage: {"reason": "Too early"})


def _acknowledging(record: Callable[[Any, User], Alert]) -> Any:
    return lambda stage, person: {
        "address": pages.verb("acknowledge", record(stage, person)),
        "data": {"promised_on": ""},
    }


def _others_alert(stage: Any, _person: User) -> Alert:
    return stage.alert


# Where the desk looks at the record as well, the door is tried by doing it: with what is the person's own, and not.
RULES: dict[tuple[type[Model], str], dict[str, Any]] = {
    (User, "add"): {"asks": (READ_PEOPLE, ADD_PEOPLE, CHANGE_PEOPLE), "note": NO_MORE_THAN_ONESELF},
    (User, "change"): {"note": NO_MORE_THAN_ONESELF},
    **{(RoleGroup, page): {"asks": (READ_PEOPLE,)} for page in ("list", "view", "history")},
    **{
        (RoleGroup, page): {"asks": (READ_PEOPLE, CHANGE_PEOPLE), "note": "no more than one's own rights"}
        for page in ("add", "change")
    },
    **{
        (model, page): {"asks": (MANAGE_MACHINES,), "instead": READ_TRAIL}
        for model in (ServiceAccount, ApiKey)
        for page in ("list", "view", "history")
    },
    **{
        (ServiceAccount, page): {"asks": (MANAGE_MACHINES,), "note": "no more than one's own rights"}
        for page in ("add", "change")
    },
    (Absence, "add"): {
        "rule": HEAD,
        **_in_both(lambda stage, of: {"address": pages.adding(Absence), "data": _absence(stage, of)}),
    },
    (Absence, "change"): {
        "rule": HEAD,
        **_in_both(lambda stage, of: {"address": pages.of(_absence_of(stage, of)), "data": _absence(stage, of)}),
    },
    (Absence, "delete"): {
        "rule": HEAD,
        **_in_both(lambda stage, of: {"address": _deleting(_absence_of(stage, of)), "data": {"post": "yes"}}),
    },
    (Responsibility, "add"): {
        "rule": HEAD,
        **_in_both(lambda stage, of: {"address": pages.adding(Responsibility), "data": _duty(stage, of)}),
    },
    (Responsibility, "change"): {
        "rule": HEAD,
        **_in_both(lambda stage, of: {"address": pages.of(_duty_of(stage, of)), "data": _duty(stage, of)}),
    },
    (Responsibility, "delete"): {
        "rule": HEAD,
        **_in_both(lambda stage, of: {"address": _deleting(_duty_of(stage, of)), "data": {"post": "yes"}}),
    },
    (DepartmentFallback, "change"): {"rule": HEAD, **_in_both(_fallback)},
    (Responsibility, "verb apply"): {"rule": HEAD, **_apply(Responsibility)},
    (DepartmentFallback, "verb apply"): {"rule": HEAD, **_apply(DepartmentFallback)},
    (WorkflowStep, "verb complete"): {
        "rule": OWN_STEP,
        "given": _completing(own_step),
        "others": _completing(others_step),
    },
    (WorkflowStep, "verb not-required"): {"note": "own step, as to complete it"},
    (WorkflowStep, "verb reopen"): {
        "rule": OWN_DEPARTMENT,
        "given": _reopening(done_step),
        "others": _reopening(others_done_step),
    },
    (Alert, "verb acknowledge"): {
        "rule": OWN_ALERT,
        "given": _acknowledging(_alert),
        "others": _acknowledging(_others_alert),
    },
    **{
        (Alert, page): {
            "rule": SEEN_ALERT,
            "given": lambda stage, person, page=page: {"address": _of(page, _alert(stage, person))},
            "others": lambda stage, _person, page=page: {"address": _of(page, stage.alert)},
        }
        for page in ("view", "history")
    },
}

# Pages of their own: what they ask, and their address (of a stage).
PAGES: dict[str, tuple[tuple[str, ...], Callable[[Any], Knock]]] = {
    "index": ((), lambda _stage: {"address": reverse("admin:index")}),
    "own_sign_in": ((), lambda _stage: {"address": reverse("admin:own_sign_in")}),
    "own_messages": ((), lambda _stage: {"address": reverse("admin:own_messages")}),
    "verify_email": ((), lambda _stage: {"address": reverse("admin:verify_email")}),
    "password_change": ((), lambda _stage: {"address": reverse("admin:password_change")}),
    "password_change_done": ((), lambda _stage: {"address": reverse("admin:password_change_done")}),
    "language": ((), lambda _stage: {"address": reverse("admin:language"), "data": {"language": "en"}}),
    "autocomplete": (
        ("accounts.view_user",),
        lambda _stage: {
            "address": f"{reverse('admin:autocomplete')}?app_label=accounts&model_name=absence&field_name=user"
        },
    ),
    "metrics_export": (
        ("metrics.view_metric",),
        lambda _stage: {"address": reverse("admin:metrics_export", args=["clearance-time"])},
    ),
    "metrics_report": (
        ("metrics.view_metric",),
        lambda stage: {"address": reverse("admin:metrics_report", args=[stage.today.year, stage.today.month])},
    ),
    "shipments_shipment_blank": ((), lambda _stage: {"address": reverse("admin:shipments_shipment_blank")}),
    "shipments_shipment_guide": ((), lambda _stage: {"address": reverse("admin:shipments_shipment_guide")}),
    "audit_auditentry_export": (
        ("audit.view_auditentry",),
        lambda _stage: {"address": reverse("admin:audit_auditentry_export", args=["csv"])},
    ),
    "audit_auditentry_evidence": (
        ("audit.view_auditentry",),
        lambda stage: {"address": reverse("admin:audit_auditentry_evidence", args=[stage.shipment.pk])},
    ),
    "outbox_message_preview": (
        ("outbox.view_message",),
        lambda stage: {"address": reverse("admin:outbox_message_preview", args=[stage.readable.pk, "en"])},
    ),
    "outbox_message_samples": (
        ("outbox.view_message",),
        lambda _stage: {"address": reverse("admin:outbox_message_samples")},
    ),
    "outbox_message_sample": (
        ("outbox.view_message",),
        lambda _stage: {"address": reverse("admin:outbox_message_sample", args=[MessageKind.PASSWORD_RESET, "ar"])},
    ),
}
OPEN = {
    "login": lambda _stage: {"address": reverse("admin:login")},
    "invitation": lambda _stage: {"address": reverse("admin:invitation")},
    "new_password": lambda _stage: {"address": reverse("admin:new_password")},
    "admin_password_reset": lambda _stage: {"address": reverse("admin_password_reset")},
    "logout": lambda _stage: {"address": reverse("admin:logout"), "data": {}},
}


# Rows ----------------------------------------------------------------------------------------------------------------
def rows() -> Iterator[Row]:
    for name, knock in OPEN.items():
        yield Row(name=name, is_open=True, given=lambda stage, _person, knock=knock: knock(stage))
    for name, (asks, knock) in PAGES.items():
        yield Row(name=name, asks=asks, given=lambda stage, _person, knock=knock: knock(stage))
    for model, desk in admin.site._registry.items():
        yield from _of_model(model, desk)


def _of_model(model: type[Model], desk: admin.ModelAdmin) -> Iterator[Row]:
    label, meta = model._meta.label_lower, model._meta
    for page, permission in (
        ("list", "view"),
        ("view", "view"),
        ("history", "view"),
        ("add", "add"),
        ("change", "change"),
        ("delete", "delete"),
    ):
        asked = ("view", permission) if isinstance(desk, DeskAdmin) and page in ("change", "delete") else (permission,)
        never = page in ("add", "change", "delete") and (isinstance(desk, ReadOnlyDesk) or (label, page) in NEVER)
        row = {
            "given": lambda stage, _person, page=page: _opening(page, model, stage),
            "asks": ("nobody.nothing",)
            if never
            else tuple(f"{meta.app_label}.{one}_{meta.model_name}" for one in asked),
        }
        change = f"{meta.app_label}.change_{meta.model_name}"
        if not isinstance(desk, DeskAdmin) and permission == "view" and change in rules.grantable():
            row["instead"] = change  # as Django has it
        hides = model in OF_SHIPMENT and page not in ("list", "add")
        yield Row(name=f"{label} {page}", of_shipment=hides, **row | RULES.get((model, page), {}))
    for verb in getattr(desk, "verbs", ()):
        target = None if verb.on_list else model
        row = {"given": lambda stage, _person, verb=verb, target=target: _asking(verb, model, target, stage)}
        row |= RULES.get((model, f"verb {verb.name}"), {})
        hides = model in OF_SHIPMENT and not verb.on_list
        # Who may use a verb on what is theirs must see it, so that they can open its page.
        with override("en"):
            yield Row(name=f"{label} verb {verb.name}", asks=(verb.permission,), of_shipment=hides, **row)


def _page(model: type[Model]) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"


def _opening(page: str, model: type[Model], stage: Any) -> Knock:
    if page == "list":
        return {"address": pages.list_of(model)}
    if page == "add":
        return {"address": pages.adding(model)}
    knock = {"address": _of(page, RECORDS[model](stage))}
    return knock | {"data": {}, "is_empty": True} if page == "change" else knock


def _of(page: str, record: Model) -> str:
    name = "change" if page == "view" else page
    return reverse(f"admin:{_page(type(record))}_{name}", args=[record.pk])


def _asking(verb: Any, model: type[Model], target: type[Model] | None, stage: Any) -> Knock:
    if target is None:
        return {"address": pages.verb(verb.name, model=model)}
    return {"address": pages.verb(verb.name, RECORDS[model](stage))}


ROWS = list(rows())
SHOWN = [row for row in ROWS if "nobody.nothing" not in row.asks]

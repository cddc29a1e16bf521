"""Write paths: forms, verbs and actions of the back office, and signing in to it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client, override_settings
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from accounts import services as accounts
from accounts import tokens
from accounts.models import (
    Absence,
    ApiKey,
    BackupCode,
    Division,
    IdentityRule,
    Override,
    RequiredSecondFactor,
    RoleGroup,
    SecondFactor,
    ServiceAccount,
    Ticket,
    User,
)
from accounts.tests import machines
from accounts.tests.people import denied, right, role
from alerts.models import Alert, EscalationRule, Holiday, SweepRun
from alerts.tests import late
from audit.tests.paths import Stage, enrolled, path
from audit.tests.trails import ADDRESS, FROM_THERE, OURS, Told, changed, created, deleted, moment
from clearance.tests import pages, providers, recipes
from clearance.tests.cast import PASSWORD
from outbox.choices import Delivery
from outbox.models import Message, MutedMail, SmsTemplate, WantedText
from outbox.tests import mails
from shipments import services as shipments
from shipments.models import Shipment
from workflow.models import DepartmentFallback, Responsibility, WorkflowStep, WorkflowTemplate


def action(name: str, model: type[Model], *records: Model) -> tuple[str, dict[str, Any]]:
    return pages.list_of(model), {"action": name, "_selected_action": [record.pk for record in records]}


NEW = "Tall-ship-sails-9"


def deleting(record: Model) -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_delete", args=[record.pk])


# Signing in, and what is one's own -----------------------------------------------------------------------------------
@path("admin: sign in")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    stage.begins("admin", person, ip_address=ADDRESS, request_id=OURS)
    Client().post(reverse("admin:login"), {"username": person.email, "password": PASSWORD}, **FROM_THERE)
    person.refresh_from_db()
    return [changed(person, last_login=[None, moment(person.last_login)])]


@path("admin: sign in with a second factor")
def _(stage: Stage) -> list[Told]:
    person, codes = stage.cast.cc_clerk, enrolled(stage.cast.cc_clerk)
    browser = Client()
    browser.post(reverse("admin:login"), {"username": person.email, "password": PASSWORD}, **FROM_THERE)
    stage.begins("admin", person, ip_address=ADDRESS, request_id=OURS)
    browser.post(reverse("admin:login_code"), {"code": codes[0]}, **FROM_THERE)
    person.refresh_from_db()
    spent = person.backup_codes.exclude(used_at=None).get()
    return [
        changed(spent, used_at=[None, moment(spent.used_at)]),
        changed(person, last_login=[None, moment(person.last_login)]),
    ]


@path("admin: sign in with the company account")
def _(stage: Stage) -> list[Told]:
    person, browser = stage.cast.cc_clerk, Client()
    with providers.running() as provider:
        provider.told(claims={"email": person.email, "email_verified": True})
        with override_settings(OIDC_ISSUER=provider.url, OIDC_CLIENT_ID=providers.CLIENT_ID):
            back = providers.way_back(browser)
            stage.begins("admin", person, ip_address=ADDRESS, request_id=OURS)
            browser.get(back, **FROM_THERE)
    person.refresh_from_db()
    return [
        changed(person, identity_issuer=["", provider.url], identity_subject=["", "amal"]),
        changed(person, last_login=[None, moment(person.last_login)]),
    ]


@path("admin: forget one's password")
def _(stage: Stage) -> list[Told]:
    stage.begins("admin", None, ip_address=ADDRESS, request_id=OURS)
    Client().post(reverse("admin_password_reset"), {"email": stage.cast.cc_clerk.email}, **FROM_THERE)
    return [created(Ticket.objects.get(), purpose="reset"), created(Message.objects.get(), kind="password_reset")]


@path("admin: set the password anew by mail")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    accounts.request_reset(email=person.email, at=stage.at)
    ticket = Ticket.objects.get()
    stage.begins("admin", person, ip_address=ADDRESS, request_id=OURS)
    given = {"token": tokens.write_ticket(ticket.pk), "password": NEW, "password2": NEW}
    Client().post(reverse("admin:new_password"), given, **FROM_THERE)
    ticket.refresh_from_db()
    return [changed(ticket, used_at=[None, moment(ticket.used_at)]), changed(person, password=["•••", "•••"])]


@path("admin: come with an invitation")
def _(stage: Stage) -> list[Told]:
    facts = {"email": "noor@example.com", "full_name": "Noor Newcomer", "department": "C&C", "role": "PPR"}
    person = accounts.invite(**facts, by=stage.cast.administrator, at=stage.at)
    ticket = Ticket.objects.get()
    stage.begins("admin", person, ip_address=ADDRESS, request_id=OURS)
    given = {"token": tokens.write_ticket(ticket.pk), "password": NEW, "password2": NEW}
    Client().post(reverse("admin:invitation"), given, **FROM_THERE)
    ticket.refresh_from_db()
    return [
        changed(ticket, used_at=[None, moment(ticket.used_at)]),
        changed(person, password=["•••", "•••"]),
        created(Message.objects.get(kind="welcome"), recipient_id=person.pk),
    ]


@path("admin: set up a second factor")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    stage.posts(person, reverse("admin:own_sign_in"), {"do": "set_up", "password": PASSWORD})
    return [created(SecondFactor.objects.get())]


@path("admin: sign out everywhere")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    stage.posts(person, reverse("admin:own_sign_in"), {"do": "sign_out_everywhere"})
    person.refresh_from_db()
    return [changed(person, signed_out_at=[None, moment(person.signed_out_at)])]


@path("admin: verify one's address")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    accounts.send_verification(user=person, at=stage.at)
    stage.posts(person, reverse("admin:verify_email"), {"token": tokens.write_ticket(Ticket.objects.get().pk)})
    person.refresh_from_db()
    return [changed(person, email_verified_at=[None, moment(person.email_verified_at)])]


@path("admin: choose a language")
def _(stage: Stage) -> list[Told]:
    stage.posts(stage.cast.cc_clerk, reverse("admin:language"), {"language": "ar"})
    return [changed(stage.cast.cc_clerk, language=["en", "ar"])]


@path("admin: change one's password")
def _(stage: Stage) -> list[Told]:
    given = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    stage.posts(stage.cast.cc_clerk, reverse("admin:password_change"), given)
    return [changed(stage.cast.cc_clerk, password=["•••", "•••"])]


# People --------------------------------------------------------------------------------------------------------------
@path("accounts.user add")
def _(stage: Stage) -> list[Told]:
    given = {
        "full_name": "Noor Newcomer",
        "email": "noor@example.com",
        "password": NEW,
        "department": "C&C",
        "role": "PPR",
        "divisions": [stage.cast.tyres.pk],
        "language": "ar",
        "time_zone": "Asia/Muscat",
    }
    stage.posts(stage.cast.administrator, pages.adding(User), given)
    person = User.objects.get(email="noor@example.com")
    return [
        created(person, full_name="Noor Newcomer", department="C&C"),
        changed(person, divisions=[None, stage.cast.tyres.pk]),
        changed(person, groups=[None, person.groups.get().pk]),
    ]


@path("accounts.user change")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    stage.saves(stage.cast.administrator, person, role="APR")
    return [changed(person, role=["PPR", "APR"]), changed(person, groups=[None, person.groups.get().pk])]


@path("accounts.user verb release_identity")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    User.objects.filter(pk=person.pk).update(identity_issuer="https://example.com/", identity_subject="amal")
    stage.posts(stage.cast.administrator, pages.verb("release_identity", person))
    return [changed(person, identity_subject=["amal", ""])]


@path("accounts.identityrule add")
def _(stage: Stage) -> list[Told]:
    given = {"pattern": "@example.com", "department": "C&C", "role": "PPR"}
    stage.posts(stage.cast.administrator, pages.adding(IdentityRule), given)
    return [created(IdentityRule.objects.get(), pattern="@example.com", department="C&C")]


@path("accounts.identityrule change")
def _(stage: Stage) -> list[Told]:
    rule = IdentityRule.objects.create(pattern="@example.com", department="C&C", role="PPR")
    stage.saves(stage.cast.administrator, rule, role="APR")
    return [changed(rule, role=["PPR", "APR"])]


@path("accounts.identityrule delete")
def _(stage: Stage) -> list[Told]:
    rule = IdentityRule.objects.create(pattern="@example.com", department="C&C", role="PPR")
    pk = rule.pk
    stage.posts(stage.cast.administrator, deleting(rule), {"post": "yes"})
    return [deleted(rule, pk, pattern="@example.com")]


@path("accounts.user add, without a password")
def _(stage: Stage) -> list[Told]:
    given = {"full_name": "Noor Newcomer", "email": "noor@example.com", "department": "C&C", "role": "PPR"}
    given |= {"language": "ar", "time_zone": "Asia/Muscat"}
    stage.posts(stage.cast.administrator, pages.adding(User), given)
    person = User.objects.get(email="noor@example.com")
    return [created(person, full_name="Noor Newcomer"), created(Message.objects.get(), kind="invitation")]


@path("accounts.user verb invite_again")
def _(stage: Stage) -> list[Told]:
    facts = {"email": "noor@example.com", "full_name": "Noor Newcomer", "department": "C&C", "role": "PPR"}
    person = accounts.take_on(**facts, by=None)
    stage.posts(stage.cast.administrator, pages.verb("invite_again", person))
    return [created(Ticket.objects.get(), purpose="invite"), created(Message.objects.get(), kind="invitation")]


@path("accounts.user verb override")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    given = {"permission": "audit.view_seal", "is_granted": "yes", "reason": "Covers for a colleague"}
    stage.posts(stage.cast.administrator, pages.verb("override", person), given)
    made = Override.objects.get()
    return [created(made, user_id=person.pk, permission_id=right("audit.view_seal").pk, is_granted=True)]


@path("accounts.user verb take_override_back")
def _(stage: Stage) -> list[Told]:
    person = denied(stage.cast.cc_clerk, "metrics.view_metric")
    kept = Override.objects.get()
    stage.posts(stage.cast.administrator, pages.verb("take_override_back", person), {"override": kept.pk})
    return [deleted(Override, kept.pk, user_id=person.pk)]


@path("accounts.rolegroup add")
def _(stage: Stage) -> list[Told]:
    given = {"name": "Reporting", "permissions": ["metrics.view_metric"]}
    stage.posts(stage.cast.administrator, pages.adding(RoleGroup), given)
    made = Group.objects.get(name="Reporting")
    return [created(made, name="Reporting"), changed(made, permissions=[None, right("metrics.view_metric").pk])]


@path("accounts.rolegroup change")
def _(stage: Stage) -> list[Told]:
    made = role("audit.view_seal")
    given = {"name": "Reports", "permissions": ["metrics.view_metric"]}
    stage.posts(stage.cast.administrator, pages.of(made), given)
    made = Group.objects.get(pk=made.pk)
    return [
        changed(made, name=["Reporting", "Reports"]),
        changed(made, permissions=[right("audit.view_seal").pk, None]),
        changed(made, permissions=[None, right("metrics.view_metric").pk]),
    ]


@path("accounts.rolegroup verb delete")
def _(stage: Stage) -> list[Told]:
    made = role("audit.view_seal")
    stage.posts(stage.cast.administrator, pages.verb("delete", made))
    return [deleted(Group, made.pk, name="Reporting")]


@path("accounts.user verb password")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    stage.posts(stage.cast.administrator, pages.verb("password", person), {"password": NEW})
    person.refresh_from_db()
    return [
        changed(person, password=["•••", "•••"]),
        changed(person, signed_out_at=[None, moment(person.signed_out_at)]),
        *(created(one, user_id=person.pk) for one in person.old_passwords.all()),
    ]


@path("accounts.user verb unlock")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    stage.posts(stage.cast.administrator, pages.verb("unlock", person))
    person.refresh_from_db()
    return [changed(person, unlocked_at=[None, moment(person.unlocked_at)])]


@path("accounts.user verb reset_second_factor")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    enrolled(person)
    codes = list(person.backup_codes.values_list("pk", flat=True))
    stage.posts(stage.cast.administrator, pages.verb("reset_second_factor", person))
    return [deleted(SecondFactor, person.pk), *(deleted(BackupCode, pk) for pk in codes)]


@path("accounts.user verb require_second_factor")
def _(stage: Stage) -> list[Told]:
    stage.posts(
        stage.cast.administrator, pages.verb("require_second_factor", model=User), {"roles": ["PPR", "Manager"]}
    )
    return [created(one, role=one.role) for one in RequiredSecondFactor.objects.all()]


@path("accounts.user verb deactivate")
def _(stage: Stage) -> list[Told]:
    stage.posts(stage.cast.administrator, pages.verb("deactivate", stage.cast.cc_clerk))
    return [changed(stage.cast.cc_clerk, is_active=[True, False])]


@path("accounts.user verb reactivate")
def _(stage: Stage) -> list[Told]:
    accounts.deactivate(user=stage.cast.cc_clerk, by=None, at=stage.at)
    stage.posts(stage.cast.administrator, pages.verb("reactivate", stage.cast.cc_clerk))
    return [changed(stage.cast.cc_clerk, is_active=[False, True])]


@path("accounts.user verb mail")
def _(stage: Stage) -> list[Told]:
    given = {"mail": ["critical", "urgent"]}
    stage.posts(stage.cast.administrator, pages.verb("mail", stage.cast.cc_clerk), given)
    return [created(MutedMail.objects.get(), user_id=stage.cast.cc_clerk.pk, severity="warning")]


@path("accounts.division add")
def _(stage: Stage) -> list[Told]:
    stage.posts(stage.cast.administrator, pages.adding(Division), {"code": "NEW", "name": "New"})
    return [created(Division.objects.get(code="NEW"), name="New")]


@path("accounts.division change")
def _(stage: Stage) -> list[Told]:
    stage.saves(stage.cast.administrator, stage.cast.vehicles, name="Cars")
    return [changed(stage.cast.vehicles, name=["Light vehicles", "Cars"])]


def _absence(stage: Stage) -> Absence:
    cast = stage.cast
    return Absence.objects.create(
        user=cast.cc_clerk, starts_on=stage.today, ends_on=stage.today, substitute=cast.cc_alternate
    )


@path("accounts.absence add")
def _(stage: Stage) -> list[Told]:
    cast = stage.cast
    given = {"user": cast.cc_clerk.pk, "substitute": cast.cc_alternate.pk}
    given |= {"starts_on": stage.day(0), "ends_on": stage.day(3)}
    stage.posts(cast.cc_head, pages.adding(Absence), given)
    return [created(Absence.objects.get(), user_id=cast.cc_clerk.pk, starts_on=str(stage.today))]


@path("accounts.absence change")
def _(stage: Stage) -> list[Told]:
    absence = _absence(stage)
    stage.saves(stage.cast.cc_head, absence, ends_on=stage.day(3))
    return [changed(absence, ends_on=[str(stage.today), str(stage.today + timedelta(days=3))])]


@path("accounts.absence delete")
def _(stage: Stage) -> list[Told]:
    absence = _absence(stage)
    stage.posts(stage.cast.cc_head, deleting(absence), {"post": "yes"})
    return [deleted(absence, absence.pk, user_id=stage.cast.cc_clerk.pk)]


# Shipments -----------------------------------------------------------------------------------------------------------
@path("shipments.shipment add")
def _(stage: Stage) -> list[Told]:
    given = {"shipment_number": "N-1", "principal": "Al Noor Tyres", "brand": "Noor", "transport_mode": "sea"}
    given |= {"invoice_amount_omr": "1000.500", "eta": stage.day(10)}
    stage.posts(stage.cast.bu_clerk, pages.adding(Shipment), given)
    shipment = Shipment.objects.get(shipment_number="N-1")
    return [
        created(shipment, invoice_amount_omr="1000.500", created_by_id=stage.cast.bu_clerk.pk),
        *(created(step, shipment_id=shipment.pk) for step in shipment.steps.all()),
    ]


@path("shipments.shipment change")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    stage.saves(stage.cast.bu_clerk, shipment, vessel="Sea Star")
    return [changed(shipment, vessel=["", "Sea Star"], version=[1, 2])]


@path("shipments.shipment verb eta")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    stage.posts(stage.cast.bu_clerk, pages.verb("eta", shipment), {"eta": stage.day(20), "reason": "Rolled"})
    return [changed(shipment, eta=[str(shipment.eta), str(stage.today + timedelta(days=20))])]


@path("shipments.shipment verb cancel")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    stage.posts(stage.cast.bu_head, pages.verb("cancel", shipment), {"reason": "Order withdrawn"})
    return [changed(shipment, status=["active", "cancelled"])]


@path("shipments.shipment action cancel")
def _(stage: Stage) -> list[Told]:
    both = [stage.shipment(), stage.shipment()]
    asked = stage.posts(stage.cast.bu_head, *action("cancel", Shipment, *both))
    stage.posts(stage.cast.bu_head, asked.url, {"reason": "Order withdrawn"})
    return [changed(shipment, status=["active", "cancelled"]) for shipment in both]


@path("shipments.shipment verb delete")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    stage.posts(stage.cast.bu_clerk, pages.verb("delete", shipment))
    shipment.refresh_from_db()
    return [changed(shipment, deleted_at=[None, moment(shipment.deleted_at)])]


@path("shipments.shipment action delete")
def _(stage: Stage) -> list[Told]:
    both = [stage.shipment(), stage.shipment()]
    asked = stage.posts(stage.cast.bu_clerk, *action("delete", Shipment, *both))
    stage.posts(stage.cast.bu_clerk, asked.url)
    return [changed(one, version=[1, 2]) for one in both]


@path("shipments.shipment verb restore")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    shipments.cancel(shipment_id=shipment.pk, reason="Order withdrawn", by=stage.cast.bu_head, at=stage.at)
    stage.posts(stage.cast.bu_head, pages.verb("restore", shipment))
    return [changed(shipment, status=["cancelled", "active"])]


@path("shipments.shipment verb import")
def _(stage: Stage) -> list[Told]:
    file = stage.tracker(["N-1", "Al Noor", "Noor", 1000, stage.day(10)])
    stage.posts(stage.cast.bu_clerk, pages.verb("import", model=Shipment), {"file": file})
    return [created(Shipment.objects.get(shipment_number="N-1"), brand="Noor")]


# Steps, procedures, responsibilities ---------------------------------------------------------------------------------
@path("workflow.workflowstep verb complete")
def _(stage: Stage) -> list[Told]:
    step = stage.step()
    stage.posts(stage.cast.cc_clerk, pages.verb("complete", step), {"actual_date": stage.day(0)})
    return [changed(step, actual_date=[None, str(stage.today)])]


@path("workflow.workflowstep action complete")
def _(stage: Stage) -> list[Told]:
    both = [stage.step(), stage.step()]
    address, given = action("complete", WorkflowStep, *both)
    stage.posts(stage.cast.cc_clerk, address, given)
    return [changed(step, actual_date=[None, str(stage.today)]) for step in both]


@path("workflow.workflowstep verb not-required")
def _(stage: Stage) -> list[Told]:
    step = stage.step(recipes.POLICE_CHECK)
    stage.posts(stage.cast.cc_clerk, pages.verb("not-required", step), {"note": "No check asked for"})
    return [changed(step, not_required=[False, True], note=["", "No check asked for"])]


@path("workflow.workflowstep verb reopen")
def _(stage: Stage) -> list[Told]:
    step = stage.step(done=True)
    stage.posts(stage.cast.cc_head, pages.verb("reopen", step), {"reason": "Entered too early"})
    return [changed(step, actual_date=[str(stage.today), None])]


@path("workflow.workflowtemplate verb use")
def _(stage: Stage) -> list[Told]:
    old = WorkflowTemplate.objects.get()
    new = WorkflowTemplate.objects.create(code=old.code, version=2, name="Clearance", created_at=old.created_at)
    stage.posts(stage.cast.administrator, pages.verb("use", new))
    return [changed(old, is_current=[True, False]), changed(new, is_current=[False, True])]


def _responsibility(stage: Stage) -> Responsibility:
    return Responsibility.objects.create(step_number=Decimal(recipes.COLLECTED), ppr=stage.cast.cc_clerk)


@path("workflow.responsibility add")
def _(stage: Stage) -> list[Told]:
    given = {"step": f"clearance:{recipes.COLLECTED}", "division": "", "ppr": stage.cast.cc_alternate.pk, "apr": ""}
    stage.posts(stage.cast.cc_head, pages.adding(Responsibility), given)
    return [created(Responsibility.objects.get(), step_number="14.0", ppr_id=stage.cast.cc_alternate.pk)]


@path("workflow.responsibility change")
def _(stage: Stage) -> list[Told]:
    row = _responsibility(stage)
    stage.saves(stage.cast.cc_head, row, ppr=stage.cast.cc_alternate.pk)
    return [changed(row, ppr_id=[stage.cast.cc_clerk.pk, stage.cast.cc_alternate.pk])]


@path("workflow.responsibility delete")
def _(stage: Stage) -> list[Told]:
    row = _responsibility(stage)
    stage.posts(stage.cast.cc_head, deleting(row), {"post": "yes"})
    return [deleted(row, row.pk, ppr_id=stage.cast.cc_clerk.pk)]


@path("workflow.departmentfallback add")
def _(stage: Stage) -> list[Told]:
    DepartmentFallback.objects.filter(department="C&C").delete()
    given = {"department": "C&C", "ppr": stage.cast.cc_clerk.pk, "apr": ""}
    stage.posts(stage.cast.administrator, pages.adding(DepartmentFallback), given)
    return [created(DepartmentFallback.objects.get(department="C&C"), ppr_id=stage.cast.cc_clerk.pk)]


@path("workflow.departmentfallback change")
def _(stage: Stage) -> list[Told]:
    row = DepartmentFallback.objects.get(department="C&C")
    stage.saves(stage.cast.cc_head, row, ppr=stage.cast.cc_head.pk)
    return [changed(row, ppr_id=[stage.cast.cc_clerk.pk, stage.cast.cc_head.pk])]


@path("workflow.departmentfallback delete")
def _(stage: Stage) -> list[Told]:
    row = DepartmentFallback.objects.get(department="C&C")
    stage.posts(stage.cast.administrator, deleting(row), {"post": "yes"})
    return [deleted(row, row.pk, department="C&C")]


def _apply(stage: Stage, model: type[Model]) -> list[Told]:
    step = stage.step()
    DepartmentFallback.objects.filter(department="C&C").update(ppr=stage.cast.cc_head)
    stage.posts(stage.cast.cc_head, pages.verb("apply", model=model), {"departments": ["C&C"]})
    return [changed(step, ppr_user_id=[stage.cast.cc_clerk.pk, stage.cast.cc_head.pk])]


@path("workflow.responsibility verb apply")
def _(stage: Stage) -> list[Told]:
    return _apply(stage, Responsibility)


@path("workflow.departmentfallback verb apply")
def _(stage: Stage) -> list[Told]:
    return _apply(stage, DepartmentFallback)


# Alerts and mail -----------------------------------------------------------------------------------------------------
def _alerts(stage: Stage, count: int) -> list[Alert]:
    for _ in range(count):
        late.shipment(by=stage.cast.bu_clerk, days=5)
    late.sweep()
    return list(Alert.objects.filter(recipient_user=stage.cast.cc_clerk).newest_of_each_step())


@path("alerts.alert verb acknowledge")
def _(stage: Stage) -> list[Told]:
    (alert,) = _alerts(stage, 1)
    stage.posts(stage.cast.cc_clerk, pages.verb("acknowledge", alert), {"promised_on": stage.day(1)})
    return [changed(alert, promised_on=[None, str(stage.today + timedelta(days=1))])]


@path("alerts.alert action acknowledge")
def _(stage: Stage) -> list[Told]:
    both = _alerts(stage, 2)
    asked = stage.posts(stage.cast.cc_clerk, *action("acknowledge", Alert, *both))
    stage.posts(stage.cast.cc_clerk, asked.url, {"promised_on": ""})
    return [changed(alert, acknowledged_by_id=[None, stage.cast.cc_clerk.pk]) for alert in both]


@path("alerts.alert verb mail")
def _(stage: Stage) -> list[Told]:
    given = {"mail": ["critical", "urgent"]}
    stage.posts(stage.cast.cc_clerk, pages.verb("mail", model=Alert), given)
    return [created(MutedMail.objects.get(), user_id=stage.cast.cc_clerk.pk)]


@path("alerts.escalationrule add")
def _(stage: Stage) -> list[Told]:
    given = {"name": "Day 10", "from_day": 10, "until_day": 12, "severity": "urgent", "audiences": ["head"]}
    stage.posts(stage.cast.administrator, pages.adding(EscalationRule), given | {"starts_on": stage.day(0)})
    return [created(EscalationRule.objects.get(name="Day 10"), from_day=10, audiences=["head"])]


@path("alerts.escalationrule verb end")
def _(stage: Stage) -> list[Told]:
    rule = EscalationRule.objects.first()
    stage.posts(stage.cast.administrator, pages.verb("end", rule), {"on": stage.day(0)})
    return [changed(rule, ended_on=[None, str(stage.today)])]


@path("alerts.holiday add")
def _(stage: Stage) -> list[Told]:
    stage.posts(stage.cast.administrator, pages.adding(Holiday), {"on": "04/07/2031", "name": "A day of joy"})
    return [created(Holiday.objects.get(name="A day of joy"), on="2031-07-04")]


@path("alerts.holiday change")
def _(stage: Stage) -> list[Told]:
    holiday = Holiday.objects.create(on="2031-07-04", name="A day of joy")
    stage.saves(stage.cast.administrator, holiday, name="A day of rest")
    return [changed(holiday, name=["A day of joy", "A day of rest"])]


@path("alerts.holiday delete")
def _(stage: Stage) -> list[Told]:
    holiday = Holiday.objects.create(on="2031-07-04", name="A day of joy")
    stage.posts(stage.cast.administrator, deleting(holiday), {"post": "yes"})
    return [deleted(holiday, holiday.pk, name="A day of joy")]


@path("alerts.sweeprun verb run")
def _(stage: Stage) -> list[Told]:
    late.shipment(by=stage.cast.bu_clerk, days=5)
    stage.posts(stage.cast.administrator, pages.verb("run", model=SweepRun))
    return [created(alert, severity=alert.severity) for alert in Alert.objects.all()]


def _dead(stage: Stage) -> Message:
    return mails.waiting(stage.cast.cc_clerk, at=stage.at, delivery=Delivery.DEAD, refusals=3, last_refusal="550")


@path("outbox.message verb resend")
def _(stage: Stage) -> list[Told]:
    message = _dead(stage)
    stage.posts(stage.cast.administrator, pages.verb("resend", message))
    return [changed(message, refusals=[3, 0])]


@path("outbox.message action resend")
def _(stage: Stage) -> list[Told]:
    both = [_dead(stage), _dead(stage)]
    asked = stage.posts(stage.cast.administrator, *action("resend", Message, *both))
    if asked.url != pages.list_of(Message):
        stage.posts(stage.cast.administrator, asked.url)
    return [changed(message, refusals=[3, 0]) for message in both]


# The schedule --------------------------------------------------------------------------------------------------------
@path("django_celery_beat.periodictask change")
def _(stage: Stage) -> list[Told]:
    task = PeriodicTask.objects.get(name="Sweep")
    stage.saves(stage.cast.administrator, task, description="Every morning")
    return [changed(task, description=["", "Every morning"])]


def _schedule(stage: Stage, verb: str, *, was: bool) -> list[Told]:
    PeriodicTask.objects.filter(name="Sweep").update(enabled=was)
    task = PeriodicTask.objects.get(name="Sweep")
    stage.posts(stage.cast.administrator, *action(verb, PeriodicTask, task))
    return [changed(task, enabled=[was, not was])]


@path("django_celery_beat.periodictask action enable_tasks")
def _(stage: Stage) -> list[Told]:
    return _schedule(stage, "enable_tasks", was=False)


@path("django_celery_beat.periodictask action disable_tasks")
def _(stage: Stage) -> list[Told]:
    return _schedule(stage, "disable_tasks", was=True)


@path("django_celery_beat.periodictask action toggle_tasks")
def _(stage: Stage) -> list[Told]:
    return _schedule(stage, "toggle_tasks", was=True)


# Messages: one's own, and their wording ------------------------------------------------------------------------------
@path("admin: choose one's messages")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    User.objects.filter(pk=person.pk).update(phone="+96891234567")
    stage.posts(person, reverse("admin:own_messages"), {"language": "ar", "mail": ["urgent"], "sms": ["urgent"]})
    return [
        *(created(muted, user_id=person.pk) for muted in MutedMail.objects.all()),
        created(WantedText.objects.get(), user_id=person.pk, severity="urgent"),
        changed(person, language=["en", "ar"]),
    ]


@path("outbox.smstemplate change")
def _(stage: Stage) -> list[Told]:
    text = SmsTemplate.objects.get(name="2fa_code")
    stage.saves(stage.cast.administrator, text, content_en="Code {{code}}")
    return [changed(text, content_en=[text.content_en, "Code {{code}}"])]


# Service accounts ----------------------------------------------------------------------------------------------------
@path("accounts.serviceaccount add")
def _(stage: Stage) -> list[Told]:
    given = {"full_name": "Agent’s system", "department": "C&C", "role": "PPR", "divisions": [stage.cast.tyres.pk]}
    stage.posts(stage.cast.administrator, pages.adding(ServiceAccount), given)
    account = User.objects.services().get()
    return [created(account, full_name="Agent’s system"), changed(account, divisions=[None, stage.cast.tyres.pk])]


@path("accounts.serviceaccount change")
def _(stage: Stage) -> list[Told]:
    account = machines.account(stage.cast)
    stage.saves(stage.cast.administrator, ServiceAccount.objects.get(pk=account.pk), full_name="Agent’s new system")
    return [changed(account, full_name=["Agent’s system", "Agent’s new system"])]


def _of_account(stage: Stage, name: str, account: User, given: dict[str, Any] | None = None) -> None:
    shown = ServiceAccount.objects.get(pk=account.pk)
    stage.posts(stage.cast.administrator, pages.verb(name, shown), given)


@path("accounts.serviceaccount verb issue")
def _(stage: Stage) -> list[Told]:
    account = machines.account(stage.cast)
    given = {"name": "Production", "scopes": ["shipments:view"], "expires_at": stage.day(30), "allowed_networks": ""}
    _of_account(stage, "issue", account, given)
    return [created(ApiKey.objects.get(), account_id=account.pk, name="Production")]


@path("accounts.serviceaccount verb deactivate")
def _(stage: Stage) -> list[Told]:
    account = machines.account(stage.cast)
    key = machines.key(account, stage.cast).record
    _of_account(stage, "deactivate", account)
    key.refresh_from_db()
    return [changed(account, is_active=[True, False]), changed(key, revoked_at=[None, moment(key.revoked_at)])]


@path("accounts.serviceaccount verb reactivate")
def _(stage: Stage) -> list[Told]:
    account = machines.account(stage.cast)
    by = machines.fresh(stage.cast.administrator)
    accounts.deactivate_service_account(account_id=account.pk, by=by, at=stage.at)
    _of_account(stage, "reactivate", account)
    return [changed(account, is_active=[False, True])]


@path("accounts.apikey verb rotate")
def _(stage: Stage) -> list[Told]:
    old = machines.key(machines.account(stage.cast), stage.cast).record
    stage.posts(stage.cast.administrator, pages.verb("rotate", old), {"grace_hours": "24"})
    before = moment(old.expires_at)
    old.refresh_from_db()
    return [
        changed(old, rotated_at=[None, moment(old.rotated_at)], expires_at=[before, moment(old.expires_at)]),
        created(ApiKey.objects.exclude(pk=old.pk).get(), name="Production"),
    ]


@path("accounts.apikey verb revoke")
def _(stage: Stage) -> list[Told]:
    key = machines.key(machines.account(stage.cast), stage.cast).record
    stage.posts(stage.cast.administrator, pages.verb("revoke", key))
    key.refresh_from_db()
    return [changed(key, revoked_at=[None, moment(key.revoked_at)])]

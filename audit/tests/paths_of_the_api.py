"""Write paths: every writing endpoint of the API."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pyotp
from django.contrib.auth.models import Group
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts
from accounts import tokens
from accounts.models import ApiKey, BackupCode, Override, RoleGroup, SecondFactor, SignIn, Ticket, User
from accounts.tests import machines
from accounts.tests.people import denied, right, role
from alerts.models import Alert
from alerts.tests import late
from audit.tests.paths import Stage, enrolled, path
from audit.tests.trails import ADDRESS, FROM_THERE, OURS, Told, changed, created, deleted, moment
from clearance.tests import recipes
from clearance.tests.cast import PASSWORD
from outbox.models import Message, MutedMail, WantedText
from shipments import services as shipments
from shipments.choices import Status
from shipments.models import Shipment

NEW = "Tall-ship-sails-9"


def _given(stage: Stage) -> accounts.Tokens:
    """What a sign-in of some time ago handed out."""
    earlier = timezone.now() - timedelta(hours=1)
    return accounts.sign_in(email=stage.cast.cc_clerk.email, password=PASSWORD, at=earlier, ip_address=None)


def _trade(stage: Stage, place: str, body: dict[str, str]) -> SignIn:
    """Call what asks for no access token."""
    stage.begins("api", stage.cast.cc_clerk, ip_address=ADDRESS, request_id=OURS)
    answer = APIClient().post(f"/api/v1/auth/{place}", body, **FROM_THERE)
    assert answer.status_code < 300, answer.content
    return SignIn.objects.get()


@path("POST auth/login")
def _(stage: Stage) -> list[Told]:
    opened = _trade(stage, "login", {"email": stage.cast.cc_clerk.email, "password": PASSWORD})
    stage.cast.cc_clerk.refresh_from_db()
    at = moment(stage.cast.cc_clerk.last_login)
    return [created(opened, ip_address=ADDRESS), changed(stage.cast.cc_clerk, last_login=[None, at])]


@path("POST auth/refresh")
def _(stage: Stage) -> list[Told]:
    given = _given(stage)
    before = moment(SignIn.objects.get().expires_at)
    opened = _trade(stage, "refresh", {"refresh_token": given.refresh_token})
    return [changed(opened, expires_at=[before, moment(opened.expires_at)])]


@path("POST auth/logout")
def _(stage: Stage) -> list[Told]:
    opened = _trade(stage, "logout", {"refresh_token": _given(stage).refresh_token})
    return [changed(opened, revoked_at=[None, moment(opened.revoked_at)])]


@path("POST auth/logout-all")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    stage.calls(person, "post", "auth/logout-all")
    opened = SignIn.objects.get()
    return [
        changed(opened, revoked_at=[None, moment(opened.revoked_at)]),
        changed(person, signed_out_at=[None, moment(opened.revoked_at)]),
    ]


@path("POST auth/password/change")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    stage.calls(person, "post", "auth/password/change", {"current_password": PASSWORD, "password": NEW})
    return [
        changed(person, password=["•••", "•••"]),
        *(created(one, user_id=person.pk) for one in person.old_passwords.all()),
    ]


@path("POST auth/password/reset-request")
def _(stage: Stage) -> list[Told]:
    stage.begins("api", None, ip_address=ADDRESS, request_id=OURS)
    APIClient().post("/api/v1/auth/password/reset-request", {"email": stage.cast.cc_clerk.email}, **FROM_THERE)
    return [created(Ticket.objects.get(), purpose="reset"), created(Message.objects.get(), kind="password_reset")]


@path("POST auth/password/reset")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    accounts.request_reset(email=person.email, at=stage.at)
    body = {"token": tokens.write_ticket(Ticket.objects.get().pk), "password": NEW}
    stage.begins("api", person, ip_address=ADDRESS, request_id=OURS)
    APIClient().post("/api/v1/auth/password/reset", body, **FROM_THERE)
    ticket = Ticket.objects.get()
    return [changed(ticket, used_at=[None, moment(ticket.used_at)]), changed(person, password=["•••", "•••"])]


@path("POST auth/email/send-verification")
def _(stage: Stage) -> list[Told]:
    stage.calls(stage.cast.cc_clerk, "post", "auth/email/send-verification")
    return [created(Ticket.objects.get(), purpose="verify"), created(Message.objects.get(), kind="email_verification")]


@path("POST auth/email/verify")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    accounts.send_verification(user=person, at=stage.at)
    stage.calls(person, "post", "auth/email/verify", {"token": tokens.write_ticket(Ticket.objects.get().pk)})
    person.refresh_from_db()
    return [changed(person, email_verified_at=[None, moment(person.email_verified_at)])]


@path("POST auth/2fa/setup")
def _(stage: Stage) -> list[Told]:
    stage.calls(stage.cast.cc_clerk, "post", "auth/2fa/setup", {"password": PASSWORD})
    return [created(SecondFactor.objects.get())]


@path("POST auth/2fa/enable")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    secret = accounts.set_up_second_factor(user=person, password=PASSWORD, at=timezone.now(), ip_address=None).secret
    body = {"totp_code": pyotp.TOTP(secret).at(timezone.now())}
    stage.calls(person, "post", "auth/2fa/enable", body)
    factor = SecondFactor.objects.get()
    person.refresh_from_db()
    return [
        changed(factor, confirmed_at=[None, moment(factor.confirmed_at)]),
        changed(person, signed_out_at=[None, moment(person.signed_out_at)]),
        *(created(one, user_id=person.pk) for one in BackupCode.objects.all()),
    ]


@path("POST auth/2fa/disable")
def _(stage: Stage) -> list[Told]:
    enrolled(stage.cast.cc_clerk)
    stage.calls(stage.cast.cc_clerk, "post", "auth/2fa/disable", {"password": PASSWORD})
    return [deleted(SecondFactor, stage.cast.cc_clerk.pk)]


@path("POST auth/2fa/regenerate-backup-codes")
def _(stage: Stage) -> list[Told]:
    enrolled(stage.cast.cc_clerk)
    old = list(BackupCode.objects.values_list("pk", flat=True))
    stage.calls(stage.cast.cc_clerk, "post", "auth/2fa/regenerate-backup-codes", {"password": PASSWORD})
    return [*(deleted(BackupCode, pk) for pk in old), *map(created, BackupCode.objects.all())]


@path("POST users/{pk}/unlock")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    stage.calls(stage.cast.administrator, "post", f"users/{person.pk}/unlock")
    person.refresh_from_db()
    return [changed(person, unlocked_at=[None, moment(person.unlocked_at)])]


@path("PATCH users/me")
def _(stage: Stage) -> list[Told]:
    stage.calls(stage.cast.cc_clerk, "patch", "users/me", {"phone": "+96891234567"})
    return [changed(stage.cast.cc_clerk, phone=["", "+96891234567"])]


_NOOR = {"email": "noor@example.com", "full_name": "Noor Newcomer", "department": "C&C", "role": "PPR"}


@path("POST users")
def _(stage: Stage) -> list[Told]:
    stage.calls(stage.cast.administrator, "post", "users", _NOOR | {"divisions": ["TBL"]})
    person = User.objects.get(email="noor@example.com")
    return [
        created(person, full_name="Noor Newcomer", department="C&C"),
        changed(person, divisions=[None, stage.cast.tyres.pk]),
        changed(person, groups=[None, person.groups.get().pk]),
    ]


@path("POST users/invite")
def _(stage: Stage) -> list[Told]:
    stage.calls(stage.cast.administrator, "post", "users/invite", _NOOR)
    person = User.objects.get(email="noor@example.com")
    return [
        created(person, full_name="Noor Newcomer"),
        created(Ticket.objects.get(), purpose="invite"),
        created(Message.objects.get(), kind="invitation"),
    ]


@path("PATCH users/{pk}")
def _(stage: Stage) -> list[Told]:
    person, further = stage.cast.cc_clerk, RoleGroup.objects.create(name="Reporting")
    stage.calls(stage.cast.administrator, "patch", f"users/{person.pk}", {"role": "APR", "further_roles": [further.pk]})
    return [changed(person, role=["PPR", "APR"]), changed(person, groups=[None, further.pk])]


@path("DELETE users/{pk}")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    stage.calls(stage.cast.administrator, "delete", f"users/{person.pk}")
    person.refresh_from_db()
    return [
        changed(person, is_active=[True, False]),
        changed(person, signed_out_at=[None, moment(person.signed_out_at)]),
    ]


@path("POST users/{pk}/overrides")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    body = {"permission": "metrics:view", "is_granted": True, "reason": "Covers"}
    stage.calls(stage.cast.administrator, "post", f"users/{person.pk}/overrides", body)
    made = Override.objects.get()
    return [created(made, user_id=person.pk, permission_id=made.permission_id, is_granted=True, reason="Covers")]


@path("DELETE users/{pk}/overrides/{override_id}")
def _(stage: Stage) -> list[Told]:
    person = denied(stage.cast.cc_clerk, "metrics.view_metric")
    kept = Override.objects.get()
    stage.calls(stage.cast.administrator, "delete", f"users/{person.pk}/overrides/{kept.pk}")
    return [deleted(Override, kept.pk, user_id=person.pk)]


@path("POST roles")
def _(stage: Stage) -> list[Told]:
    stage.calls(stage.cast.administrator, "post", "roles", {"name": "Reporting", "permissions": ["metrics:view"]})
    made = Group.objects.get(name="Reporting")
    return [created(made, name="Reporting"), changed(made, permissions=[None, made.permissions.get().pk])]


@path("PUT roles/{pk}")
def _(stage: Stage) -> list[Told]:
    made, gone = Group.objects.get(pk=role("audit.view_seal").pk), right("audit.view_seal").pk
    body = {"name": "Reports", "permissions": ["metrics:view"]}
    stage.calls(stage.cast.administrator, "put", f"roles/{made.pk}", body)
    return [
        changed(made, name=["Reporting", "Reports"]),
        changed(made, permissions=[gone, None]),
        changed(made, permissions=[None, made.permissions.get().pk]),
    ]


@path("DELETE roles/{pk}")
def _(stage: Stage) -> list[Told]:
    made = role("audit.view_seal")
    stage.calls(stage.cast.administrator, "delete", f"roles/{made.pk}")
    return [deleted(Group, made.pk, name="Reporting")]


@path("POST roles/{pk}/permissions")
def _(stage: Stage) -> list[Told]:
    made = Group.objects.get(pk=role().pk)
    stage.calls(stage.cast.administrator, "post", f"roles/{made.pk}/permissions", {"permissions": ["seals:view"]})
    return [changed(made, permissions=[None, right("audit.view_seal").pk])]


@path("DELETE roles/{pk}/permissions")
def _(stage: Stage) -> list[Told]:
    made = Group.objects.get(pk=role("audit.view_seal").pk)
    stage.calls(stage.cast.administrator, "delete", f"roles/{made.pk}/permissions", {"permissions": ["seals:view"]})
    return [changed(made, permissions=[right("audit.view_seal").pk, None])]


@path("POST shipments")
def _(stage: Stage) -> list[Told]:
    eta = stage.today + timedelta(days=9)
    answer = stage.calls(stage.cast.bu_clerk, "post", "shipments", recipes.values(shipment_number="N-1", eta=eta))
    shipment = Shipment.objects.get(pk=answer.json()["id"])
    return [
        created(shipment, shipment_number="N-1", eta=str(eta), invoice_amount_omr="12345.678"),
        *(created(step, shipment_id=shipment.pk) for step in shipment.steps.all()),
    ]


@path("PUT shipments/{pk}")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment(vessel="Sea Star")
    body = {
        "shipment_number": shipment.shipment_number,
        "principal": "Al Noor Tyres",
        "brand": "Noor",
        "invoice_amount_omr": "7.000",
        "transport_mode": "air",
        "eta": str(shipment.eta),
    }
    stage.calls(stage.cast.bu_clerk, "put", f"shipments/{shipment.pk}", body)
    return [
        changed(
            shipment, vessel=["Sea Star", ""], invoice_amount_omr=["12345.678", "7.000"], transport_mode=["sea", "air"]
        )
    ]


@path("PATCH shipments/{pk}")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    stage.calls(stage.cast.bu_clerk, "patch", f"shipments/{shipment.pk}", {"vessel": "Sea Star"})
    return [changed(shipment, vessel=["", "Sea Star"], version=[1, 2])]


@path("DELETE shipments/{pk}")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    stage.calls(stage.cast.bu_clerk, "delete", f"shipments/{shipment.pk}", {})
    shipment.refresh_from_db()
    return [changed(shipment, deleted_at=[None, moment(shipment.deleted_at)])]


@path("PATCH shipments/{pk}/eta")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    step = recipes.step(shipment, recipes.BAYAN_SUBMITTED)
    eta = shipment.eta + timedelta(days=6)
    stage.calls(stage.cast.bu_clerk, "patch", f"shipments/{shipment.pk}/eta", {"eta": eta, "reason": "Vessel rolled"})
    return [
        changed(
            shipment, eta=[str(shipment.eta), str(eta)], eta_edit_count=[0, 1], eta_change_reason=["", "Vessel rolled"]
        ),
        changed(step, target_date=[str(step.target_date), str(step.target_date + timedelta(days=6))]),
    ]


@path("POST shipments/{pk}/cancel")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    stage.calls(stage.cast.bu_head, "post", f"shipments/{shipment.pk}/cancel", {"reason": "Order withdrawn"})
    return [changed(shipment, status=["active", "cancelled"], cancel_reason=["", "Order withdrawn"])]


@path("POST shipments/{pk}/restore")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    shipments.cancel(shipment_id=shipment.pk, reason="Order withdrawn", by=stage.cast.bu_head, at=stage.at)
    stage.calls(stage.cast.bu_head, "post", f"shipments/{shipment.pk}/restore", {})
    return [changed(shipment, status=[Status.CANCELLED, Status.ACTIVE])]


@path("POST shipments/import")
def _(stage: Stage) -> list[Told]:
    known = stage.shipment()
    values = recipes.values(shipment_number="N-1", eta=str(stage.today + timedelta(days=5)))
    rows = [values, values | {"shipment_number": known.shipment_number, "vessel": "Sea Star", "eta": str(known.eta)}]
    rows[1]["9.0"] = str(stage.today)
    stage.calls(stage.cast.bu_clerk, "post", "shipments/import", {"rows": rows})
    step = recipes.step(known, recipes.BAYAN_SUBMITTED)
    return [
        created(Shipment.objects.get(shipment_number="N-1"), principal="Al Noor Tyres"),
        changed(known, vessel=["", "Sea Star"]),
        changed(step, actual_date=[None, str(stage.today)], completed_via=["", "import"]),
    ]


@path("PATCH workflow-steps/{pk}/complete")
def _(stage: Stage) -> list[Told]:
    step = stage.step()
    body = {"actual_date": str(stage.today)}
    stage.calls(stage.cast.cc_clerk, "patch", f"workflow-steps/{step.pk}/complete", body)
    return [changed(step, actual_date=[None, str(stage.today)], completed_by_id=[None, stage.cast.cc_clerk.pk])]


@path("PATCH workflow-steps/{pk}/reopen")
def _(stage: Stage) -> list[Told]:
    step = stage.step(done=True)
    stage.calls(stage.cast.cc_head, "patch", f"workflow-steps/{step.pk}/reopen", {"reason": "Entered too early"})
    return [changed(step, actual_date=[str(stage.today), None], note=["", "Entered too early"])]


@path("PATCH alerts/{pk}/acknowledge")
def _(stage: Stage) -> list[Told]:
    late.shipment(by=stage.cast.bu_clerk, days=5)
    late.sweep()
    alert = Alert.objects.filter(recipient_user=stage.cast.cc_clerk).latest("pk")
    body = {"promised_on": str(stage.today)}
    stage.calls(stage.cast.cc_clerk, "patch", f"alerts/{alert.pk}/acknowledge", body)
    return [changed(alert, promised_on=[None, str(stage.today)], acknowledged_by_id=[None, stage.cast.cc_clerk.pk])]


@path("the browsable API")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    browser = APIClient()
    browser.force_login(stage.cast.bu_clerk)
    stage.begins("api", stage.cast.bu_clerk, ip_address=ADDRESS, request_id=OURS)
    browser.patch(f"/api/v1/shipments/{shipment.pk}", {"invoice_amount_omr": Decimal("1.5")}, **FROM_THERE)
    return [changed(shipment, invoice_amount_omr=["12345.678", "1.500"])]


# One's own messages --------------------------------------------------------------------------------------------------
@path("PATCH preferences")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    User.objects.filter(pk=person.pk).update(phone="+96891234567")
    stage.calls(person, "patch", "preferences", {"mail": ["critical", "urgent"], "sms": ["urgent"], "language": "ar"})
    return [
        created(MutedMail.objects.get(), user_id=person.pk, severity="warning"),
        created(WantedText.objects.get(), user_id=person.pk, severity="urgent"),
        changed(person, language=["en", "ar"]),
    ]


# Service accounts ----------------------------------------------------------------------------------------------------
@path("POST service-accounts")
def _(stage: Stage) -> list[Told]:
    body = {"full_name": "Agent’s system", "department": "C&C", "role": "PPR", "divisions": ["TBL"]}
    answer = stage.calls(stage.cast.administrator, "post", "service-accounts", body)
    account = User.objects.get(pk=answer.json()["id"])
    return [
        created(account, full_name="Agent’s system", is_service=True),
        changed(account, divisions=[None, stage.cast.tyres.pk]),
    ]


@path("PATCH service-accounts/{pk}")
def _(stage: Stage) -> list[Told]:
    account = machines.account(stage.cast)
    stage.calls(stage.cast.administrator, "patch", f"service-accounts/{account.pk}", {"role": "ReadOnly"})
    return [changed(account, role=["PPR", "ReadOnly"])]


@path("DELETE service-accounts/{pk}")
def _(stage: Stage) -> list[Told]:
    account = machines.account(stage.cast)
    key = machines.key(account, stage.cast).record
    stage.calls(stage.cast.administrator, "delete", f"service-accounts/{account.pk}")
    key.refresh_from_db()
    return [changed(account, is_active=[True, False]), changed(key, revoked_at=[None, moment(key.revoked_at)])]


@path("POST service-accounts/{pk}/keys")
def _(stage: Stage) -> list[Told]:
    account = machines.account(stage.cast)
    body = {
        "name": "Production",
        "scopes": ["shipments:view"],
        "expires_at": str(stage.at + timedelta(days=9)),
        "allowed_networks": ["203.0.113.0/24"],
    }
    stage.calls(stage.cast.administrator, "post", f"service-accounts/{account.pk}/keys", body)
    return [
        created(
            ApiKey.objects.get(),
            account_id=account.pk,
            scopes=["shipments:view"],
            allowed_networks=["203.0.113.0/24"],
            created_by_id=stage.cast.administrator.pk,
        )
    ]


@path("POST service-accounts/{pk}/keys/{key_id}/rotate")
def _(stage: Stage) -> list[Told]:
    account = machines.account(stage.cast)
    old = machines.key(account, stage.cast).record
    address = f"service-accounts/{account.pk}/keys/{old.pk}/rotate"
    stage.calls(stage.cast.administrator, "post", address, {"grace_hours": 1})
    before = moment(old.expires_at)
    old.refresh_from_db()
    return [
        changed(old, rotated_at=[None, moment(old.rotated_at)], expires_at=[before, moment(old.expires_at)]),
        created(ApiKey.objects.exclude(pk=old.pk).get(), name="Production"),
    ]


@path("DELETE service-accounts/{pk}/keys/{key_id}")
def _(stage: Stage) -> list[Told]:
    account = machines.account(stage.cast)
    key = machines.key(account, stage.cast).record
    stage.calls(stage.cast.administrator, "delete", f"service-accounts/{account.pk}/keys/{key.pk}")
    key.refresh_from_db()
    return [changed(key, revoked_at=[None, moment(key.revoked_at)])]


@path("a machine with an API key")
def _(stage: Stage) -> list[Told]:
    account = machines.account(stage.cast, department="BusinessUnit")
    machine = machines.caller(machines.key(account, stage.cast))
    shipment = stage.shipment()
    stage.begins("api", account, ip_address=ADDRESS, request_id=OURS)
    machine.patch(f"/api/v1/shipments/{shipment.pk}", {"vessel": "Sea Star"}, **FROM_THERE)
    return [changed(shipment, vessel=["", "Sea Star"])]

"""Write paths: every writing endpoint of the API."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pyotp
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts
from accounts import tokens
from accounts.models import BackupCode, SecondFactor, SignIn, Ticket
from alerts.models import Alert
from alerts.tests import late
from audit.tests.paths import Stage, enrolled, path
from audit.tests.trails import ADDRESS, FROM_THERE, REQUEST, Told, changed, created, deleted, moment
from clearance.tests import recipes
from clearance.tests.cast import PASSWORD
from outbox.models import Message
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
    stage.begins("api", stage.cast.cc_clerk, ip_address=ADDRESS, request_id=REQUEST)
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
    stage.begins("api", None, ip_address=ADDRESS, request_id=REQUEST)
    APIClient().post("/api/v1/auth/password/reset-request", {"email": stage.cast.cc_clerk.email}, **FROM_THERE)
    return [created(Ticket.objects.get(), purpose="reset"), created(Message.objects.get(), kind="password_reset")]


@path("POST auth/password/reset")
def _(stage: Stage) -> list[Told]:
    person = stage.cast.cc_clerk
    accounts.request_reset(email=person.email, at=stage.at)
    body = {"token": tokens.write_ticket(Ticket.objects.get().pk), "password": NEW}
    stage.begins("api", person, ip_address=ADDRESS, request_id=REQUEST)
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
    stage.calls(stage.cast.cc_clerk, "post", "auth/2fa/setup")
    return [created(SecondFactor.objects.get())]


@path("POST auth/2fa/enable")
def _(stage: Stage) -> list[Told]:
    secret = accounts.set_up_second_factor(user=stage.cast.cc_clerk, at=stage.at).secret
    body = {"totp_code": pyotp.TOTP(secret).at(timezone.now())}
    stage.calls(stage.cast.cc_clerk, "post", "auth/2fa/enable", body)
    factor = SecondFactor.objects.get()
    return [
        changed(factor, confirmed_at=[None, moment(factor.confirmed_at)]),
        *(created(one, user_id=stage.cast.cc_clerk.pk) for one in BackupCode.objects.all()),
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
    stage.begins("api", stage.cast.bu_clerk, ip_address=ADDRESS, request_id=REQUEST)
    browser.patch(f"/api/v1/shipments/{shipment.pk}", {"invoice_amount_omr": Decimal("1.5")}, **FROM_THERE)
    return [changed(shipment, invoice_amount_omr=["12345.678", "1.500"])]

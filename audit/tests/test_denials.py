from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts
from accounts.models import Absence, SignIn, User
from alerts.models import Holiday
from audit.services import denials
from audit.tests import trails
from audit.tests.trails import ADDRESS, FROM_THERE, OURS
from clearance import sheets
from clearance.clock import day_of
from clearance.errors import DomainError, Forbidden
from clearance.tests import callers, pages, recipes
from clearance.tests.callers import error_of
from clearance.tests.cast import PASSWORD
from clearance.tests.traces import everything
from shipments.errors import EtaEditLimitReached
from shipments.models import Shipment
from workflow.models import DepartmentFallback

pytestmark = pytest.mark.django_db

LOGIN = "/api/v1/auth/login"


def told(entry) -> tuple[str, str, str, str]:
    """The object, the refusal and the attempt."""
    assert entry.action == "denied"
    assert entry.changes.keys() == {"code", "message", "attempted"}
    return entry.entity_type, entry.entity_id, entry.changes["code"], entry.changes["attempted"]


def eta_of(shipment: Shipment) -> str:
    return f"/api/v1/shipments/{shipment.pk}/eta"


def move(client: APIClient, shipment: Shipment, **headers: str):
    soon = day_of(timezone.now()) + timedelta(days=9)
    return client.patch(eta_of(shipment), {"eta": soon, "reason": "Rolled"}, **(FROM_THERE | headers))


class TestAtTheApi:
    def test_what_somebody_may_not_do_leaves_one_entry_and_nothing_else(self, shipment, finance_clerk):
        client = callers.signed_in(finance_clerk)
        before = everything()

        with trails.written() as entries:
            error_of(move(client, shipment), 403)

        (entry,) = entries
        assert told(entry) == (
            "shipments.shipment", str(shipment.pk), "ETA_FORBIDDEN", f"PATCH {eta_of(shipment)}",
        )  # fmt: skip
        assert (entry.user_id, entry.user_name, entry.user_role) == (
            finance_clerk.pk, "Faisal Clerk", "Finance PPR",
        )  # fmt: skip
        assert (entry.channel, entry.ip_address, entry.request_id) == ("api", ADDRESS, OURS)
        assert everything() == before

    def test_the_message_is_in_english_whatever_the_person_reads(self, shipment, finance_clerk):
        client = callers.signed_in(finance_clerk)

        with trails.written() as entries:
            answer = move(client, shipment, HTTP_ACCEPT_LANGUAGE="ar")

        assert "Business Unit" not in error_of(answer, 403)["message"]
        assert entries[0].changes["message"].startswith("Only the Business Unit")

    def test_the_fourth_change_of_an_eta_is_one(self, shipment, bu_clerk):
        Shipment.objects.filter(pk=shipment.pk).update(eta_edit_count=3)
        client = callers.signed_in(bu_clerk)

        with trails.written() as entries:
            error_of(move(client, shipment), 409)

        assert told(entries[0])[:3] == ("shipments.shipment", str(shipment.pk), "ETA_EDIT_LIMIT")

    def test_a_list_that_the_persons_roles_do_not_open_is_one(self, cast):
        nobody = User.objects.with_password("new@example.com", None, full_name="Nasser New")
        nobody.save()

        client = callers.signed_in(nobody)

        with trails.written() as entries:
            error_of(client.get("/api/v1/shipments"), 403)

        (entry,) = entries
        assert told(entry) == ("shipments.shipment", "", "PERMISSION_DENIED", "GET /api/v1/shipments")

    def test_a_view_of_no_record_is_named_by_its_address(self, cast, shipment):
        nobody = User.objects.with_password("new@example.com", None, full_name="Nasser New")
        nobody.save()
        client = callers.signed_in(nobody)
        address = f"/api/v1/shipments/{shipment.pk}/workflow"

        with trails.written() as entries:
            error_of(client.get(address), 403)

        assert told(entries[0])[:2] == ("page", address)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"eta": "soon"}, 400),
            ({"eta": "2020-01-01"}, 400),
            ({"eta": "2099-01-01", "version": 99}, 409),
        ],
    )
    def test_a_mistake_is_none(self, shipment, bu_clerk, body, status):
        client = callers.signed_in(bu_clerk)

        with trails.written() as entries:
            error_of(client.patch(eta_of(shipment), body), status)

        assert entries == []

    def test_another_divisions_shipment_is_none_for_there_is_no_such_shipment(self, cast):
        theirs = recipes.registered(by=cast.bu_clerk, division=cast.tyres)
        client = callers.signed_in(cast.stranger)

        with trails.written() as entries:
            error_of(move(client, theirs), 404)

        assert entries == []

    @pytest.mark.parametrize("headers", [{}, {"HTTP_AUTHORIZATION": "Bearer x"}])
    def test_nobody_in_particular_leaves_none(self, shipment, headers):
        with trails.written() as entries:
            error_of(APIClient().patch(eta_of(shipment), {}, **headers), 401)

        assert entries == []

    def test_a_missing_csrf_token_is_none(self, shipment, bu_clerk):
        browser = APIClient(enforce_csrf_checks=True)
        browser.force_login(bu_clerk)

        with trails.written() as entries:
            error_of(move(browser, shipment), 403)

        assert entries == []

    def test_without_a_database_for_the_entry_the_refusal_stands(self, shipment, finance_clerk, monkeypatch, caplog):
        client = callers.signed_in(finance_clerk)

        class Gone:
            def cursor(self):
                raise OperationalError("the connection is lost")

        monkeypatch.setattr(denials, "connection", Gone())
        with trails.written() as entries:
            error_of(move(client, shipment), 403)

        assert entries == []
        assert "a denial has no entry: ETA_FORBIDDEN" in caplog.text

    def test_an_address_that_no_text_can_hold_is_no_way_around_it(self, cast):
        nobody = User.objects.with_password("new@example.com", None, full_name="Nasser New", is_staff=True)
        nobody.save()

        with trails.written() as entries:
            answer = pages.signed_in(nobody).get("/admin/shipments/shipment/?on=%00")

        assert answer.status_code == 403
        assert [entry.action for entry in entries if entry.entity_type == "shipments.shipment"] == ["denied"]


class TestSigningIn:
    def log_in(self, email: str, password: str):
        return APIClient().post(LOGIN, {"email": email, "password": password}, **FROM_THERE)

    @pytest.mark.parametrize("is_active", [True, False])
    def test_with_a_wrong_password_is_about_the_person_and_tells_no_password(self, cc_clerk, is_active):
        User.objects.filter(pk=cc_clerk.pk).update(is_active=is_active)

        with trails.written() as entries:
            error_of(self.log_in(cc_clerk.email.upper(), "not-the-password-7"), 401)

        (entry,) = entries
        assert told(entry) == ("accounts.user", str(cc_clerk.pk), "INVALID_CREDENTIALS", f"POST {LOGIN}")
        assert (entry.user_id, entry.channel, entry.ip_address, entry.request_id) == (None, "api", ADDRESS, OURS)
        assert "not-the-password" not in str(entry.changes)

    def test_with_an_unknown_address_does_not_repeat_what_was_typed(self, cast):
        with trails.written() as entries:
            error_of(self.log_in("my-pass-word-7@example.com", "x"), 401)

        assert told(entries[0])[:2] == ("accounts.user", "")
        assert "my-pass-word" not in str(entries[0].changes)

    def test_with_a_token_that_was_traded_before_is_about_its_person(self, cc_clerk):
        given = accounts.sign_in(email=cc_clerk.email, password=PASSWORD, at=timezone.now(), ip_address=None)
        body = {"refresh_token": given.refresh_token}
        APIClient().post("/api/v1/auth/refresh", body)

        with trails.written() as entries:
            error_of(APIClient().post("/api/v1/auth/refresh", body, **FROM_THERE), 401)

        ended, entry = entries
        assert ended.entity_id == str(SignIn.objects.get().pk)
        assert "revoked_at" in ended.changes
        assert told(entry) == ("accounts.user", str(cc_clerk.pk), "TOKEN_NOT_VALID", "POST /api/v1/auth/refresh")

    @pytest.mark.parametrize("address", ["cc_clerk@example.com", "nobody@example.com"])
    def test_at_the_admin_too(self, cc_clerk, address):
        url = reverse("admin:login")

        with trails.written() as entries:
            Client().post(url, {"username": address, "password": "wrong-one-9"}, **FROM_THERE)

        (entry,) = entries
        known = str(cc_clerk.pk) if address == cc_clerk.email else ""
        assert told(entry) == ("accounts.user", known, "INVALID_CREDENTIALS", f"POST {url}")
        assert (entry.channel, entry.ip_address, entry.request_id) == ("admin", ADDRESS, OURS)
        assert "wrong-one" not in str(entry.changes)

    def test_at_the_admin_is_one_for_those_who_do_not_work_there(self, cc_clerk):
        User.objects.filter(pk=cc_clerk.pk).update(is_staff=False)

        with trails.written() as entries:
            Client().post(reverse("admin:login"), {"username": cc_clerk.email, "password": PASSWORD})

        assert told(entries[0])[:3] == ("accounts.user", str(cc_clerk.pk), "INVALID_CREDENTIALS")


class TestAtTheAdmin:
    def test_a_page_that_the_person_may_not_open_is_named_with_its_record(self, cast, cc_clerk):
        holiday = Holiday.objects.first()
        url = reverse("admin:alerts_holiday_delete", args=[holiday.pk])

        with trails.written() as entries:
            browser = pages.signed_in(cc_clerk)
            assert browser.post(url, {"post": "yes"}, **FROM_THERE).status_code == 403

        entry = entries[-1]
        assert told(entry) == ("alerts.holiday", str(holiday.pk), "PERMISSION_DENIED", f"POST {url}")
        assert (entry.user_name, entry.channel, entry.ip_address) == (cc_clerk.full_name, "admin", ADDRESS)
        assert (entry.request_id, [one.action for one in entries].count("denied")) == (OURS, 1)

    def test_a_verb_that_the_person_may_not_use_is_named_with_its_record(self, shipment, cc_clerk):
        browser = pages.signed_in(cc_clerk)

        with trails.written() as entries:
            assert browser.get(pages.verb("cancel", shipment)).status_code == 403

        (entry,) = entries
        assert told(entry)[:3] == ("shipments.shipment", str(shipment.pk), "PERMISSION_DENIED")

    def test_a_verb_that_the_desk_refuses_is_one(self, cast, bu_clerk):
        at = timezone.now()
        shipment = recipes.registered(by=bu_clerk, at=at, eta=day_of(at) + timedelta(days=3))
        Shipment.objects.filter(pk=shipment.pk).update(eta_edit_count=3)
        soon = day_of(at) + timedelta(days=9)
        browser = pages.signed_in(bu_clerk)

        with trails.written() as entries:
            answer = browser.post(pages.verb("eta", shipment), {"eta": f"{soon:%d/%m/%Y}", "reason": "Rolled"})

        assert "three times" in pages.errors_of(answer)["eta"][0]
        assert [told(entry)[:3] for entry in entries] == [
            ("shipments.shipment", str(shipment.pk), "ETA_EDIT_LIMIT"),
        ]

    def test_a_form_that_the_desk_refuses_is_one(self, finance_head, cast):
        fallback = DepartmentFallback.objects.get(department="C&C")
        given = {"department": "C&C", "ppr": cast.finance_clerk.pk, "apr": ""}
        browser = pages.signed_in(finance_head)

        with trails.written() as entries:
            browser.post(pages.of(fallback), given)

        assert [told(entry)[:3] for entry in entries] == [
            ("workflow.departmentfallback", str(fallback.pk), "NOT_YOUR_DEPARTMENT"),
        ]

    def test_a_removal_that_the_desk_refuses_is_one(self, finance_head, cast):
        absence = Absence.objects.create(
            user=cast.cc_clerk, starts_on=recipes.TODAY, ends_on=recipes.TODAY, substitute=cast.cc_alternate
        )
        browser = pages.signed_in(finance_head)

        with trails.written() as entries:
            browser.post(reverse("admin:accounts_absence_delete", args=[absence.pk]), {"post": "yes"})

        assert [told(entry)[:3] for entry in entries] == [
            ("accounts.absence", str(absence.pk), "ABSENCE_OF_ANOTHER_DEPARTMENT"),
        ]

    def test_of_several_rows_each_refused_one_is_one(self, cast, bu_clerk, finance_clerk):
        at = timezone.now()
        shipment = recipes.registered(by=bu_clerk, at=at, eta=day_of(at))
        mine, other = recipes.step(shipment, recipes.DAN_SENT), recipes.step(shipment, recipes.BAYAN_SUBMITTED)
        browser = pages.signed_in(cast.finance_clerk)
        url = pages.verb("complete", mine, other)

        with trails.written() as entries:
            browser.post(url, {"actual_date": f"{day_of(at):%d/%m/%Y}"})

        denied = [entry for entry in entries if entry.action == "denied"]
        assert [told(entry)[:3] for entry in denied] == [("workflow.workflowstep", str(other.pk), "STEP_NOT_YOURS")]
        assert any(entry.entity_id == str(mine.pk) and entry.action == "changed" for entry in entries)

    def test_a_mistake_in_a_form_is_none(self, shipment, bu_head):
        browser = pages.signed_in(bu_head)

        with trails.written() as entries:
            pages.errors_of(browser.post(pages.verb("cancel", shipment), {"reason": ""}))

        assert entries == []


class TestAtTheCommands:
    def test_in_the_name_of_somebody_who_may_not_is_one(self, tmp_path, auditor):
        file = tmp_path / "tracker.xlsx"
        headings = ["Shipment #", "Principal", "Brand", "Inv Amount", "E.T.A"]
        file.write_bytes(sheets.write(sheets.Page("Tracker", [headings, ["A-1", "Al Noor", "Noor", 1, "01/04/2026"]])))

        with trails.written() as entries, pytest.raises(CommandError):
            call_command("import_shipments", str(file), "--as", auditor.email, stdout=StringIO())

        (entry,) = entries
        assert told(entry) == ("shipments.shipment", "", "PERMISSION_DENIED", "manage.py import_shipments")
        assert (entry.user_id, entry.user_role, entry.channel) == (auditor.pk, "IA ReadOnly", "command")
        assert entry.request_id


def every_error(kind: type[DomainError] = DomainError) -> set[type[DomainError]]:
    return {kind}.union(*(every_error(one) for one in kind.__subclasses__()))


class TestDenials:
    def test_are_what_authority_forbids_what_policy_forbids_and_failed_sign_ins(self):
        denials = {error.__name__ for error in every_error() if error.is_denial and not issubclass(error, Forbidden)}

        assert all(error.is_denial for error in every_error(Forbidden))
        assert denials == {
            EtaEditLimitReached.__name__,
            "InvalidCredentials",
            "WrongPassword",
            "AccountLocked",
            "InvalidSecondFactorCode",
            "TokenRefused",
            "SignInNotBegun",
            "RefusedByProvider",
            "IdentityNotProved",
            "EmailNotVerified",
            "BoundToAnotherIdentity",
            "KeptOut",
            "ApiKeyRefused",
        }

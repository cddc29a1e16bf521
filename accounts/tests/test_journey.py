"""Done when somebody new can do it: from the invitation to the last request, by the mails that lie in a folder."""

from __future__ import annotations

import re
import time
from email import message_from_bytes, policy
from itertools import groupby
from pathlib import Path

import pyotp
import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from audit import wording
from audit.models import AuditEntry
from clearance.tests import callers, pages
from clearance.tests.cast import PASSWORD
from outbox import tasks

pytestmark = pytest.mark.django_db

AUTH = "/api/v1/auth"
LOGIN, OWN = reverse("admin:login"), reverse("admin:own_sign_in")
EMAIL, CHOSEN, WRONG = "noor@example.com", "Tall-ship-sails-9", "Wrong-9-guess"
NOOR = {
    "full_name": "Noor Newcomer",
    "email": EMAIL,
    "department": "C&C",
    "role": "PPR",
    "language": "en",
    "time_zone": "Asia/Muscat",
}


@pytest.fixture
def folder(settings, tmp_path) -> Path:
    settings.EMAIL_BACKEND = "outbox.backends.MailFolder"
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    return settings.EMAIL_FILE_PATH


def next_mail(folder: Path) -> tuple[str, str]:
    """Have the worker look at the outbox, and open what it wrote: subject and text."""
    known = set(folder.glob("*"))
    assert tasks.deliver()["sent"] == 1
    (file,) = set(folder.glob("*")) - known
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert mail["To"] == EMAIL
    return mail["Subject"], mail.get_body(("plain",)).get_content()


def signs_in(browser: Client, email: str = EMAIL, password: str = CHOSEN):
    return browser.post(f"{LOGIN}?next=/admin/", {"username": email, "password": password})


def program(access_token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access_token}")
    return client


class Phone:
    """An authenticator app: three codes in a row without waiting, as the clock may be half a minute off."""

    def __init__(self, secret: str) -> None:
        while time.time() % 30 > 27:
            time.sleep(0.1)
        self.app, self.step = pyotp.TOTP(secret), int(time.time()) // 30 - 2

    def code(self) -> str:
        self.step += 1
        return self.app.generate_otp(self.step)


def told_since(last: int) -> list[str]:
    """What the trail says has happened after an entry, by whom; moments as dots, and repeated lines once."""
    entries = list(AuditEntry.objects.filter(pk__gt=last).order_by("pk"))
    lines = (f"{one.who}: {one.kind} {one.name}: {one.summary}" for one in wording.tell(entries))
    return [line for line, _same in groupby(re.sub(_MOMENT, "…", re.sub(_KEY, "#…", line)) for line in lines)]


_KEY = r"#(?:[0-9a-f]{40}|\d+)"
_MOMENT = r"\d{1,2} \w{3} \d{4}, \d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d"
_WRONG = "refused: E-mail or password is wrong. Check both; an administrator can help. (POST /admin/login/)"
_LOCKED = (
    "refused: Signing in failed too often. Try again in 1 minute; an administrator can unlock you at once. "
    "(POST /admin/login/)"
)
_STOLEN = "refused: The token is unknown, expired, used already or revoked. Sign in again. (POST /api/v1/auth/refresh)"


def _opened(person: str, session: str) -> str:
    return f"{person}: browser session {session}: person: – → {person}; IP address: – → 127.0.0.1; signed in at: – → …"


TOLD = [
    "Adil Administrator: person Adil Administrator: signed in",
    _opened("Adil Administrator", "Adil Administrator: …"),
    "Adil Administrator: required second factor PPR (primary person responsible): created",
    "Adil Administrator: person Noor Newcomer: created",
    "Adil Administrator: person Noor Newcomer: role Customs & Clearance, PPR (primary person responsible) added",
    "Adil Administrator: message Invitation to Clearance → Noor Newcomer: created",
    "Adil Administrator: link in a mail Invitation to Clearance: Noor Newcomer: created",
    "system: message Invitation to Clearance → Noor Newcomer: delivery: Waiting → Sent; sent at: – → …",
    "Noor Newcomer: link in a mail Invitation to Clearance: Noor Newcomer: used at: – → …",
    "Noor Newcomer: person Noor Newcomer: password changed; the trail does not keep it",
    "Noor Newcomer: earlier password Noor Newcomer: …: created",
    "Noor Newcomer: person Noor Newcomer: e-mail address verified at: – → …",
    "Noor Newcomer: message Welcome to Clearance → Noor Newcomer: created",
    "system: message Welcome to Clearance → Noor Newcomer: delivery: Waiting → Sent; sent at: – → …",
    # The second factor.
    "Noor Newcomer: person Noor Newcomer: signed in",
    _opened("Noor Newcomer", "#…"),
    "Noor Newcomer: second factor Noor Newcomer: created",
    "Noor Newcomer: second factor Noor Newcomer: confirmed at: – → …",
    "Noor Newcomer: person Noor Newcomer: signed out everywhere at: – → …",
    "Noor Newcomer: backup code Noor Newcomer: created",
    "Noor Newcomer: browser session #…: created",
    "Noor Newcomer: browser session #…: removed from the database",
    "Noor Newcomer: browser session #…: signed in at: … → …",
    "Noor Newcomer: browser session #…: removed from the database",
    # Locked out, and in again.
    f"system: person Noor Newcomer: {_WRONG}",
    "system: failed sign ins #…: locked until: – → …",
    "system: message Signing in was locked → Noor Newcomer: created",
    f"system: person Noor Newcomer: {_WRONG}",
    f"system: person Noor Newcomer: {_LOCKED}",
    "system: message Signing in was locked → Noor Newcomer: delivery: Waiting → Sent; sent at: – → …",
    "Adil Administrator: failed sign ins #…: removed from the database",
    "Adil Administrator: person Noor Newcomer: unlocked at: – → …",
    "Noor Newcomer: person Noor Newcomer: signed in",
    _opened("Noor Newcomer", "#…"),
    "Noor Newcomer: person Noor Newcomer: signed in",
    # At the API: a token used twice, a sign-in that is ended everywhere.
    "Noor Newcomer: sign-in Noor Newcomer: …: created",
    "Noor Newcomer: sign-in Noor Newcomer: …: expires at: … → …",
    "Noor Newcomer: sign-in Noor Newcomer: …: ended at: – → …",
    f"Noor Newcomer: person Noor Newcomer: {_STOLEN}",
    "Noor Newcomer: backup code Noor Newcomer: used at: – → …",
    "Noor Newcomer: person Noor Newcomer: signed in",
    "Noor Newcomer: sign-in Noor Newcomer: …: created",
    "Noor Newcomer: person Noor Newcomer: signed out everywhere at: … → …",
    "Noor Newcomer: sign-in Noor Newcomer: …: ended at: – → …",
    "system: browser session #…: removed from the database",
    # Deactivated.
    "Noor Newcomer: backup code Noor Newcomer: used at: – → …",
    "Noor Newcomer: person Noor Newcomer: signed in",
    "Noor Newcomer: sign-in Noor Newcomer: …: created",
    "Noor Newcomer: backup code Noor Newcomer: used at: – → …",
    "Noor Newcomer: person Noor Newcomer: signed in",
    _opened("Noor Newcomer", "Noor Newcomer: …"),
    "Adil Administrator: person Noor Newcomer: active: yes → no",
    "Adil Administrator: person Noor Newcomer: signed out everywhere at: … → …",
    "Adil Administrator: sign-in Noor Newcomer: …: ended at: – → …",
]


class TestANewColleague:
    def test_comes_by_mail_works_with_two_factors_and_goes_and_the_trail_tells_it_all(self, cast, folder):
        last = AuditEntry.objects.order_by("pk").last()
        desk, browser = Client(), Client()

        # Invited.
        signs_in(desk, cast.administrator.email, PASSWORD)
        desk.post(pages.verb("require_second_factor", model=User), {"roles": ["PPR"]})
        invited = desk.post(pages.adding(User), NOOR, follow=True)
        assert ("info", "A mail with a link is on its way to Noor Newcomer.") in pages.told(invited)
        noor = User.objects.get(email=EMAIL)
        subject, text = next_mail(folder)
        assert subject == "Invitation to Clearance"
        assert "Customs & Clearance, PPR" in text

        # Comes, and is welcomed.
        link = re.search(r"https?://[^/\s]+(/admin/invitation/\?token=\S+)", text)[1]
        shown = browser.get(link)
        assert "You were invited" in shown.text
        given = {"token": shown.context["form"]["token"].value(), "password": CHOSEN, "password2": CHOSEN}
        come = browser.post(reverse("admin:invitation"), given, follow=True)
        assert pages.told(come) == [("success", "Your password is set. Sign in with it.")]
        assert "unknown, too old or was used already" in browser.get(link).text
        subject, text = next_mail(folder)
        assert subject == "Welcome to Clearance"
        assert "your role requires one" in text

        # Sets up the second factor, as nothing else opens before.
        assert signs_in(browser)["Location"] == "/admin/"
        assert browser.get("/admin/")["Location"] == OWN
        assert "Your role requires a second factor" in pages.words(browser.get(OWN).text)
        browser.post(OWN, {"do": "set_up", "password": CHOSEN})
        phone = Phone(browser.get(OWN).context["enrolment"].secret)
        codes = browser.post(OWN, {"do": "enable", "code": phone.code()}).context["codes"]
        assert len(set(codes)) == 10
        assert browser.get("/admin/").status_code == 200
        browser.post(reverse("admin:logout"))
        assert browser.get("/admin/").status_code == 302

        # Is locked out, and unlocked.
        for _ in range(5):
            assert signs_in(browser, password=WRONG).status_code == 200
        assert "failed too often" in pages.errors_of(signs_in(browser))["__all__"][0]
        subject, text = next_mail(folder)
        assert subject == "Signing in to your account was locked"
        assert pages.told(desk.post(pages.verb("unlock", noor), follow=True)) == [
            ("success", "Noor Newcomer can sign in again.")
        ]
        asked = signs_in(browser)
        assert browser.post(asked["Location"], {"code": phone.code()})["Location"] == "/admin/"
        assert browser.get("/admin/").status_code == 200

        # The same at the API.
        def log_in(**more):
            return APIClient().post(f"{AUTH}/login", {"email": EMAIL, "password": CHOSEN} | more)

        assert callers.error_of(log_in(), 401)["code"] == "TOTP_REQUIRED"
        first = log_in(totp_code=phone.code()).json()
        assert program(first["access_token"]).get("/api/v1/users/me").json()["email"] == EMAIL
        second = APIClient().post(f"{AUTH}/refresh", {"refresh_token": first["refresh_token"]}).json()
        assert program(second["access_token"]).get("/api/v1/users/me").status_code == 200
        stolen = APIClient().post(f"{AUTH}/refresh", {"refresh_token": first["refresh_token"]})
        assert callers.error_of(stolen, 401)["code"] == "TOKEN_NOT_VALID"
        assert program(second["access_token"]).get("/api/v1/users/me").status_code == 401
        third = log_in(totp_code=codes[0]).json()
        assert program(third["access_token"]).post(f"{AUTH}/logout-all").status_code == 204
        assert program(third["access_token"]).get("/api/v1/users/me").status_code == 401
        assert browser.get("/admin/").status_code == 302

        # Goes.
        fourth = program(log_in(totp_code=codes[1]).json()["access_token"])
        browser.post(signs_in(browser)["Location"], {"code": codes[2]})
        assert fourth.get("/api/v1/users/me").status_code == 200
        assert browser.get("/admin/").status_code == 200
        desk.post(pages.verb("deactivate", noor))
        assert fourth.get("/api/v1/users/me").status_code == 401
        assert browser.get("/admin/").status_code == 302

        assert told_since(last.pk if last else 0) == TOLD

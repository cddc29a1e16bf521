from __future__ import annotations

import re
from datetime import timedelta

import pyotp
import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from accounts import tokens
from accounts.models import RequiredSecondFactor, SecondFactor, SignIn, Ticket, User
from audit.models import AuditEntry
from clearance.tests import callers, pages
from clearance.tests.cast import PASSWORD
from outbox import services as outbox
from outbox.messages import composers
from outbox.models import Message

pytestmark = pytest.mark.django_db

NEW = "Tall-ship-sails-9"
LOGIN, CODE = reverse("admin:login"), reverse("admin:login_code")
OWN = reverse("admin:own_sign_in")
FORGOTTEN, RESET = reverse("admin_password_reset"), reverse("admin:new_password")


def signs_in(user: User, password: str = PASSWORD, *, client: Client | None = None, **more: str):
    client = client or Client()
    return client, client.post(f"{LOGIN}?next=/admin/", {"username": user.email, "password": password} | more)


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def enrolled(user: User) -> tuple[str, list[str]]:
    at = timezone.now() - timedelta(hours=1)
    secret = accounts.set_up_second_factor(user=user, password=PASSWORD, at=at, ip_address=None).secret
    return secret, accounts.enable_second_factor(user=user, code=pyotp.TOTP(secret).at(at), at=at)


def delivered(settings) -> str:
    """Have the worker send what waits; return the text of the last mail."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    outbox.deliver_due(at=timezone.now(), compose=composers(), lease=timedelta(minutes=2))
    return str(mail.outbox[-1].body)


class TestSigningInToTheBackOffice:
    @pytest.mark.parametrize("who", ["cc_clerk@example.com", "nobody@example.com"])
    def test_is_locked_after_five_failures_whoever_it_is(self, cast, who):
        client = Client()

        answers = [client.post(LOGIN, {"username": who, "password": "Wrong-9-guess"}) for _ in range(6)]

        said = [pages.errors_of(answer)["__all__"][0] for answer in answers]
        assert set(said[:5]) == {"E-mail or password is wrong. Check both; an administrator can help."}
        assert said[5].startswith("Signing in failed too often. Try again in 1 minute;")

    def test_shares_its_count_with_the_api(self, cc_clerk):
        for _ in range(5):
            signs_in(cc_clerk, "Wrong-9-guess")

        answer = callers.APIClient().post("/api/v1/auth/login", {"email": cc_clerk.email, "password": PASSWORD})

        assert callers.error_of(answer, 401)["code"] == "ACCOUNT_LOCKED"
        assert 55 <= int(answer["Retry-After"]) <= 60

    def test_leaves_an_entry_of_every_refusal(self, cc_clerk):
        for _ in range(6):
            signs_in(cc_clerk, "Wrong-9-guess")

        told = AuditEntry.objects.filter(action="denied", entity_id=str(cc_clerk.pk)).order_by("pk")
        codes = [re.search(r'"code": ?"(\w+)"', str(one.changes).replace("'", '"'))[1] for one in told]
        assert codes == ["INVALID_CREDENTIALS"] * 5 + ["ACCOUNT_LOCKED"]

    def test_is_refused_to_who_works_elsewhere_and_to_the_deactivated(self, cast):
        User.objects.filter(pk=cast.cc_clerk.pk).update(is_staff=False)
        accounts.deactivate(user=cast.cc_head, by=None, at=timezone.now())

        for person in (cast.cc_clerk, cast.cc_head):
            client, answer = signs_in(person)
            assert "E-mail or password is wrong" in pages.errors_of(answer)["__all__"][0]
            assert not is_in(client)

    def test_goes_nowhere_else_afterwards(self, cc_clerk):
        client = Client()

        answer = client.post(f"{LOGIN}?next=https://evil.example/", {"username": cc_clerk.email, "password": PASSWORD})

        assert answer["Location"] == "/admin/"

    def test_ends_with_signing_out(self, cc_clerk):
        client = pages.signed_in(cc_clerk)

        answer = client.post(reverse("admin:logout"))

        assert answer.status_code in (200, 302)
        assert not is_in(client)

    def test_is_possible_again_once_an_administrator_unlocked_it(self, cc_clerk, administrator):
        for _ in range(5):
            signs_in(cc_clerk, "Wrong-9-guess")
        desk = pages.signed_in(administrator)
        assert "Unlock" in pages.buttons(desk.get(pages.of(cc_clerk)))

        desk.post(pages.verb("unlock", cc_clerk))

        assert is_in(signs_in(cc_clerk)[0])
        assert "Unlock" not in pages.buttons(desk.get(pages.of(cc_clerk)))


class TestSigningInWithASecondFactor:
    def test_asks_for_the_code_on_a_second_page(self, cc_clerk):
        secret, _ = enrolled(cc_clerk)

        client, answer = signs_in(cc_clerk)
        assert answer["Location"] == f"{CODE}?next=%2Fadmin%2F"
        assert not is_in(client)

        answer = client.post(answer["Location"], {"code": pyotp.TOTP(secret).at(timezone.now())})
        assert answer["Location"] == "/admin/"
        assert is_in(client)

    def test_takes_a_backup_code(self, cc_clerk):
        _, codes = enrolled(cc_clerk)
        client, _ = signs_in(cc_clerk)

        client.post(CODE, {"code": codes[0]})

        assert is_in(client)

    def test_says_that_a_code_is_wrong_and_locks_after_five_guesses(self, cc_clerk):
        secret, _ = enrolled(cc_clerk)
        client, _ = signs_in(cc_clerk)

        said = [pages.errors_of(client.post(CODE, {"code": "no code"}))["code"][0] for _ in range(5)]

        assert said[3].startswith("The code is wrong")
        assert said[4].startswith("Signing in failed too often")
        client.post(CODE, {"code": pyotp.TOTP(secret).at(timezone.now())})
        assert not is_in(client)

    def test_opens_no_page_for_codes_to_who_has_not_given_the_password(self, cc_clerk):
        secret, _ = enrolled(cc_clerk)
        client = Client()

        for answer in (client.get(CODE), client.post(CODE, {"code": pyotp.TOTP(secret).at(timezone.now())})):
            assert answer["Location"] == LOGIN
        assert not is_in(client)

    def test_waits_five_minutes_for_the_code(self, cc_clerk):
        enrolled(cc_clerk)
        client, _ = signs_in(cc_clerk)
        session = client.session
        session["password_proved"] = [cc_clerk.pk, timezone.now().timestamp()]
        session.save()

        assert client.get(CODE)["Location"] == LOGIN


class TestARoleThatRequiresASecondFactor:
    @pytest.fixture(autouse=True)
    def _required(self, administrator):
        accounts.require_second_factor(roles=["PPR"], by=administrator)

    def test_opens_nothing_but_the_page_where_it_is_set_up(self, cc_clerk):
        client, _ = signs_in(cc_clerk)

        for page in ("/admin/", reverse("admin:shipments_shipment_changelist"), reverse("admin:password_change")):
            assert client.get(page)["Location"] == OWN
            assert client.post(page)["Location"] == OWN
        assert "Your role requires a second factor" in pages.words(client.get(OWN).content.decode())

    def test_lets_nobody_use_the_browsable_api_instead(self, cc_clerk):
        client, _ = signs_in(cc_clerk)

        assert client.get("/api/v1/users/me").status_code == 401

    def test_lets_people_work_once_they_have_set_it_up(self, cc_clerk):
        client, _ = signs_in(cc_clerk)
        client.post(OWN, {"do": "set_up", "password": PASSWORD})
        secret = client.get(OWN).context["enrolment"].secret

        answer = client.post(OWN, {"do": "enable", "code": pyotp.TOTP(secret).at(timezone.now())})

        assert len(answer.context["codes"]) == 10
        assert is_in(client)
        assert client.get("/api/v1/users/me").status_code == 200

    def test_ends_the_other_sessions_of_whoever_set_it_up(self, cc_clerk):
        client, there = signs_in(cc_clerk)[0], signs_in(cc_clerk)[0]
        client.post(OWN, {"do": "set_up", "password": PASSWORD})
        secret = client.get(OWN).context["enrolment"].secret

        client.post(OWN, {"do": "enable", "code": pyotp.TOTP(secret).at(timezone.now())})

        assert (is_in(client), is_in(there)) == (True, False)

    def test_begins_with_the_next_click_of_who_is_signed_in(self, cc_head, administrator):
        client = pages.signed_in(cc_head)
        assert is_in(client)

        pages.signed_in(administrator).post(
            pages.verb("require_second_factor", model=User), {"roles": ["Manager", "PPR"]}
        )

        assert client.get("/admin/")["Location"] == OWN
        assert set(RequiredSecondFactor.objects.values_list("role", flat=True)) == {"Manager", "PPR"}

    def test_is_asked_for_with_the_person_and_costs_no_statement(self, cc_alternate):
        client = pages.signed_in(cc_alternate)

        with CaptureQueriesContext(connection) as asked:
            assert client.get(reverse("admin:password_change")).status_code == 200

        about = [query["sql"] for query in asked if "accounts_requiredsecondfactor" in query["sql"]]
        assert ['FROM "accounts_user"' in sql for sql in about] == [True]


class TestThePageOfOnesOwnSignIn:
    def test_turns_the_second_factor_on_and_off(self, cc_clerk):
        client = pages.signed_in(cc_clerk)
        client.post(OWN, {"do": "set_up", "password": PASSWORD})
        shown = client.get(OWN)
        code = pyotp.TOTP(shown.context["enrolment"].secret).at(timezone.now())

        assert b"data:image/png;base64," in shown.content
        assert len(client.post(OWN, {"do": "enable", "code": code}).context["codes"]) == 10
        assert "10 backup codes are left" in pages.words(client.get(OWN).content.decode())
        assert len(client.post(OWN, {"do": "new_codes", "password": PASSWORD}).context["codes"]) == 10
        told = pages.told(client.post(OWN, {"do": "disable", "password": PASSWORD}, follow=True))
        assert told == [("success", "The second factor is off.")]
        assert not SecondFactor.objects.exists()

    def test_asks_for_the_password_before_it_shows_a_secret(self, cc_clerk):
        client = pages.signed_in(cc_clerk)

        client.post(OWN, {"do": "set_up"})

        assert client.get(OWN).context["enrolment"] is None
        assert not SecondFactor.objects.exists()

    def test_says_how_somebody_gets_a_password_who_has_none(self, cc_clerk):
        cc_clerk.set_unusable_password()
        cc_clerk.save()

        assert "Forgotten the password?" in pages.words(pages.signed_in(cc_clerk).get(OWN).content.decode())

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"do": "enable", "code": "123456"}, "No second factor is set up"),
            ({"do": "disable", "password": "Wrong-9"}, "The current password is wrong"),
            ({"do": "set_up", "password": "Wrong-9"}, "The current password is wrong"),
            ({"do": "set_up"}, "The current password is wrong"),
            ({"do": "new_codes"}, "The current password is wrong"),
        ],
    )
    def test_says_why_something_is_refused(self, cc_clerk, given, said):
        answer = pages.signed_in(cc_clerk).post(OWN, given, follow=True)

        assert [said in sentence for _, sentence in pages.told(answer)] == [True]

    def test_ignores_what_it_does_not_know(self, cc_clerk):
        assert pages.signed_in(cc_clerk).post(OWN, {"do": "become_administrator"}).status_code == 302

    def test_ends_all_sessions_and_sign_ins(self, cc_clerk):
        here, there = pages.signed_in(cc_clerk), pages.signed_in(cc_clerk)
        program = callers.signed_in(cc_clerk)

        here.post(OWN, {"do": "sign_out_everywhere"})

        assert not is_in(here)
        assert not is_in(there)
        assert program.get("/api/v1/users/me").status_code == 401
        assert SignIn.objects.get().revoked_at

    def test_verifies_the_address_by_mail_and_a_button(self, cc_clerk, settings):
        client = pages.signed_in(cc_clerk)
        client.post(OWN, {"do": "send_verification"})
        link = re.search(r"http\S+(/admin/verify_email/\?token=\S+)", delivered(settings))[1]

        page = client.get(link)
        assert User.objects.get(pk=cc_clerk.pk).email_verified_at is None
        told = pages.told(client.post(reverse("admin:verify_email"), {"token": page.context["token"]}, follow=True))

        assert told == [("success", "Your e-mail address is verified.")]
        assert User.objects.get(pk=cc_clerk.pk).email_verified_at

    def test_says_that_a_link_is_no_good(self, cc_clerk):
        answer = pages.signed_in(cc_clerk).post(reverse("admin:verify_email"), {"token": "x"}, follow=True)

        assert "The link is unknown" in pages.told(answer)[0][1]


class TestChangingOnesPassword:
    def change(self, client: Client, old: str = PASSWORD, new: str = NEW, again: str | None = None):
        given = {"old_password": old, "new_password1": new, "new_password2": new if again is None else again}
        return client.post(reverse("admin:password_change"), given)

    def test_keeps_this_session_and_ends_the_others(self, cc_clerk):
        here, there, program = pages.signed_in(cc_clerk), pages.signed_in(cc_clerk), callers.signed_in(cc_clerk)

        self.change(here)

        assert is_in(here)
        assert not is_in(there)
        assert program.get("/api/v1/users/me").status_code == 401
        assert is_in(signs_in(cc_clerk, NEW)[0])

    def test_leads_to_ones_other_pages_before_and_after(self, cc_clerk):
        client = pages.signed_in(cc_clerk)

        for page in (client.get(reverse("admin:password_change")), client.get(reverse("admin:password_change_done"))):
            assert reverse("admin:own_sign_in") in page.text
            assert reverse("admin:language") in page.text

    def test_says_at_each_field_what_is_wrong(self, cc_clerk):
        client = pages.signed_in(cc_clerk)

        assert "current password is wrong" in pages.errors_of(self.change(client, old="Wrong-9"))["old_password"][0]
        assert "too short" in pages.errors_of(self.change(client, new="weak"))["new_password1"][0]
        assert "last five" in pages.errors_of(self.change(client, new=PASSWORD))["new_password1"][0]
        assert "match" in pages.errors_of(self.change(client, again="other"))["new_password2"][0]


class TestForgettingOnesPassword:
    def test_is_linked_from_the_page_of_signing_in(self, db):
        assert FORGOTTEN in Client().get(LOGIN).content.decode()

    def test_ends_with_a_new_password_from_the_mail(self, cc_clerk, settings):
        client = Client()
        client.post(FORGOTTEN, {"email": cc_clerk.email.upper()})
        link = re.search(r"http\S+(/admin/reset/\?token=\S+)", delivered(settings))[1]

        form = client.get(link).context["form"]
        answer = client.post(RESET, {"token": form["token"].value(), "password": NEW, "password2": NEW}, follow=True)

        assert pages.told(answer) == [("success", "Your password is set. Sign in with it.")]
        assert is_in(signs_in(cc_clerk, NEW)[0])

    def test_says_the_same_whoever_asks(self, cc_clerk):
        answers = {
            re.sub(r'value="\w{64}"', "", Client().post(FORGOTTEN, {"email": email}).content.decode())
            for email in (cc_clerk.email, "nobody@example.com")
        }

        assert len(answers) == 1
        assert "If somebody has this address" in answers.pop()
        assert Message.objects.count() == 1

    def test_is_not_done_by_opening_the_link(self, cc_clerk):
        accounts.request_reset(email=cc_clerk.email, at=timezone.now())

        Client().get(RESET, {"token": tokens.write_ticket(Ticket.objects.get().pk)})

        assert Ticket.objects.get().used_at is None
        assert User.objects.get(pk=cc_clerk.pk).check_password(PASSWORD)

    @pytest.mark.parametrize(
        ("given", "field", "said"),
        [
            ({"password": "weak", "password2": "weak"}, "password", "too short"),
            ({"password": PASSWORD, "password2": PASSWORD}, "password", "last five"),
            ({"password": NEW, "password2": "other"}, "password2", "match"),
            ({"password": NEW, "password2": NEW, "token": "x"}, "__all__", "The link is unknown"),
        ],
    )
    def test_says_what_is_wrong(self, cc_clerk, given, field, said):
        accounts.request_reset(email=cc_clerk.email, at=timezone.now())
        token = tokens.write_ticket(Ticket.objects.get().pk)

        answer = Client().post(RESET, {"token": token} | given)

        assert said in pages.errors_of(answer)[field][0]
        assert User.objects.get(pk=cc_clerk.pk).check_password(PASSWORD)


class TestTheMailInTheOutbox:
    def test_shows_no_administrator_the_link(self, cc_clerk, administrator):
        accounts.request_reset(email=cc_clerk.email, at=timezone.now())
        message, token = Message.objects.get(), tokens.write_ticket(Ticket.objects.get().pk)
        client = pages.signed_in(administrator)

        shown = [
            client.get(pages.of(message)),
            client.get(reverse("admin:outbox_message_preview", args=[message.pk, "en"])),
        ]

        for page in shown:
            assert page.status_code == 200
            assert token not in page.content.decode()
            assert "?token=•••" in page.content.decode()

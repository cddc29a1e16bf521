from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts
from accounts import tokens
from accounts.choices import Purpose
from accounts.errors import AccountLocked, LinkRefused, PasswordReused, WeakPassword, WrongPassword
from accounts.models import OldPassword, SignIn, Ticket, User
from audit.models import AuditEntry
from clearance import settings as the_products
from clearance.errors import Forbidden
from clearance.tests import races
from clearance.tests.cast import PASSWORD
from clearance.tests.traces import everything, refused
from outbox.messages import composers
from outbox.models import Message

pytestmark = pytest.mark.django_db

NEW = "Tall-ship-sails-9"
HERE = "192.0.2.7"


@pytest.fixture
def now():
    """The real present: an access token is checked against the clock."""
    return timezone.now()


def fresh(user: User) -> User:
    return User.objects.get(pk=user.pk)


def sign_in(user, password=PASSWORD, *, at):
    return accounts.sign_in(email=user.email, password=password, at=at, ip_address=HERE)


def change(user, password=NEW, *, at, current_password=PASSWORD, **more):
    given = {"user": user, "current_password": current_password, "password": password, "at": at, "ip_address": HERE}
    accounts.change_password(**given, **more)


def me(token):
    return APIClient(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/users/me").status_code


def told() -> str:
    """All that the trail tells."""
    return str(list(AuditEntry.objects.values_list("changes", flat=True)))


def token_of(ticket: Ticket) -> str:
    """The token as the mail brings it."""
    content = composers()[ticket.message.kind](ticket.message, ticket.created_at)
    return re.search(r"\?token=(\S+)", content.text)[1]


def asked_for_reset(user, *, at) -> str:
    accounts.request_reset(email=user.email, at=at)
    return token_of(Ticket.objects.filter(purpose=Purpose.RESET).latest("created_at"))


class TestThePassword:
    def test_is_kept_as_an_argon2_hash_of_full_cost(self, settings):
        settings.PASSWORD_HASHERS = the_products.PASSWORD_HASHERS  # the other tests have a quick one

        kept = make_password(PASSWORD)

        assert re.match(r"argon2\$argon2id\$v=19\$m=102400,t=2,p=8\$", kept)
        assert check_password(PASSWORD, kept)
        assert not check_password(PASSWORD.lower(), kept)


class TestChangingOnesPassword:
    def test_counts_at_once_and_ends_every_other_sign_in(self, cast, now):
        kept, other = sign_in(cast.cc_clerk, at=now), sign_in(cast.cc_clerk, at=now)
        kept_id = tokens.read(kept.refresh_token, kind=tokens.Kind.REFRESH, at=now).sign_in_id

        change(cast.cc_clerk, at=now, but=kept_id)

        assert fresh(cast.cc_clerk).check_password(NEW)
        assert (me(kept.access_token), me(other.access_token)) == (200, 401)

    def test_needs_the_current_one(self, cast, noon):
        with refused(WrongPassword, "INVALID_CREDENTIALS") as refusal:
            change(cast.cc_clerk, at=noon, current_password="Wrong-9-guess")

        assert refusal.value.details()[0]["field"] == "current_password"

    def test_cannot_be_used_to_guess_it(self, cast, noon):
        for _ in range(5):
            with pytest.raises(WrongPassword):
                change(cast.cc_clerk, at=noon, current_password="Wrong-9-guess")

        with refused(AccountLocked, "ACCOUNT_LOCKED"):
            change(cast.cc_clerk, at=noon)

    @pytest.mark.parametrize(
        "password", ["Sh0rt-1", "alllower-9", "P@ssw0rd", "Khalid-Clerk1", "cc_Clerk@example.com1"]
    )
    def test_is_refused_for_a_weak_one(self, cast, noon, password):
        with refused(WeakPassword, "WEAK_PASSWORD"):
            change(cast.cc_clerk, password, at=noon)

    def test_is_refused_for_the_one_that_it_is(self, cast, noon):
        with refused(PasswordReused, "PASSWORD_REUSED"):
            change(cast.cc_clerk, PASSWORD, at=noon)

    def test_is_refused_for_the_last_five_and_lets_the_sixth_last_be_taken(self, cast, noon):
        had = [PASSWORD, *(f"Tall-ship-sails-{n}" for n in range(1, 6))]
        for n, (old, new) in enumerate(pairwise(had)):
            change(cast.cc_clerk, new, at=noon + timedelta(days=n), current_password=old)

        for recent in had[1:]:
            with refused(PasswordReused, "PASSWORD_REUSED"):
                change(cast.cc_clerk, recent, at=noon, current_password=had[-1])
        change(cast.cc_clerk, PASSWORD, at=noon + timedelta(days=9), current_password=had[-1])

        assert OldPassword.objects.filter(user=cast.cc_clerk).count() == 5

    def test_leaves_no_password_in_the_trail(self, cast, noon):
        change(cast.cc_clerk, at=noon)

        assert "argon2" not in told()


class TestSettingSomebodysPassword:
    def test_signs_them_out_everywhere(self, cast, now):
        opened = sign_in(cast.cc_clerk, at=now)

        accounts.set_password(user=cast.cc_clerk, password=NEW, by=cast.administrator, at=now)

        assert me(opened.access_token) == 401
        assert sign_in(cast.cc_clerk, NEW, at=now)

    def test_to_none_leaves_them_unable_to_sign_in(self, cast, noon):
        accounts.set_password(user=cast.cc_clerk, password=None, by=cast.administrator, at=noon)

        assert not fresh(cast.cc_clerk).has_usable_password()

    def test_is_for_administrators(self, cast, noon):
        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.set_password(user=cast.cc_clerk, password=NEW, by=cast.cc_head, at=noon)


class TestForgettingOnesPassword:
    def test_brings_a_mail_whose_link_sets_another_and_ends_all_sign_ins(self, cast, now):
        opened = sign_in(cast.cc_clerk, at=now)

        accounts.reset_password(token=asked_for_reset(cast.cc_clerk, at=now), password=NEW, at=now)

        user = fresh(cast.cc_clerk)
        assert user.check_password(NEW)
        assert user.email_verified_at == now
        assert me(opened.access_token) == 401

    def test_writes_nothing_where_nobody_active_has_the_address(self, cast, noon):
        accounts.deactivate(user=cast.cc_clerk, by=None, at=noon)
        before = everything()

        accounts.request_reset(email="nobody@example.com", at=noon)
        accounts.request_reset(email=cast.cc_clerk.email, at=noon)

        assert everything() == before

    def test_floods_nobody_with_mail(self, cast, noon):
        for _ in range(10):
            accounts.request_reset(email=cast.cc_clerk.email, at=noon)

        assert Message.objects.count() == 3

    def test_keeps_no_token(self, cast, noon):
        token = asked_for_reset(cast.cc_clerk, at=noon)

        signature = token.split(":")[1]
        assert signature not in str(everything())
        assert signature not in told()

    def test_lets_in_who_was_locked_out(self, cast, noon):
        for _ in range(5):
            with pytest.raises(Exception, match="wrong"):
                sign_in(cast.cc_clerk, "Wrong-9-guess", at=noon)

        accounts.reset_password(token=asked_for_reset(cast.cc_clerk, at=noon), password=NEW, at=noon)

        assert sign_in(cast.cc_clerk, NEW, at=noon)


class TestTheLinkOfTheMail:
    def test_is_good_until_the_second_before_a_quarter_of_an_hour_is_over(self, cast, noon):
        token = asked_for_reset(cast.cc_clerk, at=noon)

        with refused(LinkRefused, "LINK_NOT_VALID"):
            accounts.reset_password(token=token, password=NEW, at=noon + timedelta(minutes=15))
        accounts.reset_password(token=token, password=NEW, at=noon + timedelta(minutes=15, seconds=-1))

    def test_is_good_once_and_the_others_go_with_it(self, cast, noon):
        other, token = asked_for_reset(cast.cc_clerk, at=noon), asked_for_reset(cast.cc_clerk, at=noon)
        accounts.reset_password(token=token, password=NEW, at=noon)

        for one in (token, other):
            with refused(LinkRefused, "LINK_NOT_VALID"):
                accounts.reset_password(token=one, password="Other-ship-7", at=noon)

    def test_stays_good_after_a_password_that_is_too_weak(self, cast, noon):
        token = asked_for_reset(cast.cc_clerk, at=noon)

        with refused(WeakPassword, "WEAK_PASSWORD"):
            accounts.reset_password(token=token, password="weak", at=noon)
        accounts.reset_password(token=token, password=NEW, at=noon)

    def test_is_refused_when_it_is_none(self, cast, noon):
        token = asked_for_reset(cast.cc_clerk, at=noon)
        plain, _, signature = token.partition(":")

        for forged in ("", "x", plain, f"{plain}:x", f"{'0' * 32}:{signature}", token[:-1]):
            with refused(LinkRefused, "LINK_NOT_VALID"):
                accounts.reset_password(token=forged, password=NEW, at=noon)

    def test_is_refused_once_the_address_is_another(self, cast, noon):
        token = asked_for_reset(cast.cc_clerk, at=noon)
        accounts.amend_person(user_id=cast.cc_clerk.pk, changes={"email": "new@example.com"}, by=None, at=noon)

        with refused(LinkRefused, "LINK_NOT_VALID"):
            accounts.reset_password(token=token, password=NEW, at=noon)

    def test_is_refused_to_who_was_deactivated(self, cast, noon):
        token = asked_for_reset(cast.cc_clerk, at=noon)
        accounts.deactivate(user=cast.cc_clerk, by=None, at=noon)

        with refused(LinkRefused, "LINK_NOT_VALID"):
            accounts.reset_password(token=token, password=NEW, at=noon)

    def test_for_the_address_sets_no_password(self, cast, noon):
        accounts.send_verification(user=cast.cc_clerk, at=noon)
        token = token_of(Ticket.objects.get())

        with refused(LinkRefused, "LINK_NOT_VALID"):
            accounts.reset_password(token=token, password=NEW, at=noon)

    def test_is_not_sent_any_more_once_it_is_of_no_use(self, cast, noon):
        asked_for_reset(cast.cc_clerk, at=noon)
        message = Message.objects.get()

        assert composers()[message.kind](message, noon + timedelta(minutes=15)) is None

    def test_is_hidden_from_whoever_looks_at_the_mail_in_the_back_office(self, cast, noon):
        token = asked_for_reset(cast.cc_clerk, at=noon)
        message = Message.objects.get()

        shown = composers()[message.kind](message, noon).without_secret()

        assert token not in shown.text + shown.html + shown.subject
        assert "?token=•••" in shown.text

    @pytest.mark.django_db(transaction=True)
    def test_twice_at_the_same_moment_sets_one_password(self, cast, noon):
        token = asked_for_reset(cast.cc_clerk, at=noon)

        results = races.at_once(
            lambda: accounts.reset_password(token=token, password=NEW, at=noon),
            lambda: accounts.reset_password(token=token, password="Other-ship-7", at=noon),
            held=Ticket.objects.all(),
        )

        assert sorted(type(result).__name__ for result in results) == ["LinkRefused", "NoneType"]
        assert OldPassword.objects.filter(user=cast.cc_clerk).count() == 2


class TestVerifyingOnesAddress:
    def test_notes_when_it_was(self, cast, noon):
        accounts.send_verification(user=cast.cc_clerk, at=noon)

        accounts.verify_email(token=token_of(Ticket.objects.get()), by=cast.cc_clerk, at=noon + timedelta(hours=23))

        assert fresh(cast.cc_clerk).email_verified_at == noon + timedelta(hours=23)

    def test_is_refused_with_somebody_elses_link(self, cast, noon):
        accounts.send_verification(user=cast.cc_clerk, at=noon)
        token = token_of(Ticket.objects.get())

        with refused(LinkRefused, "LINK_NOT_VALID"):
            accounts.verify_email(token=token, by=cast.cc_head, at=noon)

    def test_begins_anew_with_another_address(self, cast, noon):
        User.objects.filter(pk=cast.cc_clerk.pk).update(email_verified_at=noon)

        accounts.amend_person(user_id=cast.cc_clerk.pk, changes={"email": "new@example.com"}, by=None, at=noon)

        assert fresh(cast.cc_clerk).email_verified_at is None

    def test_needs_no_mail_once_it_is_done(self, cast, noon):
        User.objects.filter(pk=cast.cc_clerk.pk).update(email_verified_at=noon)

        accounts.send_verification(user=fresh(cast.cc_clerk), at=noon)

        assert not Message.objects.exists()


class TestSigningOutEverywhere:
    def test_ends_ones_own_sign_ins_only(self, cast, now):
        mine, another = sign_in(cast.cc_clerk, at=now), sign_in(cast.cc_head, at=now)

        accounts.sign_out_everywhere(user=cast.cc_clerk, at=now)

        assert (me(mine.access_token), me(another.access_token)) == (401, 200)
        assert SignIn.objects.live(at=now).get().user == cast.cc_head

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
from django.conf import settings
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts
from accounts import tasks
from accounts.errors import InvalidCredentials, TokenRefused
from accounts.models import FailedSignIns, SignIn, Ticket, User
from clearance.tests import races
from clearance.tests.cast import PASSWORD
from clearance.tests.traces import everything, refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    """The real present: a token's signature and time are checked together, against the clock."""
    return timezone.now()


def sign_in(email="cc_clerk@example.com", password=PASSWORD, *, at, **where):
    return accounts.sign_in(email=email, password=password, at=at, **{"ip_address": "192.0.2.7", **where})


def me(token):
    """What the API answers about the bearer of a token."""
    return APIClient(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/users/me").status_code


class TestSigningIn:
    def test_opens_a_sign_in_that_keeps_no_token(self, cast, now):
        tokens = sign_in(at=now, user_agent="tracker/1.0")

        opened = SignIn.objects.get()
        assert tokens.user == opened.user == cast.cc_clerk
        assert (opened.ip_address, opened.user_agent) == ("192.0.2.7", "tracker/1.0")
        assert opened.expires_at == now + timedelta(days=7)
        assert opened.refresh_hash not in tokens.refresh_token
        assert User.objects.get(pk=cast.cc_clerk.pk).last_login == now

    def test_hands_out_an_access_token_that_the_api_accepts_for_half_an_hour(self, cast, now):
        tokens = sign_in(at=now)

        claims = jwt.decode(tokens.access_token, settings.SECRET_KEY, algorithms=["HS256"])
        assert claims["sub"] == str(cast.cc_clerk.pk)
        assert claims["exp"] - claims["iat"] == 30 * 60
        assert me(tokens.access_token) == 200

    def test_takes_the_address_in_any_letters(self, cast, now):
        assert sign_in(" CC_Clerk@EXAMPLE.com", at=now).user == cast.cc_clerk

    def test_cuts_a_program_name_that_goes_on_forever(self, cast, now):
        sign_in(at=now, user_agent="x" * 5000)

        assert len(SignIn.objects.get().user_agent) == 200

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            ("cc_clerk@example.com", "wrong"),
            ("cc_clerk@example.com", ""),
            ("nobody@example.com", PASSWORD),
            ("nobody@example.com", "nobody"),
        ],
    )
    def test_is_refused_alike_for_a_wrong_password_and_an_unknown_address(self, cast, now, email, password):
        with refused(InvalidCredentials, "INVALID_CREDENTIALS"):
            sign_in(email, password, at=now)

    def test_is_refused_for_somebody_who_was_deactivated(self, cast, now):
        accounts.deactivate(user=cast.cc_clerk, by=None, at=now)

        with refused(InvalidCredentials, "INVALID_CREDENTIALS"):
            sign_in(at=now)

    def test_is_refused_for_somebody_without_a_password(self, cast, now):
        accounts.take_on(by=None, email="new@example.com", full_name="New", department="C&C", role="PPR")

        with refused(InvalidCredentials, "INVALID_CREDENTIALS"):
            sign_in("new@example.com", "", at=now)


class TestRefreshing:
    def test_trades_the_token_for_a_new_pair_and_prolongs_the_sign_in(self, cast, now):
        old = sign_in(at=now)
        later = now + timedelta(hours=1)

        new = accounts.refresh(refresh_token=old.refresh_token, at=later)

        assert new.user == cast.cc_clerk
        assert new.refresh_token != old.refresh_token
        assert me(new.access_token) == 200
        opened = SignIn.objects.get()
        assert (opened.last_used_at, opened.expires_at) == (later, later + timedelta(days=7))

    def test_with_a_token_that_was_used_ends_the_whole_sign_in(self, cast, now):
        old = sign_in(at=now)
        new = accounts.refresh(refresh_token=old.refresh_token, at=now)

        with pytest.raises(TokenRefused):
            accounts.refresh(refresh_token=old.refresh_token, at=now)

        assert SignIn.objects.get().revoked_at == now
        assert me(new.access_token) == 401
        with refused(TokenRefused, "TOKEN_NOT_VALID"):
            accounts.refresh(refresh_token=new.refresh_token, at=now)

    def test_leaves_other_sign_ins_of_the_person_alone(self, cast, now):
        one, other = sign_in(at=now), sign_in(at=now)
        accounts.refresh(refresh_token=one.refresh_token, at=now)

        with pytest.raises(TokenRefused):
            accounts.refresh(refresh_token=one.refresh_token, at=now)

        assert me(other.access_token) == 200
        assert accounts.refresh(refresh_token=other.refresh_token, at=now)

    def test_works_until_the_moment_before_the_sign_in_expires(self, cast, now):
        token = sign_in(at=now).refresh_token

        with pytest.raises(TokenRefused):
            accounts.refresh(refresh_token=token, at=now + timedelta(days=7))

        # Refused as expired, which proves nothing about theft, yet nobody can use it: the sign-in is over either way.
        assert not SignIn.objects.live(at=now + timedelta(days=7)).exists()

    def test_works_a_second_before_it_expires(self, cast, now):
        token = sign_in(at=now).refresh_token

        assert accounts.refresh(refresh_token=token, at=now + timedelta(days=7, seconds=-1))

    def test_is_refused_for_a_token_whose_own_time_is_over(self, cast, now):
        token = sign_in(at=now - timedelta(days=7, seconds=5)).refresh_token

        with refused(TokenRefused, "TOKEN_NOT_VALID"):
            accounts.refresh(refresh_token=token, at=now)

    def test_is_refused_to_somebody_who_was_deactivated(self, cast, now):
        token = sign_in(at=now).refresh_token
        accounts.deactivate(user=cast.cc_clerk, by=None, at=now)

        with refused(TokenRefused, "TOKEN_NOT_VALID"):
            accounts.refresh(refresh_token=token, at=now)

    def test_is_refused_with_an_access_token(self, cast, now):
        token = sign_in(at=now).access_token

        with refused(TokenRefused, "TOKEN_NOT_VALID"):
            accounts.refresh(refresh_token=token, at=now)

    def test_is_refused_with_a_token_that_somebody_else_signed(self, cast, now):
        claims = jwt.decode(sign_in(at=now).refresh_token, options={"verify_signature": False})
        forged = jwt.encode(claims, "another key of a decent length, 32+ bytes", algorithm="HS256")
        unsigned = jwt.encode(claims, None, algorithm="none")

        for token in (forged, unsigned, "not.a.token", ""):
            with refused(TokenRefused, "TOKEN_NOT_VALID"):
                accounts.refresh(refresh_token=token, at=now)

    @pytest.mark.django_db(transaction=True)
    def test_twice_at_the_same_moment_lets_one_through_and_ends_the_sign_in(self, cast, now):
        token = sign_in(at=now).refresh_token

        results = races.at_once(*[lambda: accounts.refresh(refresh_token=token, at=now)] * 2, held=SignIn.objects.all())

        assert sorted(type(result).__name__ for result in results) == ["TokenRefused", "Tokens"]
        assert SignIn.objects.get().revoked_at == now


class TestAtTheSameMoment:
    """The password was right a moment ago."""

    @pytest.mark.django_db(transaction=True)
    def test_no_sign_in_outlives_a_change_of_the_password(self, cast, now):
        other = {"password": "Tall-ship-99", "by": cast.administrator, "at": now}

        result = races.blocked_by(lambda: accounts.set_password(user=cast.cc_clerk, **other), lambda: sign_in(at=now))

        assert isinstance(result, InvalidCredentials)
        assert not SignIn.objects.live(at=now).exists()

    @pytest.mark.django_db(transaction=True)
    def test_signing_out_everywhere_and_a_new_password_wait_for_each_other_in_turn(self, cast, now):
        sign_in(at=now)

        def set_password() -> None:
            accounts.set_password(user=cast.cc_clerk, password="Tall-ship-99", by=cast.administrator, at=now)

        def sign_out() -> None:
            accounts.sign_out_everywhere(user=cast.cc_clerk, at=now)

        results = races.at_once(set_password, sign_out, held=User.objects.filter(pk=cast.cc_clerk.pk))

        assert results == [None, None]


class TestTheApi:
    def test_takes_no_refresh_token_for_an_access_token(self, cast, now):
        assert me(sign_in(at=now).refresh_token) == 401

    def test_takes_no_access_token_whose_time_is_over(self, cast, now):
        assert me(sign_in(at=now - timedelta(minutes=30, seconds=5)).access_token) == 401

    def test_takes_no_access_token_that_somebody_else_signed(self, cast, now):
        claims = jwt.decode(sign_in(at=now).access_token, options={"verify_signature": False})

        assert me(jwt.encode(claims, "another key of a decent length, 32+ bytes", algorithm="HS256")) == 401


class TestSigningOut:
    def test_ends_the_access_token_too(self, cast, now):
        tokens = sign_in(at=now)

        accounts.sign_out(refresh_token=tokens.refresh_token, at=now)

        assert me(tokens.access_token) == 401
        with refused(TokenRefused, "TOKEN_NOT_VALID"):
            accounts.refresh(refresh_token=tokens.refresh_token, at=now)

    def test_twice_changes_nothing(self, cast, now):
        token = sign_in(at=now).refresh_token
        accounts.sign_out(refresh_token=token, at=now)
        before = everything()

        accounts.sign_out(refresh_token=token, at=now + timedelta(minutes=1))

        assert everything() == before

    def test_is_refused_with_an_access_token(self, cast, now):
        token = sign_in(at=now).access_token

        with refused(TokenRefused, "TOKEN_NOT_VALID"):
            accounts.sign_out(refresh_token=token, at=now)


class TestDeactivatingSomebody:
    def test_ends_their_sign_ins_and_nobody_elses(self, cast, now):
        theirs, another = sign_in(at=now), sign_in("cc_head@example.com", at=now)

        accounts.deactivate(user=cast.cc_clerk, by=None, at=now)

        assert not cast.cc_clerk.is_active
        assert me(theirs.access_token) == 401
        assert me(another.access_token) == 200
        assert list(SignIn.objects.filter(revoked_at=None).values_list("user", flat=True)) == [cast.cc_head.pk]

    def test_takes_every_permission_from_them(self, cast, now):
        accounts.deactivate(user=cast.bu_head, by=None, at=now)

        assert User.objects.get(pk=cast.bu_head.pk).get_all_permissions() == set()

    def test_twice_keeps_the_moment_at_which_their_sign_ins_ended(self, cast, now):
        sign_in(at=now)
        accounts.deactivate(user=cast.cc_clerk, by=None, at=now)

        accounts.deactivate(user=cast.cc_clerk, by=None, at=now + timedelta(days=1))

        assert SignIn.objects.get().revoked_at == now


class TestForgettingExpiredSignIns:
    def test_deletes_those_that_nobody_can_use_and_counts_them(self, cast, now):
        sign_in(at=now - timedelta(days=8))
        sign_in(at=now)

        assert tasks.forget_expired_sign_ins() == 1

        assert SignIn.objects.get().created_at == now

    def test_deletes_links_and_counted_failures_that_mean_nothing_any_more(self, cast, now):
        for days in (2, 0):
            at = now - timedelta(days=days)
            accounts.request_reset(email=cast.cc_clerk.email, at=at)
            with pytest.raises(InvalidCredentials):
                sign_in(password="Wrong-9-guess", at=at, ip_address=f"192.0.2.{days}")

        assert tasks.forget_expired_sign_ins() == 3  # a link, and the failure from there and from there to the clerk

        assert Ticket.objects.get().created_at == now
        assert set(FailedSignIns.objects.values_list("last_failed_at", flat=True)) == {now}

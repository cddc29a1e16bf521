from __future__ import annotations

import time
from datetime import timedelta
from statistics import median

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import services as accounts
from accounts.choices import MessageKind
from accounts.errors import AccountLocked, InvalidCredentials
from accounts.models import FailedSignIns, User
from accounts.services import lockout
from audit.models import AuditEntry
from clearance.errors import Forbidden, Unauthenticated
from clearance.tests import races
from clearance.tests.cast import PASSWORD
from clearance.tests.traces import refused
from outbox.messages import composers
from outbox.models import Message

pytestmark = pytest.mark.django_db

HERE, THERE = "192.0.2.7", "198.51.100.9"
CLERK = "cc_clerk@example.com"
NOBODY = "nobody@example.com"


def sign_in(email=CLERK, password=PASSWORD, *, at, ip_address=HERE):
    return accounts.sign_in(email=email, password=password, at=at, ip_address=ip_address)


def fail(email=CLERK, *, at, ip_address=HERE, times=1):
    """Guess wrong; tell what became of each guess."""
    codes = []
    for _ in range(times):
        with pytest.raises(Unauthenticated) as refusal:
            sign_in(email, "Wrong-9-guess", at=at, ip_address=ip_address)
        codes.append(refusal.value.code)
    return codes


def guess(email, *, at, ip_address):
    """Guess as `fail` does, without the work of hashing; tell whether the guess was let through."""
    try:
        with lockout.one_guess(email=email, ip_address=ip_address, at=at):
            raise InvalidCredentials
    except AccountLocked:
        return False
    except InvalidCredentials:
        return True


class TestFiveFailures:
    @pytest.mark.parametrize("email", [CLERK, NOBODY])
    def test_lock_an_account_whether_it_exists_or_not(self, cast, noon, email):
        assert fail(email, at=noon, times=6) == ["INVALID_CREDENTIALS"] * 5 + ["ACCOUNT_LOCKED"]

    def test_keep_out_the_right_password_too_for_a_minute(self, cast, noon):
        fail(at=noon, times=5)

        with refused(AccountLocked, "ACCOUNT_LOCKED") as refusal:
            sign_in(at=noon + timedelta(seconds=59))

        assert refusal.value.context["retry_after"] == 1
        assert sign_in(at=noon + timedelta(seconds=60))

    def test_lock_for_longer_each_time(self, cast, noon):
        at, waits = noon, []
        for _ in range(6):
            fail(at=at, times=5)
            with pytest.raises(AccountLocked) as refusal:
                sign_in(at=at)
            waits.append(refusal.value.context["retry_after"] // 60)
            at += timedelta(minutes=waits[-1])

        assert waits == [1, 5, 15, 60, 240, 240]

    def test_say_how_long_in_words(self, cast, noon):
        fail(at=noon, times=5)

        with pytest.raises(AccountLocked, match="Try again in 1 minute; an administrator can unlock you"):
            sign_in(at=noon)

    def test_lock_nobody_out_who_comes_from_elsewhere(self, cast, noon):
        fail(at=noon, times=5)

        assert sign_in(at=noon, ip_address=THERE)

    def test_lock_no_other_account_from_the_same_address(self, cast, noon):
        fail(at=noon, times=5)

        assert sign_in("cc_head@example.com", at=noon)

    def test_count_no_longer_once_somebody_has_come_in(self, cast, noon):
        fail(at=noon, times=4)
        sign_in(at=noon)

        assert fail(at=noon, times=4) == ["INVALID_CREDENTIALS"] * 4
        assert sign_in(at=noon)

    def test_are_forgotten_after_a_day(self, cast, noon):
        fail(at=noon, times=4)

        assert set(fail(at=noon + timedelta(days=1), times=4)) == {"INVALID_CREDENTIALS"}
        assert sign_in(at=noon + timedelta(days=1))

    def test_are_the_same_in_any_letters(self, cast, noon):
        fail("cc_clerk@example.com", at=noon, times=3)
        fail(" CC_Clerk@EXAMPLE.com", at=noon, times=2)

        assert fail(at=noon) == ["ACCOUNT_LOCKED"]

    def test_from_one_network_of_ipv6_are_those_of_one_source(self, cast, noon):
        for n in range(5):
            fail(at=noon, ip_address=f"2001:db8:1:2::{n}")

        assert fail(at=noon, ip_address="2001:db8:1:2:ffff::1") == ["ACCOUNT_LOCKED"]
        assert sign_in(at=noon, ip_address="2001:db8:1:3::1")

    def test_leave_nothing_that_tells_whose_address_was_tried(self, cast, noon):
        fail(at=noon)

        kept = str(list(FailedSignIns.objects.values()))
        assert "cc_clerk" not in kept


class TestThousandsOfGuesses:
    def test_from_one_address_are_a_few_in_a_day(self, cast, noon):
        tried = sum(guess(CLERK, at=noon + timedelta(seconds=43 * n), ip_address=HERE) for n in range(2_000))

        assert tried <= 60

    def test_from_as_many_addresses_are_a_few_in_a_day(self, cast, noon):
        tried = sum(
            guess(CLERK, at=noon + timedelta(seconds=43 * n), ip_address=f"198.18.{n // 250}.{n % 250}")
            for n in range(2_000)
        )

        assert tried <= 240

    def test_at_as_many_accounts_from_one_address_are_a_hundred_and_then_it_is_locked(self, noon):
        tried = sum(guess(f"{n}@example.com", at=noon, ip_address=HERE) for n in range(2_000))

        assert tried == 100
        assert guess("somebody@example.com", at=noon, ip_address=THERE)

    @pytest.mark.django_db(transaction=True)
    def test_eight_at_once_are_five(self, cast, noon):
        def one():
            return guess(CLERK, at=noon, ip_address=HERE)

        assert sorted(races.free_for_all(*[one] * 8)) == [False] * 3 + [True] * 5

    @pytest.mark.django_db(transaction=True)
    def test_at_several_accounts_at_once_do_not_wait_for_each_other_for_ever(self, cast, noon):
        verbs = [lambda n=n: guess(f"{n % 3}@example.com", at=noon, ip_address=HERE) for n in range(12)]

        assert races.free_for_all(*verbs) == [True] * 12
        assert FailedSignIns.objects.get(account="", source=HERE).failures == 12


class TestAnUnknownAddress:
    def test_takes_the_same_statements_as_a_wrong_password(self, cast, noon):
        statements = {}
        for email in (CLERK, NOBODY):
            with CaptureQueriesContext(connection) as asked:
                fail(email, at=noon)
            statements[email] = [query["sql"].split(" ")[0] for query in asked]

        assert statements[CLERK] == statements[NOBODY]

    def test_takes_the_same_time_as_a_wrong_password(self, cast, noon):
        taken = {CLERK: [], NOBODY: []}
        for n in range(12):
            for email, times in taken.items():
                begun = time.perf_counter()
                fail(email, at=noon, ip_address=f"192.0.2.{n}")
                times.append(time.perf_counter() - begun)

        known, unknown = (median(times) for times in taken.values())
        assert 0.5 < known / unknown < 2


class TestTheOwner:
    def test_is_told_by_mail_once_an_hour(self, cast, noon):
        for minutes, source in ((0, HERE), (10, THERE)):
            fail(at=noon + timedelta(minutes=minutes), ip_address=source, times=5)

        message = Message.objects.get()
        assert (message.recipient, message.kind, message.created_at) == (cast.cc_clerk, MessageKind.LOCKOUT, noon)

        fail(at=noon + timedelta(minutes=70), ip_address="203.0.113.1", times=5)
        assert Message.objects.count() == 2

    def test_reads_when_it_was_and_what_to_do(self, cast, noon):
        fail(at=noon, times=5)
        message = Message.objects.get()

        english = composers()[message.kind](message, noon)
        message.recipient.language = "ar"
        arabic = composers()[message.kind](message, noon)

        assert "15 Mar 2026, 12:00" in english.text
        assert "/admin/password_reset/" in english.html
        assert 'dir="rtl"' in arabic.html
        assert arabic.subject != english.subject

    def test_is_not_told_who_was_deactivated(self, cast, noon):
        accounts.deactivate(user=cast.cc_clerk, by=None, at=noon)

        fail(at=noon, times=5)

        assert not Message.objects.exists()


class TestUnlocking:
    def test_lets_somebody_try_at_once_from_wherever(self, cast, noon):
        fail(at=noon, times=5)
        fail(at=noon, times=5, ip_address=THERE)
        assert accounts.locked_until(cast.cc_clerk, at=noon) == noon + timedelta(minutes=1)

        accounts.unlock(user_id=cast.cc_clerk.pk, by=cast.administrator, at=noon)

        assert accounts.locked_until(cast.cc_clerk, at=noon) is None
        assert sign_in(at=noon)
        assert sign_in(at=noon, ip_address=THERE)
        assert User.objects.get(pk=cast.cc_clerk.pk).unlocked_at == noon
        entry = AuditEntry.objects.filter(entity_type="accounts.user", entity_id=str(cast.cc_clerk.pk))
        assert any("unlocked_at" in told for told in entry.values_list("changes", flat=True))

    @pytest.mark.parametrize("who", ["cc_clerk", "cc_head", "auditor"])
    def test_is_for_administrators(self, cast, noon, who):
        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.unlock(user_id=cast.cc_clerk.pk, by=getattr(cast, who), at=noon)

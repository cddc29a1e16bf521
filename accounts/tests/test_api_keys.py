from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from accounts import rules
from accounts import services as accounts
from accounts.choices import Department, KeyState, Role
from accounts.errors import (
    ApiKeyNotGood,
    ApiKeyRefused,
    ExpiryNotValid,
    GraceTooLong,
    NetworkNotValid,
    ScopesBeyondRole,
    ScopesBeyondYours,
    ServiceAccountInactive,
    TooManyApiKeys,
)
from accounts.models import ApiKey, User
from accounts.tests import machines
from accounts.tests.machines import fresh
from audit.tests import trails
from clearance.errors import Forbidden, InvalidFields, NotFound
from clearance.tests import races
from clearance.tests.traces import refused

pytestmark = pytest.mark.django_db

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HERE = "203.0.113.9"


@pytest.fixture
def account(cast) -> User:
    return machines.account(cast)


def take(issued: accounts.IssuedKey | str, *, at, ip_address: str | None = HERE):
    text = issued if isinstance(issued, str) else issued.key
    return accounts.take_key(key=text, at=at, ip_address=ip_address)


class TestIssuingAKey:
    def test_tells_its_text_once_and_keeps_a_hash(self, cast, account, noon):
        issued = machines.key(account, cast, "shipments:view", at=noon)

        stored = ApiKey.objects.values().get()
        assert issued.key.startswith(f"clr_{stored['prefix']}_")
        assert len(issued.key) == 56
        secret = issued.key.rpartition("_")[2]
        assert not any(secret in str(value) for value in stored.values())
        assert stored["scopes"] == ["shipments:view"]
        assert stored["created_by_id"] == cast.administrator.pk

    def test_leaves_no_secret_in_the_trail(self, cast, account):
        with trails.written() as entries:
            issued = machines.key(account, cast)

        (entry,) = [entry for entry in entries if entry.entity_type == "accounts.apikey"]
        assert "key_hash" not in entry.changes
        assert issued.key.rpartition("_")[2] not in str(entry.changes)

    def test_goes_no_further_than_the_role(self, cast, account):
        with refused(ScopesBeyondRole, "SCOPES_BEYOND_ROLE") as refusal:
            machines.key(account, cast, "shipments:view", "shipments:add", "no:such")

        assert "no:such, shipments:add" in str(refusal.value)

    def test_goes_no_further_than_what_its_issuer_may_do(self, cast, account, noon):
        by = fresh(cast.cc_head)
        by.rights = ["accounts.manage_serviceaccount", "shipments.view_shipment"]
        given = {"account_id": account.pk, "name": "Mine", "expires_at": noon + DAY, "by": by, "at": noon}

        assert accounts.issue_key(scopes=["shipments:view"], **given)
        with refused(ScopesBeyondYours, "SCOPES_BEYOND_YOURS"):
            accounts.issue_key(scopes=["shipments:view", "workflow_steps:complete"], **given)

    def test_needs_a_scope(self, cast, account, noon):
        by = fresh(cast.administrator)

        with refused(InvalidFields, "VALIDATION_ERROR"):
            accounts.issue_key(account_id=account.pk, name="Any", scopes=[], expires_at=noon + DAY, by=by, at=noon)

    def test_needs_a_name(self, cast, account):
        with refused(InvalidFields, "VALIDATION_ERROR"):
            machines.key(account, cast, name=" ")

    @pytest.mark.parametrize("lasts", [timedelta(0), -DAY, timedelta(days=365, seconds=1)])
    def test_is_for_a_year_at_most(self, cast, account, noon, lasts):
        with refused(ExpiryNotValid, "EXPIRY_NOT_VALID"):
            machines.key(account, cast, at=noon, expires_at=noon + lasts)

    def test_is_for_a_whole_year_too(self, cast, account, noon):
        assert machines.key(account, cast, at=noon, expires_at=noon + timedelta(days=365))

    def test_writes_networks_in_one_way(self, cast, account):
        networks = [" 203.0.113.0/24", "2001:DB8:0::/32", "198.51.100.7", "203.0.113.0/24"]

        issued = machines.key(account, cast, allowed_networks=networks)

        assert issued.record.allowed_networks == ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32"]

    @pytest.mark.parametrize("network", ["203.0.113.9/24", "everywhere", "", "203.0.113.0/33", "fe80::1%eth0/64/1"])
    def test_refuses_what_is_no_network(self, cast, account, network):
        with refused(NetworkNotValid, "NETWORK_NOT_VALID"):
            machines.key(account, cast, allowed_networks=["198.51.100.7", network])

    def test_is_refused_to_the_deactivated(self, cast, account, noon):
        accounts.deactivate_service_account(account_id=account.pk, by=fresh(cast.administrator), at=noon)

        with refused(ServiceAccountInactive, "SERVICE_ACCOUNT_INACTIVE"):
            machines.key(account, cast, "shipments:view")

    def test_is_for_administrators_and_service_accounts(self, cast, account, noon):
        given = {"name": "Any", "scopes": ["shipments:view"], "expires_at": noon + DAY, "at": noon}

        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.issue_key(account_id=account.pk, by=fresh(cast.cc_head), **given)
        with refused(NotFound, "NOT_FOUND"):
            accounts.issue_key(account_id=cast.cc_clerk.pk, by=fresh(cast.administrator), **given)

    def test_stops_at_five_good_ones(self, cast, account, noon):
        issued = [machines.key(account, cast, at=noon) for _ in range(rules.MOST_KEYS)]

        with refused(TooManyApiKeys, "TOO_MANY_API_KEYS"):
            machines.key(account, cast, at=noon)
        accounts.revoke_key(account_id=account.pk, key_id=issued[0].record.pk, by=fresh(cast.administrator), at=noon)

        assert machines.key(account, cast, at=noon)
        assert machines.key(account, cast, at=noon + timedelta(days=31))

    @pytest.mark.django_db(transaction=True)
    def test_twenty_times_at_once_stops_at_five_too(self, cast, account, noon):
        results = races.at_once(
            *[lambda: machines.key(account, cast, "shipments:view", at=noon)] * 20,
            held=User.objects.filter(pk=account.pk),
        )

        assert ApiKey.objects.count() == rules.MOST_KEYS
        assert sum(isinstance(result, accounts.IssuedKey) for result in results) == rules.MOST_KEYS
        assert sum(isinstance(result, TooManyApiKeys) for result in results) == 20 - rules.MOST_KEYS

    @pytest.mark.parametrize(
        ("values", "constraint"),
        [
            ({"expires_at": "2126-01-01T00:00Z"}, "api_key_lasts_a_year_at_most"),
            ({"scopes": []}, "api_key_has_a_scope"),
        ],
    )
    def test_is_guarded_by_the_database_itself(self, cast, account, values, constraint):
        key = machines.key(account, cast).record

        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            ApiKey.objects.filter(pk=key.pk).update(**values)


class TestRotatingAKey:
    @pytest.fixture
    def old(self, cast, account, noon) -> accounts.IssuedKey:
        return machines.key(account, cast, "shipments:view", at=noon, allowed_networks=["203.0.113.0/24"])

    def rotate(self, cast, old, *, at, grace=DAY):
        which = {"account_id": old.record.account_id, "key_id": old.record.pk}
        return accounts.rotate_key(**which, grace=grace, by=fresh(cast.administrator), at=at)

    def test_makes_one_like_it_that_lasts_as_long(self, cast, old, noon):
        later = noon + 20 * DAY

        new = self.rotate(cast, old, at=later).record

        assert (new.name, new.scopes, new.allowed_networks) == ("Production", ["shipments:view"], ["203.0.113.0/24"])
        assert new.expires_at == later + 30 * DAY

    def test_leaves_the_old_one_good_for_the_grace(self, cast, old, noon):
        new = self.rotate(cast, old, at=noon)

        for key in (old, new):
            assert take(key, at=noon + DAY - MINUTE)
        with pytest.raises(ApiKeyRefused):
            take(old, at=noon + DAY)
        assert take(new, at=noon + DAY)

    def test_never_makes_the_old_one_last_longer(self, cast, old, noon):
        self.rotate(cast, old, at=noon + 29 * DAY, grace=7 * DAY)

        assert ApiKey.objects.get(pk=old.record.pk).expires_at == old.record.expires_at

    def test_without_a_grace_ends_the_old_one_at_once(self, cast, old, noon):
        self.rotate(cast, old, at=noon, grace=timedelta(0))

        with pytest.raises(ApiKeyRefused):
            take(old, at=noon)

    def test_is_refused_for_more_than_a_week(self, cast, old, noon):
        assert self.rotate(cast, old, at=noon, grace=7 * DAY)
        with refused(GraceTooLong, "GRACE_TOO_LONG"):
            self.rotate(cast, old, at=noon, grace=7 * DAY + MINUTE)

    def test_is_refused_for_a_key_that_is_no_good(self, cast, account, old, noon):
        self.rotate(cast, old, at=noon)
        gone = machines.key(account, cast, at=noon)
        accounts.revoke_key(account_id=account.pk, key_id=gone.record.pk, by=fresh(cast.administrator), at=noon)
        over = machines.key(account, cast, at=noon)

        for key, at in ((old, noon), (gone, noon), (over, noon + 30 * DAY)):
            with refused(ApiKeyNotGood, "API_KEY_NOT_GOOD"):
                self.rotate(cast, key, at=at)

    def test_counts_the_old_one_while_it_is_good(self, cast, account, old, noon):
        for _ in range(rules.MOST_KEYS - 1):
            machines.key(account, cast, at=noon)

        with refused(TooManyApiKeys, "TOO_MANY_API_KEYS"):
            self.rotate(cast, old, at=noon)
        assert self.rotate(cast, old, at=noon, grace=timedelta(0))

    def test_is_for_administrators_and_the_accounts_own_keys(self, cast, account, old, noon):
        other = machines.account(cast, full_name="Another")

        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.rotate_key(account_id=account.pk, key_id=old.record.pk, grace=DAY, by=fresh(cast.cc_head), at=noon)
        with refused(NotFound, "NOT_FOUND"):
            accounts.rotate_key(
                account_id=other.pk, key_id=old.record.pk, grace=DAY, by=fresh(cast.administrator), at=noon
            )

    @pytest.mark.django_db(transaction=True)
    def test_twice_at_once_makes_one_successor(self, cast, account, old, noon):
        results = races.at_once(*[lambda: self.rotate(cast, old, at=noon)] * 2, held=User.objects.filter(pk=account.pk))

        assert ApiKey.objects.count() == 2
        assert sorted(type(result).__name__ for result in results) == ["ApiKeyNotGood", "IssuedKey"]


class TestRevokingAKey:
    def test_ends_it_at_once_and_again_changes_nothing(self, cast, account, noon):
        issued = machines.key(account, cast, at=noon)
        which = {"account_id": account.pk, "key_id": issued.record.pk, "by": fresh(cast.administrator)}

        accounts.revoke_key(**which, at=noon)
        accounts.revoke_key(**which, at=noon + DAY)

        with pytest.raises(ApiKeyRefused):
            take(issued, at=noon)
        assert ApiKey.objects.get().revoked_at == noon

    def test_is_for_administrators_and_the_accounts_own_keys(self, cast, account, noon):
        key = machines.key(account, cast, at=noon).record
        other = machines.account(cast, full_name="Another")

        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.revoke_key(account_id=account.pk, key_id=key.pk, by=fresh(cast.auditor), at=noon)
        with refused(NotFound, "NOT_FOUND"):
            accounts.revoke_key(account_id=other.pk, key_id=key.pk, by=fresh(cast.administrator), at=noon)

    @pytest.mark.django_db(transaction=True)
    def test_while_it_is_used_loses_neither(self, cast, account, noon):
        issued = machines.key(account, cast, at=noon)
        _account, record = take(issued, at=noon)

        def revoke() -> None:
            which = {"account_id": account.pk, "key_id": record.pk}
            accounts.revoke_key(**which, by=fresh(cast.administrator), at=noon)

        races.blocked_by(revoke, lambda: accounts.note_use(record, at=noon, ip_address=HERE))

        stored = ApiKey.objects.get()
        assert (stored.revoked_at, stored.last_used_at, stored.last_used_from) == (noon, noon, HERE)
        with pytest.raises(ApiKeyRefused):
            take(issued, at=noon)


class TestTakingAKey:
    def test_brings_the_account_with_divisions_and_what_the_scopes_leave(self, cast, noon, django_assert_num_queries):
        account = machines.account(cast, divisions=[cast.tyres])
        issued = machines.key(account, cast, "shipments:view", "workflow_steps:complete", at=noon)

        with django_assert_num_queries(1):
            found, key = take(issued, at=noon)
            assert found == account
            assert key == issued.record
            assert found.own_divisions == {cast.tyres.pk}
            assert found.get_all_permissions() == {"shipments.view_shipment", "workflow.complete_workflowstep"}

    def test_never_goes_beyond_the_role_of_the_moment(self, cast, account, noon):
        issued = machines.key(account, cast, "shipments:view", "workflow_steps:complete", at=noon)
        changes = {"role": Role.READ_ONLY}

        accounts.amend_service_account(account_id=account.pk, changes=changes, by=fresh(cast.administrator), at=noon)

        assert take(issued, at=noon)[0].get_all_permissions() == {"shipments.view_shipment"}

    def test_is_refused_for_whatever_is_no_key(self, cast, account, noon):
        key = machines.key(account, cast, at=noon).key
        other = machines.key(account, cast, at=noon).key
        start, _, secret = key.rpartition("_")

        for text in (
            "",
            "clr",
            key[:-1],
            f"{key}x",
            f" {key}",
            f"{key}\n",
            key.upper(),
            secret,
            f"{start}_{other.rpartition('_')[2]}",
            f"clr_zzzzzzzz_{secret}",
            f"{key[:-1]}é",
            f"{key[:-1]}\0",
        ):
            with pytest.raises(ApiKeyRefused):
                take(text, at=noon)

    def test_is_refused_from_the_moment_it_expires(self, cast, account, noon):
        issued = machines.key(account, cast, at=noon, expires_at=noon + DAY)

        assert take(issued, at=noon + DAY - timedelta(microseconds=1))
        with pytest.raises(ApiKeyRefused):
            take(issued, at=noon + DAY)

    def test_is_refused_for_a_deactivated_account(self, cast, account, noon):
        issued = machines.key(account, cast, at=noon)
        User.objects.filter(pk=account.pk).update(is_active=False)  # as a hand in the database would: the key is live

        with pytest.raises(ApiKeyRefused):
            take(issued, at=noon)

    @pytest.mark.parametrize(
        ("address", "is_inside"),
        [
            ("203.0.113.0", True),
            ("203.0.113.255", True),
            ("203.0.114.0", False),
            ("198.51.100.7", True),
            ("198.51.100.8", False),
            ("2001:db8::1", True),
            ("2001:db9::1", False),
            (None, False),
        ],
    )
    def test_is_refused_outside_its_networks(self, cast, account, noon, address, is_inside):
        networks = ["203.0.113.0/24", "198.51.100.7", "2001:db8::/32"]
        issued = machines.key(account, cast, at=noon, allowed_networks=networks)

        if is_inside:
            assert take(issued, at=noon, ip_address=address)
        else:
            with pytest.raises(ApiKeyRefused):
                take(issued, at=noon, ip_address=address)

    def test_without_networks_is_good_from_anywhere(self, cast, account, noon):
        issued = machines.key(account, cast, at=noon)

        assert all(take(issued, at=noon, ip_address=one) for one in (HERE, "2001:db8::1", None))

    def test_tells_only_of_a_key_that_we_know_whose_it_is(self, cast, account, noon):
        issued = machines.key(account, cast, at=noon, expires_at=noon + DAY)

        with pytest.raises(ApiKeyRefused) as known:
            take(issued, at=noon + DAY)
        with pytest.raises(ApiKeyRefused) as unknown:
            take(f"clr_zzzzzzzz_{'a' * 43}", at=noon)

        assert known.value.context["user_id"] == account.pk
        assert unknown.value.context == {}
        assert str(known.value) == str(unknown.value)


class TestUsingAKey:
    def test_is_noted_once_a_minute_and_not_in_the_trail(self, cast, account, noon, django_assert_num_queries):
        issued = machines.key(account, cast, at=noon)

        def use(seconds: int, ip_address: str) -> None:
            at = noon + timedelta(seconds=seconds)
            accounts.note_use(take(issued, at=at)[1], at=at, ip_address=ip_address)

        with trails.written() as entries:
            use(0, HERE)
            with django_assert_num_queries(1):
                use(59, "198.51.100.7")
            assert ApiKey.objects.values_list("last_used_at", "last_used_from").get() == (noon, HERE)
            use(60, "198.51.100.7")

        assert ApiKey.objects.values_list("last_used_at", "last_used_from").get() == (noon + MINUTE, "198.51.100.7")
        assert entries == []

    def test_refused_is_worth_telling_once_a_minute(self, cast, account, noon):
        key = machines.key(account, cast, at=noon).record
        refusal = ApiKeyRefused(user_id=account.pk, key_id=key.pk)

        told = [accounts.is_worth_telling(refusal, at=noon + timedelta(seconds=one)) for one in (0, 1, 59, 60, 61)]

        assert told == [True, False, False, True, False]
        assert not accounts.is_worth_telling(ApiKeyRefused(), at=noon)


class TestTheStateOfAKey:
    @pytest.mark.parametrize(
        ("changed", "after", "state"),
        [
            ({}, 15 * DAY, KeyState.GOOD),
            ({}, 16 * DAY, KeyState.EXPIRES_SOON),
            ({}, 30 * DAY, KeyState.EXPIRED),
            ({"rotated_at": "2026-03-15T12:00Z"}, DAY, KeyState.REPLACED),
            ({"revoked_at": "2026-03-15T12:00Z"}, 40 * DAY, KeyState.REVOKED),
        ],
    )
    def test_follows_from_its_times(self, cast, account, noon, changed, after, state):
        key = machines.key(account, cast, at=noon).record
        ApiKey.objects.filter(pk=key.pk).update(**changed) if changed else None

        assert ApiKey.objects.with_state(at=noon + after).get().state == state


def test_the_machines_of_a_department_see_what_its_people_see(cast):
    account = machines.account(cast, department=Department.CUSTOMS)

    assert machines.rights(account) == set(map(rules.api_name, fresh(cast.cc_clerk).get_all_permissions()))

"""Whoever is limited to divisions gives nobody, and gets at, no more than they see themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts import services as accounts
from accounts.choices import Role
from accounts.errors import BeyondYourRights
from accounts.models import IdentityRule, RoleGroup, User
from accounts.tests import machines
from accounts.tests.people import caretaker, fresh, role
from clearance.tests.cast import Cast
from clearance.tests.traces import refused

pytestmark = pytest.mark.django_db

MORE = ("accounts.manage_serviceaccount", "accounts.add_identityrule")


@pytest.fixture
def keeper(cast) -> User:
    """A caretaker of people who sees tyres only."""
    kept = caretaker(cast, *MORE)
    kept.divisions.set([cast.tyres])
    return fresh(kept)


def limited(person: User, cast: Cast) -> User:
    person.divisions.set([cast.tyres])
    return fresh(person)


class TestSomebodyWhoSeesMore:
    @pytest.fixture
    def person(self, cast, noon):
        facts = {"full_name": "Sees All", "department": "Stores", "role": Role.READ_ONLY}
        return accounts.take_on(email="all@example.com", by=None, password="Long-ship-99", **facts)

    @pytest.mark.parametrize(
        "verb",
        [
            lambda person, **who: accounts.set_password(user=person, password="Tall-ship-99", **who),
            lambda person, **who: accounts.amend_person(user_id=person.pk, changes={"email": "x@example.com"}, **who),
            lambda person, **who: accounts.reset_second_factor(user_id=person.pk, **who),
            lambda person, **who: accounts.amend_person(user_id=person.pk, changes={"department": "IA"}, **who),
            lambda person, **who: accounts.amend_person(
                user_id=person.pk, changes={"further_roles": RoleGroup.objects.filter(name="Reporting")}, **who
            ),
            lambda person, **who: accounts.override(
                user_id=person.pk, permission="metrics.view_metric", is_granted=True, reason="More", **who
            ),
        ],
        ids=["password", "address", "second factor", "department", "further role", "override"],
    )
    def test_is_not_for_them(self, keeper, person, noon, verb):
        accounts.set_up_second_factor(user=person, password="Long-ship-99", at=noon, ip_address=None)
        role("audit.view_seal")

        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS") as refusal:
            verb(person, by=keeper, at=noon)

        assert "other divisions" in str(refusal.value)

    def test_is_once_they_see_no_more(self, keeper, person, cast, noon):
        limited(person, cast)

        accounts.set_password(user=fresh(person), password="Tall-ship-99", by=keeper, at=noon)

        assert fresh(person).check_password("Tall-ship-99")

    def test_may_still_be_deactivated_and_denied(self, keeper, person, noon):
        accounts.override(
            user_id=person.pk, permission="metrics.view_metric", is_granted=False, reason="Less", by=keeper, at=noon
        )
        accounts.amend_person(user_id=person.pk, changes={"is_active": False}, by=keeper, at=noon)

        assert not fresh(person).is_active


class TestAKeyOfAnAccountThatSeesMore:
    def issue(self, account: User, *, by: User, at) -> accounts.IssuedKey:
        given = {"name": "Mine", "scopes": ["shipments:view"], "expires_at": at + timedelta(days=9)}
        return accounts.issue_key(account_id=account.pk, by=by, at=at, **given)

    def test_is_not_for_them(self, keeper, cast, noon):
        account = machines.account(cast, role=Role.READ_ONLY)
        key = machines.key(account, cast, "shipments:view", at=noon)

        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            self.issue(account, by=keeper, at=noon)
        with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
            accounts.rotate_key(
                account_id=account.pk, key_id=key.record.pk, grace=timedelta(hours=1), by=keeper, at=noon
            )

    def test_is_once_it_sees_no_more(self, keeper, cast, noon):
        account = machines.account(cast, role=Role.READ_ONLY, divisions=[cast.tyres])

        assert self.issue(account, by=keeper, at=noon).key


def test_a_rule_for_newcomers_is_not_for_them_as_those_see_everything(keeper):
    rule = IdentityRule(pattern="@example.com", department="IA", role=Role.READ_ONLY)

    with refused(BeyondYourRights, "BEYOND_YOUR_RIGHTS"):
        accounts.save_identity_rule(rule=rule, by=keeper)

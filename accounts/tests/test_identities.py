from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts import provider
from accounts import services as accounts
from accounts.errors import BoundToAnotherIdentity, EmailNotVerified, KeptOut, NoIdentity
from accounts.models import IdentityRule, User
from accounts.provider import Identity
from audit.tests import trails
from clearance.errors import DomainError, Forbidden, Invalid
from clearance.tests import races
from clearance.tests.traces import refused

pytestmark = pytest.mark.django_db

ISSUER = "https://sign-in.example.com/"


def identity(subject: str = "amal", **said: object) -> Identity:
    return Identity(**{"issuer": ISSUER, "subject": subject, "full_name": "Amal Newcomer"} | said)


def admit(subject: str = "amal", **said: object) -> User:
    user, _needs_code = accounts.admit(identity=identity(subject, **said), at=timezone.now())
    return User.objects.get(pk=user.pk)


def bind(user: User, subject: str = "amal") -> User:
    User.objects.filter(pk=user.pk).update(identity_issuer=ISSUER, identity_subject=subject)
    user.refresh_from_db()
    return user


def refusal(kind: type[DomainError], act: Callable[[], object]) -> DomainError:
    """The refusal, which changed nothing."""
    with refused(kind, kind.code) as caught:
        act()
    return caught.value


def rule(pattern: str, department: str = "Finance", role: str = "PPR") -> IdentityRule:
    return accounts.save_identity_rule(rule=IdentityRule(pattern=pattern, department=department, role=role), by=None)


class TestAnIdentity:
    def test_is_recognised_whatever_the_address_is_now(self, cc_clerk, bu_clerk):
        bind(cc_clerk)

        assert admit(email="other@example.com") == cc_clerk
        assert admit(email=bu_clerk.email) == cc_clerk
        assert admit(unverified_email=bu_clerk.email) == cc_clerk
        assert admit().email == "cc_clerk@example.com"

    def test_of_the_same_name_at_another_provider_is_another(self, cc_clerk):
        bind(cc_clerk)
        User.objects.filter(pk=cc_clerk.pk).update(identity_issuer="https://elsewhere.example.com/")

        assert refusal(EmailNotVerified, admit)

    def test_is_bound_to_whoever_has_the_verified_address(self, cc_clerk):
        before = trails.last_id()

        assert admit(email=cc_clerk.email) == cc_clerk

        cc_clerk.refresh_from_db()
        assert (cc_clerk.identity_issuer, cc_clerk.identity_subject) == (ISSUER, "amal")
        assert cc_clerk.email_verified_at is not None
        (entry,) = trails.since(before)
        assert entry.user_id == cc_clerk.pk
        assert entry.changes["identity_subject"] == ["", "amal"]

    def test_is_bound_only_the_first_time(self, cc_clerk):
        admit(email=cc_clerk.email)

        assert refusal(BoundToAnotherIdentity, lambda: admit("another", email=cc_clerk.email)).context == {
            "user_id": cc_clerk.pk
        }
        cc_clerk.refresh_from_db()
        assert cc_clerk.identity_subject == "amal"

    def test_keeps_the_moment_at_which_the_address_was_verified_here(self, cc_clerk, noon):
        User.objects.filter(pk=cc_clerk.pk).update(email_verified_at=noon)

        assert admit(email=cc_clerk.email).email_verified_at == noon

    @pytest.mark.parametrize("said", ["somebody", "nobody"])
    def test_with_an_unverified_address_is_refused(self, cast, said):
        address = cast.cc_clerk.email if said == "somebody" else "new@example.com"

        told = refusal(EmailNotVerified, lambda: admit(unverified_email=address))

        assert told.context.get("user_id") == (cast.cc_clerk.pk if said == "somebody" else None)

    def test_without_an_address_is_refused(self, cast):
        assert refusal(EmailNotVerified, admit)

    @pytest.mark.parametrize("changed", [{"is_active": False}, {"is_staff": False}], ids=str)
    @pytest.mark.parametrize("is_bound", [True, False])
    def test_of_somebody_who_is_kept_out_is_refused_and_not_bound(self, cc_clerk, changed, is_bound):
        User.objects.filter(pk=cc_clerk.pk).update(**changed)
        if is_bound:
            bind(cc_clerk)

        told = refusal(KeptOut, lambda: admit(email=cc_clerk.email))

        assert told.context == {"user_id": cc_clerk.pk}
        cc_clerk.refresh_from_db()
        assert bool(cc_clerk.identity_subject) == is_bound


class TestSomebodyNew:
    def test_is_taken_on_without_a_password_and_waits(self, cast):
        user = admit(email="amal@example.com")

        assert (user.email, user.full_name, user.department, user.role) == (
            "amal@example.com",
            "Amal Newcomer",
            "",
            "ReadOnly",
        )
        assert not user.has_usable_password()
        assert user.email_verified_at is not None
        assert user.waits_for_rights
        assert user.get_all_permissions() == set()

    def test_becomes_what_the_claims_say(self, cast):
        user = admit(email="amal@example.com", department="C&C", role="PPR", divisions=frozenset({"TBL"}))

        assert (user.department, user.role) == ("C&C", "PPR")
        assert list(user.divisions.all()) == [cast.tyres]
        assert user.has_perm("workflow.complete_workflowstep")
        assert not user.waits_for_rights

    def test_waits_when_the_claims_name_a_division_that_nobody_knows(self, cast):
        user = admit(email="amal@example.com", department="C&C", role="PPR", divisions=frozenset({"TBL", "XX"}))

        assert user.waits_for_rights

    def test_becomes_what_the_rule_of_the_address_says_before_that_of_the_domain(self, cast):
        rule("@example.com", "Finance", "ReadOnly")
        rule("amal@example.com", "C&C", "Manager")

        assert [(user.department, user.role) for user in (admit(email="amal@example.com"),)] == [("C&C", "Manager")]
        user = admit("badr", email="badr@example.com")
        assert (user.department, user.role) == ("Finance", "ReadOnly")

    @pytest.mark.parametrize("address", ["amal@sub.example.com", "amal@notexample.com", "amal@example.com.evil.test"])
    def test_of_a_domain_that_only_looks_alike_waits(self, cast, address):
        rule("@example.com")

        assert admit(email=address).waits_for_rights

    def test_is_on_record(self, cast):
        before = trails.last_id()

        user = admit(email="amal@example.com")

        entry = trails.since(before)[0]
        assert (entry.entity_id, entry.action) == (str(user.pk), "created")
        assert entry.changes["identity_subject"] == "amal"


class TestLaterSignIns:
    def test_follow_the_claims(self, cast):
        clerk = bind(cast.cc_clerk)
        before = trails.last_id()

        user = admit(department="Finance", role="APR", divisions=frozenset({"LV"}))

        assert (user.department, user.role) == ("Finance", "APR")
        assert [group.name for group in user.groups.all()] == ["Finance APR"]
        assert list(user.divisions.all()) == [cast.vehicles]
        told = trails.since(before)
        assert {(entry.user_id, entry.reason) for entry in told} == {(clerk.pk, "As the company sign-in says.")}

    @pytest.mark.parametrize(
        "said",
        [
            {},
            {"department": "C&C", "role": "PPR"},
            {"department": "C&C", "role": "PPR", "divisions": frozenset()},
            {"department": "Finance", "role": "PPR", "divisions": frozenset({"XX"})},
        ],
        ids=str,
    )
    def test_change_nothing_where_the_claims_say_nothing_new_or_nothing_known(self, cc_clerk, said):
        bind(cc_clerk)
        before = trails.last_id()

        user = admit(**said)

        assert (user.department, user.role) == ("C&C", "PPR")
        assert trails.since(before) == []

    def test_leave_an_administrator_as_they_are(self, administrator):
        bind(administrator)

        assert admit(department="Finance", role="APR").is_admin

    def test_ask_no_identity_rule(self, cc_clerk):
        bind(cc_clerk)
        rule(cc_clerk.email, "Finance", "Manager")

        assert admit(email=cc_clerk.email).department == "C&C"


class TestTwoAtOnce:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_of_different_identities_bind_one_of_them(self, cc_clerk):
        results = races.at_once(
            lambda: admit("amal", email=cc_clerk.email),
            lambda: admit("badr", email=cc_clerk.email),
            held=User.objects.filter(pk=cc_clerk.pk),
        )

        assert sorted((type(result) for result in results), key=str) == [BoundToAnotherIdentity, User]
        cc_clerk.refresh_from_db()
        assert cc_clerk.identity_subject == ("amal" if isinstance(results[0], User) else "badr")

    def test_of_the_same_identity_both_come_in(self, cc_clerk):
        both = [lambda: admit(email=cc_clerk.email)] * 2

        results = races.at_once(*both, held=User.objects.filter(pk=cc_clerk.pk))

        assert results == [cc_clerk, cc_clerk]

    def test_of_the_same_newcomer_are_one_person(self, cast):
        results = races.free_for_all(*[lambda: admit(email="amal@example.com")] * 4)

        assert len({user.pk for user in results}) == 1
        assert User.objects.filter(email="amal@example.com").count() == 1

    def test_of_newcomers_with_one_address_take_on_one(self, cast):
        results = races.free_for_all(*[lambda n=n: admit(f"amal-{n}", email="amal@example.com") for n in range(4)])

        assert sum(isinstance(result, User) for result in results) == 1
        assert {type(result) for result in results} == {User, BoundToAnotherIdentity}


class TestReleasingAnIdentity:
    def test_lets_the_next_one_with_the_address_be_bound_and_ends_what_is_open(self, cc_clerk, administrator):
        bind(cc_clerk)
        hashed = cc_clerk.get_session_auth_hash()

        accounts.release_identity(user_id=cc_clerk.pk, by=administrator, at=timezone.now())

        assert admit("another", email=cc_clerk.email) == cc_clerk
        cc_clerk.refresh_from_db()
        assert cc_clerk.identity_subject == "another"
        assert cc_clerk.get_session_auth_hash() != hashed

    def test_is_refused_to_who_is_no_administrator(self, cc_clerk, cc_head, noon):
        bind(cc_clerk)

        assert refusal(Forbidden, lambda: accounts.release_identity(user_id=cc_clerk.pk, by=cc_head, at=noon))

    def test_is_refused_where_there_is_none(self, cc_clerk, administrator, noon):
        assert refusal(NoIdentity, lambda: accounts.release_identity(user_id=cc_clerk.pk, by=administrator, at=noon))


class TestAnIdentityRule:
    @pytest.mark.parametrize(
        "pattern", ["example.com", "@", "@example", "a b@example.com", "Amal@Example.com", "a@b@c.d"]
    )
    def test_is_of_an_address_or_a_domain(self, db, pattern):
        with pytest.raises(Invalid):
            rule(pattern)

    @pytest.mark.parametrize(("department", "role"), [("Finance", "Admin"), ("", "PPR"), ("Nowhere", "PPR")])
    def test_makes_no_administrator_and_names_a_department(self, db, department, role):
        with pytest.raises(Invalid):
            rule("@example.com", department, role)

    def test_is_the_only_one_of_its_pattern(self, db):
        rule("@example.com")

        with pytest.raises(Invalid, match="already"):
            rule("@example.com", "C&C")

    def test_may_be_removed(self, db):
        accounts.remove_identity_rule(rule=rule("@example.com"), by=None)

        assert admit(email="amal@example.com").waits_for_rights


class TestClaims:
    @pytest.fixture(autouse=True)
    def _configured(self, settings):
        settings.OIDC_ISSUER = ISSUER
        settings.OIDC_CLAIMS = {"department": "d", "role": "https://example.com/role", "divisions": ""}

    def said(self, **claims: object) -> Identity:
        return provider.identity_of({"sub": "amal", **claims})

    def work(self, department: object, role: object, **more: object) -> tuple[str, str]:
        understood = self.said(d=department, **{"https://example.com/role": role}, **more)
        return understood.department, understood.role

    def test_say_department_and_role_as_one_text_or_a_list_of_which_we_know_one(self):
        assert self.work("C&C", "PPR") == ("C&C", "PPR")
        assert self.work(["C&C", "everybody"], ["PPR", "printer"]) == ("C&C", "PPR")

    @pytest.mark.parametrize(
        ("department", "role"),
        [
            ("C&C", "Admin"),
            ("C&C", ["Admin"]),
            ("C&C", ["PPR", "APR"]),
            ("C&C", None),
            ("", "PPR"),
            ("Customs", "PPR"),
            (7, {"PPR": 1}),
            ([["C&C"]], "PPR"),
        ],
    )
    def test_say_nothing_if_they_say_less_more_or_administrator(self, department, role):
        assert self.work(department, role) == ("", "")

    def test_say_nothing_if_the_configured_divisions_are_missing(self, settings):
        settings.OIDC_CLAIMS |= {"divisions": "lines"}

        assert self.work("C&C", "PPR") == ("", "")
        assert self.work("C&C", "PPR", lines=[]) == ("C&C", "PPR")
        assert self.said(d="C&C", lines=["TBL"], **{"https://example.com/role": "PPR"}).divisions == {"TBL"}

    def test_say_nothing_of_work_where_none_are_configured(self, settings):
        settings.OIDC_CLAIMS = dict.fromkeys(settings.OIDC_CLAIMS, "")

        assert self.said(d="C&C", **{"": "C&C"}).department == ""

    @pytest.mark.parametrize("verified", [False, None, "true", 1, "false"])
    def test_verify_an_address_only_by_saying_true(self, verified):
        understood = self.said(email="Amal@Example.com", email_verified=verified)

        assert (understood.email, understood.unverified_email) == ("", "amal@example.com")

    @pytest.mark.parametrize(
        "email", [None, 7, "", "no address", "a\0b@example.com", f"{'a' * 300}@example.com", ["a@b.c"]]
    )
    def test_know_no_address_that_is_none(self, email):
        understood = self.said(email=email, email_verified=True)

        assert (understood.email, understood.unverified_email) == ("", "")

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("Amal  Said", "Amal Said"),
            ("<b>Amal</b>\n\0", "b Amal b"),
            (7, "amal.said"),
            ("آمال سعيد", "آمال سعيد"),
            ("x" * 500, "x" * 120),
        ],
    )
    def test_name_somebody_in_one_line(self, name, expected):
        understood = self.said(name=name, email="amal.said@example.com", email_verified=True)

        assert understood.full_name.replace("/", "").split() == expected.split()

    @pytest.mark.parametrize(
        ("amr", "expected"),
        [(["pwd", "mfa"], True), ("mfa", True), (["pwd"], False), (None, False), ([["mfa"]], False)],
    )
    def test_tell_of_a_second_factor_by_its_name(self, amr, expected):
        assert self.said(amr=amr).has_second_factor is expected

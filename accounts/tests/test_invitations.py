from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from accounts import tokens
from accounts.choices import MessageKind, Purpose, Role
from accounts.errors import AdministratorsOnly, LinkRefused, PersonDeactivated, UserExists, WeakPassword
from accounts.models import RequiredSecondFactor, Ticket, User
from accounts.tests.people import caretaker, fresh, role
from clearance.errors import Forbidden
from clearance.tests import pages, races
from clearance.tests.cast import PASSWORD
from clearance.tests.traces import refused
from outbox import services as outbox
from outbox.choices import Delivery
from outbox.messages import composers
from outbox.models import Message

pytestmark = pytest.mark.django_db

NEW = "Tall-ship-sails-9"
EMAIL = "nasra@example.com"
PAGE = reverse("admin:invitation")


def invite(*, by: User, at, **changed) -> User:
    facts = {"email": EMAIL, "full_name": "Nasra New", "department": "C&C", "role": Role.PPR}
    return accounts.invite(**facts | changed, by=by, at=at)


def link() -> str:
    """The token of the newest link."""
    return tokens.write_ticket(Ticket.objects.filter(purpose=Purpose.INVITE).latest("created_at").pk)


def deliver(settings, *, at) -> list:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    outbox.deliver_due(at=at, compose=composers(), lease=timedelta(minutes=2))
    return mail.outbox


class TestInviting:
    def test_takes_the_person_on_without_a_password_and_writes_a_mail(self, cast, noon, settings):
        person = invite(by=cast.administrator, at=noon, divisions=[cast.tyres], further_roles=[role()])

        assert not fresh(person).has_usable_password()
        assert {group.name for group in person.groups.all()} == {"C&C PPR", "Reporting"}
        assert list(person.divisions.all()) == [cast.tyres]
        (sent,) = deliver(settings, at=noon)
        assert EMAIL in sent.to[0]
        assert f"/admin/invitation/?token={link()}" in sent.body
        assert "Customs & Clearance, PPR" in sent.body
        assert link() not in str(Message.objects.values())

    def test_writes_in_the_language_of_the_invited(self, cast, noon, settings):
        invite(by=cast.administrator, at=noon, language="ar")

        (sent,) = deliver(settings, at=noon)

        assert sent.subject == "دعوة إلى نظام التخليص"

    @pytest.mark.parametrize("part", ["cc_head", "cc_clerk", "auditor"])
    def test_is_refused_to_others(self, cast, noon, part):
        with refused(Forbidden, "PERMISSION_DENIED"):
            invite(by=getattr(cast, part), at=noon)

    def test_of_an_administrator_is_for_administrators(self, cast, noon):
        keeper = caretaker(cast)

        with refused(AdministratorsOnly, "ADMINISTRATORS_ONLY"):
            invite(by=keeper, at=noon, department="", role=Role.ADMIN)

    def test_again_changes_what_is_said_and_sends_another_link(self, cast, noon):
        first = invite(by=cast.administrator, at=noon)
        old = link()

        second = invite(by=cast.administrator, at=noon + timedelta(hours=1), email="Nasra@Example.com", role=Role.APR)

        assert first == second
        assert fresh(second).role == Role.APR
        with pytest.raises(LinkRefused):
            accounts.accept_invitation(token=old, password=NEW, at=noon + timedelta(hours=2))
        accounts.accept_invitation(token=link(), password=NEW, at=noon + timedelta(hours=2))

    def test_again_leaves_the_earlier_mail_unsent(self, cast, noon, settings):
        invite(by=cast.administrator, at=noon)
        invite(by=cast.administrator, at=noon)

        deliver(settings, at=noon)

        assert sorted(Message.objects.values_list("delivery", flat=True)) == [Delivery.NOTHING_LEFT, Delivery.SENT]

    @pytest.mark.parametrize("came", [{"password": "argon2$x"}, {"last_login": "2026-01-01T00:00Z"}])
    def test_of_somebody_who_has_come_is_refused(self, cast, noon, came):
        with refused(UserExists, "USER_EXISTS"):
            invite(by=cast.administrator, at=noon, email=cast.cc_clerk.email)
        person = invite(by=cast.administrator, at=noon)
        User.objects.filter(pk=person.pk).update(**came)
        with refused(UserExists, "USER_EXISTS"):
            invite(by=cast.administrator, at=noon)

    def test_of_the_deactivated_is_refused(self, cast, noon):
        accounts.deactivate(user=cast.cc_clerk, by=None, at=noon)

        with refused(PersonDeactivated, "PERSON_DEACTIVATED"):
            invite(by=cast.administrator, at=noon, email=cast.cc_clerk.email)

    @pytest.mark.django_db(transaction=True)
    def test_by_two_at_the_same_moment_makes_one_person_and_one_good_link(self, cast, noon):
        results = races.free_for_all(*[lambda: invite(by=cast.administrator, at=noon)] * 2)

        assert all(isinstance(one, User) for one in results), results
        assert User.objects.filter(email=EMAIL).count() == 1
        assert Ticket.objects.good(at=noon).count() == 1


class TestInvitingAgain:
    def test_sends_another_link_to_who_was_taken_on_without_a_mail(self, cast, noon):
        person = accounts.take_on(email=EMAIL, full_name="Nasra", department="C&C", role="PPR", by=None)

        accounts.invite_again(user_id=person.pk, by=cast.administrator, at=noon)

        assert Message.objects.get().kind == MessageKind.INVITATION

    def test_of_somebody_who_has_come_or_gone_is_refused(self, cast, noon):
        with refused(UserExists, "USER_EXISTS"):
            accounts.invite_again(user_id=cast.cc_clerk.pk, by=cast.administrator, at=noon)
        accounts.deactivate(user=cast.cc_clerk, by=None, at=noon)
        with refused(PersonDeactivated, "PERSON_DEACTIVATED"):
            accounts.invite_again(user_id=cast.cc_clerk.pk, by=cast.administrator, at=noon)


class TestComing:
    @pytest.fixture
    def person(self, cast, noon):
        return invite(by=cast.administrator, at=noon)

    def test_sets_the_password_proves_the_address_and_is_welcomed(self, person, noon, settings):
        accounts.accept_invitation(token=link(), password=NEW, at=noon)

        come = fresh(person)
        assert come.check_password(NEW)
        assert come.email_verified_at == noon
        assert come.has_come
        welcome = deliver(settings, at=noon)[-1]
        assert welcome.subject == "Welcome to Clearance"
        assert "/admin/" in welcome.body
        assert "makes your sign-in safer" in welcome.body

    def test_is_told_first_of_the_second_factor_that_the_role_requires(self, person, noon, settings):
        RequiredSecondFactor.objects.create(role=Role.PPR)
        accounts.accept_invitation(token=link(), password=NEW, at=noon)

        assert "your role requires one" in deliver(settings, at=noon)[-1].body

    @pytest.mark.parametrize(("hours", "is_good"), [(71, True), (72, False), (73, False)])
    def test_is_possible_for_72_hours(self, person, noon, hours, is_good):
        at = noon + timedelta(hours=hours)
        if is_good:
            accounts.accept_invitation(token=link(), password=NEW, at=at)
        else:
            with refused(LinkRefused, "LINK_NOT_VALID"):
                accounts.accept_invitation(token=link(), password=NEW, at=at)

    def test_is_possible_once(self, person, noon):
        accounts.accept_invitation(token=link(), password=NEW, at=noon)

        with refused(LinkRefused, "LINK_NOT_VALID"):
            accounts.accept_invitation(token=link(), password=PASSWORD, at=noon)

    @pytest.mark.django_db(transaction=True)
    def test_at_the_moment_of_another_invitation_is_either_refused_or_comes_first(self, person, cast, noon):
        token = link()

        results = races.at_once(
            lambda: accounts.accept_invitation(token=token, password=PASSWORD, at=noon),
            lambda: accounts.invite_again(user_id=person.pk, by=cast.administrator, at=noon),
            held=User.objects.filter(pk=person.pk),
        )

        assert sorted(type(one).__name__ for one in results) in (["LinkRefused", "User"], ["User", "UserExists"])

    def test_with_a_weak_password_leaves_the_link_good(self, person, noon):
        with refused(WeakPassword, "WEAK_PASSWORD"):
            accounts.accept_invitation(token=link(), password="weak", at=noon)

        accounts.accept_invitation(token=link(), password=NEW, at=noon)

    def test_is_over_with_a_password_from_elsewhere_or_a_deactivation(self, person, cast, noon):
        token = link()
        accounts.set_password(user=person, password=PASSWORD, by=cast.administrator, at=noon)
        with refused(LinkRefused, "LINK_NOT_VALID"):
            accounts.accept_invitation(token=token, password=NEW, at=noon)

        other = invite(by=cast.administrator, at=noon, email="other@example.com")
        token = link()
        accounts.deactivate(user=other, by=None, at=noon)
        with refused(LinkRefused, "LINK_NOT_VALID"):
            accounts.accept_invitation(token=token, password=NEW, at=noon)

    def test_takes_no_link_of_another_kind(self, person, cast, noon):
        accounts.request_reset(email=cast.cc_clerk.email, at=noon)
        reset = tokens.write_ticket(Ticket.objects.get(purpose=Purpose.RESET).pk)

        with refused(LinkRefused, "LINK_NOT_VALID"):
            accounts.accept_invitation(token=reset, password=NEW, at=noon)
        with refused(LinkRefused, "LINK_NOT_VALID"):
            accounts.reset_password(token=link(), password=NEW, at=noon)


class TestThePageBehindTheLink:
    @pytest.fixture
    def token(self, cast):
        invite(by=cast.administrator, at=timezone.now())
        return link()

    def test_changes_nothing_when_it_is_opened(self, token):
        page = Client().get(PAGE, {"token": token})

        assert "You were invited" in page.text
        assert Ticket.objects.get().used_at is None

    @pytest.mark.parametrize("how", ["used", "nonsense", "of another kind", "missing"])
    def test_says_at_once_that_the_link_is_no_good_and_asks_for_nothing(self, token, cast, how):
        if how == "used":
            accounts.accept_invitation(token=token, password=NEW, at=timezone.now())
        accounts.request_reset(email=cast.cc_clerk.email, at=timezone.now())
        reset = tokens.write_ticket(Ticket.objects.get(purpose=Purpose.RESET).pk)
        given = {"used": {"token": token}, "nonsense": {"token": "x"}, "of another kind": {"token": reset}}

        page = Client().get(PAGE, given.get(how, {}))

        assert "unknown, too old or was used" in page.text
        assert "password2" not in page.text
        assert "You were invited" not in page.text

    def test_sets_the_password_and_leads_to_signing_in(self, token):
        client = Client()

        answer = client.post(PAGE, {"token": token, "password": NEW, "password2": NEW}, follow=True)

        assert answer.redirect_chain == [(reverse("admin:login"), 302)]
        assert "Your password is set" in pages.told(answer)[0][1]
        client.post(reverse("admin:login"), {"username": EMAIL, "password": NEW})
        assert client.get("/admin/").status_code == 200

    def test_says_what_is_wrong(self, token):
        weak = Client().post(PAGE, {"token": token, "password": "weak", "password2": "weak"})
        stale = Client().post(PAGE, {"token": "nonsense", "password": NEW, "password2": NEW})

        assert "too short" in pages.errors_of(weak)["password"][0]
        assert "unknown, too old or was used" in pages.errors_of(stale)["__all__"][0]

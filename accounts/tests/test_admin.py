from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from accounts.models import Absence, Division, SignIn, User
from clearance.clock import day_of
from clearance.tests import pages
from clearance.tests.cast import PASSWORD
from clearance.tests.traces import everything

pytestmark = pytest.mark.django_db

PEOPLE = reverse("admin:accounts_user_changelist")


def new(**changed: object) -> dict[str, object]:
    return {
        "full_name": "Noor Newcomer",
        "email": "Noor@Example.com",
        "phone": "",
        "password": "Tall-ship-sails-9",
        "department": "C&C",
        "role": "PPR",
        "divisions": [],
        "language": "ar",
        "time_zone": "Asia/Muscat",
    } | changed


def today() -> date:
    return day_of(timezone.now())


class TestSigningIn:
    def test_is_by_e_mail_address_whatever_its_case(self, cc_clerk):
        client = Client()

        client.post(
            reverse("admin:login"), {"username": cc_clerk.email.upper(), "password": PASSWORD, "next": "/admin/"}
        )

        assert client.get("/admin/").context["user"] == cc_clerk

    @pytest.mark.parametrize(
        "page", ["admin:index", "admin:shipments_shipment_changelist", "admin:workflow_workflowstep_changelist"]
    )
    def test_is_what_somebody_unknown_is_asked_for(self, page):
        answer = Client().get(reverse(page))

        assert answer.status_code == 302
        assert answer.url.startswith(reverse("admin:login"))

    def test_is_over_at_once_for_the_deactivated(self, cc_clerk):
        client = pages.signed_in(cc_clerk)
        accounts.deactivate(user=cc_clerk, by=None, at=timezone.now())

        assert client.get("/admin/").status_code == 302

    def test_stays_over_for_somebody_who_was_reactivated(self, cc_clerk):
        client = pages.signed_in(cc_clerk)
        at = timezone.now()

        for is_active in (False, True):
            accounts.amend_person(user_id=cc_clerk.pk, changes={"is_active": is_active}, by=None, at=at)

        assert client.get("/admin/").status_code == 302


class TestTakingOn:
    def test_reaches_the_desk_and_gives_the_role(self, administrator, cast):
        given = new(divisions=[cast.tyres.pk])

        pages.signed_in(administrator).post(pages.adding(User), given)

        person = User.objects.get(email="noor@example.com")
        assert person.check_password("Tall-ship-sails-9")
        assert list(person.groups.values_list("name", flat=True)) == ["C&C PPR"]
        assert list(person.divisions.all()) == [cast.tyres]

    def test_says_that_the_address_is_taken(self, administrator, cc_clerk):
        client = pages.signed_in(administrator)
        before = everything()

        answer = client.post(pages.adding(User), new(email=cc_clerk.email.upper()))

        assert "exists already" in pages.errors_of(answer)["email"][0]
        assert everything() == before

    def test_says_why_a_password_is_too_weak(self, administrator):
        answer = pages.signed_in(administrator).post(pages.adding(User), new(password="password"))

        assert "too common" in pages.errors_of(answer)["password"][0]
        assert not User.objects.filter(email="noor@example.com").exists()

    def test_of_a_clerk_without_department_is_refused(self, administrator):
        answer = pages.signed_in(administrator).post(pages.adding(User), new(department=""))

        assert "belong to a department" in pages.errors_of(answer)["__all__"][0]

    @pytest.mark.parametrize("who", ["cc_head", "cc_clerk", "auditor", "manager"])
    def test_is_for_administrators_only(self, cast, who):
        client = pages.signed_in(getattr(cast, who))

        assert client.get(pages.adding(User)).status_code == 403
        assert client.post(pages.adding(User), new()).status_code == 403


class TestChangingAPerson:
    def save(self, administrator: User, person: User, **changed: object):
        client = pages.signed_in(administrator)
        given = pages.filled_in(client.get(pages.of(person))) | changed
        given = {name: value for name, value in given.items() if value is not None}
        return client.post(pages.of(person), given)

    def test_another_role_changes_the_permissions(self, administrator, cc_clerk):
        self.save(administrator, cc_clerk, role="Manager")

        person = User.objects.get(pk=cc_clerk.pk)
        assert person.has_perm("workflow.reopen_workflowstep")
        assert list(person.groups.values_list("name", flat=True)) == ["C&C Manager"]

    def test_taking_away_active_ends_the_sign_ins(self, administrator, cc_clerk):
        at = timezone.now()
        opened = SignIn.objects.create(user=cc_clerk, created_at=at, last_used_at=at, expires_at=at + timedelta(days=1))

        self.save(administrator, cc_clerk, is_active=None)

        assert not User.objects.get(pk=cc_clerk.pk).is_active
        assert SignIn.objects.get(pk=opened.pk).revoked_at is not None

    def test_nobody_is_made_a_superuser_by_a_form(self, administrator, cc_clerk):
        self.save(administrator, cc_clerk, is_superuser="on", is_staff="on")

        assert not User.objects.get(pk=cc_clerk.pk).is_superuser

    def test_the_last_administrator_stays_one(self, administrator):
        answer = self.save(administrator, administrator, role="Manager", department="C&C")

        assert "Nobody would be left" in pages.errors_of(answer)["__all__"][0]
        assert User.objects.get(pk=administrator.pk).is_admin

    def test_the_last_administrator_is_not_deactivated(self, administrator):
        answer = pages.signed_in(administrator).post(pages.verb("deactivate", administrator))

        assert "Nobody would be left" in pages.errors_of(answer)["__all__"][0]
        assert User.objects.get(pk=administrator.pk).is_active

    def test_is_never_deleting(self, administrator, cc_clerk):
        url = reverse("admin:accounts_user_delete", args=[cc_clerk.pk])

        assert pages.signed_in(administrator).post(url, {"post": "yes"}).status_code == 403

    def test_an_administrator_sets_a_password(self, administrator, cc_clerk):
        theirs = pages.signed_in(cc_clerk)

        pages.signed_in(administrator).post(pages.verb("password", cc_clerk), {"password": "Tall-ship-sails-9"})

        assert User.objects.get(pk=cc_clerk.pk).check_password("Tall-ship-sails-9")
        assert theirs.get("/admin/").status_code == 302

    def test_an_administrator_reads_why_a_password_is_not_taken(self, administrator, cc_clerk):
        client = pages.signed_in(administrator)

        weak = client.post(pages.verb("password", cc_clerk), {"password": "weak"})
        same = client.post(pages.verb("password", cc_clerk), {"password": PASSWORD})

        assert "too short" in pages.errors_of(weak)["password"][0]
        assert "last five passwords" in pages.errors_of(same)["password"][0]

    def test_a_head_reads_people_but_changes_nobody(self, cc_head, cc_clerk):
        client = pages.signed_in(cc_head)

        assert client.get(pages.of(cc_clerk)).status_code == 200
        assert client.post(pages.of(cc_clerk), {"role": "Manager"}).status_code == 403
        assert client.get(pages.verb("deactivate", cc_clerk)).status_code == 403
        for name in ("password", "unlock", "reset_second_factor"):
            assert client.get(pages.verb(name, cc_clerk)).status_code == 403
        assert client.get(pages.verb("require_second_factor", model=User)).status_code == 403

    def test_a_clerk_does_not_even_read_them(self, cc_clerk):
        assert pages.signed_in(cc_clerk).get(PEOPLE).status_code == 403


class TestTheListOfPeople:
    def test_needs_the_same_few_queries_for_sixty_people(self, administrator, django_assert_max_num_queries):
        User.objects.bulk_create(
            User(email=f"p{n}@example.com", full_name=f"Person {n}", department="C&C", role="PPR") for n in range(60)
        )
        client = pages.signed_in(administrator)

        with django_assert_max_num_queries(8):
            page = client.get(PEOPLE)

        assert len(page.context["cl"].result_list) == 50

    def test_offers_only_active_people_to_other_forms(self, cc_head, cc_clerk, finance_clerk):
        accounts.deactivate(user=finance_clerk, by=None, at=timezone.now())
        query = {"app_label": "accounts", "model_name": "absence", "field_name": "substitute", "term": "Clerk"}

        answer = pages.signed_in(cc_head).get(reverse("admin:autocomplete"), query)

        names = {one["text"] for one in answer.json()["results"]}
        assert str(cc_clerk) in names
        assert str(finance_clerk) not in names


class TestAbsences:
    def given(self, user: User, substitute: User) -> dict[str, object]:
        day = today().strftime("%d/%m/%Y")
        return {"user": user.pk, "starts_on": day, "ends_on": day, "substitute": substitute.pk}

    def test_a_head_records_one(self, cc_head, cc_clerk, cc_alternate):
        pages.signed_in(cc_head).post(pages.adding(Absence), self.given(cc_clerk, cc_alternate))

        absence = Absence.objects.get()
        assert (absence.user, absence.starts_on, absence.substitute) == (cc_clerk, today(), cc_alternate)

    def test_overlapping_ones_are_refused_at_the_date(self, cc_head, cc_clerk, cc_alternate):
        client = pages.signed_in(cc_head)
        client.post(pages.adding(Absence), self.given(cc_clerk, cc_alternate))

        answer = client.post(pages.adding(Absence), self.given(cc_clerk, cc_alternate))

        assert "already recorded as absent" in pages.errors_of(answer)["starts_on"][0]
        assert Absence.objects.count() == 1

    def test_a_substitute_of_another_department_is_refused(self, cc_head, cc_clerk, finance_clerk):
        answer = pages.signed_in(cc_head).post(pages.adding(Absence), self.given(cc_clerk, finance_clerk))

        assert "works in the same department" in pages.errors_of(answer)["substitute"][0]

    def test_is_changed_and_taken_back(self, cc_head, cc_clerk, cc_alternate):
        client = pages.signed_in(cc_head)
        client.post(pages.adding(Absence), self.given(cc_clerk, cc_alternate))
        absence = Absence.objects.get()
        until = today() + timedelta(days=3)

        client.post(pages.of(absence), self.given(cc_clerk, cc_alternate) | {"ends_on": until.strftime("%d/%m/%Y")})
        changed = Absence.objects.get()
        client.post(reverse("admin:accounts_absence_delete", args=[absence.pk]), {"post": "yes"})

        assert (changed.pk, changed.ends_on) == (absence.pk, until)
        assert not Absence.objects.exists()


class TestDivisions:
    def test_an_administrator_adds_and_renames_them(self, administrator, cast):
        client = pages.signed_in(administrator)

        client.post(pages.adding(Division), {"code": "BAT", "name": "Batteries"})
        client.post(pages.of(cast.tyres), {"code": "TBL", "name": "Tyres"})

        assert set(Division.objects.values_list("name", flat=True)) == {"Batteries", "Tyres", "Light vehicles"}

    def test_are_not_for_others(self, bu_head):
        assert pages.signed_in(bu_head).get(pages.adding(Division)).status_code == 403


class TestTheLanguage:
    def test_is_each_persons_own_choice(self, cc_clerk):
        client = pages.signed_in(cc_clerk)

        client.post(reverse("admin:language"), {"language": "ar", "back": "/admin/"})

        assert User.objects.get(pk=cc_clerk.pk).language == "ar"
        assert 'dir="rtl"' in client.get("/admin/").text

    def test_that_nobody_knows_changes_nothing(self, cc_clerk):
        answer = pages.signed_in(cc_clerk).post(reverse("admin:language"), {"language": "xx", "back": "//elsewhere"})

        assert User.objects.get(pk=cc_clerk.pk).language == "en"
        assert answer.url == "../"


class TestTheSystemRoles:
    def test_have_no_page(self):
        assert not admin.site.is_registered(Group)

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.choices import Department, Role
from accounts.models import ApiKey, ServiceAccount, User
from accounts.tests import machines
from accounts.tests.machines import fresh
from clearance.clock import day_of, midnight
from clearance.tests import pages
from clearance.tests.traces import everything

pytestmark = pytest.mark.django_db

NEW = {"full_name": "Agent’s system", "department": "C&C", "role": "PPR", "divisions": []}


@pytest.fixture
def account(cast) -> User:
    return machines.account(cast)


@pytest.fixture
def desk(administrator):
    return pages.signed_in(administrator)


def shown(account: User) -> ServiceAccount:
    return ServiceAccount.objects.get(pk=account.pk)


def day(days: int) -> str:
    return f"{day_of(timezone.now()) + timedelta(days=days):%d/%m/%Y}"


def issue(**changed):
    return {"name": "Production", "scopes": ["shipments:view"], "expires_at": day(30), "allowed_networks": ""} | changed


class TestTheListOfServiceAccounts:
    def test_tells_how_many_good_keys_each_has_and_when_the_first_ends(self, desk, cast, account):
        at = timezone.now()
        machines.key(account, cast, at=at, expires_at=at + timedelta(days=9))
        machines.key(account, cast)
        machines.account(cast, full_name="BI", role=Role.READ_ONLY)

        told = pages.words(desk.get(pages.list_of(ServiceAccount)).content.decode())

        assert "2 Expires soon the first one ends on" in told
        assert "BI" in told

    def test_costs_the_same_however_long_it_is(self, desk, cast, django_assert_max_num_queries):
        for number in range(8):
            machines.key(machines.account(cast, full_name=f"Machine {number}", divisions=[cast.tyres]), cast)

        with django_assert_max_num_queries(10):
            desk.get(pages.list_of(ServiceAccount))

    def test_is_for_administrators_and_those_who_read_the_trail(self, cast, account):
        statuses = {
            person.full_name: pages.signed_in(person).get(pages.of(shown(account))).status_code
            for person in (cast.administrator, cast.auditor, cast.cc_head, cast.bu_clerk)
        }

        assert list(statuses.values()) == [200, 200, 403, 403]
        assert pages.signed_in(cast.auditor).post(pages.adding(ServiceAccount), NEW).status_code == 403
        assert not pages.buttons(pages.signed_in(cast.auditor).get(pages.of(shown(account))))


class TestTheFormOfAServiceAccount:
    def test_adds_and_changes_one_through_the_desk(self, desk, cast):
        desk.post(pages.adding(ServiceAccount), NEW | {"divisions": [cast.tyres.pk]})
        account = User.objects.services().get()
        page = desk.get(pages.of(shown(account)))
        desk.post(pages.of(shown(account)), pages.filled_in(page) | {"role": "ReadOnly", "divisions": []})

        assert list(account.divisions.all()) == []
        assert fresh(account).role == Role.READ_ONLY
        assert [group.name for group in account.groups.all()] == ["C&C ReadOnly"]

    def test_says_what_is_wrong(self, desk, account):
        before = everything()

        taken = desk.post(pages.adding(ServiceAccount), NEW)
        homeless = desk.post(pages.adding(ServiceAccount), NEW | {"full_name": "BI", "department": ""})

        assert pages.errors_of(taken) == {"__all__": ["There is a service account of this name already."]}
        assert pages.errors_of(homeless) == {"__all__": ["PPR, APR and heads belong to a department."]}
        assert everything() == before

    def test_offers_the_roles_of_a_machine_only(self, desk):
        form = desk.get(pages.adding(ServiceAccount)).context["adminform"].form

        assert [value for value, _label in form.fields["role"].choices] == ["PPR", "ReadOnly"]

    def test_shows_its_history_to_whom_the_trail_sends_there(self, desk, account):
        answer = desk.get(reverse("admin:accounts_user_history", args=[account.pk]), follow=True)

        assert answer.status_code == 200
        assert "History of Agent’s system" in answer.content.decode()
        assert "created" in pages.words(answer.content.decode())


class TestIssuing:
    def test_shows_the_key_once_and_nowhere_else(self, desk, account):
        answer = desk.post(pages.verb("issue", shown(account)), issue(allowed_networks="203.0.113.0/24\n198.51.100.7"))

        record = ApiKey.objects.get()
        text = answer.context["result"].key
        assert answer.status_code == 200
        assert answer.content.decode().count(text) == 1
        assert "no-store" in answer["Cache-Control"]
        assert "<form" not in answer.content.decode().partition('id="content-main"')[2].partition("</main>")[0]
        assert record.expires_at == midnight(day_of(timezone.now()) + timedelta(days=31))
        assert record.allowed_networks == ["203.0.113.0/24", "198.51.100.7/32"]
        for page in (pages.of(shown(account)), pages.of(record), pages.list_of(ApiKey), "/admin/"):
            assert text.rpartition("_")[2] not in desk.get(page).content.decode()
        assert text not in str(dict(desk.session))
        assert machines.caller(text).get("/api/v1/users/me", REMOTE_ADDR="203.0.113.9").status_code == 200

    def test_offers_the_scopes_of_the_role(self, desk, account):
        form = desk.get(pages.verb("issue", shown(account))).context["form"]

        offered = [value for _kind, group in form.fields["scopes"].choices for value, _words in group]
        assert set(offered) == machines.rights(account)

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"scopes": []}, "scopes"),
            ({"scopes": ["shipments:add"]}, "scopes"),
            ({"expires_at": day(-1)}, "expires_at"),
            ({"expires_at": day(366)}, "expires_at"),
            ({"allowed_networks": "here"}, "allowed_networks"),
            ({"name": ""}, "name"),
        ],
    )
    def test_says_what_is_wrong_at_its_field(self, desk, account, given, field):
        before = everything()

        answer = desk.post(pages.verb("issue", shown(account)), issue(**given))

        assert set(pages.errors_of(answer)) == {field}
        assert everything() == before


class TestTheListOfKeys:
    def test_tells_prefix_scopes_end_and_last_use(self, desk, cast, account):
        issued = machines.key(account, cast, "shipments:view", "alerts:view")
        machines.caller(issued).get("/api/v1/users/me", REMOTE_ADDR="203.0.113.9")

        told = pages.words(desk.get(pages.list_of(ApiKey)).content.decode())

        assert issued.record.prefix in told
        assert "alerts:view shipments:view" in told
        assert "Good until" in told
        assert "203.0.113.9" in told

    def test_can_be_narrowed_to_the_accounts_that_have_keys_and_names_nobody_else(self, desk, cast, account):
        machines.key(account, cast)
        machines.key(machines.account(cast, full_name="Scales"), cast)

        page = desk.get(pages.list_of(ApiKey))

        filters = [str(one) for spec in page.context["cl"].filter_specs for one in getattr(spec, "lookup_choices", ())]
        assert any("Agent" in one for one in filters)
        assert not any(cast.cc_clerk.full_name in one for one in filters)

    def test_warns_of_what_expires_within_fourteen_days(self, desk, cast, account):
        at = timezone.now()
        for days in (13, 15):
            machines.key(account, cast, at=at, expires_at=at + timedelta(days=days))

        page = desk.get(pages.list_of(ApiKey))
        narrowed = desk.get(pages.list_of(ApiKey), {"state": "expires_soon"})

        assert "1 key expires within 14 days." in page.content.decode()
        assert narrowed.context["cl"].result_count == 1

    def test_costs_the_same_however_long_it_is(self, desk, cast, account, django_assert_max_num_queries):
        for _ in range(5):
            machines.key(account, cast)

        with django_assert_max_num_queries(10):
            desk.get(pages.list_of(ApiKey))


class TestTheVerbsOfAKey:
    def test_rotate_shows_the_new_one_once(self, desk, cast, account):
        old = machines.key(account, cast)

        answer = desk.post(pages.verb("rotate", old.record), {"grace_hours": "0"})

        text = answer.context["result"].key
        assert [machines.caller(one).get("/api/v1/users/me").status_code for one in (old, text)] == [401, 200]

    def test_revoke_ends_it(self, desk, cast, account):
        issued = machines.key(account, cast)

        answer = desk.post(pages.verb("revoke", issued.record), follow=True)

        assert pages.told(answer) == [("success", f"{issued.record} is revoked.")]
        assert machines.caller(issued).get("/api/v1/users/me").status_code == 401
        assert not pages.buttons(desk.get(pages.of(issued.record)))

    def test_are_not_for_those_who_only_look(self, cast, account):
        key = machines.key(account, cast).record
        auditor = pages.signed_in(cast.auditor)

        assert auditor.get(pages.of(key)).status_code == 200
        assert auditor.post(pages.verb("revoke", key)).status_code == 403
        assert auditor.post(pages.verb("issue", shown(account)), issue()).status_code == 403
        assert ApiKey.objects.get().revoked_at is None


class TestDeactivating:
    def test_ends_the_keys_and_offers_to_activate_again(self, desk, cast, account):
        issued = machines.key(account, cast)

        desk.post(pages.verb("deactivate", shown(account)))

        assert machines.caller(issued).get("/api/v1/users/me").status_code == 401
        assert pages.buttons(desk.get(pages.of(shown(account)))) == {"Activate again"}
        desk.post(pages.verb("reactivate", shown(account)))
        assert machines.caller(issued).get("/api/v1/users/me").status_code == 401


class TestThePagesOfPeople:
    def test_leave_service_accounts_out(self, desk, cast, account):
        listed = desk.get(pages.list_of(User)).content.decode()

        assert account.full_name not in listed
        assert desk.get(pages.of(fresh(account))).status_code == 302
        assert desk.post(pages.verb("password", fresh(account)), {"password": "Tall-ship-sails-9"}).status_code == 404


def test_the_trail_names_a_service_account_in_the_readers_language(cast):
    account = machines.account(cast, department=Department.BUSINESS_UNIT)
    machine = machines.caller(machines.key(account, cast))
    cast.auditor.language = "ar"
    cast.auditor.save(update_fields=["language"])
    machine.post("/api/v1/service-accounts", NEW)

    told = pages.words(pages.signed_in(cast.auditor).get(reverse("admin:audit_auditentry_changelist")).content.decode())

    assert "حساب خدمة" in told

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts
from accounts.choices import Department, Role
from accounts.models import ApiKey, KeptAnswer, User
from accounts.tests import machines
from accounts.tests.machines import fresh
from audit.choices import Action
from audit.tests import trails
from audit.tests.trails import ADDRESS, FROM_THERE
from clearance.clock import day_of
from clearance.tests import recipes
from clearance.tests.callers import error_of, fields_of, signed_in
from clearance.tests.traces import everything

pytestmark = pytest.mark.django_db

ACCOUNTS, ME, SHIPMENTS = "/api/v1/service-accounts", "/api/v1/users/me", "/api/v1/shipments"
NEW = {"full_name": "Agent’s system", "department": "C&C", "role": "PPR", "divisions": ["TBL"]}


def new_key(**changed):
    ends = timezone.now() + timedelta(days=30)
    return {"name": "Production", "scopes": ["shipments:view"], "expires_at": ends.isoformat(), **changed}


@pytest.fixture
def admin(administrator) -> APIClient:
    return signed_in(administrator)


@pytest.fixture
def account(cast) -> User:
    return machines.account(cast)


class TestServiceAccounts:
    def test_are_added_read_and_changed(self, admin, cast):
        made = admin.post(ACCOUNTS, NEW)
        pk = made.json()["id"]

        assert made.status_code == 201
        assert {name: made.json()[name] for name in NEW} == NEW
        assert made.json()["is_active"] is True
        assert admin.get(f"{ACCOUNTS}/{pk}").json() == made.json()
        changed = admin.patch(f"{ACCOUNTS}/{pk}", {"role": "ReadOnly", "divisions": []})
        assert (changed.json()["role"], changed.json()["divisions"]) == ("ReadOnly", [])
        assert "email" not in changed.json()

    def test_are_listed_without_people_and_filtered(self, admin, cast, account):
        machines.account(cast, full_name="BI", role=Role.READ_ONLY)
        accounts.deactivate_service_account(account_id=account.pk, by=fresh(cast.administrator), at=timezone.now())

        def names(query: str = "") -> list[str]:
            return [row["full_name"] for row in admin.get(f"{ACCOUNTS}{query}").json()["results"]]

        assert names() == ["Agent’s system", "BI"]
        assert names("?is_active=true") == ["BI"]
        assert names("?search=agent") == ["Agent’s system"]
        assert fields_of(admin.get(f"{ACCOUNTS}?who=x")) == {"who"}

    def test_cost_the_same_however_many_they_are(self, admin, cast, django_assert_num_queries):
        for number in range(5):
            machines.account(cast, full_name=f"Machine {number}", divisions=[cast.tyres])

        with django_assert_num_queries(3):  # who asks, the accounts, their divisions
            assert len(admin.get(ACCOUNTS).json()["results"]) == 5

    def test_are_deactivated_and_their_keys_end(self, admin, cast, account):
        machine = machines.caller(machines.key(account, cast))
        assert machine.get(ME).status_code == 200

        assert [admin.delete(f"{ACCOUNTS}/{account.pk}").status_code for _ in range(2)] == [204, 204]

        assert error_of(machine.get(ME), 401)["code"] == "TOKEN_NOT_VALID"
        assert not fresh(account).is_active

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"role": "Admin"}, "role"),
            ({"role": "Manager"}, "role"),
            ({"divisions": ["TBL", "NOPE"]}, "divisions"),
            ({"department": "Kitchen"}, "department"),
            ({"full_name": ""}, "full_name"),
            ({"is_staff": True}, "is_staff"),
            ({"password": "Tall-ship-9"}, "password"),
        ],
    )
    def test_refuse_what_they_can_not_be(self, admin, cast, given, field):
        before = everything()

        assert fields_of(admin.post(ACCOUNTS, NEW | given)) == {field}
        assert everything() == before

    def test_are_no_people_and_people_are_no_service_accounts(self, admin, cc_clerk):
        assert error_of(admin.get(f"{ACCOUNTS}/{cc_clerk.pk}"), 404)["code"] == "NOT_FOUND"
        assert error_of(admin.patch(f"{ACCOUNTS}/{cc_clerk.pk}", {"role": "PPR"}), 404)["code"] == "NOT_FOUND"
        assert error_of(admin.get(f"{ACCOUNTS}/{cc_clerk.pk}/keys"), 404)["code"] == "NOT_FOUND"

    def test_are_not_listed_among_people_nor_changed_there(self, admin, cast, account):
        granting = {"permission": "metrics:view", "is_granted": True, "reason": "More"}

        listed = admin.get("/api/v1/users", {"page_size": 100}).data["results"]
        assert account.pk not in {one["id"] for one in listed}
        assert error_of(admin.get(f"/api/v1/users/{account.pk}"), 404)["code"] == "NOT_FOUND"
        assert error_of(admin.get(f"/api/v1/users/{account.pk}/overrides"), 404)["code"] == "NOT_FOUND"
        assert error_of(admin.post(f"/api/v1/users/{account.pk}/overrides", granting), 400)["code"] == "NOT_A_PERSON"

    def test_are_for_administrators_only(self, cast, account):
        key = machines.key(account, cast).record
        before = everything()

        for person in (cast.cc_head, cast.auditor, cast.manager):
            for method, address, body in (
                ("get", ACCOUNTS, None),
                ("post", ACCOUNTS, NEW),
                ("patch", f"{ACCOUNTS}/{account.pk}", {"role": "ReadOnly"}),
                ("delete", f"{ACCOUNTS}/{account.pk}", None),
                ("get", f"{ACCOUNTS}/{account.pk}/keys", None),
                ("post", f"{ACCOUNTS}/{account.pk}/keys", new_key()),
                ("post", f"{ACCOUNTS}/{account.pk}/keys/{key.pk}/rotate", {"grace_hours": 1}),
                ("delete", f"{ACCOUNTS}/{account.pk}/keys/{key.pk}", None),
            ):
                client = signed_in(person)
                with trails.written() as entries:
                    assert error_of(getattr(client, method)(address, body), 403)["code"] == "PERMISSION_DENIED"
                assert [entry.action for entry in entries] == [Action.DENIED]
        after = everything()
        assert {**after, "accounts.SignIn": []} == {**before, "accounts.SignIn": []}


class TestKeys:
    def test_are_issued_with_a_text_that_is_told_once(self, admin, cast, account):
        made = admin.post(f"{ACCOUNTS}/{account.pk}/keys", new_key(allowed_networks=["127.0.0.1"]))
        listed = admin.get(f"{ACCOUNTS}/{account.pk}/keys").json()

        assert made.status_code == 201
        text = made.json()["key"]
        assert machines.caller(text).get(SHIPMENTS).status_code == 200
        (told,) = listed
        assert told == {name: value for name, value in made.json().items() if name != "key"}
        assert (told["state"], told["scopes"], told["created_by"]) == ("good", ["shipments:view"], "Adil Administrator")
        assert text.rpartition("_")[2] not in str(listed)

    def test_sent_again_are_issued_once_and_their_text_is_kept_nowhere(self, admin, cast, account):
        sent = [
            admin.post(
                f"{ACCOUNTS}/{account.pk}/keys", new_key(expires_at="2027-01-01T00:00Z"), HTTP_IDEMPOTENCY_KEY="k"
            )
            for _ in range(2)
        ]

        first, again = (answer.json() for answer in sent)
        assert [answer.status_code for answer in sent] == [201, 201]
        assert again == first | {"key": None}
        assert ApiKey.objects.count() == 1
        secret = first["key"].rpartition("_")[2]
        assert secret not in bytes(KeptAnswer.objects.get().body).decode()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM audit_auditentry WHERE changes::text LIKE %s", [f"%{secret}%"])
            assert cursor.fetchone() == (0,)

    def test_are_rotated_with_a_grace(self, admin, cast, account):
        old = machines.key(account, cast)

        made = admin.post(f"{ACCOUNTS}/{account.pk}/keys/{old.record.pk}/rotate", {"grace_hours": 1})

        assert made.status_code == 201
        assert [machines.caller(one).get(ME).status_code for one in (old, made.json()["key"])] == [200, 200]
        states = [key["state"] for key in admin.get(f"{ACCOUNTS}/{account.pk}/keys").json()]
        assert states == ["good", "replaced"]

    def test_are_revoked_from_the_next_request_on(self, admin, cast, account):
        issued = machines.key(account, cast)
        machine = machines.caller(issued)
        assert machine.get(ME).status_code == 200

        assert admin.delete(f"{ACCOUNTS}/{account.pk}/keys/{issued.record.pk}").status_code == 204

        assert error_of(machine.get(ME), 401)["code"] == "TOKEN_NOT_VALID"

    @pytest.mark.parametrize(
        ("given", "code", "field"),
        [
            ({"scopes": []}, "VALIDATION_ERROR", "scopes"),
            ({"scopes": ["shipments:add"]}, "SCOPES_BEYOND_ROLE", "scopes"),
            ({"expires_at": "2020-01-01T00:00Z"}, "EXPIRY_NOT_VALID", "expires_at"),
            ({"allowed_networks": ["here"]}, "NETWORK_NOT_VALID", "allowed_networks"),
            ({"allowed_networks": ["127.0.0.1"] * 21}, "VALIDATION_ERROR", "allowed_networks"),
            ({"name": "x" * 81}, "VALIDATION_ERROR", "name"),
            ({"key": "clr_mine"}, "VALIDATION_ERROR", "key"),
        ],
    )
    def test_are_refused_with_a_code_and_the_field(self, admin, cast, account, given, code, field):
        before = everything()

        answer = admin.post(f"{ACCOUNTS}/{account.pk}/keys", new_key(**given))

        error = error_of(answer, 400)
        assert error["code"] == code
        assert {entry["field"].partition("[")[0] for entry in error["details"]} == {field}
        assert everything() == before

    def test_that_are_too_many_or_of_nobody_active_conflict(self, admin, cast, account):
        address = f"{ACCOUNTS}/{account.pk}/keys"
        codes = [admin.post(address, new_key()).status_code for _ in range(5)]

        assert codes == [201] * 5
        assert error_of(admin.post(address, new_key()), 409)["code"] == "TOO_MANY_API_KEYS"
        first = ApiKey.objects.earliest("pk").pk
        assert error_of(admin.post(f"{address}/{first}/rotate", {"grace_hours": 200}), 400)["code"] == "GRACE_TOO_LONG"
        admin.delete(f"{ACCOUNTS}/{account.pk}")
        assert error_of(admin.post(f"{address}/{first}/rotate", {"grace_hours": 0}), 409)["code"] == "API_KEY_NOT_GOOD"
        assert error_of(admin.post(address, new_key()), 409)["code"] == "SERVICE_ACCOUNT_INACTIVE"


class TestAMachine:
    def test_learns_who_it_is_and_what_its_key_may_do(self, cast, account):
        machine = machines.caller(machines.key(account, cast, "shipments:view", "alerts:view"))

        told = machine.get(ME).json()

        assert told["full_name"] == "Agent’s system"
        assert told["permissions"] == ["alerts:view", "shipments:view"]

    def test_acts_in_the_trail_by_its_name(self, cast):
        account = machines.account(cast, department=Department.BUSINESS_UNIT)
        machine = machines.caller(machines.key(account, cast))
        eta = day_of(timezone.now()) + timedelta(days=9)

        with trails.written() as entries:
            answer = machine.post(SHIPMENTS, recipes.values(eta=eta), **FROM_THERE)

        assert answer.status_code == 201
        told = {(entry.user_id, entry.user_name, entry.user_role, entry.ip_address) for entry in entries}
        assert told == {(account.pk, "Agent’s system", "Service account", ADDRESS)}

    def test_repeats_a_request_with_an_idempotency_key(self, cast):
        account = machines.account(cast, department=Department.BUSINESS_UNIT)
        machine = machines.caller(machines.key(account, cast))
        body = recipes.values(eta=day_of(timezone.now()) + timedelta(days=9))

        sent = [machine.post(SHIPMENTS, body, HTTP_IDEMPOTENCY_KEY="once") for _ in range(2)]

        assert sent[0].json() == sent[1].json()

    def test_costs_as_many_queries_as_a_person(self, cast, account, cc_clerk):
        machine = machines.caller(machines.key(account, cast))
        machine.get(SHIPMENTS)  # notes the use; for the next minute nothing does

        def cost(client: APIClient, address: str) -> int:
            with CaptureQueriesContext(
                connection,
            ) as queries:
                assert client.get(address).status_code == 200
            return len(queries)

        for address in (ME, SHIPMENTS, "/api/v1/workflow-steps", "/api/v1/alerts"):
            assert cost(machine, address) == cost(signed_in(cc_clerk), address)

    def test_sees_its_divisions_only(self, cast):
        account = machines.account(cast, divisions=[cast.tyres])
        own = recipes.registered(by=cast.bu_clerk, division=cast.tyres)
        recipes.registered(by=cast.bu_clerk, division=cast.vehicles)

        found = machines.caller(machines.key(account, cast)).get(SHIPMENTS).json()["results"]

        assert [row["id"] for row in found] == [own.pk]


READ = {
    "shipments:view": SHIPMENTS,
    "workflow_steps:view": "/api/v1/workflow-steps",
    "alerts:view": "/api/v1/alerts",
    "metrics:view": "/api/v1/metrics/on-time-rate",
}
CHANGE = (
    "shipments:add", "shipments:change", "shipments:delete", "shipments:change_eta", "shipments:import",
    "workflow_steps:complete",
)  # fmt: skip


class TestScopes:
    """What a key of the Business Unit may do, one scope at a time."""

    @pytest.fixture
    def account(self, cast) -> User:
        return machines.account(cast, department=Department.BUSINESS_UNIT)

    @pytest.mark.parametrize("scope", READ)
    def test_let_read_what_they_name(self, cast, account, scope):
        machine = machines.caller(machines.key(account, cast, scope))

        assert {name: machine.get(address).status_code for name, address in READ.items()} == {
            name: 200 if name == scope else 403 for name in READ
        }

    @pytest.mark.parametrize("scope", CHANGE)
    def test_let_change_what_they_name(self, cast, account, scope):
        shipment = recipes.registered(by=cast.bu_clerk, at=timezone.now(), eta=day_of(timezone.now()))
        step = recipes.step(shipment, recipes.INVOICE_RECEIVED)
        step.ppr_user = account
        step.save(update_fields=["ppr_user"])  # as it can't be: so that only the scope is left to refuse
        eta = str(shipment.eta + timedelta(days=3))
        machine = machines.caller(machines.key(account, cast, scope, *READ))
        doors = {
            "shipments:add": lambda: machine.post(SHIPMENTS, recipes.values(eta=eta)),
            "shipments:change": lambda: machine.patch(f"{SHIPMENTS}/{shipment.pk}", {"vessel": "Sea Star"}),
            "shipments:delete": lambda: machine.delete(f"{SHIPMENTS}/{shipment.pk}", {}),
            "shipments:change_eta": lambda: machine.patch(f"{SHIPMENTS}/{shipment.pk}/eta", {"eta": eta}),
            "shipments:import": lambda: machine.post(f"{SHIPMENTS}/import", {"rows": [recipes.values(eta=eta)]}),
            "workflow_steps:complete": lambda: machine.patch(f"/api/v1/workflow-steps/{step.pk}/complete", {}),
        }
        own = doors.pop(scope)
        before = without_use(everything())

        refusals = {name: door().status_code for name, door in doors.items()}

        assert refusals == dict.fromkeys(doors, 403)
        assert without_use(everything()) == before
        assert own().status_code in (200, 201, 204)

    def test_do_not_outlive_the_role(self, cast, account):
        machine = machines.caller(machines.key(account, cast, "shipments:add", "shipments:view"))
        body = recipes.values(eta=day_of(timezone.now()) + timedelta(days=9))
        changes = {"role": Role.READ_ONLY}

        accounts.amend_service_account(
            account_id=account.pk, changes=changes, by=fresh(cast.administrator), at=timezone.now()
        )

        assert machine.get(SHIPMENTS).status_code == 200
        assert error_of(machine.post(SHIPMENTS, body), 403)["code"] == "PERMISSION_DENIED"


def without_use(rows):
    """Without what is noted of a key's use."""
    noted = {"last_used_at", "last_used_from"}
    keys = [{name: value for name, value in row.items() if name not in noted} for row in rows["accounts.ApiKey"]]
    return rows | {"accounts.ApiKey": keys}


class TestARefusedKey:
    def test_answers_401_and_never_says_why(self, cast, account):
        at = timezone.now()
        revoked, expired, abroad = (
            machines.key(account, cast),
            machines.key(account, cast, at=at - timedelta(days=31)),
            machines.key(account, cast, allowed_networks=["198.51.100.0/24"]),
        )
        which = {"account_id": account.pk, "key_id": revoked.record.pk}
        accounts.revoke_key(**which, by=fresh(cast.administrator), at=at)
        texts = [one.key for one in (revoked, expired, abroad)]
        texts += ["", "clr_", "clr_zzzzzzzz_" + "a" * 43, texts[0][:-1] + "é", "eyJhbGciOi.x.y"]
        before = without_use(everything())

        errors = [error_of(machines.caller(text).get(SHIPMENTS), 401) for text in texts]

        assert {(error["code"], error["message"]) for error in errors} == {("TOKEN_NOT_VALID", errors[0]["message"])}
        after = everything()
        refused = [row.pop("last_refused_at") for row in after["accounts.ApiKey"]]
        assert len(refused) == 3
        assert all(refused)
        for row in before["accounts.ApiKey"]:
            del row["last_refused_at"]
        assert without_use(after) == before

    def test_leaves_an_entry_of_the_account_once_a_minute(self, cast, account):
        machine = machines.caller(machines.key(account, cast, allowed_networks=["198.51.100.0/24"]))

        with trails.written() as entries:
            for _ in range(3):
                machine.get(SHIPMENTS, **FROM_THERE)
            machines.caller("clr_zzzzzzzz_" + "a" * 43).get(SHIPMENTS)

        (entry,) = entries
        assert (entry.action, entry.entity_type, entry.entity_id) == (Action.DENIED, "accounts.user", str(account.pk))
        assert (entry.changes["code"], entry.changes["attempted"]) == ("TOKEN_NOT_VALID", f"GET {SHIPMENTS}")
        assert entry.ip_address == ADDRESS

    def test_is_not_made_good_by_a_session(self, cast, administrator):
        client = machines.caller("clr_zzzzzzzz_" + "a" * 43)
        client.force_login(administrator)

        assert client.get(ME).status_code == 401

    def test_as_a_bearer_is_no_token(self, cast, account):
        issued = machines.key(account, cast)

        answer = APIClient(headers={"Authorization": f"Bearer {issued.key}"}).get(ME)

        assert error_of(answer, 401)["code"] == "TOKEN_NOT_VALID"


class TestAllowedNetworks:
    def test_are_those_that_our_own_proxies_tell_of(self, cast, account, settings):
        settings.TRUSTED_PROXY_COUNT = 1
        machine = machines.caller(machines.key(account, cast, allowed_networks=["203.0.113.0/24", "2001:db8::/32"]))

        def status(forwarded: str) -> int:
            return machine.get(ME, HTTP_X_FORWARDED_FOR=forwarded, REMOTE_ADDR="127.0.0.1").status_code

        assert status("203.0.113.9") == 200
        assert status("2001:db8::9") == 200
        assert status("::ffff:203.0.113.9") == 200
        assert status("198.51.100.9") == 401
        assert status("203.0.113.9, 198.51.100.9") == 401  # the first was written by the caller

    def test_do_not_believe_a_caller_without_proxies(self, cast, account, settings):
        settings.TRUSTED_PROXY_COUNT = 0
        machine = machines.caller(machines.key(account, cast, allowed_networks=["203.0.113.0/24"]))

        assert machine.get(ME, HTTP_X_FORWARDED_FOR="203.0.113.9", REMOTE_ADDR="127.0.0.1").status_code == 401
        assert machine.get(ME, REMOTE_ADDR="203.0.113.9").status_code == 200


class TestWhatIsForPeople:
    @pytest.mark.parametrize(
        ("method", "place"),
        [
            ("get", "sessions"), ("post", "logout-all"), ("post", "password/change"), ("post", "2fa/setup"),
            ("post", "2fa/enable"), ("post", "2fa/disable"), ("post", "2fa/regenerate-backup-codes"),
            ("post", "email/send-verification"), ("post", "email/verify"),
        ],
    )  # fmt: skip
    def test_refuses_a_machine_clearly(self, cast, account, method, place):
        machine = machines.caller(machines.key(account, cast))
        before = everything()

        with trails.written() as entries:
            answer = getattr(machine, method)(f"/api/v1/auth/{place}")

        assert error_of(answer, 403)["code"] == "PEOPLE_ONLY"
        assert [(entry.action, entry.user_name) for entry in entries] == [(Action.DENIED, "Agent’s system")]
        assert without_use(everything()) == without_use(before)

    def test_still_asks_a_stranger_to_sign_in(self):
        assert error_of(APIClient().get("/api/v1/auth/sessions"), 401)["code"] == "NOT_AUTHENTICATED"

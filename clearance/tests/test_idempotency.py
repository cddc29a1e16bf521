from __future__ import annotations

import hashlib
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts import services as accounts
from accounts import tasks
from accounts.errors import IdempotencyInFlight
from accounts.models import KeptAnswer
from audit.models import AuditEntry
from clearance.clock import day_of
from clearance.tests import pages, races, recipes, workers
from clearance.tests.callers import error_of, fields_of, signed_in
from clearance.tests.test_api_document import operations
from clearance.tests.traces import everything
from clearance.tests.webs import web
from shipments.models import Shipment
from shipments.tests.test_api_import import row, workbook

SHIPMENTS = "/api/v1/shipments"
IMPORT = f"{SHIPMENTS}/import"
KEY = "order-2026-0001"


@pytest.fixture
def clerk(bu_clerk):
    return signed_in(bu_clerk)


@pytest.fixture
def soon() -> str:
    return str(day_of(timezone.now()) + timedelta(days=10))


@pytest.fixture
def later() -> str:
    return str(day_of(timezone.now()) + timedelta(days=11))


def sent(answer) -> tuple:
    """What of an answer has to be equal."""
    told = {name: value for name, value in answer.items() if name != "X-Request-ID"}
    return answer.status_code, answer.content, told


class TestARequestSentAgain:
    def test_registers_one_shipment_and_is_answered_the_same(self, clerk, soon):
        values = recipes.values(eta=soon)

        first, again = (clerk.post(SHIPMENTS, values, HTTP_IDEMPOTENCY_KEY=KEY) for _ in range(2))

        assert first.status_code == 201
        assert sent(again) == sent(first)
        assert first["ETag"]
        assert Shipment.objects.count() == 1

    def test_uses_no_edit_of_the_eta(self, clerk, shipment, soon):
        url = f"{SHIPMENTS}/{shipment.pk}/eta"

        answers = [clerk.patch(url, {"eta": soon}, HTTP_IDEMPOTENCY_KEY=KEY) for _ in range(5)]

        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert Shipment.objects.get(pk=shipment.pk).eta_edit_count == 1

    def test_gets_the_first_answer_though_the_shipment_has_changed_since(self, clerk, shipment, soon, later):
        url = f"{SHIPMENTS}/{shipment.pk}/eta"
        first = clerk.patch(url, {"eta": soon, "version": 1}, HTTP_IDEMPOTENCY_KEY=KEY)
        clerk.patch(url, {"eta": later})
        before = everything()

        again = clerk.patch(url, {"eta": soon, "version": 1}, HTTP_IDEMPOTENCY_KEY=KEY)

        assert sent(again) == sent(first)
        assert everything() == before

    def test_leaves_no_second_entry_in_the_trail(self, clerk, soon):
        values = recipes.values(eta=soon)
        clerk.post(SHIPMENTS, values, HTTP_IDEMPOTENCY_KEY=KEY)
        entries = AuditEntry.objects.count()

        clerk.post(SHIPMENTS, values, HTTP_IDEMPOTENCY_KEY=KEY)

        assert AuditEntry.objects.count() == entries

    def test_imports_its_rows_once(self, clerk):
        body = {"rows": [row("A-1"), row("A-2", eta="31/02/2026")]}

        first, again = (clerk.post(IMPORT, body, HTTP_IDEMPOTENCY_KEY=KEY) for _ in range(2))

        assert first.json()["created"] == again.json()["created"] == 1
        assert sent(again) == sent(first)

    @pytest.mark.parametrize("client_of", [signed_in, pages.signed_in], ids=["program", "browser"])
    def test_imports_its_workbook_once_whatever_parts_its_parts(self, bu_clerk, client_of):
        client, file = client_of(bu_clerk), workbook(["A-1", "P", "B", 7.5, "20/03/2026", None])
        content = file.read()

        answers = []
        for boundary in ("one", "other"):
            head = b'Content-Disposition: form-data; name="file"; filename="t.xlsx"\r\n\r\n'
            body = f"--{boundary}\r\n".encode() + head + content + f"\r\n--{boundary}--\r\n".encode()
            kind = f"multipart/form-data; boundary={boundary}"
            answers.append(client.generic("POST", IMPORT, body, content_type=kind, HTTP_IDEMPOTENCY_KEY=KEY))

        assert answers[0].json()["created"] == 1, answers[0].content
        assert sent(answers[1]) == sent(answers[0])

    @pytest.mark.parametrize("verb", ["cancel", "restore"])
    def test_cancels_and_restores_once(self, bu_head, shipment, verb):
        head = signed_in(bu_head)
        if verb == "restore":
            head.post(f"{SHIPMENTS}/{shipment.pk}/cancel", {"reason": "Order withdrawn"})
        body = {"reason": "Order withdrawn"} if verb == "cancel" else {}

        first, again = (
            head.post(f"{SHIPMENTS}/{shipment.pk}/{verb}", body, HTTP_IDEMPOTENCY_KEY=KEY) for _ in range(2)
        )

        assert first.status_code == 200, first.content
        assert sent(again) == sent(first)

    def test_without_a_key_is_another_request(self, clerk, shipment, soon, later):
        for eta in (soon, later, soon):
            clerk.patch(f"{SHIPMENTS}/{shipment.pk}/eta", {"eta": eta})

        assert Shipment.objects.get(pk=shipment.pk).eta_edit_count == 3
        assert KeptAnswer.objects.count() == 0

    def test_costs_no_more_than_finding_its_answer(self, clerk, soon, django_assert_max_num_queries):
        values = recipes.values(eta=soon)
        clerk.post(SHIPMENTS, values, HTTP_IDEMPOTENCY_KEY=KEY)

        # The sign-in and the permissions; savepoint, who acts, three for the turn, the answer, end of the savepoint.
        with django_assert_max_num_queries(9):
            clerk.post(SHIPMENTS, values, HTTP_IDEMPOTENCY_KEY=KEY)


class TestAKey:
    def test_with_another_body_is_refused_and_changes_nothing(self, clerk, shipment, soon, later):
        url = f"{SHIPMENTS}/{shipment.pk}/eta"
        clerk.patch(url, {"eta": soon}, HTTP_IDEMPOTENCY_KEY=KEY)
        before = everything()

        answer = clerk.patch(url, {"eta": later}, HTTP_IDEMPOTENCY_KEY=KEY)

        assert error_of(answer, 422)["code"] == "IDEMPOTENCY_KEY_REUSED"
        assert fields_of(answer, 422) == {"Idempotency-Key"}
        assert everything() == before

    def test_with_another_workbook_is_refused(self, clerk):
        for number, status in (("A-1", 200), ("A-2", 422)):
            file = workbook([number, "P", "B", 7.5, "20/03/2026", None])
            answer = clerk.post(IMPORT, {"file": file}, format="multipart", HTTP_IDEMPOTENCY_KEY=KEY)

            assert answer.status_code == status

        assert Shipment.objects.get().shipment_number == "A-1"

    def test_of_somebody_else_is_another_key(self, cast, soon):
        answers = [
            signed_in(who).post(SHIPMENTS, recipes.values(eta=soon, shipment_number=number), HTTP_IDEMPOTENCY_KEY=KEY)
            for who, number in ((cast.bu_clerk, "A-1"), (cast.bu_head, "A-2"))
        ]

        assert [answer.status_code for answer in answers] == [201, 201]

    def test_at_another_address_is_another_key(self, clerk, bu_clerk, soon):
        for shipment in (recipes.registered(by=bu_clerk), recipes.registered(by=bu_clerk)):
            clerk.patch(f"{SHIPMENTS}/{shipment.pk}/eta", {"eta": soon}, HTTP_IDEMPOTENCY_KEY=KEY)

        assert set(Shipment.objects.values_list("eta_edit_count", flat=True)) == {1}

    def test_may_be_followed_by_a_slash_in_the_address(self, clerk, soon):
        values = recipes.values(eta=soon)

        first, again = (clerk.post(f"{SHIPMENTS}{end}", values, HTTP_IDEMPOTENCY_KEY=KEY) for end in ("", "/"))

        assert again.content == first.content

    @pytest.mark.parametrize("key", ["", "x" * 256, "naïve", "tab\there", "\x7f", "\0"])
    def test_that_is_none_is_refused(self, clerk, soon, key):
        answer = clerk.post(SHIPMENTS, recipes.values(eta=soon), HTTP_IDEMPOTENCY_KEY=key)

        assert error_of(answer, 400)["code"] == "IDEMPOTENCY_KEY_NOT_VALID"
        assert Shipment.objects.count() == 0

    @pytest.mark.parametrize(
        "key", ["x", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "with blanks / and more"]
    )
    def test_may_be_anything_printable(self, clerk, soon, key):
        assert clerk.post(SHIPMENTS, recipes.values(eta=soon), HTTP_IDEMPOTENCY_KEY=key).status_code == 201
        assert KeptAnswer.objects.get().key == key

    def test_is_asked_for_no_secret(self, bu_clerk, client):
        # An answer that holds tokens must not be kept.
        client.post("/api/v1/auth/login", {"email": bu_clerk.email, "password": "x"}, HTTP_IDEMPOTENCY_KEY=KEY)

        assert KeptAnswer.objects.count() == 0


class TestARefusal:
    def test_uses_no_key_up(self, clerk, shipment, soon):
        url = f"{SHIPMENTS}/{shipment.pk}/eta"

        refused = clerk.patch(url, {"eta": "2020-01-01"}, HTTP_IDEMPOTENCY_KEY=KEY)
        corrected = clerk.patch(url, {"eta": soon}, HTTP_IDEMPOTENCY_KEY=KEY)

        assert (refused.status_code, corrected.status_code) == (400, 200)

    def test_leaves_its_entry_all_the_same(self, finance_clerk, shipment, soon):
        url = f"{SHIPMENTS}/{shipment.pk}/eta"

        answer = signed_in(finance_clerk).patch(url, {"eta": soon}, HTTP_IDEMPOTENCY_KEY=KEY)

        assert error_of(answer, 403)["code"] == "ETA_FORBIDDEN"
        assert AuditEntry.objects.filter(user_id=finance_clerk.pk, action="denied").count() == 1
        assert KeptAnswer.objects.count() == 0

    def test_keeps_no_hash_that_a_password_could_be_guessed_by(self, administrator):
        client = signed_in(administrator)
        body = b'{"email":"a@example.com","full_name":"A New","role":"Admin","password":"Tall-ship-99"}'

        answer = client.generic("POST", "/api/v1/users", body, "application/json", HTTP_IDEMPOTENCY_KEY=KEY)

        assert answer.status_code == 201
        assert KeptAnswer.objects.get().fingerprint != hashlib.sha256(body).hexdigest()

    def test_of_a_body_that_cannot_be_read_is_a_refusal_like_any_other(self, clerk):
        for body, kind in (
            (b"{", "application/json"),
            (b"[" * 500, "application/json"),
            (b"--", "multipart/form-data"),
        ):
            answer = clerk.generic("POST", IMPORT, body, content_type=kind, HTTP_IDEMPOTENCY_KEY=KEY)

            assert error_of(answer, 400)["code"] == "VALIDATION_ERROR"

    def test_by_a_failure_of_ours_leaves_neither_change_nor_key(self, clerk, soon, monkeypatch):
        clerk.raise_request_exception = False
        values = recipes.values(eta=soon)
        with monkeypatch.context() as broken:
            broken.setattr("shipments.views.ShipmentViewSet.answer", lambda *_: 1 / 0)
            failed = clerk.post(SHIPMENTS, values, HTTP_IDEMPOTENCY_KEY=KEY)

        assert error_of(failed, 500)["code"] == "INTERNAL_ERROR"
        assert Shipment.objects.count() == KeptAnswer.objects.count() == 0
        assert clerk.post(SHIPMENTS, values, HTTP_IDEMPOTENCY_KEY=KEY).status_code == 201


class TestAKeptAnswer:
    def test_is_forgotten_after_24_hours(self, bu_clerk, noon):
        for hours in (0, 24, 25):
            accounts.answer_once(
                by=bu_clerk,
                key=f"{hours} hours old",
                endpoint="POST /x",
                fingerprint="",
                at=noon - timedelta(hours=hours),
                carry_out=lambda: accounts.Answer(200, {}, b""),
            )

        assert accounts.forget_kept_answers(at=noon) == 1
        assert set(KeptAnswer.objects.values_list("key", flat=True)) == {"0 hours old", "24 hours old"}

    def test_is_forgotten_by_the_task_in_one_statement(self, bu_clerk, django_assert_num_queries):
        long_ago = timezone.now() - timedelta(days=2)
        fields = {"user": bu_clerk, "endpoint": "POST /x", "status": 200, "headers": {}, "body": b""}
        KeptAnswer.objects.bulk_create([KeptAnswer(key=str(n), created_at=long_ago, **fields) for n in range(50)])

        with django_assert_num_queries(1):
            assert tasks.forget_kept_answers() == 50


class TestTheDocument:
    def test_offers_a_key_wherever_something_is_posted_that_is_no_secret(self):
        offered, posted = set(), set()
        for method, path, operation in operations():
            if method == "post" and "/auth/" not in path:
                posted.add((method, path))
            if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ())):
                offered.add((method, path))

        assert offered == posted | {("patch", f"{SHIPMENTS}/{{id}}/eta")}


@pytest.mark.django_db(transaction=True)
class TestTheSameRequestTwentyTimesAtOnce:
    def test_registers_one_shipment_and_is_answered_twenty_times_the_same(self, bu_clerk, soon):
        values = recipes.values(eta=soon)
        clients = [signed_in(bu_clerk) for _ in range(20)]

        answers = races.free_for_all(
            *[partial(client.post, SHIPMENTS, values, HTTP_IDEMPOTENCY_KEY=KEY) for client in clients]
        )

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert Shipment.objects.count() == 1

    def test_uses_one_edit_of_the_eta(self, bu_clerk, soon):
        shipment = recipes.registered(by=bu_clerk)
        clients = [signed_in(bu_clerk) for _ in range(20)]

        answers = races.free_for_all(
            *[
                partial(client.patch, f"{SHIPMENTS}/{shipment.pk}/eta", {"eta": soon}, HTTP_IDEMPOTENCY_KEY=KEY)
                for client in clients
            ]
        )

        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert Shipment.objects.get().eta_edit_count == 1


@pytest.mark.django_db(transaction=True)
class TestTwoWebProcesses:
    def test_register_one_shipment_of_twenty_requests_at_once(self, bu_clerk, soon):
        token = signed_in(bu_clerk)._credentials["HTTP_AUTHORIZATION"]
        body = json.dumps(recipes.values(eta=soon), default=str)
        given = {"Authorization": token, "Content-Type": "application/json", "Idempotency-Key": KEY}

        def send(port: int) -> tuple[int, bytes]:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("POST", SHIPMENTS, body, given)
                answer = connection.getresponse()
                return answer.status, answer.read()

        with workers.redis() as redis, web(redis.url) as one, web(redis.url) as other, ThreadPoolExecutor(20) as burst:
            answers = list(burst.map(send, [one, other] * 10))

        assert {status for status, _ in answers} == {201}
        assert len({content for _, content in answers}) == 1
        assert Shipment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestARequestThatComesWhileTheFirstIsUnderWay:
    def test_is_refused_when_that_takes_too_long(self, bu_clerk, shipment, soon, monkeypatch):
        monkeypatch.setattr("accounts.services.repeats.WAITS_FOR_THE_FIRST", timedelta(milliseconds=50))
        clerk, url = signed_in(bu_clerk), f"{SHIPMENTS}/{shipment.pk}/eta"
        again = partial(clerk.patch, url, {"eta": soon}, HTTP_IDEMPOTENCY_KEY=KEY)

        with transaction.atomic():
            first = clerk.patch(url, {"eta": soon}, HTTP_IDEMPOTENCY_KEY=KEY)
            (meanwhile,) = races.free_for_all(again)

        assert first.status_code == 200
        assert error_of(meanwhile, 409)["code"] == IdempotencyInFlight.code
        assert again().content == first.content

    def test_takes_over_when_the_first_fails(self, bu_clerk, shipment, soon):
        clerk, url = signed_in(bu_clerk), f"{SHIPMENTS}/{shipment.pk}/eta"
        send = partial(clerk.patch, url, {"eta": soon}, HTTP_IDEMPOTENCY_KEY=KEY)

        (answer,) = races.at_once(send, held=send)

        assert answer.status_code == 200
        assert Shipment.objects.get(pk=shipment.pk).eta_edit_count == 1

    def test_leaves_the_time_that_other_locks_may_take_as_it_was(self, bu_clerk, shipment, noon):
        def usual() -> str:
            with connection.cursor() as cursor:
                cursor.execute("SHOW lock_timeout")
                return cursor.fetchone()[0]

        inside = []
        accounts.answer_once(
            by=bu_clerk,
            key=KEY,
            endpoint="POST /x",
            fingerprint="",
            at=noon,
            carry_out=lambda: inside.append(usual()) or accounts.Answer(200, {}, b""),
        )

        assert inside == [usual()]

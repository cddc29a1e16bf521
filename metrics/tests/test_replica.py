from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext

from clearance.tests import pages
from clearance.tests.recipes import TODAY
from clearance.tests.test_settings import PRODUCTION, run
from metrics import selectors as metrics
from metrics.selectors import reading
from metrics.tests import histories
from metrics.tests.histories import Past

REPLICA = "postgresql://reader:secret@127.0.0.2:1/clearance?sslmode=require"
TELL = (
    "import json; from django.conf import settings; "
    "print(json.dumps({name: [one['HOST'], one['USER'], one['OPTIONS'].get('sslmode'), 'pool' in one['OPTIONS']] "
    "for name, one in settings.DATABASES.items()}))"
)


@pytest.fixture
def replica():
    """A second connection in the place of a replica."""
    replica = connection.copy()
    connections.settings["replica"], connections["replica"] = replica.settings_dict, replica
    yield replica
    replica.close()
    del connections["replica"], connections.settings["replica"]


@pytest.fixture(autouse=True)
def _nothing_failed_yet(monkeypatch):
    monkeypatch.setattr(reading._Sitting, "rests_until", 0.0)


class TestTheReplica:
    def test_is_there_when_it_is_named(self):
        told = json.loads(run("shell", "--no-imports", "-c", TELL, **PRODUCTION, DATABASE_REPLICA_URL=REPLICA).stdout)

        assert told["replica"] == ["127.0.0.2", "reader", "require", True]
        assert told["default"] == ["127.0.0.1", "clearance", None, True]

    def test_is_not_there_when_it_is_not(self):
        told = json.loads(run("shell", "--no-imports", "-c", TELL, **PRODUCTION).stdout)

        assert "replica" not in told

    @pytest.mark.django_db(transaction=True)
    def test_is_what_the_figures_are_read_from(self, manager, replica):
        histories.write([Past(eta=TODAY - timedelta(days=20))], facts=histories.procedure(), on=TODAY)
        question = metrics.ask(user=manager, on=TODAY)

        with CaptureQueriesContext(connection) as by_default, CaptureQueriesContext(replica) as read:
            figure = metrics.on_time_rate(question)

        assert figure["late"] == 1
        assert [one for one in by_default if "shipments" in one["sql"]] == []
        assert sum("shipments_shipment" in one["sql"] for one in read) == 1


@pytest.mark.django_db(transaction=True)
class TestADeadReplica:
    @pytest.fixture
    def refused(self, replica, monkeypatch):
        """How often somebody tried to reach it."""
        tries = []

        def refuse(*_):
            tries.append(1)
            raise OperationalError("connection refused")

        monkeypatch.setattr(replica, "connect", refuse)
        return tries

    @pytest.fixture
    def question(self, manager):
        histories.write([Past(eta=TODAY - timedelta(days=20))], facts=histories.procedure(), on=TODAY)
        return metrics.ask(user=manager, on=TODAY)

    def test_is_asked_once_and_the_main_database_after_it(self, question, refused, caplog):
        assert metrics.on_time_rate(question)["late"] == 1
        assert metrics.delayed_steps(question)["steps"]

        assert len(refused) == 1
        assert caplog.text.count("figures are read from the main database: connection refused") == 1

    def test_is_asked_again_after_a_rest(self, question, refused, monkeypatch):
        metrics.on_time_rate(question)
        now = time.monotonic()

        monkeypatch.setattr(time, "monotonic", lambda: now + reading.RESTS_SECONDS)
        metrics.delayed_steps(question)

        assert len(refused) == 2

    def test_that_dies_between_two_figures_fails_neither(self, question, replica):
        with metrics.together():
            assert metrics.on_time_rate(question)["late"] == 1
            backend = replica.connection.info.backend_pid
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [backend])

            assert metrics.delayed_steps(question)["steps"]

    @pytest.mark.usefixtures("refused")
    def test_leaves_the_rows_behind_a_figure_where_they_were(self, question):
        _, rows = metrics.with_rows("on-time-rate", question)

        assert len(list(rows)) == 2

    @pytest.mark.usefixtures("refused")
    def test_leaves_the_first_page_as_it_was(self, manager):
        page = pages.signed_in(manager).get("/admin/")

        assert page.status_code == 200
        assert page.context["board"]["facts"]

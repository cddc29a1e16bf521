from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.translation import override
from redis import Redis

from clearance.tests.recipes import TODAY
from metrics import selectors as metrics
from metrics.selectors import reading
from metrics.tests import histories
from metrics.tests.histories import Past, done_by

pytestmark = pytest.mark.django_db

FIGURES = [*metrics.FIGURES.values(), metrics.by_month, metrics.by_principal, metrics.costliest]


@pytest.fixture(autouse=True)
def facts(db):
    return histories.procedure()


def late(facts, **changed):
    histories.write([Past(**{"eta": TODAY - timedelta(days=20)} | changed)], facts=facts, on=TODAY)


def statements(figure, question) -> int:
    """How many statements read shipments or steps."""
    with CaptureQueriesContext(connection) as captured:
        figure(question)
    return sum("shipments_shipment" in one["sql"] for one in captured)


class TestAFigure:
    @pytest.mark.parametrize("figure", FIGURES)
    def test_takes_one_statement_and_then_none(self, manager, facts, figure):
        late(facts)
        question = metrics.ask(user=manager, on=TODAY)

        assert [statements(figure, question) for _ in range(3)] == [1, 0, 0]

    @pytest.mark.parametrize("figure", FIGURES)
    def test_is_the_same_when_it_comes_from_the_cache(self, manager, facts, figure):
        late(facts, containers=3)
        late(facts, done=done_by(6), containers=None)
        question = metrics.ask(user=manager, on=TODAY)

        assert figure(question) == figure(question)

    def test_is_kept_for_five_minutes(self, manager, settings):
        metrics.on_time_rate(metrics.ask(user=manager, on=TODAY))

        server = Redis.from_url(settings.REDIS_URL)
        (key,) = server.keys(f"{settings.CACHES['default']['KEY_PREFIX']}*")
        assert 290 < server.ttl(key) <= 300

    def test_is_new_on_a_new_day(self, manager, facts):
        late(facts, eta=TODAY - timedelta(days=7))

        judged = [
            metrics.on_time_rate(metrics.ask(user=manager, on=on, until=TODAY))["judged"]
            for on in (TODAY, TODAY + timedelta(days=1))
        ]

        assert judged == [0, 1]

    def test_is_new_at_another_rate(self, manager, facts, settings):
        late(facts)
        before = metrics.demurrage_savings(metrics.ask(user=manager, on=TODAY))

        settings.DEMURRAGE_DAILY_RATE_OMR = Decimal("1.000")
        after = metrics.costliest(metrics.ask(user=manager, on=TODAY))

        assert before["incurred_omr"] == Decimal("500.006")
        assert [row["incurred_omr"] for row in after] == [Decimal("13.000")]

    def test_is_new_in_another_shape(self, manager, facts, monkeypatch):
        question = metrics.ask(user=manager, on=TODAY)
        metrics.on_time_rate(question)

        monkeypatch.setattr(reading, "SHAPE", reading.SHAPE + 1)

        assert statements(metrics.on_time_rate, question) == 1

    def test_of_one_person_is_not_told_another_who_sees_less(self, cast, facts):
        late(facts, division_id=cast.vehicles.pk)
        everything = metrics.delayed_steps(metrics.ask(user=cast.manager, on=TODAY))

        of_finance = metrics.delayed_steps(metrics.ask(user=cast.finance_clerk, on=TODAY))
        of_tyres = metrics.delayed_steps(metrics.ask(user=cast.divisional_clerk, on=TODAY))

        assert len(everything["departments"]) == 4
        assert of_finance["departments"] == [one for one in everything["departments"] if one["department"] == "Finance"]
        assert {one["mandatory"] for one in of_tyres["departments"]} == {0}

    def test_speaks_the_language_of_whoever_asks(self, manager, facts):
        question = metrics.ask(user=manager, on=TODAY)
        with override("en"):
            in_english = metrics.on_time_rate(question)
        with override("ar"):
            in_arabic = metrics.on_time_rate(question)

        assert in_english["definition"] != in_arabic["definition"]
        assert in_english | {"definition": ""} == in_arabic | {"definition": ""}


class TestFiguresTogether:
    def prepared(self, *questions) -> int:
        with CaptureQueriesContext(connection) as captured, metrics.together():
            for question in questions:
                metrics.on_time_rate(question)
        return sum("work_mem" in one["sql"] for one in captured)

    def test_are_prepared_once_and_not_at_all_when_they_are_kept(self, manager):
        questions = [metrics.ask(user=manager, on=TODAY - timedelta(days=days)) for days in (0, 1, 2)]

        assert [self.prepared(*questions) for _ in range(2)] == [1, 0]


class TestWithoutRedis:
    @pytest.fixture(autouse=True)
    def _nobody_answers(self, settings, tmp_path):
        address = f"unix://{tmp_path}/nobody.sock"
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": address}}

    def test_a_figure_is_computed_every_time(self, manager, facts, caplog):
        late(facts)
        question = metrics.ask(user=manager, on=TODAY)

        with caplog.at_level(logging.WARNING, "metrics"):
            counts = [statements(metrics.on_time_rate, question) for _ in range(2)]

        assert counts == [1, 1]
        assert metrics.on_time_rate(question)["late"] == 1
        assert "without the cache" in caplog.text

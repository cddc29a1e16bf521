from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from clearance.tests import recipes
from clearance.tests.recipes import ETA
from shipments import rules, selectors
from shipments.models import Shipment

RATE = Decimal("38.462")


def day(days):
    return ETA + timedelta(days=days)


class TestTheRiskOfAnActiveShipment:
    @pytest.mark.parametrize(
        ("days", "risk"),
        [
            (-1, "expected"),
            (0, "on_time"),
            (3, "on_time"),
            (4, "warning"),
            (5, "critical"),
            (6, "critical"),
            (7, "urgent"),
            (8, "demurrage"),
            (90, "demurrage"),
        ],
    )
    def test_rises_with_the_days_since_its_eta(self, days, risk):
        assert rules.risk(status="active", cleared_on=None, eta=ETA, on=day(days)) == risk

    @pytest.mark.parametrize("status", ["completed", "cancelled"])
    def test_is_none_once_it_is_completed_or_cancelled(self, status):
        assert rules.risk(status=status, cleared_on=None, eta=ETA, on=day(30)) is None

    def test_is_none_once_its_goods_have_left_the_port(self):
        assert rules.risk(status="active", cleared_on=day(9), eta=ETA, on=day(30)) is None


class TestTheMoneyAtRisk:
    @pytest.mark.parametrize(
        ("days", "containers", "omr"),
        [
            (-20, 2, "76.924"),
            (7, 2, "76.924"),
            (8, 2, "76.924"),
            (9, 2, "153.848"),
            (9, None, "76.924"),
            (17, 1, "384.620"),
        ],
    )
    def test_is_a_days_rate_per_container_and_day_past_day_seven(self, days, containers, omr):
        at_risk = rules.omr_at_risk(container_count=containers, eta=ETA, on=day(days), daily_rate_omr=RATE)

        assert at_risk == Decimal(omr)

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("days", "changed", "container_days"),
        [(9, {"container_count": 3}, 6), (2, {}, 1), (9, {"container_count": 3, "cleared_on": day(8)}, 0)],
    )
    def test_sorts_by_container_days_of_uncleared_shipments(self, days, changed, container_days):
        recipes.shipment.make(**changed)

        (found,) = Shipment.objects.annotate(cost=selectors.container_days(on=day(days), of=""))

        assert found.cost == container_days


class TestNormalisedValues:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [("LC1", "LC1"), (" LC1 , LC2,LC3", "LC1, LC2, LC3"), (", ,LC1,,", "LC1"), ("", ""), (" ", "")],
    )
    def test_hold_lc_numbers_in_one_way(self, given, kept):
        assert rules.normalised({"lc_number": given})["lc_number"] == kept


@pytest.mark.django_db
class TestWhoSeesAShipment:
    @pytest.fixture
    def all_three(self, cast):
        return {
            name: recipes.shipment.make(division=division)
            for name, division in (("tyres", cast.tyres), ("vehicles", cast.vehicles), ("none", None))
        }

    @pytest.mark.parametrize(
        ("who", "sees"),
        [
            ("bu_clerk", {"tyres", "vehicles", "none"}),
            ("auditor", {"tyres", "vehicles", "none"}),
            ("stranger", {"vehicles", "none"}),
            ("divisional_clerk", {"tyres", "none"}),
        ],
    )
    def test_depends_on_their_divisions_where_they_have_any(self, cast, all_three, who, sees):
        seen = set(Shipment.objects.visible_to(getattr(cast, who)))

        assert {name for name, shipment in all_three.items() if shipment in seen} == sees

    def test_is_everybody_of_any_of_their_divisions(self, cast, all_three):
        cast.stranger.divisions.add(cast.tyres)

        assert Shipment.objects.visible_to(cast.stranger).count() == 3


@pytest.mark.django_db
class TestShipmentsInDemurrage:
    @pytest.mark.parametrize(("days", "is_in_demurrage"), [(6, False), (7, False), (8, True)])
    def test_are_the_uncleared_ones_from_day_eight(self, days, is_in_demurrage):
        recipes.shipment.make()
        recipes.shipment.make(cleared_on=ETA)
        recipes.shipment.make(status="completed")
        recipes.shipment.make(deleted_at=recipes.NOON)

        assert Shipment.objects.in_demurrage(on=day(days)).count() == is_in_demurrage


@pytest.mark.django_db
class TestSearchingShipments:
    @pytest.mark.parametrize(
        ("words", "is_found"),
        [
            ("noor", True),
            ("Al Noor", True),
            ("tyr", True),
            ("LC-77", True),
            ("star BL", True),
            ("", True),
            ("oor", False),
            ("noor boats", False),
            ("noor & ( ! * :", True),
            ("' | & ! : * \\ ( )", False),
            ("no'or", False),
        ],
    )
    def test_finds_those_where_each_word_begins_a_word(self, words, is_found):
        recipes.shipment.make(lc_number="LC-77, LC-78", vessel="Sea Star", bl_number="BL-1")

        assert Shipment.objects.matching(words).exists() is is_found

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clearance import sheets
from clearance.clock import day_of
from clearance.tests import pages
from metrics import selectors as metrics
from metrics.pages.figures import TITLES
from metrics.selectors import rows
from metrics.tests import histories
from metrics.tests.histories import Past, done_by
from shipments.models import Shipment

pytestmark = pytest.mark.django_db

NAMES = tuple(metrics.FIGURES)


@pytest.fixture
def today():
    return day_of(timezone.now())


@pytest.fixture(autouse=True)
def shipments(today):
    """One on time, one late with 3 containers; the name of its principal would be a formula."""
    eta = today - timedelta(days=20)
    pasts = [
        Past(eta=eta, done=done_by(6), containers=2),
        Past(eta=eta, done=done_by(9), containers=3, principal="=1+1"),
    ]
    return histories.write(pasts, facts=histories.procedure(), on=today)


def export(user, name: str, **given):
    return pages.signed_in(user).get(f"/admin/metrics/export/{name}.xlsx", given)


def sheet(answer, name: str) -> list[list]:
    assert answer.status_code == 200, answer.content
    read = sheets.read(answer.content, name="export.xlsx", sheet=name)
    return [list(row) for row in read.rows]


class TestTheExport:
    @pytest.mark.parametrize("name", NAMES)
    def test_has_the_figure_and_what_lies_behind_it(self, manager, name):
        answer = export(manager, name)

        assert answer["Content-Disposition"].startswith(f'attachment; filename="{name}-')
        listed = sheet(answer, "Rows")
        expected = 9 if name == "delayed-steps" else 2
        assert listed[0][0] == "Shipment"
        assert len(listed) == 1 + expected
        figure = {str(row[0]): row[1:] for row in sheet(answer, str(TITLES[name])) if row}
        assert {"How it is reckoned", "From", "To", "Department"} <= figure.keys()

    def test_lists_each_shipment_with_its_days_and_its_rials(self, manager, shipments):
        listed = sheet(export(manager, "demurrage-savings"), "Rows")

        late = dict(zip(listed[0], listed[1], strict=True))
        assert late["Shipment"] == shipments[1].shipment_number
        assert (late["Days late"], late["Containers"], late["Demurrage (OMR)"]) == (2, 3, 230.772)

    def test_writes_text_as_text(self, manager):
        assert sheet(export(manager, "on-time-rate"), "Rows")[1][1] == "=1+1"

    def test_lists_what_the_person_sees(self, cast, shipments):
        for shipment, division in zip(shipments, (cast.vehicles, cast.tyres), strict=True):
            Shipment.objects.filter(pk=shipment.pk).update(division=division)

        listed = sheet(export(cast.stranger, "on-time-rate"), "Rows")

        assert [row[0] for row in listed[1:]] == [shipments[0].shipment_number]

    def test_lists_a_departments_own_days_only(self, finance_clerk):
        headings = sheet(export(finance_clerk, "clearance-time"), "Rows")[0]
        steps = sheet(export(finance_clerk, "delayed-steps"), "Rows")[1:]

        assert headings[5:] == ["Days, Finance"]
        assert {row[3] for row in steps} == {"Finance"}

    def test_is_refused_in_a_sentence(self, cc_clerk):
        client = pages.signed_in(cc_clerk)

        for given, sentence in (
            ({"department": "Finance"}, "You see the figures of Customs & Clearance only."),
            ({"from": "2026-02-02", "to": "2026-02-01"}, "The range ends on 2026-02-01"),
            ({"from": "yesterday"}, "From: Enter a valid date."),
            ({"from": "0001-01-03"}, "From: The date 0001-01-03 is not between 2000-01-01 and 2100-12-31."),
        ):
            answer = client.get("/admin/metrics/export/delayed-steps.xlsx", given, follow=True)
            ((level, message),) = pages.told(answer)
            assert level == "error"
            assert message.startswith(sentence)

    def test_has_an_end(self, manager, monkeypatch):
        monkeypatch.setattr(rows, "MOST_ROWS", 1)

        answer = pages.signed_in(manager).get("/admin/metrics/export/on-time-rate.xlsx", follow=True)

        ((_, message),) = pages.told(answer)
        assert message.startswith("There are more than 1 rows behind this figure.")

    def test_of_no_figure_is_not_found(self, manager):
        assert export(manager, "happiness").status_code == 404

    def test_is_for_those_who_may_see_metrics(self, manager):
        manager.groups.set(Group.objects.none())

        assert export(manager, "on-time-rate").status_code == 403


class TestTheMonthlyReport:
    @pytest.fixture
    def month(self, today):
        return (today - timedelta(days=13)).replace(day=1)

    def get(self, user, month: date, **options):
        return pages.signed_in(user).get(f"/admin/metrics/report/{month.year}-{month.month}/", **options)

    def test_tells_the_month_and_the_one_before(self, manager, month, today):
        histories.write(
            [Past(eta=month - timedelta(days=10), done=done_by(3))], facts=histories.procedure(version=3), on=today
        )

        page = self.get(manager, month)

        now = dict(pair[0] for pair in page.context["headlines"])
        before = dict(pair[1] for pair in page.context["headlines"])
        assert (now["Shipments judged"], now["On time (%)"]) == ("2", "50.0")
        assert now["Demurrage incurred (OMR)"] == "230.772"
        assert (before["Shipments judged"], before["On time (%)"]) == ("1", "100.0")

    def test_names_departments_principals_and_the_costliest_shipments(self, manager, month, shipments):
        page = self.get(manager, month)

        assert [one["department"] for one in page.context["departments"]] == [
            "BusinessUnit",
            "Finance",
            "C&C",
            "Stores",
        ]
        assert [one["principal"] for one in page.context["principals"]] == ["=1+1", "Al Noor Tyres"]
        assert [(one["id"], one["incurred_omr"]) for one in page.context["costliest"]] == [
            (shipments[1].pk, Decimal("230.772"))
        ]
        assert f"/admin/shipments/shipment/{shipments[1].pk}/change/" in page.text

    def test_speaks_arabic(self, manager, month):
        manager.language = "ar"
        manager.save()

        page = self.get(manager, month)

        assert 'dir="rtl"' in page.text
        assert "تقرير الإدارة" in page.text

    def test_says_whose_steps_it_counts(self, manager, finance_clerk, month):
        sentence = "steps and their delays those of Finance only."

        assert sentence in self.get(finance_clerk, month).text
        assert sentence not in self.get(manager, month).text

    def test_takes_one_statement_per_figure(self, manager, month):
        with CaptureQueriesContext(connection) as captured:
            self.get(manager, month)

        # Four figures of two months; by department, by principal and the costliest of one.
        assert sum("shipments_shipment" in one["sql"] for one in captured) == 11

    @pytest.mark.parametrize("address", ["2026-0", "2026-13", "1900-1", "2999-1", "0-1"])
    def test_of_no_month_is_not_found(self, manager, address):
        assert pages.signed_in(manager).get(f"/admin/metrics/report/{address}/").status_code == 404

    def test_is_for_those_who_may_see_metrics(self, manager, month):
        manager.groups.set(Group.objects.none())

        assert self.get(manager, month).status_code == 403

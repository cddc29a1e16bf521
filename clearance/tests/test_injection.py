"""Hostile text in every text of every model stays text: on every page, in every mail, in every export."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import timedelta
from typing import Any

import openpyxl
import pytest
from django.db.models import OuterRef, Subquery
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from accounts.choices import MessageKind, Purpose
from accounts.models import Ticket, User
from accounts.tests import people
from alerts.models import Alert
from alerts.tests import late
from audit.models import AuditEntry
from audit.services.proofs import STARTS_FORMULA
from clearance.languages import Language
from clearance.tests import markup, matrix_of_the_admin, matrix_of_the_api, pages
from clearance.tests.matrix import KINDS, Kind
from clearance.tests.stage import Stage, undone
from metrics.selectors import FIGURES
from outbox import messages
from outbox.admin import composed
from outbox.choices import Channel, Delivery
from outbox.models import Carrier, Message
from outbox.tests import mails
from shipments.imports import workbook

ESCAPED = escape(f"<{markup.ELEMENT}")
# What the database itself keeps free of markup.
KEPT_OUT = {"accounts.user.phone", "accounts.identityrule.pattern", "workflow.templatestep.filled_by_field"}
# What nobody but a trigger of the trail writes: what it wrote of the rest is hostile, too.
WRITTEN_BY_TRIGGERS = ("audit.", "shipments.historicalshipment.", "workflow.historicalworkflowstep.")
# What the stage has no row of, because no page shows any.
WITHOUT_ROWS = (
    "accounts.backupcode.",
    "accounts.failedsignins.",
    "accounts.oldpassword.",
    "accounts.secondfactor.",
    "admin.logentry.",
    "outbox.attachment.",
    "sessions.session.",
)
LOOKING = [kind for kind in KINDS if kind.name == "Administrator" or kind.name.endswith((" PPR", "IA ReadOnly"))]


# What looks otherwise for each department; an administrator sees the rest.
OF_EACH = {"index", "alerts.alert list", "workflow.workflowstep list", "shipments.shipment list"}


@pytest.fixture
def stage(cast) -> Stage:
    """One of everything, with hostile text in all of it."""
    stage = Stage(cast)
    for days in (9, 12):
        late.shipment(by=cast.bu_clerk, days=days, left_open=(), division=cast.tyres, container_count=3)
    late.shipment(by=cast.bu_clerk, days=7, division=cast.tyres)
    late.sweep()
    Carrier.objects.create(channel=Channel.MAIL, down_since=stage.at, next_probe_at=stage.at, last_failure="refused")
    for kind, purpose in (
        (MessageKind.PASSWORD_RESET, Purpose.RESET),
        (MessageKind.EMAIL_VERIFICATION, Purpose.VERIFY),
        (MessageKind.INVITATION, Purpose.INVITE),
    ):
        Ticket.objects.create(
            user=stage.somebody,
            purpose=purpose,
            message=mails.waiting(stage.somebody, at=stage.at, kind=kind),
            email=stage.somebody.email,
            created_at=stage.at,
            expires_at=stage.at + timedelta(days=1),
        )
    stage.planted, stage.refused = markup.plant()
    Ticket.objects.update(
        email=Subquery(User.objects.filter(pk=OuterRef("user")).values("email"))
    )  # or it is of no use
    every = {one for row in matrix_of_the_admin.SHOWN for one in row.asks}
    people.granted(stage.people[LOOKING[0]], *(every - LOOKING[0].permissions))
    for person in (stage.somebody, *stage.people.values()):
        person.refresh_from_db()
    return stage


def browser(stage: Stage, kind: Kind, language: str = Language.ENGLISH) -> Client:
    person = stage.people[kind]
    User.objects.filter(pk=person.pk).update(language=language)
    person.refresh_from_db()
    return pages.signed_in(person)


class TestHostileText:
    def test_is_in_every_text_of_every_model_but_what_the_database_keeps_free(self, stage):
        every = {f"{field.model._meta.label_lower}.{field.name}" for field in markup.fields()}

        missed = {one for one in every - stage.planted if not one.startswith((*WRITTEN_BY_TRIGGERS, *WITHOUT_ROWS))}

        assert missed == stage.refused - {one for one in every if one.startswith(WRITTEN_BY_TRIGGERS)} == KEPT_OUT
        assert len(stage.planted) > 50
        assert AuditEntry.objects.filter(reason=markup.PROBE, user_name=markup.PROBE[:120]).exists()

    @pytest.mark.parametrize("language", Language.values)
    def test_is_text_on_every_page_of_the_back_office(self, stage, language):
        found, shown, opened = [], set(), set()
        for kind in LOOKING:
            client = browser(stage, kind, language)
            for row in matrix_of_the_admin.ROWS:
                if kind != LOOKING[0] and row.name not in OF_EACH:
                    continue
                with undone():
                    address = row.given(stage, stage.people[kind])["address"]
                    html = looked_at(client.get(address))
                if html:
                    opened.add(row.name)
                    shown |= {row.name} if ESCAPED in html else set()
                    found += [f"{row.name}, {address} by {kind.name}: {one}" for one in markup.injected(html)]

        assert found == []
        expected = {row.name for row in matrix_of_the_admin.SHOWN} - NO_PAGES
        assert expected - opened == set()
        assert shown >= {
            "index",
            "metrics_report",
            "outbox_message_samples",
            "outbox.message view",
            "audit.auditentry list",
        }
        assert len(shown) > 60

    def test_is_text_where_a_form_or_a_search_gives_it_back(self, stage):
        client = browser(stage, LOOKING[0])
        found, tried = [], 0
        for row in matrix_of_the_admin.ROWS:
            with undone():
                knock = row.given(stage, stage.people[LOOKING[0]])
                separator = "&" if "?" in knock["address"] else "?"
                html = looked_at(client.get(knock["address"]))
                if not html:
                    continue
                given = {name: markup.PROBE for name in markup.read(html).fields if name != "csrfmiddlewaretoken"}
                asked = client.get(f"{knock['address']}{separator}q={markup.SHORT}&{markup.SHORT}={markup.SHORT}")
                for answer in (client.post(knock["address"], given, follow=True), asked):
                    if html := looked_at(answer):
                        tried += 1
                        found += [f"{row.name}: {one}" for one in markup.injected(html)]

        assert found == []
        assert tried > 100

    def test_is_text_on_the_pages_of_the_api_in_a_browser(self, stage):
        client = browser(stage, LOOKING[0])
        found, tried = [], 0
        for row in matrix_of_the_api.ROWS:
            method, _, path = row.name.partition(" ")
            query = matrix_of_the_api.KNOCKS[row.name][1]
            if method != "GET":
                continue
            with undone():
                address = f"/api/v1{path.format(**row.given(stage, stage.people[LOOKING[0]]))}?{query}"
                html = looked_at(client.get(address, headers={"accept": "text/html"}))
            if html:
                tried += 1
                found += [f"{address}: {one}" for one in markup.injected(html)]

        assert found == []
        assert tried > 15

    def test_is_text_in_every_mail(self, stage):
        found = []
        for kind in [kind.code for kind in messages.mails()]:
            waiting = Message.objects.filter(kind=kind, channel=Channel.MAIL, delivery=Delivery.WAITING)
            message = waiting.first() or mails.waiting(stage.somebody, at=timezone.now(), kind=kind)
            if kind == "shipment_alert":  # of the same alerts as a digest
                message = Message.objects.filter(alerts__in=Alert.objects.open()).first()
                message.kind = kind
            for language in Language:
                content = composed(message, language, at=timezone.now())

                assert content is not None, f"no {kind} is written: this proves nothing"
                found += [f"{kind} in {language}: {one}" for one in markup.injected(content.html)]
                assert ESCAPED in content.html, kind
                assert f"<{markup.ELEMENT}" in content.text, kind
                assert type(content.text) is type(content.subject) is str, kind

        assert found == []

    def test_is_text_in_the_evidence_pack(self, stage):
        pack = unpacked(
            browser(stage, LOOKING[0]), reverse("admin:audit_auditentry_evidence", args=[stage.shipment.pk])
        )

        with zipfile.ZipFile(io.BytesIO(pack)) as files:
            html = files.read("timeline.html").decode()
            tables = [files.read(name).decode("utf-8-sig") for name in files.namelist() if name.endswith(".csv")]

        assert markup.injected(html) == []
        assert ESCAPED in html
        assert tables
        assert all(formulas(table) == [] for table in tables)

    def test_is_no_formula_in_the_trail_as_a_table(self, stage):
        table = unpacked(browser(stage, LOOKING[0]), reverse("admin:audit_auditentry_export", args=["csv"]))

        assert markup.PROBE.strip().encode()[:5] in table
        assert formulas(table.decode("utf-8-sig")) == []

    def test_is_no_formula_in_any_workbook(self, stage):
        client = browser(stage, LOOKING[0])
        addresses = [
            reverse("admin:audit_auditentry_export", args=["xlsx"]),
            reverse("admin:shipments_shipment_blank"),
            *(reverse("admin:metrics_export", args=[figure]) for figure in FIGURES),
        ]
        for address in addresses:
            book = openpyxl.load_workbook(io.BytesIO(unpacked(client, address)))
            cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]

            assert [cell.coordinate for cell in cells if cell.data_type == "f" or cell.hyperlink] == [], address
            assert any(markup.ELEMENT in str(cell.value) for cell in cells), address

    def test_is_no_formula_in_the_workbook_of_the_rows_that_failed(self, cast):
        rows = [["Shipment No", "Principal", "Brand", "Invoice Value (OMR)", "ETA", markup.PROBE], [markup.PROBE] * 6]
        content = io.BytesIO()
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append([None] * len(row))
        for at, row in enumerate(rows, 1):
            for column, value in enumerate(row, 1):
                cell = book.active.cell(at, column)
                cell.value, cell.data_type = value, "s"
        book.save(content)

        imported = workbook.import_workbook(
            content.getvalue(), name="tracker.xlsx", by=cast.bu_clerk, at=timezone.now()
        )

        written = openpyxl.load_workbook(io.BytesIO(imported.error_workbook()))
        cells = [cell for row in written.active.iter_rows() for cell in row if cell.value is not None]
        assert imported.report.failed == 1
        assert len(cells) > 6
        assert {cell.data_type for cell in cells} == {"s"}


# Pages that are no HTML, or lead elsewhere when they are only looked at.
NO_PAGES = {
    "login",
    "logout",
    "language",
    "autocomplete",
    "metrics_export",
    "shipments_shipment_blank",
    "audit_auditentry_export",
    "audit_auditentry_evidence",
}


def looked_at(answer: Any) -> str:
    """The HTML of an answer, whatever its status; empty where it is something else, or leads on."""
    assert answer.status_code < 500, answer.request["PATH_INFO"]
    policy = dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))
    assert policy["form-action"] in {"'self'", "'none'"}, answer.request["PATH_INFO"]
    assert policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] in {"'self'", "'none'"}
    assert "'none'" in {policy.get("object-src"), policy["default-src"]}
    is_page = not answer.streaming and answer.get("Content-Type", "").startswith("text/html") and answer.content
    return answer.content.decode() if is_page and answer.status_code == 200 else ""


def unpacked(client: Client, address: str) -> bytes:
    answer = client.get(address)
    assert answer.status_code == 200
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def formulas(table: str) -> list[str]:
    """The cells of a CSV that a spreadsheet would calculate."""
    return [
        cell
        for row in csv.reader(io.StringIO(table, newline=""))
        for cell in row
        if cell.startswith(STARTS_FORMULA) and not cell[1:].replace(".", "", 1).isdecimal()
    ]

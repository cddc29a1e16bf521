"""The guide of the import: one text, in the back office and in docs/, that a clerk finds from where they need it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import openpyxl
import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import translation

from clearance.tests import pages
from shipments.imports import guide, workbook

GUIDE = reverse("admin:shipments_shipment_guide")


class TestTheGuide:
    def test_in_the_docs_has_the_same_sentences(self):
        text = (Path(settings.BASE_DIR) / "docs" / "guide" / "import.md").read_text()

        with translation.override("en"):
            lines = [f"| {kind.name} | {kind.is_read} | {kind.is_refused} |" for kind in guide.KINDS]
            assert str(guide.RULE) in text
        assert [line for line in text.splitlines() if line in lines] == lines

    @pytest.mark.django_db
    def test_is_a_page_that_the_upload_links_to(self, bu_clerk):
        client = pages.signed_in(bu_clerk)

        upload = client.get(reverse("admin:shipments_shipment_verb", args=["import"])).content.decode()
        page = client.get(GUIDE)

        assert f'href="{GUIDE}"' in upload
        assert page.status_code == 200
        assert page.content.decode().count("<tr>") > len(guide.KINDS)

    @pytest.mark.django_db
    def test_is_linked_from_the_notes_of_the_empty_workbook(self):
        book = openpyxl.load_workbook(BytesIO(workbook.blank_workbook()))

        notes = [row[0].value for row in book["Notes"].iter_rows()]
        assert notes[-1] == f"What is read, and what is refused: {settings.BASE_URL}{GUIDE}"

"""The doors of an import, knocked at alike: what each of them answers, as plain data."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import User
from clearance.tests.callers import signed_in


@dataclass(frozen=True, slots=True)
class Told:
    """What a door says: faults by row and column, and all of its words; `refused` if nothing was read at all."""

    faults: Mapping[tuple[int, str], str] = field(default_factory=dict)
    words: str = ""
    refused: str = ""

    def about(self, row: int) -> str:
        return " ".join(reason for (number, _), reason in self.faults.items() if number == row)


def by_command(file: Path, by: User, **options: Any) -> Told:
    out, err = StringIO(), StringIO()
    try:
        call_command("import_shipments", file, email=by.email, stdout=out, stderr=err, **options)
    except CommandError as ended:
        if not err.getvalue():
            return Told(refused=str(ended))
    lines = re.findall(r"^row (\d+), (.*?): (.*)$", err.getvalue(), re.MULTILINE)
    return Told({(int(row), column): reason for row, column, reason in lines}, out.getvalue())


def by_upload(file: Path, by: User, **given: Any) -> Told:
    client = Client()
    client.force_login(by)
    address = reverse("admin:shipments_shipment_verb", args=["import"])
    page = client.post(address, {"file": SimpleUploadedFile(file.name, file.read_bytes()), **given})
    text = " ".join(html.unescape(page.content.decode()).split())
    if refusals := re.findall(r'class="errornote"[^>]*>(.*?)</p>|class="errorlist"[^>]*>\s*<li>(.*?)</li>', text):
        return Told(refused=" ".join(map("".join, refusals)))
    cell = r'<td data-label="[^"]*"[^>]*>(.*?)</td>\s*'
    failed = text.partition('<h3 id="faults">')[2].partition("<h3")[0]
    rows = re.findall(rf"<tr>\s*{cell * 4}</tr>", failed)
    words = re.sub(r"<[^>]+>", " ", text.partition('<section class="imported"')[2])
    return Told({(int(row), column): reason for row, column, _value, reason in rows}, words)


def by_api(file: Path, by: User, **given: Any) -> Told:
    upload = SimpleUploadedFile(file.name, file.read_bytes())
    answer = signed_in(by).post("/api/v1/shipments/import", {"file": upload, **given}, format="multipart")
    body = answer.json()
    if answer.status_code != 200:
        return Told(refused=body["error"]["message"])
    faults = {(one["row"], one["column"]): one["reason"] for one in body["faults"]}
    return Told(faults, f"{body['sheet']} {body['ignored_columns']} {body['skipped_rows']} {' '.join(body['notes'])}")


DOORS: Mapping[str, Callable[..., Told]] = {"command": by_command, "upload": by_upload, "API": by_api}

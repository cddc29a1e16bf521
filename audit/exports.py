"""The trail as files: CSV and XLSX, line by line as it is read, however long it is; with its proofs as a zip."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from tempfile import TemporaryFile
from typing import IO, Any

from django.db.models import QuerySet
from django.http import FileResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils import timezone

from audit import selectors, wording
from audit import services as audit
from audit.errors import ExportTooLong
from audit.models import AuditEntry
from audit.services.proofs import STARTS_FORMULA
from clearance import sheets
from clearance.denials import label_of
from shipments.models import Shipment

COLUMNS = (
    "id",
    "created_at",
    "entity_type",
    "entity_id",
    "action",
    "field_name",
    "old_value",
    "new_value",
    "user_id",
    "user_name",
    "user_role",
    "on_behalf_of",
    "channel",
    "ip_address",
    "request_id",
    "import_batch",
    "reason",
)
MOST_LINES = 1_048_575  # a sheet has 1,048,576 rows, and the first is the heading
AT_ONCE = 2_000  # entries fetched from the database, lines sent in one piece
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def as_csv(entries: QuerySet[AuditEntry], *, column: str = "") -> Iterator[bytes]:
    """Write UTF-8 with a byte-order mark, so that spreadsheets read Arabic; no cell starts a formula."""
    writer = csv.writer(_Echo())
    yield ("\ufeff" + writer.writerow(COLUMNS)).encode()
    rows = _rows(entries, column)
    while piece := [writer.writerow([_harmless(cell) for cell in row]) for row in islice(rows, AT_ONCE)]:
        yield "".join(piece).encode()


def as_xlsx(entries: QuerySet[AuditEntry], *, column: str = "") -> IO[bytes]:
    """Write a workbook into a temporary file, and return it at its beginning.

    :raises ExportTooLong: the lines don't fit on a sheet.
    """
    if entries.order_by()[: MOST_LINES + 1].count() > MOST_LINES:
        raise ExportTooLong(most=MOST_LINES)
    rows = _rows(entries, column)
    file = TemporaryFile()  # noqa: SIM115 - whoever sends it closes it
    sheets.write_to(file, sheets.Page("Trail", chain([COLUMNS], islice(rows, MOST_LINES))))
    if next(rows, None) is not None:
        file.close()
        raise ExportTooLong(most=MOST_LINES)
    file.seek(0)
    return file


def as_zip(entries: QuerySet[AuditEntry], *, column: str = "") -> Iterator[bytes]:
    """Write the entries whole, each with its proof; `column` chose them already."""
    return audit.archive(entries, at=timezone.now())


def _rows(entries: QuerySet[AuditEntry], column: str) -> Iterator[list[Any]]:
    for line in selectors.lines(entries.iterator(chunk_size=AT_ONCE), column=column):
        user = line["user"] or {"id": None, "name": "", "role": ""}
        line |= {f"user_{name}": value for name, value in user.items()}
        yield [_cell(line[name]) for name in COLUMNS]


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, (str, int)) and not isinstance(value, bool)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else json.dumps(value, ensure_ascii=False)


def _harmless(cell: Any) -> Any:
    """A text that a spreadsheet would calculate gets an apostrophe in front, which makes it text; numbers stay."""
    if isinstance(cell, str) and cell.startswith(STARTS_FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


# The answer ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Format:
    content_type: str
    write: Callable[..., Any]


FORMATS = {
    "csv": Format("text/csv", as_csv),
    "xlsx": Format(sheets.CONTENT_TYPE, as_xlsx),
    "zip": Format("application/zip", as_zip),
}


def download(entries: QuerySet[AuditEntry], *, format: str, column: str = "") -> StreamingHttpResponse:  # noqa: A002
    """Answer entries as a file of one of `FORMATS`, the newest first; with `column`, only its lines.

    :raises ExportTooLong: the lines don't fit on a sheet.
    """
    written = FORMATS[format].write(entries.order_by("-at", "-id"), column=column)
    kind = FileResponse if hasattr(written, "read") else StreamingHttpResponse
    answer = kind(written, content_type=FORMATS[format].content_type)
    answer["Content-Disposition"] = f'attachment; filename="trail.{format}"'
    return answer


def evidence_pack(shipment: Shipment, *, at: datetime) -> StreamingHttpResponse:
    """Answer everything under a shipment as a zip: the proofs, and a page that tells it in the reader's language.

    The trail tells of the pack itself, which proves the page.
    """
    entries = selectors.under_shipment(shipment.pk)
    rows = wording.fold(wording.tell(list(entries.order_by("at", "id"))))
    timeline = render_to_string("audit/timeline.html", {"shipment": shipment, "rows": rows, "at": at})
    about = {"entity_type": label_of(Shipment), "entity_id": str(shipment.pk)}
    pack = audit.note_evidence(**about, timeline=timeline, at=at)
    entries = selectors.under_shipment(shipment.pk, pack=pack)
    written = audit.archive(entries, at=at, pages={"timeline.html": [timeline]})
    answer = StreamingHttpResponse(written, content_type=FORMATS["zip"].content_type)
    name = re.sub(r"[^\w.-]", "-", shipment.shipment_number, flags=re.ASCII)
    answer["Content-Disposition"] = f'attachment; filename="evidence-{name}.zip"'
    return answer


class _Echo:
    """A file that gives back what is written: csv.writer's `writerow` returns it."""

    def write(self, text: str) -> str:
        return text

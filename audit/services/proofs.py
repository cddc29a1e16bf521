"""Proofs: entries as a zip that anybody can check without us, with nothing but Python (docs/verify_trail.py)."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from audit.models import AuditEntry
from audit.services import merkle
from audit.services.sealing import COLUMNS, LATEST, Entry, Header, Range, ranges_of, read_entries, read_headers

_ENTRIES_AT_A_TIME = 1_000
_TREES = 4  # kept in memory: entries in the order of their ids go back and forth between a few seals
_PIECE = 1 << 16
STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


def archive(
    entries: QuerySet[AuditEntry], *, at: datetime, pages: Mapping[str, Iterable[str]] | None = None
) -> Iterator[bytes]:
    """Yield a zip of the entries with their proofs, in pieces; memory does not grow with their number.

    `entries.jsonl` has the entries as they were hashed, with seal, place and path; `entries.csv` the same to read;
    `seals.jsonl` the chain from the first seal that is needed to the newest. What has no seal yet is in it all the
    same, and says so. `pages` are further files: name → texts.
    """
    out = _Pieces()
    with ZipFile(out, "w", ZIP_DEFLATED) as zipped, tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as table:
        book = _Book()
        rows = csv.writer(table)
        rows.writerow([*COLUMNS, "seal"])
        with _file(zipped, "entries.jsonl", at) as file:
            for entry, proof in book.prove(entries):
                file.write(merkle.canonical({"entry": entry, **proof}) + b"\n")
                rows.writerow([*(_cell(entry[column]) for column in COLUMNS), proof["seal"] or "not sealed yet"])
                yield from out.taken()
        table.seek(0)
        with _file(zipped, "entries.csv", at) as file:
            file.write("\ufeff".encode())  # or Excel takes it for another alphabet's
            while text := table.read(_PIECE):
                file.write(text.encode())
                yield from out.taken()
        with _file(zipped, "seals.jsonl", at) as file:
            for header in book.chain():
                file.write(merkle.canonical(asdict(header)) + b"\n")
                yield from out.taken()
        for name, texts in {**(pages or {}), **_enclosed(book, at)}.items():
            with _file(zipped, name, at) as file:
                for text in texts:
                    file.write(text.encode())
                    yield from out.taken()
    yield from out.taken(all_of_it=True)


def _cell(value: Any) -> str:
    """A value as the table shows it; none that a spreadsheet would take for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(STARTS_FORMULA) else text


class _Pieces(io.RawIOBase):
    """What a zip writes to, to be taken away piece by piece."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += data
        return len(data)

    def taken(self, *, all_of_it: bool = False) -> Iterator[bytes]:
        if self.written and (all_of_it or len(self.written) >= _PIECE):
            piece = bytes(self.written)
            self.written.clear()
            yield piece


@contextmanager
def _file(zipped: ZipFile, name: str, at: datetime) -> Iterator[IO[bytes]]:
    info = ZipInfo(name, timezone.localtime(at).timetuple()[:6])
    info.compress_type, info.external_attr = ZIP_DEFLATED, 0o644 << 16
    with zipped.open(info, "w", force_zip64=True) as file:
        yield file


class _Book:
    """Finds the seal of each entry, and the path to its root. Entries come in the order of their ids."""

    def __init__(self) -> None:
        self.first: int | None = None  # the lowest number of a seal that was needed
        self.newest: Header | None = None
        self._ahead: Iterator[tuple[Header, list[Range]]] | None = None
        # From the first seal that can cover the entry in question.
        self._recent: deque[tuple[Header, list[Range]]] = deque()
        self._trees: dict[int, merkle.Tree] = {}

    def prove(self, entries: QuerySet[AuditEntry]) -> Iterator[tuple[Entry, dict[str, Any]]]:
        """Yield the entries as they were hashed, with seal, index and path."""
        ids = entries.order_by("id").values_list("id", flat=True).iterator(chunk_size=_ENTRIES_AT_A_TIME)
        while some := list(islice(ids, _ENTRIES_AT_A_TIME)):
            for entry in read_entries(ranges_of(some)):
                yield entry, self._proof(entry["id"])

    def chain(self) -> Iterator[Header]:
        """Every seal from the first that was needed."""
        if self.first is not None:
            for header in read_headers("WHERE number >= %s ORDER BY number", [self.first]):
                self.newest = header
                yield header

    def _proof(self, entry_id: int) -> dict[str, Any]:
        header, ranges = self._seal_of(entry_id)
        if header is None:
            return {"seal": None}
        self.first = min(self.first or header.number, header.number)
        index = sum(min(high, entry_id - 1) - low + 1 for low, high in ranges if low < entry_id)
        return {"seal": header.number, "index": index, "path": self._tree(header.number, ranges).path(index)}

    def _seal_of(self, entry_id: int) -> tuple[Header | None, list[Range]]:
        """Find the seal among the first that reach as far as the entry, and those that came within an hour."""
        if self._ahead is None:
            headers = read_headers("WHERE highest_id >= %s ORDER BY highest_id, number", [entry_id])
            self._ahead = ((header, ranges) for header in headers if (ranges := header.covered()))
        while self._recent and self._recent[0][0].highest_id < entry_id:
            self._recent.popleft()
        for header, ranges in self._within_an_hour(self._ahead):
            if any(low <= entry_id <= high for low, high in ranges):
                return header, ranges
        return None, []

    def _within_an_hour(self, ahead: Iterator[tuple[Header, list[Range]]]) -> Iterator[tuple[Header, list[Range]]]:
        yield from list(self._recent)
        while not self._recent or self._recent[-1][0].at - self._recent[0][0].at < LATEST:
            following = next(ahead, None)
            if following is None:
                return
            self._recent.append(following)
            yield following

    def _tree(self, number: int, ranges: list[Range]) -> merkle.Tree:
        if number not in self._trees:
            while len(self._trees) >= _TREES:
                del self._trees[next(iter(self._trees))]
            self._trees[number] = merkle.Tree([merkle.leaf(entry) for entry in read_entries(ranges)])
        return self._trees[number]


def _enclosed(book: _Book, at: datetime) -> Mapping[str, Sequence[str]]:
    script = Path(settings.BASE_DIR) / "docs" / "verify_trail.py"
    newest = f"{book.newest.number} {book.newest.seal_hash}" if book.newest else "none of these entries is sealed yet"
    return {
        "verify_trail.py": [script.read_text(encoding="utf-8")],
        "README.txt": [_README.format(at=timezone.localtime(at).isoformat(timespec="seconds"), newest=newest)],
    }


_README = """\
Trail of Clearance, exported {at}

entries.csv      the entries, to read
entries.jsonl    the same as they were sealed, each with its seal, its place in it and the path to the seal's root
seals.jsonl      the chain of seals, from the first that these entries need to the newest
timeline.html    in an evidence pack: the same as a page to read; the entry of the pack itself tells its SHA-256
verify_trail.py  checks all this by itself; it needs Python 3.9 or newer and nothing else

How to check it
1. Take the file verify_trail.py from a place that you trust rather than from this archive, if you can.
2. python verify_trail.py EXPORT.zip
   It says which entries are proven, and names what is not as it was sealed.
3. Compare the chain with an anchor: the number and the hash of a seal that Clearance mailed to Internal Audit or
   wrote to its log, where whoever changes a database does not reach it. Take the last one from before this export.
   Put "number hash" into a text file, then: python verify_trail.py EXPORT.zip --anchor FILE

The newest seal here: {newest}

Without an anchor the check shows that the entries fit the seals, but not that nobody made all of them anew. It shows
that each entry here is genuine and unchanged; it can't show that the export leaves none out. An entry without a seal
was too young to have one, and nothing proves it yet: export it again a few minutes later.
"""

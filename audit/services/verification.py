"""Verification: recompute everything that was sealed, compare records with it, and look whether the trail is armed.

It reads the chain from its beginning and the entries seal by seal, in memory that does not grow with them, and raises
for nothing that it finds: whoever forged a row may have put anything there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby, islice
from typing import NamedTuple

from django.db import connection

from audit.errors import NoAnchor
from audit.services import merkle
from audit.services.arms import disarmed
from audit.services.comparison import differences
from audit.services.sealing import (
    HIGHEST,
    LAST_ID,
    LATEST,
    MOMENT,
    NOTHING_BEFORE,
    Coverage,
    Entry,
    Header,
    Range,
    extend,
    gaps,
    last_id,
    ranges_of,
    read_entries_of,
    read_headers,
)

SEALED_WITHIN = timedelta(minutes=10)
_SEALS_AT_A_TIME = 200
_NAMED = 5  # ranges of ids that a sentence names


class Anchor(NamedTuple):
    """A seal as somebody outside the database remembers it."""

    number: int
    seal_hash: str


class Finding(NamedTuple):
    """Something that is not as it was left: what, and the seal that shows it, if one does."""

    sentence: str
    seal: int | None = None


@dataclass(slots=True)
class VerificationReport:
    """What was looked at, and what is wrong. `remarks` are of what is odd, and breaks nothing.

    `waiting` entries have no seal yet, the oldest since `waiting_since` (ISO 8601, UTC). Up to the seal `anchored`,
    sealed at `anchored_at`, anchors prove that nobody made the chain anew, not even the server's superuser.
    """

    seals: int = 0
    entries: int = 0
    newest: Anchor | None = None
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    waiting: int = 0
    waiting_since: str = ""
    anchored: int | None = None
    anchored_at: str = ""

    @property
    def is_sound(self) -> bool:
        return not self.findings

    @property
    def first_broken_seal(self) -> int | None:
        return min((finding.seal for finding in self.findings if finding.seal is not None), default=None)


def anchors_in(text: str) -> list[Anchor]:
    """Read anchors from lines of the log, from the daily mail, or plain `number hash`.

    :raises NoAnchor: there is none.
    """
    found = [Anchor(int(number), seal_hash) for number, seal_hash in re.findall(r"\b(\d+)\s+([0-9a-f]{64})\b", text)]
    if not found:
        raise NoAnchor
    return found


def verify(*, anchors: Iterable[Anchor] = (), at: datetime | None = None, in_full: bool = False) -> VerificationReport:
    """Check the chain, every sealed entry, what the records hold, and that the trail is armed.

    With anchors also that nobody made the chain anew; with `at` that nothing waited for its seal for longer than
    `SEALED_WITHIN` by then; `in_full` reads whole histories rather than a sample.
    """
    report = verify_chain(anchors=anchors)
    report.findings += map(Finding, chain(disarmed(), differences(in_full=in_full)))
    if at is not None and report.waiting and _since(report) < at - SEALED_WITHIN:
        report.findings.append(Finding(f"Nothing was sealed since {report.waiting_since}: sealing stands still."))
    return report


def verify_chain(*, anchors: Iterable[Anchor] = ()) -> VerificationReport:
    """Check the chain and every sealed entry, and nothing that lies beside them."""
    return _Verification(anchors).run()


def _since(report: VerificationReport) -> datetime:
    """Since when the oldest entry waits; one that was forged may hold what is no moment."""
    try:
        return datetime.fromisoformat(report.waiting_since)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


class _Verification:
    """One walk along the chain."""

    def __init__(self, anchors: Iterable[Anchor]) -> None:
        self.report = VerificationReport()
        self.anchors = set(anchors)
        self.anchored = dict.fromkeys(anchor.number for anchor in self.anchors)  # number → the seal that is there
        self.coverage = Coverage()
        self.expected, self.previous_hash, self.highest_id = 1, NOTHING_BEFORE, 0
        self.made_at: datetime | None = None

    def run(self) -> VerificationReport:
        headers = read_headers("ORDER BY number")
        while chunk := list(islice(headers, _SEALS_AT_A_TIME)):
            self._compare_with_entries([pair for header in chunk if (pair := self._follow(header))])
            self._look_behind()
        self._look_behind()
        self._look_ahead()
        self._compare_with_anchors()
        return self.report

    def _find(self, sentence: str, seal: int | None = None) -> None:
        self.report.findings.append(Finding(sentence, seal))

    # The chain -------------------------------------------------------------------------------------------------------
    def _follow(self, header: Header) -> tuple[Header, list[Range]] | None:
        """Check a seal against the one before; None where it does not even say what it covers."""
        number, ranges = header.number, header.covered()
        if number != self.expected:
            self._find(f"Seal {self.expected} is missing; seal {number} stands in its place.", self.expected)
        elif header.previous_hash != self.previous_hash:
            self._find(f"Seal {number} does not follow seal {number - 1}.", number)
        if header.seal_hash != merkle.digest(header.content):
            self._find(f"Seal {number} was changed: its hash is not that of its content.", number)
        self.report.seals += 1
        self.report.newest = Anchor(number, header.seal_hash)
        self.expected, self.previous_hash = number + 1, header.seal_hash
        if number in self.anchored:
            self.anchored[number] = header
        if ranges is None:
            self._find(f"Seal {number} does not say when it was made, or which entries it covers.", number)
            return None
        if self.made_at and self.made_at - header.at > LATEST:
            self.report.remarks.append(
                f"Seal {number} says to be of {header.sealed_at}, and the one before it of"
                f" {self.made_at.isoformat()}: the sealer's clock was wrong at one of them."
            )
        self.made_at = header.at
        self.highest_id = max(self.highest_id, ranges[-1][1])
        if header.highest_id != self.highest_id or header.entry_count != _size(ranges):
            self._find(f"Seal {number} contradicts itself about the entries that it covers.", number)
        if not self.coverage.follow(header, ranges):
            self._find(f"Seal {number} covers entries that were sealed or settled before it.", number)
        return header, ranges

    def _compare_with_anchors(self) -> None:
        broken = self.report.first_broken_seal or HIGHEST
        for number, seal_hash in sorted(self.anchors):
            header = self.anchored[number]
            if header is None:
                self._find(f"Seal {number} is missing, and an anchor tells of it: the chain was cut off.", number)
            elif header.seal_hash != seal_hash:
                self._find(f"Seal {number} is not the one that was anchored: the chain was made anew.", number)
            elif number < broken:
                self.report.anchored, self.report.anchored_at = number, header.sealed_at

    # The entries -----------------------------------------------------------------------------------------------------
    def _compare_with_entries(self, seals: Sequence[tuple[Header, list[Range]]]) -> None:
        wanted = [(header.number, one) for header, ranges in seals for one in ranges]
        found = {}
        for number, pairs in groupby(read_entries_of(wanted), key=lambda pair: pair[0]):
            ids: list[Range] = []
            found[number] = (merkle.root(_hashed((entry for _, entry in pairs), ids)), ids)
        for header, ranges in seals:
            root, present = found.get(header.number, ("", []))
            self.report.entries += _size(present)
            if missing := _missing(ranges, present):
                self._find(f"Seal {header.number} misses {_named(missing)}.", header.number)
            elif root != header.root:
                self._find(
                    f"Seal {header.number} is broken: among {_named(ranges)} something was changed.", header.number
                )

    def _look_behind(self) -> None:
        """Find what no seal covers though its time has passed."""
        never, self.coverage.never = self.coverage.never, []
        if slipped_in := ranges_of(_ids_in(never)):
            self._find(f"No seal covers {_named(slipped_in)}, and none will: that came in behind the sealer's back.")

    def _look_ahead(self) -> None:
        """Count what waits for the next seal, and find what no sequence ever handed out."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM audit_auditentry WHERE id > (SELECT {LAST_ID}) ORDER BY id")
            beyond = ranges_of(one for (one,) in cursor.fetchall())
            if beyond:
                self._find(f"No sequence handed out the number of {_named(beyond)}: that is forged.")
            lows, highs = _columns(self.coverage.gaps(until=last_id()))
            cursor.execute(
                f"SELECT count(*), {MOMENT.format('min(at)')} FROM {_GIVEN} JOIN audit_auditentry ON {_IS_GIVEN}",
                [lows, highs],
            )
            count, since = cursor.fetchone()
            self.report.waiting, self.report.waiting_since = count, since or ""


def _hashed(entries: Iterable[Entry], ids: list[Range]) -> Iterator[bytes]:
    """The leaves of entries; notes their ids."""
    for entry in entries:
        extend(ids, entry["id"])
        yield merkle.leaf(entry)


_GIVEN, _IS_GIVEN = "unnest(%s::bigint[], %s::bigint[]) AS given (low, high)", "id BETWEEN low AND high"


def _ids_in(ranges: Sequence[Range]) -> list[int]:
    lows, highs = _columns(ranges)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {_GIVEN} JOIN audit_auditentry ON {_IS_GIVEN} ORDER BY id",
            [lows, highs],
        )
        return [one for (one,) in cursor.fetchall()]


def _columns(ranges: Sequence[Range]) -> tuple[list[int], list[int]]:
    return [low for low, _ in ranges], [high for _, high in ranges]


def _missing(ranges: list[Range], present: list[Range]) -> list[Range]:
    if ranges == present:
        return []
    return [
        gap
        for low, high in ranges
        for gap in gaps([one for one in present if one[1] >= low and one[0] <= high], above=low - 1, until=high)
    ]


def _size(ranges: Iterable[Range]) -> int:
    return sum(high - low + 1 for low, high in ranges)


def _named(ranges: Sequence[Range]) -> str:
    """Name some ids."""
    told = [str(low) if low == high else f"{low}–{high}" for low, high in ranges[:_NAMED]]
    told += ["…"] * (len(ranges) > _NAMED)
    return f"{'entry' if _size(ranges) == 1 else 'entries'} {', '.join(told)}"

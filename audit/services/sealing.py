"""Sealing: chain the roots of what was entered, so that no entry can be changed, removed or slipped in unnoticed.

Ids are handed out before their transactions commit, so entries appear out of order. No writer waits for the sealer;
instead it looks behind the newest seal for an hour (between seals, not from now: a restored database goes on where it
was). Whatever is visible and not covered by then is sealed. Later nothing is: an entry that appears behind it came in
without a transaction of ours, which end after ten minutes, and verification reports it.
"""

from __future__ import annotations

import json
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Max
from psycopg.errors import SerializationFailure

from audit.models import AuditEntry, Seal
from audit.services import merkle

log = logging.getLogger("clearance.audit")

NOTHING_BEFORE = "0" * 64  # the hash before the first seal's
LATEST = timedelta(hours=1)  # after which an entry that was not visible yet is not sealed any more
MOST_ENTRIES = 10_000  # of one seal: proving one of them takes the hashes of all
LOWEST, HIGHEST = -(2**63), 2**63 - 1

Range = tuple[int, int]
"""Ids from the first to the last, both included."""

Entry = dict[str, Any]
"""An entry as it is hashed and exported: every column of its row."""


@dataclass(frozen=True, slots=True)
class Header:
    """A seal as it is hashed and exported; `sealed_at` is ISO 8601 in UTC. Read as text: what it says may be forged."""

    number: int
    sealed_at: str
    ranges: Any
    highest_id: int
    entry_count: int
    root: str
    previous_hash: str
    seal_hash: str = ""

    @property
    def content(self) -> dict[str, Any]:
        """Everything that `seal_hash` covers."""
        return {name: value for name, value in asdict(self).items() if name != "seal_hash"}

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.sealed_at)

    def covered(self) -> list[Range] | None:
        """The ids that it covers; None where it says so in no way that a sealer would, or not when it was made."""
        try:
            is_dated = self.at.tzinfo is not None
            ranges = [(low, high) for low, high in self.ranges]
        except (TypeError, ValueError):
            return None
        ids = [one for pair in ranges for one in pair]
        if not is_dated or not ids or not all(type(one) is int for one in ids) or ids[0] < 1:
            return None
        pairs = pairwise(ranges)
        is_in_order = all(low <= high for low, high in ranges) and all(one[1] < other[0] for one, other in pairs)
        return ranges if is_in_order else None


@dataclass(slots=True)
class SealReport:
    """What one look of the sealer did."""

    seals: int = 0
    entries: int = 0
    newest_number: int = 0
    newest_hash: str = ""


def seal(*, at: datetime) -> SealReport:
    """Seal every visible entry that no seal covers; where another sealer was faster, leave it to that one.

    Each seal is a transaction of its own: what a killed sealer left, the next one does. The hashes also go to the log,
    where whoever rewrites the database does not reach them.
    """
    report = SealReport()
    while (made := _seal_unless_another_does(at=at)) is not None:
        report.seals += 1
        report.entries += made.entry_count
        report.newest_number, report.newest_hash = made.number, made.seal_hash
        if made.entry_count < MOST_ENTRIES:
            break
    return report


def _seal_unless_another_does(*, at: datetime) -> Header | None:
    """Make the next seal. Of two sealers the chain takes one; a lock to choose by could be held by anybody."""
    before = _newest_number()
    try:
        return _seal_next(at=at)
    except OperationalError as error:
        if isinstance(error.__cause__, SerializationFailure) and _newest_number() > before:
            return None
        raise


@transaction.atomic
def _seal_next(*, at: datetime) -> Header | None:
    newest, coverage = _recent_coverage()
    if newest and newest.covered() and newest.at - at > LATEST:
        log.warning("the clock stands before seal %d of %s: it was wrong then, or is now", newest.number, newest.at)
    found = sorted(read_entries(coverage.gaps(until=last_id()), most=MOST_ENTRIES), key=lambda entry: int(entry["id"]))
    if not found:
        return None
    ranges = ranges_of(entry["id"] for entry in found)
    new = Header(
        number=newest.number + 1 if newest else 1,
        sealed_at=at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        ranges=[list(one) for one in ranges],
        highest_id=max(ranges[-1][1], newest.highest_id if newest else 0),
        entry_count=len(found),
        root=merkle.root(map(merkle.leaf, found)),
        previous_hash=newest.seal_hash if newest else NOTHING_BEFORE,
    )
    sealed = Header(**new.content, seal_hash=merkle.digest(new.content))
    _append(sealed)
    transaction.on_commit(partial(_tell, sealed))
    return sealed


def _newest_number() -> int:
    return Seal.objects.aggregate(newest=Max("number"))["newest"] or 0


def _append(header: Header) -> None:
    given = {**asdict(header), "ranges": json.dumps(header.ranges)}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT audit_append_seal(ROW({', '.join(f'%({name})s' for name in given)})::audit_seal)", given
        )


def _tell(header: Header) -> None:
    """One line that can be an anchor: number and hash (`verify_audit --anchor`)."""
    log.info(
        "seal %d %s: %d entries up to %d, root %s",
        *(header.number, header.seal_hash, header.entry_count, header.highest_id, header.root),
    )


# What seals cover ----------------------------------------------------------------------------------------------------
class Coverage:
    """Follows the chain, and knows which ids are covered above the `floor`: up to there, all is settled."""

    def __init__(self) -> None:
        self.floor = 0
        self.ranges: list[Range] = []  # in order, disjoint
        self.never: list[Range] = [(LOWEST, 0)]  # settled without a seal: used by nobody, or by whoever rolled back
        self._recent: deque[tuple[datetime, int]] = deque()  # of each seal that is not settled: when, and how far

    def follow(self, header: Header, ranges: Sequence[Range]) -> bool:
        """Take the next seal in; False if it covers what is settled or covered already."""
        are_new = [self._add(one) for one in ranges]
        # One that says to be younger than the next was made by a wrong clock: it counts from the next one on.
        self._recent = deque((min(at, header.at), highest_id) for at, highest_id in self._recent)
        while self._recent and header.at - self._recent[0][0] >= LATEST:
            self._settle(self._recent.popleft()[1])
        self._recent.append((header.at, header.highest_id))
        return all(are_new)

    def _add(self, one: Range) -> bool:
        place = bisect_right(self.ranges, one)
        before, after = self.ranges[place - 1 : place], self.ranges[place : place + 1]
        if one[0] <= self.floor or any(low <= one[1] and high >= one[0] for low, high in before + after):
            return False
        self.ranges.insert(place, one)
        return True

    def _settle(self, floor: int) -> None:
        self.never += self.gaps(until=floor)
        self.floor = max(self.floor, floor)
        self.ranges = [(max(low, self.floor + 1), high) for low, high in self.ranges if high > self.floor]

    def gaps(self, *, until: int) -> list[Range]:
        """The ids above the floor that no seal covers."""
        return gaps(self.ranges, above=self.floor, until=until)


def gaps(ranges: Iterable[Range], *, above: int, until: int) -> list[Range]:
    """What disjoint ranges in order leave out of the ids after `above` up to `until`."""
    found, begin = [], above + 1
    for low, high in ranges:
        if low > begin:
            found.append((begin, min(low - 1, until)))
        begin = max(begin, high + 1)
        if begin > until:
            break
    else:
        found.append((begin, until))
    return [one for one in found if one[0] <= one[1]]


def ranges_of(ids: Iterable[int]) -> list[Range]:
    """Write ids that are in order as ranges."""
    found: list[Range] = []
    for one in ids:
        extend(found, one)
    return found


def extend(ranges: list[Range], one: int) -> None:
    """Add the next id to ranges."""
    if ranges and ranges[-1][1] + 1 == one:
        ranges[-1] = (ranges[-1][0], one)
    else:
        ranges.append((one, one))


def _recent_coverage() -> tuple[Header | None, Coverage]:
    """The newest seal, and what may still be sealed: read backwards, as far as an hour before it."""
    recent: deque[Header] = deque()
    for header in read_headers("ORDER BY number DESC"):
        recent.appendleft(header)
        if recent[-1].at - header.at >= LATEST:
            break
    coverage = Coverage()
    for header in recent:
        coverage.follow(header, header.covered() or [])
    return (recent[-1] if recent else None), coverage


# Reading, the same way for sealing, verification and proofs ----------------------------------------------------------
MOMENT = """
    CASE WHEN {0} BETWEEN '0001-01-01' AND '9999-12-31'
        THEN to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') ELSE {0}::text END
"""
# What is not read as it is: times and addresses, as text that depends on no session's settings.
_AS_TEXT = {"at": MOMENT.format("at"), "ip_address": "abbrev(ip_address)"}
COLUMNS = [str(field.column) for field in AuditEntry._meta.concrete_fields]
_ENTRY = ", ".join(f"{_AS_TEXT.get(column, column)} AS {column}" for column in COLUMNS)
_CHUNK = 500


def read_entries(ranges: Sequence[Range], *, most: int | None = None) -> Iterator[Entry]:
    """The entries in ranges of ids, range by range; at most so many."""
    for _, entry in read_entries_of([(0, one) for one in ranges], most=most):
        yield entry


def read_entries_of(ranges: Sequence[tuple[int, Range]], *, most: int | None = None) -> Iterator[tuple[int, Entry]]:
    """The entries in numbered ranges with their numbers, in this order, by id within each."""
    if not ranges:
        return
    sql = f"""
        SELECT given.number, entry.*
        FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) WITH ORDINALITY AS given (number, low, high, place)
        CROSS JOIN LATERAL (
            SELECT {_ENTRY} FROM audit_auditentry WHERE id BETWEEN given.low AND given.high ORDER BY id
        ) AS entry
        {"LIMIT %s" if most else "ORDER BY given.place, entry.id"}
    """
    numbers, lows, highs = zip(*((number, low, high) for number, (low, high) in ranges), strict=True)
    for number, *values in _rows(sql, [list(numbers), list(lows), list(highs), *([most] if most else [])]):
        yield number, dict(zip(COLUMNS, values, strict=True))


_HEADER = f"number, {MOMENT.format('sealed_at')}, ranges::text, highest_id, entry_count, root, previous_hash, seal_hash"


def read_headers(clauses: str, parameters: Sequence[Any] = ()) -> Iterator[Header]:
    """Seals, as `clauses` of SQL choose and order them."""
    for number, at, ranges, *others in _rows(f"SELECT {_HEADER} FROM audit_seal {clauses}", parameters):
        yield Header(number, at, _parsed(ranges), *others)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # nested too deep, or a number of too many digits
        return None


def last_id() -> int:
    """The highest id that was ever handed out. An entry beyond it is forged, and none of the sealer's business."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {LAST_ID}")
        return int(cursor.fetchone()[0])


LAST_ID = "coalesce(pg_sequence_last_value(pg_get_serial_sequence('audit_auditentry', 'id')::regclass), 0)"


def _rows(sql: str, parameters: Sequence[Any]) -> Iterator[Any]:
    """Rows of a statement; the server keeps what was not asked for yet."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, parameters)
        while rows := cursor.fetchmany(_CHUNK):
            yield from rows

"""Check an export of Clearance's audit trail, without Clearance: Python 3.9 or newer is all it takes.

    python verify_trail.py EXPORT.zip [--anchor FILE]

An anchor is a line with the number and the hash of a seal, as Clearance mails it daily and writes it to its log.

1. Each entry: SHA-256 over a zero byte and the entry's canonical JSON (RFC 8785) is its leaf. From leaf, index and path
   follows the root of a Merkle tree (RFC 6962; RFC 9162, 2.1.3.2), which must be the root in the entry's seal.
2. Each seal: its hash covers everything else in it, with the hash of the seal before.
3. The table: entries.csv must say what the entries say.
4. The timeline of an evidence pack: its SHA-256 must be what the entry of the pack itself tells.
5. The anchors: the seals that they name must have the hashes that they name.
"""

import argparse
import csv
import hashlib
import io
import json
import pathlib
import re
import sys
import zipfile
import zlib
from datetime import datetime, timedelta, timezone

LATEST = timedelta(hours=1)  # an entry that is older than the newest seal by so much has a seal, or was slipped in
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # the table writes an apostrophe before such texts
NOT_SEALED = "not sealed yet"
TIMELINE, PACK = "timeline.html", "audit.evidencepack"
FILES = {"entries.csv", "entries.jsonl", "seals.jsonl", "README.txt", "verify_trail.py", TIMELINE}


class Broken(Exception):
    """Something is not as it was sealed."""


# What a file that is no export runs into.
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, OSError, zipfile.BadZipFile, zlib.error)


def require(condition, sentence):
    if not condition:
        raise Broken(sentence)


def sha256(data):
    return hashlib.sha256(data).digest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def lines_of(archive, name):
    """Each line of a file as JSON; it must be written the canonical way, so that nobody reads anything else in it."""
    with archive.open(name) as file:
        for number, line in enumerate(file, start=1):
            try:
                value = json.loads(line)
            except ValueError:
                raise Broken(f"Line {number} of {name} is no JSON.") from None
            require(canonical(value) + b"\n" == line, f"Line {number} of {name} is not written as Clearance writes it.")
            yield value


def moment(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


# The chain -----------------------------------------------------------------------------------------------------------
def read_chain(archive):
    """The seals by number, each checked against its own hash and the seal before."""
    seals, before = {}, None
    for seal in lines_of(archive, "seals.jsonl"):
        number = seal["number"]
        content = {name: value for name, value in seal.items() if name != "seal_hash"}
        require(sha256(canonical(content)).hex() == seal["seal_hash"], f"Seal {number} was changed.")
        if before:
            require(number == before["number"] + 1, f"Seal {before['number'] + 1} is missing.")
            require(seal["previous_hash"] == before["seal_hash"], f"Seal {number} does not follow the seal before it.")
        else:
            require(number != 1 or seal["previous_hash"] == "0" * 64, "Seal 1 follows something that is not there.")
        size = sum(high - low + 1 for low, high in seal["ranges"])
        require(size == seal["entry_count"] > 0, f"Seal {number} does not cover as many entries as it says.")
        seals[number] = before = seal
    ranges = sorted((low, high, number) for number, seal in seals.items() for low, high in seal["ranges"])
    for (_, high, _), (low, _, number) in zip(ranges, ranges[1:]):  # noqa: B905, RUF007 - Python 3.9 knows no better
        require(high < low, f"Seal {number} covers what another seal covers already.")
    return seals


def settled_up_to(seals):
    """The highest id below which every entry has its seal: that of the seals an hour before the newest."""
    times = {number: moment(seal["sealed_at"]) for number, seal in seals.items()}
    newest = times[max(times)] if times else None
    return max((seals[number]["highest_id"] for number, at in times.items() if newest - at >= LATEST), default=0)


# The entries ---------------------------------------------------------------------------------------------------------
def root_from(leaf, index, size, path):
    """RFC 9162, 2.1.3.2: from a leaf up to the root; None where the path does not fit the tree."""
    position, last, node = index, size - 1, leaf
    for beside in map(bytes.fromhex, path):
        if last == 0:
            return None
        if position % 2 == 1 or position == last:
            node = sha256(b"\x01" + beside + node)
            while position % 2 == 0 and position:
                position, last = position // 2, last // 2
        else:
            node = sha256(b"\x01" + node + beside)
        position, last = position // 2, last // 2
    return node if last == 0 else None


def id_at(index, ranges):
    """Which entry a seal has at an index."""
    for low, high in ranges:
        if index <= high - low:
            return low + index
        index -= high - low + 1
    return None


def check_entry(line, seals, settled):
    """True if the entry is proven, False if it has no seal yet."""
    entry, number = line["entry"], line["seal"]
    name = f"Entry {entry['id']}"
    if number is None:
        require(entry["id"] > settled, f"{name} has no seal, though those around it have: it was slipped in.")
        return False
    require(number in seals, f"{name} refers to seal {number}, which is not there.")
    seal = seals[number]
    require(0 <= line["index"] < seal["entry_count"], f"{name} has no place in seal {number}.")
    require(id_at(line["index"], seal["ranges"]) == entry["id"], f"{name} is not the one that seal {number} has there.")
    root = root_from(sha256(b"\x00" + canonical(entry)), line["index"], seal["entry_count"], line["path"])
    require(root is not None and root.hex() == seal["root"], f"{name} is not what seal {number} sealed.")
    return True


def cell(value):
    text = "" if value is None else str(value)
    return "'" + text if text.startswith(FORMULAS) else text


def check_row(line, columns, row):
    entry = line["entry"]
    require(row is not None, f"Entry {entry['id']} is missing in entries.csv.")
    require(sorted(columns) == sorted([*entry, "seal"]), "The columns of entries.csv are not those of the entries.")
    expected = [cell(entry[column]) for column in columns[:-1]] + [str(line["seal"] or NOT_SEALED)]
    require(row == expected, f"Entry {entry['id']} reads otherwise in entries.csv.")


# The timeline --------------------------------------------------------------------------------------------------------
def told_timelines(line):
    """The hash of the timeline that an entry tells of, if it is one of a pack."""
    entry = line["entry"]
    return {json.loads(entry["changes"])["timeline"]} if entry["entity_type"] == PACK else set()


def check_timeline(archive, proven, waiting):
    """A sentence about the timeline, if there is one; its hash must be among those that entries tell of."""
    if TIMELINE not in archive.namelist():
        return []
    digest = sha256(archive.read(TIMELINE)).hex()
    if digest in proven:
        return [f"{TIMELINE} is the page that was exported."]
    require(digest in waiting, f"{TIMELINE} is not the page that was exported: no entry tells of it.")
    return [f"The entry that tells of {TIMELINE} has no seal yet: nothing proves the page so far."]


# The anchors ---------------------------------------------------------------------------------------------------------
def check_anchors(text, seals):
    """Return the newest seal that an anchor confirms."""
    anchors = {int(number): seal_hash for number, seal_hash in re.findall(r"\b(\d+)\s+([0-9a-f]{64})\b", text)}
    require(anchors, "There is no anchor in that file: it takes the number of a seal and its hash.")
    first, last = min(seals, default=1), max(seals, default=0)
    for number, seal_hash in sorted(anchors.items()):
        if number >= first:
            require(
                number <= last,
                f"The chain ends at seal {last}, before seal {number} of the anchor: either its end was cut off, or "
                "the anchor is younger than this export. Take one from before it.",
            )
            require(
                seals[number]["seal_hash"] == seal_hash, f"Seal {number} is not the anchored one: it was made anew."
            )
    confirmed = [number for number in anchors if number >= first]
    require(confirmed, f"All anchors are older than seal {first}, with which this export begins. Take a younger one.")
    return max(confirmed)


def verify(file, anchor_text=None):
    """Check an export; return sentences about what is proven.

    Raises Broken at the first thing that is not as it was sealed.
    """
    with zipfile.ZipFile(file) as archive:
        strange = sorted(set(archive.namelist()) - FILES)
        require(not strange, f"{', '.join(strange)}: that is in no export.")
        require(len(archive.namelist()) == len(set(archive.namelist())), "A file is in it twice.")
        seals = read_chain(archive)
        settled, proven, waiting, last_id = settled_up_to(seals), 0, 0, None
        pages_proven, pages_waiting = set(), set()
        with io.TextIOWrapper(archive.open("entries.csv"), encoding="utf-8-sig", newline="") as table:
            rows = csv.reader(table)
            columns = next(rows, [])
            for line in lines_of(archive, "entries.jsonl"):
                entry_id = line["entry"]["id"]
                require(last_id is None or entry_id > last_id, f"Entry {entry_id} is out of order.")
                last_id = entry_id
                if check_entry(line, seals, settled):
                    proven += 1
                    pages_proven |= told_timelines(line)
                else:
                    waiting += 1
                    pages_waiting |= told_timelines(line)
                check_row(line, columns, next(rows, None))
            require(next(rows, None) is None, "entries.csv has a row that is no entry.")
        timeline = check_timeline(archive, pages_proven, pages_waiting)
    told = [f"{proven} entries are what was sealed, in seals {min(seals)} to {max(seals)}." if seals else "No seals."]
    if waiting:
        told.append(f"{waiting} entries have no seal yet: nothing proves them so far.")
    told += timeline
    if anchor_text is None:
        told.append("No anchor was given: whoever rules the database could have made all of it anew.")
    else:
        told.append(f"The chain up to seal {check_anchors(anchor_text, seals)} is the one that was anchored.")
    return told


def main():
    parser = argparse.ArgumentParser(description="Check an export of Clearance's audit trail.")
    parser.add_argument("export")
    parser.add_argument(
        "--anchor", help="a file with the number and the hash of a seal, from the daily mail or the log"
    )
    given = parser.parse_args()
    try:
        anchor_text = pathlib.Path(given.anchor).read_text(encoding="utf-8") if given.anchor else None
        print("\n".join(verify(given.export, anchor_text)))
    except Broken as broken:
        print(f"BROKEN: {broken}")
        return 1
    except UNREADABLE as error:
        print(f"BROKEN: this is no whole export of the trail ({type(error).__name__}: {error}).")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

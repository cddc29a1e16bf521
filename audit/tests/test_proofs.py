from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import services as audit
from audit.models import AuditEntry, Seal
from audit.services import merkle, sealing
from audit.tests import chains
from clearance import context
from clearance.tests.recipes import NOON


def opened(archive: bytes) -> ZipFile:
    return ZipFile(io.BytesIO(archive))


def lines_of(archive: bytes, name: str = "entries.jsonl") -> list[dict]:
    return [json.loads(line) for line in opened(archive).read(name).splitlines()]


def with_changed(archive: bytes, name: str, change) -> bytes:
    """The same zip with one file's lines changed."""
    out = io.BytesIO()
    with opened(archive) as before, ZipFile(out, "w", ZIP_DEFLATED) as after:
        for member in before.namelist():
            content = before.read(member)
            after.writestr(member, b"".join(change(content.splitlines(keepends=True))) if member == name else content)
    return out.getvalue()


# Merkle trees --------------------------------------------------------------------------------------------------------
def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return merkle.node(root_by_definition(leaves[:split]), root_by_definition(leaves[split:]))


class TestATree:
    @given(st.integers(0, 200))
    def test_has_the_root_that_the_standard_defines(self, size):
        leaves = [merkle.leaf(number) for number in range(size)]

        root = merkle.root(iter(leaves))

        assert root == root_by_definition(leaves).hex()

    @given(st.integers(1, 200), st.data())
    def test_shows_of_each_leaf_that_it_is_in_it_to_another_implementation(self, size, data):
        leaves = [merkle.leaf(number) for number in range(size)]
        index = data.draw(st.integers(0, size - 1))

        path = merkle.Tree(leaves).path(index)

        assert chains.verifier.root_from(leaves[index], index, size, path).hex() == merkle.root(leaves)
        for another in {(index + 1) % size, size - 1 - index} - {index}:
            assert chains.verifier.root_from(leaves[index], another, size, path) != bytes.fromhex(merkle.root(leaves))

    def test_agrees_with_published_roots(self):
        # The test vectors of certificate transparency's reference implementation.
        inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
        leaves = [hashlib.sha256(b"\x00" + bytes.fromhex(one)).digest() for one in inputs]

        roots = [merkle.root(leaves[:size]) for size in (1, 2, 3, 8)]

        assert roots == [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ]


class TestCanonicalJson:
    def test_sorts_and_says_everything_in_one_way(self):
        assert merkle.canonical({"b": [1, None, True], "a": "مسقط\n\u001f"}) == (
            '{"a":"مسقط\\n\\u001f","b":[1,null,true]}'.encode()
        )


# Exports -------------------------------------------------------------------------------------------------------------
class TestAnExport:
    def test_of_everything_is_accepted_by_the_stand_alone_script(self, shipment, tmp_path):
        chains.grown(shipment)
        anchor = chains.anchor()
        (tmp_path / "export.zip").write_bytes(chains.exported())
        (tmp_path / "anchor").write_text(f"{anchor.number} {anchor.seal_hash}")
        with opened(chains.exported()) as archive:
            archive.extract("verify_trail.py", tmp_path)

        # Isolated: without our code, our libraries and our environment.
        done = subprocess.run(
            [sys.executable, "-I", "-S", "verify_trail.py", "export.zip", "--anchor", "anchor"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.returncode, done.stderr) == (0, "")
        assert f"{AuditEntry.objects.count()} entries are what was sealed, in seals 1 to 12." in done.stdout
        assert "up to seal 12 is the one that was anchored" in done.stdout

    def test_has_the_same_hashes_in_both_implementations(self, shipment):
        chains.grown(shipment, seals=3)
        archive = chains.exported()

        entries = {line["entry"]["id"]: line["entry"] for line in lines_of(archive)}
        (header, *_) = sealing.read_headers("WHERE number = 2")

        leaves = [
            chains.verifier.sha256(b"\x00" + chains.verifier.canonical(entries[pk]))
            for low, high in header.ranges
            for pk in range(low, high + 1)
        ]
        assert merkle.root(leaves) == header.root
        assert chains.verifier.sha256(chains.verifier.canonical(header.content)).hex() == header.seal_hash

    def test_of_some_entries_brings_the_seals_from_the_first_that_they_need(self, shipment):
        chains.grown(shipment, seals=6)
        (low, _), *_ = Seal.objects.get(number=4).ranges

        archive = b"".join(audit.archive(AuditEntry.objects.filter(pk=low), at=NOON))

        assert [line["number"] for line in lines_of(archive, "seals.jsonl")] == [4, 5, 6]
        assert [line["seal"] for line in lines_of(archive)] == [4]
        assert chains.what_is_broken(archive) == ""

    def test_marks_what_has_no_seal_yet(self, shipment):
        chains.grown(shipment, seals=2)
        chains.change(shipment, 2)

        archive = chains.exported()

        told = chains.verifier.verify(io.BytesIO(archive))
        assert "2 entries have no seal yet: nothing proves them so far." in told
        assert [line["seal"] for line in lines_of(archive)][-3:] == [2, None, None]
        assert opened(archive).read("entries.csv").decode().splitlines()[-1].endswith("not sealed yet")

    def test_finds_entries_of_seals_that_cross(self, shipment, noon):
        """As late committers leave them: a later seal covers an earlier id."""
        audit.seal(at=noon)
        chains.change(shipment, 6)
        first, *_, last = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True)[:6]
        (before,) = sealing.read_headers("")
        for number, ids in ((2, range(last, first + 1, 2)), (3, range(last + 1, first + 1, 2))):
            before = append(before, number, list(ids))

        archive = chains.exported()

        assert [line["seal"] for line in lines_of(archive)][-6:] == [2, 3, 2, 3, 2, 3]
        assert chains.what_is_broken(archive) == ""
        assert audit.verify().is_sound

    def test_of_nothing_is_an_archive_all_the_same(self, db):
        archive = b"".join(audit.archive(AuditEntry.objects.none(), at=NOON))

        assert opened(archive).testzip() is None
        assert lines_of(archive) == lines_of(archive, "seals.jsonl") == []
        assert chains.what_is_broken(archive) == ""

    def test_tells_how_to_check_it_and_brings_further_pages(self, shipment):
        chains.grown(shipment, seals=2)
        anchor = chains.anchor()

        archive = opened(chains.exported(pages={"timeline.html": ["<p>", "مسقط"]}))

        readme = archive.read("README.txt").decode()
        assert f"The newest seal here: {anchor.number} {anchor.seal_hash}" in readme
        assert archive.read("timeline.html").decode() == "<p>مسقط"
        assert archive.read("verify_trail.py").decode() == chains.SCRIPT.read_text()

    def test_has_a_table_without_formulas(self, shipment, noon):
        with context.remarking(reason="=HYPERLINK(1)"):
            chains.change(shipment)
        audit.seal(at=noon)

        archive = chains.exported()

        *_, row = csv.DictReader(io.StringIO(opened(archive).read("entries.csv").decode("utf-8-sig")))
        assert row["reason"] == "'=HYPERLINK(1)"
        assert chains.what_is_broken(archive) == ""

    def test_holds_no_more_in_memory_the_more_it_has(self, shipment, noon):
        def peak(number: int) -> int:
            entries = AuditEntry.objects.filter(pk__gt=newest - number)
            tracemalloc.start()
            size = sum(len(piece) for piece in audit.archive(entries, at=noon))
            (_, most), _ = tracemalloc.get_traced_memory(), tracemalloc.stop()
            assert size > number * 20
            return most

        for minutes in range(12):
            chains.many(shipment, 1000)
            audit.seal(at=noon + timedelta(minutes=minutes))
        newest = AuditEntry.objects.latest("pk").pk
        peak(500)

        few, many = peak(5_000), peak(12_000)

        assert many < few * 1.25


def append(before: sealing.Header, number: int, ids: list[int]) -> sealing.Header:
    ranges = sealing.ranges_of(ids)
    header = replace(
        before,
        number=number,
        ranges=[list(one) for one in ranges],
        highest_id=max(before.highest_id, ids[-1]),
        entry_count=len(ids),
        root=merkle.root(map(merkle.leaf, sealing.read_entries(ranges))),
        previous_hash=before.seal_hash,
    )
    header = replace(header, seal_hash=merkle.digest(header.content))
    sealing._append(header)
    return header


# Forged exports ------------------------------------------------------------------------------------------------------
class TestTheStandAloneScript:
    @pytest.fixture
    def archive(self, shipment) -> bytes:
        chains.grown(shipment, seals=5, entries=4)
        return chains.exported()

    def test_finds_every_change_of_a_byte(self, archive):
        chance, missed = random.Random(20), []

        for name in ("entries.jsonl", "entries.csv", "seals.jsonl") * 40:

            def change(lines, name=name):
                place = chance.randrange(1 if name == "entries.csv" else 0, len(lines))
                line = bytearray(lines[place])
                at = chance.randrange(len(line) - 1)
                line[at] = chance.choice([byte for byte in b'a0"{, ' if byte != line[at]])
                return [*lines[:place], bytes(line), *lines[place + 1 :]]

            forged = with_changed(archive, name, change)
            if not chains.what_is_broken(forged) and rows_of(forged) != rows_of(archive):
                missed.append(name)

        assert missed == []

    @pytest.mark.parametrize(
        ("name", "change", "told"),
        [
            ("seals.jsonl", lambda lines: lines[1:], "refers to seal 1, which is not there"),
            ("seals.jsonl", lambda lines: lines[:2] + lines[3:], "Seal 3 is missing."),
            ("seals.jsonl", lambda lines: lines[:-1], "refers to seal 5, which is not there"),
            ("seals.jsonl", lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "Seal 2 is missing."),
            ("entries.jsonl", lambda lines: [*lines[:2], lines[0], *lines[2:]], "is out of order"),
            ("entries.jsonl", lambda lines: lines[1:], "reads otherwise in entries.csv"),
            ("entries.csv", lambda lines: lines[:-1], "is missing in entries.csv"),
            ("entries.csv", lambda lines: [*lines, lines[-1]], "a row that is no entry"),
            ("entries.csv", lambda lines: [lines[0].replace(b"reason", b"x"), *lines[1:]], "columns of entries.csv"),
            ("entries.jsonl", lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]], "not written as Clearance"),
            ("entries.jsonl", lambda lines: [b"\xff\n", *lines[1:]], "Line 1 of entries.jsonl is no JSON"),
        ],
    )  # fmt: skip
    def test_says_what_is_wrong(self, archive, name, change, told):
        assert told in chains.what_is_broken(with_changed(archive, name, change))

    def test_names_the_entry_that_is_not_what_was_sealed(self, archive):
        (low, _), *_ = Seal.objects.get(number=3).ranges

        def change(lines):
            parsed = [json.loads(line) for line in lines]
            for line in parsed:
                if line["entry"]["id"] == low:
                    line["entry"]["user_name"] = "Somebody Else"
            return [merkle.canonical(line) + b"\n" for line in parsed]

        assert chains.what_is_broken(with_changed(archive, "entries.jsonl", change)) == (
            f"Entry {low} is not what seal 3 sealed."
        )

    def test_accepts_only_the_chain_that_was_anchored(self, archive):
        anchor = chains.anchor()

        assert chains.what_is_broken(archive, f"seal {anchor.number} {anchor.seal_hash}: 5 entries") == ""
        assert "made anew" in chains.what_is_broken(archive, f"5 {'0' * 64}")
        assert "end was cut off" in chains.what_is_broken(archive, f"6 {anchor.seal_hash}")
        assert "no anchor in that file" in chains.what_is_broken(archive, "nothing")

    def test_ends_with_one_and_a_sentence(self, archive, tmp_path):
        (tmp_path / "export.zip").write_bytes(with_changed(archive, "seals.jsonl", lambda lines: lines[1:]))
        (tmp_path / "other.zip").write_bytes(b"PK")

        for name, told in (("export.zip", "BROKEN: Entry"), ("other.zip", "BROKEN: this is no whole export")):
            done = subprocess.run(
                [sys.executable, "-I", chains.SCRIPT, tmp_path / name], capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stderr) == (1, "")
            assert done.stdout.startswith(told)


def rows_of(archive: bytes) -> list[list[str]]:
    """What a reader of the table sees: the quotes around a cell are none of it."""
    return list(csv.reader(io.StringIO(opened(archive).read("entries.csv").decode("utf-8-sig", "replace"))))

from __future__ import annotations

import re

import pytest

from clearance.embedded import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)

# ASVS 5.0.0: of each section, the levels of its requirements in their order.
LEVELS = {
    "1.1": "22", "1.2": "1111122223", "1.3": "112222222223", "1.4": "222", "1.5": "123",
    "2.1": "122", "2.2": "112", "2.3": "12223", "2.4": "23",
    "3.1": "3", "3.2": "113", "3.3": "12223", "3.4": "11222233", "3.5": "11122333", "3.6": "3", "3.7": "22333",
    "4.1": "12233", "4.2": "23333", "4.3": "22", "4.4": "1222",
    "5.1": "2", "5.2": "112333", "5.3": "113", "5.4": "222",
    "6.1": "122", "6.2": "111111112222", "6.3": "11223333", "6.4": "112233", "6.5": "22222333", "6.6": "2223",
    "6.7": "33", "6.8": "2222",
    "7.1": "222", "7.2": "1111", "7.3": "22", "7.4": "11222", "7.5": "223", "7.6": "22",
    "8.1": "1233", "8.2": "1123", "8.3": "133", "8.4": "23",
    "9.1": "111", "9.2": "1222",
    "10.1": "22", "10.2": "223", "10.3": "22223", "10.4": "1111122222233333", "10.5": "22222", "10.6": "22",
    "10.7": "222",
    "11.1": "2233", "11.2": "22233", "11.3": "11233", "11.4": "1222", "11.5": "23", "11.6": "23", "11.7": "33",
    "12.1": "12233", "12.2": "11", "12.3": "22223",
    "13.1": "2333", "13.2": "222223", "13.3": "2233", "13.4": "1222233",
    "14.1": "22", "14.2": "12223333", "14.3": "122",
    "15.1": "12233", "15.2": "12233", "15.3": "1222222", "15.4": "3333",
    "16.1": "2", "16.2": "22222", "16.3": "2222", "16.4": "222", "16.5": "2223",
    "17.1": "23", "17.2": "22223333", "17.3": "22",
}  # fmt: skip
WANTED = {
    f"{section}.{number}": level
    for section, levels in LEVELS.items()
    for number, level in enumerate(levels, 1)
    if level in "12"
}


def outside() -> set[str]:
    """The requirements of the part about what does not apply."""
    part = PAGE.partition("## What does not apply")[2].partition("\n## ")[0]
    found = set()
    for first, last in re.findall(r"(\d+\.\d+\.\d+)(?: – (\d+\.\d+\.\d+))?", part):
        section, _, number = first.rpartition(".")
        until = int((last or first).rpartition(".")[2])
        found |= {f"{section}.{one}" for one in range(int(number), until + 1)}
    return found


class TestTheTableOfSecurity:
    def test_has_every_requirement_once_with_its_level(self):
        told = {number: level for number, level, *_ in ROWS}

        assert len(WANTED) == 253
        assert len(told) == len(ROWS)
        assert told.keys() & outside() == set()
        assert told.keys() | outside() == WANTED.keys()
        assert {number: level for number, level in told.items() if WANTED[number] != level} == {}

    @pytest.mark.parametrize(
        "name", sorted(set(re.findall(r"`([\w./-]+\.(?:py|md|json|in|txt|yml))(?:::\w+)?`", PAGE)))
    )
    def test_names_files_that_are_there(self, name):
        assert (ROOT / name).is_file()

    @pytest.mark.parametrize("proof", sorted(set(re.findall(r"`([\w/]+\.py::\w+)`", PAGE))))
    def test_names_tests_that_are_there(self, proof):
        file, _, name = proof.partition("::")

        assert re.search(rf"^(class|    def) {name}\b", (ROOT / file).read_text(), re.MULTILINE)

    def test_names_settings_that_are_there(self):
        settings = (ROOT / "clearance" / "settings.py").read_text() + (ROOT / ".env.example").read_text()
        named = set(re.findall(r"`([A-Z][A-Z_]{5,})`", PAGE)) - {"AMENDABLE"}

        assert len(named) > 15
        assert [name for name in sorted(named) if name not in settings] == []

    def test_has_a_proof_or_says_why_there_is_none(self):
        silent = [
            number
            for number, _level, _asks, where, proof in ROWS
            if "::" not in proof and "test_" not in proof and not proof.startswith("– ")
            if "not met" not in where and "duty" not in where and "as above" not in where and "as promised" not in where
        ]

        assert silent == []

"""Every benchmark runs, at a hundredth of its size, so that what is built later breaks none of them unseen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.__main__ import BEGIN, END, README, names, table
from benchmarks.measure import RESULTS
from clearance.embedded import ROOT
from clearance.tests import databases


@pytest.fixture(scope="module")
def template(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """What every scratch database starts as."""
    with django_db_blocker.unblock(), databases.spare() as name:
        yield name


def run(*arguments: str, template: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "BENCH_SIZE": "0.01", "BENCH_TEMPLATE": template},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def kept() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (README, *RESULTS.iterdir())}


class TestABenchmark:
    @pytest.mark.parametrize("name", names())
    def test_measures_at_a_hundredth_of_its_size_and_keeps_nothing(self, name, template):
        before = kept()

        done = run(f"benchmarks.{name}", template=template)

        assert done.returncode == 0, done.stderr
        title, *lines = done.stdout.splitlines()
        checks = [line for line in lines if re.search(r" [≤≥] [\d,.]+  (met|MISSED)$", line)]
        figures = [line for line in lines if re.search(r"\S {2,}[\d,.e+-]+$", line)]
        assert title
        assert checks
        assert figures
        assert kept() == before


class TestAllOfThem:
    def test_one_that_fails_stops_no_other_and_is_told_at_the_end(self):
        before = kept()

        done = run("benchmarks", "none_of_that_name", "read")

        assert done.returncode == 1
        assert "Read 100 × 40 .xlsx" in done.stdout
        assert done.stderr.splitlines()[-1] == "failed: none_of_that_name"
        assert kept() == before

    def test_the_readme_has_the_table_of_the_kept_results(self):
        assert table() == README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]

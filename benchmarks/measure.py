"""What every benchmark needs: parts in processes of their own, medians, targets, and the report.

Knows nothing of Django: the process that measures stays small, so that the memory of its parts is theirs alone.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LIBRARIES = (
    "django", "djangorestframework", "django-import-export", "psycopg", "python-calamine", "openpyxl", "orjson",
    "gunicorn",
)  # fmt: skip

SERVER: dict[str, str] = {}  # the database server's version, once one was used
BEGUN_AT = time.monotonic()

# How much of its full size everything has: 0.01 is a hundredth of the shipments, the rounds and the seconds. Only what
# has its full size is kept as a result.
SIZE = float(os.environ.get("BENCH_SIZE") or 1)

Figures = dict[str, float]


def sized(full: int, *, at_least: int = 1) -> int:
    """So many of what would be `full` at full size."""
    return max(round(full * SIZE), at_least)


# Measuring -----------------------------------------------------------------------------------------------------------
def part(module: str, function: str, *arguments: object) -> Figures:
    """Run one part of a benchmark in a process of its own; return its figures, with its `peak_mb`.

    :raises RuntimeError: it failed; why stands on stderr.
    """
    asked = json.dumps([module, function, *map(str, arguments)])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(_starter(with_django=module not in WITHOUT_DJANGO))
        client.sendall(f"{asked}\n".encode())
        told = b"".join(iter(lambda: client.recv(1 << 16), b""))
    if not told:
        raise RuntimeError(f"This part failed: {asked}")
    found: Figures = json.loads(told)
    return found


WITHOUT_DJANGO = {"load", "reading"}  # parts whose memory, or whose processor time, is to be theirs alone
_starters: dict[object, str] = {}  # the socket of each, by what it has loaded
_until_the_end = ExitStack()
atexit.register(_until_the_end.close)


def _starter(*, with_django: bool) -> str:
    """The socket of a process that starts parts in this environment: it has loaded Django once, and forks for each."""
    known = (with_django, frozenset(os.environ.items()))
    if known not in _starters:
        folder = _until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="clearance-bench-", dir="/tmp"))
        address = f"{folder}/starter.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            loaded = ["django"] if with_django else []
            command = [sys.executable, "-m", "benchmarks.parts", str(listener.fileno()), *loaded]
            process = subprocess.Popen(command, cwd=ROOT, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL)
        _until_the_end.callback(process.wait)
        _until_the_end.callback(process.terminate)
        _starters[known] = address
    return _starters[known]


def in_turns(rounds: int, parts: Mapping[str, Callable[[], Figures]]) -> dict[str, Figures]:
    """Run the parts in turns, so that a noisy minute hits all of them; return the median of each of their figures."""
    rounds = sized(rounds)
    runs: dict[str, list[Figures]] = {name: [] for name in parts}
    for turn in range(1, rounds + 1):
        for name, run in parts.items():
            say(f"{name}, {turn} of {rounds}")
            runs[name].append(run())
    return {
        name: {key: statistics.median(figures[key] for figures in of) for key in of[0]} for name, of in runs.items()
    }


def say(what: str) -> None:
    """Tell whoever waits what is going on, beside the report."""
    print(f"  … {what}", file=sys.stderr, flush=True)


# Reporting -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Check:
    """A measured value held against its target; `at_least` tells which side of the target is good."""

    what: str
    value: float
    target: float
    at_least: bool = False
    unit: str = "×"

    @property
    def is_met(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.is_met else "MISSED"
        return f"{self.what:<58} {short(self.value):>9} {self.unit:<3} {sign} {short(self.target)}  {verdict}"


@dataclass(slots=True)
class Report:
    """What a benchmark found: figures by their names (with unit), and the checks that follow from them."""

    name: str
    what: str
    figures: dict[str, float] = field(default_factory=dict)
    checks: Sequence[Check] = ()

    def __str__(self) -> str:
        lines = [self.what, *(f"  {name:<58} {short(value):>9}" for name, value in self.figures.items())]
        return "\n".join((*lines, *(f"  {check}" for check in self.checks), ""))

    def write(self) -> None:
        """Keep the result, with the machine that it was found on, in `results/<name>.json`."""
        RESULTS.mkdir(exist_ok=True)
        content = {
            "benchmark": self.what,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "took_seconds": round(time.monotonic() - BEGUN_AT),
            "figures": {name: round(value, 4) for name, value in self.figures.items()},
            "checks": [
                {
                    "what": check.what,
                    "value": round(check.value, 3),
                    "unit": check.unit,
                    "target": check.target,
                    "good_is": "at least" if check.at_least else "at most",
                    "met": check.is_met,
                }
                for check in self.checks
            ],
            "machine": machine(),
            "versions": versions(),
        }
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (RESULTS / f"{self.name}.json").write_text(f"{text}\n", encoding="utf-8")


def finish(report: Report) -> None:
    """Print the result, and keep it if everything had its full size."""
    if SIZE == 1:
        report.write()
    print(report, flush=True)


def machine() -> dict[str, Any]:
    """The machine, and how busy it was in the last minute: with nothing else to do, about the benchmark's own load."""
    cpu = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.platform(),
        "load_of_the_last_minute": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """Python, the libraries that matter, and PostgreSQL where `scratch.database` has noted it."""
    found = {"python": platform.python_version(), **SERVER}
    return found | {name: version(name) for name in LIBRARIES}


def short(value: float) -> str:
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"

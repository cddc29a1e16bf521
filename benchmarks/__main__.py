"""Run the named benchmarks, or all, one after the other; print what each found; write the table into README.md.

A benchmark is a module of this package with a function `measure`; a new one joins by itself.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, ROOT, SIZE, say, short

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def names() -> list[str]:
    """The benchmarks, by their modules."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return [
        path.stem for path in modules if re.search(r"^def measure\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def main(*chosen: str) -> int:
    """Return 1 when a benchmark failed to run; a missed target is a result, not a failure."""
    failed = []
    wanted = chosen or names()
    for number, name in enumerate(wanted, 1):
        say(f"{name}, {number} of {len(wanted)}")
        begun_at = time.monotonic()
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=False)
        if done.returncode:
            failed.append(name)
        say(f"{name}, {'FAILED' if done.returncode else 'done'} after {time.monotonic() - begun_at:.0f} s")
    if SIZE == 1:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
        README.write_text(f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def table() -> str:
    """Every check of the results that are there, as a Markdown table, and on which machines they were found."""
    lines = ["| benchmark | measured | value | target | | on |", "|---|---|---|---|---|---|"]
    files = [RESULTS / f"{name}.json" for name in names()]
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]
    for result in found:
        name, day = result["benchmark"], _day(result)
        for check in result["checks"]:
            sign = "≥" if check["good_is"] == "at least" else "≤"
            value, target = (f"{short(check[side])} {check['unit']}".strip() for side in ("value", "target"))
            verdict = "met" if check["met"] else "**missed**"
            lines.append(f"| {name} | {check['what']} | {value} | {sign} {target} | {verdict} | {day} |")
            name = ""
    lines.append("")
    for place in dict.fromkeys(map(_place, found)):
        days = sorted({_day(result) for result in found if _place(result) == place})
        lines.append(f"- {', '.join(days)}: {place}.")
    return "\n".join([*lines, ""])


def _day(result: dict[str, Any]) -> str:
    day: str = result["measured_at"][:10]
    return day


def _place(result: dict[str, Any]) -> str:
    machine, versions = result["machine"], result["versions"]
    database = f", PostgreSQL {versions['postgresql']}" if "postgresql" in versions else ""
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB;"
        f" Python {versions['python']}{database}, Django {versions['django']}"
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

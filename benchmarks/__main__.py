"""Run every benchmark one after the other, print the table, and write it into README.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import RESULTS, ROOT

NAMES = (
    "read", "import_tracker", "eta_change", "sweep", "audit", "sealing", "list_shipments", "first_page", "metrics",
    "limits", "slow_clients", "start",
)  # fmt: skip
README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def main() -> int:
    """Return 1 when a benchmark failed to run; a missed target is a result, not a failure."""
    failed = [
        name
        for name in NAMES
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=False).returncode
    ]
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    README.write_text(f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def table() -> str:
    """Every check of the results that are there, as a Markdown table, and where they were found."""
    lines = ["| benchmark | measured | value | target | |", "|---|---|---|---|---|"]
    found = [
        json.loads(file.read_text(encoding="utf-8")) for name in NAMES if (file := RESULTS / f"{name}.json").exists()
    ]
    for result in found:
        name = result["benchmark"]
        for check in result["checks"]:
            sign = "≥" if check["good_is"] == "at least" else "≤"
            value, target = f"{check['value']:.3g} {check['unit']}", f"{sign} {check['target']:g} {check['unit']}"
            lines.append(
                f"| {name} | {check['what']} | {value} | {target} | {'met' if check['met'] else '**missed**'} |"
            )
            name = ""
    for result in found[-1:]:
        machine, versions = result["machine"], result["versions"]
        load = f"load {machine['load_of_the_last_minute']}"
        hardware = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {load}"
        software = f"Python {versions['python']}, PostgreSQL {versions.get('postgresql')}, Django {versions['django']}"
        lines += ["", f"{result['measured_at'][:10]}, {hardware}; {software}."]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())

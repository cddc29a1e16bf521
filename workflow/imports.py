"""A procedure's CSV (one line per step) → its facts. No database."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

from workflow.services import StepFacts, TemplateFacts

SOP = Path(__file__).parent / "data" / "clearance_sop.csv"


def procedure(path: Path, *, code: str, name: str) -> TemplateFacts:
    """Read a procedure: columns as in `workflow/data/clearance_sop.csv`, predecessors separated by semicolons."""
    with path.open(encoding="utf-8", newline="") as file:
        return TemplateFacts(code=code, name=name, steps=[_step(line) for line in csv.DictReader(file)])


def _step(line: dict[str, str]) -> StepFacts:
    return StepFacts(
        step_number=Decimal(line["step_number"]),
        name=line["name"],
        description=line["description"],
        department=line["department"],
        offset_days=int(line["offset_days"]),
        is_critical=line["is_critical"] == "true",
        is_optional=line["is_optional"] == "true",
        filled_by_field=line["filled_by_field"],
        depends_on=[Decimal(number) for number in line["depends_on"].split(";") if number],
    )

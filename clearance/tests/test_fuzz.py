from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clearance.embedded import ROOT
from clearance.tests import workers
from clearance.tests.matrix import ELSEWHERE, GONE, KINDS, NOBODY_YET, STRANGER, Kind
from clearance.tests.stage import Stage
from clearance.tests.webs import web

# `make fuzz` tries everybody at length; the ordinary run one person for some seconds, so that it doesn't rot.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
SEED = os.environ.get("FUZZ_SEED", "1")
SLICE = "/(shipments|workflow-steps)"
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")

# The names of some kinds alone, with `|` between them.
ONLY = os.environ.get("FUZZ_WHO", "")
BY_NAME = {kind.name: kind for kind in KINDS}
WHO = [
    STRANGER, GONE, NOBODY_YET, ELSEWHERE, BY_NAME["IA ReadOnly"], BY_NAME["Management Manager"], BY_NAME["C&C PPR"],
    BY_NAME["BusinessUnit Manager"], BY_NAME["Administrator"],
]  # fmt: skip


@pytest.mark.django_db(transaction=True)
class TestWhateverIsSent:
    def test_is_answered_as_the_document_promises(self, cast, tmp_path):
        stage = Stage(cast)
        told = ""

        with workers.redis() as redis, web(redis.url, RATE_LIMIT_PER_MINUTE="0") as port:
            for kind in [BY_NAME[name] for name in ONLY.split("|")] if ONLY else WHO if EXAMPLES else WHO[-2:-1]:
                done = tried(stage, kind, port, tmp_path)
                told += f"As {kind.name}:\n{done.stdout}{done.stderr}" if done.returncode else ""

        assert not told, told


def tried(stage: Stage, kind: Kind, port: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Have schemathesis send what it makes of the document, as one kind of person."""
    token = stage.token_of(kind)
    return subprocess.run(
        [
            SCHEMATHESIS, f"--config-file={config(stage, folder)}", "run", ROOT / "docs" / "openapi.json",
            f"--url=http://127.0.0.1:{port}", f"--max-examples={EXAMPLES or 1}", f"--seed={SEED}",
            *([f"--header=Authorization: Bearer {token}"] if token else []),
            *(() if EXAMPLES else ("--phases=examples,coverage", f"--include-path-regex={SLICE}")),
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def config(stage: Stage, folder: Path) -> Path:
    """The configuration, with the ids of records that are there: half of the requests are about them."""
    ids = {
        "shipments/.id.(/eta|/workflow)?": {"id": stage.shipment.pk},
        "shipments/.id./(cancel|restore)": {"id": stage.cancelled.pk},
        "workflow-steps/.id..*": {"id": stage.steps["C&C"].pk},
        "alerts/.id..*": {"id": stage.alert.pk},
        "users/.id.(/[a-z]+)?": {"id": stage.somebody.pk},
        "users/.id./overrides/.override_id.": {"id": stage.somebody.pk, "override_id": stage.override.pk},
        "roles/.id..*": {"id": stage.role.pk},
        "service-accounts/.id.(/keys)?": {"id": stage.machine.pk},
        "service-accounts/.id./keys/.key_id..*": {"id": stage.machine.pk, "key_id": stage.key.pk},
        "audit-logs/shipment/.id..*": {"id": stage.shipment.pk},
    }
    known = "".join(known_ids(place, pks) for place, pks in ids.items())
    written = folder / "schemathesis.toml"
    written.write_text(f"{CONFIG.read_text()}\n{known}")
    return written


def known_ids(place: str, pks: dict[str, int]) -> str:
    """A part of the configuration; what is deleted or deactivated is none of these, as they are needed again."""
    names = {param: re.sub(r"\W+", "-", f"{place}{param}") for param in pks}
    values = "".join(f'[dictionaries."{names[param]}"]\nvalues = ["{pk}"]\n' for param, pk in pks.items())
    drawn = ", ".join(f'"path.{param}" = {{ dictionary = "{names[param]}", probability = 0.5 }}' for param in pks)
    there = f'include-path-regex = "/v1/{place}$"\nexclude-method = "DELETE"\n'
    return f"{values}[[operations]]\n{there}parameters = {{ {drawn} }}\n"

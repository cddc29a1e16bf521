from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from clearance import embedded
from clearance.tests import processes

ROOT = embedded.ROOT
EVERY_TABLE = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
CONTENT = "SELECT count(*), md5(string_agg(one::text, '|' ORDER BY one::text)) FROM {} AS one"
# Says what the application may do, as the one that web and worker sign in as.
RIGHTS = """
    SELECT has_table_privilege('shipments_shipment', 'INSERT'), has_table_privilege('audit_auditentry', 'SELECT'),
        has_table_privilege('audit_auditentry', 'INSERT')
"""
PREPARE = """
from clearance import embedded, prepare
with embedded.servers():
    prepare.main()
"""

# No file may become larger once the servers run.
WITHOUT_ROOM = """
import os, resource, sys
from clearance import backup

def back_up(file):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["ROOM"]),) * 2)
    whole(file)

whole, backup.back_up = backup.back_up, back_up
sys.exit(backup.main())
"""


def run(*command: object, var: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of the house on the embedded servers of a folder."""
    none = dict.fromkeys(("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "PGOPTIONS", "MAKELEVEL", "MAKEFLAGS"), "")
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, **none, "VAR_DIR": str(var), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def ask(monkeypatch: pytest.MonkeyPatch, var: Path) -> tuple[dict[str, object], object]:
    """What is in every table of the folder's database, and what the application may do there."""
    monkeypatch.setattr(embedded, "VAR", var)
    for variable in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(variable, "")
    with embedded.servers():
        with psycopg.connect(embedded.owner_url()) as owner:
            tables = [name for (name,) in owner.execute(EVERY_TABLE)]
            content = {name: owner.execute(CONTENT.format(name)).fetchone() for name in tables}
        with psycopg.connect(embedded.database_url()) as application:
            rights = application.execute(RIGHTS).fetchone() if tables else None
    monkeypatch.undo()
    return content, rights


@pytest.fixture(scope="module")
def var() -> Iterator[Path]:
    """A folder whose database holds the demonstration."""
    with processes.var_folder() as folder:
        done = run(sys.executable, "-c", PREPARE, var=folder, DEMO="1")
        assert done.returncode == 0, done.stdout
        yield folder


@pytest.fixture(scope="module")
def dump(var: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backups") / "clearance, of today.dump"
    done = run("make", "backup", f"FILE={file}", var=var)
    assert done.returncode == 0, done.stdout
    return file


@pytest.fixture
def other_var() -> Iterator[Path]:
    with processes.var_folder() as folder:
        yield folder


class TestABackup:
    def test_restored_elsewhere_has_every_row_and_a_trail_that_is_sound(self, var, dump, other_var, monkeypatch):
        said = run("make", "restore", f"FILE={dump}", var=other_var)

        assert said.returncode == 0, said.stdout
        assert "entries in" in said.stdout
        assert said.stdout.endswith(f"{dump} is restored, and its trail is sound.\n")
        (before, rights), (after, same_rights) = ask(monkeypatch, var), ask(monkeypatch, other_var)
        assert before["shipments_shipment"][0] > 0
        assert before["audit_seal"][0] > 0
        assert after == before
        assert same_rights == rights == (True, True, False)
        assert not list(processes.of(other_var))

    def test_is_its_owners_alone_and_leaves_nothing_beside_it(self, dump):
        assert dump.stat().st_mode & 0o777 == 0o600
        assert list(dump.parent.iterdir()) == [dump]

    def test_is_made_while_the_servers_run_and_never_over_another(self, var, dump, tmp_path):
        before = dump.read_bytes()
        hold = "from clearance import embedded, backup\nwith embedded.servers(): print('up', flush=True); input()"
        user = subprocess.Popen(
            [sys.executable, "-c", hold],
            cwd=ROOT,
            env={**os.environ, "VAR_DIR": str(var), "DATABASE_URL": "", "REDIS_URL": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert user.stdout.readline() == b"up\n"

        new = run("make", "backup", f"FILE={tmp_path / 'new.dump'}", var=var)
        again = run("make", "backup", f"FILE={dump}", var=var)
        by_address = run(
            "make",
            "backup",
            f"FILE={tmp_path / 'by address.dump'}",
            var=tmp_path / "none",
            DATABASE_URL=f"postgres://clearance_app@/clearance?host={var}/postgres",
            DATABASE_OWNER_URL=f"postgres://clearance_owner:a%40word@/clearance?host={var}/postgres",
            REDIS_URL=f"unix://{var}/redis/redis.sock?db=0",
        )

        user.communicate(b"\n", timeout=30)
        assert new.returncode == 0, new.stdout
        assert by_address.returncode == 0, by_address.stdout
        assert not (tmp_path / "none").exists()
        assert again.returncode != 0
        assert "is there already, and no backup is overwritten" in again.stdout
        assert dump.read_bytes() == before

    @pytest.mark.parametrize(
        ("file", "words"),
        [
            ("", "Name the file: make backup FILE=clearance.dump"),
            ("no such folder/a.dump", "can't be written: No such file or directory"),
            ("taken.dump", "can't be written: File exists"),
        ],
    )
    def test_that_can_not_be_written_is_refused_in_a_sentence(self, var, tmp_path, file, words):
        (tmp_path / "taken.dump.part").touch()

        said = run("make", "backup", f"FILE={tmp_path / file if file else ''}", var=var)

        assert said.returncode != 0
        assert words in said.stdout
        assert "Traceback" not in said.stdout
        assert [one.name for one in tmp_path.iterdir()] == ["taken.dump.part"]

    def test_that_breaks_off_leaves_no_file(self, var, dump, tmp_path):
        file = f"--file={tmp_path / 'a.dump'}"

        said = run(sys.executable, "-c", WITHOUT_ROOM, "backup", file, var=var, ROOM=str(dump.stat().st_size // 2))

        assert said.returncode == 1
        assert "pg_dump failed; see above." in said.stdout
        assert list(tmp_path.iterdir()) == []

    def test_of_a_server_whose_programs_could_not_read_it_is_refused(self, var, tmp_path):
        future = "import sys; from clearance import backup; backup.OLDEST = 990_000; sys.exit(backup.main())"

        said = run(sys.executable, "-c", future, "backup", f"--file={tmp_path / 'a.dump'}", var=var)

        assert said.returncode == 1
        assert "use the server's own pg_dump and pg_restore" in said.stdout
        assert list(tmp_path.iterdir()) == []

    def test_of_nothing_is_refused(self, other_var, tmp_path):
        said = run("make", "backup", f"FILE={tmp_path / 'a.dump'}", var=other_var)

        assert said.returncode != 0
        assert "there is nothing to back up" in said.stdout
        assert list(tmp_path.iterdir()) == []


class TestRestoring:
    def test_over_a_database_that_holds_anything_is_refused_and_changes_nothing(self, var, dump, monkeypatch):
        before = ask(monkeypatch, var)

        said = run("make", "restore", f"FILE={dump}", var=var)

        assert said.returncode != 0
        assert "The database is not empty" in said.stdout
        assert ask(monkeypatch, var) == before

    def test_what_breaks_off_leaves_the_database_empty(self, dump, other_var, tmp_path, monkeypatch):
        half = tmp_path / "half.dump"
        half.write_bytes(dump.read_bytes()[: dump.stat().st_size * 3 // 4])

        said = run("make", "restore", f"FILE={half}", var=other_var)

        assert said.returncode != 0
        assert "pg_restore failed; see above." in said.stdout
        assert ask(monkeypatch, other_var)[0] == {}

    @pytest.mark.parametrize("file", ["", "/no/such.dump"])
    def test_needs_a_file(self, other_var, file):
        said = run("make", "restore", f"FILE={file}", var=other_var)

        assert said.returncode != 0
        assert ("Name the file: make restore" if not file else "is no file that you may read") in said.stdout

    def test_says_when_the_trail_is_not_the_anchored_one(self, dump, other_var, tmp_path):
        (tmp_path / "anchor").write_text(f"1 {'0' * 64}\n")

        said = run("make", "restore", f"FILE={dump}", f"ANCHOR={tmp_path / 'anchor'}", var=other_var)

        assert said.returncode != 0
        assert "Everything was restored, but its trail is not sound; see above." in said.stdout

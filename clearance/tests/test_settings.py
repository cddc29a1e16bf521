from __future__ import annotations

import os
import subprocess
import sys

import pytest

from clearance.embedded import ROOT

KEY = "k3J9-vQ2x_Zr7Lw5Tn8Ys4Bd6Fg1Hm0Pc-Xe9Ua2Io7Rk5Vj3Wq"
PRODUCTION = {
    "DEBUG": "0",
    "SECRET_KEY": KEY,
    "ALLOWED_HOSTS": "clearance.example.com",
    "DATABASE_URL": "postgresql://clearance:secret@127.0.0.1:1/clearance",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Django's in an environment that holds nothing else."""
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *command],
        cwd=ROOT,
        env={"PATH": os.defpath, "DJANGO_SETTINGS_MODULE": "clearance.settings"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class TestProduction:
    def test_passes_djangos_own_deployment_check(self):
        done = run("check", "--deploy", "--fail-level", "INFO", **PRODUCTION)

        assert done.returncode == 0, done.stderr
        assert "no issues" in done.stdout

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "x",
            "short-but-not-guessable-9a7c",
            "a" * 60,
            "development-only-key-that-production-refuses",
            f"development-{KEY}",
        ],
    )
    def test_refuses_a_key_that_is_empty_short_or_ours(self, key):
        done = run("check", **PRODUCTION | {"SECRET_KEY": key})

        assert done.returncode != 0
        assert "SECRET_KEY" in done.stderr

    def test_refuses_to_go_without_a_key(self):
        without = {name: value for name, value in PRODUCTION.items() if name != "SECRET_KEY"}

        done = run("check", **without)

        assert done.returncode != 0
        assert "SECRET_KEY" in done.stderr

    @pytest.mark.parametrize("hosts", ["*", "clearance.example.com,*"])
    def test_refuses_to_answer_to_any_host(self, hosts):
        done = run("check", **PRODUCTION | {"ALLOWED_HOSTS": hosts})

        assert done.returncode != 0
        assert "ALLOWED_HOSTS" in done.stderr

    def test_is_what_a_database_of_its_own_means(self):
        # So that a forgotten DEBUG makes an installation stricter, never laxer.
        undecided = {name: value for name, value in PRODUCTION.items() if name != "DEBUG"}

        assert run("check", **undecided | {"SECRET_KEY": ""}).returncode != 0
        assert run("check", "--deploy", "--fail-level", "INFO", **undecided).returncode == 0

    def test_takes_its_figures_from_the_environment(self):
        done = run(
            "shell", "--no-imports", "-v0", "-c",
            "from django.conf import settings as s;"
            "pool = s.DATABASES['default']['OPTIONS']['pool'];"
            "print(pool['max_size'], s.UPLOAD_LIMIT_BYTES, s.DEMURRAGE_DAILY_RATE_OMR, s.EMAIL_HOST, s.ADMIN_PATH)",
            **PRODUCTION,
            DB_POOL_SIZE="3",
            DB_MAX_OVERFLOW="2",
            UPLOAD_LIMIT_MB="1",
            DEMURRAGE_DAILY_RATE_OMR="40.500",
            SMTP_HOST="mail.example.com",
            ADMIN_PATH="/office/",
        )  # fmt: skip

        assert done.stdout.split() == ["5", "1048576", "40.500", "mail.example.com", "office/"], done.stderr

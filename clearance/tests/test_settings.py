from __future__ import annotations

import os
import re
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

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("DB_POOL_SIZE", "many", "DB_POOL_SIZE can't be 'many'."),
            ("RATE_LIMIT_PER_MINUTE", "1,5", "RATE_LIMIT_PER_MINUTE can't be '1,5'."),
            ("DEMURRAGE_DAILY_RATE_OMR", "x", "DEMURRAGE_DAILY_RATE_OMR can't be 'x'."),
            ("DEMURRAGE_COUNTERFACTUAL_DAYS", "x", "DEMURRAGE_COUNTERFACTUAL_DAYS can't be 'x'."),
            ("DATABASE_URL", "nonsense-secret", "look like postgresql://user:password@host:5432/clearance"),
            ("DATABASE_OWNER_URL", "postgresql://u:secret@h:port/x", "look like postgresql://"),
        ],
    )
    def test_says_in_a_sentence_and_without_a_secret_which_value_is_none(self, name, value, words):
        done = run("check", **PRODUCTION | {name: value})

        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "secret" not in done.stderr

    @pytest.mark.parametrize("allowed", ["127.0.0.1", "::1", "127.0.0.0/8", "192.0.2.1,127.0.0.1"])
    def test_asks_for_the_proxies_before_it_tells_metrics_to_its_own_machine(self, allowed):
        given = PRODUCTION | {"METRICS_ALLOWED_ADDRESSES": allowed}

        refused, told = run("check", **given), run("check", **given, TRUSTED_PROXY_COUNT="0")

        assert refused.returncode != 0
        assert "TRUSTED_PROXY_COUNT" in refused.stderr
        assert told.returncode == 0, told.stderr

    def test_tells_nobody_metrics_as_long_as_nobody_counted_the_proxies(self):
        show = ("shell", "--command", "from django.conf import settings; print(settings.METRICS_ALLOWED_ADDRESSES)")

        assert "[]" in run(*show, **PRODUCTION).stdout
        assert "127.0.0.1" in run(*show, **PRODUCTION, TRUSTED_PROXY_COUNT="0").stdout

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

    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ({"AUTH0_ALGORITHMS": "RS256,HS256"}, "AUTH0_ALGORITHMS"),
            ({"AUTH0_ALGORITHMS": "none"}, "AUTH0_ALGORITHMS"),
            ({"OIDC_ISSUER": "http://sign-in.example.com"}, "OIDC_ISSUER"),
            ({"OIDC_ISSUER": "http://127.0.0.1.example.com"}, "OIDC_ISSUER"),
            ({"OIDC_CLIENT_ID": "same", "OIDC_AUDIENCE": "same"}, "OIDC_AUDIENCE"),
        ],
        ids=str,
    )
    def test_refuses_a_provider_that_can_not_be_trusted(self, given, name):
        done = run("check", **PRODUCTION | given)

        assert done.returncode != 0
        assert done.stderr.startswith(name)

    def test_starts_without_asking_the_provider(self):
        auth0 = {"AUTH0_DOMAIN": "127.0.0.1:1", "AUTH0_AUDIENCE": "api", "AUTH0_ALGORITHMS": "RS256"}
        show = "from django.conf import settings as s; print(s.OIDC_ISSUER, s.OIDC_AUDIENCE)"

        done = run("shell", "--no-imports", "-v0", "-c", show, **PRODUCTION | auth0)

        assert done.stdout.split() == ["https://127.0.0.1:1/", "api"], done.stderr

    def test_is_what_a_database_of_its_own_means(self):
        # So that a forgotten DEBUG makes an installation stricter, never laxer.
        undecided = {name: value for name, value in PRODUCTION.items() if name != "DEBUG"}

        assert run("check", **undecided | {"SECRET_KEY": ""}).returncode != 0
        assert run("check", "--deploy", "--fail-level", "INFO", **undecided).returncode == 0

    def test_passes_it_with_every_value_of_the_example(self):
        lines = re.findall(r"^#([A-Z][A-Z0-9_]+)=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
        example = {name: value for name, value in lines if name not in {"VAR_DIR", "PORT"}}

        done = run("check", "--deploy", "--fail-level", "INFO", **example | PRODUCTION)

        assert len(example) > 20
        assert done.returncode == 0, done.stderr
        assert "no issues" in done.stdout

    def test_keeps_its_cookies_to_its_host_and_to_https(self):
        done = run(
            "shell", "--no-imports", "-v0", "-c",
            "from django.conf import settings as s;"
            "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE,"
            " s.SESSION_COOKIE_PATH, s.CSRF_COOKIE_PATH, s.SESSION_COOKIE_DOMAIN, s.CSRF_COOKIE_DOMAIN)",
            **PRODUCTION,
        )  # fmt: skip

        assert done.stdout.split() == ["__Host-session", "__Host-csrf", "True", "True", "/", "/", "None", "None"]

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


class TestMessages:
    @pytest.mark.parametrize("chosen", [{"MAIL_PROVIDER": "ses"}, {"SMS_PROVIDER": "sns"}])
    def test_by_amazon_need_a_region(self, chosen):
        without, given = (
            run("check", **PRODUCTION | chosen),
            run("check", **PRODUCTION, **chosen, AWS_REGION="me-south-1"),
        )

        assert without.returncode != 0
        assert "AWS_REGION" in without.stderr
        assert given.returncode == 0, given.stderr

    @pytest.mark.parametrize("chosen", [{"MAIL_PROVIDER": "pigeon"}, {"SMS_PROVIDER": "pigeon"}])
    def test_go_by_carriers_that_exist(self, chosen):
        done = run("check", **PRODUCTION | chosen)

        assert done.returncode != 0
        assert next(iter(chosen)) in done.stderr

    def test_are_held_by_no_worker_for_longer_than_the_database_takes(self):
        done = run("check", **PRODUCTION, MAIL_LEASE_SECONDS="601")

        assert done.returncode != 0
        assert "MAIL_LEASE_SECONDS is at most 600" in done.stderr

    def test_become_no_files_in_production(self):
        done = run("check", **PRODUCTION, SMS_PROVIDER="console")

        assert done.returncode != 0
        assert "SMS_PROVIDER" in done.stderr

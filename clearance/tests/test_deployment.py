from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from clearance import embedded, web

ROOT = embedded.ROOT
LIMIT = re.compile(r"^ *(\w+) (\d+)([ms])$", re.MULTILINE)
OURS = {"web", "worker", "beat", "prepare"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]


def names_in(file: str) -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / file).read_text(), re.MULTILINE))


class TestTheComposeFile:
    def test_runs_three_webs_two_workers_and_one_beat(self, services):
        replicas = {name: services[name].get("deploy", {}).get("replicas", 1) for name in OURS}

        assert replicas == {"web": 3, "worker": 2, "beat": 1, "prepare": 1}

    def test_prepares_the_database_before_anything_of_ours_starts(self, services):
        for name in OURS - {"prepare"}:
            assert services[name]["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}
        assert set(services["prepare"]["depends_on"]) == {"db", "redis"}

    def test_checks_the_health_of_everything_that_stays(self, services):
        in_the_image = {"web"}
        assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()

        for name in services.keys() - in_the_image - {"prepare"}:
            assert services[name]["healthcheck"]["test"], name

    def test_keeps_what_must_last_in_volumes(self, compose, services):
        for name in ("db", "redis", "front"):
            assert any(volume.split(":")[0] == name for volume in services[name]["volumes"])
            assert name in compose["volumes"]

    def test_runs_our_code_as_an_ordinary_user(self, services):
        assert {services[name]["user"] for name in OURS} == {"10001"}
        assert re.search(r"^USER clearance$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    def test_knows_no_default_for_a_secret(self, services):
        text = (ROOT / "docker-compose.yml").read_text()

        for secret in ("SECRET_KEY", "POSTGRES_PASSWORD", "APP_PASSWORD", "SITE_HOST"):
            assert f"${{{secret}:?" in text
            assert f"${{{secret}:-" not in text

    def test_tells_the_owner_of_the_tables_to_nobody_but_who_migrates(self, services):
        blank = {"DATABASE_OWNER_URL": "", "POSTGRES_PASSWORD": ""}

        for name in OURS - {"prepare"}:  # .env has these names, and reaches every container
            assert blank.items() <= services[name]["environment"].items(), name
        assert services["prepare"]["environment"]["DATABASE_OWNER_URL"]
        assert services["db"]["environment"]["POSTGRES_USER"] not in services["web"]["environment"]["DATABASE_URL"]

    def test_publishes_the_front_only(self, services):
        assert [name for name, service in services.items() if "ports" in service] == ["front"]

    def test_has_the_front_wait_for_nobody_for_ever_and_take_only_what_we_take(self, compose, settings):
        front = compose["configs"]["front"]["content"]
        seconds = {name: 60 ** (unit == "m") * int(number) for name, number, unit in re.findall(LIMIT, front)}

        assert seconds.keys() >= {"read_header", "read_body", "write", "idle", "keepalive"}
        assert seconds["read_header"] <= web.PATIENCE["head"]
        assert seconds["read_body"] <= web.PATIENCE["body"]
        assert seconds["write"] <= web.PATIENCE["answer"]
        # A connection that web has just closed would otherwise be used for one more request.
        assert seconds["keepalive"] < web.PATIENCE["nothing"]
        assert "max_size 20MB" in front
        assert 2 * settings.UPLOAD_LIMIT_BYTES == 20 * 1024**2

    def test_names_nothing_that_the_example_of_the_environment_lacks(self, services):
        text = (ROOT / "docker-compose.yml").read_text()
        demanded = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", text)) | set(services["web"]["environment"])

        assert demanded <= names_in(".env.example")


class TestTheExampleOfTheEnvironment:
    def test_sets_nothing_when_it_is_copied_as_it_is(self):
        lines = (ROOT / ".env.example").read_text().splitlines()

        assert [line for line in lines if line and not line.startswith("#")] == []

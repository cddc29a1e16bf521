"""Inspects the house itself: what a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.translation import override
from rest_framework.schemas.generators import EndpointEnumerator
from rest_framework.test import APIClient

from clearance import errors
from clearance.embedded import ROOT
from clearance.tests.callers import error_of, signed_in
from shipments.imports import MAX_LENGTHS
from shipments.models import Shipment

OURS = ("accounts", "alerts", "audit", "clearance", "metrics", "outbox", "shipments", "workflow")
APPS = tuple(name for name in OURS if name != "clearance")
NO_ROOMS = {"apps", "migrations", "tests"}
DOMAIN_ROOMS = {
    "choices",
    "errors",
    "imports",
    "models",
    "provider",
    "rights",
    "rows",
    "rules",
    "selectors",
    "services",
    "tokens",
}

TOP_LEVEL = {
    ".ci", ".dockerignore", ".env.example", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "Makefile",
    "README.md", "benchmarks", "conftest.py", "docker-compose.yml", "docs", "gunicorn.conf.py", "manage.py",
    "pyproject.toml", "pytest.ini", "requirements-dev.in", "requirements-dev.txt", "requirements.in",
    "requirements.txt", "static", "templates", *OURS,
}  # fmt: skip

# C35. The schema's pages show what is in the schema, the sign-in pages are for those who aren't signed in yet.
OPEN = re.compile(
    r"api/v1/(health(/(live|ready|db|redis))?|auth/(login|refresh|logout|password/reset(-request)?)|openapi\.json|docs|redoc)$"
    r"|admin/(login(/provider(/callback)?)?|logout|jsi18n|password_reset.*|reset/.*|invitation/)/?$"
    r"|metrics$"  # to configured addresses only: clearance/tests/test_prometheus.py
    r"|$"
)


def tracked_files() -> list[Path]:
    """What is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def rooms_of(package: str) -> set[str]:
    """The modules and packages directly in a package of ours."""
    return {
        path.stem
        for path in (ROOT / package).iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
    }


@pytest.fixture(scope="module")
def contracts() -> dict[str, Any]:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {contract["name"]: contract for contract in linter["contracts"]} | {"roots": linter["root_packages"]}


def named_in(layers: list[str]) -> set[str]:
    return {name.strip(" ()") for layer in layers for name in layer.split(":")}


class TestTheImportContracts:
    def test_cover_every_app(self, contracts):
        installed = {config.name for config in apps.get_app_configs() if Path(config.path).parent == ROOT}

        assert installed == set(APPS)
        assert set(contracts["roots"]) == set(OURS)
        assert set(contracts["Within an app, an import only goes down"]["containers"]) == set(APPS)

    def test_give_every_room_of_every_app_its_place_in_the_house(self, contracts):
        placed = named_in(contracts["Across the house, an import only goes down"]["layers"])
        there = {f"{app}.{room}" for app in APPS for room in rooms_of(app) - NO_ROOMS}

        assert there - placed == set()

    def test_give_every_module_of_the_kernel_its_place(self, contracts):
        placed = named_in(contracts["Across the house, an import only goes down"]["layers"])

        assert {f"clearance.{room}" for room in rooms_of("clearance") - NO_ROOMS} - placed == set()

    def test_name_every_domain_room(self, contracts):
        guarded = set(contracts["The domain knows no HTTP, no queue and no files"]["source_modules"])
        there = {f"{app}.{room}" for app in APPS for room in rooms_of(app) & DOMAIN_ROOMS}

        assert guarded == there

    def test_keep_django_http_out_of_the_domain_too(self):
        rooms = [ROOT / app / room for app in APPS for room in rooms_of(app) & DOMAIN_ROOMS]
        files = [file for room in rooms for file in (room.with_suffix(".py"), *room.rglob("*.py")) if file.exists()]

        assert len(files) > 30
        assert [file for file in files if any(name.startswith("django.http") for name in imported_by(file))] == []


def imported_by(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


class TestTheDatabase:
    def test_of_the_tests_has_every_migration(self, db):
        # It is a copy of one that an earlier run may have made.
        executor = MigrationExecutor(connection)

        assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
        assert set(executor.loader.applied_migrations) == set(executor.loader.graph.nodes)

    def test_lacks_no_migration(self, db):
        call_command("makemigrations", "--check", "--dry-run", stdout=StringIO())

    def test_says_of_every_constraint_what_is_wrong_when_it_is_broken(self):
        silent = [
            constraint.name
            for model in our_models()
            for constraint in model._meta.constraints
            if constraint.violation_error_message in (None, constraint.default_violation_error_message)
        ]

        assert silent == []

    def test_holds_as_much_text_as_the_tracker_may_bring(self):
        lengths = {name: Shipment._meta.get_field(name).max_length for name in MAX_LENGTHS if name != "division"}

        assert {name: length for name, length in MAX_LENGTHS.items() if name != "division"} == lengths


def our_models() -> list[Any]:
    return [model for app in APPS for model in apps.get_app_config(app).get_models()]


def kinds_of_errors() -> set[type[errors.DomainError]]:
    for app in OURS:
        for file in (ROOT / app).rglob("*.py"):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            if "class " in file.read_text() and "tests" not in module and "migrations" not in module:
                __import__(module.removesuffix(".__init__"))
    found: set[type[errors.DomainError]] = set()
    waiting = [errors.DomainError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__.split(".")[0] in OURS and ".tests" not in kind.__module__:
            found.add(kind)
        waiting += kind.__subclasses__()
    return found


class TestTheErrors:
    def test_have_codes_of_their_own(self):
        own = Counter(kind.code for kind in kinds_of_errors() if "code" in vars(kind))

        assert [code for code, times in own.items() if times > 1] == []

    def test_have_codes_in_shouting_snake(self):
        assert [kind for kind in kinds_of_errors() if not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", kind.code)] == []

    @pytest.mark.parametrize("language", ["en", "ar"])
    def test_make_a_whole_sentence_of_what_they_are_told(self, language):
        for kind in kinds_of_errors() - {errors.InvalidFields}:
            with override(language):
                names = {name for _, name, _, _ in Formatter().parse(str(kind.message)) if name}
                told = {name.split(".")[0].split("[")[0]: "something" for name in names}
                sentence = str(kind(**told)) if takes_context(kind) else str(kind.message)

            assert "{" not in sentence, kind
            assert sentence.strip(), kind

    def test_say_the_same_names_in_every_language(self):
        for kind in kinds_of_errors():
            spoken = []
            for language in ("en", "ar"):
                with override(language):
                    spoken.append({name for _, name, _, _ in Formatter().parse(str(kind.message)) if name})
            assert spoken[0] == spoken[1], kind


def takes_context(kind: type[errors.DomainError]) -> bool:
    return any(one.kind == one.VAR_KEYWORD for one in inspect.signature(kind.__init__).parameters.values())


def addresses(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every address there is, with something believable in the place of its parameters."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + believable(entry)
        if isinstance(entry, URLResolver):
            yield from addresses(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.callback


def believable(entry: URLResolver | URLPattern) -> str:
    pattern = str(entry.pattern)
    pattern = re.sub(r"\(\?P<\w+>[^)]*\)", "1", pattern)  # of a router
    pattern = re.sub(r"<(?:\w+:)?\w+>", "1", pattern)  # of path()
    return re.sub(r"\\(.)", r"\1", pattern).removeprefix("^").removesuffix("$").removesuffix("\\Z")


class TestAStranger:
    METHODS = ("get", "post", "put", "patch", "delete", "options")

    def test_gets_nothing_from_the_api_but_what_is_open(self, db):
        client, asked = APIClient(enforce_csrf_checks=True), 0

        for address, _ in addresses():
            if not address.startswith("api/v1/") or OPEN.fullmatch(address):
                continue
            asked += 1
            for method in self.METHODS:
                answer = getattr(client, method)(f"/{address}")
                assert error_of(answer, 401)["code"] == "NOT_AUTHENTICATED", (method, address)

        assert asked >= 13

    def test_is_asked_to_sign_in_by_every_page_of_the_back_office(self, db, client):
        asked = 0

        for address, _ in addresses():
            if address.startswith("api") or OPEN.fullmatch(address):
                continue
            asked += 1
            for answer in (client.get(f"/{address}"), client.post(f"/{address}")):
                assert answer.status_code == 302, address
                assert answer["Location"].startswith("/admin/login/"), address

        assert asked >= 20

    def test_finds_open_what_is_meant_to_be_open(self, db, client):
        found = {address for address, _ in addresses() if OPEN.fullmatch(address)}

        assert {"api/v1/health", "api/v1/auth/login", "api/v1/openapi.json", "api/v1/docs", "admin/login/"} <= found


def names_read() -> set[str]:
    """Every environment variable that our code, our containers and our Makefile read."""
    texts = {path: path.read_text() for path in tracked_files() if path.suffix == ".py" and "tests" not in path.parts}
    python = re.compile(
        r"""(?:env(?:\.\w+)?\(|environ(?:\.get\(|\[|\.setdefault\()|variable = )\s*"([A-Z][A-Z0-9_]+)\""""
    )
    found = {name for path, text in texts.items() if "benchmarks" not in path.parts for name in python.findall(text)}
    compose = (ROOT / "docker-compose.yml").read_text()
    found |= set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", compose))
    # The last one gunicorn.conf.py sets itself.
    return found - {"DJANGO_SETTINGS_MODULE", "PYTHONUNBUFFERED", "PGOPTIONS", "PGDATA", "PROMETHEUS_MULTIPROC_DIR"}


class TestAText:
    """Whoever marks a text as safe says of it that it is markup, wherever it goes from there."""

    MARKS = re.compile(
        r"\bmark_safe\b|\bSafe(String|Text|Data)\(|\bhtml_safe\b|\|\s*safe(seq)?\b|autoescape off|autoescape=False"
        r"|__html__"
    )
    # The text of a mail, which is made a plain string again before anything shows it.
    MADE_PLAIN = {"outbox/rules.py"}

    def test_is_marked_as_safe_nowhere(self):
        marked = {
            str(path.relative_to(ROOT))
            for path in tracked_files()
            if path.suffix in {".py", ".html", ".txt"}
            and "tests" not in path.parts
            and self.MARKS.search(path.read_text())
        }

        assert marked == self.MADE_PLAIN

    def test_is_put_into_markup_by_patterns_of_ours_alone(self):
        """What `format_html` is given as its pattern isn't escaped: it is written right there, or is a constant."""
        loose = [
            f"{path.relative_to(ROOT)}:{call.lineno}"
            for path in tracked_files()
            if path.suffix == ".py" and "tests" not in path.parts
            for call in ast.walk(ast.parse(path.read_text()))
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in PATTERN_OF
            for pattern in [call.args[PATTERN_OF[call.func.id]]]
            if not isinstance(pattern, ast.Constant) and not (isinstance(pattern, ast.Name) and pattern.id.isupper())
        ]

        assert loose == []


PATTERN_OF = {"format_html": 0, "format_html_join": 1}


class TestTheFilters:
    # Those that filter no field of the answer: words in several, and states that several fields make up.
    OF_NO_FIELD = {"search", "waiting", "from", "to", "since", "until"}

    def test_are_called_like_the_field_that_they_filter(self):
        seen, strange = set(), []
        for view in views_with_filters():
            fields = view.serializer_class().fields.keys()
            for name in (
                view.filterset_class.base_filters.keys() - view.filterset_class.former.keys() - self.OF_NO_FIELD
            ):
                seen.add(name)
                if name not in fields and re.sub("_(from|to)$", "", name) not in fields:
                    strange.append(f"{view.__name__}: {name}")

        assert strange == []
        assert len(seen) > 20

    def test_go_by_their_former_names_too(self, db, cast):
        for view in views_with_filters():
            for old, name in view.filterset_class.former.items():
                assert old in view.filterset_class.base_filters
                assert type(view.filterset_class.base_filters[old]) is type(view.filterset_class.base_filters[name])
        alerts = signed_in(cast.auditor).get(
            "/api/v1/alerts?acknowledged=false&recipient=1&days=4&days_from=1&days_to=9"
        )
        assert alerts.status_code == 200


def views_with_filters() -> list[Any]:
    """The classes of the API's views that filter."""
    views = {callback.cls for _path, _method, callback in EndpointEnumerator().get_api_endpoints()}
    return sorted((view for view in views if getattr(view, "filterset_class", None)), key=lambda view: view.__name__)


class TestTheEnvironment:
    def test_is_described_name_by_name(self):
        described = set(re.findall(r"^#([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

        assert names_read() - described == set()

    def test_is_described_without_names_that_nobody_reads(self):
        described = set(re.findall(r"^#([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

        assert described - names_read() == set()


class TestTheRepository:
    def test_has_nothing_on_top_that_does_not_belong_there(self):
        on_top = {path.relative_to(ROOT).parts[0] for path in tracked_files()}

        assert on_top - TOP_LEVEL == set()

    def test_has_one_home_for_each_thing(self):
        unwanted = {"utils.py", "helpers.py", "common.py", "signals.py", "managers.py"}

        assert [path for path in tracked_files() if path.name in unwanted] == []

    def test_names_no_machine(self):
        # No home folder, no index of packages, no address in somebody's network: it runs anywhere.
        told = re.compile(
            rb"/home/\w+/|/root/|/Users/\w+/|--(?:extra-)?index-url|--find-links|files\.pythonhosted\.org"
            rb"|\b(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\.\d+\b"
        )
        mine = Path(__file__)

        found = [
            (path.relative_to(ROOT), match[0])
            for path in tracked_files()
            if path != mine and path.suffix not in {".png", ".ods", ".xls", ".xlsx", ".mo"}
            for match in told.finditer(path.read_bytes())
        ]

        assert found == []

    def test_measures_what_the_tests_cover_in_ci_alone(self):
        def of_make_test(coverage: str) -> str:
            command = ["make", "--dry-run", "test", f"COVERAGE={coverage}"]
            return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

        assert "--cov" not in of_make_test("")
        assert "--cov-fail-under=90" in of_make_test("1")
        assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "COVERAGE=1 exec make test"

    @pytest.mark.parametrize("name", ["requirements.in", "requirements-dev.in"])
    def test_says_of_every_requirement_why_it_is_there(self, name):
        lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith(("#", "-r"))]

        assert lines
        assert [line for line in lines if not re.search(r"\S\s+# \S.{10,}", line)] == []

    @pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
    def test_pins_every_requirement_with_its_hash(self, name):
        pinned = (ROOT / f"{name}.txt").read_text()
        asked_for = re.findall(r"^([a-z][\w-]*)", (ROOT / f"{name}.in").read_text(), re.MULTILINE)

        assert [
            one for one in asked_for if not re.search(rf"^{one}(\[[\w,]+\])?==.*\\\n +--hash", pinned, re.MULTILINE)
        ] == []

    def test_describes_the_api_as_it_is(self):
        generated = StringIO()
        call_command("spectacular", "--format", "openapi-json", "--validate", "--fail-on-warn", stdout=generated)

        committed = json.loads((ROOT / "docs" / "openapi.json").read_text())
        assert json.loads(generated.getvalue()) == committed, "docs/openapi.json is out of date; `make lint` says how"

"""Every way to write leaves its entries, and every way is known here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import get_commands
from django.test import RequestFactory
from django.urls import URLPattern, get_resolver

from accounts.models import User
from audit.tests import (  # noqa: F401 - they fill in the table
    paths_in_the_background,
    paths_of_statements,
    paths_of_the_admin,
    paths_of_the_api,
    trails,
)
from audit.tests.paths import PATHS, Circumstances, Stage
from clearance.celery import app
from clearance.embedded import ROOT

pytestmark = pytest.mark.django_db

# What the doors offer besides, and why no entry comes of it.
SILENT = {
    "command setup_database_roles": "gives rights to a role",
    "command shipment_template": "writes a workbook",
    "command clean_duplicate_history": "refuses",
    "command clean_old_history": "refuses",
    "command populate_history": "refuses",
    "command verify_audit": "reads",
    "command seal_audit": "seals, which are a chain of their own",
    "task accounts.tasks.forget_kept_answers": "deletes copies of answers",
    "task audit.tasks.seal": "seals, which are a chain of their own",
    "django_celery_beat.periodictask action run_tasks": "sends tasks, which have rows of their own",
}
OURS = {config.label for config in apps.get_app_configs() if Path(config.path).parent == ROOT}


@pytest.fixture(autouse=True)
def _mail_becomes_files(settings, tmp_path):
    settings.EMAIL_BACKEND = "outbox.backends.MailFolder"
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    settings.SMS_FILE_PATH = tmp_path / "sms"
    settings.ALERTS_PULL_FORWARD = False


class TestEveryWayToWrite:
    @pytest.mark.parametrize("name", PATHS)
    def test_tells_old_and_new_who_from_where_and_in_which_request(self, name, cast, tmp_path):
        stage = Stage(cast, tmp_path)

        expected = PATHS[name](stage)

        entries = trails.since(stage.since)
        assert expected
        assert [told for told in expected if not any(map(told.fits, entries))] == []
        own = stage.circumstances.request_id or entries[0].request_id
        assert [one.request_id for one in entries if one.request_id != own] == []
        assert entries[0].request_id
        assert {told_circumstances(entry) for entry in entries} == {who_and_where(stage.circumstances)}


def told_circumstances(entry) -> tuple:
    return entry.channel, entry.user_id, entry.user_name, entry.user_role, entry.ip_address


def who_and_where(given: Circumstances) -> tuple:
    by = given.by
    return given.channel, by and by.pk, by.full_name if by else "", trails.role_of(by), given.ip_address


class TestEveryDoor:
    def test_of_the_api_is_known(self):
        assert set(writing_endpoints()) - PATHS.keys() - SILENT.keys() == set()

    def test_of_the_admin_is_known(self, cast):
        assert set(ways_of_the_admin(cast)) - PATHS.keys() - SILENT.keys() == set()

    def test_of_the_command_line_is_known(self):
        commands = {f"command {name}" for name, owner in get_commands().items() if owner in OURS}

        assert commands - PATHS.keys() - SILENT.keys() == set()
        assert len(commands) > 5

    def test_of_the_background_is_known(self):
        app.loader.import_default_modules()
        tasks = {f"task {name}" for name in app.tasks if name.split(".")[0] in OURS}

        assert tasks - PATHS.keys() - SILENT.keys() == set()
        assert len(tasks) > 2

    def test_that_is_known_is_there(self, cast):
        there = {*writing_endpoints(), *ways_of_the_admin(cast), *(f"command {name}" for name in get_commands())}
        known = {name for name in PATHS if re.match(r"(POST|PUT|PATCH|DELETE|\w+\.\w+|command) ", name)}

        assert {name.split(",")[0] for name in known} - there == set()
        assert SILENT.keys() - there - {f"task {name}" for name in app.tasks} == set()


def writing_endpoints() -> Iterator[str]:
    """`PATCH shipments/{pk}/eta`, from the addresses that the API answers."""
    for address, view in addresses(get_resolver().url_patterns):
        if not address.startswith("api/v1/") or not hasattr(view, "cls"):
            continue
        place = re.sub(r"\(\?P<(\w+)>[^)]*\)|<(?:\w+:)?(\w+)>", r"{\1\2}", address.removeprefix("api/v1/"))
        methods = getattr(view, "actions", None) or [
            name for name in view.cls.http_method_names if hasattr(view.cls, name)
        ]
        for method in set(methods) - {"get", "head", "options"}:
            yield f"{method.upper()} {place.strip('^$')}"


def addresses(patterns, before: str = "") -> Iterator[tuple]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield before + str(pattern.pattern), pattern.callback
        else:
            yield from addresses(pattern.url_patterns, before + str(pattern.pattern))


def ways_of_the_admin(cast) -> Iterator[str]:
    """Forms, verbs and actions that anybody of the cast may use."""
    for model, page in admin.site._registry.items():
        label = model._meta.label_lower
        yield from (f"{label} verb {verb.name}" for verb in getattr(page, "verbs", ()))
        for person in (getattr(cast, field.name) for field in fields(cast)):
            if not isinstance(person, User):
                continue
            request = RequestFactory().get("/")
            request.user = person
            yield from (f"{label} action {name}" for name in page.get_actions(request))
            yield from (
                f"{label} {way}"
                for way in ("add", "change", "delete")
                if getattr(page, f"has_{way}_permission")(request)
            )
            if page.has_add_permission(request) or page.has_change_permission(request):
                for inline in page.get_inline_instances(request):
                    yield f"{label} inline {inline.model._meta.label_lower}"

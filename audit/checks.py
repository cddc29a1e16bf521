"""`manage.py check`: every model is tracked or says why not, and every trail knows its model's columns."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.db.migrations.loader import MigrationLoader

from audit.operations import Track, columns_of, model_of
from audit.rules import TRACKED, UNTRACKED


def trails_fit(**_: Any) -> list[CheckMessage]:
    """Compare the models with the last `Track` of each; needs no database."""
    found: list[CheckMessage] = [
        Error(
            f"{label} is neither tracked nor said to need no trail.",
            hint="Add it to TRACKED or, with a reason, to UNTRACKED in audit/rules.py.",
            id="audit.E001",
        )
        for model in apps.get_models(include_auto_created=True)
        if (label := model._meta.label_lower) not in TRACKED.keys() | UNTRACKED.keys()
    ]
    known = _last_known()
    for label in TRACKED:
        columns = columns_of(model_of(label, apps))
        if sorted(known.get(label, [])) != sorted(columns):
            found.append(
                Error(
                    f"{label} and its trail disagree about the columns.",
                    hint=f"Add a migration with audit.operations.Track({label!r}, {columns}).",
                    id="audit.E002",
                )
            )
    return found


def _last_known() -> dict[str, list[str]]:
    """The columns of every tracked model, as its last migration says."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    operations = [
        operation
        for key in _in_order(loader)
        for operation in loader.graph.nodes[key].operations
        if isinstance(operation, Track)
    ]
    return {operation.label: operation.columns for operation in operations}


def _in_order(loader: MigrationLoader) -> list[tuple[str, str]]:
    ordered: dict[tuple[str, str], None] = {}
    for leaf in loader.graph.leaf_nodes():
        ordered |= dict.fromkeys(loader.graph.forwards_plan(leaf))
    return list(ordered)

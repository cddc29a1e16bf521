"""`manage.py check`: every model is tracked or says why not, and every trail knows its model's columns."""

from __future__ import annotations

from collections.abc import Iterator
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
    known: dict[str, Track] = {}
    for track in _tracks():
        found += _untold(known.get(track.label), track)
        known[track.label] = track
    for label in TRACKED:
        columns = columns_of(model_of(label, apps))
        if label not in known or sorted(known[label].columns) != sorted(columns):
            found.append(
                Error(
                    f"{label} and its trail disagree about the columns.",
                    hint=f"Add a migration with audit.operations.Track({label!r}, {columns}).",
                    id="audit.E002",
                )
            )
    return found


def _untold(before: Track | None, track: Track) -> list[CheckMessage]:
    """What a migration did to columns that are tracked already, and does not say."""
    if before is None:
        return []
    came, went = set(track.columns) - set(before.columns), set(before.columns) - set(track.columns)
    said = ({*track.added, *track.renamed.values()}, {*track.dropped, *track.renamed})
    if (came, went) == said:
        return []
    return [
        Error(
            f"A migration's Track({track.label!r}) does not say what became of {sorted(came | went)}.",
            hint="Name them: added=[…], dropped=[…] or renamed={'from': 'to'}; and filled=[…], if no trigger saw that.",
            id="audit.E003",
        )
    ]


def _tracks() -> Iterator[Track]:
    """Every `Track` of the migrations, in their order."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    for key in _in_order(loader):
        for operation in loader.graph.nodes[key].operations:
            if isinstance(operation, Track):
                yield operation


def _in_order(loader: MigrationLoader) -> list[tuple[str, str]]:
    ordered: dict[tuple[str, str], None] = {}
    for leaf in loader.graph.leaf_nodes():
        ordered |= dict.fromkeys(loader.graph.forwards_plan(leaf))
    return list(ordered)

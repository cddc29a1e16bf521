"""A child process that has little memory and none of our secrets, and reads what may kill its reader."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from clearance.errors import Invalid
from clearance.sheets.cells import Sheet
from clearance.sheets.refusals import WorkbookNotUnderstood, WorkbookTooDemanding
from clearance.sheets.workbooks import Seen, choose, complaints, open_apart

CHILD_MEMORY = 1024**3
CHILD_SECONDS = 60
_EXHAUSTED = 70
_CHILD = """
from django.conf import settings
settings.configure(USE_I18N=False)
from clearance.sheets.apart import serve
serve()
"""


@dataclass(frozen=True, slots=True)
class Task:
    """What the child is to read: a sheet by its title, else the first with content, or of each the first rows."""

    data: bytes
    name: str
    title: str | None = None
    head: int = 0


def sheet(task: Task) -> Sheet:
    """Have the child read one sheet."""
    found = seen(task)
    assert isinstance(found, Sheet)  # noqa: S101 (heads weren't asked for)
    return found


def seen(task: Task) -> Sheet | list[Seen]:
    """Have the child read the first rows of each sheet, or the one sheet that there is."""
    root = str(Path(__file__).parents[2])
    try:
        child = subprocess.run(  # noqa: S603 (our own interpreter, our own code)
            [sys.executable, "-c", _CHILD],
            input=pickle.dumps(task),
            capture_output=True,
            cwd=root,
            env={"PYTHONPATH": root},
            timeout=CHILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkbookTooDemanding(name=task.name) from error
    if child.returncode < 0 or child.returncode == _EXHAUSTED:  # killed: aborted for want of memory, out of time
        raise WorkbookTooDemanding(name=task.name)
    if child.returncode:
        raise RuntimeError(f"The reading process failed: {child.stderr.decode(errors='replace')[-2_000:]}")
    outcome, content = pickle.loads(child.stdout)  # noqa: S301 (written by the child's `serve`)
    if outcome == "Heads":
        return [(title, rows, _refusal(*told) if told else None) for title, rows, told in content]
    if outcome != "Sheet":
        raise _refusal(outcome, content)
    return cast("Sheet", content)


def _refusal(kind: str, context: dict[str, object]) -> Invalid:
    return next(one for one in Invalid.__subclasses__() if one.__name__ == kind)(**context)


def serve() -> None:
    """Be the child of `seen`: a task on stdin, what was found or the refusal on stdout."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY, CHILD_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CHILD_SECONDS, CHILD_SECONDS))
    answer: tuple[str, Any]
    try:
        answer = _answer(pickle.load(sys.stdin.buffer))  # noqa: S301 (written by our parent)
    except Invalid as refusal:
        answer = type(refusal).__name__, refusal.context
    except MemoryError:
        os._exit(_EXHAUSTED)
    pickle.dump(answer, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)
    sys.stdout.buffer.flush()
    os._exit(0)  # freeing a million cells one by one is wasted time


def _answer(task: Task) -> tuple[str, Any]:
    book = open_apart(task.data, name=task.name, only=task.title)
    with complaints(WorkbookNotUnderstood(name=task.name)):
        titles = book.visible() if task.title is None else [book.named(task.title)]
        if task.head and len(titles) > 1:
            seen = ((title, *book.rows(title)) for title in titles)
            return "Heads", [
                (title, rows[: task.head], (type(told).__name__, told.context) if told else None)
                for title, rows, told in seen
            ]
        title, rows, _ = choose(((title, *book.rows(title)) for title in titles), None, is_named=task.title is not None)
        return "Sheet", book.sheet(title, rows)

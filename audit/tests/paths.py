"""Every way in which a change can be made, as one table; `test_write_paths.py` tries each of them.

A path sets the stage, acts, and tells what the trail should say: `@path("PATCH shipments/{pk}/eta")` names a function
of a `Stage` that returns what was `changed`, `created` or `deleted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pyotp
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db.models import Model
from django.utils import timezone

from accounts import services as accounts
from accounts.models import User
from audit.tests import trails
from audit.tests.trails import ADDRESS, FROM_THERE, OURS, REQUEST, Told
from clearance import context, sheets
from clearance.clock import day_of
from clearance.tests import callers, pages, recipes
from clearance.tests.cast import PASSWORD, Cast
from shipments.models import Shipment
from workflow.models import WorkflowStep


@dataclass(frozen=True)
class Circumstances:
    """What every entry of an act says of it; a command and beat's tasks have request ids of their own."""

    channel: str
    by: User | None = None
    ip_address: str | None = None
    request_id: str = ""


class Stage:
    """Where a path acts: people, records, and doors that note who came through them and since when."""

    def __init__(self, cast: Cast, folder: Path) -> None:
        self.cast, self.folder = cast, folder
        self.at: datetime = timezone.now()
        self.today: date = day_of(self.at)
        self.since = 0
        self.circumstances = Circumstances("system")

    # Records ---------------------------------------------------------------------------------------------------------
    def shipment(self, **values: Any) -> Shipment:
        return recipes.registered(by=self.cast.bu_clerk, at=self.at, **{"eta": self.today + timedelta(days=9)} | values)

    def step(self, number: str = recipes.BAYAN_SUBMITTED, *, done: bool = False) -> WorkflowStep:
        shipment = self.shipment()
        if done:
            recipes.record(shipment, {number: self.today}, at=self.at)
        return recipes.step(shipment, number)

    def day(self, days: int) -> str:
        """A date as a form of the admin takes it."""
        return f"{self.today + timedelta(days=days):%d/%m/%Y}"

    def tracker(self, *rows: list[Any]) -> SimpleUploadedFile:
        headings = ["Shipment #", "Principal", "Brand", "Inv Amount", "E.T.A"]
        return SimpleUploadedFile("tracker.xlsx", sheets.write(sheets.Page("Tracker", [headings, *rows])))

    # Doors -----------------------------------------------------------------------------------------------------------
    def begins(self, channel: str, by: User | None, **where: Any) -> None:
        self.circumstances = Circumstances(channel, by, **where)
        self.since = trails.last_id()

    @contextmanager
    def acting(self) -> Iterator[None]:
        """What a door tells the context, without a door."""
        by = self.cast.bu_clerk
        with context.acting(channel="api", request_id=REQUEST, ip_address=ADDRESS):
            accounts.note_actor(by)
            self.begins("api", by, ip_address=ADDRESS, request_id=REQUEST)
            yield

    def calls(self, by: User, method: str, address: str, body: Any = None, **options: Any) -> Any:
        client = callers.signed_in(by)
        self.begins("api", by, ip_address=ADDRESS, request_id=OURS)
        answer = getattr(client, method)(f"/api/v1/{address}", body, **FROM_THERE, **options)
        assert answer.status_code < 300, answer.content
        return answer

    def posts(self, by: User, address: str, given: dict[str, Any] | None = None) -> Any:
        client = pages.signed_in(by)
        self.begins("admin", by, ip_address=ADDRESS, request_id=OURS)
        answer = client.post(address, given or {}, **FROM_THERE)
        is_refused = answer.status_code == 200 and "form" in (answer.context or {}) and answer.context["form"].errors
        assert answer.status_code in (200, 302), answer.content
        assert not is_refused, answer.context["form"].errors
        return answer

    def saves(self, by: User, record: Model, **values: Any) -> None:
        """Fill in the record's form at the admin anew."""
        shown = pages.signed_in(by).get(pages.of(record))
        given = {**pages.filled_in(shown), **values}
        assert self.posts(by, pages.of(record), given).status_code == 302

    def commands(self, *args: Any, by: User | None = None) -> str:
        out = StringIO()
        self.begins("command", by)
        call_command(*map(str, args), stdout=out)
        return out.getvalue()

    def sends(self, task: Any) -> None:
        """Have a worker do what a person's request sent."""
        self.begins("task", None, request_id=REQUEST)
        task.apply(headers={"request_id": REQUEST}, throw=True)


def enrolled(person: User, *, ago: timedelta = timedelta(hours=1)) -> list[str]:
    """Set up a second factor for somebody, some time ago; return the backup codes."""
    at = timezone.now() - ago
    secret = accounts.set_up_second_factor(user=person, password=PASSWORD, at=at, ip_address=None).secret
    return accounts.enable_second_factor(user=person, code=pyotp.TOTP(secret).at(at), at=at)


Act = Callable[[Stage], list[Told]]
PATHS: dict[str, Act] = {}


def path(name: str) -> Callable[[Act], Act]:
    def enter(act: Act) -> Act:
        assert name not in PATHS, f"{name} is there twice"
        PATHS[name] = act
        return act

    return enter

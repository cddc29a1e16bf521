"""What a message says, and the patience of its delivery (C19)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from outbox.models import Message

RUN = timedelta(seconds=60)  # after which one look at the outbox begins no further message
REFUSALS = 3
RETRY = timedelta(minutes=5)
PROBE = timedelta(minutes=1)
HIDDEN = "•••"


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says; HTML and text say the same. `secret` is the part that only the recipient may read."""

    subject: str
    text: str
    html: str
    secret: str = ""

    def without_secret(self) -> Content:
        if not self.secret:
            return self
        hidden = (one.replace(self.secret, HIDDEN) for one in (self.subject, self.text, self.html))
        return Content(*hidden)


Compose = Callable[[Message, datetime], Content | None]
"""Composes a message as of a moment; None where nothing is left to say."""

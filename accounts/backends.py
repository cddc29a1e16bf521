"""Sessions of the back office: where they are kept, and who each belongs to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import db

from accounts.models import BrowserSession, User
from clearance import text


class Sessions(ModelBackend):
    """Finds the person with the statement that also tells their rights and whether they owe a second factor.

    Signing in itself is for `accounts.services`, which count failures.
    """

    def get_user(self, user_id: int) -> User | None:
        people = User.objects.people().active()
        found: User | None = people.with_rights().with_owed_factor().filter(pk=user_id).first()
        return found


class SessionStore(db.SessionStore):
    """Keeps with a session whose it is, since when and from where (`clearance.admin.sign_in`), for a list of them."""

    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        return BrowserSession

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        kept = cast("BrowserSession", super().create_model_instance(data))
        opened = data.get("opened", {})
        kept.user_id = data.get(SESSION_KEY)
        kept.ip_address, kept.user_agent = opened.get("ip_address"), text.tidied(opened.get("user_agent", ""))
        kept.opened_at, kept.seen_at = (_moment(opened.get(name)) for name in ("at", "seen_at"))
        return kept


def _moment(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None

"""Sessions of the back office: where they are kept, and who each belongs to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import db
from django.utils import timezone

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
    """Keeps with a session whose it is, since when and from where (`accounts.pages.sign_in`), for a list of them.

    Of its key only a hash is kept: who reads the table can't go on with anybody's session. Whose it is says the row,
    of which the trail tells; what is stored in a session counts only there, and can't be copied to another person's.
    """

    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        return BrowserSession

    def load(self) -> dict[str, Any]:
        kept = BrowserSession.objects.filter(
            pk=BrowserSession.kept_as(self.session_key), expire_date__gt=timezone.now()
        ).first()
        stored: dict[str, Any] = self.decode(kept.session_data) if kept else {}
        if kept and str(kept.user_id or "") == str(stored.get(SESSION_KEY, "")):
            return stored
        self._session_key = None
        return {}

    def exists(self, session_key: str) -> bool:
        return super().exists(BrowserSession.kept_as(session_key))

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            super().delete(BrowserSession.kept_as(key))

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        kept = cast("BrowserSession", super().create_model_instance(data))
        kept.session_key = BrowserSession.kept_as(kept.session_key)
        opened = data.get("opened", {})
        kept.user_id = data.get(SESSION_KEY)
        kept.ip_address, kept.user_agent = opened.get("ip_address"), text.tidied(opened.get("user_agent", ""))
        kept.opened_at, kept.seen_at = (_moment(opened.get(name)) for name in ("at", "seen_at"))
        return kept


def _moment(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None

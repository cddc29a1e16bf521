"""Who a session of the back office belongs to."""

from __future__ import annotations

from django.contrib.auth.backends import ModelBackend

from accounts.models import User


class Sessions(ModelBackend):
    """Finds the person with the same statement that tells whether they owe a second factor.

    Signing in itself is for `accounts.services`, which count failures.
    """

    def get_user(self, user_id: int) -> User | None:
        found: User | None = User.objects.active().with_owed_factor().filter(pk=user_id).first()
        return found

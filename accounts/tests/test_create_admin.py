from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from accounts.management.commands import create_admin
from accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def typing(monkeypatch):
    """What is typed when the command asks for the password."""

    def types(password: str) -> None:
        monkeypatch.setattr(create_admin, "getpass", lambda prompt: password)

    return types


class TestTheFirstAdministrator:
    def test_is_taken_on_with_the_role_and_can_sign_in(self, typing, capsys):
        typing("Halwa-and-kahwa-9")

        call_command("create_admin", "First@Example.com", "Amal First")

        user = User.objects.get()
        assert (user.email, user.role, user.is_superuser) == ("first@example.com", "Admin", False)
        assert user.check_password("Halwa-and-kahwa-9")
        assert user.has_perm("accounts.add_user")
        assert "first@example.com is an administrator" in capsys.readouterr().out

    @pytest.mark.parametrize("password", ["12345678", "short", ""])
    def test_needs_a_good_password(self, typing, password):
        typing(password)

        with pytest.raises(CommandError):
            call_command("create_admin", "first@example.com", "Amal First")

        assert not User.objects.exists()

    def test_is_refused_where_the_address_is_taken(self, typing, administrator):
        typing("Halwa-and-kahwa-9")

        with pytest.raises(CommandError, match="exists already"):
            call_command("create_admin", administrator.email, "Somebody Else")

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts import services as accounts
from accounts.errors import WrongPassword
from accounts.models import User
from accounts.tests.test_second_factor import code_of
from clearance.tests.cast import PASSWORD
from outbox.messages import composers
from outbox.models import Message

pytestmark = pytest.mark.django_db

NEW = "Tall-ship-sails-9"


def told(person) -> list[str]:
    return list(Message.objects.filter(recipient=person).order_by("pk").values_list("kind", flat=True))


@pytest.fixture
def enrolled(cc_clerk, noon) -> None:
    """The clerk has a second factor."""
    made = accounts.set_up_second_factor(user=cc_clerk, password=PASSWORD, at=noon, ip_address=None)
    accounts.enable_second_factor(user=cc_clerk, code=code_of(made.secret, noon), at=noon)


class TestAChangedPassword:
    def test_is_told_to_its_owner_with_when_and_what_to_do(self, cc_clerk, noon):
        accounts.change_password(user=cc_clerk, current_password=PASSWORD, password=NEW, at=noon, ip_address=None)

        assert told(cc_clerk) == ["password_changed"]
        message = Message.objects.get()
        content = composers()[message.kind](message, noon)
        assert content.subject == "Your password was changed"
        for said in (content.text, content.html):
            assert "the password of your account was changed" in said
            assert "/admin/password_reset/" in said
            assert "tell an administrator" in said

    def test_is_told_when_an_administrator_set_it(self, cc_clerk, administrator, noon):
        accounts.set_password(user=cc_clerk, password=NEW, by=administrator, at=noon)

        assert told(cc_clerk) == ["password_changed"]

    def test_is_no_news_where_there_was_none_before(self, administrator, noon):
        new = accounts.take_on(email="new@example.com", full_name="New Clerk", department="C&C", role="PPR", by=None)
        accounts.set_password(user=new, password=NEW, by=administrator, at=noon)

        assert told(new) == []

    def test_is_not_told_when_it_was_refused(self, cc_clerk, noon):
        with pytest.raises(WrongPassword):
            accounts.change_password(
                user=cc_clerk, current_password="Nothing-like-it-1", password=NEW, at=noon, ip_address=None
            )

        assert told(cc_clerk) == []

    def test_is_not_told_to_somebody_deactivated(self, cc_clerk, administrator, noon):
        accounts.deactivate(user=cc_clerk, by=None, at=noon)

        accounts.set_password(user=User.objects.get(pk=cc_clerk.pk), password=NEW, by=administrator, at=noon)

        assert told(cc_clerk) == []

    def test_floods_nobody(self, cc_clerk, administrator, noon):
        for number in range(8):
            accounts.set_password(user=cc_clerk, password=f"{NEW}{number}", by=administrator, at=noon)
        assert len(told(cc_clerk)) == 5

        later = noon + timedelta(hours=1, seconds=1)
        accounts.set_password(user=cc_clerk, password=f"{NEW}-later", by=administrator, at=later)
        assert len(told(cc_clerk)) == 6


class TestASecondFactorTurnedOff:
    def test_is_told_to_its_owner(self, cast, noon, enrolled):
        accounts.disable_second_factor(user=cast.cc_clerk, password=PASSWORD, at=noon, ip_address=None)

        assert told(cast.cc_clerk) == ["second_factor_off"]

    def test_by_an_administrator_is_told_too(self, cast, noon, enrolled):
        accounts.reset_second_factor(user_id=cast.cc_clerk.pk, by=cast.administrator, at=noon)

        assert told(cast.cc_clerk) == ["second_factor_off"]

    def test_that_was_never_on_is_no_news(self, cc_clerk, administrator, noon):
        accounts.set_up_second_factor(user=cc_clerk, password=PASSWORD, at=noon, ip_address=None)

        accounts.reset_second_factor(user_id=cc_clerk.pk, by=administrator, at=noon)

        assert told(cc_clerk) == []

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import translation

from accounts import services as accounts
from accounts.errors import AdministratorsOnly
from accounts.models import User
from accounts.tests.people import caretaker, fresh
from clearance.constraints import ConstraintViolated
from clearance.errors import Forbidden
from clearance.tests import callers, pages
from clearance.tests.callers import error_of
from clearance.tests.traces import everything, refused
from outbox import services as outbox
from outbox.errors import NoTextMessages, PhoneMissing
from outbox.models import MutedMail, WantedText

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/preferences"
PHONE = "+96891234567"


@pytest.fixture
def clerk(cc_clerk):
    cc_clerk.phone = PHONE
    cc_clerk.save()
    return cc_clerk


def chosen(person) -> tuple[set[str], set[str], str]:
    """Muted by mail, wanted by text, and the language."""
    return (
        set(MutedMail.objects.filter(user=person).values_list("severity", flat=True)),
        set(WantedText.objects.filter(user=person).values_list("severity", flat=True)),
        User.objects.get(pk=person.pk).language,
    )


class TestChoosing:
    def test_sets_exactly_what_is_said_and_leaves_the_rest(self, clerk, noon):
        accounts.choose_messages(user=clerk, by=clerk, mail=["urgent"], sms=["urgent"], at=noon)
        assert chosen(clerk) == ({"warning", "critical"}, {"urgent"}, "en")

        accounts.choose_messages(user=clerk, by=clerk, mail=["warning", "urgent"], at=noon)
        assert chosen(clerk) == ({"critical"}, {"urgent"}, "en")

        accounts.choose_messages(user=clerk, by=clerk, sms=[], language="ar", at=noon)
        assert chosen(clerk) == ({"critical"}, set(), "ar")

    def test_for_somebody_else_is_for_whoever_looks_after_them(self, cast, noon):
        mine = {"mail": ["urgent"], "at": noon}

        accounts.choose_messages(user=cast.cc_clerk, by=caretaker(cast), **mine)
        assert chosen(cast.cc_clerk)[0] == {"warning", "critical"}
        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.choose_messages(user=cast.cc_clerk, by=cast.cc_head, **mine)
        with refused(AdministratorsOnly, "ADMINISTRATORS_ONLY"):
            accounts.choose_messages(user=cast.administrator, by=fresh(cast.auditor), **mine)

    def test_texts_needs_a_phone_number(self, cc_clerk, noon):
        with refused(PhoneMissing, "PHONE_MISSING"):
            accounts.choose_messages(user=cc_clerk, by=cc_clerk, mail=[], sms=["urgent"], at=noon)

    def test_texts_needs_a_provider(self, clerk, settings, noon):
        settings.SMS_BACKEND = ""

        with refused(NoTextMessages, "NO_TEXT_MESSAGES"):
            accounts.choose_messages(user=clerk, by=clerk, sms=["urgent"], at=noon)

    def test_again_what_was_chosen_before_needs_neither(self, clerk, settings):
        outbox.choose_channels(user=clerk, sms=["urgent"])
        settings.SMS_BACKEND, clerk.phone = "", ""

        outbox.choose_channels(user=clerk, sms=["urgent"])
        assert chosen(clerk)[1] == {"urgent"}

        outbox.choose_channels(user=clerk, sms=[])
        assert chosen(clerk)[1] == set()

    @pytest.mark.parametrize("severity", ["warning", "critical"])
    def test_texts_is_for_what_is_urgent(self, clerk, severity):
        with refused(ConstraintViolated, "VALIDATION_ERROR"):
            outbox.choose_channels(user=clerk, sms=[severity])


class TestTheApi:
    def test_tells_what_one_gets(self, clerk, django_assert_num_queries):
        MutedMail.objects.create(user=clerk, severity="warning")
        caller = callers.signed_in(clerk)

        with django_assert_num_queries(3):
            answer = caller.get(ADDRESS)

        assert answer.json() == {"language": "en", "mail": ["critical", "urgent"], "sms": [], "is_sms_available": True}

    def test_changes_what_is_sent_and_answers_all_of_it(self, clerk, django_assert_max_num_queries):
        caller = callers.signed_in(clerk)

        with django_assert_max_num_queries(16):
            answer = caller.patch(ADDRESS, {"sms": ["urgent"], "language": "ar"})

        assert answer.json() == {
            "language": "ar",
            "mail": ["warning", "critical", "urgent"],
            "sms": ["urgent"],
            "is_sms_available": True,
        }
        assert chosen(clerk) == (set(), {"urgent"}, "ar")

    def test_mutes_everything_by_an_empty_list(self, clerk):
        callers.signed_in(clerk).patch(ADDRESS, {"mail": []})

        assert chosen(clerk)[0] == {"warning", "critical", "urgent"}

    @pytest.mark.parametrize(
        "body",
        [
            {"sms": ["critical"]},
            {"mail": ["loud"]},
            {"mail": "urgent"},
            {"language": "de"},
            {"phone": PHONE},
            {"mail": None},
            [],
        ],
    )
    def test_is_strict(self, clerk, body):
        caller = callers.signed_in(clerk)
        before = everything()

        answer = caller.patch(ADDRESS, body)

        assert error_of(answer, 400)["code"] == "VALIDATION_ERROR"
        assert everything() == before

    def test_says_what_is_missing(self, cc_clerk):
        answer = callers.signed_in(cc_clerk).patch(ADDRESS, {"sms": ["urgent"]})

        assert error_of(answer, 409)["code"] == "PHONE_MISSING"
        assert error_of(answer, 409)["details"][0]["field"] == "sms"

    def test_is_not_for_strangers(self, client):
        assert error_of(client.get(ADDRESS), 401)["code"] == "NOT_AUTHENTICATED"
        assert error_of(client.patch(ADDRESS, {}), 401)["code"] == "NOT_AUTHENTICATED"

    def test_is_everybodys_own(self, clerk, cc_head):
        callers.signed_in(clerk).patch(ADDRESS, {"mail": []})

        assert not MutedMail.objects.filter(user=cc_head).exists()


class TestThePageOfOnesOwn:
    def page(self, person):
        return pages.signed_in(person).get(reverse("admin:own_messages"))

    def test_is_found_from_every_page(self, clerk):
        assert f'href="{reverse("admin:own_messages")}"' in pages.signed_in(clerk).get("/admin/").content.decode()

    def test_shows_what_is_chosen(self, clerk):
        MutedMail.objects.create(user=clerk, severity="warning")

        form = self.page(clerk).context["form"]

        assert form["language"].value() == "en"
        assert form["mail"].value() == ["critical", "urgent"]
        assert form["sms"].value() == []
        assert "ends with 567" in form["sms"].help_text

    def test_changes_it(self, clerk):
        given = {"language": "ar", "mail": ["urgent"], "sms": ["urgent"]}

        answer = pages.signed_in(clerk).post(reverse("admin:own_messages"), given, follow=True)

        assert chosen(clerk) == ({"warning", "critical"}, {"urgent"}, "ar")
        with translation.override("ar"):
            assert pages.told(answer)[0][0] == "success"
        assert 'lang="ar"' in answer.content.decode()

    def test_says_why_no_text_can_be_chosen(self, cc_clerk, settings):
        assert "There is no phone number" in pages.words(self.page(cc_clerk).content.decode())
        assert self.page(cc_clerk).context["form"]["sms"].field.disabled

        settings.SMS_BACKEND = ""
        assert "No provider of text messages" in pages.words(self.page(cc_clerk).content.decode())

    def test_takes_no_text_that_was_slipped_in(self, cc_clerk):
        given = {"language": "en", "mail": [], "sms": ["urgent"]}

        pages.signed_in(cc_clerk).post(reverse("admin:own_messages"), given)

        assert chosen(cc_clerk) == ({"warning", "critical", "urgent"}, set(), "en")

    def test_lets_a_choice_be_taken_back_that_waits_for_a_phone(self, clerk):
        outbox.choose_channels(user=clerk, sms=["urgent"])
        User.objects.filter(pk=clerk.pk).update(phone="")

        pages.signed_in(clerk).post(reverse("admin:own_messages"), {"language": "en", "mail": ["urgent"]})

        assert chosen(clerk)[1] == set()

    def test_shows_what_is_wrong(self, clerk):
        answer = pages.signed_in(clerk).post(reverse("admin:own_messages"), {"language": "de", "mail": ["loud"]})

        assert set(pages.errors_of(answer)) == {"language", "mail"}


class TestAnAdministrator:
    def test_chooses_for_somebody(self, clerk, administrator):
        given = {"mail": ["critical"], "sms": ["urgent"]}

        pages.signed_in(administrator).post(pages.verb("mail", clerk), given)

        assert chosen(clerk) == ({"warning", "urgent"}, {"urgent"}, "en")

    def test_is_the_only_one(self, clerk, cc_head):
        answer = pages.signed_in(cc_head).post(pages.verb("mail", clerk), {"mail": []})

        assert answer.status_code == 403
        assert chosen(clerk) == (set(), set(), "en")

    def test_chooses_no_texts_for_somebody_without_a_phone(self, cc_clerk, administrator):
        pages.signed_in(administrator).post(pages.verb("mail", cc_clerk), {"mail": [], "sms": ["urgent"]})

        assert chosen(cc_clerk)[1] == set()

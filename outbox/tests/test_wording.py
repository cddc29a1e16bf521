from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone, translation

from alerts.choices import MessageKind
from clearance.errors import Forbidden, InvalidFields
from clearance.languages import Language
from clearance.tests import pages
from clearance.tests.traces import everything, refused
from outbox import messages
from outbox import services as outbox
from outbox.admin import PREVIEW_POLICY
from outbox.choices import Channel, Delivery, SmsName
from outbox.models import Carrier, Message, SmsTemplate
from outbox.rules import MOST_SEGMENTS, VARIABLES, require_good_text, segments
from outbox.tests import mails

pytestmark = pytest.mark.django_db

MAILS = [kind.code for kind in messages.mails()]
SAMPLES = "/admin/outbox/message/samples/"


def of(name: str) -> SmsTemplate:
    return SmsTemplate.objects.get(name=name)


class TestEveryKindOfMail:
    def test_has_a_sample_and_somebody_who_composes_it(self):
        templates = {path.stem for path in (settings.BASE_DIR / "templates" / "mail").glob("[!_]*.txt")}

        assert set(MAILS) == templates
        assert {code for code, kind in messages.kinds().items() if not kind.sample} == {MessageKind.URGENT_ALERT}

    @pytest.mark.parametrize("language", Language)
    @pytest.mark.parametrize("kind", MAILS)
    def test_is_whole_in_both_languages(self, kind, language, django_assert_num_queries):
        with django_assert_num_queries(0):
            content = messages.sample(kind, language=language, at=timezone.now())

        assert content.subject
        assert not content.secret
        assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in content.html
        assert bool(re.search("[؀-ۿ]", content.subject)) == (language == "ar")
        for said in (content.subject, content.text, content.html):
            assert "{{" not in said
            assert "{%" not in said
            assert "None" not in said
        assert "token=•••" in content.text or "token" not in content.text


class TestEveryText:
    @pytest.mark.parametrize("language", Language)
    @pytest.mark.parametrize("name", SmsName)
    def test_comes_along_and_is_short(self, name, language):
        template = of(name)

        said = messages.sample_text(template, language=language)

        require_good_text(name, template.content(language))
        assert segments(said) < MOST_SEGMENTS
        for variable in VARIABLES[name].values():
            assert variable.sample in said

    def test_that_was_worded_anew_stays_when_the_reference_data_are_loaded_again(self, administrator):
        template = of("2fa_code")
        template.content_en = "Code {{code}}"
        outbox.word_text(template=template, by=administrator)

        call_command("load_reference_data")

        assert of("2fa_code").content_en == "Code {{code}}"
        assert SmsTemplate.objects.count() == len(SmsName)


class TestWordingAText:
    def test_is_for_administrators(self, cc_head):
        template = of("2fa_code")
        template.content_en = "Code {{code}}"

        with refused(Forbidden, "PERMISSION_DENIED"):
            outbox.word_text(template=template, by=cc_head)

    def test_says_in_each_language_what_is_wrong(self, administrator):
        template = of("2fa_code")
        template.content_en, template.content_ar = "{{cod}}", "ب" * 250

        with refused(InvalidFields, "VALIDATION_ERROR") as refusal:
            outbox.word_text(template=template, by=administrator)

        assert "knows no cod" in refusal.value.faults["content_en"][0]
        assert "4 text messages" in refusal.value.faults["content_ar"][0]

    def test_on_its_page_shows_the_price_and_what_may_stand_in_it(self, administrator):
        answer = pages.signed_in(administrator).get(pages.of(of("urgent_alert")))

        told = pages.words(answer.content.decode())
        assert "{{number}}" in told
        assert "sent and charged as 1 message" in told
        assert "SH-2026-014" in told

    def test_on_its_page_keeps_what_is_refused_on_the_form(self, administrator):
        template = of("2fa_code")
        given = {"content_en": "{{cod}}", "content_ar": "{{code}}", "is_active": "on"}

        answer = pages.signed_in(administrator).post(pages.of(template), given)

        assert "knows no cod" in pages.errors_of(answer)["content_en"][0]
        assert of("2fa_code").content_en == template.content_en

    def test_on_its_page_saves(self, administrator):
        given = {"content_en": "{{code}}!\r\nTell nobody.", "content_ar": "{{code}}", "is_active": ""}

        assert pages.signed_in(administrator).post(pages.of(of("2fa_code")), given).status_code == 302

        assert (of("2fa_code").content_en, of("2fa_code").is_active) == ("{{code}}!\nTell nobody.", False)

    def test_adds_and_removes_none(self, administrator):
        client = pages.signed_in(administrator)

        assert client.get("/admin/outbox/smstemplate/add/").status_code == 403
        assert client.post(f"/admin/outbox/smstemplate/{of('2fa_code').pk}/delete/").status_code == 403


class TestThePageOfTheWording:
    def test_shows_every_kind_and_every_text_in_both_languages_and_writes_nothing(
        self, administrator, django_assert_max_num_queries
    ):
        client, before = pages.signed_in(administrator), everything()

        with django_assert_max_num_queries(10):
            answer = client.get(SAMPLES)

        html, told = answer.content.decode(), pages.words(answer.content.decode())
        for kind in MAILS:
            assert str(messages.kinds()[kind].name) in told
            for language in Language:
                assert f'src="{SAMPLES}{kind}/{language}/"' in html
                with translation.override(language):
                    assert messages.sample(kind, language=language, at=timezone.now()).subject in told
        assert "sent and charged as" in told
        assert everything() == before

    @pytest.mark.parametrize("language", Language)
    @pytest.mark.parametrize("kind", MAILS)
    def test_frames_html_that_can_do_nothing(self, administrator, kind, language):
        answer = pages.signed_in(administrator).get(f"{SAMPLES}{kind}/{language}/")

        assert answer.status_code == 200
        assert answer["Content-Security-Policy"] == PREVIEW_POLICY
        assert {"default-src 'none'", "form-action 'none'", "sandbox"} <= set(PREVIEW_POLICY.split("; "))
        assert answer["X-Frame-Options"] == "SAMEORIGIN"
        assert "<script" not in answer.content.decode()

    @pytest.mark.parametrize("path", ["", "digest/en/"])
    def test_is_for_those_who_may_see_messages(self, cast, path):
        for person in (cast.cc_clerk, cast.auditor, cast.manager):
            assert pages.signed_in(person).get(f"{SAMPLES}{path}").status_code == 403

    @pytest.mark.parametrize("path", ["urgent_alert/en/", "nonsense/en/", "digest/de/"])
    def test_knows_no_other_kind_or_language(self, administrator, path):
        assert pages.signed_in(administrator).get(f"{SAMPLES}{path}").status_code == 404

    def test_is_found_above_the_messages(self, administrator):
        assert SAMPLES in pages.signed_in(administrator).get("/admin/outbox/message/").content.decode()


class TestATextAmongTheMessages:
    @pytest.fixture
    def message(self, cc_clerk):
        cc_clerk.phone = "+96891234567"
        cc_clerk.save()
        changed = {"channel": Channel.SMS, "kind": MessageKind.URGENT_ALERT, "delivery": Delivery.DEAD}
        return mails.waiting(cc_clerk, **changed, last_refusal="OptedOut …567")

    def test_is_listed_with_its_number_and_what_was_said(self, administrator, message):
        told = pages.words(pages.signed_in(administrator).get("/admin/outbox/message/?channel=sms").content.decode())

        assert "+96891234567" in told
        assert "Text message" in told
        assert "OptedOut …567" in told

    def test_has_a_page_without_a_frame(self, administrator, message):
        answer = pages.signed_in(administrator).get(pages.of(message))

        assert "<iframe" not in answer.content.decode()
        assert "it would not be sent" in pages.words(answer.content.decode())
        url = reverse("admin:outbox_message_preview", args=[message.pk, "en"])
        assert pages.signed_in(administrator).get(url).status_code == 404

    def test_tells_that_its_carrier_is_down(self, administrator, message):
        at = timezone.now()
        for channel in Channel:
            Carrier.objects.create(
                channel=channel, down_since=at, next_probe_at=at, last_failure=f"{channel} is silent"
            )

        told = pages.words(pages.signed_in(administrator).get("/admin/").content.decode())

        assert "The mail server has not worked since" in told
        assert "Text messages have not gone out since" in told
        assert "sms is silent" in told
        assert Message.objects.dead().count() == 1

from __future__ import annotations

from email import message_from_bytes, policy
from pathlib import Path

import pytest

from outbox.choices import Delivery
from outbox.rules import Content
from outbox.tests.mails import breaker, deliver, now, waiting

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(settings, tmp_path):
    settings.EMAIL_BACKEND = "outbox.backends.MailFolder"
    settings.EMAIL_FILE_PATH = tmp_path / "var" / "mail"
    return settings.EMAIL_FILE_PATH


def mails(folder: Path):
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in sorted(folder.iterdir())]


class TestTheMailFolder:
    def test_gets_each_mail_as_a_file_that_mail_programs_open(self, folder, cc_clerk):
        messages = [waiting(cc_clerk), waiting(cc_clerk)]

        report = deliver()

        assert report.sent == 2
        assert [file.suffix for file in folder.iterdir()] == [".eml", ".eml"]
        first, second = mails(folder)
        assert first["To"] == cc_clerk.email
        assert str(messages[0].message_id) in first["Message-ID"]
        assert first.get_body(("plain",)).get_content().strip() == f"Text of {messages[0].pk}"
        assert second.get_body(("html",)).get_content().strip() == f"<p>HTML of {messages[1].pk}</p>"

    @pytest.mark.parametrize(
        "subject",
        [
            "../../etc/passwd",
            "/absolute/path\x00.txt",
            "الغرامة تسري: الشحنة ٧ " * 20,
            "𐐀𠀀" * 60,
            "CON: <|>?*\"'`$(rm -rf ~)",
            "...",
        ],
    )
    def test_names_the_file_whatever_the_subject(self, folder, cc_clerk, subject):
        message = waiting(cc_clerk)

        deliver(compose=lambda message, at: Content(subject, "text", "<p>html</p>"))

        assert now(message).delivery == Delivery.SENT, now(message).last_refusal
        (file,) = folder.iterdir()
        assert len(file.name.encode()) < 256
        assert file.name.endswith(f"{str(message.message_id)[:8]}.eml")
        assert not set(file.name) & set("/\\:*?\"<>|$`' \0")

    def test_that_cannot_be_written_is_a_server_that_failed(self, folder, cc_clerk):
        folder.parent.mkdir(parents=True)
        folder.write_text("a file where the folder should be")
        message = waiting(cc_clerk)

        report = deliver()

        assert report.is_server_down
        assert breaker().down_since is not None
        assert (now(message).delivery, now(message).refusals) == (Delivery.WAITING, 0)

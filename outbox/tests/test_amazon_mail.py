from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail as django_mail

from clearance.tests.recipes import NOON
from outbox.choices import Delivery
from outbox.models import Attachment
from outbox.rules import PROBE, RETRY
from outbox.tests import amazon as amazons
from outbox.tests.mails import LEASE, SOON, breaker, deliver, now, waiting
from outbox.tests.post_office import free_port

pytestmark = pytest.mark.django_db


def elsewhere(settings, **changed):
    """Have mail go to another address than the tests' Amazon."""
    client = settings.ANYMAIL["AMAZON_SES_CLIENT_PARAMS"]
    settings.ANYMAIL = {"AMAZON_SES_CLIENT_PARAMS": {**client, **changed}}


class TestAMailByAmazon:
    def test_arrives_with_all_that_belongs_to_it(self, amazon, cc_clerk):
        message = waiting(cc_clerk, cc=["copy@example.com"], bcc=["blind@example.com"], reply_to=["desk@example.com"])
        Attachment.objects.create(message=message, name="بيان.pdf", content_type="application/pdf", content=b"%PDF-1.7")

        assert deliver().sent == 1

        (taken,) = amazon.taken
        assert set(taken.to) == {cc_clerk.email, "copy@example.com", "blind@example.com"}
        assert taken.text.strip() == f"Text of {message.pk}"
        assert taken.mail["From"] == "Clearance <clearance@example.com>"
        assert (taken.mail["To"], taken.mail["Cc"], taken.mail["Bcc"]) == (cc_clerk.email, "copy@example.com", None)
        assert taken.mail["Reply-To"] == "desk@example.com"
        assert taken.mail.get_body(("html",)).get_content().strip() == f"<p>HTML of {message.pk}</p>"
        (attached,) = taken.mail.iter_attachments()
        assert (attached.get_filename(), attached.get_content()) == ("بيان.pdf", b"%PDF-1.7")

    def test_is_noted_under_the_name_that_amazon_gave_it(self, amazon, cc_clerk):
        message = waiting(cc_clerk)

        deliver()

        assert now(message).delivery == Delivery.SENT
        assert len(now(message).provider_id) > 20

    def test_tells_in_a_header_of_ours_which_message_it_is(self, amazon, cc_clerk):
        # Amazon replaces the Message-ID.
        message = waiting(cc_clerk)

        deliver()

        assert amazon.taken[0].mail["X-Clearance-Message"] == str(message.message_id)

    def test_goes_out_after_another_over_one_line(self, amazon, cc_clerk):
        for _ in range(5):
            waiting(cc_clerk)

        assert deliver().sent == len(amazon.taken) == 5


class TestARefusalByAmazon:
    @pytest.mark.parametrize(
        ("code", "said"),
        [("BadRequestException", "Invalid recipient address"), ("MessageRejected", "Email address is on the list")],
    )
    def test_of_one_mail_counts_against_it_alone(self, amazon, cc_clerk, code, said):
        amazon.refuses(400, code, f"{said} {cc_clerk.email}")
        message = waiting(cc_clerk)

        report = deliver()

        assert (report.refused, report.is_server_down) == (1, False)
        assert now(message).last_refusal == f"{code} {said} …"
        amazon.answer = None
        assert deliver(NOON + RETRY + SOON).sent == 1

    def test_of_an_address_that_is_none(self, amazon, cc_clerk):
        message = waiting(cc_clerk, cc=["no address at all"])

        report = deliver()

        assert (report.refused, report.is_server_down) == (1, False)
        assert "AnymailInvalidAddress" in now(message).last_refusal
        assert not amazon.asked

    def test_of_our_own_address_is_one_of_everything(self, amazon, settings, cc_clerk):
        settings.DEFAULT_FROM_EMAIL = "Clearance <nobody-verified@example.com>"
        message = waiting(cc_clerk)

        report = deliver()

        assert (report.refused, report.is_server_down) == (0, True)
        assert "Did not have authority" in report.failure
        assert "nobody-verified" not in report.failure
        assert now(message).refusals == 0


class TestAFailureOfAmazon:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (429, "TooManyRequestsException"),
            (400, "LimitExceededException"),
            (400, "SendingPausedException"),
            (400, "AccountSuspendedException"),
            (400, "MailFromDomainNotVerifiedException"),
            (403, "AccessDeniedException"),
            (403, "InvalidSignatureException"),
            (500, "InternalFailure"),
            (503, "ServiceUnavailable"),
            (400, "SomethingThatAmazonInventsTomorrow"),
        ],
    )
    def test_counts_no_attempt_and_opens_the_breaker(self, amazon, cc_clerk, status, code):
        amazon.refuses(status, code)
        message = waiting(cc_clerk)

        report = deliver()

        assert (report.refused, report.is_server_down) == (0, True)
        assert code in report.failure
        assert now(message).refusals == 0
        assert breaker().down_since is not None
        assert len(amazon.asked) == 1  # boto3 does not try again on its own

    def test_may_be_that_nobody_is_there_until_somebody_is(self, amazon, settings, cc_clerk):
        here, port = amazon.url, free_port()
        elsewhere(settings, endpoint_url=f"http://127.0.0.1:{port}")
        messages = [waiting(cc_clerk) for _ in range(3)]
        assert "EndpointConnectionError" in deliver().failure

        elsewhere(settings, endpoint_url=here)
        report = deliver(NOON + PROBE + SOON)

        assert (report.sent, breaker().down_since) == (3, None)
        assert {now(message).refusals for message in messages} == {0}

    def test_may_be_silence(self, amazon, settings, cc_clerk):
        config = settings.ANYMAIL["AMAZON_SES_CLIENT_PARAMS"]["config"]
        elsewhere(settings, config=config.merge(type(config)(read_timeout=0.5)))
        amazon.is_open.clear()
        waiting(cc_clerk)

        report = deliver()

        assert "ReadTimeoutError" in report.failure
        assert len(amazon.asked) == 1

    def test_may_be_that_we_have_no_keys(self, amazon, monkeypatch, tmp_path, cc_clerk):
        for name in amazons.KEYS:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        waiting(cc_clerk)

        report = deliver()

        assert "NoCredentialsError" in report.failure

    def test_may_be_a_region_that_is_none(self, amazon, settings, cc_clerk):
        elsewhere(settings, region_name="no region", endpoint_url=None)
        waiting(cc_clerk)

        report = deliver()

        assert report.is_server_down
        assert report.failure


class TestAWorkerThatDied:
    def test_leaves_a_mail_that_goes_out_again_with_the_same_header(self, amazon, cc_clerk):
        message = waiting(cc_clerk, leased_until=NOON + LEASE)

        deliver(NOON + LEASE + timedelta(seconds=1))

        assert [taken.mail["X-Clearance-Message"] for taken in amazon.taken] == [str(message.message_id)]


def test_nothing_went_by_another_way(amazon, cc_clerk):
    waiting(cc_clerk)

    deliver()

    assert django_mail.outbox == []

from __future__ import annotations

import pytest
from django.urls import reverse

from audit.tests import trails
from clearance.tests import pages

pytestmark = pytest.mark.django_db

FORGED = "198.51.100.66"
PROXY, SECOND_PROXY = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def address_of(cc_clerk, settings):
    """The address in the entry of a change that comes over so many trusted proxies."""

    def told(*, proxies: int, remote: str = PROXY, forwarded: str | None = None) -> str | None:
        settings.TRUSTED_PROXY_COUNT = proxies
        browser = pages.signed_in(cc_clerk)
        headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
        with trails.written() as entries:
            browser.post(reverse("admin:language"), {"language": "ar"}, REMOTE_ADDR=remote, **headers)
        (entry,) = entries
        return entry.ip_address

    return told


class TestWithoutAProxy:
    @pytest.mark.parametrize("forwarded", [FORGED, f"{FORGED}, 203.0.113.9", f"{FORGED},", "unknown", ""])
    def test_a_forged_header_never_gets_in(self, address_of, forwarded):
        assert address_of(proxies=0, remote="203.0.113.9", forwarded=forwarded) == "203.0.113.9"

    @pytest.mark.parametrize(
        ("remote", "told"),
        [
            ("2001:DB8::9", "2001:db8::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("fe80::1%eth0", "fe80::1"),
            ("", None),
        ],
    )
    def test_it_is_who_connects(self, address_of, remote, told):
        assert address_of(proxies=0, remote=remote) == told


class TestBehindProxies:
    @pytest.mark.parametrize(
        ("proxies", "forwarded"),
        [
            (1, "203.0.113.9"),
            (1, f"{FORGED}, 203.0.113.9"),
            (1, f"{FORGED}, , {FORGED},203.0.113.9 "),
            (2, f"203.0.113.9, {SECOND_PROXY}"),
            (2, f"{FORGED}, 203.0.113.9, {SECOND_PROXY}"),
            (3, f"{FORGED}, {FORGED}, 203.0.113.9, {SECOND_PROXY}, {SECOND_PROXY}"),
        ],
    )
    def test_it_is_what_the_outermost_trusted_one_wrote(self, address_of, proxies, forwarded):
        assert address_of(proxies=proxies, forwarded=forwarded) == "203.0.113.9"

    @pytest.mark.parametrize(
        ("written", "told"),
        [
            ("203.0.113.9:51034", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:51034", "2001:db8::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("fe80::1%eth0", "fe80::1"),
        ],
    )
    def test_ports_and_other_notations_are_understood(self, address_of, written, told):
        assert address_of(proxies=1, forwarded=f"{FORGED}, {written}") == told

    @pytest.mark.parametrize(
        "written", ["unknown", "203.0.113", "203.0.113.9:", "[]", "[", "%", "'; DROP TABLE x", "9" * 5000]
    )
    def test_garbage_is_no_address(self, address_of, written):
        assert address_of(proxies=1, forwarded=f"{FORGED}, {written}") is None

    def test_who_comes_past_one_of_them_is_who_connects(self, address_of):
        assert address_of(proxies=2, remote="203.0.113.9", forwarded=FORGED) == "203.0.113.9"

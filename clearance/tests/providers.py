"""OpenID providers on loopback, each a real process: our own, which does what a test asks, and one of other makers."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from django.test import Client

from clearance.tests.processes import eventually

DISCOVERY, JWKS = "/.well-known/openid-configuration", "/jwks"
CLIENT_ID, AUDIENCE = "clearance", "https://api.clearance.example"
START, CALLBACK = "/admin/login/provider/", "/admin/login/provider/callback/"


class Provider:
    """Our own (`provider_process.py`)."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        program = Path(__file__).with_name("provider_process.py")
        self.process = subprocess.Popen([sys.executable, str(program), str(self.port), str(self.folder)])
        assert eventually(self.answers), "the provider doesn't start"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def answers(self) -> bool:
        with suppress(requests.RequestException):
            return self.told() is not None
        return False

    def told(self, **orders: Any) -> dict[str, Any]:
        """Have it do something, and hear how it is."""
        return dict(requests.post(f"{self.url}/control", data=json.dumps(orders), timeout=5).json())

    def does(self, what: str, *places: str) -> None:
        self.told(does=dict.fromkeys(places or (JWKS,), what))

    def asked(self, place: str = JWKS) -> int:
        return int(self.told()["asked"].get(place, 0))

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """An access token for our API, good for five minutes unless told otherwise; None leaves a claim out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "amal", "iat": now, "exp": now + 300}
        return str(self.told(sign={"claims": usual | claims, "header": header or {}})["token"])


@contextmanager
def running() -> Iterator[Provider]:
    folder = Path(tempfile.mkdtemp(prefix="clearance-test-"))
    provider = Provider(folder)
    try:
        yield provider
    finally:
        provider.stop()
        shutil.rmtree(folder)


@contextmanager
def of_other_makers(*people: dict[str, Any]) -> Iterator[str]:
    """The address of a provider with a form at which these people sign in."""
    port = free_port()
    known = [part for person in people for part in ("--user-claims", json.dumps(person))]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true", *known]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        assert eventually(lambda: _answers(url), 30), "the provider doesn't start"
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(url + DISCOVERY, timeout=2).ok
    return False


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def way_back(browser: Client, **query: str) -> str:
    """Begin signing in, go to the provider, which approves; return where it leads back to."""
    begun = browser.get(START, query)
    assert begun.status_code == 302, begun.content
    approved = requests.get(begun["Location"], timeout=5, allow_redirects=False)
    assert approved.status_code == 302, approved.content
    address = urlsplit(approved.headers["Location"])
    return f"{address.path}?{address.query}"


def signed_in(browser: Client, **query: str) -> Any:
    """What our own page says in the end."""
    return browser.get(way_back(browser, **query))

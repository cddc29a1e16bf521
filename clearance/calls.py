"""Calls to servers of other people: short, small, and to nobody else than was asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import urllib3

PATIENCE_SECONDS = 3.0  # for each step of a call
MOST_SECONDS = 6.0  # for a whole answer, which a server may send in crumbs
MOST_BYTES = 256 * 1024
_READ_BYTES = 16 * 1024


class NoAnswer(Exception):
    """The server is away, too slow, too talkative, sends us elsewhere, fails, or answers no JSON object."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; a refusal (4xx) is an answer too."""

    status: int
    body: dict[str, Any]


def ask(url: str, *, form: Mapping[str, str] | None = None, bearer: str = "") -> Answer:
    """Get a JSON object, or post a form and get one.

    :raises NoAnswer: whatever else happens.
    """
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    ends_at = time.monotonic() + MOST_SECONDS
    try:
        with requests.request(
            "GET" if form is None else "POST",
            url,
            data=form,
            headers=headers,
            timeout=PATIENCE_SECONDS,
            allow_redirects=False,
            stream=True,
        ) as response:
            status, content = response.status_code, _read(response, ends_at)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise NoAnswer(type(error).__name__) from error
    if not (200 <= status < 300 or 400 <= status < 500):
        raise NoAnswer(f"status {status}")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NoAnswer("no JSON") from error
    if not isinstance(body, dict):
        raise NoAnswer("no JSON object")
    return Answer(status, body)


def _read(response: requests.Response, ends_at: float) -> bytes:
    """:raises NoAnswer: it is too much, or takes too long altogether."""
    content = b""
    while part := response.raw.read1(_READ_BYTES, decode_content=True):
        content += part
        if len(content) > MOST_BYTES:
            raise NoAnswer("too large")
        if time.monotonic() > ends_at:
            raise NoAnswer("too slow")
    return content

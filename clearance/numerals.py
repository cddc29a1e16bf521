"""How a number is written: in plain digits. Python's own `int` and `Decimal` read 1_000, 1e5, NaN and every script."""

from __future__ import annotations

import re

WHOLE = re.compile(r"[+-]?[0-9]+")
DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
DIGITS = {ord(digit): str(place % 10) for place, digit in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}  # Arabic, Persian → ASCII
_ARABIC = DIGITS | {ord("٫"): "."}


def in_ascii(text: str) -> str:
    """The same with Arabic and Persian digits as ASCII ones: for what people type."""
    return text if text.isascii() else text.translate(_ARABIC)

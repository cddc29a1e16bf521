"""How numbers and dates look in a section of a number format: as a spreadsheet program writes them, in English."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from itertools import chain

from clearance.sheets.codes import Section, dated

_NOISE = Decimal("1e-12")  # of a number: what its sums and products as floats may have left
_EXACT = Context(prec=700, rounding=ROUND_HALF_UP)  # more digits than any float has
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def number(section: Section, value: float, *, is_signed: bool) -> tuple[str, bool]:
    """The number's text, and whether it hides something of the number; `is_signed`: a minus is written before it."""
    amount = abs(Decimal(repr(value)))
    if section.simple:
        before, zeros, after = section.simple
        whole, decimals, shown = _rounded(amount, section.places)
        whole = f"{int(whole or 0):,}" if section.is_grouped else whole.zfill(zeros)
        text = f"{before}{whole}.{decimals}{after}" if decimals else f"{before}{whole}{after}"
    elif section.has("slash"):
        text, shown = _fraction(section, amount)
    elif section.has("exponent"):
        text, shown = _scientific(section, amount)
    else:
        text, shown = _decimal(section, amount)
    return (f"-{text}" if is_signed and shown else text), abs(shown - amount) > _NOISE * amount


def _decimal(section: Section, amount: Decimal) -> tuple[str, Decimal]:
    tokens, point = section.tokens, section.point
    digits = [n for n, (kind, _) in enumerate(tokens) if kind == "digit"]
    factor = Decimal(10) ** (2 * section.count("percent") - 3 * section.thousands)
    whole, decimals, shown = _rounded(_EXACT.multiply(amount, factor), section.places)
    texts = {n: text for n, (kind, text) in enumerate(tokens) if kind in ("literal", "percent", "point")}
    texts |= {n: _general(amount) for n, (kind, _) in enumerate(tokens) if kind == "general"}
    texts |= _whole(tokens, [n for n in digits if n < point], whole, is_grouped=section.is_grouped)
    texts |= _decimals(tokens, [n for n in digits if n > point], decimals)
    if section.has("general"):
        shown = amount
    elif not digits:
        shown = Decimal(0)
    return "".join(texts[n] for n in sorted(texts)), _EXACT.divide(shown, factor)


def _rounded(amount: Decimal, places: int) -> tuple[str, str, Decimal]:
    """Digits before the point without leading zeros, digits after it, and their number."""
    shown = amount.quantize(Decimal(1).scaleb(-places), context=_EXACT)
    whole, _, decimals = f"{shown:f}".partition(".")
    return whole.lstrip("0"), decimals, shown


def _whole(
    tokens: Sequence[tuple[str, str]], places: Sequence[int], digits: str, *, is_grouped: bool
) -> dict[int, str]:
    """Digits on their places from the right; what is left over stands on the first place."""
    left = list(digits)
    texts: dict[int, str] = {}
    written = 0

    def written_digit(digit: str) -> str:
        nonlocal written
        written += 1
        return f"{digit}," if is_grouped and written > 1 and written % 3 == 1 else digit

    for place in reversed(places):
        kept = left.pop() if left else {"0": "0", "?": " "}.get(tokens[place][1], "")
        texts[place] = written_digit(kept) if kept else ""
    if left and places:
        texts[places[0]] = "".join(reversed([texts[places[0]], *(written_digit(left.pop()) for _ in range(len(left)))]))
    return texts


def _decimals(tokens: Sequence[tuple[str, str]], places: Sequence[int], digits: str) -> dict[int, str]:
    texts = dict(zip(places, digits, strict=False))
    for place in reversed(places):
        if texts[place] != "0" or tokens[place][1] == "0":
            break
        texts[place] = " " if tokens[place][1] == "?" else ""
    return texts


def _scientific(section: Section, amount: Decimal) -> tuple[str, Decimal]:
    tokens = section.tokens
    at = next(n for n, (kind, _) in enumerate(tokens) if kind == "exponent")
    digits = [n for n, (kind, _) in enumerate(tokens) if kind == "digit"]
    step = max(1, sum(n < min(section.point, at) for n in digits))
    power = (amount.adjusted() // step) * step if amount else 0
    places = sum(section.point < n < at for n in digits)
    mantissa = amount.scaleb(-power).quantize(Decimal(1).scaleb(-places), context=_EXACT)
    if mantissa >= 10**step:
        power, mantissa = power + step, mantissa.scaleb(-step)
    sign = "-" if power < 0 else "+" if tokens[at][1].endswith("+") else ""
    before = "".join(text for kind, text in tokens[: digits[0] if digits else at] if kind == "literal")
    after = "".join(text for kind, text in tokens[at:] if kind == "literal")
    width = sum(n > at for n in digits) or 1
    return f"{before}{mantissa:f}E{sign}{abs(power):0{width}d}{after}", mantissa.scaleb(power)


def _fraction(section: Section, amount: Decimal) -> tuple[str, Decimal]:
    tokens = section.tokens
    at = next(n for n, (kind, _) in enumerate(tokens) if kind == "slash")
    below = "".join(text for _, text in tokens[at + 1 :] if text.strip())
    fixed = int(below) if below.isdecimal() and 0 < int(below) < 10**6 else 0
    exact = Fraction(amount)
    limit = 10 ** min(max(below.count("?") + below.count("#") + below.count("0"), 1), 6) - 1
    shown = Fraction(round(exact * fixed), fixed) if fixed else exact.limit_denominator(limit)
    groups = "".join("d" if kind == "digit" else " " for kind, _ in tokens[:at]).split()
    whole = int(shown) if len(groups) > 1 else 0
    rest = shown - whole
    above, under = (int(rest * fixed), fixed) if fixed else (rest.numerator, rest.denominator)
    text = " ".join(chain([str(whole)] if whole or not rest else [], [f"{above}/{under}"] if rest else []))
    return text, _EXACT.divide(Decimal(shown.numerator), Decimal(shown.denominator))


def _general(amount: Decimal) -> str:
    if amount == amount.to_integral_value() and amount < 10**11:
        return f"{amount:.0f}"
    return f"{float(amount):.10g}"


def moment(section: Section, value: date | time | timedelta) -> str:
    """The text of a date, a moment, a time or a duration."""
    on, elapsed = _moment(value)
    names = dated(section.tokens)
    is_half = section.has("half")
    texts = []
    for kind, text in section.tokens:
        if kind in ("part", "elapsed"):
            texts.append(_part(*next(names), on, elapsed, is_half=is_half, is_elapsed=kind == "elapsed"))
        elif kind == "half":
            texts.append("AM" if on.hour < 12 else "PM")
        elif kind == "literal":
            texts.append(text)
    return " ".join("".join(texts).split())


def _moment(value: date | time | timedelta) -> tuple[datetime, float]:
    """The value as a moment, and in seconds since the first day of all."""
    origin = datetime(1899, 12, 30)  # noqa: DTZ001 (sheets know no zone)
    if isinstance(value, timedelta):
        return origin + value, value.total_seconds()
    if isinstance(value, time):
        on = datetime.combine(origin, value)
    else:
        on = value if isinstance(value, datetime) else datetime.combine(value, time())
    return on, (on - origin).total_seconds()


def _part(name: str, text: str, on: datetime, elapsed: float, *, is_half: bool, is_elapsed: bool) -> str:
    width = len(text)
    if is_elapsed:
        return f"{int(elapsed // {'h': 3600, 'm': 60, 's': 1}[name]):0{width}d}"
    if name == "y":
        return f"{on.year:04d}" if width > 2 else f"{on.year % 100:02d}"
    if name == "o":
        month = _MONTHS[on.month - 1]
        return {3: month[:3], 4: month, 5: month[0]}.get(width, f"{on.month:0{min(width, 2)}d}")
    if name == "w":
        return _DAYS[on.weekday()][: 3 if width == 3 else None]
    number = {"d": on.day, "h": (on.hour % 12 or 12) if is_half else on.hour, "m": on.minute, "s": on.second}.get(name)
    return "" if number is None else f"{number:0{width}d}"

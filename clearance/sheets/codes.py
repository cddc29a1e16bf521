"""Number format codes (“[$USD] #,##0.00;[Red]-0”, ECMA-376 part 1, 18.8.31), taken apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

_CURRENCIES = frozenset(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "  # noqa: SIM905
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG "
    "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA "
    "MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RMB RON "
    "RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX "
    "USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL RO RS DHS SR QR KD BD".split()
)
_ARABIC_CURRENCIES = (
    "ر.ع", "د.إ", "ر.س", "ر.ق", "د.ب", "د.ك", "ر.ي", "ج.م", "د.ع", "د.ا", "ريال", "درهم", "دينار", "دولار",
)  # fmt: skip
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<space>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]|(?P<general>General|Standard)'
    r"|(?P<half>AM/PM|A/P|am/pm|a/p)|(?P<exponent>E[+-])|(?P<digit>[0#?])|(?P<part>y+|m+|d+|h+|s+|e+|g+|b[12]?)"
    r"|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"\s*(<=|>=|<>|<|>|=)\s*(-?[\d.]+)\s*")
_SECTIONS = re.compile(r'(?:"[^"]*(?:"|$)|\[[^\]]*(?:\]|$)|[\\_*].|[^;])*', re.DOTALL)
_LETTER_OF = {"literal": "l", "digit": "d", "comma": "c", "point": "p"}
_SIMPLE = re.compile(r"(l*)([dc]*d)((?:pd+)?)l*")
_MEANT = re.compile(r"[^\s()+\-,.:'/–−\u200e\u200f\xa0]")


@dataclass
class Section:
    """One of the parts of a code between semicolons: tokens of a kind and a text.

    Kinds: "literal", "digit", "point", "comma", "percent", "exponent", "slash", "text", "general", "part" (of a date),
    "half" (of a day), "elapsed" (hours, minutes or seconds).
    """

    tokens: list[tuple[str, str]] = field(default_factory=list)
    currency: str = ""
    condition: tuple[str, float] | None = None

    def count(self, kind: str) -> int:
        return sum(one == kind for one, _ in self.tokens)

    def has(self, *kinds: str) -> bool:
        return not self._kinds.isdisjoint(kinds)

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(kind for kind, _ in self.tokens)

    @cached_property
    def is_date(self) -> bool:
        return self.has("part", "elapsed") and not self.has("digit")

    @cached_property
    def parts(self) -> str:
        """The letters of a date's parts that are shown: y, o (month), d, h, m (minute), s."""
        return "".join(name for name, _ in dated(self.tokens))

    @cached_property
    def is_telling(self) -> bool:
        """Whether every number looks other than it is: letters around it, zeros before it, a percentage …"""
        if self.currency or self.thousands or not self.has("digit", "general"):
            return True
        if self.has("percent", "exponent", "slash", "text"):
            return True
        if any(kind == "literal" and _MEANT.search(text) for kind, text in self.tokens):
            return True
        places = [n for n, (kind, _) in enumerate(self.tokens) if kind in ("digit", "general")]
        if any(kind == "literal" for kind, _ in self.tokens[places[0] : places[-1]]):
            return True
        return sum(one == ("digit", "0") for one in self.tokens[: self.point]) > 1

    @cached_property
    def point(self) -> int:
        """Where the decimal point stands among the tokens; behind the last, if there is none."""
        return next((n for n, (kind, _) in enumerate(self.tokens) if kind == "point"), len(self.tokens))

    @cached_property
    def places(self) -> int:
        """How many decimals are shown."""
        return sum(kind == "digit" for kind, _ in self.tokens[self.point :])

    @cached_property
    def is_grouped(self) -> bool:
        """Whether thousands are set apart by commas."""
        return any(kind == "comma" and self._has_digits(n) == (True, True) for n, (kind, _) in enumerate(self.tokens))

    @cached_property
    def simple(self) -> tuple[str, int, str] | None:
        """Letters before, zeros at least, letters behind, if there are but digits between them, the usual case."""
        kinds = "".join(_LETTER_OF.get(kind, "x") for kind, _ in self.tokens)
        match = _SIMPLE.fullmatch(kinds)
        if not match or self.thousands:
            return None
        texts = [text for _, text in self.tokens]
        whole, decimals = texts[match.end(1) : match.end(2)], texts[match.end(2) + 1 : match.end(3)]
        zeros = whole.count("0")
        if not zeros or "?" in whole or "#" in whole[whole.index("0") :] or set(decimals) - {"0"}:
            return None
        if self.is_grouped and zeros > 1:
            return None
        return "".join(texts[: match.end(1)]), zeros, "".join(texts[match.end(3) :])

    @cached_property
    def thousands(self) -> int:
        """How often the number is divided by a thousand: commas behind the last digit before the point."""
        return sum(kind == "comma" and self._has_digits(n) == (True, False) for n, (kind, _) in enumerate(self.tokens))

    def _has_digits(self, at: int) -> tuple[bool, bool]:
        """Whether digits of the whole number stand before and after this token."""
        whole = self.tokens[: self.point]
        return any(kind == "digit" for kind, _ in whole[:at]), any(kind == "digit" for kind, _ in whole[at:])


def take_apart(code: str) -> list[Section]:
    """The sections of a code, in their order."""
    return [_section(text) for text in _split(code)]


def _split(code: str) -> Iterator[str]:
    at = 0
    while at <= len(code):
        match = _SECTIONS.match(code, at)
        assert match  # noqa: S101 (it matches the empty text, too)
        yield match[0]
        at = match.end() + 1


def _section(code: str) -> Section:
    found = Section()
    for match in _TOKEN.finditer(code):
        kind, text = match.lastgroup or "", match[match.lastgroup or 0]
        if kind in ("quoted", "escaped"):
            found.tokens.append(("literal", text))
        elif kind == "space":
            found.tokens.append(("literal", " "))
        elif kind == "bracket":
            _bracket(found, text)
        elif kind == "other":
            name = {".": "point", ",": "comma", "%": "percent", "/": "slash", "@": "text"}.get(text, "literal")
            found.tokens.append((name, text))
        elif kind == "general":
            found.tokens.append(("general", "General"))
        elif kind in ("exponent", "digit", "part", "half"):
            found.tokens.append((kind, text))
    _settle(found)
    found.currency = found.currency or currency_in("".join(text for kind, text in found.tokens if kind == "literal"))
    return found


def _bracket(section: Section, text: str) -> None:
    if text.startswith("$"):
        sign = text[1:].rsplit("-", 1)[0] if "-" in text else text[1:]
        if sign.strip():
            section.currency = sign.strip()
            section.tokens.append(("literal", sign))
    elif match := _CONDITION.fullmatch(text):
        try:
            section.condition = match[1], float(match[2])
        except ValueError:
            section.condition = None
    elif text and text.lower().strip(text[0].lower()) == "" and text[0].lower() in "hms":
        section.tokens.append(("elapsed", text.lower()))


def _settle(section: Section) -> None:
    """Decide what is ambiguous: letters beside digits are letters, slashes and points in dates are literals."""
    tokens = section.tokens
    has_parts = any(kind in ("part", "elapsed") for kind, _ in tokens)
    if has_parts:  # fractions of a second are the only digits that a date has
        tokens[:] = [
            one
            for n, one in enumerate(tokens)
            if not (one[0] == "digit" and one[1] == "0" and _follows_seconds(tokens, n))
        ]
    is_number = any(kind in ("digit", "general") for kind, _ in tokens)
    letters = ("part", "half", "elapsed") if is_number else ("point", "comma", "slash", "exponent")
    for n, (kind, text) in enumerate(tokens):
        if kind in letters or (kind == "slash" and not any(one == "digit" for one, _ in tokens[:n])):
            tokens[n] = ("literal", text)


def _follows_seconds(tokens: list[tuple[str, str]], at: int) -> bool:
    while at > 0 and tokens[at] == ("digit", "0"):
        at -= 1
    return at > 0 and tokens[at][0] == "point" and tokens[at - 1][1].lower().strip("s") == ""


def dated(tokens: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The parts of a date in their order, with names: m beside hours or seconds is minutes, else the month (o)."""
    parts = [(kind, text.lower()) for kind, text in tokens if kind in ("part", "elapsed")]
    for n, (kind, text) in enumerate(parts):
        name = text[0]
        if name == "m":
            before = parts[n - 1][1][0] if n else ""
            after = parts[n + 1][1][0] if n + 1 < len(parts) else ""
            name = "m" if (before == "h" or after == "s" or kind == "elapsed") and len(text) < 3 else "o"
        elif name == "d" and len(text) > 2:
            name = "w"
        elif name in "eg":
            name = "y"
        yield name, text


def currency_in(text: str) -> str:
    """The currency that is named in the letters of a format, if it is one."""
    for word in re.findall(r"[^\s()\d,]+", text):
        bare = word.strip("-–:;/*.").upper().replace(".", "")
        if any(unicodedata.category(letter) == "Sc" for letter in word) or bare in _CURRENCIES:
            return str(word.strip("-–:;/*")) if len(word) > 1 else str(word)
        if any(name in word for name in _ARABIC_CURRENCIES):
            return str(word)
    return ""

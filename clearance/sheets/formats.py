"""Number formats: what a value looks like in its cell, as far as that says more, or less, than the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache

from clearance.sheets import renderings
from clearance.sheets.cells import Cell
from clearance.sheets.codes import Section, take_apart

LONGEST = 255  # letters of a code; Excel itself takes no more
UNKNOWN = "…"  # what a cell shows whose code can't be read: no value that anybody could take for another

# What the numbers stand for where a file doesn't spell the code out (18.8.30).
BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"$"#,##0;("$"#,##0)', 6: '"$"#,##0;("$"#,##0)',
    7: '"$"#,##0.00;("$"#,##0.00)', 8: '"$"#,##0.00;("$"#,##0.00)', 9: "0%", 10: "0.00%", 11: "0.00E+00",
    12: "# ?/?", 13: "# ??/??", 14: "m/d/yyyy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "m/d/yyyy h:mm", 37: "#,##0;(#,##0)", 38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;(#,##0.00)", 41: '#,##0;(#,##0);"-"', 42: '"$"#,##0;("$"#,##0);"-"',
    43: '#,##0.00;(#,##0.00);"-"', 44: '"$"#,##0.00;("$"#,##0.00);"-"', 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0",
    48: "##0.0E+0", 49: "@",
} | dict.fromkeys([*range(27, 37), *range(50, 59)], "yyyy/m/d")  # fmt: skip

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person sees of a value where that says more, or less, than the value does."""

    text: str = ""
    currency: str = ""
    is_percent: bool = False
    is_rounded: bool = False
    is_hidden: bool = False  # nothing at all is seen


@dataclass
class Format:
    """A number format: sections for positive numbers, negative ones, zero, and texts, or by conditions."""

    code: str
    sections: list[Section]
    text: Section | None
    is_unknown: bool = False

    @property
    def is_dull(self) -> bool:
        """Whether it says nothing about any value."""
        return (
            not self.is_unknown and self.text is None and all(map(_is_dull, self.sections)) and len(self.sections) < 2
        )

    @cached_property
    def is_date(self) -> bool:
        return not self.is_unknown and bool(self.sections) and self.sections[0].is_date

    @cached_property
    def is_number(self) -> bool:
        """Whether it shows numbers as numbers, so that no date can have it."""
        return bool(self.sections) and self.sections[0].has("digit")

    @cached_property
    def is_whole_day(self) -> bool:
        return not set("hms") & set(self.sections[0].parts)

    def shown(self, value: Cell) -> Shown | None:
        """What is seen of a value; None: nothing but the value."""
        if isinstance(value, bool) or value is None or value == "":
            return None
        if self.is_unknown:
            return Shown(UNKNOWN)
        if isinstance(value, str):
            return _text(value, self.text) if self.text else None
        if isinstance(value, date | time | timedelta):
            return _date(value, self.sections[0]) if self.sections else None
        return self._number(float(value) if isinstance(value, Decimal) else value)

    def _number(self, value: float) -> Shown | None:
        section, is_signed = self._section(value)
        if section is None or section.is_date:
            return None
        is_telling = section.is_telling
        is_seen = value != 0 or ("digit", "0") in section.tokens
        if not is_telling and (section.has("general") or (is_seen and round(value, section.places) == value)):
            return None
        text, is_rounded = renderings.number(section, value, is_signed=is_signed)
        text = " ".join(text.split())
        if not text:
            return Shown(is_hidden=True)
        if not is_telling:
            return Shown(text, is_rounded=True) if is_rounded else None
        return Shown(text, section.currency, is_percent=section.has("percent"), is_rounded=is_rounded)

    def _section(self, value: float) -> tuple[Section | None, bool]:
        """The section for a number, and whether a minus must be written besides."""
        sections = self.sections
        if not sections:
            return None, False
        if any(one.condition for one in sections):
            for one in sections:
                if one.condition is None or _COMPARE[one.condition[0]](value, one.condition[1]):
                    return one, value < 0
            return sections[-1], value < 0
        if value < 0 and len(sections) > 1:
            return sections[1], False
        if value == 0 and len(sections) > 2:
            return sections[2], False
        return sections[0], value < 0


def _is_dull(section: Section) -> bool:
    if section.is_date:
        return set("yod") <= set(section.parts)
    return section.tokens in ([], [("general", "General")], [("text", "@")])


def _text(value: str, section: Section) -> Shown | None:
    text = "".join(
        value if kind == "text" else literal for kind, literal in section.tokens if kind in ("text", "literal")
    )
    if not text.strip():
        return Shown(is_hidden=True) if value.strip() else None
    return Shown(text.strip(), section.currency) if text.strip() != value.strip() else None


def _date(value: date | time | timedelta, section: Section) -> Shown | None:
    if not section.is_date or set("yod") <= set(section.parts):
        return None
    if isinstance(value, date) or set(section.parts) & set("yod"):
        return Shown(renderings.moment(section, value))
    return None  # a time or a duration, shown as one


@lru_cache(maxsize=4096)
def compiled(code: str) -> Format:
    """Take a format code apart."""
    if len(code) > LONGEST:
        return Format("General", [], None, is_unknown=True)
    sections = take_apart(code)
    text = None
    if len(sections) >= 4:
        text = sections[3]
    elif sections and sections[-1].has("text") and not sections[-1].has("digit", "general", "part"):
        text = sections[-1] if len(sections) > 1 or sections[-1].tokens != [("text", "@")] else None
        sections = sections[:-1] if len(sections) > 1 else []
    return Format(code, sections[:3], None if text and text.tokens == [("text", "@")] else text)


def from_number(number: int, codes: dict[int, str]) -> Format:
    """The format that a file means by a number, by its own list of codes or the built-in ones."""
    return compiled(codes.get(number) or BUILT_IN.get(number, "General"))


def as_date(serial: float, *, counts_from_1904: bool) -> datetime | None:
    """The moment that a serial number stands for."""
    if not 0 <= serial < 2_958_466:
        return None
    origin = datetime(1904, 1, 1) if counts_from_1904 else datetime(1899, 12, 30)  # noqa: DTZ001 (sheets know no zone)
    return origin + timedelta(days=serial)


def as_serial(value: date | time | timedelta, *, counts_from_1904: bool) -> float:
    """The serial number that stands for a date, a time or a duration."""
    if isinstance(value, timedelta):
        return value / timedelta(days=1)
    if isinstance(value, time):
        return timedelta(hours=value.hour, minutes=value.minute, seconds=value.second) / timedelta(days=1)
    origin = datetime(1904, 1, 1) if counts_from_1904 else datetime(1899, 12, 30)  # noqa: DTZ001 (as above)
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    return (moment - origin) / timedelta(days=1)

"""One cell → one typed value, `None` for blank, or a sentence that says what to do. Guesses nothing.

Decisions: `1,234` is one thousand two hundred and thirty-four and `1.234` is one rial and 234 baisa, as money is
written in Oman; a comma before one, two or more than three digits is a fault, and so is `1.234,500`. Dates are read
in `dates`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from clearance.numerals import DIGITS as ASCII_DIGITS
from clearance.text import number as number_of
from clearance.text import tidied

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Cell = str | float | int | bool | date | datetime | time | timedelta | Decimal | None
Parser = Callable[[Cell], object]

MAX_AMOUNT = Decimal(10) ** 12  # exclusive, as is the next
MAX_QUANTITY = Decimal(10) ** 9
MAX_CONTAINERS = 9_999
EXCEL_DIGITS = 10**15  # Excel keeps fifteen digits of a number
BAISA = Decimal("0.001")
EXACT, NOISE = Decimal(0), Decimal("0.0000005")

# What people write where nothing is known yet.
BLANKS = frozenset(
    ["", "-", "--", "---", "–", "—", "n/a", "na", "n.a.", "n.a", "nil", "tba", "tbc", "tbd", "لا يوجد", "غير متوفر"]
)
SHEET_ERRORS = re.compile(r"#[^\W\d_][\w/]*[!?]|#n/?[adv]|#getting_data|err:\d{3}", re.IGNORECASE)  # also “#WERT!”
_CANCELLED = frozenset(
    "cancelled canceled cancel cancellation cxl void voided ملغي ملغى ملغاة ملغية الغيت إلغاء الغاء".split()  # noqa: SIM905
)
_NO = frozenset(["no", "n", "0", "false", "not cancelled", "active", "لا"])
MODES = {
    "sea": "sea ocean vessel maritime seafreight oceanfreight bysea byocean byvessel بحر بحري بحرا البحر",
    "air": "air airfreight byair flight جو جوي جوا الجو",
    "land": "land road truck byland byroad bytruck landfreight roadfreight بر بري برا البر",
}
UNITS = {
    "vehicles": "vehicle vehicles car cars مركبة مركبات سيارة سيارات",
    "tyres": "tyre tyres tire tires إطار إطارات اطار اطارات",
    "parts": "part parts sparepart spareparts spares قطعغيار قطعةغيار",
    "units": "unit units pc pcs piece pieces no nos ea each وحدة وحدات قطعة قطع",
}

_SEPARATORS = {ord("٫"): ".", ord("٬"): ",", ord("،"): ","}
_NUMERALS = ASCII_DIGITS | _SEPARATORS
_CURRENCY = r"(?:omr\.?|r\.?o\.?|o\.?r\.?|rials?(?: omani)?|omani rials?|ر\. ?ع\.?|رع|ريال(?: عماني)?)"
_MONEY = re.compile(rf"(?:{_CURRENCY} ?)?([+-]?[\d., ]*\d)(?: ?{_CURRENCY})?")
_NUMBER = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d{1,2}(?:,\d{2})+,\d{3})(?:\.\d+)?", re.ASCII)
_OTHER_CURRENCY = re.compile(
    r"[$€£¥₹₨]|\b(?:rs|us|dhs|dollars?|euros?|yen|rupees?|dirhams?)\b|^[a-z]{3} ?[\d.,]+$|^[\d.,]+ ?[a-z]{3}$"
)
_OMR = re.compile(_CURRENCY)
_SEVERAL = re.compile(r"[,;،؛\n&]|\band\b", re.IGNORECASE)

HOLDS_AN_ERROR = _("{column} holds the error “{value}”. Correct the formula or type the value.")
_CANCEL_IT = _(
    "{column} says “{value}”. Cancel the shipment on its own page, with the reason, and delete the row here."
)
NOT_IN_OMR = _("{column} “{value}” is not in OMR. Write the equivalent in Omani rials.")


class Unreadable(Exception):
    """The cell can't be read; `sentence` has places for `{column}`, `{value}` and the keys of `context`.

    It may take the place of a cell whose look forbids to read it: `quoted` is then what the cell shows.
    """

    quoted: object = None

    def __init__(self, sentence: StrPromise, **context: object) -> None:
        super().__init__(sentence)
        self.sentence, self.context = sentence, context

    def about(self, cell: object) -> Unreadable:
        """Itself, in the place of this cell."""
        self.quoted = cell
        return self

    def of(self, cell: object) -> object:
        """What is quoted of a cell that it was raised for, or that it stands for."""
        return cell if self.quoted is None and cell is not self else self.quoted

    def told(self, column: str, cell: object) -> str:
        """The sentence about this cell of this column."""
        return str(self.sentence).format(column=shown(column), value=shown(cell), **self.context)


def shown(cell: object) -> str:
    """The cell as a fault quotes it."""
    if isinstance(cell, date):
        return cell.strftime("%d/%m/%Y")
    if isinstance(cell, float) and abs(cell) < EXCEL_DIGITS and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, int) and abs(cell) >= 10**40:
        return "a very long number"
    text = "" if cell is None else tidied(str(cell))
    return text if len(text) <= 60 else f"{text[:59]}…"


def readable(cell: str) -> str | None:
    """The tidy text, `None` if it counts as blank."""
    text = tidied(cell)
    lowered = text.casefold()
    if lowered in BLANKS:
        return None
    if SHEET_ERRORS.fullmatch(lowered):
        raise Unreadable(HOLDS_AN_ERROR)
    return text


# Numbers -------------------------------------------------------------------------------------------------------------


_NOT_AN_AMOUNT = _("{column} “{value}” is not an amount. Write it like 12345.500 or OMR 12,345.500.")
_NOT_A_QUANTITY = _("{column} “{value}” is not a number. Write only the number, like 250; the unit has its own column.")
_NOT_A_COUNT = _("{column} “{value}” is not a whole number from 1 to 9,999. Write only how many, for example 2.")


def parse_amount(cell: Cell) -> Decimal | None:
    """OMR with three decimals, greater than zero."""
    if isinstance(cell, str):
        text = readable(cell)
        if text is None:
            return None
        text = text.translate(_NUMERALS).lower()
        match = _MONEY.fullmatch(text)
        if not match and _OTHER_CURRENCY.search(text):
            raise Unreadable(NOT_IN_OMR)
        amount = _number_of_text(match[1] if match else "", _NOT_AN_AMOUNT)
    elif cell is None:
        return None
    else:
        amount = _number_of_number(cell, _NOT_AN_AMOUNT)
    if not 0 < amount < MAX_AMOUNT:
        raise Unreadable(_("{column} “{value}” must be greater than zero and below a million million OMR."))
    return amount


def parse_quantity(cell: Cell) -> Decimal | None:
    """A quantity without its unit, greater than zero, with at most three decimals."""
    if isinstance(cell, str):
        text = readable(cell)
        if text is None:
            return None
        quantity = _number_of_text(text.translate(_NUMERALS), _NOT_A_QUANTITY)
    elif cell is None:
        return None
    else:
        quantity = _number_of_number(cell, _NOT_A_QUANTITY)
    if not 0 < quantity < MAX_QUANTITY:
        raise Unreadable(_("{column} “{value}” must be greater than zero and below a thousand million."))
    return quantity


def parse_count(cell: Cell) -> int | None:
    """A whole number of containers, 1 to 9,999."""
    if isinstance(cell, str):
        text = readable(cell)
        if text is None:
            return None
        number = _number_of_text(text.translate(_NUMERALS), _NOT_A_COUNT)
    elif cell is None:
        return None
    else:
        number = _number_of_number(cell, _NOT_A_COUNT)
    if not 1 <= number <= MAX_CONTAINERS or number != int(number):
        raise Unreadable(_NOT_A_COUNT)
    return int(number)


def _number_of_text(text: str, complaint: StrPromise) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise Unreadable(complaint)
    return _three_decimals(Decimal(text.replace(",", "").replace(" ", "")), EXACT)


def _number_of_number(cell: Cell, complaint: StrPromise) -> Decimal:
    """The number as it was typed: a float's shortest text, since 12345.678 is stored as 12345.678000000000793…"""
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal):
        raise Unreadable(complaint)
    number = Decimal(repr(cell)) if isinstance(cell, float) else Decimal(cell)
    if not number.is_finite():
        raise Unreadable(complaint)
    return _three_decimals(number, max(NOISE, abs(number) * Decimal("1e-15")))


def _three_decimals(number: Decimal, noise: Decimal) -> Decimal:
    """Round half up what is mere floating-point noise; more decimals than three are a fault."""
    if abs(number) >= MAX_AMOUNT:
        return MAX_AMOUNT.copy_sign(number)
    rounded = number.quantize(BAISA, ROUND_HALF_UP)
    if abs(rounded - number) > noise:
        raise Unreadable(_("{column} “{value}” has more than three decimals. Round it to three."))
    return rounded


def is_omr(currency: str) -> bool:
    """Whether a code, a sign or a word means Omani rials."""
    return bool(_OMR.fullmatch(tidied(currency).casefold()))


def check_currency(cell: Cell) -> None:
    """:raises Unreadable: the cell names another currency than Omani rials."""
    if isinstance(cell, str):
        text = readable(cell)
        if text is None or is_omr(text):
            return
    elif cell is None:
        return
    raise Unreadable(
        _("{column} says “{value}”: the amount is not in OMR. Write its equivalent in Omani rials, and OMR here.")
    )


# Text ----------------------------------------------------------------------------------------------------------------


def text_parser(longest: int, *, code: bool = False) -> Parser:
    """Text of at most `longest` characters; a `code` comes in the one form of numbers: ١٢٣ and 123 are one."""

    def parse(cell: Cell) -> str | None:
        if isinstance(cell, str):
            text = readable(cell)
            if text is None:
                return None
            if code and not text.isascii():
                text = number_of(text)
        elif cell is None:
            return None
        elif isinstance(cell, date):
            raise Unreadable(
                _("{column} “{value}”: Excel has made this a date. Format the column as text and retype it.")
            )
        elif isinstance(cell, int | float) and not isinstance(cell, bool):
            text = _digits(cell)
        else:
            raise Unreadable(_("{column} “{value}” is not text. Type the text."))
        if len(text) > longest:
            raise Unreadable(_("{column} “{value}” is longer than {limit} characters. Shorten it."), limit=longest)
        return text

    return parse


def _digits(number: float) -> str:
    """A number in a text column, as it was typed."""
    if isinstance(number, int):
        if abs(number) < 10**60:
            return str(number)
    elif abs(number) < EXCEL_DIGITS and number.is_integer():
        return str(int(number))
    raise Unreadable(
        _("{column} “{value}”: Excel has rounded or shortened this number. Format the column as text and retype it.")
    )


def lc_parser(longest: int) -> Parser:
    """Letter of credit numbers, several separated by commas, semicolons, line breaks, “&” or “and” → “a, b”."""
    one = text_parser(longest, code=True)

    def parse(cell: Cell) -> object:
        if not isinstance(cell, str) or not _SEVERAL.search(cell):
            return one(cell)
        numbers = [str(number) for number in map(one, _SEVERAL.split(cell)) if number]
        return one(", ".join(dict.fromkeys(numbers)))

    return parse


def check_status(cell: Cell) -> None:
    """:raises Unreadable: the cell says that the shipment is cancelled."""
    if isinstance(cell, str):
        words = {word.removeprefix("ال") for word in re.findall(r"[^\W\d_]+", tidied(cell).casefold())}
        if words & _CANCELLED:
            raise Unreadable(_CANCEL_IT)


def check_cancelled(cell: Cell) -> None:
    """:raises Unreadable: there is anything in the cell of a column “Cancelled”, except a no."""
    text = tidied(cell).casefold() if isinstance(cell, str) else "" if cell in (None, 0) else "yes"
    if text not in BLANKS and text not in _NO:
        raise Unreadable(_CANCEL_IT)


def choice_parser(options: Mapping[str, str]) -> Parser:
    """One of the keys of `options`, whose values are the words for it, compared without blanks and punctuation."""
    words = {re.sub(r"[\W_]", "", word): key for key, value in options.items() for word in [key, *value.split()]}
    listed = ", ".join(options)

    def parse(cell: Cell) -> str | None:
        text = readable(cell) if isinstance(cell, str) else None
        if text is None and (cell is None or isinstance(cell, str)):
            return None
        found = words.get(re.sub(r"[\W_]", "", (text or "").casefold()))
        if not found:
            raise Unreadable(_("{column} “{value}” is not known. Write one of: {options}."), options=listed)
        return found

    return parse

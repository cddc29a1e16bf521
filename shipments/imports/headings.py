"""What the columns of a tracker are called, and which column means what."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from clearance.errors import Invalid
from shipments.imports.cells import Cell, is_omr
from shipments.imports.fields import CANCELLED, CHECKS, CURRENCY, FIELDS, STATUS, Field


class HeadingsNotFound(Invalid):
    code = "TRACKER_HEADINGS_NOT_FOUND"
    message = _(
        "No heading row was found in the first {searched} rows of the sheets that were looked at ({sheets}). One row "
        "needs the heading “Shipment number” and at least two more, such as “Principal”, “Brand”, “Invoice amount "
        "(OMR)” or “ETA”."
    )


class ShipmentNumberMissing(Invalid):
    code = "TRACKER_SHIPMENT_NUMBER_MISSING"
    field = "rows"
    message = _("The rows have no “shipment_number”. Give each row one.")


class ShipmentNumberHidden(Invalid):
    code = "TRACKER_NUMBER_HIDDEN"
    message = _("The column “{heading}” is hidden, and what nobody sees is not imported. Show it and import again.")


class ColumnGivenTwice(Invalid):
    code = "TRACKER_COLUMN_TWICE"
    message = _("The columns “{first}” and “{second}” mean the same ({meaning}). Rename or delete one of them.")


_ARABIC_LETTERS = str.maketrans("أإآٱىةؤ", "اااايهو", "ـ")
_ASIDES = re.compile(r"\((?:optional|required|mandatory|date|dd?[-/. ]?mm?[-/. ]?yy(?:yy)?)\)", re.IGNORECASE)
_STEP = re.compile(r"(step|الخطوة|خطوة)?[\s#.:]*(\d{1,2})(?:[.,٫](\d))?(?!\d)[\s.:)/–-]*(?!\d)(.*)", re.IGNORECASE)
# Trackers give several columns to a step; only the one with the actual date is read.
_PLANNED = frozenset(
    "target targets tgt plan planned planning expected exp estimated est scheduled schedule sched forecast baseline "  # noqa: SIM905
    "مخطط خطه مستهدف هدف متوقع مجدول".split()
)
_NOT_THE_ACTUAL_DATE = _PLANNED | frozenset(
    "due estimate deadline original revised variance remark remarks comment comments note notes status ppr apr by who "  # noqa: SIM905
    "responsible responsibility person owner day days delay delayed delays late موعد ملاحظات ملاحظه تعليق تعليقات حاله "
    "مسوول مسئول ايام تاخير استحقاق اصلي معدل".split()
)
_THE_ACTUAL_DATE = frozenset(
    "actual actually act date dates done completed complete completion finished achieved on فعلي فعليا تاريخ تم منجز "  # noqa: SIM905
    "منفذ محقق انجاز اكتمال تنفيذ".split()
)
_CURRENCY_CODE = re.compile(r"\(?(?:in )?[A-Z]{3}\)?")
_DATE_FORM = re.compile(r"\(?d{1,2}[-/. ]?m{1,3}[-/. ]?y{2,4}\)?", re.IGNORECASE)
_ASIDES_OF_STEPS = re.compile(r"\b(?:actual|date|done|completed|on)\b|\b(?:ال)?فعلي\b", re.IGNORECASE)


def heading_text(cell: object) -> str:
    """A heading on one line, as faults and messages name it."""
    if isinstance(cell, int) and abs(cell) >= 10**40:  # Python refuses to write out what JSON may hold
        return ""
    return " ".join(str("" if cell is None else cell).split())


def key(text: str) -> str:
    """A heading without case, blanks, punctuation and Arabic spelling variants, for comparison."""
    folded = unicodedata.normalize("NFKC", _ASIDES.sub("", text)).casefold().translate(_ARABIC_LETTERS)
    folded = folded.replace("#", "no")
    return "".join(letter for letter in folded.replace("number", "no") if letter.isalnum())


FIELD_OF = {key(text): one for one in (*FIELDS, *CHECKS) for text in [one.heading, one.name, *one.also.split(";")]}
# The first column of a workbook of failed rows: written for the person who corrects them.
_REASONS = frozenset(map(key, ["reason", "السبب"]))
# Headings that say what something is, but not of what: below a heading that isn't known they may be about anything.
_VAGUE = frozenset(
    map(
        key,
        "ref;ref no;reference;reference no;file no;file ref;our ref;amount;amount omr;amount in omr;omr amount;"  # noqa: SIM905
        "omr value;value omr;amount ro;bank;bank name;mode;transport;qty;qnty;quantity;quantities;total qty;"
        "total quantity;unit;uom;unit of measure;currency;curr;cur;ccy;status;state;"
        "المبلغ;المبلغ ر.ع;المرجع;رقم المرجع;البنك;الكمية;كمية;"
        "الوحدة;وحدة;وحدة القياس;العملة;عملة;الحالة;حالة".split(";"),
    )
)


# Words of a heading that make it the currency of the amount, and those that make it that of something else.
_CURRENCY = frozenset(["currency", "ccy", "curr", "عمله"])
_NOT_OF_THE_INVOICE = frozenset(
    "freight duty customs insurance lc bank payment exchange rate charges cost local شحن جمرك تامين صرف سعر".split()  # noqa: SIM905
)
_MONEY_SIGNS = frozenset("$€£¥₹₨﷼")  # which a key loses


def field_of(text: str) -> Field | None:
    """The field that a heading names; an amount in another currency is none."""
    if _MONEY_SIGNS & set(text):
        return None
    found = FIELD_OF.get(key(text))
    words = _words(text) if found is None else set()
    return CURRENCY if words & _CURRENCY and not words & _NOT_OF_THE_INVOICE else found


class Steps:
    """The steps of the SOP, found by a heading."""

    def __init__(self, pairs: Sequence[tuple[str | Decimal, str]]) -> None:
        self.names = {Decimal(str(number)): name for number, name in pairs}
        self._by_name = {_step_key(name): number for number, name in self.names.items()}

    def meant_by(self, text: str) -> Decimal | None:
        """The step whose actual date this column holds, if that is evident.

        Evident is “9.0”, “9”, “Step 9” and “9.0 whatever it is called”, but “9 Bayan lodged” only because a word of it
        is in the step's name (“20 ft containers” and “10 days free” are no steps); a step's name alone will do, too.
        """
        match = _STEP.fullmatch(unicodedata.normalize("NFKC", text).strip())
        if not match:
            return self._by_name.get(_step_key(text))
        number, rest = Decimal(f"{int(match[2])}.{int(match[3] or 0)}"), match[4]
        if number not in self.names or not _step_key(rest):
            return number if number in self.names else None
        said, name = _words(rest), _words(self.names[number])
        if (said - name) & _NOT_THE_ACTUAL_DATE:
            return None
        shared = {word for word in said & name if len(word) > 3}
        return number if match[1] or match[3] or shared else None


def _step_key(text: str) -> str:
    return key(_ASIDES_OF_STEPS.sub(" ", text))


def _words(text: str) -> set[str]:
    """The words of a heading, Arabic ones without their article."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_ARABIC_LETTERS)
    return {word.removeprefix("ال") for word in re.findall(r"[^\W\d_]+", folded)}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column (from 0) holds what, and the headings that mean nothing to us.

    `headings` are told to people: of columns with headings in several rows, “9.0 Bayan submitted / Actual”.
    """

    fields: dict[int, Field]
    steps: dict[int, Decimal]
    headings: list[str]

    @property
    def ignored(self) -> list[str]:
        """Also what says that a shipment is cancelled: it only fails a row."""
        return [
            text
            for index, text in enumerate(self.headings)
            if text and index not in self.steps and self.fields.get(index, STATUS) in (STATUS, CANCELLED)
            if index or key(text) not in _REASONS
        ]

    @property
    def meanings(self) -> Mapping[int, Field | None]:
        """The columns that are read: their fields, and nothing for those of steps."""
        return self.fields | dict.fromkeys(self.steps)

    @property
    def names(self) -> set[str]:
        """Field names, and step numbers as text."""
        return {one.name for one in self.fields.values()} | set(map(str, self.steps.values()))

    @property
    def names_shipments(self) -> bool:
        return bool(self.of("shipment_number"))

    def of(self, name: str) -> list[int]:
        return [index for index, one in self.fields.items() if one.name == name]

    def without(self, hidden: Collection[int]) -> Columns:
        """The same, with these columns as if they weren't there."""
        return Columns(
            {index: one for index, one in self.fields.items() if index not in hidden},
            {index: number for index, number in self.steps.items() if index not in hidden},
            ["" if index in hidden else text for index, text in enumerate(self.headings)],
        )

    def __len__(self) -> int:
        return len(self.fields) + len(self.steps)


def columns_of(row: Sequence[Cell], steps: Steps) -> Columns:
    """What each cell of a heading row stands for."""
    return columns_of_paths([[heading_text(cell)] for cell in row], steps)


def columns_of_paths(paths: Sequence[Sequence[str]], steps: Steps) -> Columns:
    """What each column stands for whose headings, from the top down, are these."""
    fields: dict[int, Field] = {}
    numbers: dict[int, Decimal] = {}
    for index, path in enumerate(paths):
        found = meaning(path, steps) if any(path) else None
        if isinstance(found, Field):
            fields[index] = found
        elif found is not None:
            numbers[index] = found
    if all(one.name != "invoice_amount_omr" for one in fields.values()):
        fields = {index: one for index, one in fields.items() if one is not CURRENCY}
    return Columns(fields, numbers, [" / ".join(filter(None, path)) for path in paths])


def by_text(text: str, steps: Steps) -> Field | Decimal | None:
    """What one heading says by itself."""
    return field_of(text) or steps.meant_by(text)


def is_hint(text: str) -> bool:
    """Whether it only says how cells below a heading are written: a currency, the form of a date."""
    return bool(_MONEY_SIGNS & set(text)) or is_omr(text) or bool(_CURRENCY_CODE.fullmatch(text) or is_date_form(text))


def is_date_form(text: str) -> bool:
    return bool(_DATE_FORM.fullmatch(text))


def is_vague(text: str) -> bool:
    """Whether a heading doesn't say what it is about: “Ref”, “Amount”."""
    return key(text) in _VAGUE


def says_which_date(text: str) -> bool:
    """Whether a heading only makes sense below another: “Target”, “Actual date”, “Remarks”."""
    words = _words(text)
    return bool(words) and (words <= _THE_ACTUAL_DATE or bool(words & _NOT_THE_ACTUAL_DATE))


def meaning(path: Sequence[str], steps: Steps) -> Field | Decimal | None:
    """What a column holds whose headings, from the top down, are these; none where that isn't evident."""
    *above, text = path
    found = by_text(text, steps)
    if not above:
        return found
    if joined := _joined(above[-1], text):
        return joined
    if (found is None or found is STATUS) and says_which_date(text):
        whose = meaning(above, steps) if _words(text) <= _THE_ACTUAL_DATE else None
        is_done = isinstance(whose, Decimal) or (isinstance(whose, Field) and whose.is_date and whose.name != "eta")
        return whose if is_done else None
    is_planned = any(_words(one) & _PLANNED for one in above)
    if isinstance(found, Field):
        is_of_a_step = isinstance(by_text(above[-1], steps), Decimal)
        if is_of_a_step or is_vague(text) or (is_planned and found.is_date and found.name != "eta"):
            return None
    return None if is_planned and isinstance(found, Decimal) else found


def _joined(above: str, text: str) -> Field | None:
    """“Invoice” above “Date”, or “Arrival” above “Actual”: the two together are a heading."""
    if is_omr(text):
        found = field_of(above)
        return found if found is not None and found.name == "invoice_amount_omr" else None
    return field_of(f"{above} {text}") or field_of(f"{text} {above}")


def require_each_once(columns: Columns, steps: Steps) -> None:
    """:raises ColumnGivenTwice:"""
    seen: dict[object, int] = {}
    meant: dict[int, object] = {index: one.heading for index, one in columns.fields.items() if one not in CHECKS}
    meant |= {index: f"{number} {steps.names[number]}" for index, number in columns.steps.items()}
    for index, what in sorted(meant.items()):
        if (first := seen.setdefault(what, index)) != index:
            raise ColumnGivenTwice(first=columns.headings[first], second=columns.headings[index], meaning=what)

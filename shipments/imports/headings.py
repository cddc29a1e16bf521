"""What the columns of a tracker are called, and which column means what."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from clearance.errors import Invalid
from shipments.imports import cells
from shipments.imports.cells import Cell
from shipments.imports.fields import DATE_FORMATS, FIELDS, Field

SEARCHED_ROWS = 50  # the heading row is among the first fifty


class HeadingsNotFound(Invalid):
    code = "TRACKER_HEADINGS_NOT_FOUND"
    message = _(
        "No heading row was found in the first {searched} rows. One row needs the heading “Shipment number” and at "
        "least two more, such as “Principal”, “Brand”, “Invoice amount (OMR)” or “ETA”."
    )


class ShipmentNumberMissing(Invalid):
    code = "TRACKER_SHIPMENT_NUMBER_MISSING"
    field = "rows"
    message = _("The rows have no “shipment_number”. Give each row one.")


class ColumnGivenTwice(Invalid):
    code = "TRACKER_COLUMN_TWICE"
    message = _("The columns “{first}” and “{second}” mean the same ({meaning}). Rename or delete one of them.")


_ARABIC_LETTERS = str.maketrans("أإآٱىة", "اااايه", "ـ")
_ASIDES = re.compile(r"\((?:optional|required|mandatory|date|dd?[-/. ]?mm?[-/. ]?yy(?:yy)?)\)", re.IGNORECASE)
_STEP = re.compile(r"(step|الخطوة|خطوة)?[\s#.:]*(\d{1,2})(?:[.,٫](\d))?(?!\d)[\s.:)/–-]*(?!\d)(.*)", re.IGNORECASE)
# Trackers give several columns to a step; only the one with the actual date is read.
_NOT_THE_ACTUAL_DATE = frozenset(
    "target plan planned due expected scheduled deadline remark remarks comment comments note notes status ppr apr "  # noqa: SIM905
    "responsible person by day days delay delayed late المخطط المستهدف ملاحظات".split()
)
_ASIDES_OF_STEPS = re.compile(r"\b(?:actual|date|done|completed|on)\b", re.IGNORECASE)


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


_FIELD_OF = {key(text): one for one in FIELDS for text in [one.heading, one.name, *one.also.split(";")]}


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
    return set(re.findall(r"[^\W\d_]+", text.casefold()))


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column (from 0) holds what, and the headings that mean nothing to us."""

    fields: dict[int, Field]
    steps: dict[int, Decimal]
    headings: list[str]

    @property
    def ignored(self) -> list[str]:
        return [
            text
            for index, text in enumerate(self.headings)
            if text and index not in self.fields and index not in self.steps
        ]

    def __len__(self) -> int:
        return len(self.fields) + len(self.steps)


def columns_of(row: Sequence[Cell], steps: Steps) -> Columns:
    """What each cell of a heading row stands for."""
    headings = [heading_text(cell) for cell in row]
    fields: dict[int, Field] = {}
    numbers: dict[int, Decimal] = {}
    for index, text in enumerate(headings):
        if not text:
            continue
        if found := _FIELD_OF.get(key(text)):
            fields[index] = found
        elif (number := steps.meant_by(text)) is not None:
            numbers[index] = number
    return Columns(fields, numbers, headings)


def find_headings(rows: Sequence[Sequence[Cell]], steps: Steps) -> tuple[int, Columns]:
    """The index of the heading row and its columns: the first row, among the first fifty, that says the most.

    :raises HeadingsNotFound: no row names the shipment number and two more columns.
    :raises ColumnGivenTwice: two columns of that row mean the same.
    """
    best: tuple[int, Columns] | None = None
    for index, row in enumerate(rows[:SEARCHED_ROWS]):
        if sum(1 for cell in row if isinstance(cell, str) and cell.strip()) < 3:
            continue
        found = columns_of(row, steps)
        if len(found) < 3 or all(one.name != "shipment_number" for one in found.fields.values()):
            continue
        if best is None or len(found) > len(best[1]):
            best = index, found
    if best is None:
        raise HeadingsNotFound(searched=SEARCHED_ROWS)
    require_each_once(best[1], steps)
    return best


def require_each_once(columns: Columns, steps: Steps) -> None:
    """:raises ColumnGivenTwice:"""
    seen: dict[object, int] = {}
    meanings: dict[int, object] = {index: one.heading for index, one in columns.fields.items()}
    meanings |= {index: f"{number} {steps.names[number]}" for index, number in columns.steps.items()}
    for index, meaning in sorted(meanings.items()):
        if (first := seen.setdefault(meaning, index)) != index:
            raise ColumnGivenTwice(first=columns.headings[first], second=columns.headings[index], meaning=meaning)


@dataclass(frozen=True, slots=True)
class Template:
    """The blank workbook in plain data; columns count from 1."""

    headings: list[str]
    choices: dict[int, list[str]]
    dates: list[int]
    notes: list[list[str]]


def template(*, steps: Sequence[tuple[str | Decimal, str]], divisions: Sequence[str] = ()) -> Template:
    """Describe the workbook to fill in: its headings are those that `tracker` understands."""
    choices = {number: list(one.options) for number, one in enumerate(FIELDS, 1) if one.options}
    if divisions:
        choices[[one.name for one in FIELDS].index("division") + 1] = list(divisions)
    notes = [[str(_("Column")), str(_("What it means")), str(_("How to write it")), str(_("Needed"))]]
    notes += [
        [
            one.heading,
            str(one.meaning),
            str(one.formats),
            str(_("required for a new shipment") if one.is_required else _("optional")),
        ]
        for one in FIELDS
    ]
    named = [f"{number} {name}" for number, name in steps]
    notes += [
        [text, str(_("The date on which this step was done")), str(DATE_FORMATS), str(_("optional"))] for text in named
    ]
    notes.append([])
    notes += [
        [str(line)]
        for line in (
            _("A blank cell changes nothing: it never erases a value and never reopens a step."),
            _("Each row stands for itself: rows with mistakes are reported, the others are imported."),
            _("Other columns are ignored; the order of the columns does not matter."),
        )
    ]
    dates = [number for number, one in enumerate(FIELDS, 1) if one.parse is cells.parse_date]
    dates += range(len(FIELDS) + 1, len(FIELDS) + len(named) + 1)
    return Template([*(one.heading for one in FIELDS), *named], choices, dates, notes)

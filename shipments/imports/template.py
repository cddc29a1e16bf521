"""The blank workbook to fill in, in plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from shipments.imports.fields import DATE_FORMATS, FIELDS


@dataclass(frozen=True, slots=True)
class Template:
    """The blank workbook in plain data; columns count from 1."""

    headings: list[str]
    choices: dict[int, list[str]]
    dates: list[int]
    notes: list[list[str]]


def template(*, steps: Sequence[tuple[str | Decimal, str]], divisions: Sequence[str] = (), guide: str = "") -> Template:
    """Describe the workbook to fill in: its headings are those that `tracker` understands."""
    choices = {number: list(one.options) for number, one in enumerate(FIELDS, 1) if one.options}
    if divisions:
        choices[[one.name for one in FIELDS].index("division") + 1] = list(divisions)
    notes = [[_("Column"), _("What it means"), _("How to write it"), _("Needed")]]
    notes += [
        [
            one.heading,
            str(one.meaning),
            str(one.formats),
            _("required for a new shipment") if one.is_required else _("optional"),
        ]
        for one in FIELDS
    ]
    named = [f"{number} {name}" for number, name in steps]
    notes += [[text, _("The date on which this step was done"), str(DATE_FORMATS), _("optional")] for text in named]
    notes.append([])
    notes += [
        [line]
        for line in (
            _("A blank cell changes nothing: it never erases a value and never reopens a step."),
            _("Each row stands for itself: rows with mistakes are reported, the others are imported."),
            _("Other columns are ignored; the order of the columns does not matter."),
        )
    ]
    if guide:
        notes.append([_("What is read, and what is refused: {address}").format(address=guide)])
    dates = [number for number, one in enumerate(FIELDS, 1) if one.is_date]
    dates += range(len(FIELDS) + 1, len(FIELDS) + len(named) + 1)
    return Template([*(one.heading for one in FIELDS), *named], choices, dates, notes)

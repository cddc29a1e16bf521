"""What was read and what was left out, in sentences: the same at every door."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clearance.sheets.cells import Sheet
from shipments.imports.table import Tracker

MOST_LISTED = 20

# What a format can't tell, and what that means for the rows.
_UNSEEN = {
    "formats": gettext_lazy(
        "This kind of file doesn't tell how numbers are shown: codes are read without leading zeros, amounts as OMR."
    ),
    "formulas": gettext_lazy("This kind of file doesn't tell formulas: their stored results are read."),
    "errors": gettext_lazy("This kind of file doesn't tell errors of formulas: they are read as blank cells."),
    "merges": gettext_lazy("This kind of file doesn't tell merged cells: only the first of them has the value."),
    "hidden": gettext_lazy("This kind of file doesn't tell which rows are hidden: all of them are read."),
}


def notes_on(found: Tracker, sheet: Sheet | None = None) -> list[str]:
    """Sentences about a sheet that was read, or about rows that a program sent."""
    notes = [_("The sheet “{sheet}” was read.").format(sheet=sheet.name)] if sheet else []
    if sheet and sheet.others:
        notes.append(
            _("These sheets are trackers, too, and were not read: {sheets}. Import each of them by its name.").format(
                sheets=_quoted(sheet.others)
            )
        )
    if len(found.heading_rows) > 1:
        notes.append(
            _("The sheet has several tables, each read by its own headings. Those are in rows {rows}.").format(
                rows=ranges(found.heading_rows)
            )
        )
    if found.ignored:
        notes.append(
            _("These columns mean nothing here and were ignored: {columns}.").format(columns=_quoted(found.ignored))
        )
    if found.hidden_columns:
        notes.append(
            _("These columns are hidden and were not read: {columns}.").format(columns=_quoted(found.hidden_columns))
        )
    notes.extend(
        sentence.format(rows=ranges(rows))
        for sentence, rows in (
            (_("Skipped as sums, repeated headings, titles or links to empty cells: {rows}."), found.skipped),
            (_("Formulas whose result is 0 were read as blanks in columns of text, in rows {rows}."), found.zeros),
            (_("Not imported, because the rows are hidden: {rows}."), found.hidden),
            (_("Not imported, because the rows are struck out: {rows}."), found.struck_out),
        )
        if rows
    )
    notes.extend(
        _(
            "Days and months in “{column}” may be swapped: wherever the day is above 12, the date is a text, and all "
            "real dates have days up to 12. Compare a few of them with the papers."
        ).format(column=column)
        for column in found.swapped
    )
    return [*notes, *(str(text) for kind, text in _UNSEEN.items() if sheet and kind in sheet.unseen)]


def ranges(rows: Sequence[int]) -> str:
    """Rows as people list them: 3, 7–9, 12."""
    ordered = sorted(set(rows))
    starts = [ordered[0], *(after for before, after in pairwise(ordered) if after != before + 1)]
    ends = [*(before for before, after in pairwise(ordered) if after != before + 1), ordered[-1]]
    told = [str(start) if start == end else f"{start}–{end}" for start, end in zip(starts, ends, strict=True)]
    return ", ".join(told[:MOST_LISTED]) + (" …" if len(told) > MOST_LISTED else "")


def _quoted(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(f"“{name}”" for name in listed[:MOST_LISTED]) + (" …" if len(listed) > MOST_LISTED else "")

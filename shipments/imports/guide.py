"""The guide of the import: what is read, what is refused, and why. The page of the back office shows it.

`docs/guide/import.md` has the same sentences in English; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

RULE = _(
    "What is written is what a person sees in the sheet; where that is not certain, the row fails with a sentence, and "
    "nothing of it is written. It is better to correct a row than to store a value that nobody has seen."
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that trackers have: what of it is read, and what isn't, with the reason."""

    name: StrPromise
    is_read: StrPromise
    is_refused: StrPromise


KINDS = (
    Kind(
        _("The sheet"),
        _(
            "The first visible sheet with a heading row, or the one that you name. The answer names it, and the other "
            "sheets that are trackers, too."
        ),
        _("A workbook without a heading row: the sheets that were looked at are named."),
    ),
    Kind(
        _("The headings"),
        _(
            "One row with “Shipment number” and at least two more, among the first fifty; many spellings are known, in "
            "English and Arabic. Columns that mean nothing are ignored and named."
        ),
        _("Two columns that mean the same: which one counts is not ours to say."),
    ),
    Kind(
        _("Headings in two or three rows"),
        _(
            "“9.0 Bayan submitted” over “Target”, “Actual” and “Remarks”, merged or with blanks: the actual date is "
            "read, the others are ignored and named."
        ),
        _("Rows of headings that do not say which column holds the date: the workbook is refused and the rows named."),
    ),
    Kind(
        _("A second table below"),
        _("Read by its own headings, whatever their order. A title above it is skipped."),
        _("Everything below headings that are not understood: it would be read by the wrong ones."),
    ),
    Kind(
        _("Merged cells"),
        _("A text, a date or a choice that is merged down belongs to each of the rows."),
        _(
            "An amount, a quantity or a number of containers that is merged down: it is the sum of several shipments. "
            "Cells merged across several columns that are read."
        ),
    ),
    Kind(
        _("Formulas"),
        _("Their stored results. A zero from a link to an empty cell is a blank."),
        _("A formula without a stored result: open the file in Excel or LibreOffice, save it, and import it again."),
    ),
    Kind(
        _("Errors"),
        _("Nothing."),
        _("Every error (#DIV/0!, #N/A and others) fails its row, and the sentence quotes it."),
    ),
    Kind(
        _("Numbers that are codes"),
        _("As they are shown: 123 with the format 00000 is 00123."),
        _("Numbers that Excel has rounded or made a date: format the column as text and type them again."),
    ),
    Kind(
        _("Amounts"),
        _("Omani rials with at most three decimals: 1234.5, 1,234.500 or OMR 1,234.500."),
        _(
            "Amounts in another currency, whether a text, the number format or a column “Currency” says so; amounts of "
            "which the format hides a part; zero and less."
        ),
    ),
    Kind(
        _("Dates"),
        _("Real dates, and texts with the day first: 03/12/2026, 3 Dec 2026, 2026-12-03. Arabic digits are fine."),
        _(
            "Where a text of the column can only have the month first (06/25/2026), everything in it that can be read "
            "both ways. A date whose format hides its day or its year."
        ),
    ),
    Kind(
        _("Years of two digits"),
        _("Where they are plausible for the column: 10/06/26 as an ETA."),
        _("31/12/99, and 26-12-15, which may be two days: write the year with four digits."),
    ),
    Kind(
        _("Dates that a program has swapped"),
        _("They are read as they are shown; where it looks like that, you are warned: compare a few with the papers."),
        _("Nothing: whether they are swapped, only the papers know."),
    ),
    Kind(
        _("Hidden, filtered and struck-out rows"),
        _("Nothing, and the answer counts them."),
        _("Each of them fails: nobody sees what it says, or it does not count. Hidden columns are not read."),
    ),
    Kind(
        _("Cancelled shipments"),
        _("A column “Status” is ignored otherwise."),
        _("A row that says “cancelled”: cancel the shipment on its own page, with the reason."),
    ),
    Kind(
        _("Sums, repeated headings, titles"),
        _("They are skipped, and the answer names their rows."),
        _("A row without a shipment number that is none of these."),
    ),
    Kind(
        _("Blank cells"),
        _("They change nothing: a blank never erases a value and never reopens a step."),
        _("A blank where a new shipment needs a value."),
    ),
    Kind(
        _("A tracker that is older than what is known"),
        _("Whatever is new in it."),
        _(
            "A row that would bring back a value which somebody has replaced since, unless you tick that it may set "
            "values back. The sentence names the day."
        ),
    ),
    Kind(
        _("The same shipment twice"),
        _("The same file again changes nothing. A known number changes that shipment; a new one registers it."),
        _("All rows of a number that occurs twice in the file: which one is right is not ours to say."),
    ),
    Kind(
        _("Other kinds of file"),
        _(".xlsx tells most. The answer says what another kind of file does not tell: number formats, hidden rows."),
        _("Files with a password or macros, damaged ones, and those above the limits of size, rows and columns."),
    ),
)

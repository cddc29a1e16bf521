"""What the cells of a table show, beyond their values: merges, number formats, formulas, errors, what is hidden.

A cell that shows more than its value gives way to what it shows, or to an `Unreadable` that says why it isn't read. So
whoever reads the rows needs to know nothing of looks, and a sheet without any costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, time, timedelta
from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from clearance.errors import Invalid
from clearance.sheets.cells import Mark, Merge, Sheet
from shipments.imports.cells import HOLDS_AN_ERROR, NOT_IN_OMR, Cell, Unreadable, is_omr, shown
from shipments.imports.fields import Field
from shipments.imports.headings import Columns

_NO_RESULT = _(
    "{column} has a formula whose result was never stored. Open the file in Excel or LibreOffice, save it, and import "
    "it again."
)
_ZERO = _("{column} holds 0, which a link to an empty cell shows, too. Clear the cell, or type the text.")
_STRUCK_OUT = _("{column} “{value}” is struck out. Clear the cell, or take the line through it away.")
_PARTLY_STRUCK_OUT = _("{column} “{value}” is struck out in part. Write only what counts.")
_ROW_STRUCK_OUT = _("The row is struck out. Delete it, or take the line through it away if it counts.")
_ROW_HIDDEN = _("The row is hidden, perhaps by a filter. Show it and import again, or delete it.")
_ROUNDED = _("{column} shows “{value}” but holds {held}. Show all its decimals, or type what it should be.")
_FORMAT = _("{column} holds {held}, but its number format shows something else. Format it as a plain number.")
_SUM_OF_SEVERAL = _(
    "{column} “{value}” is merged over rows {first} to {last}, so it belongs to several shipments. Unmerge it and "
    "write each shipment's own figure."
)
_NUMBER_OF_SEVERAL = _(
    "{column} “{value}” is merged over rows {first} to {last}, which say different things. Unmerge it and write each "
    "row's own number."
)
_ACROSS = _(
    "{column} is merged with other columns (“{value}” in row {first}). Unmerge the cells and write what belongs here."
)
_NOTHING = (0, time(0), timedelta(0))  # the stored result of a link to an empty cell
_NO_DAY = date(1904, 1, 1)  # which it shows as a date in one system; the other has 1899 or 1900


class MergesOverlap(Invalid):
    code = "SHEET_MERGES_OVERLAP"
    message = _("Merged cells of the sheet “{sheet}” overlap each other. Copy the table into a new workbook.")


class Looks:
    """The rows of one table of a sheet, as they look. Rows and columns count from 0.

    `rows` replaces those of the sheet; `titles` are rows that are one merged text, `empty` those that only link to
    empty cells, `zeros` those with such a link below a text heading, `hidden` and `struck_out` those that fail for it.
    """

    def __init__(
        self,
        sheet: Sheet,
        columns: Columns,
        first: int,
        *,
        only_sums_up: Callable[[Sequence[object], object], bool],
    ) -> None:
        self.sheet, self.first, self.only_sums_up = sheet, first, only_sums_up
        self.known = columns.meanings
        self.number_at = columns.of("shipment_number")[0]
        self.rows: list[Sequence[Cell]] = list(sheet.rows)
        self.titles: set[int] = set()
        self.empty: set[int] = set()
        self.zeros: list[int] = []
        self.hidden: list[int] = []
        self.struck_out: list[int] = []
        if sheet.marks:
            self._show_marks()
        if "formulas" in sheet.unseen:
            self._refuse_zeros()
        if sheet.merges:
            self._show_merges()
        for row in sorted(sheet.hidden_rows):
            if first <= row < len(self.rows) and self._counts(row):
                self.hidden.append(row)
                self._refuse_row(row, _ROW_HIDDEN)

    # Rows ------------------------------------------------------------------------------------------------------------
    def cell(self, row: int, column: int) -> Cell:
        cells = self.rows[row]
        return cells[column] if column < len(cells) else ""

    def _put(self, row: int, column: int, cell: object) -> None:
        cells = self.rows[row]
        if not isinstance(cells, list) or cells is self.sheet.rows[row]:
            cells = self.rows[row] = [*cells, *[""] * (column + 1 - len(cells))]
        cells.extend([""] * (column + 1 - len(cells)))
        cells[column] = cell  # type: ignore[call-overload]

    def _is_filled(self, row: int, *, but: Sequence[int] = ()) -> bool:
        """Whether the row says anything in the columns that are read."""
        cells = self.rows[row]
        return any(
            i < len(cells) and cells[i] is not None and (type(cells[i]) is not str or not is_blank(cells[i]))
            for i in self.known
            if i not in but
        )

    def _counts(self, row: int) -> bool:
        return self._is_filled(row) and not self._is_sum(row)

    def _is_sum(self, row: int) -> bool:
        return self.only_sums_up(self.rows[row], self.cell(row, self.number_at))

    def _refuse_row(self, row: int, sentence: object) -> None:
        """Let one fault at the shipment number stand for the whole row."""
        quoted = self.cell(row, self.number_at)
        if isinstance(quoted, Unreadable):
            quoted = quoted.of(quoted)
        for column in self.known:
            if column < len(self.rows[row]):
                self._put(row, column, "")
        self._put(row, self.number_at, Unreadable(sentence).about(quoted))  # type: ignore[arg-type]

    # Marks -----------------------------------------------------------------------------------------------------------
    def _show_marks(self) -> None:
        nothing: dict[int, list[int]] = {}
        for (row, column), mark in self.sheet.marks.items():
            if row < self.first or row >= len(self.rows) or column not in self.known:
                continue
            field, cell = self.known[column], self.cell(row, column)
            if mark.is_formula and _is_nothing(cell):
                nothing.setdefault(row, []).append(column)
            elif mark.is_struck_out and column == self.number_at and self._counts(row):
                self.struck_out.append(row)
            seen = _look(cell, mark, field)
            if seen is not cell:
                self._put(row, column, seen)
        for row, columns in nothing.items():
            if self._is_filled(row, but=columns):
                texts = [column for column in columns if _is_text(self.known[column])]
                for column in texts:
                    self._put(row, column, "")
                if texts:
                    self.zeros.append(row)
            else:
                self.empty.add(row)
                self.rows[row] = ()
        for row in self.struck_out:
            self._refuse_row(row, _ROW_STRUCK_OUT)

    def _refuse_zeros(self) -> None:
        """Of a number zero below a text heading, where the file doesn't tell whether a formula made it."""
        texts = [column for column, field in self.known.items() if _is_text(field)]
        for row in range(self.first, len(self.rows)):
            for column in texts:
                cell = self.cell(row, column)
                if cell == 0 and type(cell) in (int, float):
                    self._put(row, column, Unreadable(_ZERO).about(cell))

    # Merges ----------------------------------------------------------------------------------------------------------
    def _show_merges(self) -> None:
        most = len(self.rows) * max(self.known)
        for merge in self.sheet.merges:
            columns = [column for column in self.known if merge.left <= column <= merge.right]
            rows = range(merge.top, min(merge.bottom, len(self.rows) - 1) + 1)
            if merge.top < self.first or not columns or not rows:
                continue
            most -= len(rows) * len(columns)
            if most < 0:
                raise MergesOverlap(sheet=self.sheet.name)
            value = self.cell(merge.top, merge.left)
            if value in ("", None) or (isinstance(value, str) and is_blank(value)):
                continue
            if merge.right > merge.left and (len(columns) > 1 or columns[0] != merge.left):
                self._show_across(merge, columns, rows, value)
            else:
                self._show_down(columns[0], rows, value)

    def _show_across(self, merge: Merge, columns: Sequence[int], rows: Sequence[int], value: Cell) -> None:
        """A title is no row of data; of anything else it isn't known to which column it belongs."""
        top = rows[0]
        if self._is_sum(top):
            return
        if self.number_at in columns and isinstance(value, str) and not self._is_filled(top, but=columns):
            self.titles.add(top)
            self.rows[top] = ()
            return
        refused = Unreadable(_ACROSS, first=top + 1).about(value)
        for row in rows:
            if row == top or self._is_filled(row, but=columns):
                for column in columns:
                    self._put(row, column, refused)

    def _show_down(self, column: int, rows: Sequence[int], value: Cell) -> None:
        """Each row has what all of them show; a figure of several rows is nobody's own."""
        filled = [row for row in rows if row == rows[0] or self._is_filled(row, but=[column])]
        if len(filled) < 2:
            return
        field = self.known[column]
        sentence = None
        if column == self.number_at:
            sentence = _NUMBER_OF_SEVERAL
        elif field is not None and field.is_figure and not isinstance(value, Unreadable):
            sentence = _SUM_OF_SEVERAL
        for row in filled:
            refused = sentence and Unreadable(sentence, first=rows[0] + 1, last=rows[-1] + 1).about(value)
            self._put(row, column, refused or value)


def is_blank(text: object) -> bool:
    return not str(text).strip()


def _is_text(field: Field | None) -> bool:
    return field is not None and not field.is_date and not field.is_figure


def _is_nothing(cell: Cell) -> bool:
    if isinstance(cell, date):
        return cell.year < _NO_DAY.year or (cell.year, cell.month, cell.day) == (1904, 1, 1)
    return type(cell) is not bool and cell in _NOTHING


def _look(cell: Cell, mark: Mark, field: Field | None) -> object:
    """What a person sees in a cell of this column, or why it isn't read."""
    refusal = _refusal(cell, mark)
    if refusal:
        return refusal
    is_plain = not (mark.text or mark.currency) or cell in (None, "") or isinstance(cell, bool)
    if is_plain or (mark.is_formula and _is_nothing(cell)) or (isinstance(cell, date) and _is_text(field)):
        return cell
    if mark.text == "…":
        return Unreadable(_FORMAT, held=shown(cell)).about(cell)
    if field is not None and field.is_figure and isinstance(cell, int | float | Decimal):
        return _look_of_figure(cell, mark, field)
    return mark.text or cell


def _refusal(cell: Cell, mark: Mark) -> Unreadable | None:
    if mark.error:
        return Unreadable(HOLDS_AN_ERROR).about(mark.error)
    if mark.has_no_result:
        return Unreadable(_NO_RESULT)
    if (mark.is_struck_out or mark.is_partly_struck_out) and cell not in (None, ""):
        return Unreadable(_STRUCK_OUT if mark.is_struck_out else _PARTLY_STRUCK_OUT).about(cell)
    return None


def _look_of_figure(cell: float | Decimal, mark: Mark, field: Field) -> object:
    """The number itself, where its look says no more; else the look, which is judged as if it had been typed."""
    looks = mark.text or f"{mark.currency} {cell}"
    if mark.currency and not is_omr(mark.currency):
        return Unreadable(NOT_IN_OMR).about(looks) if field.name == "invoice_amount_omr" else looks
    if not mark.text:
        return cell
    try:
        seen = field.parse(mark.text)  # type: ignore[misc]
        is_rounded = seen is not None and seen != field.parse(cell)  # type: ignore[misc]
    except Unreadable as unreadable:
        return unreadable.about(mark.text)
    if is_rounded:
        return Unreadable(_ROUNDED, held=shown(cell)).about(mark.text)
    return mark.text if seen is None else cell

"""Workbook file ↔ plain rows: calamine reads, openpyxl writes, limits come first. Knows nothing of what the cells mean.

The library tells values only. What a cell shows beyond its value (its number format, a formula, an error, a merge …) is
read from the file's own records.

A reader of untrusted workbooks has three enemies: archives that unpack to gigabytes, grids that are nearly empty but
reach to the last cell (calamine reserves memory for the whole rectangle and aborts the *process* when there is none,
tafia/calamine#693), and strings that thousands of cells share. `read` unpacks every part itself under a limit and
looks for the other two. A workbook that is plainly harmless is read here: a small one by a real XML parser, a large one
by the library and a search by patterns. One that isn't, or whose format can't be judged cheaply (.xls, .xlsb, .ods), is
read by a child process with little memory, which may die without harm.
"""

from clearance.sheets.cells import Cell, Mark, Merge, Sheet
from clearance.sheets.failed import RowFault, failed_rows, is_reason
from clearance.sheets.reading import read
from clearance.sheets.workbooks import MAX_COLUMNS, MAX_ROWS
from clearance.sheets.writing import CONTENT_TYPE, Page, heading_text, write, write_to

__all__ = [
    "CONTENT_TYPE",
    "MAX_COLUMNS",
    "MAX_ROWS",
    "Cell",
    "Mark",
    "Merge",
    "Page",
    "RowFault",
    "Sheet",
    "failed_rows",
    "heading_text",
    "is_reason",
    "read",
    "write",
    "write_to",
]

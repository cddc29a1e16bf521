"""What can be refused about a workbook."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Invalid


class WorkbookTooLarge(Invalid):
    code = "WORKBOOK_TOO_LARGE"
    message = _("The file is larger than {limit} MB. Delete pictures and sheets it does not need, or split it.")


class NotAWorkbook(Invalid):
    code = "NOT_A_WORKBOOK"
    message = _(
        "“{name}” is damaged or is not an Excel or LibreOffice workbook. Open it in Excel, save it as .xlsx, try again."
    )


class WorkbookProtected(Invalid):
    code = "WORKBOOK_PROTECTED"
    message = _("“{name}” is protected by a password. Save a copy without the password and use that.")


class WorkbookHasMacros(Invalid):
    code = "WORKBOOK_HAS_MACROS"
    message = _("“{name}” contains macros, which are not accepted. Save it as .xlsx (without macros) and use that.")


class WorkbookUnpacksTooLarge(Invalid):
    code = "WORKBOOK_UNPACKS_TOO_LARGE"
    message = _("“{name}” unpacks to far more than a tracker needs. Copy the table into a new workbook and use that.")


class WorkbookTooDemanding(Invalid):
    code = "WORKBOOK_TOO_DEMANDING"
    message = _(
        "“{name}” takes too much memory or time to read; often a stray value far outside the table is the reason. "
        "Copy the table into a new workbook and use that."
    )


class SheetNotFound(Invalid):
    code = "SHEET_NOT_FOUND"
    message = _("There is no sheet “{sheet}”. The workbook has: {names}.")
    field = "sheet"


class SheetEmpty(Invalid):
    code = "SHEET_EMPTY"
    message = _("The workbook has no visible sheet with anything on it.")


class TooManyRows(Invalid):
    code = "SHEET_TOO_MANY_ROWS"
    message = _("The sheet “{sheet}” has more than {limit} rows. Split it into several files.")


class TooManyColumns(Invalid):
    code = "SHEET_TOO_MANY_COLUMNS"
    message = _("The sheet “{sheet}” has more than {limit} columns. Delete those that the tracker does not need.")


class WorkbookNotUnderstood(Invalid):
    code = "WORKBOOK_NOT_UNDERSTOOD"
    message = _(
        "“{name}” isn’t damaged, but is written in a way that can’t be read here. Open it in Excel or LibreOffice, "
        "save a copy as .xlsx, and use that."
    )


class NoSheetWanted(Invalid):
    code = "SHEET_NOT_WANTED"
    message = _("None of the sheets has what is looked for. These were looked at: {names}.")


class NotText(Invalid):
    code = "CSV_NOT_TEXT"
    message = _(
        "“{name}” is called .csv, but it isn’t text. Open it in the program that it comes from, save the table as "
        ".xlsx or .csv, and use that."
    )


class CsvMixesEncodings(Invalid):
    code = "CSV_MIXES_ENCODINGS"
    message = _(
        "Some letters of “{name}” can’t be read: it is cut off, or put together from files of different encodings. "
        "Save the table anew as “CSV UTF-8” or as .xlsx, and use that."
    )


class CsvQuoteOpen(Invalid):
    code = "CSV_QUOTE_OPEN"
    message = _(
        "In “{name}” a quotation mark in row {row} is never closed, so the rest of the file would be one cell. "
        "Correct it, or save the table anew as .csv or .xlsx."
    )

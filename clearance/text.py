"""Text of one line: what it never holds, the form in which it is kept, and the form of a number. Knows no app.

Three kinds of characters (decision 0026):

- What nobody sees: controls, line breaks, zero-width and direction characters. API and forms refuse and name them; an
  import and a search, which read what is shown, leave them out.
- What looks the same and is another character: shapes of Arabic letters, blanks of other kinds, variation selectors,
  which keyboards add unasked. Every door writes the letter or the blank instead, or nothing.
- In a number, besides: Arabic and Persian digits, full-width letters, and the many hyphens. Every door writes ASCII.
"""

from __future__ import annotations

import re
import unicodedata

from django.db import models
from django.db.models import F, Func, Value
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clearance.numerals import DIGITS

# The same for Python's and for PostgreSQL's regular expressions. Source: Unicode, Default_Ignorable_Code_Point, line
# and paragraph separators, controls. Signs of format that have a shape, as Arabic has (U+0600, 06DD), are not here.
_UNSEEN = (
    r"\u0001-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff"
)
_SELECTORS = r"\ufe00-\ufe0f"
# Shapes that stand for letters; the ornaments, marks and signs between them stand for themselves.
_SHAPES = r"\ufb50-\ufbb1\ufbd3-\ufd3d\ufd50-\ufd8f\ufd92-\ufdc7\ufdf0-\ufdfc\ufe70-\ufe72\ufe74\ufe76-\ufefc"
NEVER_KEPT = f"[{_UNSEEN}{_SELECTORS}{_SHAPES}]"

_HYPHENS = r"\u02d7\u058a\u2010-\u2015\u2043\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d"
_BLANKS = r"\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
# What no number in its one form holds; blanks stand between words only.
NO_NUMBER = rf"[{_HYPHENS}{_BLANKS}\u0660-\u0669\u06f0-\u06f9\uff01-\uff5e]|^ |  | $"

_unseen = re.compile(f"[\\x00{_UNSEEN}\\ud800-\\udfff]")
_selector, _shape = re.compile(f"[{_SELECTORS}]"), re.compile(f"[{_SHAPES}]")
_line_breaks = frozenset("\n\v\f\r\x85\u2028\u2029")
_IN_NUMBERS = (
    DIGITS
    | {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | {code: "-" for code in range(0x10000) if re.match(f"[{_HYPHENS}]", chr(code))}
)


def objection(text: str) -> str:
    """Why a text is none of one line, as a sentence about its field; empty: it is one."""
    if text.isascii() and text.isprintable():
        return ""
    found = _unseen.search(text)
    if found is None:
        return ""
    if found[0] in _line_breaks:
        return _("This is a text of one line. Take the line break out.")
    code = f"U+{ord(found[0]):04X} {unicodedata.name(found[0], '')}".strip()
    return _("Character {position} is one that nobody sees ({code}). Delete it, or type the text anew.").format(
        position=found.start() + 1, code=code
    )


def kept(text: str) -> str:
    """The text in the form that is stored: letters instead of their shapes, composed, single blanks between words.

    Only of what there is no objection to; `tidied` takes any text.
    """
    if not text.isascii():
        text = _shape.sub(_letters, _selector.sub("", text))
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())


def tidied(text: str) -> str:
    """What is shown of a text, in the form that is stored; line breaks and tabs become blanks."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    return kept(_unseen.sub(_blank, text))


def number(text: str) -> str:
    """The one form of a number, for example of a shipment: `tidied`, with ASCII digits, letters and hyphens.

    Capitals stay; numbers are compared without them.
    """
    text = tidied(text)
    return text if text.isascii() else " ".join(text.translate(_IN_NUMBERS).split())


def key(number: str) -> str:
    """What numbers are compared by, as the database does with `lower`."""
    return number.lower()


def one_line(name: str, *fields: str) -> models.CheckConstraint:
    """Make the constraint that texts of a model are of one line: of the fields, none of which is ever null."""
    return models.CheckConstraint(
        name=name,
        condition=Lacks(Joined(*map(F, fields)), Value(NEVER_KEPT)),
        violation_error_message=gettext_lazy(
            "Texts of one line hold no line breaks and no characters that nobody sees."
        ),
    )


class Joined(Func):
    """Texts one after the other; null if one of them is."""

    template = "(%(expressions)s)"
    arg_joiner = " || "
    output_field = models.TextField()


class Lacks(Func):
    """Whether a text matches a regular expression nowhere."""

    template = "%(expressions)s"
    arg_joiner = " !~ "
    output_field = models.BooleanField()


def _letters(shape: re.Match[str]) -> str:
    """The letters that a shape stands for; a mark that stands alone brings no blank along."""
    return unicodedata.normalize("NFKC", shape[0]).lstrip(" ")


def _blank(unseen: re.Match[str]) -> str:
    return " " if unseen[0].isspace() else ""

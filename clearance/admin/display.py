"""How values look in lists and on pages: pills with words, money, moments, dates told from today."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from django.db.models import Choices
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

BUTTON = '<a class="button" href="{}">{}<span class="visually-hidden"> {}</span></a>'

# What a browser calls itself, told by the first mark that fits: most claim to be the others as well.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)


def pill(choice: Choices | None) -> SafeString | str:
    """A coloured pill that says in words what its colour says."""
    return format_html('<span class="pill pill-{}">{}</span>', choice.value, choice.label) if choice else "–"


def moment(at: datetime | None) -> str:
    """Date and time, as the reader's own clock shows them."""
    return date_format(timezone.localtime(at), "DATETIME_FORMAT") if at else "–"


def browser(user_agent: str) -> str:
    """`Chrome on Windows`, or what it calls itself if it is none that people know."""
    name = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((system for mark, system in _SYSTEMS if mark in user_agent), "")
    if not (name and system):
        return user_agent or "–"
    return _("%(browser)s on %(system)s") % {"browser": name, "system": system}


def money(amount: Decimal | None) -> str:
    """An amount with its three decimals and grouped thousands."""
    return "–" if amount is None else number_format(amount, 3, use_l10n=True, force_grouping=True)


def days_from(day: date, *, on: date) -> str:
    """Tell a date from today: in 3 days, today, 2 days ago."""
    days = (on - day).days
    if days == 0:
        return _("today")
    if days > 0:
        return ngettext("%(days)d day ago", "%(days)d days ago", days) % {"days": days}
    return ngettext("in %(days)d day", "in %(days)d days", -days) % {"days": -days}

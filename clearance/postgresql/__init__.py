"""The database's side of the context: Django's PostgreSQL, told with every transaction who writes (C21)."""

from django.db import InterfaceError, OperationalError
from psycopg.errors import ReadOnlySqlTransaction


def is_unavailable(error: BaseException | None) -> bool:
    """Whether the database can't do now what it can at other times: it is away or ending, full, or refuses writes."""
    is_refused = error is not None and isinstance(error.__cause__, ReadOnlySqlTransaction)
    return is_refused or isinstance(error, (OperationalError, InterfaceError))

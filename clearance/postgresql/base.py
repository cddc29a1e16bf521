"""Django's PostgreSQL backend; before anything is written, the transaction learns the circumstances of the change.

- `set_config(…, is_local => true)`: what was told ends with the transaction, on a pooled connection too.
- A rollback, also one to a savepoint, makes PostgreSQL forget; the next statement tells it anew.
- In autocommit there is no transaction to tell: a write gets one of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from clearance import context
from clearance.postgresql.pool import Pool

SETTING = "clearance.context"
_WRITES = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:insert|update|delete|merge|with|copy|call|do|execute|explain)\b",
    re.IGNORECASE | re.DOTALL,
)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that tells the database who acts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told = context.Context()
        self.execute_wrappers.append(self._execute)

    @property
    def pool(self) -> Pool | None:
        """The pool of this alias, made as Django makes its own, but of our kind."""
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        if self.alias not in self._connection_pools:
            kwargs = {**self.get_connection_params(), "autocommit": True}
            made = Pool(kwargs=kwargs, open=False, configure=self._configure_connection, **options)
            self._connection_pools.setdefault(self.alias, made)  # of two threads that make one, one's is kept
        return self._connection_pools[self.alias]

    def create_cursor(self, name: str | None = None) -> Any:
        cursor = super().create_cursor(name)
        plain_copy = cursor.copy

        @contextmanager
        def copy(statement: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
            with self._telling(statement), plain_copy(statement, *args, **kwargs) as copying:
                yield copying

        cursor.copy = copy
        return cursor

    def _execute(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, _: dict[str, Any]) -> Any:
        with self._telling(sql):
            return execute(sql, params, many, _)

    @contextmanager
    def _telling(self, sql: Any) -> Iterator[None]:
        if not self.get_autocommit():
            self._tell()
            yield
        elif context.current() != context.Context() and (not isinstance(sql, str) or _WRITES.match(sql)):
            with transaction.atomic(using=self.alias):
                self._tell()
                yield
        else:
            yield

    def _tell(self) -> None:
        """Tell the running transaction the context, unless it knows; a failed one takes nothing but its rollback."""
        current = context.current()
        if current is self._told or self.connection.info.transaction_status == TransactionStatus.INERROR:
            return
        if current != self._told:
            with self.wrap_database_errors, self.connection.cursor() as cursor:
                cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, current.as_json()])
        self._told = current

    # Wherever PostgreSQL forgets ------------------------------------------------------------------------------------
    def _forget(self) -> None:
        self._told = context.Context()

    def connect(self) -> None:
        self._forget()
        super().connect()

    def _set_autocommit(self, autocommit: bool) -> None:
        self._forget()
        super()._set_autocommit(autocommit)

    def _commit(self) -> Any:
        self._forget()
        return super()._commit()

    def _rollback(self) -> Any:
        self._forget()
        return super()._rollback()

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)
        # What was told before the savepoint is known again, which may be anything: tell it anew, whatever it is.
        self._told = _SOMETHING


# Equal to no context that any door fills.
_SOMETHING = context.Context(channel="forgotten")

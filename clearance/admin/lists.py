"""Lists that stay fast in front of millions of rows: a count that knows where to stop, filters with a default."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import NotRelationField, get_fields_from_path
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import Field
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest

MOST_COUNTED = 10_000
# How an address may compare a column, beside what the list's own filters read.
COMPARISONS = frozenset({"exact", "in", "gt", "gte", "lt", "lte", "isnull"})


class CappedPaginator(Paginator):
    """Counts to 10,000 and no further; whoever wants more narrows the list."""

    @cached_property
    def count(self) -> int:
        return min(self._counted, MOST_COUNTED)

    @cached_property
    def is_capped(self) -> bool:
        return self._counted > MOST_COUNTED

    @cached_property
    def _counted(self) -> int:
        return self.object_list.order_by().values("pk")[: MOST_COUNTED + 1].count()


class PlainList(ChangeList):
    """A list whose address can't ask what the database can't answer: then it is shown whole, as Django does it."""

    def get_filters(self, request: HttpRequest) -> Any:
        found = super().get_filters(request)
        if not all(map(self._is_plain, found[2])):
            raise IncorrectLookupParameters
        return found

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except (
            ValueError,
            TypeError,
            ArithmeticError,
            DataError,
        ) as error:  # a value that only the statement finds impossible
            raise IncorrectLookupParameters from error

    def _is_plain(self, lookup: str) -> bool:
        """Whether it compares a column as it is, without a pattern or a part of a date."""
        path, _, comparison = lookup.rpartition(LOOKUP_SEP)
        try:
            field = get_fields_from_path(self.model, path if path and comparison in COMPARISONS else lookup)[-1]
        except (FieldDoesNotExist, NotRelationField):
            return False
        return isinstance(field, Field)


class DeskList(PlainList):
    """A list whose rows are completed page by page: `model_admin.prepare(rows, request)` may ask once for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        self.model_admin.prepare(self.result_list, request)

    @property
    def is_narrowed(self) -> bool:
        return bool(self.query) or self.has_active_filters


class DefaultedFilter(admin.SimpleListFilter):
    """A filter that is never off: without a choice its default holds, and is shown as chosen."""

    default = ""

    def value(self) -> str:
        given = super().value()
        return given if given in dict(self.lookup_choices) else self.default

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        for value, title in self.lookup_choices:
            yield {
                "selected": self.value() == value,
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }

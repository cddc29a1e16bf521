"""Lists by page or by cursor, flat at any depth, with a count that knows where to stop."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.core.signing import BadSignature, Signer
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

MOST_COUNTED = 10_000
LAST_PAGE = 1_000_000
_NUMBER = re.compile(r"[0-9]{1,9}")
_SIGNER = Signer(salt="clearance.cursor")


class Pages(BasePagination):
    """Page by `page` and `page_size`, or by `cursor=` (empty for the first page), flat at any depth.

    `ordering` names one field of the view's `ordering_fields`, with `-` for descending; the id breaks ties. The count
    stops at 10,000 and says so in `count_is_exact`; on later pages of a cursor it is the first page's.
    """

    page_size = 50
    most_per_page = 200
    has_pages = True

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> list[Any]:
        self.request, self.view = request, view
        given = request.query_params
        if "page" in given and not self.has_pages:
            sentence = _("This list has no pages. Follow `next` and `previous` as they come, or start with `cursor=`.")
            raise exceptions.ValidationError({"page": [sentence]})
        self.size = self._whole(given, "page_size", self.page_size, most=self.most_per_page)
        self.ordering = self._ordering(given.get("ordering") or view.ordering, view.ordering_fields)
        self.previous_link = self.next_link = None
        if "cursor" in given or not self.has_pages:
            return self._by_cursor(queryset, given.get("cursor", ""))
        return self._by_page(queryset, self._whole(given, "page", 1, most=LAST_PAGE))

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "results": data,
                "next": self.next_link,
                "previous": self.previous_link,
                "count": self.count,
                "count_is_exact": self.count_is_exact,
            }
        )

    def _by_page(self, queryset: QuerySet[Any], page: int) -> list[Any]:
        start = (page - 1) * self.size
        rows = list(self.view.rows(queryset).order_by(*self._order_by())[start : start + self.size + 1])
        if page == 1 and len(rows) <= self.size:
            self.count, self.count_is_exact = len(rows), True
        else:
            self._count(queryset)
        if len(rows) > self.size:
            self.next_link = self._link(page=page + 1)
        if page > 1:
            self.previous_link = self._link(page=page - 1)
        return rows[: self.size]

    def _by_cursor(self, queryset: QuerySet[Any], token: str) -> list[Any]:
        position = self._read(token) if token else None
        if position is None:
            self._count(queryset)
            is_backward = False
        else:
            is_backward = position["b"]
            self.count, self.count_is_exact = position["c"], position["x"]
            queryset = queryset.filter(self._beyond(position, queryset))
        rows = list(self.view.rows(queryset).order_by(*self._order_by(is_reversed=is_backward))[: self.size + 1])
        is_more = len(rows) > self.size
        rows = rows[: self.size]
        if is_backward:
            rows.reverse()
        if rows and (is_more or is_backward):
            self.next_link = self._link(cursor=self._token(rows[-1], is_backward=False))
        if rows and (is_more if is_backward else position is not None):
            self.previous_link = self._link(cursor=self._token(rows[0], is_backward=True))
        return rows

    def _beyond(self, position: Mapping[str, Any], queryset: QuerySet[Any]) -> Q:
        name = self.ordering.removeprefix("-")
        ascends = (not self.ordering.startswith("-")) != position["b"]
        value = queryset.model._meta.get_field(name).to_python(position["v"])
        side = "gt" if ascends else "lt"
        tie = Q(**{name: value, f"pk__{side}": position["i"]})
        # The first condition alone lets an index find the place; the second decides among equals.
        return Q(**{f"{name}__{side}e": value}) & (Q(**{f"{name}__{side}": value}) | tie)

    def _order_by(self, *, is_reversed: bool = False) -> tuple[str, str]:
        descends = self.ordering.startswith("-") != is_reversed
        sign = "-" if descends else ""
        return f"{sign}{self.ordering.removeprefix('-')}", f"{sign}id"

    def _count(self, queryset: QuerySet[Any]) -> None:
        counted = queryset.order_by().values("pk")[: MOST_COUNTED + 1].count()
        self.count, self.count_is_exact = min(counted, MOST_COUNTED), counted <= MOST_COUNTED

    def _token(self, row: Any, *, is_backward: bool) -> str:
        name = self.ordering.removeprefix("-")
        value = row[name] if isinstance(row, dict) else getattr(row, name)
        key = row["id"] if isinstance(row, dict) else row.pk
        position = {
            "o": self.ordering,
            "v": value.isoformat() if isinstance(value, (date, datetime)) else str(value),
            "i": key,
            "b": is_backward,
            "c": self.count,
            "x": self.count_is_exact,
        }
        return _SIGNER.sign_object(position)

    def _read(self, token: str) -> dict[str, Any]:
        """The position in a cursor of ours; the signature spares every other check."""
        try:
            position: dict[str, Any] = _SIGNER.unsign_object(token)
        except BadSignature:
            position = {}
        if position.get("o") != self.ordering:
            sentence = _(
                "This cursor does not fit. Follow `next` and `previous` as they come, or start with `cursor=`."
            )
            raise exceptions.ValidationError({"cursor": [sentence]})
        return position

    def _link(self, **position: Any) -> str:
        given = self.request.query_params.dict() | position
        return self.request.build_absolute_uri(f"{self.request.path}?{urlencode(given)}")

    @staticmethod
    def _ordering(given: str, allowed: tuple[str, ...]) -> str:
        if given.removeprefix("-") not in allowed:
            choices = ", ".join(allowed)
            raise exceptions.ValidationError({"ordering": [_("Order by one of: {choices}.").format(choices=choices)]})
        return given

    @staticmethod
    def _whole(given: Mapping[str, str], name: str, default: int, *, most: int) -> int:
        text = given.get(name, str(default))
        if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= most:
            sentence = _("Give a whole number from 1 to {most}.").format(most=most)
            raise exceptions.ValidationError({name: [sentence]})
        return int(text)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        def parameter(name: str, kind: str, description: str, **limits: int) -> dict[str, Any]:
            schema = {"type": kind, **limits}
            return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}

        by_page = (
            [parameter("page", "integer", "Page, from 1.", minimum=1, maximum=LAST_PAGE)] if self.has_pages else []
        )
        instead = " instead" if self.has_pages else ""
        return [
            *by_page,
            parameter("page_size", "integer", "Rows per page.", minimum=1, maximum=self.most_per_page),
            parameter("cursor", "string", f"Page by cursor{instead}: empty for the first page, then as `next` says."),
            {
                **parameter("ordering", "string", "One field; `-` in front for descending."),
                "schema": {
                    "type": "string",
                    "enum": [f"{sign}{name}" for name in getattr(view, "ordering_fields", ()) for sign in ("", "-")],
                },
            },
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        next_page = "https://clearance.example.com/api/v1/shipments?page=2"
        return {
            "type": "object",
            "required": ["results", "next", "previous", "count", "count_is_exact"],
            "properties": {
                "results": schema,
                "next": {**link, "example": next_page},
                "previous": {**link, "example": None},
                "count": {"type": "integer", "maximum": MOST_COUNTED, "example": 58},
                "count_is_exact": {"type": "boolean", "example": True},
            },
        }


class ByCursor(Pages):
    """By `cursor` only, for lists that grow while they are read: a page would shift, a cursor stays in its place."""

    has_pages = False

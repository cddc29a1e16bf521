"""Filters that read as the API writes, and refuse everything else."""

from __future__ import annotations

from typing import Any

import django_filters as filters
from django import forms
from django_filters import fields
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from clearance import text


class GivenFilters(filters.FilterSet):
    """A filter set that prepares the filters that a request brings and no other: that is most of its work."""

    def __init__(self, data: Any = None, *args: Any, **options: Any) -> None:
        self.base_filters = {name: one for name, one in self.base_filters.items() if data is None or name in data}
        super().__init__(data, *args, **options)


class IsoDateFilter(filters.DateFilter):
    """A date as 2026-03-20; the forms of the back office read more than that."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, input_formats=["%Y-%m-%d"], **options)


class _Shown(forms.CharField):
    """Reads what is shown of a text: what nobody sees is left out, not refused."""

    def to_python(self, value: Any) -> str:
        return text.tidied(super().to_python(value))


class TextFilter(filters.CharFilter):
    """A text, or part of one, in the form in which texts are kept."""

    field_class = _Shown


@extend_schema_field(OpenApiTypes.BOOL)
class TrueOrFalseFilter(filters.TypedChoiceFilter):
    """`true` or `false`; the stock filter takes anything else for no filter."""

    def __init__(self, *args: Any, **options: Any) -> None:
        choices = [("true", "true"), ("false", "false")]
        super().__init__(*args, choices=choices, coerce=lambda text: text == "true", **options)


class _Choices(fields.MultipleChoiceField):
    """Takes an empty choice for none, as the other filters do."""

    def to_python(self, value: Any) -> list[str]:
        return [one for one in super().to_python(value) if one]


class AnyOfFilter(filters.MultipleChoiceFilter):
    """One of the choices, or several: `status=active&status=completed`."""

    field_class = _Choices

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, distinct=False, **options)


@extend_schema_field(OpenApiTypes.INT)
class IdFilter(filters.NumberFilter):
    """The id of a record."""

    field_class = forms.IntegerField


@extend_schema_field(OpenApiTypes.INT)
class WholeNumberFilter(filters.NumberFilter):
    """A whole number that isn't negative."""

    field_class = forms.IntegerField

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, min_value=0, max_value=32_767, **options)

"""Filters that read as the API writes, and refuse everything else."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar

import django_filters as filters
from django import forms
from django_filters import fields
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from clearance import numerals, text


class GivenFilters(filters.FilterSet):
    """A filter set that prepares the filters that a request brings and no other: that is most of its work.

    A filter is called like the field that it filters; `former` are names that it had, by which it still goes.
    """

    former: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def get_filters(cls) -> dict[str, filters.Filter]:
        found = super().get_filters()
        for old, name in cls.former.items():
            found[old] = deepcopy(found[name])
            found[old].label = f"Former name of `{name}`"
        return found

    def __init__(self, data: Any = None, *args: Any, **options: Any) -> None:
        self.base_filters = {name: one for name, one in self.base_filters.items() if data is None or name in data}
        super().__init__(data, *args, **options)


class _IsoDate(forms.DateField):
    def to_python(self, value: Any) -> Any:
        return super().to_python(_in_ascii(self, value))


class _Whole(forms.IntegerField):
    def to_python(self, value: Any) -> Any:
        value = _in_ascii(self, value)
        if value not in self.empty_values and not numerals.WHOLE.fullmatch(value):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


def _in_ascii(field: forms.Field, value: Any) -> Any:
    """The value as it is; programs write digits in ASCII, though Python reads others."""
    if isinstance(value, str) and not value.isascii():
        raise forms.ValidationError(field.error_messages["invalid"], code="invalid")
    return value


class IsoDateFilter(filters.DateFilter):
    """A date as 2026-03-20; the forms of the back office read more than that."""

    field_class = _IsoDate

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

    field_class = _Whole


@extend_schema_field(OpenApiTypes.INT)
class WholeNumberFilter(filters.NumberFilter):
    """A whole number that isn't negative."""

    field_class = _Whole

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, min_value=0, max_value=32_767, **options)

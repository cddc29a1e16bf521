"""Numbers as people type them into forms: plain digits, Latin or Arabic."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django import forms

from clearance import numerals


class _Plain(forms.Field):
    """Refuses what Python would read as a number besides."""

    written: ClassVar[re.Pattern[str]]

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = numerals.in_ascii(value).strip()
            if value and not self.written.fullmatch(value):
                raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


class Whole(_Plain, forms.IntegerField):
    written = numerals.WHOLE


class Amount(_Plain, forms.DecimalField):
    written = numerals.DECIMAL

from __future__ import annotations

from decimal import Decimal

import pytest
from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError

from clearance.admin.numbers import Amount, Whole
from clearance.tests import pages
from clearance.tests.test_api_errors import NO_NUMBERS

OF_ARABIC = {"٣", "۳"}  # which people type


class TestANumberInAForm:
    @pytest.mark.parametrize("text", sorted({*NO_NUMBERS, "١_٠", "١e١", "1٫5٫0"} - OF_ARABIC - {""}))
    @pytest.mark.parametrize("field", [Whole, Amount])
    def test_is_written_in_plain_digits(self, field, text):
        with pytest.raises(ValidationError):
            field().clean(text)

    @pytest.mark.parametrize(
        ("field", "text", "value"),
        [
            (Whole, "12", 12),
            (Whole, " -7 ", -7),
            (Whole, "١٢", 12),
            (Whole, "۱۲", 12),
            (Amount, "12.500", Decimal("12.500")),
            (Amount, "١٢٫٥", Decimal("12.5")),
            (Amount, "-.5", Decimal("-.5")),
        ],
    )
    def test_may_have_arabic_digits(self, field, text, value):
        assert field().clean(text) == value

    def test_is_such_a_field_in_every_form_of_the_back_office(self, administrator, rf):
        request = rf.get("/")
        request.user = administrator
        seen, others = 0, []
        for model, desk in admin.site._registry.items():
            fields = {
                field.name: desk.formfield_for_dbfield(field, request)
                for field in model._meta.concrete_fields
                if not field.is_relation
            }
            for verb in getattr(desk, "verbs", ()):
                fields |= {f"{verb.name} {name}": field for name, field in verb.form.base_fields.items()}
            for name, field in fields.items():
                if isinstance(field, forms.IntegerField):  # a decimal one is of that class, too
                    seen += 1
                    others += [] if isinstance(field, Whole | Amount) else [f"{model.__name__}.{name}"]

        assert others == []
        assert seen > 5

    def test_is_refused_where_it_is_typed(self, bu_clerk, shipment):
        client = pages.signed_in(bu_clerk)
        given = pages.filled_in(client.get(pages.of(shipment)))

        answer = client.post(pages.of(shipment), given | {"invoice_amount_omr": "1_000", "container_count": "1e1"})

        assert pages.errors_of(answer).keys() == {"invoice_amount_omr", "container_count"}
        shipment.refresh_from_db()
        assert shipment.invoice_amount_omr == Decimal("12345.678")

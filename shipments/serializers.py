"""Shapes of shipments at the API."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts.models import Division
from clearance import text
from clearance.api.desk import StrictSerializer
from shipments.choices import Risk
from shipments.imports.cells import shown
from shipments.models import Shipment
from shipments.rules import AMENDABLE
from shipments.selectors import COLUMNS

PAPERS = {
    "shipment_number": "SH-2026-014",
    "division": "TBL",
    "transport_mode": "sea",
    "principal": "Example Tyres Ltd",
    "brand": "Example",
    "supplier_invoice_number": "INV-7001",
    "supplier_invoice_date": "2026-02-20",
    "lc_number": "LC-4411, LC-4412",
    "lc_issuing_bank": "Example Bank",
    "invoice_amount_omr": "12345.678",
    "bl_number": "BL-90210",
    "vessel": "MV Example",
    "port_of_loading": "Laem Chabang",
    "port_of_discharge": "Sohar",
    "sail_date": "2026-03-01",
    "container_count": 3,
    "quantity": "1200.000",
    "quantity_unit": "tyres",
    "eta": "2026-03-20",
    "ata": None,
}
SHOWN = {
    "id": 14,
    **PAPERS,
    "customs_duty_omr": "617.284",
    "vat_omr": "617.284",
    "insurance_omr": "123.457",
    "funds_required_omr": "1358.025",
    "eta_edit_count": 1,
    "eta_change_reason": "Rolled to the next vessel",
    "status": "active",
    "cancel_reason": "",
    "cleared_on": None,
    "created_by": 3,
    "created_at": "2026-02-21T06:10:00+00:00",
    "updated_at": "2026-03-02T05:30:12.402311+00:00",
    "version": 4,
    "risk": "expected",
}


@extend_schema_field(OpenApiTypes.STR)
class DivisionField(serializers.Field):
    """A division by its code or name; answers show the code."""

    def to_internal_value(self, data: Any) -> Division:
        name = text.tidied(str(data))
        division = Division.objects.filter(Q(code__iexact=name) | Q(name__iexact=name)).first()
        if division is None:
            known = ", ".join(Division.objects.values_list("code", flat=True))
            raise serializers.ValidationError(_("There is no such division. There are: {known}.").format(known=known))
        return division

    def to_representation(self, value: Any) -> str:
        return str(value)


@extend_schema_serializer(
    examples=[
        OpenApiExample("A shipment", SHOWN, response_only=True),
        OpenApiExample("The papers of a shipment", PAPERS, request_only=True),
    ]
)
class ShipmentSerializer(StrictSerializer, serializers.ModelSerializer):
    """A shipment; the computed and read-only fields may come along in a request and are ignored."""

    division = DivisionField(required=False, allow_null=True)
    created_by = serializers.IntegerField(read_only=True, allow_null=True)
    risk = serializers.ChoiceField(
        Risk.choices, read_only=True, allow_null=True, help_text="Null once it is cleared, completed or cancelled."
    )
    version = serializers.IntegerField(
        required=False, min_value=1, help_text="Of the record that the change is based on; stale → 409."
    )

    class Meta:
        model = Shipment
        fields = (*COLUMNS, "division", "risk")
        read_only_fields = tuple(name for name in COLUMNS if name not in (*AMENDABLE, "eta", "version"))

    def blanks(self) -> dict[str, Any]:
        """What a PUT leaves out: blank, as if it had never been recorded."""
        optional = [name for name in AMENDABLE if not self.fields[name].required]
        return {name: Shipment._meta.get_field(name).get_default() for name in optional}  # type: ignore[union-attr]


@extend_schema_serializer(
    examples=[
        OpenApiExample("A later vessel", {"eta": "2026-03-27", "reason": "Rolled to the next vessel", "version": 3})
    ]
)
class EtaInput(StrictSerializer):
    eta = serializers.DateField()
    reason = serializers.CharField(required=False, allow_blank=True, max_length=255)
    version = serializers.IntegerField(required=False, min_value=1)


@extend_schema_serializer(examples=[OpenApiExample("A cancelled order", {"reason": "The order was cancelled"})])
class CancelInput(StrictSerializer):
    reason = serializers.CharField(max_length=255)
    version = serializers.IntegerField(required=False, min_value=1)


class VersionInput(StrictSerializer):
    version = serializers.IntegerField(required=False, min_value=1)


class Heading(serializers.CharField):
    """What a sheet calls a column, cut: it comes with every fault, and may be as long as a cell."""

    def to_representation(self, value: Any) -> str:
        return shown(value)


class SetBackField(serializers.BooleanField):
    """Whether rows may bring back values that were replaced since; without, such rows fail."""

    def __init__(self, **kwargs: Any) -> None:
        told = "Also write values that were replaced since the tracker was written; without, such rows fail."
        super().__init__(default=False, help_text=told, **kwargs)


class FaultSerializer(serializers.Serializer):
    row = serializers.IntegerField(help_text="As the sheet numbers it; with `rows`, the first is 1.")
    column = Heading()
    value = serializers.CharField()
    reason = serializers.CharField()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "One row failed",
            {
                "created": 12,
                "updated": 3,
                "unchanged": 40,
                "failed": 1,
                "faults": [
                    {
                        "row": 17,
                        "column": "ETA",
                        "value": "31/02/2026",
                        "reason": "ETA “31/02/2026” is not a date. Write it as day/month/year, for example 03/12/2026.",
                    }
                ],
                "corrections": [],
                "sheet": "June",
                "other_sheets": ["July"],
                "ignored_columns": ["Vesel"],
                "skipped_rows": [58],
                "notes": [
                    "The sheet “June” was read.",
                    "These sheets are trackers, too, and were not read: “July”. Import each of them by its name.",
                    "These columns mean nothing here and were ignored: “Vesel”.",
                    "Skipped as sums, repeated headings, titles or links to empty cells: 58.",
                ],
            },
        )
    ]
)
class ImportReportSerializer(serializers.Serializer):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    failed = serializers.IntegerField()
    faults = FaultSerializer(many=True)
    corrections = FaultSerializer(
        many=True, help_text="Dates of completed steps that the sheet corrected, and newer values that it set back."
    )
    sheet = serializers.CharField(help_text="The sheet that was read; empty with `rows`.")
    other_sheets = serializers.ListField(
        child=serializers.CharField(), help_text="Sheets that are trackers, too, and were not read."
    )
    ignored_columns = serializers.ListField(child=serializers.CharField(), help_text="Headings that mean nothing here.")
    skipped_rows = serializers.ListField(
        child=serializers.IntegerField(), help_text="Sums, repeated headings, titles, links to empty cells."
    )
    notes = serializers.ListField(
        child=serializers.CharField(), help_text="Sentences about what was read, and what was left out."
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A new shipment with the date of a step",
            {
                "rows": [
                    {
                        "shipment_number": "SH-2026-014",
                        "principal": "Example Tyres Ltd",
                        "brand": "Example",
                        "invoice_amount_omr": "12345.678",
                        "eta": "2026-03-20",
                        "9.0": "2026-03-21",
                    }
                ]
            },
        )
    ]
)
class ImportInput(StrictSerializer):
    set_back = SetBackField()
    rows = serializers.ListField(
        child=serializers.DictField(), help_text="Each row by field names or by the headings of the template."
    )


class ImportFile(StrictSerializer):
    file = serializers.FileField(help_text="A workbook: .xlsx, .xls, .xlsb, .ods or .csv.")
    sheet = serializers.CharField(required=False, help_text="Its name; without, the first that is a tracker.")
    set_back = SetBackField()

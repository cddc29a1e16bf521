"""What the forms for shipments ask."""

from __future__ import annotations

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from clearance.admin.verbs import DateInput, VerbForm, VersionedForm
from shipments import rules
from shipments.models import MAX_ETA_EDITS, Shipment


class ShipmentForm(forms.ModelForm):
    class Meta:
        model = Shipment
        fields = (*rules.AMENDABLE, "eta", "version")
        widgets = {"version": forms.HiddenInput}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "version" in self.fields:
            self.fields["version"].required = False
        if "division" in self.fields:
            self.fields["division"].empty_label = _("none: seen by everybody")

    def _get_validation_exclusions(self) -> set[str]:
        """The service writes the number in its one form, and says that it is taken, by a deleted shipment too."""
        return super()._get_validation_exclusions() | {"shipment_number"}


class EtaForm(VersionedForm):
    eta = forms.DateField(label=_("New ETA"), widget=DateInput({"autofocus": True}))
    reason = forms.CharField(
        label=_("Reason"),
        max_length=255,
        required=False,
        widget=forms.TextInput({"size": 60}),
        help_text=_("May stay empty; others will be glad of it."),
    )

    def facts(self) -> list[tuple[Any, Any]]:
        edits_left = MAX_ETA_EDITS - self.target.eta_edit_count
        sentence = gettext("%(left)d of %(most)d") % {"left": edits_left, "most": MAX_ETA_EDITS}
        return [
            (_("ETA until now"), self.target.eta),
            (_("Changes left"), sentence),
            *([(_("Reason of the last change"), self.target.eta_change_reason)] * bool(self.target.eta_change_reason)),
        ]


class ImportForm(VerbForm):
    file = forms.FileField(
        label=_("Workbook"),
        widget=forms.FileInput({"accept": ".xlsx,.xls,.xlsb,.ods,.csv"}),
    )
    sheet = forms.CharField(
        label=_("Sheet"), required=False, max_length=60, help_text=_("Empty: the first one that is a tracker.")
    )
    dry_run = forms.BooleanField(
        label=_("Only try it: show what would happen and write nothing"), required=False, initial=True
    )
    set_back = forms.BooleanField(
        label=_("Set back values that were replaced after this tracker was written"), required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["file"].help_text = format_html(
            '.xlsx, .xls, .xlsb, .ods, .csv. <a href="{}">{}</a> · <a href="{}">{}</a>',
            reverse("admin:shipments_shipment_blank"),
            gettext("Download an empty workbook to fill in"),
            reverse("admin:shipments_shipment_guide"),
            gettext("What is read, and what is refused"),
        )

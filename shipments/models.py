"""The shipment: what the supplier's papers say, when it arrives, what it costs to clear."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Self

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVector
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Lower, Round
from django.utils.translation import gettext_lazy as _

from accounts.models import Division, User
from audit.models import History
from clearance import text
from shipments.choices import QuantityUnit, Status, TransportMode

# Source: SOP step 1.5, funds requirement; 11 % of the invoice amount together.
CUSTOMS_DUTY = Decimal("0.05")
VAT = Decimal("0.05")
INSURANCE = Decimal("0.01")

_WORD = re.compile(r"[^\s'\\]+")  # of a search: what can stand between quotes

# Source: SOP, "ETA changes".
MAX_ETA_EDITS = 3


def _baisa(rate: Decimal) -> Round:
    """A share of the invoice amount; PostgreSQL rounds numerics half away from zero, which is half up for money."""
    return Round(F("invoice_amount_omr") * Value(rate), precision=3)


SEARCHED = SearchVector(
    "shipment_number",
    "principal",
    "brand",
    "supplier_invoice_number",
    "lc_number",
    "bl_number",
    "vessel",
    config="simple",
)


class ShipmentQuerySet(models.QuerySet["Shipment"]):
    def existing(self) -> Self:
        """Without the deleted ones."""
        return self.filter(deleted_at=None)

    def active(self) -> Self:
        return self.existing().filter(status=Status.ACTIVE)

    def uncleared(self) -> Self:
        """Active shipments with a critical step open: their goods haven't left the port."""
        return self.active().filter(cleared_on=None)

    def in_sight_of(self, user: User) -> Self:
        """What the person's divisions let them see, deleted ones included (C14)."""
        if not user.own_divisions:
            return self.all()
        return self.filter(Q(division=None) | Q(division__in=user.own_divisions))

    def visible_to(self, user: User) -> Self:
        return self.existing().in_sight_of(user)

    def matching(self, words: str) -> Self:
        """Where each of the words begins a word of the number, principal, brand, papers or vessel.

        A word is looked for as it is shown, and as a number that it may be.
        """
        lexemes = []
        for word in _WORD.findall(text.tidied(words)):
            either = dict.fromkeys([word, *_WORD.findall(text.number(word))])
            lexemes.append("(" + " | ".join(f"'{one}':*" for one in either) + ")")
        if not lexemes:
            return self
        query = SearchQuery(" & ".join(lexemes), search_type="raw", config="simple")
        return self.annotate(searched=SEARCHED).filter(searched=query)

    def numbered(self, number: str) -> Self:
        """The shipment of a number, in whatever way that is written."""
        return self.alias(number_key=Lower("shipment_number")).filter(number_key=text.key(text.number(number)))

    def locked(self) -> Self:
        """Take the row lock under which every verb of a shipment decides; steps are locked after it, never before."""
        return self.select_for_update(of=("self",), no_key=True)

    def in_demurrage(self, *, on: date) -> Self:
        """Uncleared active shipments past day 7."""
        return self.uncleared().filter(eta__lt=on - timedelta(days=7))


class Shipment(models.Model):
    """Goods of one supplier invoice on their way from the port to the store.

    Money is OMR with three decimals; duty, VAT, insurance and their sum are computed by the database.
    """

    shipment_number = models.CharField(_("shipment number"), max_length=50)
    division = models.ForeignKey(
        Division, on_delete=models.PROTECT, null=True, blank=True, related_name="shipments", verbose_name=_("division")
    )
    transport_mode = models.CharField(
        _("transport mode"), max_length=4, choices=TransportMode.choices, default=TransportMode.SEA
    )
    principal = models.CharField(_("principal"), max_length=120)
    brand = models.CharField(_("brand"), max_length=120)

    supplier_invoice_number = models.CharField(_("supplier invoice number"), max_length=60, blank=True)
    supplier_invoice_date = models.DateField(_("supplier invoice date"), null=True, blank=True)
    lc_number = models.CharField(
        _("LC number"), max_length=255, blank=True, help_text=_("Several numbers are separated by commas.")
    )
    lc_issuing_bank = models.CharField(_("LC issuing bank"), max_length=120, blank=True)

    invoice_amount_omr = models.DecimalField(
        _("invoice amount (OMR)"), max_digits=15, decimal_places=3, validators=[MinValueValidator(Decimal("0.001"))]
    )
    # A generated column can't use another, so the sum repeats the three expressions.
    customs_duty_omr = models.GeneratedField(
        expression=_baisa(CUSTOMS_DUTY),
        output_field=models.DecimalField(max_digits=15, decimal_places=3),
        db_persist=True,
        verbose_name=_("customs duty (OMR)"),
    )
    vat_omr = models.GeneratedField(
        expression=_baisa(VAT),
        output_field=models.DecimalField(max_digits=15, decimal_places=3),
        db_persist=True,
        verbose_name=_("VAT (OMR)"),
    )
    insurance_omr = models.GeneratedField(
        expression=_baisa(INSURANCE),
        output_field=models.DecimalField(max_digits=15, decimal_places=3),
        db_persist=True,
        verbose_name=_("insurance (OMR)"),
    )
    funds_required_omr = models.GeneratedField(
        expression=_baisa(CUSTOMS_DUTY) + _baisa(VAT) + _baisa(INSURANCE),
        output_field=models.DecimalField(max_digits=15, decimal_places=3),
        db_persist=True,
        verbose_name=_("funds required (OMR)"),
    )

    bl_number = models.CharField(_("bill of lading number"), max_length=60, blank=True)
    vessel = models.CharField(_("vessel"), max_length=120, blank=True)
    port_of_loading = models.CharField(_("port of loading"), max_length=120, blank=True)
    port_of_discharge = models.CharField(_("port of discharge"), max_length=120, blank=True)
    sail_date = models.DateField(_("sail date"), null=True, blank=True)
    container_count = models.PositiveSmallIntegerField(
        _("containers"), null=True, blank=True, help_text=_("Empty: not known yet.")
    )
    quantity = models.DecimalField(_("quantity"), max_digits=14, decimal_places=3, null=True, blank=True)
    quantity_unit = models.CharField(_("unit"), max_length=8, choices=QuantityUnit.choices, blank=True)

    eta = models.DateField(_("ETA"))
    ata = models.DateField(_("actual arrival"), null=True, blank=True)
    eta_edit_count = models.PositiveSmallIntegerField(_("ETA changes"), default=0)
    eta_change_reason = models.CharField(_("reason of the last ETA change"), max_length=255, blank=True)

    status = models.CharField(_("status"), max_length=9, choices=Status.choices, default=Status.ACTIVE)
    cancel_reason = models.CharField(_("reason of the cancellation"), max_length=255, blank=True)
    cleared_on = models.DateField(_("cleared on"), null=True, blank=True)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("registered by"),
        db_index=False,
    )
    created_at = models.DateTimeField(_("registered at"))
    updated_at = models.DateTimeField(_("updated at"))
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True)
    version = models.PositiveIntegerField(_("version"), default=1)

    objects = ShipmentQuerySet.as_manager()
    history = History()

    class Meta:
        ordering = ("eta", "id")
        verbose_name = _("shipment")
        verbose_name_plural = _("shipments")
        permissions = [
            ("change_eta", "Can change the ETA"),
            ("cancel_shipment", "Can cancel a shipment"),
            ("restore_shipment", "Can restore a cancelled or deleted shipment"),
            ("import_shipment", "Can import a tracker workbook"),
        ]
        indexes = [
            models.Index("eta", "id", name="shipment_eta", condition=Q(deleted_at=None)),
            models.Index("shipment_number", name="shipment_by_number"),
            models.Index("status", "eta", "id", name="shipment_status_eta", condition=Q(deleted_at=None)),
            GinIndex(SEARCHED, name="shipment_searched"),
        ]
        constraints = [
            models.UniqueConstraint(
                Lower("shipment_number"),
                name="shipment_number_is_unique",
                violation_error_message=_("The shipment number is already used."),
            ),
            models.CheckConstraint(
                name="shipment_number_is_in_its_one_form",
                condition=~Q(shipment_number__regex=text.NO_NUMBER),
                violation_error_message=_(
                    "A shipment number has ASCII digits and hyphens, and single blanks between its words."
                ),
            ),
            text.one_line(
                "shipment_texts_are_of_one_line",
                "shipment_number",
                "principal",
                "brand",
                "supplier_invoice_number",
                "lc_number",
                "lc_issuing_bank",
                "bl_number",
                "vessel",
                "port_of_loading",
                "port_of_discharge",
                "eta_change_reason",
                "cancel_reason",
            ),
            models.CheckConstraint(
                name="shipment_invoice_amount_is_positive",
                condition=Q(invoice_amount_omr__gt=0),
                violation_error_message=_("The invoice amount is greater than zero."),
            ),
            models.CheckConstraint(
                name="shipment_quantity_is_positive",
                condition=Q(quantity=None) | Q(quantity__gt=0),
                violation_error_message=_("The quantity is greater than zero; leave it empty while it is not known."),
            ),
            models.CheckConstraint(
                name="shipment_container_count_is_positive",
                condition=Q(container_count=None) | Q(container_count__gt=0),
                violation_error_message=_("There is at least one container; leave it empty while it is not known."),
            ),
            models.CheckConstraint(
                name="shipment_has_its_essentials",
                condition=~Q(shipment_number="") & ~Q(principal="") & ~Q(brand=""),
                violation_error_message=_("Shipment number, principal and brand are required."),
            ),
            models.CheckConstraint(
                name="shipment_eta_is_edited_three_times_at_most",
                condition=Q(eta_edit_count__lte=MAX_ETA_EDITS),
                violation_error_message=_("An ETA is changed three times at most."),
            ),
            models.CheckConstraint(
                name="shipment_status_is_known",
                condition=Q(status__in=Status.values),
                violation_error_message=_("A shipment is active, completed or cancelled."),
            ),
            models.CheckConstraint(
                name="shipment_transport_mode_is_known",
                condition=Q(transport_mode__in=TransportMode.values),
                violation_error_message=_("The transport mode is sea, air or land."),
            ),
            models.CheckConstraint(
                name="shipment_quantity_unit_is_known",
                condition=Q(quantity_unit__in=["", *QuantityUnit.values]),
                violation_error_message=_("The unit is vehicles, tyres, parts or units."),
            ),
        ]

    def __str__(self) -> str:
        return self.shipment_number

    def days_since_eta(self, *, on: date) -> int:
        """Days after the ETA; negative before it."""
        return (on - self.eta).days

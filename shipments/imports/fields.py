"""The columns of a tracker that aren't steps: what each means, how it is read, and what people call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from shipments.imports import cells
from shipments.imports.cells import Parser

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

MAX_LENGTHS = {
    "shipment_number": 50,
    "division": 120,
    "principal": 120,
    "brand": 120,
    "supplier_invoice_number": 60,
    "lc_number": 255,
    "lc_issuing_bank": 120,
    "bl_number": 60,
    "vessel": 120,
    "port_of_loading": 120,
    "port_of_discharge": 120,
}


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the tracker that isn't a step: `also` are further headings for it, separated by semicolons."""

    name: str
    heading: str
    parse: Parser | None  # none: dates, whose parser is made when the whole column has been seen
    meaning: StrPromise
    formats: StrPromise
    also: str = ""
    is_required: bool = False
    options: tuple[str, ...] = ()
    years_ahead: int = 0  # of a date: how far it may lie before us

    @property
    def is_date(self) -> bool:
        return self.parse is None

    @property
    def is_figure(self) -> bool:
        return self.parse in (cells.parse_amount, cells.parse_quantity, cells.parse_count)


def _text(name: str, *, code: bool = False) -> Parser:
    return cells.text_parser(MAX_LENGTHS[name], code=code)


_TEXT = _("Text")
_CODE = _("Text; format the column as text so that Excel keeps every digit")
DATE_FORMATS = _("A date, or day/month/year: 03/12/2026, 3 Dec 2026, 2026-12-03")

FIELDS = (
    Field(
        "shipment_number",
        "Shipment number",
        _text("shipment_number", code=True),
        _("Your number of the shipment; a number that exists already updates that shipment"),
        _CODE,
        "shipment; shipment no; shipment nr; shipment id; shipment ref; shipment ref no; shipment reference; "
        "shipment reference no; shpt no; shp no; ref; ref no; reference; reference no; our ref; file no; file ref; "
        "رقم الشحنة; الشحنة; رقم المرجع; المرجع",
        is_required=True,
    ),
    Field(
        "division",
        "Division",
        _text("division"),
        _("The division that imports the goods"),
        _("One of the list"),
        "business division; div; القسم; الشعبة; قسم",
    ),
    Field(
        "transport_mode",
        "Transport mode",
        cells.choice_parser(cells.MODES),
        _("How the goods travel"),
        _("sea, air or land"),
        "mode; mode of transport; transport; shipment mode; shipping mode; mode of shipment; sea/air; sea/air/land; "
        "طريقة النقل; وسيلة النقل; طريقة الشحن; نوع الشحن",
        options=tuple(cells.MODES),
    ),
    Field(
        "principal",
        "Principal",
        _text("principal"),
        _("The supplier that the group represents"),
        _TEXT,
        "principal name; supplier; supplier name; shipper; vendor; manufacturer; المورد; اسم المورد; الموكل; المورّد",
        is_required=True,
    ),
    Field(
        "brand",
        "Brand",
        _text("brand"),
        _("Brand or brands of the goods"),
        _TEXT,
        "brands; brand name; make; العلامة التجارية; الماركة; العلامة",
        is_required=True,
    ),
    Field(
        "supplier_invoice_number",
        "Supplier invoice number",
        _text("supplier_invoice_number", code=True),
        _("Number on the supplier's commercial invoice"),
        _CODE,
        "supplier invoice; supplier invoice no; supplier inv no; invoice number; invoice no; inv no; inv; "
        "invoice; commercial invoice no; commercial invoice number; رقم الفاتورة; رقم فاتورة المورد",
    ),
    Field(
        "supplier_invoice_date",
        "Supplier invoice date",
        None,
        _("Date on the supplier's commercial invoice"),
        DATE_FORMATS,
        "invoice date; inv date; supplier inv date; date of invoice; commercial invoice date; "
        "تاريخ الفاتورة; تاريخ فاتورة المورد",
    ),
    Field(
        "lc_number",
        "LC number",
        cells.lc_parser(MAX_LENGTHS["lc_number"]),
        _("Letter of credit number; several are separated by commas"),
        _CODE,
        "lc no; lc; lc ref; lc reference; lc nos; lc numbers; letter of credit; letter of credit no; "
        "letter of credit number; رقم الاعتماد; رقم الاعتماد المستندي; الاعتماد المستندي; رقم خطاب الاعتماد",
    ),
    Field(
        "lc_issuing_bank",
        "LC issuing bank",
        _text("lc_issuing_bank"),
        _("The bank that issued the letter of credit"),
        _TEXT,
        "lc bank; issuing bank; bank; bank name; lc opening bank; "
        "البنك; البنك المصدر; بنك الاعتماد; البنك فاتح الاعتماد",
    ),
    Field(
        "invoice_amount_omr",
        "Invoice amount (OMR)",
        cells.parse_amount,
        _("Invoice amount as its equivalent in Omani rials"),
        _("A number with at most three decimals: 12345.500 or OMR 12,345.500"),
        "invoice amount; supplier invoice amount; inv amount; inv amount omr; inv amt; inv amt omr; invoice amt; "
        "invoice amt omr; "
        "invoice value; invoice value omr; inv value; inv value omr; amount omr; amount in omr; invoice amount in omr; "
        "amount; value omr; omr amount; omr value; invoice amount ro; amount ro; "
        "مبلغ الفاتورة; قيمة الفاتورة; المبلغ; مبلغ الفاتورة بالريال العماني; قيمة الفاتورة ر.ع; المبلغ ر.ع",
        is_required=True,
    ),
    Field(
        "bl_number",
        "B/L number",
        _text("bl_number", code=True),
        _("Number of the bill of lading or air waybill"),
        _CODE,
        "bl no; bl; bl nr; b/l ref; bill of lading; bill of lading no; bill of lading number; bl awb no; "
        "bl awb number; bl/awb; awb no; awb number; awb; رقم البوليصة; بوليصة الشحن; رقم بوليصة الشحن",
    ),
    Field(
        "vessel",
        "Vessel",
        _text("vessel"),
        _("Name of the vessel, or the flight"),
        _TEXT,
        "vessel name; ship; ship name; vessel/flight; vessel voyage; vessel name voyage; "
        "السفينة; اسم السفينة; الباخرة; اسم الباخرة",
    ),
    Field(
        "port_of_loading",
        "Port of loading",
        _text("port_of_loading"),
        _("Where the goods were loaded"),
        _TEXT,
        "pol; loading port; load port; origin port; port of origin; ميناء الشحن; ميناء التحميل",
    ),
    Field(
        "port_of_discharge",
        "Port of discharge",
        _text("port_of_discharge"),
        _("Where the goods arrive"),
        _TEXT,
        "pod; discharge port; port of destination; destination port; arrival port; ميناء التفريغ; ميناء الوصول",
    ),
    Field(
        "sail_date",
        "Sail date",
        None,
        _("The date the vessel sailed"),
        DATE_FORMATS,
        "sailing date; sailed on; date of sailing; departure date; atd; shipped on board; shipped on board date; "
        "actual departure; actual sailing; تاريخ الإبحار; تاريخ المغادرة",
        years_ahead=1,
    ),
    Field(
        "container_count",
        "Containers",
        cells.parse_count,
        _("How many containers; empty if unknown"),
        _("A whole number from 1 to 9,999"),
        "no of containers; number of containers; container count; containers count; container qty; containers qty; "
        "no of cntrs; nos of containers; qty of containers; total containers; no of container; "
        "عدد الحاويات; الحاويات",
    ),
    Field(
        "quantity",
        "Quantity",
        cells.parse_quantity,
        _("Quantity of the goods"),
        _("A number, without its unit"),
        "qty; qnty; quantities; total qty; total quantity; الكمية; كمية",
    ),
    Field(
        "quantity_unit",
        "Unit",
        cells.choice_parser(cells.UNITS),
        _("What the quantity counts"),
        _("vehicles, tyres, parts or units"),
        "quantity unit; qty unit; uom; unit of measure; الوحدة; وحدة القياس; وحدة",
        options=tuple(cells.UNITS),
    ),
    Field(
        "eta",
        "ETA",
        None,
        _("Expected date of arrival; every step is planned from it"),
        DATE_FORMATS,
        "eta date; eta port; eta sohar; expected arrival; expected arrival date; estimated arrival; "
        "estimated arrival date; expected time of arrival; estimated time of arrival; date of arrival eta; "
        "تاريخ الوصول المتوقع; موعد الوصول المتوقع; الوصول المتوقع",
        is_required=True,
        years_ahead=2,
    ),
    Field(
        "ata",
        "ATA",
        None,
        _("Actual date of arrival"),
        DATE_FORMATS,
        "ata date; actual arrival; actual arrival date; actual time of arrival; arrived on; "
        "تاريخ الوصول الفعلي; الوصول الفعلي",
    ),
)

# Columns that aren't stored, but say what becomes of the row.
CURRENCY = Field(
    "currency",
    "Currency",
    cells.check_currency,
    _("The currency of the invoice amount; any other than OMR fails the row"),
    _("OMR"),
    "curr; cur; ccy; currency code; currency type; invoice currency; inv currency; inv curr; inv cur; amount currency; "
    "currency of invoice; invoice amount currency; invoice ccy; "
    "العملة; عملة; رمز العملة; عملة الفاتورة; نوع العملة; عملة المبلغ",
)
STATUS = Field(
    "status",
    "Status",
    cells.check_status,
    _("Read only for the word “cancelled”, which fails the row"),
    _TEXT,
    "shipment status; current status; overall status; state; status of shipment; الحالة; حالة الشحنة; حالة",
)
CANCELLED = Field(
    "cancelled",
    "Cancelled",
    cells.check_cancelled,
    _("Anything here, except a no, fails the row"),
    _TEXT,
    "canceled; is cancelled; cancellation; cancelled on; cancellation date; date cancelled; cancelled shipment; "
    "ملغاة; ملغى; ملغي; إلغاء; تاريخ الإلغاء",
)
CHECKS = (CURRENCY, STATUS, CANCELLED)

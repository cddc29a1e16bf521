"""The back office for the trail: search and export it, see what proves it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from accounts.models import User
from audit import selectors, wording
from audit.choices import Action
from audit.exports import FORMATS, download, evidence_pack
from audit.models import AuditEntry, Seal
from clearance.admin.desk import ReadOnlyDesk, SoundAdmin
from clearance.admin.display import pill
from clearance.admin.verbs import Button, DateInput
from clearance.clock import day_of
from clearance.errors import DomainError
from shipments.models import Shipment


# Filters -------------------------------------------------------------------------------------------------------------
class KindFilter(admin.SimpleListFilter):
    title = _("kind of record")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return sorted(((kind, capfirst(wording.kind_of(kind))) for kind in selectors.KINDS), key=lambda one: one[1])

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(entity_type=self.value()) if self.value() else queryset


class PersonFilter(admin.SimpleListFilter):
    """Everybody who has an account; who acted is not asked of millions of entries."""

    title = _("person")
    parameter_name = "person"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        people = User.objects.order_by("full_name").values_list("pk", "full_name")
        return [("none", _("The system")), *((str(pk), name) for pk, name in people)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "none":
            return queryset.filter(user=None)
        return queryset.filter(user=int(self.value())) if (self.value() or "").isdecimal() else queryset


class DaysForm(forms.Form):
    since = forms.DateField(label=_("From"), required=False, widget=DateInput)
    until = forms.DateField(label=_("Until"), required=False, widget=DateInput)


class DaysFilter(admin.ListFilter):
    """From a day until a day in Muscat, both included; the last days at a click."""

    title = _("days")
    template = "admin/audit/days.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.used_parameters = {name: params.pop(name)[-1] for name in self.expected_parameters() if name in params}
        self.form = DaysForm(self.used_parameters)
        if not self.form.is_valid():
            raise IncorrectLookupParameters

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str]:
        return ["since", "until"]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return selectors.between(queryset, **self.form.cleaned_data)

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """The menu's lines; the template adds the form to the first, which stands for whatever else is chosen."""
        today, given = day_of(timezone.now()), self.form.cleaned_data
        found = False
        for since, title in (
            (None, _("All")),
            (today, _("Today")),
            (today - timedelta(days=6), _("Seven days")),
            (today - timedelta(days=29), _("Thirty days")),
        ):
            is_chosen = (given["since"], given["until"]) == (since, None)
            found = found or is_chosen
            wanted = {"since": since.isoformat()} if since else {}
            query = changelist.get_query_string(wanted, remove=self.expected_parameters())
            yield {"selected": is_chosen, "query_string": query, "display": title}
        yield {
            "selected": not found,
            "display": f"{_day(given['since'])} – {_day(given['until'])}",
            "form": self.form,
            "kept": [
                (name, value)
                for name, values in changelist.filter_params.items()
                for value in values
                if name not in self.expected_parameters()
            ]
            + ([("q", changelist.query)] if changelist.query else []),
        }


def _day(on: date | None) -> str:
    return date_format(on) if on else "…"


# The trail -----------------------------------------------------------------------------------------------------------
@admin.register(AuditEntry)
class EntryAdmin(ReadOnlyDesk):
    """Entries are written by the database alone; here one finds them."""

    list_display = ("when", "who", "what", "from_where", "why")
    list_display_links = ("when",)
    list_filter = (DaysFilter, KindFilter, PersonFilter, "action", "channel")
    search_fields = ("request_id",)
    search_help_text = _("A shipment’s number, for all that lies under it; or the id of a request.")
    sortable_by = ()
    ordering = ("-at", "-id")
    when_empty = _("The trail is empty: nothing has happened yet.")
    change_list_template = "admin/audit/auditentry/change_list.html"
    change_form_template = "admin/audit/auditentry/change_form.html"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        words = search_term.strip()
        if not words:
            return queryset, False
        shipment = Shipment.objects.numbered(words).order_by().first()
        if shipment:
            return queryset.filter(selectors.lies_under_shipment(shipment.pk)), False
        return queryset.filter(request_id=words), False

    def prepare(self, rows: list[AuditEntry], request: HttpRequest) -> None:
        for told in wording.tell(rows):
            told.entry.told = told

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        query = request.GET.urlencode()
        exports = [
            Button(label, f"{reverse('admin:audit_auditentry_export', args=[kind])}?{query}", False)
            for kind, label in EXPORTS.items()
        ]
        return super().changelist_view(request, {"exports": exports, **(extra_context or {})})

    # The list --------------------------------------------------------------------------------------------------------
    @admin.display(description=_("when"))
    def when(self, entry: AuditEntry) -> SafeString:
        return format_html('<span class="number">{}</span>', _moment(entry.at))

    @admin.display(description=_("who"))
    def who(self, entry: AuditEntry) -> SafeString:
        absent = entry.on_behalf_of
        behalf = gettext("on behalf of %(name)s") % {"name": absent} if absent else ""
        below = format_html_join(
            "", '<span class="aside below">{}</span>', ((one,) for one in (entry.told.role, behalf) if one)
        )
        return format_html("<bdi>{}</bdi> {}", entry.told.who, below)

    @admin.display(description=_("what"))
    def what(self, entry: AuditEntry) -> SafeString:
        sentences = format_html_join("", "<li>{}</li>", ((sentence,) for sentence in entry.told.what))
        return format_html('{} <ul class="told">{}</ul>', _record(entry.told), sentences)

    @admin.display(description=_("from where"))
    def from_where(self, entry: AuditEntry) -> SafeString:
        return format_html(
            '{} <span class="aside below"><bdi>{}</bdi></span>', entry.told.where, entry.ip_address or ""
        )

    @admin.display(description=_("reason"))
    def why(self, entry: AuditEntry) -> SafeString:
        return format_html("<bdi>{}</bdi>", entry.reason)

    # The page --------------------------------------------------------------------------------------------------------
    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        (told,) = wording.tell([obj])
        page = super().render_change_form(request, context, *args, obj=obj, **kwargs)
        page.context_data |= {
            "title": gettext("Entry %(number)s of the trail") % {"number": obj.pk},
            "told": told,
            "record": _record(told),
            "pill": pill(Action(obj.action)),
            "seal": selectors.seal_of(obj),
            "same_request": f"{reverse('admin:audit_auditentry_changelist')}?{_request(obj)}",
        }
        return page

    # Files -----------------------------------------------------------------------------------------------------------
    def get_urls(self) -> list[Any]:
        export = self.admin_site.admin_view(self.export)
        evidence = self.admin_site.admin_view(self.evidence)
        return [
            path("export/<slug:kind>/", export, name="audit_auditentry_export"),
            path("evidence/<int:shipment_id>/", evidence, name="audit_auditentry_evidence"),
            *super().get_urls(),
        ]

    def evidence(self, request: HttpRequest, shipment_id: int) -> HttpResponse:
        """The evidence pack of a shipment, deleted ones too."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return evidence_pack(get_object_or_404(Shipment, pk=shipment_id), at=timezone.now())

    def export(self, request: HttpRequest, kind: str) -> HttpResponse:
        """What the list shows with these filters, all of its pages, as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if kind not in FORMATS:
            raise Http404
        back = reverse("admin:audit_auditentry_changelist")
        try:
            return download(self.get_changelist_instance(request).queryset, format=kind)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{back}?{ERROR_FLAG}=1")
        except DomainError as refusal:
            self.message_user(request, str(refusal), level="ERROR")
            return HttpResponseRedirect(f"{back}?{request.GET.urlencode()}")


EXPORTS = {"csv": "CSV", "xlsx": "XLSX", "zip": _("With proofs (zip)")}


def _request(entry: AuditEntry) -> str:
    """The search for what else a request did; within its day, so that an index serves it."""
    day = day_of(entry.at).isoformat()
    return urlencode({"q": entry.request_id, "since": day, "until": day})


def _record(told: wording.Told) -> SafeString:
    """The kind and name of the record that an entry is about, with a link to its page where it has one."""
    meta = model._meta if (model := wording.model_of(told.entry.entity_type)) else None
    label = format_html("{} <bdi>{}</bdi>", capfirst(told.kind), told.name)
    if meta is None or not told.is_there:
        return label
    try:
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_history", args=[told.entry.entity_id])
    except NoReverseMatch:
        return label
    return format_html('<a href="{}">{}</a>', url, label)


def _moment(at: Any) -> str:
    return date_format(timezone.localtime(at), "j M Y, H:i:s")


# The seals -----------------------------------------------------------------------------------------------------------
@admin.register(Seal)
class SealAdmin(ReadOnlyDesk):
    """Seals are made by a job every minute; here one compares the newest with the mailed anchor."""

    list_display = ("number", "sealed", "entry_count", "highest_id", "hash_told")
    sortable_by = ()
    ordering = ("-number",)
    when_empty = _("Nothing is sealed yet. The job that seals runs every minute; “manage.py seal_audit” does it now.")
    change_list_template = "admin/audit/seal/change_list.html"
    fields = ("number", "sealed", "entry_count", "ranges_told", "highest_id", "root", "previous_hash", "seal_hash")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        at = timezone.now()
        state = selectors.state(at=at)
        context = {"state": state, "notices": [_behind(state)] if state.is_behind else []}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    @admin.display(description=_("sealed at"))
    def sealed(self, seal: Seal) -> SafeString:
        return format_html('<span class="number">{}</span>', _moment(seal.sealed_at))

    @admin.display(description=_("hash"))
    def hash_told(self, seal: Seal) -> SafeString:
        return format_html('<code title="{}">{}…</code>', seal.seal_hash, seal.seal_hash[:16])

    @admin.display(description=_("entries"))
    def ranges_told(self, seal: Seal) -> str:
        return ", ".join(f"{low}–{high}" if low != high else str(low) for low, high in seal.ranges)


def _behind(state: selectors.State) -> dict[str, Any]:
    """What to know while the sealing is late."""
    sentence = ngettext(
        "%(count)d entry has waited for its seal since %(at)s.",
        "%(count)d entries have waited for their seal since %(at)s.",
        state.waiting,
    )
    return {
        "text": sentence % {"count": state.waiting, "at": _moment(state.waiting_since)},
        "advice": gettext("See that the worker and the scheduler run; “manage.py seal_audit” seals now."),
        "buttons": (),
    }


# The schedules -------------------------------------------------------------------------------------------------------
def _make_sound(model: Any) -> None:
    """Make an admin that isn't ours sound; its records have the history page that all others have."""
    stock = type(admin.site.get_model_admin(model))
    admin.site.unregister(model)
    admin.site.register(model, type(stock.__name__, (SoundAdmin, stock), {}))


for schedule in (PeriodicTask, CrontabSchedule, IntervalSchedule, SolarSchedule, ClockedSchedule):
    _make_sound(schedule)

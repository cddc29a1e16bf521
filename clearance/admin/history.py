"""The history of every record, told from the trail: who, when, what, in words; and how a record was at a time."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _

from audit import selectors as trail
from audit import wording
from audit.choices import Action
from audit.models import AuditEntry
from audit.wording import Row
from clearance.admin.lists import CappedPaginator, PlainList
from clearance.admin.numbers import Amount, Whole

ENTRIES_PER_PAGE = 200  # folded, they are a screen or two
READS_TRAIL = "audit.view_auditentry"


class HistoryMixin(admin.ModelAdmin):
    """What every admin has: history pages, a list that no address breaks, and numbers that are written plainly.

    Whoever sees a record sees its history; what was denied, those who oversee.
    """

    def trail_beneath(self, request: HttpRequest, record: Any) -> QuerySet[AuditEntry] | None:
        """The trail of a record with all that belongs to it, where something does."""
        return None

    def history_elsewhere(self, object_id: str) -> str:
        """The page of a record's history that isn't shown here; empty: it is."""
        return ""

    def log_addition(self, *args: Any) -> None:
        """The audit trail remembers; a second log beside it would only disagree."""

    log_change = log_deletions = log_addition

    formfield_overrides = {
        models.IntegerField: {"form_class": Whole},
        models.BigIntegerField: {"form_class": Whole},
        models.DecimalField: {"form_class": Amount},
    }

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PlainList

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_snapshot"
        view = self.admin_site.admin_view(self.snapshot_view)
        return [path("<path:object_id>/history/<int:entry_id>/", view, name=name), *super().get_urls()]

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The entries of a record, the newest first; `alone` leaves out what lies beneath it."""
        if elsewhere := self.history_elsewhere(object_id):
            return HttpResponseRedirect(elsewhere)
        record = self._seen(request, object_id)
        beneath = self.trail_beneath(request, record)
        is_alone = "alone" in request.GET
        entries = trail.about(record) if beneath is None or is_alone else beneath
        if not request.user.has_perm(READS_TRAIL):
            entries = entries.exclude(action=Action.DENIED)
        page = CappedPaginator(entries, ENTRIES_PER_PAGE).get_page(request.GET.get(PAGE_VAR))
        rows = wording.fold(wording.tell(list(page.object_list)))
        return self._page(
            request,
            "admin/history.html",
            record,
            title=_("History of %(record)s") % {"record": wording.isolated(record)},
            page=page,
            page_range=page.paginator.get_elided_page_range(page.number),
            rows=[self._row(row, record) for row in rows],
            has_beneath=beneath is not None,
            is_alone=is_alone,
            shows_origin=request.user.has_perm(READS_TRAIL),
            **(extra_context or {}),
        )

    def snapshot_view(self, request: HttpRequest, object_id: str, entry_id: int) -> HttpResponse:
        """A record as it was after one of its entries, by its history model."""
        record = self._seen(request, object_id)
        entry = trail.about(record).exclude(action=Action.DENIED).filter(pk=entry_id).first()
        if entry is None or not _has_snapshots(self.model):
            raise Http404
        (told,) = wording.tell([entry])
        return self._page(
            request,
            "admin/snapshot.html",
            record,
            title=_("%(record)s as it was") % {"record": wording.isolated(record)},
            told=told,
            values=wording.tell_record(record.history.as_of(entry.at)),
            changed=set(entry.changes) if entry.action == Action.CHANGED else set(),
            shows_origin=request.user.has_perm(READS_TRAIL),
        )

    def _seen(self, request: HttpRequest, object_id: str) -> Any:
        """:raises Http404: there is no such record in sight. :raises PermissionDenied: not for this person."""
        record = self.get_object(request, unquote(object_id))
        if not self.has_view_or_change_permission(request, record):
            raise PermissionDenied
        if record is None:
            raise Http404
        return record

    def _page(self, request: HttpRequest, template: str, record: Model, **context: Any) -> HttpResponse:
        request.current_app = self.admin_site.name
        common = {"opts": self.opts, "object": record, "media": self.media, "subtitle": None}
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **common, **context})

    def _row(self, row: Row, record: Model) -> dict[str, Any]:
        entry = row.first.entry
        return {
            "told": row.first,
            "summary": row.summary,
            "is_own": (entry.entity_type, entry.entity_id) == (trail.label_of(type(record)), str(record.pk)),
            "snapshot": self._snapshot_url(entry),
            "several": [(one, self._snapshot_url(one.entry)) for one in row.several],
        }

    def _snapshot_url(self, entry: AuditEntry) -> str:
        """Where to see the record after this entry; empty where no snapshots are kept."""
        model = wording.model_of(entry.entity_type)
        if entry.action == Action.DENIED or not _has_snapshots(model) or not self.admin_site.is_registered(model):
            return ""
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_snapshot"
        return reverse(name, args=[entry.entity_id, entry.pk])


def _has_snapshots(model: Any) -> bool:
    return hasattr(model, "_meta") and hasattr(model._meta, "simple_history_manager_attribute")

"""The history of every record, told from the trail: who, when, what, in words; and how a record was at a time."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from audit import selectors as trail
from audit import wording
from audit.choices import Action
from audit.models import AuditEntry
from audit.wording import Row
from clearance import denials
from clearance.admin.lists import CappedPaginator
from clearance.admin.pages import page_context

ENTRIES_PER_PAGE = 200  # folded, they are a screen or two
READS_TRAIL = "audit.view_auditentry"


def history(request: HttpRequest, app_label: str, model_name: str, object_id: str) -> HttpResponse:
    """The entries of a record, the newest first; `alone` leaves out what lies beneath it.

    Whoever sees a record sees its history; what was denied, those who oversee.
    """
    desk = _desk_of(app_label, model_name)
    if elsewhere := getattr(desk, "history_elsewhere", _here)(object_id):
        return HttpResponseRedirect(elsewhere)
    record = _seen(desk, request, object_id)
    has_beneath, is_alone = hasattr(desk, "trail_beneath"), "alone" in request.GET
    entries = desk.trail_beneath(request, record) if has_beneath and not is_alone else trail.about(record)
    if not request.user.has_perm(READS_TRAIL):
        entries = entries.exclude(action=Action.DENIED)
    page = CappedPaginator(entries, ENTRIES_PER_PAGE).get_page(request.GET.get(PAGE_VAR))
    rows = wording.fold(wording.tell(list(page.object_list)))
    return _page(
        request,
        "admin/history.html",
        desk,
        record,
        title=_("History of %(record)s") % {"record": wording.isolated(record)},
        page=page,
        page_range=page.paginator.get_elided_page_range(page.number),
        rows=[_shown(row, record) for row in rows],
        has_beneath=has_beneath,
        is_alone=is_alone,
    )


def snapshot(request: HttpRequest, app_label: str, model_name: str, object_id: str, entry_id: int) -> HttpResponse:
    """A record as it was after one of its entries, by its history model."""
    desk = _desk_of(app_label, model_name)
    record = _seen(desk, request, object_id)
    entry = trail.about(record).exclude(action=Action.DENIED).filter(pk=entry_id).first()
    if entry is None or not _has_snapshots(desk.model):
        raise Http404
    (told,) = wording.tell([entry])
    return _page(
        request,
        "admin/snapshot.html",
        desk,
        record,
        title=_("%(record)s as it was") % {"record": wording.isolated(record)},
        told=told,
        values=wording.tell_record(record.history.as_of(entry.at)),
        changed=set(entry.changes) if entry.action == Action.CHANGED else set(),
    )


def _here(_object_id: str) -> str:
    return ""


def _desk_of(app_label: str, model_name: str) -> admin.ModelAdmin:
    """:raises Http404: there are no such records in the back office."""
    try:
        model = apps.get_model(app_label, model_name)
    except LookupError as error:
        raise Http404 from error
    if not admin.site.is_registered(model):
        raise Http404
    return admin.site.get_model_admin(model)


def _seen(desk: admin.ModelAdmin, request: HttpRequest, object_id: str) -> Any:
    """:raises Http404: there is no such record in sight. :raises PermissionDenied: not for this person."""
    record = desk.get_object(request, unquote(object_id))
    if not desk.has_view_or_change_permission(request, record):
        raise PermissionDenied
    if record is None:
        raise Http404
    return record


def _page(
    request: HttpRequest, template: str, desk: admin.ModelAdmin, record: Model, *, title: str, **context: Any
) -> HttpResponse:
    request.current_app = admin.site.name
    common = {"opts": desk.opts, "object": record, "media": desk.media}
    common["shows_origin"] = request.user.has_perm(READS_TRAIL)
    return TemplateResponse(request, template, page_context(request, title, **common, **context))


def _shown(row: Row, record: Model) -> dict[str, Any]:
    entry = row.first.entry
    return {
        "told": row.first,
        "summary": row.summary,
        "is_own": (entry.entity_type, entry.entity_id) == (denials.label_of(type(record)), str(record.pk)),
        "snapshot": _snapshot_url(entry),
        "several": [(one, _snapshot_url(one.entry)) for one in row.several],
    }


def _snapshot_url(entry: AuditEntry) -> str:
    """Where to see the record after this entry; empty where no snapshots are kept."""
    model = wording.model_of(entry.entity_type)
    if entry.action == Action.DENIED or not _has_snapshots(model) or not admin.site.is_registered(model):
        return ""
    return reverse("admin:snapshot", args=[model._meta.app_label, model._meta.model_name, entry.entity_id, entry.pk])


def _has_snapshots(model: Any) -> bool:
    return hasattr(model, "_meta") and hasattr(model._meta, "simple_history_manager_attribute")

"""The admin site: its name, its frame, and the pages that apps bring."""

from __future__ import annotations

from functools import update_wrapper
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from clearance.admin.pages import Page
from clearance.admin.today import today
from clearance.clock import day_of
from clearance.rooms import rooms


class ClearanceSite(admin.AdminSite):
    """Everybody starts with what waits for them."""

    site_header = _("Clearance")
    site_title = _("Clearance")
    index_title = _("Today")
    index_template = "admin/today.html"
    logout_template = "admin/logged_out.html"
    password_change_done_template = "admin/own_password_changed.html"  # noqa: S105 - a page
    site_url = None
    enable_nav_sidebar = True

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = today(request, on=day_of(timezone.now()))
        return super().index(request, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        """The addresses that apps bring, which may take the place of the stock ones, then those."""
        brought = (page for room in rooms("pages") for page in getattr(room, "PAGES", ()))
        return [*(path(page.route, self._mounted(page), name=page.name) for page in brought), *super().get_urls()]

    def _mounted(self, page: Page) -> Any:
        return never_cache(login_not_required(page.view)) if page.is_open else self.admin_view(page.view)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """A page for people who work here; a guard may have something else for them to do first."""
        page = super().admin_view(view, cacheable)

        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if self.has_permission(request):
                for guard in (guard for room in rooms("pages") for guard in getattr(room, "GUARDS", ())):
                    if (answer := guard(request)) is not None:
                        return answer
            return page(request, *args, **kwargs)

        return update_wrapper(inner, page)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Sign out; the browser forgets the pages that it has kept."""
        response = super().logout(request, extra_context)
        response["Clear-Site-Data"] = '"cache", "storage"'
        return response

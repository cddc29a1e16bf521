"""The admin site: its name, and its first page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from accounts import services as accounts
from accounts.choices import Language
from clearance.admin.today import today
from clearance.clock import day_of


class ClearanceSite(admin.AdminSite):
    """People sign in with their e-mail address and start with what waits for them."""

    site_header = _("Clearance")
    site_title = _("Clearance")
    index_title = _("Today")
    index_template = "admin/today.html"
    site_url = None
    enable_nav_sidebar = True

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = today(self, request, on=day_of(timezone.now()))
        return super().index(request, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        return [path("language/", self.admin_view(self.choose_language), name="language"), *super().get_urls()]

    @staticmethod
    def choose_language(request: HttpRequest) -> HttpResponse:
        return _choose_language(request)


@require_POST
def _choose_language(request: HttpRequest) -> HttpResponse:
    language = request.POST.get("language", "")
    if language in Language.values:
        accounts.choose_language(user=request.user, language=language, at=timezone.now())
        with translation.override(language):
            messages.success(request, str(_("Pages and messages are in English now.")))
    back = request.POST.get("back", "")
    return HttpResponseRedirect(back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "../")

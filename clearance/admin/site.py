"""The admin site: its name, and its first page."""

from __future__ import annotations

from functools import update_wrapper
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts import provider
from accounts import services as accounts
from accounts.choices import Language
from clearance.admin import company_sign_in, metrics, sign_in
from clearance.admin.own_messages import own_messages
from clearance.admin.today import today
from clearance.api.authentication import owes_second_factor
from clearance.clock import day_of

# What somebody may use who owes a second factor: the page where it is set up, and the way out.
_WITHOUT_SECOND_FACTOR = {"own_sign_in", "logout", "language", "jsi18n", "verify_email"}


_REFUSED = _("Signing in did not work")


class ClearanceSite(admin.AdminSite):
    """People sign in with their e-mail address and start with what waits for them."""

    site_header = _("Clearance")
    site_title = _("Clearance")
    index_title = _("Today")
    index_template = "admin/today.html"
    logout_template = "admin/logged_out.html"
    password_change_done_template = "admin/own_password_changed.html"  # noqa: S105 - a page
    site_url = None
    enable_nav_sidebar = True

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.user.waits_for_rights:
            page = self._page(request, _("Your account waits for an administrator"))
            return TemplateResponse(request, "admin/waiting.html", page)
        context = today(self, request, on=day_of(timezone.now()))
        return super().index(request, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        return [
            path("login/code/", self.login_code, name="login_code"),
            path("login/provider/", self.provider, name="provider"),
            path("login/provider/callback/", self.provider_callback, name="provider_callback"),
            path("reset/", self.new_password, name="new_password"),
            path("invitation/", self.invitation, name="invitation"),
            path("sign_in/", self.admin_view(self.own_sign_in), name="own_sign_in"),
            path("messages/", self.admin_view(self.own_messages), name="own_messages"),
            path("verify_email/", self.admin_view(self.verify_email), name="verify_email"),
            path("language/", self.admin_view(self.choose_language), name="language"),
            path("metrics/export/<slug:figure>.xlsx", self.admin_view(self.export_figure), name="metrics_export"),
            path("metrics/report/<int:year>-<int:month>/", self.admin_view(self.report), name="metrics_report"),
            *super().get_urls(),
        ]

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """A page for people who work here, and who have a second factor where their role requires one."""
        page = super().admin_view(view, cacheable)

        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            is_free = request.resolver_match and request.resolver_match.url_name in _WITHOUT_SECOND_FACTOR
            if self.has_permission(request) and not is_free and owes_second_factor(request):
                return HttpResponseRedirect(reverse("admin:own_sign_in"))
            return page(request, *args, **kwargs)

        return update_wrapper(inner, page)

    # Signing in ------------------------------------------------------------------------------------------------------
    @method_decorator((never_cache, login_not_required))
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        given = {"app_path": request.get_full_path(), "username": request.user.get_username(), **(extra_context or {})}
        given["company_sign_in"] = provider.signs_people_in()
        return sign_in.SignInPage.as_view(extra_context=self._page(request, _("Log in"), **given))(request)

    @method_decorator((never_cache, login_not_required))
    def login_code(self, request: HttpRequest) -> HttpResponse:
        return sign_in.CodePage.as_view(extra_context=self._page(request, _("Second factor")))(request)

    @method_decorator((never_cache, login_not_required))
    def provider(self, request: HttpRequest) -> HttpResponse:
        return company_sign_in.start(request, self._page(request, _REFUSED))

    @method_decorator((never_cache, login_not_required))
    def provider_callback(self, request: HttpRequest) -> HttpResponse:
        return company_sign_in.callback(request, self._page(request, _REFUSED))

    @method_decorator((never_cache, login_not_required))
    def forgotten(self, request: HttpRequest) -> HttpResponse:
        return sign_in.ForgottenPage.as_view(extra_context=self._page(request, _("Forgotten the password?")))(request)

    @method_decorator((never_cache, login_not_required))
    def new_password(self, request: HttpRequest) -> HttpResponse:
        return sign_in.NewPasswordPage.as_view(extra_context=self._page(request, _("Set a new password")))(request)

    @method_decorator((never_cache, login_not_required))
    def invitation(self, request: HttpRequest) -> HttpResponse:
        page = self._page(request, _("Welcome to Clearance"))
        return sign_in.InvitationPage.as_view(extra_context=page)(request)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Sign out; the browser forgets the pages that it has kept."""
        response = super().logout(request, extra_context)
        response["Clear-Site-Data"] = '"cache", "storage"'
        return response

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        given = {**self.each_context(request), **(extra_context or {})}
        return sign_in.OwnPasswordPage.as_view(extra_context=given)(request)

    def own_sign_in(self, request: HttpRequest) -> HttpResponse:
        return sign_in.own_sign_in(request, self.each_context(request))

    def own_messages(self, request: HttpRequest) -> HttpResponse:
        return own_messages(request, self.each_context(request))

    def verify_email(self, request: HttpRequest) -> HttpResponse:
        return sign_in.verify_email(request, self.each_context(request))

    def _page(self, request: HttpRequest, title: Any, **more: Any) -> dict[str, Any]:
        return {**self.each_context(request), "title": title, "subtitle": None, **more}

    # Pages of its own ------------------------------------------------------------------------------------------------
    def export_figure(self, request: HttpRequest, figure: str) -> HttpResponse:
        return metrics.export(request, figure, on=day_of(timezone.now()))

    def report(self, request: HttpRequest, year: int, month: int) -> HttpResponse:
        return metrics.report(self, request, year=year, month=month, on=day_of(timezone.now()))

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
